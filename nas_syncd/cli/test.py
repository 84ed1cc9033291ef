"""``nas-syncd test``: write, flush, read back and remove a small file of our own."""

from __future__ import annotations

from typing import Any

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnsweredError, Exit
from nas_syncd.cli.reach import reach
from nas_syncd.cli.remote import GoneError, Remote, error_from_detail, error_from_reason
from nas_syncd.errors import SyncError, Whose
from nas_syncd.messages import render_error
from nas_syncd.settings import Settings

PATIENCE_SECONDS = 10.0
"""Beyond the daemon's own deadline."""
LONGEST_SECONDS = 120.0
"""Where its deadline is not known."""


def test_nas(call: Call) -> int:
    """Say whether the NAS can be read and written, as ``POST /sync/test`` does.

    Raises:
        ConfigurationError: A setting is wrong.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The state directory cannot be used.
    """
    reached = reach(call)
    data: dict[str, Any] | None = None
    if reached.daemon is not None:
        try:
            data = _by_daemon(reached.daemon, reached.settings)
        except (GoneError, AnsweredError):
            data = None  # it is just ending
    if data is None:
        data = _by_ourselves(call, reached.ours)
    if call.as_json:
        call.answer(data)
    elif data["success"]:
        call.say(data["message"])
    else:
        call.complain(data["message"])
    return Exit.DONE if data["success"] else Exit.NAS


def patience(settings: Settings | None) -> float:
    """Return how long a daemon may take that asks the NAS, in seconds."""
    return settings.nas_timeout_seconds + PATIENCE_SECONDS if settings else LONGEST_SECONDS


def _by_daemon(daemon: Remote, settings: Settings | None) -> dict[str, Any]:
    """
    Raises:
        GoneError: It does not answer.
        AnsweredError: It cannot try now.
    """
    told = daemon.post("/sync/test", timeout=patience(settings))
    message = str(told["message"])
    if told["success"]:
        return {"success": True, "message": message}
    reason = told.get("reason")  # an older daemon has none
    if reason is not None:
        error = error_from_reason(reason)
    else:
        error = error_from_detail("mount.error", message, daemon.language)
    return {"success": False, "message": message, "error": error}


def _by_ourselves(call: Call, settings: Settings) -> dict[str, Any]:
    from nas_syncd.compose import site_from

    site = site_from(settings)
    try:
        site.try_nas()
    except SyncError as error:
        if error.whose in (Whose.CONFIGURATION, Whose.JOURNAL):
            raise
        message = render_error(error, call.language)
        return {"success": False, "message": message, "error": call.error_data(error)}
    finally:
        site.close()
    return {"success": True, "message": call.text("test.ok")}
