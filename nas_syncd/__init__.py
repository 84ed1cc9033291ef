"""nas-syncd: sees every finance document to safety on the NAS, and can prove it.

The backend's two names are loaded when they are first asked for: the agents import this package
too, and must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_syncd.service import NASSyncService, get_nas_sync_service

__version__ = "0.1.0"
__all__ = ["NASSyncService", "__version__", "get_nas_sync_service"]


def __getattr__(name: str) -> Any:
    if name in ("NASSyncService", "get_nas_sync_service"):
        from nas_syncd import service

        return getattr(service, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
