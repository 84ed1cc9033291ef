"""Where the log is: a file, systemd's journal, the daemon's memory; or who else has it."""

from __future__ import annotations

from pathlib import Path

from nas_syncd.cli.call import Call
from nas_syncd.cli.logs.chain import NotALogError
from nas_syncd.cli.logs.entries import Source
from nas_syncd.cli.logs.file import LogInFile
from nas_syncd.cli.logs.journal import LogInJournal, journal_has
from nas_syncd.cli.logs.memory import LogInMemory
from nas_syncd.cli.logs.wanted import Wanted
from nas_syncd.cli.reach import Reached
from nas_syncd.errors import JournalError

LAUNCHD_LOG = Path("Library/Logs/nas-syncd/nas-syncd.log")
"""Below the home folder: where launchd's agent writes on macOS."""
CONTAINER_SIGNS = (Path("/.dockerenv"), Path("/run/.containerenv"))
SYSTEMD_SIGN = Path("/run/systemd/system")
"""A container that has a systemd of its own is like any other machine."""


class LogDeniedError(JournalError):
    """The log is not ours to read. Params: ``path``."""

    code = "logs.denied"


class NoLogFileError(JournalError):
    """What stands at the log's path is no file. Params: ``path``."""

    code = "logs.no_file"


def find_log(reached: Reached, wanted: Wanted, *, follow: bool) -> Source | None:
    """Return where the log is read; None: nowhere that we know of.

    The settings' file comes first, then launchd's. Of a daemon that writes to systemd's journal,
    the journal says more than the daemon remembers, where we may read it: also why the one
    before it ended.

    Raises:
        LogDeniedError: There is a file and no other way, and it is not ours to read.
        NoLogFileError: It is no file.
    """
    path = _file(reached)
    denied: OSError | None = None
    if path is not None:
        try:
            return LogInFile(path, follow=follow)
        except NotALogError:
            raise NoLogFileError(path=str(path)) from None
        except OSError as error:
            denied = error
    daemon = reached.daemon
    fields = reached.settings is None or reached.settings.log_format != "json"
    if denied is None and journal_has(*([f"_PID={daemon.pid}"] if daemon else [])):
        return LogInJournal(wanted, fields=fields)
    if daemon is not None:
        return LogInMemory(daemon)
    if denied is not None:
        raise LogDeniedError(path=str(path)) from None
    return None


def _file(reached: Reached) -> Path | None:
    if reached.settings is not None and reached.settings.log_file is not None:
        return reached.settings.log_file
    launchd = _home() / LAUNCHD_LOG
    return launchd if launchd.is_file() else None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without one
        return Path("/")


def where_else(call: Call) -> list[str]:
    """Return sentences that say where the log is when it is nowhere that we can read."""
    from nas_syncd.settings import env_name

    file = call.text("logs.file", name=env_name("log_file"))
    if any(sign.exists() for sign in CONTAINER_SIGNS) and not SYSTEMD_SIGN.exists():
        return [call.text("logs.container", command="docker compose logs -f nas-syncd"), file]
    return [
        call.text("logs.journald", command="journalctl -u nas-syncd -f"),
        call.text("logs.console", command="nas-syncd run"),
        file,
    ]
