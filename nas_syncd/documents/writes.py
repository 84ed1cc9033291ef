"""The moment when somebody writes to a SQLite file: heard at once, at no cost while nobody does.

Linux only, through inotify; elsewhere, and where the file lies on a share that others write to,
nothing is heard and the file has to be asked (:mod:`nas_syncd.documents.freshness`), which stays
right in any case.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import sys
import threading
from collections.abc import Callable, Iterator

COMMIT_SECONDS = 0.005
"""From a write to the commit that it belongs to."""
REST_SECONDS = 0.2
"""So long nothing is told again: somebody who writes all the time is heard five times a second."""
_IN_MODIFY, _IN_MOVED_TO, _IN_DELETE, _IN_ONLYDIR = 0x2, 0x80, 0x200, 0x1000000
_EVENT = struct.Struct("iIII")
"""Watch, mask, cookie, length of the name that follows (inotify(7))."""
_READ_BYTES = 64 * 1024


class WriteEvents:
    """Calls *on_write*, in a thread of its own, soon after each write. :meth:`close` ends it."""

    def __init__(self, path: str, on_write: Callable[[], None]) -> None:
        """
        Raises:
            OSError: This system has no inotify, or grants no further watch.
        """
        folder, name = os.path.split(os.path.abspath(path))
        # A rollback journal is deleted, or written to, when the transaction is committed.
        self._names = {os.fsencode(name + ending) for ending in ("", "-wal", "-journal")}
        self._on_write = on_write
        self._fd = _watch(folder)
        self._closed = threading.Event()
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._run, name="database-writes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and wait for it. Idempotent."""
        if not self._closed.is_set():
            self._closed.set()
            os.close(self._woken)
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait() and not self._closed.is_set():
                if self._is_ours() and not self._closed.wait(COMMIT_SECONDS):
                    self._on_write()
                    self._closed.wait(REST_SECONDS)
        finally:
            for fd in (self._fd, self._wake):
                os.close(fd)

    def _wait(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        return bool(poll.poll())

    def _is_ours(self) -> bool:
        """Take what has happened in the folder; return whether it happened to the database."""
        found = False
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, _READ_BYTES):
                found = any(name in self._names for name in _names(data)) or found
        return found


def _names(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        *_, length = _EVENT.unpack_from(data, place)
        place += _EVENT.size
        yield data[place : place + length].rstrip(b"\0")
        place += length


def _watch(folder: str) -> int:
    if sys.platform != "linux":
        raise OSError("no inotify")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        raise _error(folder)
    mask = _IN_MODIFY | _IN_MOVED_TO | _IN_DELETE | _IN_ONLYDIR
    if libc.inotify_add_watch(fd, os.fsencode(folder), mask) < 0:
        error = _error(folder)
        os.close(fd)
        raise error
    return fd


def _error(folder: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), folder)
