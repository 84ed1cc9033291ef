"""How things stand, for people and programs: the class, the command and the API say the same.

A running daemon keeps a small *live* record in the journal; everybody else reads it instead of
touching the mount.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nas_syncd.documents import DocumentsTable
from nas_syncd.journal import DaemonLock, Journal
from nas_syncd.messages import explain
from nas_syncd.models import MountState, MountView, Reason, State

HOST = "SMB Mount"
PAGE = 500
_WAITING = frozenset({State.WAITING, State.FAILED})


def status(
    table: DocumentsTable,
    journal: Journal,
    view: MountView,
    nas: str | None,
    language: str,
    user_id: str | None = None,
) -> dict[str, Any]:
    """Return what ``GET /sync/status`` answers.

    Raises:
        DatabaseUnavailableError: The rows cannot be counted.
    """
    counts = table.counts(user_id)
    tally = journal.tally(table.scope, nas)
    share = round(100 * counts.synced / counts.total, 1) if counts.total else 0.0
    waiting, problems = tally.waiting + tally.failed, tally.problems
    inherited = max(0, counts.synced - tally.proven)
    if user_id is not None:  # the journal does not know users
        inherited = _inherited_of(table, journal, nas, user_id, counts.synced, tally.proven)
        pending = counts.total - counts.synced
        waiting = _waiting_of(table, journal, user_id, pending, waiting)
        problems = problems and _entries_of(table, journal, user_id, {State.PROBLEM})
    return {
        "total_documents": counts.total,
        "synced": counts.synced,
        "pending": counts.total - counts.synced,
        "sync_percentage": share,
        "last_sync": naive_text(counts.last_sync),
        "nas_configured": view.usable,
        "inherited": inherited,
        "waiting": waiting,
        "problems": problems,
        "reason": explain(view.reason, language) if view.reason else None,
    }


def _inherited_of(
    table: DocumentsTable,
    journal: Journal,
    nas: str | None,
    user_id: str,
    synced: int,
    proven_of_all: int,
) -> int:
    """Count one user's inherited documents, without looking at each where nobody has any."""
    if not synced or table.counts().synced <= proven_of_all:
        return 0
    return max(0, synced - _proven_of(table, journal, nas, user_id))


def _proven_of(table: DocumentsTable, journal: Journal, nas: str | None, user_id: str) -> int:
    """Count one user's proven documents."""
    proven, cursor = 0, None
    while True:
        page = table.synced(cursor, PAGE, user_id)
        entries = journal.entries(table.scope, [d.id for d in page.documents])
        for document in page.documents:
            entry = entries.get(document.id)
            proven += bool(
                entry
                and entry.state is State.SYNCED
                and entry.receipt
                and entry.receipt.nas == nas
                and entry.file_path == document.file_path
            )
        cursor = page.cursor
        if cursor is None:
            return proven


def _waiting_of(
    table: DocumentsTable, journal: Journal, user_id: str, pending: int, waiting_of_all: int
) -> int:
    """Count one user's documents that wait: by whichever is fewer, rows or entries."""
    if not pending or not waiting_of_all:
        return 0
    if waiting_of_all <= pending:
        return _entries_of(table, journal, user_id, _WAITING)
    waiting, cursor = 0, None
    while True:
        page = table.pending(cursor, PAGE, user_id)
        entries = journal.entries(table.scope, [d.id for d in page.documents])
        for document in page.documents:
            entry = entries.get(document.id)
            same = entry is not None and entry.file_path == document.file_path
            waiting += bool(same and entry and entry.state in _WAITING)
        cursor = page.cursor
        if cursor is None:
            return waiting


def _entries_of(
    table: DocumentsTable, journal: Journal, user_id: str, states: Collection[State]
) -> int:
    """Count one user's documents in one of *states*, by way of everybody's."""
    found, after = 0, ""
    while True:
        entries = journal.in_states(table.scope, states, after, PAGE)
        rows = table.get([entry.id for entry in entries], user_id)
        for entry in entries:
            row = rows.get(entry.id)
            found += row is not None and row.file_path == entry.file_path
        if len(entries) < PAGE:
            return found
        after = entries[-1].id


def naive_text(moment: dt.datetime | None) -> str | None:
    """Return *moment* as the backend's clients know it: ISO, UTC, without a zone."""
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def config_status(path: str, view: MountView, language: str) -> dict[str, Any]:
    """Return what ``GET /sync/config`` answers."""
    there = view.state not in (MountState.UNKNOWN, MountState.UNCONFIGURED, MountState.MISSING)
    return {
        "configured": view.usable,
        "nas_host": bool(path),
        "nas_user": bool(path),
        "nas_path": bool(path),
        "host": HOST,
        "path": path,
        "path_exists": there and view.state not in (MountState.HUNG, MountState.DOWN),
        "path_writable": view.state in (MountState.OK, MountState.FULL),
        "state": str(view.state),
        "reason": explain(view.reason, language) if view.reason else None,
    }


# -- what a running daemon says -------------------------------------------------------------


def live(journal: Journal) -> dict[str, Any] | None:
    """Return what the running daemon last wrote down; None when none runs."""
    holder = DaemonLock(journal.folder).holder()
    if holder is None:
        return None
    record = journal.get("live")
    return record if isinstance(record, dict) and record.get("pid") == holder else None


def daemon_runs(state_dir: Path) -> int | None:
    """Return the pid of the daemon that owns *state_dir*, None when there is none."""
    return DaemonLock(state_dir).holder()


def view_as_json(view: MountView) -> dict[str, Any]:
    return {
        "state": str(view.state),
        "path": view.path,
        "reason": reason_as_json(view.reason),
        "since": view.since.isoformat(),
        "checked_at": view.checked_at.isoformat() if view.checked_at else None,
        "nas": view.nas,
        "file_system": view.file_system,
        "source": view.source,
        "free_bytes": view.free_bytes,
        "total_bytes": view.total_bytes,
    }


def reason_as_json(reason: Reason | None) -> dict[str, Any] | None:
    return {"code": reason.code, "params": dict(reason.params)} if reason else None


def view_from_live(record: dict[str, Any]) -> MountView:
    """Return the mount as the daemon saw it last."""
    mount = record["mount"]
    reason, checked = mount["reason"], mount["checked_at"]
    return MountView(
        state=MountState(mount["state"]),
        path=mount["path"],
        reason=Reason(reason["code"], reason["params"]) if reason else None,
        since=dt.datetime.fromisoformat(mount["since"]),
        checked_at=dt.datetime.fromisoformat(checked) if checked else None,
        nas=mount["nas"],
        file_system=mount["file_system"],
        source=mount["source"],
        free_bytes=mount["free_bytes"],
        total_bytes=mount["total_bytes"],
    )
