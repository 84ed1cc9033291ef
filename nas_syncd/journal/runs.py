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


class DaemonLock:
    """One state directory has one daemon."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "daemon.lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StateDirectoryBusyError: Another process has it; ``pid`` names it.
        """
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(fd):
            pid = os.pread(fd, 64, 0).decode("ascii", "replace").strip() or "?"
            os.close(fd)
            raise StateDirectoryBusyError(
                str(self.path.parent), pid=pid, path=str(self.path.parent)
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def holder(self) -> int | None:
        """Return the running daemon's pid, None when there is none."""
        return _holder(self.path)


def _lock(fd: int) -> bool:
    """Take the lock; a command that asks who the daemon is holds it for an instant, so go on."""
    for _ in range(10):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.03)
        else:
            return True
    return False


def _holder(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(fd)
    return None


class Runs:
    """The runs on one state directory; ``mine`` is this process's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs"
        self.mine = uuid.uuid4().hex[:16]
        self._lock = threading.Lock()
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            new = self.folder / f"{_NEW}{self.mine}"
            self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                with contextlib.suppress(OSError):
                    (self.folder / self.mine).unlink(missing_ok=True)

    def _forked(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
