"""Exit codes, and which error means which."""

from __future__ import annotations

from enum import IntEnum

from nas_syncd.errors import SyncError, Whose


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


class AnotherNasError(SyncError):
    """A NAS is known, and something else stands at its path. Params: ``path``, ``expected``."""

    code = "adopt.another"
    whose = Whose.MOUNT


def exit_code(error: SyncError) -> Exit:
    """Return the exit code that *error* ends a command with."""
    if isinstance(error, UsageError | DeclinedError):
        return Exit.USAGE
    if error.params.get("side") == "uploads":
        return Exit.LATER
    return _BY_WHOSE[error.whose]
