"""Which processes work on this state directory, and which of them are dead.

Each run holds an ``flock`` on a file of its own for as long as it lives; the kernel lets go of it
whatever kills the process (FACTS: with the NAS I/O in a child, the parent's lock is
always freed). Descriptors are closed in a forked child, so that a backend's workers do not
keep each other's runs alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import uuid
from pathlib import Path

from nas_syncd.errors import JournalError, StateDirectoryBusyError

_NEW = ".new-"
_PID_BYTES = 64
_RETRY_SECONDS = (0.03,) * 9
"""A command that asks who the daemon is holds its lock for an instant: so long is it waited for."""


class DaemonLock:
    """One state directory has one daemon."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "daemon.lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StateDirectoryBusyError: Another process has it; ``pid`` names it.
        """
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(fd)
        except BlockingIOError:
            pid = str(_pid_in(fd) or "?")
            os.close(fd)
            folder = str(self.path.parent)
            raise StateDirectoryBusyError(folder, pid=pid, path=folder) from None
        ours = f"{os.getpid()}\n".encode()
        os.pwrite(fd, ours, 0)
        os.ftruncate(fd, len(ours))  # the one before may have had a longer one
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> int | None:
        """Return the running daemon's pid, None when there is none, 0 before it has said it."""
        return _holder(self.path)


def _lock(fd: int) -> None:
    """Take the lock.

    Raises:
        BlockingIOError: Somebody keeps it.
    """
    for pause in (*_RETRY_SECONDS, None):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def _holder(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _pid_in(fd)
    finally:
        os.close(fd)
    return None


def _pid_in(fd: int) -> int:
    """Return the pid that stands in a lock's file, 0 where none does."""
    text = os.pread(fd, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else 0


class Runs:
    """The runs on one state directory; ``mine`` is this process's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs"
        self.mine = uuid.uuid4().hex[:16]
        self._lock = threading.Lock()
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            new = self.folder / f"{_NEW}{self.mine}"
            self._fd: int | None = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(self._fd, f"{os.getpid()}\n".encode())
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            new.rename(self.folder / self.mine)  # locked before anybody can ask whether it lives
        except OSError as error:
            raise JournalError(f"{error.strerror}: {self.folder}", path=str(self.folder)) from error
        os.register_at_fork(after_in_child=self._forked)

    def alive(self, run: str) -> bool:
        """Whether the process behind *run* still lives. Ours does."""
        return run == self.mine or _holder(self.folder / run) is not None

    def tidy(self) -> None:
        """Remove the files of dead runs. Safe at any time: a dead run never comes back."""
        with self._lock, contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if not path.name.startswith(_NEW) and not self.alive(path.name):
                    _remove(path)

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
                _remove(self.folder / self.mine)

    def _forked(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _remove(path: Path) -> None:
    """Best effort: another process may tidy up at the same moment, and a later one will."""
    with contextlib.suppress(OSError):
        path.unlink()
