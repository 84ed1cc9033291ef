"""``nas-syncd explain``: the whole decision about one document, or about one file."""

from __future__ import annotations

import os
from typing import Any

from nas_syncd.cli.call import Call
from nas_syncd.cli.reach import reach
from nas_syncd.cli.remote import GoneError, Remote
from nas_syncd.cli.story import tell_story
from nas_syncd.settings import Settings

EXPLAIN_SECONDS = 25.0
"""The database and the upload folder have their own deadlines within it."""

Told = tuple[int, dict[str, Any]]


def explain_document(call: Call, wanted: str) -> int:
    """Tell all that is known; return 1 for an unknown document, 75 without the database.

    Raises:
        ConfigurationError: A setting is wrong, or ``DATABASE_URL`` or ``UPLOAD_DIR`` is empty.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The state directory cannot be used.
    """
    reached = reach(call, "database_url", "upload_dir")
    told: Told | None = None
    if reached.daemon is not None:
        try:
            told = _by_daemon(reached.daemon, wanted)
        except GoneError:
            told = None  # it is just ending
    code, data = told or _by_ourselves(call, reached.ours, wanted)
    _show(call, data)
    return code


def _by_daemon(daemon: Remote, wanted: str) -> Told:
    """Ask it; a relative path is meant from here, and the daemon is elsewhere.

    Raises:
        GoneError: It does not answer.
    """
    told = daemon.get("/sync/explain", timeout=EXPLAIN_SECONDS, wanted=wanted)
    whole = os.path.abspath(wanted)
    uploads = daemon.found["uploads"]["path"].rstrip("/")
    if whole != wanted and whole.startswith(f"{uploads}/") and not _is_id(told, wanted):
        meant = daemon.get("/sync/explain", timeout=EXPLAIN_SECONDS, wanted=whole)
        if meant["documents"] or "no_row" in meant:
            told = meant
    return int(told.pop("exit")), told


def _is_id(told: dict[str, Any], wanted: str) -> bool:
    """Whether *wanted* was understood as an id; an id is what it is first of all."""
    error = told.get("error")
    if error is not None and error["code"] != "document.unknown":
        return True
    return any(one["id"] == wanted for one in told["documents"])


def _by_ourselves(call: Call, settings: Settings, wanted: str) -> Told:
    from nas_syncd.cli.outlook import outlook, quick_table
    from nas_syncd.stories import tell

    table = quick_table(settings)
    try:
        with outlook(settings) as now:
            told = tell(
                now.site,
                table,
                wanted,
                view=now.view,
                daemon=now.daemon,
                language=call.language,
                here=os.getcwd(),
            )
    finally:
        table.close()
    return told.exit, told.data


def _show(call: Call, data: dict[str, Any]) -> None:
    """Show what was told, as JSON or for a person."""
    if call.as_json:
        call.answer(data)
        return
    error = data.get("error")
    if error is not None:
        call.complain(call.error_line(error))
    if "no_row" in data:
        call.say(data["no_row"])
    documents = data["documents"]
    if not documents and data["searched"] and not _is_away(error):
        call.say(call.text("explain.searched"))
        for path in data["searched"]:
            call.say(f"  {call.text('cli.quoted', text=path)}")
    for number, story in enumerate(documents):
        if number:
            call.say()
        tell_story(call, story, data["mount"])


def _is_away(error: dict[str, Any] | None) -> bool:
    return error is not None and str(error["code"]).startswith("database.")
