"""``nas-syncd config``: every setting with its origin, and what the NAS is now."""

from __future__ import annotations

from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnsweredError
from nas_syncd.cli.reach import Reached, reach
from nas_syncd.cli.remote import GoneError
from nas_syncd.messages import TEXTS
from nas_syncd.settings import Settings, describe


def show_config(call: Call) -> int:
    """Show the settings, their secrets hidden, and what ``GET /sync/config`` answers.

    Settings that are not ours to read are the daemon's own affair: it tells how the NAS is.

    Raises:
        ConfigurationError: A setting is wrong: its line names it.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The state directory cannot be used.
    """
    reached = reach(call)
    told, settings = _told(call, reached), reached.settings
    if call.as_json:
        file = settings.source_file if settings else None
        values = describe(settings) if settings else []
        call.answer(
            {
                **told,
                "settings_file": str(file) if file else None,
                "settings": {
                    name: {"value": value, "origin": origin} for name, value, origin in values
                },
            }
        )
        return 0
    state = told["reason"] or call.text("mount.ok")
    screen.headline(call, state, good=told["configured"])
    if settings is None:
        call.say(call.text("config.not_ours"))
        return 0
    headers = [call.text(f"label.{name}") for name in ("setting", "value", "origin")]
    screen.table(call, headers, _rows(call, settings))
    return 0


def _told(call: Call, reached: Reached) -> dict[str, Any]:
    """Return what ``GET /sync/config`` answers."""
    if reached.daemon is not None:
        try:
            return reached.daemon.get("/sync/config")
        except (GoneError, AnsweredError):
            pass  # it is just ending
    from nas_syncd.cli.outlook import outlook
    from nas_syncd.report import config_status

    settings = reached.ours
    with outlook(settings) as now:
        return config_status(settings.nas_path, now.view, call.language)


def _rows(call: Call, settings: Settings) -> list[tuple[str, str, str]]:
    return [(name, value, _origin(call, origin)) for name, value, origin in describe(settings)]


def _origin(call: Call, origin: str) -> str:
    """Return where a value came from: a word of ours, or the file's path."""
    key = f"origin.{origin}"
    return call.text(key) if key in TEXTS[call.language] else origin
