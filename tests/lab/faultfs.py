"""A pass-through FUSE file system that does wrong what its rules say, for tests.

``python faultfs.py SOURCE MOUNTPOINT RULES.json [--noreplace honour|ignore|refuse]``

RULES.json is read again whenever it was replaced (write it by rename): a list of rules, of which
the first that matches an operation acts. What chooses the operation:

``op``      a method's name below (``write``, ``fsync``, ``rename``, ``getattr`` …) or ``*``
``path``    a glob on the path below the mount (default ``*``)
``after``   so many matches are let through first
``times``   so many matches are acted on (default all)
``at``      only a read or a write at this byte offset or beyond

and ``do``, what happens to it:

``errno``   it fails with ``errno`` (a name, default ``EIO``)
``delay``   it takes ``seconds`` longer
``hang``    it does not return until the rule is gone; the caller cannot even be killed
``short``   a write takes, a read gives ``bytes`` bytes only
``corrupt`` a write stores other bytes: ``mode`` ``flip`` (one bit), ``zero``, ``drop``;
            a read gives one bit flipped. Success is reported
``lie``     success is reported and nothing done
``quota``   a write that makes the whole larger than ``bytes`` fails with ``errno`` (``ENOSPC``);
            ``statfs`` agrees
``crash``   this process ends at once: ENOTCONN for everybody

Every operation is one line of JSON in RULES.json.log, the fault that struck it included.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import errno
import fnmatch
import json
import logging
import os
import threading
import time
from typing import Any

LIBFUSE = ctypes.util.find_library("fuse3")
if LIBFUSE:  # libfuse 2, which mfusepy would take first, writes in pieces of 4 KiB
    os.environ.setdefault("FUSE_LIBRARY_PATH", LIBFUSE)

import mfusepy  # noqa: E402  (it looks for libfuse when it is imported)

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_NOREPLACE = 1
STATFS = [
    *("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail"),
    *("f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax"),
]

Rule = dict[str, Any]


def failure(name: str) -> OSError:
    return mfusepy.FuseOSError(getattr(errno, name))  # type: ignore[no-any-return, unused-ignore]


class Rules:
    """The rules as the file has them now, and how often each has matched."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def current(self) -> list[Rule]:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return self._rules
        version = (stat.st_ino, stat.st_mtime_ns)
        with self._lock:
            if version != self._version:
                with open(self._path) as file:
                    self._rules = [dict(rule, matched=0) for rule in json.load(file)]
                self._version = version
        return self._rules

    def first(self, op: str, path: str, offset: int | None) -> Rule | None:
        for rule in self.current():
            if rule["op"] not in ("*", op) or not fnmatch.fnmatch(path, rule.get("path", "*")):
                continue
            if "at" in rule and (offset is None or offset < rule["at"]):
                continue
            with self._lock:
                rule["matched"] += 1
                turn = rule["matched"] - rule.get("after", 0)
            if 0 < turn <= rule.get("times", turn):
                return rule
        return None

    def quota(self) -> int | None:
        return next((rule["bytes"] for rule in self.current() if rule["do"] == "quota"), None)


class FaultFS(mfusepy.Operations):  # type: ignore[misc, unused-ignore]
    """Hands every call on to the same path below *root*, after it has passed the rules."""

    use_ns = True

    def __init__(self, root: str, rules: str, noreplace: str) -> None:
        self.root = os.path.realpath(root)
        self.rules = Rules(rules)
        self.noreplace = noreplace
        self.log = open(f"{rules}.log", "a", buffering=1)  # noqa: SIM115  (open for life)

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:
        """No caching of names and attributes; says on stdout that the mount is there."""
        if config_3:
            config = getattr(config_3, "contents", config_3)
            config.attr_timeout = config.entry_timeout = config.negative_timeout = 0.0
            config.hard_remove = 1
        print("mounted", flush=True)  # noqa: T201

    def below(self, path: str) -> str:
        return self.root + path

    def gate(self, op: str, path: str | None, offset: int | None = None) -> Rule | None:
        """Do what the rules say of this call; return a rule that the call itself must obey."""
        path = path or ""  # None: the file was unlinked while it was open
        rule = self.rules.first(op, path, offset)
        fault = rule["do"] if rule else None
        entry = {"time": time.time(), "op": op, "path": path, "offset": offset, "fault": fault}
        self.log.write(json.dumps(entry) + "\n")
        if rule is None or fault in ("short", "corrupt", "lie", "quota"):
            return rule
        if fault == "errno":
            raise failure(rule.get("errno", "EIO"))
        if fault == "crash":
            os._exit(3)
        if fault == "delay":
            time.sleep(rule["seconds"])
        while fault == "hang" and any(each is rule for each in self.rules.current()):
            time.sleep(0.02)
        return None

    # -- looking ---------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        self.gate("getattr", path)
        stat = os.fstat(fh) if fh is not None else os.lstat(self.below(path))
        plain = ("mode", "nlink", "uid", "gid", "size", "ino", "blocks", "blksize")
        answer: dict[str, Any] = {f"st_{name}": getattr(stat, f"st_{name}") for name in plain}
        answer.update({f"st_{t}": getattr(stat, f"st_{t}_ns") for t in ("atime", "mtime", "ctime")})
        return answer

    def readdir(self, path: str, fh: int) -> list[str]:
        self.gate("readdir", path)
        return [".", "..", *os.listdir(self.below(path))]

    def access(self, path: str, mode: int) -> int:
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self.below(path))

    def statfs(self, path: str) -> dict[str, Any]:
        self.gate("statfs", path)
        stat = os.statvfs(self.below(path))
        answer = {name: getattr(stat, name) for name in STATFS}
        quota = self.rules.quota()
        if quota is not None:
            free = max(0, quota - self.usage()) // stat.f_frsize
            answer.update(f_blocks=quota // stat.f_frsize, f_bavail=free, f_bfree=free)
        return answer

    def usage(self) -> int:
        walk = os.walk(self.root)
        return sum(os.lstat(os.path.join(top, n)).st_size for top, _, names in walk for n in names)

    # -- files -----------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        self.gate("open", path)
        return os.open(self.below(path), flags & ~os.O_CREAT)

    def create(self, path: str, mode: int, flags: int = 0) -> int:
        self.gate("create", path)
        return os.open(self.below(path), os.O_RDWR | os.O_CREAT | (flags & os.O_EXCL), mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        rule = self.gate("read", path, offset)
        data = os.pread(fh, size, offset)
        if rule and rule["do"] == "short":
            return data[: rule.get("bytes", 1)]
        if rule and rule["do"] == "corrupt" and data:
            return bytes([data[0] ^ 1]) + data[1:]
        return data

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        rule = self.gate("write", path, offset)
        if rule is None:
            return os.pwrite(fh, data, offset)
        if rule["do"] == "short":
            return os.pwrite(fh, data[: rule.get("bytes", 1)], offset)
        if rule["do"] == "corrupt":
            spoiled = spoil(data, rule.get("mode", "flip"))
            os.pwrite(fh, spoiled, offset)
            return len(data)
        if rule["do"] == "quota":
            growth = max(0, offset + len(data) - os.fstat(fh).st_size)
            if self.usage() + growth > rule["bytes"]:
                raise failure(rule.get("errno", "ENOSPC"))
            return os.pwrite(fh, data, offset)
        return len(data)  # lie

    def flush(self, path: str, fh: int) -> int:
        self.gate("flush", path)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        if not self.gate("fsync", path):
            (os.fdatasync if datasync else os.fsync)(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        if not self.gate("fsyncdir", path):
            folder = os.open(self.below(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return 0

    def release(self, path: str, fh: int) -> int:
        try:
            self.gate("release", path)
        finally:
            os.close(fh)
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        if not self.gate("truncate", path):
            os.truncate(fh if fh is not None else self.below(path), length)
        return 0

    # -- names -----------------------------------------------------------------------------

    def rename(self, old: str, new: str, flags: int = 0) -> int:
        if self.gate("rename", old):
            return 0
        if flags and self.noreplace == "refuse":
            raise failure("EINVAL")
        if self.noreplace == "ignore":
            flags &= ~RENAME_NOREPLACE
        source, target = os.fsencode(self.below(old)), os.fsencode(self.below(new))
        if LIBC.renameat2(AT_FDCWD, source, AT_FDCWD, target, flags) != 0:
            raise mfusepy.FuseOSError(ctypes.get_errno())
        return 0

    def link(self, target: str, source: str) -> int:
        self.gate("link", target)
        os.link(self.below(source), self.below(target))
        return 0

    def symlink(self, target: str, source: str) -> int:
        self.gate("symlink", target)
        os.symlink(source, self.below(target))
        return 0

    def unlink(self, path: str) -> int:
        if not self.gate("unlink", path):
            os.unlink(self.below(path))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        self.gate("mkdir", path)
        os.mkdir(self.below(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        self.gate("rmdir", path)
        os.rmdir(self.below(path))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        if not self.gate("chmod", path):
            os.chmod(self.below(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        if not self.gate("chown", path):
            os.chown(self.below(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        if not self.gate("utimens", path):
            os.utime(self.below(path), ns=times or (time.time_ns(),) * 2)
        return 0


def spoil(data: bytes, mode: str) -> bytes:
    """Return what is stored instead of *data*."""
    if mode == "zero":
        return bytes(len(data))
    if mode == "drop":
        return b""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Fuse(mfusepy.FUSE):  # type: ignore[misc, unused-ignore]
    """Hands rename's flags on, which mfusepy drops."""

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        return self.operations.rename(os.fsdecode(old), os.fsdecode(new), flags)  # type: ignore[no-any-return, unused-ignore]


def main() -> None:
    parser = argparse.ArgumentParser(description="a file system that fails by rules")
    parser.add_argument("source")
    parser.add_argument("mountpoint")
    parser.add_argument("rules")
    parser.add_argument("--noreplace", choices=("honour", "ignore", "refuse"), default="honour")
    parser.add_argument("--fsname", default="faultfs")
    parser.add_argument("--subtype", default="faultfs")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the errors it reports are the ones that were asked for
    # libfuse changes the directory to /
    source, mountpoint, rules = map(
        os.path.abspath, (options.source, options.mountpoint, options.rules)
    )
    Fuse(
        FaultFS(source, rules, options.noreplace),
        mountpoint,
        foreground=True,
        nothreads=False,
        fsname=options.fsname,
        subtype=options.subtype,
        allow_other=os.geteuid() == 0,
    )


if __name__ == "__main__":
    main()
