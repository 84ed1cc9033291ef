"""The HTTP API: the daemon's own application, and the router for a backend of one's own.

The router is loaded when it is first asked for: the daemon's parts need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_syncd.api.backend import sync_router

__all__ = ["sync_router"]


def __getattr__(name: str) -> Any:
    if name == "sync_router":
        from nas_syncd.api.backend import sync_router

        return sync_router
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
