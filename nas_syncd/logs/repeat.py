"""Repeated troubles: told at once, then every few minutes, and once more when they are over."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Hashable
from dataclasses import dataclass

EVERY = dt.timedelta(minutes=5)
MOST_KEYS = 4096


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What a line about a repeated trouble should say."""

    since: dt.datetime
    """When it was seen first."""
    count: int
    """How often it was seen, this time included."""

    @property
    def first(self) -> bool:
        return self.count == 1


@dataclass(slots=True)
class _Trouble:
    since: dt.datetime
    told: dt.datetime
    count: int


class Repeater:
    """Thread-safe. Remembers the :data:`MOST_KEYS` troubles that began last."""

    def __init__(self, every: dt.timedelta = EVERY) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._troubles: dict[Hashable, _Trouble] = {}

    def should_log(self, key: Hashable, now: dt.datetime) -> Suppressed | None:
        """Count one more of *key*; return what to say when it is time to say it."""
        with self._lock:
            trouble = self._troubles.get(key)
            if trouble is None:
                if len(self._troubles) >= MOST_KEYS:
                    del self._troubles[next(iter(self._troubles))]
                self._troubles[key] = _Trouble(now, now, 1)
                return Suppressed(now, 1)
            trouble.count += 1
            trouble.since = min(trouble.since, now)  # the clock was set back
            if trouble.told <= now < trouble.told + self._every:
                return None
            trouble.told = now
            return Suppressed(trouble.since, trouble.count)

    def clear(self, key: Hashable, now: dt.datetime) -> dt.timedelta | None:
        """Forget *key*; return how long it lasted, None when there was no such trouble."""
        with self._lock:
            trouble = self._troubles.pop(key, None)
        return None if trouble is None else max(now - trouble.since, dt.timedelta())
