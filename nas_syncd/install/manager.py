"""Which service manager this host has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from platformdirs import user_config_path

from nas_syncd.install.launchd import Launchd
from nas_syncd.install.state import Scope
from nas_syncd.install.systemd import SYSTEM_FOLDER, Manager, Systemd

__all__ = ["Manager", "manager_for"]


def manager_for(scope: Scope) -> Manager:
    """Return the manager of *scope*; on macOS there is only the user's. Asks nobody yet."""
    if sys.platform == "darwin":
        return Launchd(Path.home(), os.getuid())
    if scope is Scope.SYSTEM:
        return Systemd(scope, SYSTEM_FOLDER)
    return Systemd(scope, user_config_path("systemd") / "user")
