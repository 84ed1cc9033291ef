"""nas-syncd as a service: systemd on Linux, launchd on macOS.

What is written is rendered from the templates in the folders ``systemd`` and ``launchd`` at the
top of the project (:mod:`.templates`), purely. What would be done is a plan (:mod:`.steps`), which
is shown before it is carried out and is empty when nothing is to change. How the service is, says
:func:`service_state`, for whoever asks.
"""

from __future__ import annotations

from nas_syncd.install.errors import ServiceError
from nas_syncd.install.manager import Manager, manager_for
from nas_syncd.install.state import Scope, ServiceState, service_state
from nas_syncd.install.steps import Plan, Step

__all__ = [
    "Manager",
    "Plan",
    "Scope",
    "ServiceError",
    "ServiceState",
    "Step",
    "manager_for",
    "service_state",
]
