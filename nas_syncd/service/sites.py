"""One site for all services of a process, so that fifty threads ask a hung NAS once."""

from __future__ import annotations

import os
import threading

from nas_syncd.compose import site_from
from nas_syncd.settings import Settings
from nas_syncd.site import Site

_sites: dict[tuple[str, ...], Site] = {}
_lock = threading.Lock()


def shared_site(settings: Settings) -> Site:
    """Return the process's site for these settings; any thread may ask.

    Raises:
        JournalError: The state directory cannot be used.
    """
    key = (settings.nas_path, settings.upload_dir, str(settings.state_dir))
    with _lock:
        site = _sites.get(key)
        if site is None:
            site = _sites[key] = site_from(settings)
        return site


def close_all() -> None:
    """End every site and its children; who asks next gets a new one. For nobody at work."""
    with _lock:
        closing = list(_sites.values())
        _sites.clear()
    for site in closing:
        site.close()


def _after_fork() -> None:
    """A forked worker begins with parts of its own: threads and children did not come along."""
    global _lock
    _lock = threading.Lock()
    _sites.clear()


os.register_at_fork(after_in_child=_after_fork)
