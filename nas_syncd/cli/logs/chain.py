"""The log file and those it was rotated into, read as one: no line lost, none repeated.

A rotation renames the oldest first (``.4`` to ``.5``, …, the log to ``.1``), while we read. So:

- what is there is opened from the newest to the oldest, against which files move: what moves
  meanwhile is met again, not missed, and known by its inode, which cannot be given to another
  file while we hold it open;
- the file after the one in hand is looked for by that one's own place: found at ``.k``, its
  successor is at ``.(k-1)``, and *was*, if after opening it the first one still is at ``.k``;
- successors are opened as soon as they are there, also while older ones are being read: what we
  hold open can be rotated away without harm;
- a file is left a while after its successor appeared: another process may not have noticed yet.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MOST_OLD_FILES = 99
MOST_HELD = 64
"""Files that are held open at once; with more to come we hold no further ones, but read."""
LONGEST_LINE = 4 * 2**20
LATE_SECONDS = 3.0
"""A process that shares the log notices within a second that it was rotated."""
LOOK_SECONDS = 0.02
LOOK_BYTES = 2**18
TRIES = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should be here and cannot be shown."""

    size: int | None = None
    """Bytes of a line that is too long; None: an unknown number of lines."""


Piece = bytes | Gap


class NotALogError(Exception):
    """What stands at the path is no regular file."""


@dataclass(slots=True, eq=False)
class Held:
    """One file that we hold open."""

    file: BinaryIO
    identity: tuple[int, int]
    skipped: int = 0
    """Bytes of a too long line that were passed over so far."""
    after_gap: bool = False
    """Whether files may have gone by before it that we never saw."""

    def rest(self, *, last: bool) -> Iterator[Piece]:
        """Yield what is left, line by line; a line without its end waits, unless it is *last*."""
        while True:
            begin = self.file.tell()
            line = self.file.readline(LONGEST_LINE)
            if not line:
                self._cut_short(begin)
                break
            whole = line.endswith(b"\n")
            if self.skipped or (not whole and len(line) >= LONGEST_LINE):
                self.skipped += len(line)
                if whole:
                    yield self._left_out()
            elif whole or last:
                yield line.rstrip(b"\r\n")
            else:
                self.file.seek(begin)
                break
        if last and self.skipped:
            yield self._left_out()

    def _left_out(self) -> Gap:
        size, self.skipped = self.skipped, 0
        return Gap(size)

    def _cut_short(self, at: int) -> None:
        """Begin again where somebody emptied the file in place."""
        if os.fstat(self.file.fileno()).st_size < at:
            self.file.seek(0)

    def is_at(self, path: str) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity


def hold(path: str) -> Held | None:
    """Open *path*; None: it is not there (any more).

    Raises:
        NotALogError: It is no regular file. A FIFO does not make us wait.
        OSError: It may not be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NotALogError(path)
    return Held(os.fdopen(fd, "rb"), (status.st_dev, status.st_ino))


class Chain:
    """A log with its old files, the oldest first; :meth:`advance` takes in what was rotated.

    Not thread-safe. Close it.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            NotALogError: There is something at *path* that is no file.
            OSError: It may not be read.
        """
        self.path = str(path)
        self.held: list[Held] = []
        self._late: list[tuple[Held, float]] = []
        self._open_all()

    def _open_all(self) -> None:
        newest = hold(self.path)
        if newest is not None:
            self.held.append(newest)
        for number in range(1, MOST_OLD_FILES + 1):
            older = self._old(number)
            if older is None and number > 1 and not os.path.exists(self._at(number + 1)):
                break
            if older is not None and not self._has(older):
                self.held.insert(0, older)

    def close(self) -> None:
        for one in [*self.held, *(late for late, _ in self._late)]:
            one.file.close()
        self.held, self._late = [], []

    def _at(self, number: int) -> str:
        return f"{self.path}.{number}" if number else self.path

    def _old(self, number: int) -> Held | None:
        try:
            return hold(self._at(number))
        except (OSError, NotALogError):  # one that is not ours to read is as good as none
            return None

    def _has(self, one: Held) -> bool:
        known = any(one.identity == other.identity for other in self.held)
        if known:
            one.file.close()
        return known

    # -- what comes -------------------------------------------------------------------------

    def advance(self) -> None:
        """Open what came after the newest file that we hold; cheap where nothing did."""
        if not self.held:
            with contextlib.suppress(OSError, NotALogError):
                self._open_all()
        while self.held and len(self.held) < MOST_HELD:
            if self.held[-1].is_at(self.path):
                return
            found = self._successor(self.held[-1])
            if found is None:
                return
            self.held.append(found)

    def _latest(self) -> Held | None:
        try:
            return hold(self.path)
        except (OSError, NotALogError):
            return None

    def _successor(self, newest: Held) -> Held | None:
        """Return the file that came after *newest*; None: it is not there yet."""
        for _ in range(TRIES):
            number = self._place(newest)
            if number is None:
                break
            if number == 0:
                return None
            found = self._latest() if number == 1 else self._old(number - 1)
            if newest.is_at(self._at(number)):
                return found
            if found is not None:
                found.file.close()
        if self._place(newest) is not None:
            return None  # it moves faster than we look: at the next look
        return self._after_a_loss(newest)

    def _place(self, one: Held) -> int | None:
        """Return its number, 0 for the log itself; None: it has gone.

        Looked for in the direction in which files move: it cannot slip past.
        """
        for number in range(MOST_OLD_FILES + 1):
            if one.is_at(self._at(number)):
                return number
            if number > 1 and not any(os.path.exists(self._at(number + n)) for n in (0, 1)):
                break
        return None

    def _after_a_loss(self, newest: Held) -> Held | None:
        """Go on with the oldest file that was written to later than *newest*, which has gone."""
        then = os.fstat(newest.file.fileno()).st_mtime_ns
        for number in range(MOST_OLD_FILES, -1, -1):
            try:
                later = os.stat(self._at(number)).st_mtime_ns > then
            except OSError:
                continue
            if later or number == 0:
                found = self._latest() if number == 0 else self._old(number)
                if found is not None and not self._has(found):
                    found.after_gap = number > 0
                    return found
        return None

    # -- reading ----------------------------------------------------------------------------

    def read(self, *, to_the_end: bool) -> Iterator[Piece]:
        """Yield what is there and was not yet read; *to_the_end*: half a line at the end, too."""
        if not to_the_end:
            self.advance()
        while self.held:
            is_last = len(self.held) == 1
            yield from self._watching(self.held[0], last=to_the_end)
            if is_last:
                break
            self._late.append((self.held.pop(0), time.monotonic() + LATE_SECONDS))
            if not to_the_end:
                self.advance()
        yield from self._latecomers(at_once=to_the_end)

    def tail(self, most: int, takes: Callable[[Piece], bool], *, to_the_end: bool) -> list[Piece]:
        """Return the last *most* pieces that *takes* accepts; what comes is read from there on.

        Older files are opened up only as far as they are needed.
        """
        picked: deque[Piece] = deque()
        newest = self.held[-1] if self.held else None
        for one in reversed(self.held[:]):
            room = most - len(picked)
            if one is newest or room > 0:
                last = to_the_end or one is not newest
                here = (piece for piece in one.rest(last=last) if takes(piece))
                picked.extendleft(reversed(deque(here, maxlen=room)))
            self.advance()
        until = time.monotonic() + LATE_SECONDS
        while self.held and self.held[0] is not newest:
            one = self.held.pop(0)
            one.file.seek(0, os.SEEK_END)
            self._late.append((one, until))
        return list(picked)

    def _watching(self, one: Held, *, last: bool) -> Iterator[Piece]:
        """Yield what is left of a file, and see to it that what is rotated meanwhile is held."""
        if one.after_gap:
            one.after_gap = False
            yield Gap()
        looked, taken = time.monotonic(), 0
        for piece in one.rest(last=last):
            yield piece
            taken += len(piece) if isinstance(piece, bytes) else 0
            if not last and (taken > LOOK_BYTES or time.monotonic() - looked > LOOK_SECONDS):
                self.advance()
                looked, taken = time.monotonic(), 0

    def _latecomers(self, *, at_once: bool) -> Iterator[Piece]:
        now = time.monotonic()
        waiting = []
        for held, until in self._late:
            over = at_once or now >= until
            yield from held.rest(last=over)
            if over:
                held.file.close()
            else:
                waiting.append((held, until))
        self._late = waiting
