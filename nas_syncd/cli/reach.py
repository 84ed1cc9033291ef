"""Who does the work of a command: the daemon that runs, or we ourselves.

With settings that can be used, the daemon of their state directory is asked where one runs. Who
has none, or may not read them, means the system's service: its socket is below ``/run``.
"""

from __future__ import annotations

import contextlib
import grp
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import DaemonForbiddenError, DaemonGoneError, DaemonNeededError
from nas_syncd.cli.remote import SOCKET, Remote, knock
from nas_syncd.errors import ConfigurationError
from nas_syncd.messages import language_of

if TYPE_CHECKING:
    from nas_syncd.settings import Settings

SYSTEM = Path("/run/nas-syncd")
"""The service's runtime directory."""
SYSTEM_SETTINGS = Path("/etc")
USUAL_GROUP = "nas-syncd"


@dataclass(frozen=True, slots=True)
class Reached:
    """At least one of the two is there."""

    settings: Settings | None
    """None: they are not ours to read, or there are none, and the daemon has them."""
    daemon: Remote | None
    """None: none runs, and the settings have what the command needs."""

    @property
    def ours(self) -> Settings:
        """The settings, for work of our own.

        Raises:
            DaemonGoneError: They are the daemon's only, and it does not answer any more.
        """
        if self.settings is None:
            raise DaemonGoneError
        return self.settings


def reach(call: Call, *needed: str) -> Reached:
    """Read the settings and look for the daemon.

    Args:
        needed: What the command needs of the settings, see :meth:`Call.require`.

    Raises:
        ConfigurationError: A setting is wrong, or one of *needed* is empty.
        DaemonNeededError: The settings are not ours to read, and no daemon can be asked.
    """
    try:
        settings = call.settings()
    except ConfigurationError as error:
        if not _is_forbidden(error):
            raise
        return Reached(None, _in_its_language(call, _systems(call, error)))
    if not (settings.nas_path or settings.database_url.get_secret_value()):
        daemon, forbidden = _first(system_sockets(), call.language)
        if daemon is not None:
            return Reached(None, _in_its_language(call, daemon))
        if forbidden is not None and needed:
            raise _not_for_us(forbidden)
    call.require(settings, *needed)
    return Reached(settings, _of(call, settings))


def _in_its_language(call: Call, daemon: Remote) -> Remote:
    """Speak as the daemon's settings say, unless our environment says otherwise."""
    from nas_syncd.settings import env_name, inherited_environment

    if not any(inherited_environment(env_name("language")).values()):
        call.language = daemon.language = language_of(daemon.found["language"])
    return daemon


def _of(call: Call, settings: Settings) -> Remote | None:
    """Return the daemon that works with *settings*, or with the same paths at least."""
    sockets = [settings.state_dir / SOCKET]
    if settings.source_file is not None and SYSTEM_SETTINGS in settings.source_file.parents:
        sockets += system_sockets()
    daemon, forbidden = _first(sockets, call.language)
    if daemon is None:
        ours = os.access(settings.state_dir, os.W_OK | os.X_OK)
        if forbidden is not None and not ours:
            raise _not_for_us(forbidden)
        return None
    nas, uploads = daemon.found["mount"]["path"], daemon.found["uploads"]["path"]
    same = nas == settings.nas_path and uploads in (settings.upload_dir, "")
    return daemon if same else None


def _systems(call: Call, error: ConfigurationError) -> Remote:
    daemon, forbidden = _first(system_sockets(), call.language)
    if daemon is not None:
        return daemon
    if forbidden is not None:
        raise _not_for_us(forbidden)
    raise DaemonNeededError(path=error.params.get("path"))


def _first(sockets: list[Path], language: str) -> tuple[Remote | None, Path | None]:
    """Return the first daemon that answers; else the first socket that we may not use."""
    forbidden = None
    for path in sockets:
        try:
            daemon = knock(path, language)
        except PermissionError:
            forbidden = forbidden or path
        else:
            if daemon is not None:
                return daemon, None
    return None, forbidden


def _not_for_us(socket: Path) -> DaemonForbiddenError:
    """Name the group whose members may use it; root's is no advice to give."""
    group = USUAL_GROUP
    with contextlib.suppress(OSError, KeyError):
        gid = os.stat(socket.parent).st_gid
        group = grp.getgrgid(gid).gr_name if gid else group
    return DaemonForbiddenError(path=str(socket), group=group)


def system_sockets() -> list[Path]:
    from nas_syncd.settings import runtime_directories

    return [folder / SOCKET for folder in dict.fromkeys([*runtime_directories(), SYSTEM])]


def _is_forbidden(error: ConfigurationError) -> bool:
    """Whether the settings file is there, and not ours to read."""
    path = error.params.get("path")
    if not isinstance(path, str):
        return False
    try:
        with open(path, "rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False
