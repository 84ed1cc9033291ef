"""What is said inside the backend only, in French; the rest of the catalogue is in :mod:`.fr`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "backend.async_session": (
        "il faut une session SQLAlchemy synchrone (Session), "
        "et non {given} : donnez à nas-syncd sa propre dépendance, sur un moteur synchrone"
    ),
    "backend.no_user": "Cette requête n’est faite au nom d’aucun utilisateur",
    "backend.user_kind": (
        "get_user_id doit rendre l’identifiant (int, str ou UUID) de l’utilisateur, et non {given}"
    ),
}
