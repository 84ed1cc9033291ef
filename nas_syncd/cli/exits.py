"""Exit codes, and which error means which."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from nas_syncd.errors import SyncError, Whose, error_from


class Exit(IntEnum):
    """DESIGN.md, section 5; the numbers are those of ``sysexits.h``."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NAS = 69
    LATER = 75
    CONFIGURATION = 78
    INTERRUPTED = 130


_BY_WHOSE = {
    Whose.CONFIGURATION: Exit.CONFIGURATION,
    Whose.MOUNT: Exit.NAS,
    Whose.UPLOADS: Exit.LATER,
    Whose.DATABASE: Exit.LATER,
    Whose.JOURNAL: Exit.LATER,
    Whose.DOCUMENT: Exit.FAILED,
}


class UsageError(SyncError):
    """The command was called in a way that means nothing. ``params["text"]`` says how."""

    code = "cli.usage"
    whose = Whose.CONFIGURATION
    retryable = False


class DeclinedError(SyncError):
    """A person was asked and said no, or could not be asked."""

    code = "cli.declined"
    whose = Whose.CONFIGURATION
    retryable = False


class DaemonNeededError(SyncError):
    """The settings are not ours to read, and no daemon runs. Params: ``path`` of the settings."""

    code = "cli.daemon_needed"
    whose = Whose.CONFIGURATION


class DaemonForbiddenError(DaemonNeededError):
    """The daemon's socket is not ours to use. Params: ``path``, ``group``."""

    code = "cli.daemon_forbidden"


class DaemonGoneError(DaemonNeededError):
    """It answered before, and does not any more."""

    code = "cli.daemon_gone"
    whose = Whose.JOURNAL


class AnsweredError(SyncError):
    """The daemon has said why something cannot be done.

    ``data`` is what stands under ``error`` in an answer: ``code``, ``message``, ``remedy``.
    """

    code = "cli.answered"

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(str(data["message"]))
        self.data = data


class AnotherNasError(SyncError):
    """A NAS is known, and something else stands at its path. Params: ``path``, ``expected``."""

    code = "adopt.another"
    whose = Whose.MOUNT


def exit_code(error: SyncError) -> Exit:
    """Return the exit code that *error* ends a command with."""
    if isinstance(error, UsageError | DeclinedError):
        return Exit.USAGE
    if isinstance(error, AnsweredError):
        return exit_code_of(error.data["code"])
    if error.params.get("side") == "uploads":
        return Exit.LATER
    return _BY_WHOSE[error.whose]


def exit_code_of(code: str) -> Exit:
    """Return the exit code for an error that is known by its code only."""
    return Exit.LATER if code.startswith("api.") else exit_code(error_from(code))
