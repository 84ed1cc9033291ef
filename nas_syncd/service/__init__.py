"""``NASSyncService``: the daemon's work, called from inside the backend.

The same decision, copier, journal and mount guard as the daemon's.

::

    sites    what all services of one process share: journal, agents
    session  the backend's session, borrowed
    given    the backend's objects, read and kept in step
    filing   documents brought to their fates
    service  NASSyncService
"""

from __future__ import annotations

from nas_syncd.service.service import NASSyncService, Told, get_nas_sync_service

__all__ = ["NASSyncService", "Told", "get_nas_sync_service"]
