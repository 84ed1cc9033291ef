"""How things stand, as data, asked of the daemon; :mod:`.ourselves` finds the same out without."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnsweredError
from nas_syncd.cli.remote import Remote, error_from_reason, why

SHOWN_PROBLEMS = 5
MOUNT = (
    *("state", "path", "since", "checked_at", "nas"),
    *("file_system", "source", "free_bytes", "total_bytes"),
)
UPLOADS = ("state", "path", "since", "watching")
COUNTS = ("total_documents", "synced", "pending", "sync_percentage", "last_sync", "inherited")

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """How things stand at one moment."""

    data: Data
    """What ``status --json`` prints."""
    problems: list[tuple[str, str]]
    """The first documents that a person should look at: what they are called, and why."""
    fates: list[Data] = field(default_factory=list)
    """What became of documents lately, the newest first, as the API tells it."""

    @property
    def error(self) -> Data | None:
        """Why the database cannot be asked."""
        return self.data.get("error")

    @property
    def usable(self) -> bool:
        return bool(self.data["nas_configured"])


# -- from the daemon ---------------------------------------------------------------------------


def picture_of(call: Call, daemon: Remote, user: str | None) -> Picture:
    """Ask the daemon.

    Raises:
        GoneError: It does not answer.
    """
    now = daemon.get("/sync/now")
    counts, problems, error = now["status"], [], None
    try:
        if user is not None:
            counts = daemon.get("/sync/status", user_id=user)
        if counts and counts["problems"]:
            page = daemon.get(
                "/sync/documents", state="problem", limit=SHOWN_PROBLEMS, user_id=user
            )
            problems = [_problem(call, line) for line in page["documents"]]
    except AnsweredError as refused:
        error = refused.data
    if not now["database"]["ok"] and now["database"]["reason"]:
        error = error_from_reason(now["database"]["reason"])
    elif counts is None and error is None:
        error = _unanswered(call)
    data = _counted(now, counts, known=error is None) | {
        "daemon": now["pid"],
        "mount": _with_reasons(now["mount"], MOUNT, "reason"),
        "uploads": _with_reasons(now["uploads"], UPLOADS, "reason", "warning"),
        "in_flight": now["in_flight"],
        "no_row": now["no_row"],
    }
    if error is not None:
        data["error"] = error
    return Picture(data, problems, now.get("recent", []))


def _counted(now: Data, counts: Data | None, *, known: bool) -> Data:
    """Return the contract's keys; what only the database knows is null when it is away."""
    data: Data = {name: counts[name] if counts and known else None for name in COUNTS}
    return data | {
        "nas_configured": now["mount"]["usable"],
        "waiting": counts["waiting"] if counts else now["waiting"],
        "problems": counts["problems"] if counts else 0,
        "reason": why(now["mount"]["reason"]),
    }


def _unanswered(call: Call) -> Data:
    """The daemon says that the database is there, but it has not counted yet."""
    from nas_syncd.errors import DatabaseUnavailableError

    return call.error_data(DatabaseUnavailableError())


def _problem(call: Call, line: Data) -> tuple[str, str]:
    return call.name(line["id"], line["name"]), why(line["reason"]) or ""


def _with_reasons(told: Data, names: tuple[str, ...], *reasons: str) -> Data:
    data = {name: told[name] for name in names}
    for name in reasons:
        reason = told[name]
        data[name] = reason and {"params": {}, **reason}
    return data
