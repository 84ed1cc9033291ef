"""One line of a log, wherever it was read."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from nas_syncd.cli.logs.chain import Gap

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record; or a line that is none; or a gap."""

    line: str = ""
    record: Record | None = None
    gap: Gap | None = None


Takes = Callable[[Entry], bool]


class Source(Protocol):
    """Where a log is read. First :meth:`history`, then perhaps :meth:`coming`."""

    def history(self, takes: Takes, most: int | None) -> Iterator[Entry]:
        """Yield what is there, the oldest first: what *takes* accepts, the last *most* of it."""

    def coming(self) -> Iterator[Entry]:
        """Yield what came since, and go on until Ctrl-C."""

    def close(self) -> None:
        """Idempotent."""


def entry_of(line: str) -> Entry:
    """Return what *line* is. Never raises."""
    return Entry(line, record_of(line))


def record_of(line: str) -> Record | None:
    """Return the record that *line* holds; None: it is garbage, or cut short."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "event" in record else None


def last(entries: Iterator[Entry], takes: Takes, most: int | None) -> Iterator[Entry]:
    """Yield the last *most* that *takes* accepts; all of them for None."""
    taken = (entry for entry in entries if takes(entry))
    yield from taken if most is None else deque(taken, maxlen=most)
