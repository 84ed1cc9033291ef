"""The log file: appended to, rotated in the process, opened again when somebody else moved it.

Several processes may share it (the daemon and a command): lines are appended whole, and a process
whose file was rotated by another one notices within a second. Who rotates holds a lock on the file
that is rotated, so that two of them never move one another's.

A reader who follows relies on the order of the renames: the oldest first, so that each file's
successor is always found one number below it, or is not there yet.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nas_syncd.errors import JournalError

MOST_BYTES = 10 * 2**20
MOST_OLD_FILES = 5
LOOK_SECONDS = 1.0
ROTATION_RETRY_SECONDS = 60.0
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""A file system without locks: rather rotated without one than never."""


class LogFile:
    """
    Thread-safe. Opening raises, writing never does: what cannot be written is lost and counted.

    Raises:
        JournalError: On opening: ``path`` and the system's words in ``detail``.
    """

    def __init__(
        self, path: Path, most_bytes: int = MOST_BYTES, old_files: int = MOST_OLD_FILES
    ) -> None:
        self.path = path
        self.lost = 0
        """Lines that could not be written."""
        self._most_bytes = most_bytes
        self._old_files = old_files
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._looked_at = 0.0
        self._rotate_from = 0.0
        self._torn = False
        """The last line was written in part: the next one must not continue it."""
        try:
            self._open()
        except OSError as error:
            detail = error.strerror or type(error).__name__
            raise JournalError(detail, path=str(path)) from None

    def write(self, line: str) -> None:
        """Append *line* and its end."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            try:
                self._look(len(data))
                if self._fd is None:
                    self._open()
                self._append(data)
            except OSError:
                self.lost += 1

    def close(self) -> None:
        """Idempotent; a later :meth:`write` opens the file again."""
        with self._lock:
            fd, self._fd = self._fd, None
            if fd is not None:
                os.close(fd)

    def _append(self, data: bytes) -> None:
        if self._fd is None:
            return
        if self._torn:
            data = b"\n" + data
        while data:
            written = os.write(self._fd, data)
            self._size += written
            data = data[written:]
            self._torn = bool(data)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self.path, flags, 0o640)
        status = os.fstat(fd)
        self._fd = fd
        self._size = status.st_size
        self._identity = (status.st_dev, status.st_ino)

    def _look(self, coming: int) -> None:
        """Rotate when the file is full; follow when another process has rotated it."""
        now = time.monotonic()
        if not self._full(coming, now) and 0 <= now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if not self._still_ours():
            self.close()
            self._open()
        if self._full(coming, now):
            self._rotate_from = now + ROTATION_RETRY_SECONDS
            self._rotate()

    def _full(self, coming: int, now: float) -> bool:
        """A rotation that failed is not tried at every line; the lines go on where they went."""
        over = self._size + coming > self._most_bytes
        return over and self._size > 0 and now >= self._rotate_from

    def _still_ours(self) -> bool:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return False
        self._size = status.st_size  # others append, too
        return (status.st_dev, status.st_ino) == self._identity

    def _rotate(self) -> None:
        try:
            with self._only_us():
                self._move_all()
        except OSError:  # somebody is at it, or the folder refuses us: rather a long file than none
            return
        self._rotate_from = 0.0
        self.close()
        self._open()

    @contextlib.contextmanager
    def _only_us(self) -> Iterator[None]:
        """
        Raises:
            OSError: Another process is rotating this file, or has done so.
        """
        fd = self._fd
        if fd is None:
            raise FileNotFoundError(self.path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        try:
            if not self._still_ours():
                self._rotate_from = 0.0
                self._looked_at = 0.0
                raise FileNotFoundError(self.path)
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)

    def _move_all(self) -> None:
        for number in range(self._old_files, 0, -1):
            older = f"{self.path}.{number}"
            newer = f"{self.path}.{number - 1}" if number > 1 else str(self.path)
            try:
                os.replace(newer, older)
            except FileNotFoundError:
                continue
