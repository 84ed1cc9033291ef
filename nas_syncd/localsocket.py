"""Unix sockets at any path, however long, with their rights right from the first moment.

A socket's address holds about a hundred bytes (107 on Linux, 103 on macOS), a state directory's
path may be longer. A longer one is reached through its folder: on Linux by the open folder's name
in ``/proc``, elsewhere by a short symbolic link that lives for a moment. The process's working
directory, which other threads rely on, stays as it is.

Standard library only: the command line needs no more to find a running daemon.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

LONGEST_ADDRESS = 100
"""Bytes; every system takes these."""

MODE = 0o660
ALIVE_SECONDS = 2.0
"""How long a daemon that listens may take to take a connection; more, and it lives all the same."""

_DESCRIPTORS = "/proc/self/fd"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", 0)


def connect_local(path: str | os.PathLike[str], timeout: float | None = None) -> socket.socket:
    """
    Return a connection to who listens at *path*; *timeout* (seconds) stays set on it.

    Raises:
        OSError: Nobody is there (``FileNotFoundError``, ``ConnectionRefusedError``), we may not
            (``PermissionError``), or it takes longer than *timeout*.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(Path(path)) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class LocalListener:
    """A listening socket and its file. :meth:`close` may be called from any thread, and again."""

    def __init__(self, path: Path, listening: socket.socket) -> None:
        self.path = path
        self.socket = listening
        self._identity = _identity(path)

    def close(self) -> None:
        """Stop listening; take the file away, unless another daemon's stands there by now."""
        identity, self._identity = self._identity, None
        self.socket.close()
        with contextlib.suppress(OSError):
            if identity is not None and _identity(self.path) == identity:
                self.path.unlink()


def bind_local(path: str | os.PathLike[str], mode: int = MODE) -> LocalListener:
    """
    Return a socket that listens at *path*, which nobody without *mode*'s rights could ever reach.

    The file appears there in one go, finished; a dead daemon's file is replaced. The folder must
    be there, and nobody whom we do not trust may write to it.

    Raises:
        OSError: ``EADDRINUSE`` when somebody listens there, ``EEXIST`` when something else than
            a socket stands there, and what the system says otherwise.
    """
    target = Path(path)
    _check_free(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # of a namesake that died right here
        with _address(temporary) as address:
            listening.bind(address)
        try:
            os.chmod(temporary, mode)
            listening.listen()
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        return LocalListener(target, listening)
    except BaseException:
        listening.close()
        raise


def _check_free(path: Path) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EEXIST, "not a socket", str(path))
    try:
        connect_local(path, ALIVE_SECONDS).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return  # its daemon has died, or is just leaving
    except OSError:
        pass  # too busy, or not for us: alive
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))


def _identity(path: Path) -> tuple[int, int] | None:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield a name of *path* that fits into a socket's address, good while the context lasts."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    way = _through_descriptor if os.path.isdir(_DESCRIPTORS) else _through_link
    with way(path) as address:
        yield address


@contextlib.contextmanager
def _through_descriptor(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, _FOLDER)
    try:
        yield f"{_DESCRIPTORS}/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def _through_link(path: Path) -> Iterator[str]:
    place = tempfile.mkdtemp(prefix="ns-", dir="/tmp")
    try:
        link = os.path.join(place, "d")
        os.symlink(path.parent.absolute(), link)
        yield os.path.join(link, path.name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
