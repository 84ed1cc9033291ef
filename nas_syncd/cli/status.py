"""``nas-syncd status``: how many documents are safe, what waits, what is wrong, and why."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nas_syncd import report
from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.cli.outlook import Outlook, outlook, quick_table
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.messages import ago_text, bytes_text, explain, render_error, since_text, visible
from nas_syncd.models import MountState, Reason, State

SHOWN_PROBLEMS = 5


def show_status(call: Call, user: str | None) -> int:
    """Show how things stand; return 0, 69 without the NAS, 75 without the database.

    Raises:
        ConfigurationError: A setting is wrong, or ``DATABASE_URL`` is empty.
        JournalError: The state directory cannot be used.
    """
    settings = call.settings()
    call.require(settings, "database_url")
    table = quick_table(settings)
    try:
        with outlook(settings) as now:
            error: DatabaseUnavailableError | None = None
            try:
                table.check()  # while the NAS is being asked
                data = report.status(
                    table, now.site.journal, now.view, now.site.nas, call.language, user
                )
                problems = _problems(call, now, table)
            except DatabaseUnavailableError as away:
                error = away
                data, problems = _without_database(call, now, table), []
            data |= _more(call, now, error)
            if call.as_json:
                call.answer(data)
            else:
                _tell(call, now, data, problems, error)
            if error is not None:
                return Exit.LATER
            return Exit.DONE if now.view.usable else Exit.NAS
    finally:
        table.close()


def _without_database(call: Call, now: Outlook, table: DocumentsTable) -> dict[str, Any]:
    """The same keys; what only the database knows is null."""
    tally = now.site.journal.tally(table.scope, now.site.nas)
    reason = now.view.reason
    return {
        "total_documents": None,
        "synced": None,
        "pending": None,
        "sync_percentage": None,
        "last_sync": None,
        "nas_configured": now.view.usable,
        "inherited": None,
        "waiting": tally.waiting + tally.failed,
        "problems": tally.problems,
        "reason": explain(reason, call.language) if reason else None,
    }


def _more(call: Call, now: Outlook, error: DatabaseUnavailableError | None) -> dict[str, Any]:
    """What the command shows beyond the API's keys."""
    live = now.live or {}
    data: dict[str, Any] = {
        "daemon": now.daemon,
        "mount": report.view_as_json(now.view),
        "uploads": live.get("uploads"),
        "in_flight": live.get("in_flight", []),
        "no_row": live.get("no_row", []),
    }
    if error is not None:
        data["error"] = call.error_data(error)
    return data


def _problems(call: Call, now: Outlook, table: DocumentsTable) -> list[str]:
    """Return a line for each of the first documents that a person should look at."""
    journal = now.site.journal
    entries = journal.in_states(table.scope, {State.PROBLEM}, limit=SHOWN_PROBLEMS)
    rows = table.get([entry.id for entry in entries])
    lines = []
    for entry in entries:
        row = rows.get(entry.id)
        name = call.name(entry.id, row.original_name if row else None)
        why = explain(entry.reason, call.language) if entry.reason else ""
        lines.append(call.text("status.document", name=name, text=why))
    return lines


# -- for a person ------------------------------------------------------------------------------


def _tell(
    call: Call,
    now: Outlook,
    data: dict[str, Any],
    problems: list[str],
    error: DatabaseUnavailableError | None,
) -> None:
    words, good = _sentence(call, now, data, error)
    screen.headline(call, words, good=good)
    screen.facts(call, _facts(call, now, data))
    for line in problems:
        call.say(line)
    for flying in data["in_flight"]:
        call.say(_flying(call, flying))
    for file in data["no_row"]:
        call.say(call.text("status.no_row", path=file["path"], seconds=file["seconds"]))


def _sentence(
    call: Call, now: Outlook, data: dict[str, Any], error: DatabaseUnavailableError | None
) -> tuple[str, bool]:
    """Return the one sentence that matters most, and whether all is well."""
    if error is not None:
        return render_error(error, call.language), False
    pending = data["pending"]
    if not now.view.usable:
        why = data["reason"] or call.text("mount.unknown")
        return (f"{why} {call.count('status.wait', pending)}" if pending else why), False
    if not data["total_documents"]:
        return call.text("status.none"), True
    if pending:
        params = {"synced": data["synced"], "total": data["total_documents"]}
        return call.count("status.pending", pending, **params), True
    if data["inherited"]:
        return call.count("status.inherited", data["inherited"]), False
    return call.count("status.all_safe", data["total_documents"]), not data["problems"]


def _facts(call: Call, now: Outlook, data: dict[str, Any]) -> list[tuple[str, str]]:
    def shown(name: str) -> str:
        return "?" if data[name] is None else str(data[name])

    share = data["sync_percentage"]
    percent = "" if share is None else f" ({call.text('status.percent', share=share)})"
    rows = [
        ("documents", shown("total_documents")),
        ("synced", shown("synced") + percent),
        ("pending", shown("pending")),
        ("last_sync", "?" if share is None else _moment(call, data["last_sync"], now.now)),
    ]
    for name in ("waiting", "problems", "inherited"):
        if data[name]:
            rows.append((name, f"{data[name]} – {call.text(f'status.hint.{name}')}"))
    rows.append(("nas", _mount(call, now)))
    uploads = data["uploads"]
    if uploads and (about := uploads.get("reason") or uploads.get("warning")):
        rows.append(("uploads", explain(Reason(about["code"], about["params"]), call.language)))
    running = call.text("status.daemon", pid=now.daemon)
    rows.append(("daemon", running if now.daemon is not None else call.text("status.no_daemon")))
    return [(call.text(f"label.{name}"), value) for name, value in rows]


def _mount(call: Call, now: Outlook) -> str:
    view = now.view
    parts = [visible(view.path) or call.text("status.no_path"), call.text(f"state.{view.state}")]
    if not view.usable and now.daemon is not None:
        parts.append(since_text(view.since, now.now, call.language))
    if view.free_bytes is not None and view.state in (MountState.OK, MountState.FULL):
        parts.append(call.text("status.free", left=bytes_text(view.free_bytes, call.language)))
    if view.checked_at is not None:
        ago = ago_text(view.checked_at, now.now, call.language)
        parts.append(call.text("status.checked", ago=ago))
    return ", ".join(parts)


def _moment(call: Call, last_sync: str | None, now: dt.datetime) -> str:
    if last_sync is None:
        return "–"
    moment = dt.datetime.fromisoformat(last_sync).replace(tzinfo=dt.UTC)
    return ago_text(moment, now, call.language)


def _flying(call: Call, flying: dict[str, Any]) -> str:
    name = call.name(str(flying["id"]), flying.get("name"))
    done, total = flying.get("done") or 0, flying.get("total") or 0
    if total < screen.BIG_BYTES:
        return call.text("status.flying", name=name)
    parts = {"done": bytes_text(done, call.language), "total": bytes_text(total, call.language)}
    return call.text("status.flying_big", name=name, **parts)
