"""``nas-syncd run``: the daemon, in the foreground."""

from __future__ import annotations

import sys

from nas_syncd.cli.call import Call
from nas_syncd.daemon import run_daemon
from nas_syncd.logs import Tap, configure_logging, is_journal, shutdown_logging
from nas_syncd.settings import (
    Settings,
    journal_stream,
    only_the_file,
    require_for_run,
    wants_colour,
)


def run_in_foreground(call: Call) -> int:
    """Run until a signal ends it; return the exit code.

    Raises:
        ConfigurationError: A setting is wrong, or one that is needed is empty.
        JournalError: The state directory or the log file cannot be used.
    """
    tap = Tap()
    settings = _prepared(call, tap)
    try:
        return run_daemon(settings, lambda: _prepared(call, tap), tap)
    finally:
        shutdown_logging()


def _prepared(call: Call, tap: Tap) -> Settings:
    """Read the settings, and let the log follow them; at a reload once more.

    Raises:
        ConfigurationError: They are wrong; the log stays as it is.
        JournalError: The log file cannot be opened; likewise.
    """
    settings = call.settings()
    require_for_run(settings)
    _log_as(settings, tap)
    return settings


def _log_as(settings: Settings, tap: Tap) -> None:
    configure_logging(
        settings.log_level,
        settings.log_format,
        settings.log_file,
        quiet=settings.log_file is not None and only_the_file(),
        journald=is_journal(sys.stderr, journal_stream()),
        colour=wants_colour(),
        tap=tap,
        language=settings.language,
    )
