"""The last lines of the log, kept in memory for who wants to read along."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

MOST_LINES = 2000
MOST_CHARACTERS = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines in the order in which they were logged."""

    lines: tuple[str, ...]
    first: int
    """The number of the first one; the one that comes next when there is none."""
    missed: int
    """Lines that were asked for and are not kept any more."""

    @property
    def last(self) -> int:
        """The number to ask on from."""
        return self.first + len(self.lines) - 1


class Tap:
    """
    Keeps the newest lines, as the JSON format writes them: redacted, one event each, no line end.

    Thread-safe. Lines are numbered from 1. Bounded by number and by size.
    """

    def __init__(self, lines: int = MOST_LINES, characters: int = MOST_CHARACTERS) -> None:
        self._lock = threading.RLock()  # a signal handler may log, too
        self._lines: deque[str] = deque()
        self._most_lines = lines
        self._most_characters = characters
        self._characters = 0
        self._last = 0
        self._listeners: tuple[Callable[[], None], ...] = ()

    @property
    def last(self) -> int:
        """The number of the newest line; 0 when there was none."""
        return self._last

    def add(self, line: str) -> None:
        """Keep *line*, and tell who listens."""
        with self._lock:
            self._lines.append(line)
            self._last += 1
            self._characters += len(line)
            while len(self._lines) > self._most_lines or (
                self._characters > self._most_characters and len(self._lines) > 1
            ):
                self._characters -= len(self._lines.popleft())
        for told in self._listeners:
            told()

    def after(self, seq: int, most: int = 500) -> Batch:
        """
        Return at most *most* lines that came after number *seq*.

        A *seq* beyond the newest is from another life of the process: everything that is kept.
        """
        with self._lock:
            oldest = self._last - len(self._lines) + 1
            wanted = seq + 1 if 0 <= seq <= self._last else 1
            first = max(wanted, oldest)
            start = first - oldest
            lines = tuple(islice(self._lines, start, start + most))
        return Batch(lines, first, first - wanted)

    def listen(self, told: Callable[[], None]) -> None:
        """
        Call *told* after every line from now on, in the thread that logs.

        *told* must be quick, must not raise and must not log.
        """
        with self._lock:
            self._listeners = (*self._listeners, told)
