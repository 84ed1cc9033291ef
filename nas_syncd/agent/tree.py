"""Looking at the upload folder: one path at a time, or all of it. Standard library only.

Runs in the child. Nothing here opens a file or follows a link below the root; folders are opened
relative to a descriptor of the root, so that a link cannot lead anywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

from nas_syncd.sourcefile import version_of

FILE = "file"
MISSING = "missing"
LINK = "link"
DIRECTORY = "directory"
SPECIAL = "special"
OUTSIDE = "outside"
UNREADABLE = "unreadable"
UNKNOWN = "unknown"

Look = tuple[str, int, int, int]
"""Kind (as ``models.SourceKind`` spells it), size, mtime_ns, inode."""

_ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER_FLAGS = _ROOT_FLAGS | os.O_NOFOLLOW
_PASS_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""To pass through a folder, the right to list it is not needed."""

_OPEN_FOLDERS = 128
_DEEPEST = 100

AWAY = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.ENXIO,
        errno.ENODEV,
    }
)
"""The file system below is in trouble, not this entry."""

_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "@eadir", ".stfolder"})
_BEGINNINGS = (".nas-syncd", "._", "~$")
_ENDINGS = (".part", ".crdownload")


def is_document_name(name: str) -> bool:
    """Whether an entry of this name may be a document, or a folder with documents."""
    if name.startswith(_BEGINNINGS):
        return False
    lower = name.lower()
    return lower not in _NAMES and not lower.endswith(_ENDINGS)


def is_document_path(relative: str) -> bool:
    return all(map(is_document_name, relative.split("/")))


class Root(NamedTuple):
    """An open upload folder and what tells it from another one in its place."""

    fd: int
    device: int
    inode: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


@contextlib.contextmanager
def open_root(path: str) -> Iterator[Root]:
    """Open the upload folder (it may itself be a link); closed again at the end.

    Raises:
        OSError: It is not there, not a folder, or not ours to read.
    """
    fd = os.open(path, _ROOT_FLAGS)
    try:
        status = os.fstat(fd)
        yield Root(fd, status.st_dev, status.st_ino)
    finally:
        os.close(fd)


def look_of(status: os.stat_result) -> Look:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        version = version_of(status)
        return FILE, version.size, version.mtime_ns, version.inode
    if stat.S_ISLNK(mode):
        return LINK, 0, 0, 0
    return (DIRECTORY if stat.S_ISDIR(mode) else SPECIAL), 0, 0, 0


def nothing(kind: str) -> Look:
    return kind, 0, 0, 0


def kind_of(error: OSError) -> str:
    """Return what a failed look at one entry means."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
        return MISSING
    if error.errno in AWAY:
        return UNKNOWN
    return UNREADABLE


class Looker:
    """Looks at many paths below one root; folders on the way are kept open meanwhile."""

    def __init__(self, root: Root, step: Callable[[], None]) -> None:
        self._root = root
        self._step = step
        self._folders: dict[tuple[str, ...], int | str] = {}

    def close(self) -> None:
        for folder in self._folders.values():
            if isinstance(folder, int):
                os.close(folder)
        self._folders.clear()

    def look(self, relative: str) -> Look:
        """Return what stands at *relative*; never raises for what it finds."""
        parts = tuple(relative.split("/"))
        if any(part in {"", ".", ".."} or "\0" in part for part in parts):
            return nothing(OUTSIDE)
        if len(parts) > _DEEPEST:
            return nothing(UNREADABLE)
        if len(self._folders) > _OPEN_FOLDERS:
            self.close()
        folder = self._folder(parts[:-1])
        if isinstance(folder, str):
            return nothing(folder)
        self._step()
        try:
            return look_of(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))
        except OSError as error:
            return nothing(kind_of(error))

    def _folder(self, parts: tuple[str, ...]) -> int | str:
        """Return a descriptor of the folder, or why nothing in it can be looked at."""
        if not parts:
            return self._root.fd
        known = self._folders.get(parts)
        if known is None:
            above = self._folder(parts[:-1])
            known = above if isinstance(above, str) else self._open(parts[-1], above)
            self._folders[parts] = known
        return known

    def _open(self, name: str, above: int) -> int | str:
        self._step()
        try:
            return os.open(name, _PASS_FLAGS, dir_fd=above)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                return kind_of(error)
        try:
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
        except OSError as error:
            return kind_of(error)
        return LINK if stat.S_ISLNK(status.st_mode) else MISSING


class Walk:
    """Goes through the tree below *start*; memory grows with pending folders only."""

    def __init__(self, root: Root, step: Callable[[], None], start: str = "") -> None:
        self._root = root
        self._step = step
        self._pending = [start]
        self.folders = 0
        self.unreadable = 0

    def __iter__(self) -> Iterator[tuple[str, Look]]:
        """Yield every entry that may be a document, with what it is; never a folder.

        Raises:
            OSError: The file system is in trouble, or the start itself cannot be listed.
        """
        while self._pending:
            folder = self._pending.pop()
            self._step()
            try:
                # Only the last component is guarded from links that appear at this very
                # moment; no matter, for Looker looks again before a byte is read.
                fd = os.open(folder or ".", _FOLDER_FLAGS, dir_fd=self._root.fd)
            except OSError as error:
                self._forgive(error, folder)
                continue
            try:
                yield from self._entries(fd, f"{folder}/" if folder else "")
            except OSError as error:
                self._forgive(error, folder)
            finally:
                os.close(fd)
            self.folders += 1

    def _entries(self, fd: int, prefix: str) -> Iterator[tuple[str, Look]]:
        step = self._step
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                if not is_document_name(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    self._pending.append(prefix + name)
                    continue
                step()
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone meanwhile
                    continue
                yield prefix + name, look_of(status)

    def _forgive(self, error: OSError, folder: str) -> None:
        if error.errno in AWAY or not folder:
            raise error
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            self.unreadable += 1


_BUCKETS_BITS = 10


def mark_of(relative: str, look: Look) -> int:
    """Return 64 bits that stand for this version of this path, in this process only."""
    return hash((relative, look)) & 0xFFFF_FFFF_FFFF_FFFF


class Seen:
    """What the previous scan saw, in eight bytes for each entry.

    Buckets keep the sorting small: no list of all entries ever exists.
    """

    def __init__(self) -> None:
        self._before = [array("Q") for _ in range(1 << _BUCKETS_BITS)]
        self._now = [array("Q") for _ in range(1 << _BUCKETS_BITS)]

    def begin(self) -> None:
        for bucket in self._now:
            del bucket[:]

    def add(self, mark: int) -> bool:
        """Note *mark*; return whether the previous scan did not have it."""
        number = mark >> (64 - _BUCKETS_BITS)
        self._now[number].append(mark)
        before = self._before[number]
        place = bisect_left(before, mark)
        return place == len(before) or before[place] != mark

    def finish(self) -> None:
        """The scan is complete: what it saw is from now on what was seen."""
        for number, bucket in enumerate(self._now):
            self._before[number] = array("Q", sorted(bucket))
            self._now[number] = array("Q")
