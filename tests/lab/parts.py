"""What this machine has, and the reason a test is skipped when a part is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def missing(reason: str) -> NoReturn:
    """Skip the test; ``LAB_REQUIRED=1`` makes a failure of it (see ``tests/conftest.py``)."""
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """Return the program's path, or skip and name the Debian package that brings it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    return found or missing(f"{name} is not installed: make lab (Debian package {package})")


def need_linux() -> None:
    if sys.platform != "linux":
        missing("this part of the lab is for Linux")


def need_root() -> None:
    """Mounting needs root."""
    need_linux()
    if os.geteuid() != 0:
        missing("needs root: it mounts file systems")


def need_fuse() -> None:
    need_linux()
    program("fusermount3", "fuse3")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        missing("/dev/fuse is not there, or this user may not open it")
    pytest.importorskip("mfusepy", reason="mfusepy is not installed: make test installs it")


def call(*command: str, seconds: float = 20.0) -> tuple[int | None, str]:
    """
    Run *command*; return its exit status and its output.

    The status is None when it did not end in time: it is killed and left, for a child in a dead
    mount survives even SIGKILL, and waiting for it would hang the tests as well.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        try:
            output, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.returncode = -9  # the context manager shall not wait either
            return None, f"{command[0]} did not end within {seconds:g} s"
    return child.returncode, output.decode(errors="replace").strip()


def must(*command: str, seconds: float = 20.0) -> str:
    """Run *command* and return its output; raises when it fails or does not end in time."""
    status, output = call(*command, seconds=seconds)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} gave {status}: {output}")
    return output


def wait_until(true: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Return as soon as ``true()`` holds; raises with *what* in its message when time is up."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def end(child: subprocess.Popen[bytes], seconds: float = 5.0) -> None:
    """End a child of ours, at last by SIGKILL; never waits longer than twice *seconds*."""
    for stop in (child.terminate, child.kill):
        if child.poll() is not None:
            return
        stop()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def state_of(pid: int) -> str:
    """Return the process's state letter as the kernel gives it (``D``, ``S``, ``Z`` …)."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def is_mounted(path: object) -> bool:
    """Look in the mount table: unlike ``os.path.ismount`` this answers while the mount hangs."""
    with open("/proc/self/mountinfo") as table:
        return any(unescape(line.split()[4]) == str(path) for line in table)


def unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
