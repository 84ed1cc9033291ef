"""What is mounted where, without touching a mount.

``/proc/self/mountinfo`` can be read while a mount hangs; ``stat`` and ``statvfs`` on it cannot
(FACTS, "Hung mounts"). macOS gives the same through ``getfsstat(MNT_NOWAIT)``. Standard
library only: the NAS agent uses it too.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple

MOUNTINFO = "/proc/self/mountinfo"

NETWORK_FILE_SYSTEMS = frozenset(
    {"cifs", "smb3", "smbfs", "nfs", "nfs4", "afpfs", "webdav", "fuse.gvfsd-fuse", "fuse.sshfs"}
    | {"fuse.rclone", "9p", "virtiofs", "ceph", "fuse.smbnetfs"}
)


class MountPoint(NamedTuple):
    """One line of the mount table."""

    id: str
    """Changes with every mount: the kernel's mount id, or the file system id on macOS."""
    path: str
    file_system: str
    source: str
    options: tuple[str, ...] = ()
    root: str = "/"
    """Which folder of the file system is mounted here (bind mounts)."""

    @property
    def network(self) -> bool:
        return self.file_system in NETWORK_FILE_SYSTEMS

    @property
    def is_cifs(self) -> bool:
        """Whether it is Linux's own SMB client."""
        return self.file_system in ("cifs", "smb3")


@lru_cache(maxsize=1)  # it is read at every turn, and hardly ever changes
def parse_mountinfo(text: str) -> Sequence[MountPoint]:
    """Parse the format of proc(5); lines that are not of it are passed over."""
    table = []
    for line in text.split("\n"):  # a path may hold what else splitlines() takes for an end
        left, separator, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not separator or len(before) < 6 or len(after) < 2:
            continue
        options = tuple(before[5].split(",")) + tuple(after[2].split(",") if after[2:] else ())
        table.append(
            MountPoint(
                id=before[0],
                path=_unescape(before[4]),
                file_system=after[0],
                source=_unescape(after[1]),
                options=options,
                root=_unescape(before[3]),
            )
        )
    return table


def receives_mounts(text: str, mount_id: str) -> bool:
    """Whether what is mounted elsewhere (on a container's host) shows below the mount *mount_id*.

    That is so for ``shared`` and ``slave`` mounts; *text* is of the format of proc(5).
    """
    for line in text.split("\n"):
        fields = line.partition(" - ")[0].split(" ")
        if fields[0] == mount_id:
            return any(field.startswith(("shared:", "master:")) for field in fields[6:])
    return False


def read_mount_table() -> Sequence[MountPoint]:
    """Return the mount table, in the kernel's order. Empty when it cannot be had."""
    if sys.platform == "darwin":
        return _darwin_table()
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return parse_mountinfo(file.read())
    except OSError:
        return []


def find_mount(table: Sequence[MountPoint], path: str) -> MountPoint | None:
    """Return the mount that *path* (absolute, normalised) lies on.

    The longest mount point wins, and of equals the last line: an ``autofs`` line may stand
    before the real one.
    """
    best: MountPoint | None = None
    for mount in table:
        prefix = mount.path.rstrip("/")
        inside = path == mount.path or path.startswith(prefix + "/")
        if inside and (best is None or len(mount.path) >= len(best.path)):
            best = mount
    return best


def mount_id(descriptor: int) -> str | None:
    """Return the id of the mount that an open *descriptor* lies on. No request to the server."""
    if sys.platform == "darwin":
        return str(os.fstatvfs(descriptor).f_fsid)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            found = re.search(r"^mnt_id:\s*(\d+)", file.read(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def mount_of(descriptor: int) -> MountPoint | None:
    """Return the mount table's line for an open *descriptor*."""
    number = mount_id(descriptor)
    return next((m for m in reversed(read_mount_table()) if m.id == number), None)


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


class _DarwinStatfs(ctypes.Structure):
    """``struct statfs`` of <sys/mount.h> with 64-bit inodes."""

    _fields_: ClassVar = [
        ("f_bsize", ctypes.c_uint32),
        ("f_iosize", ctypes.c_int32),
        ("f_blocks", ctypes.c_uint64),
        ("f_bfree", ctypes.c_uint64),
        ("f_bavail", ctypes.c_uint64),
        ("f_files", ctypes.c_uint64),
        ("f_ffree", ctypes.c_uint64),
        ("f_fsid", ctypes.c_int32 * 2),
        ("f_owner", ctypes.c_uint32),
        ("f_type", ctypes.c_uint32),
        ("f_flags", ctypes.c_uint32),
        ("f_fssubtype", ctypes.c_uint32),
        ("f_fstypename", ctypes.c_char * 16),
        ("f_mntonname", ctypes.c_char * 1024),
        ("f_mntfromname", ctypes.c_char * 1024),
        ("f_flags_ext", ctypes.c_uint32),
        ("f_reserved", ctypes.c_uint32 * 7),
    ]


_DARWIN_NOWAIT = 2


def _darwin_table() -> list[MountPoint]:
    """macOS: ``getfsstat(MNT_NOWAIT)``, which answers from memory. [not tried on a Mac]"""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "getfsstat$INODE64", None) or libc.getfsstat
    count = call(None, 0, _DARWIN_NOWAIT)
    if count <= 0:
        return []
    rows = (_DarwinStatfs * (count + 8))()
    count = call(ctypes.byref(rows), ctypes.sizeof(rows), _DARWIN_NOWAIT)
    return [
        MountPoint(
            id=str(row.f_fsid[0] & 0xFFFFFFFF),
            path=os.fsdecode(row.f_mntonname),
            file_system=os.fsdecode(row.f_fstypename),
            source=os.fsdecode(row.f_mntfromname),
        )
        for row in rows[: max(count, 0)]
    ]
