"""Fixtures that mount: a tmpfs, an ext4 of its own, and a file system that fails by rules.

Each is a factory, so that a test can have several. What they mounted is unmounted at the end,
lazily, whatever the test left open or hanging.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from tests.lab import parts

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2

T = TypeVar("T")


class Mounted(Protocol):
    """A mount that comes and goes."""

    path: Path

    def mount(self) -> None: ...
    def unmount(self, *, lazy: bool = False) -> None: ...


@dataclass
class DiskMount:
    """A kernel mount at ``path``; the bare folder stays when it is unmounted."""

    path: Path
    command: tuple[str, ...]

    def mount(self) -> None:
        parts.must(*self.command, str(self.path))

    def unmount(self, *, lazy: bool = False) -> None:
        """Raises when something still holds it, unless *lazy*."""
        parts.must("umount", *(["-l"] if lazy else []), str(self.path))

    def remount(self, options: str) -> None:
        """Change a live mount: ``ro``, ``rw``, ``size=8m``."""
        parts.must("mount", "-o", f"remount,{options}", str(self.path))

    def lose_power(self) -> None:
        """ext4 only: from now on everything fails; what was not flushed is gone after a mount."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)


@dataclass(frozen=True)
class Operation:
    """One call that the failing file system saw."""

    time: float
    op: str
    path: str
    offset: int | None
    fault: str | None


class FaultFS:
    """What ``faultfs.py`` shows at ``path``: the files of ``source``, with faults by rules."""

    def __init__(self, path: Path, source: Path, options: tuple[str, ...]) -> None:
        self.path = path
        self.source = source
        self._options = options
        self._rules = path.with_name(f"{path.name}.rules.json")
        self._child: subprocess.Popen[bytes] | None = None
        self.clear()

    def mount(self, seconds: float = 20.0) -> None:
        """Start the file system; returns when the mount is there."""
        script = Path(__file__).with_name("faultfs.py")
        arguments = [str(self.source), str(self.path), str(self._rules), *self._options]
        errors = self._rules.with_suffix(".stderr")
        with errors.open("wb") as stderr:
            self._child = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        stdout = self._child.stdout
        assert stdout is not None
        with stdout:
            ready, _, _ = select.select([stdout], [], [], seconds)
            if not ready or stdout.readline() != b"mounted\n":
                self.tear_down()
                raise RuntimeError(f"faultfs did not mount: {errors.read_text()[-2000:]}")

    def rules(self, rules: list[dict[str, Any]]) -> None:
        """Obey these rules (see ``faultfs.py``) from the next call on; they replace the others."""
        new = self._rules.with_suffix(".new")
        new.write_text(json.dumps(rules))
        new.rename(self._rules)

    def clear(self) -> None:
        """No faults any more; whoever hangs goes on."""
        self.rules([])

    def hang(self, op: str = "*", path: str = "*") -> None:
        """Such calls do not return, and their callers cannot be killed, until :meth:`clear`."""
        self.rules([{"op": op, "path": path, "do": "hang"}])

    def log(self) -> list[Operation]:
        """Return every call so far, in order."""
        file = self._rules.with_suffix(".json.log")
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [Operation(**json.loads(line)) for line in lines]

    def wait_for(self, op: str, fault: str | None = None, seconds: float = 10.0) -> None:
        """Return as soon as a call *op* was seen (one that was struck by *fault*)."""

        def seen() -> bool:
            return any(call.op == op and fault in (None, call.fault) for call in self.log())

        parts.wait_until(seen, f"{op} with {fault or 'or without a fault'}", seconds)

    def unmount(self, *, lazy: bool = False) -> None:
        """Raises when something still holds it, unless *lazy*."""
        parts.must("fusermount3", "-u", *(["-z"] if lazy else []), str(self.path))
        self._end_child()

    def crash(self) -> None:
        """Kill the file system: its mount stays and gives ENOTCONN."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(5)

    def tear_down(self) -> None:
        """Free whoever hangs, unmount, end the process; whatever state it is in."""
        self.clear()
        while parts.is_mounted(self.path):
            status, _ = parts.call("fusermount3", "-u", "-z", str(self.path), seconds=5)
            if status != 0:
                parts.must("umount", "-l", str(self.path), seconds=5)
        self._end_child()

    def _end_child(self) -> None:
        """After an unmount it ends by itself; killing it ends every call that still waits."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(2)
            parts.end(self._child)


class TmpfsFactory(Protocol):
    def __call__(self, size: str = "16m", at: Path | None = None) -> DiskMount: ...


class Ext4Factory(Protocol):
    def __call__(self, size_mib: int = 16, at: Path | None = None) -> DiskMount: ...


class FaultFactory(Protocol):
    def __call__(
        self,
        source: Path | None = None,
        at: Path | None = None,
        *,
        noreplace: str = "honour",
        subtype: str = "faultfs",
    ) -> FaultFS: ...


@pytest.fixture
def tmpfs_mount(tmp_path: Path) -> Iterator[TmpfsFactory]:
    """``tmpfs_mount("1m")``: a tmpfs of that size; its files are gone when it is unmounted."""
    parts.need_root()
    mounts: list[DiskMount] = []

    def factory(size: str = "16m", at: Path | None = None) -> DiskMount:
        command = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "nas-lab")
        return _mounted(DiskMount(at or tmp_path / f"tmpfs-{len(mounts)}", command), mounts)

    yield factory
    _unmount_all(mounts)


@pytest.fixture
def loop_ext4(tmp_path: Path) -> Iterator[Ext4Factory]:
    """``loop_ext4(16)``: an ext4 of so many MiB; its files come back when it is mounted again."""
    parts.need_root()
    mke2fs = parts.program("mke2fs", "e2fsprogs")
    if not os.path.exists("/dev/loop-control"):
        parts.missing("this machine has no loop devices")
    mounts: list[DiskMount] = []

    def factory(size_mib: int = 16, at: Path | None = None) -> DiskMount:
        image = tmp_path / f"ext4-{len(mounts)}.img"
        with image.open("wb") as file:
            file.truncate(size_mib << 20)
        parts.must(mke2fs, "-q", "-t", "ext4", "-m", "0", str(image))
        command = ("mount", "-t", "ext4", "-o", "loop", str(image))
        disk = _mounted(DiskMount(at or tmp_path / f"ext4-{len(mounts)}", command), mounts)
        (disk.path / "lost+found").rmdir()
        return disk

    yield factory
    _unmount_all(mounts)


@pytest.fixture
def fault_fs(tmp_path: Path) -> Iterator[FaultFactory]:
    """``fs = fault_fs()``, ``fs.rules([...])``, ``fs.clear()``: what a NAS can do wrong.

    ``noreplace`` says what becomes of rename's RENAME_NOREPLACE: ``honour`` it, ``ignore`` it
    (what stands there is replaced), ``refuse`` it with EINVAL. ``subtype`` is the file-system
    type that the mount table shows, after ``fuse.``.
    """
    parts.need_fuse()
    mounts: list[FaultFS] = []

    def factory(
        source: Path | None = None,
        at: Path | None = None,
        *,
        noreplace: str = "honour",
        subtype: str = "faultfs",
    ) -> FaultFS:
        path = at or tmp_path / f"fault-{len(mounts)}"
        source = source or tmp_path / f"fault-{len(mounts)}-source"
        path.mkdir(exist_ok=True)
        source.mkdir(exist_ok=True)
        fs = FaultFS(path, source, ("--noreplace", noreplace, "--subtype", subtype))
        mounts.append(fs)
        fs.mount()
        return fs

    yield factory
    _each(mounts, FaultFS.tear_down)


def _mounted(disk: DiskMount, mounts: list[DiskMount]) -> DiskMount:
    disk.path.mkdir(exist_ok=True)
    mounts.append(disk)
    disk.mount()
    return disk


def _unmount_all(mounts: list[DiskMount]) -> None:
    def unmount(disk: DiskMount) -> None:
        while parts.is_mounted(disk.path):
            disk.unmount(lazy=True)

    _each(mounts, unmount)


def _each(things: list[T], do: Callable[[T], None]) -> None:
    """One that fails does not keep the others from being cleared away."""
    with contextlib.ExitStack() as stack:
        for thing in things:
            stack.callback(do, thing)
