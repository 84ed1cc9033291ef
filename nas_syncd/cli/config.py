"""``nas-syncd config``: every setting with its origin, and what the NAS is now."""

from __future__ import annotations

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.outlook import outlook
from nas_syncd.messages import TEXTS, explain
from nas_syncd.report import config_status
from nas_syncd.settings import Settings, describe


def show_config(call: Call) -> int:
    """Show the settings, their secrets hidden, and what ``GET /sync/config`` answers.

    Raises:
        ConfigurationError: A setting is wrong: its line names it.
        JournalError: The state directory cannot be used.
    """
    settings = call.settings()
    with outlook(settings) as now:
        view = now.view
    if call.as_json:
        call.answer(
            {
                **config_status(settings.nas_path, view, call.language),
                "settings_file": str(settings.source_file) if settings.source_file else None,
                "settings": {
                    name: {"value": value, "origin": origin}
                    for name, value, origin in describe(settings)
                },
            }
        )
        return 0
    state = explain(view.reason, call.language) if view.reason else call.text("mount.ok")
    screen.headline(call, state, good=view.usable)
    headers = [call.text(f"label.{name}") for name in ("setting", "value", "origin")]
    screen.table(call, headers, _rows(call, settings))
    return 0


def _rows(call: Call, settings: Settings) -> list[tuple[str, str, str]]:
    return [(name, value, _origin(call, origin)) for name, value, origin in describe(settings)]


def _origin(call: Call, origin: str) -> str:
    """Return where a value came from: a word of ours, or the file's path."""
    key = f"origin.{origin}"
    return call.text(key) if key in TEXTS[call.language] else origin
