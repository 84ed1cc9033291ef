"""What is said inside the backend only, in English; the rest of the catalogue is in :mod:`.en`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "backend.async_session": (
        "a synchronous SQLAlchemy session (Session) is needed, "
        "not {given}: give nas-syncd a dependency of its own, over a synchronous engine"
    ),
    "backend.no_user": "This request is made in no user's name",
    "backend.user_kind": (
        "get_user_id must return the user's identifier (int, str or UUID), not {given}"
    ),
}
