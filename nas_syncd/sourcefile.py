"""Opening an uploaded file without being led astray. Standard library only.

The upload folder is read-only to us, and what lies in it is not trusted: no component below the
root may be a link, nothing but a regular file is ever opened, and the version that is read is
checked to be the version that was decided on.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from nas_syncd.errors import (
    SourceChangedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnreadableError,
    SyncError,
    UploadsError,
)

Step = Callable[[str], None]

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

AWAY = frozenset(
    {errno.ESTALE, errno.EHOSTDOWN, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV}
)
"""The upload folder's own file system is in trouble, not this file."""


LARGEST = 2**63 - 1


class Version(NamedTuple):
    """Size in bytes, modification time in nanoseconds, inode."""

    size: int
    mtime_ns: int
    inode: int


def version_of(status: os.stat_result) -> Version:
    """Return the version, in numbers that a database holds (some file systems make inodes and
    times of all 64 bits)."""
    return Version(status.st_size, status.st_mtime_ns & LARGEST, status.st_ino & LARGEST)


def open_source(root: str, relative: str, step: Step) -> tuple[int, Version]:
    """Open the regular file at *relative* below *root*; return descriptor and version.

    Raises:
        SourceRefusedError: A link, a folder, a device, a FIFO or a socket, or a way out.
        SourceMissingError: Nothing is there.
        SourceUnreadableError: The rights are missing.
        UploadsError: The upload folder itself is not there or in trouble.
    """
    parts = relative.split("/")
    if not relative or "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise SourceRefusedError(relative, kind="outside", path=relative)
    step("uploads")
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UploadsError(f"{error.strerror}: {root}", path=root) from error
    try:
        for part in parts[:-1]:
            inner = _enter(fd, part, relative, step)
            os.close(fd)
            fd = inner
        return _open_file(fd, parts[-1], relative, step)
    except OSError as error:
        raise source_error(error, relative) from error
    finally:
        os.close(fd)


def _enter(folder: int, part: str, relative: str, step: Step) -> int:
    step("uploads")
    try:
        return os.open(part, _FOLDER_FLAGS, dir_fd=folder)
    except NotADirectoryError:  # so Linux says of a link, too
        step("uploads")
        if stat.S_ISLNK(os.lstat(part, dir_fd=folder).st_mode):
            raise SourceRefusedError(relative, kind="link", path=relative) from None
        raise


def _open_file(folder: int, name: str, relative: str, step: Step) -> tuple[int, Version]:
    """Look before opening: to open a FIFO or a device is itself an act."""
    step("uploads")
    before = os.lstat(name, dir_fd=folder)
    if not stat.S_ISREG(before.st_mode):
        raise SourceRefusedError(relative, kind=kind_of(before.st_mode), path=relative)
    step("uploads")
    fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    try:
        after = os.fstat(fd)
        if not stat.S_ISREG(after.st_mode):
            raise SourceRefusedError(relative, kind=kind_of(after.st_mode), path=relative)
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
            raise SourceChangedError(relative, path=relative)
    except (SyncError, OSError):
        os.close(fd)
        raise
    return fd, version_of(after)


def kind_of(mode: int) -> str:
    """Return the :class:`~nas_syncd.models.SourceKind` value of a file's *mode*."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISLNK(mode):
        return "link"
    return "directory" if stat.S_ISDIR(mode) else "special"


def source_error(error: OSError, relative: str) -> SyncError:
    """Return what *error* while reading *relative* means."""
    number = error.errno or 0
    detail = f"{error.strerror or error} ({errno.errorcode.get(number, number)})"
    if number == errno.ENOENT:
        return SourceMissingError(detail, path=relative)
    if number in (errno.ELOOP, errno.EMLINK):
        return SourceRefusedError(detail, kind="link", path=relative)
    if number == errno.ENOTDIR:
        return SourceMissingError(detail, path=relative)
    if number in AWAY:
        return UploadsError(detail, path=relative)
    return SourceUnreadableError(detail, path=relative)
