"""Errors and reasons as they stand in the JSON answers of the command. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas_syncd.messages import remedy, text

if TYPE_CHECKING:
    from nas_syncd.errors import SyncError
    from nas_syncd.models import Reason

_TAKEN = ("code", "language")
"""Parameters of :func:`text` itself."""


def error_data(error: SyncError, language: str) -> dict[str, Any]:
    """Return an error under the keys ``code``, ``message`` and ``remedy``."""
    params = dict(error.params)
    if error.detail and error.detail != error.code:
        params.setdefault("detail", error.detail)
    for taken in _TAKEN:
        params.pop(taken, None)
    return {
        "code": error.code,
        "message": text(error.code, language, **params),
        "remedy": remedy(error.code, language, **params),
    }


def reason_data(reason: Reason | None, language: str) -> dict[str, Any] | None:
    """Return a reason under the keys ``code``, ``params``, ``text`` and ``remedy``."""
    if reason is None:
        return None
    params = {name: value for name, value in reason.params.items() if name not in _TAKEN}
    return {
        "code": reason.code,
        "params": dict(reason.params),
        "text": text(reason.code, language, **params),
        "remedy": remedy(reason.code, language, **params),
    }
