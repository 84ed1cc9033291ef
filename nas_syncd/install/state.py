"""How the service is now. For the command ``service``, and for whoever examines this host."""

from __future__ import annotations

import datetime as dt
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """Whose service it is."""

    SYSTEM = "system"
    USER = "user"

    @classmethod
    def default(cls) -> Scope:
        """The system's for root, else one's own; on macOS always one's own."""
        mine = sys.platform == "darwin" or os.geteuid() != 0
        return cls.USER if mine else cls.SYSTEM


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What the service manager says. Where it could not be asked, ``detail`` says why."""

    manager: Literal["systemd", "launchd"] | None
    """None: this host has none of the two, or it could not be asked."""
    scope: Scope
    installed: bool = False
    running: bool = False
    since: dt.datetime | None = None
    """Since when it is running, or since when it is not; None where that is not known."""
    detail: str = ""
    """The manager's own word for the state (``running``, ``failed``), or its error."""
    path: str | None = None
    """The unit or the property list."""
    enabled: bool = False
    """Whether it is started by itself, with the system or at log-in."""
    pid: int | None = None
    last_exit: str | None = None
    """How the last process ended: a number, or a signal's name."""
    restarts: int | None = None
    status: str | None = None
    """The line in which the daemon tells how it is."""
    needs_reload: bool = False


def service_state(scope: Scope | None = None) -> ServiceState:
    """
    Return how the service is. Never raises, and takes some seconds at the very most.

    Args:
        scope: None: the system's service where one is installed, else the user's.
    """
    from nas_syncd.install.manager import manager_for

    if scope is not None or sys.platform == "darwin":
        return manager_for(scope or Scope.USER).state()
    systems = manager_for(Scope.SYSTEM).state()
    if systems.installed:
        return systems
    users = manager_for(Scope.USER).state()
    return users if users.installed else systems
