"""Answers as they go over the wire, and which status an error has."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from nas_syncd.desk.views import why
from nas_syncd.errors import MountError, SyncError, Whose
from nas_syncd.messages import harmless_json, render_error
from nas_syncd.models import Reason

_STATUS = {
    "document.unknown": 404,
    "document.no_file": 400,
    "api.cursor": 404,
    "api.too_many_runs": 503,
    "database.unavailable": 503,
}
RETRY_SECONDS = 5


class Answer(JSONResponse):
    """JSON in which no name harms anybody: one that is not UTF-8, or that steers a terminal."""

    def render(self, content: Any) -> bytes:
        words = json.dumps(
            content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str
        )
        return harmless_json(words).encode()


def status_of(error: SyncError) -> int:
    """Return the HTTP status that *error* is told with."""
    if isinstance(error, MountError):
        return 400  # fixed by the contract
    known = _STATUS.get(error.code)
    if known is not None:
        return known
    return 503 if error.whose in (Whose.DATABASE, Whose.JOURNAL) else 500


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Answer:
    """Return an error's answer, as :class:`~nas_syncd.api.shapes.Problem`."""
    return Answer({"detail": detail, "code": code}, status_code=status, headers=headers)


def problem_of(error: SyncError, language: str) -> Answer:
    """Return the answer for an error of ours: what is wrong, and what to do about it."""
    status = status_of(error)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    return problem(status, error.code, render_error(error, language), headers)


def reason_problem(status: int, reason: Reason, language: str) -> Answer:
    return problem(status, reason.code, why(reason, language) or reason.code)
