"""Processes of the program that start warm: a fork of an interpreter that has imported it already.

Importing costs more than a second of a core, and hundreds of tests want a daemon or a command that
is a process of its own, with a pid, signals and children. Everything after the imports is as in
``python -m nas_syncd``; that one itself is started where a test is about the start, the
environment or the memory.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST = 1 << 20


class WarmProcess:
    """As much of :class:`subprocess.Popen` as the tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """
        Raises:
            TimeoutExpired: It still runs.
        """
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"warm process {self.pid}", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def over(self, status: int) -> None:
        """The kernel has told how it ended."""
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()


class _Nursery:
    """The warm interpreter of this test process, and who was forked from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[1],
            )
        self._born: dict[int, WarmProcess] = {}
        self._news = threading.Condition()
        self._answers: list[WarmProcess] = []
        threading.Thread(target=self._hear, name="warm", daemon=True).start()

    def fork(
        self, arguments: Sequence[str], files: Sequence[int], cwd: Path, env: Mapping[str, str]
    ) -> WarmProcess:
        order = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)})
        with self._lock:
            ancillary = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
            self._line.sendmsg([order.encode()], [ancillary])
            with self._news:
                assert self._news.wait_for(lambda: self._answers, 60), "the nursery does not answer"
                return self._answers.pop()

    def close(self) -> None:
        self._line.close()
        self._server.kill()
        self._server.wait()

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            while heard := self._line.recv(LONGEST):
                told = json.loads(heard)
                with self._news:
                    if "status" in told:
                        self._born.pop(told["pid"]).over(told["status"])
                        continue
                    self._born[told["pid"]] = born = WarmProcess(told["pid"])
                    self._answers.append(born)
                    self._news.notify_all()


_nursery: dict[int, _Nursery] = {}
"""By our own pid: a fork of the test process has none yet."""
_starting = threading.Lock()


def start(
    *arguments: str,
    cwd: Path,
    stdout: int,
    stderr: int,
    env: Mapping[str, str] | None = None,
) -> WarmProcess:
    """Start ``nas-syncd`` with *arguments*; *stdout* and *stderr* are descriptors, or DEVNULL."""
    with _starting:
        nursery = _nursery.get(os.getpid())
        if nursery is None:
            nursery = _nursery[os.getpid()] = _Nursery()
            atexit.register(nursery.close)
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        files = [
            nothing,
            *(nothing if one == subprocess.DEVNULL else one for one in (stdout, stderr)),
        ]
        return nursery.fork(arguments, files, cwd, os.environ if env is None else env)
    finally:
        os.close(nothing)


# -- the warm interpreter ---------------------------------------------------------------------


def _serve(line: socket.socket) -> int:
    """Fork what is ordered, and tell how each ended. Returns in the child: with its exit code."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test process
    while True:
        waited: list[socket.socket | int] = [line, reader]
        ready, _, _ = select.select(waited, [], [])
        if reader in ready:
            os.read(reader, 1024)
            _bury(line)
        if line not in ready:
            continue
        order, files = _receive(line)
        if order is None:
            return 0
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for fd in (reader, writer):
                os.close(fd)
            line.close()
            return _become(order, files)
        for fd in files:
            os.close(fd)
        line.send(json.dumps({"pid": pid}).encode())


def _receive(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    files = array.array("i")
    data, ancillary, _, _ = line.recvmsg(LONGEST, socket.CMSG_SPACE(3 * files.itemsize))
    for _, _, content in ancillary:
        files.frombytes(content)
    return (json.loads(data) if data else None), list(files)


def _bury(line: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            line.send(json.dumps({"pid": pid, "status": status}).encode())


def _become(order: dict[str, Any], files: list[int]) -> int:
    """Be ``nas-syncd`` from here on."""
    from nas_syncd.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(files):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    random.seed()
    sys.argv = ["nas-syncd", *order["arguments"]]
    with (
        open(0, closefd=False) as sys.stdin,
        open(1, "w", closefd=False) as sys.stdout,
        open(2, "w", buffering=1, closefd=False, errors="backslashreplace") as sys.stderr,
    ):
        code = int(main(order["arguments"]))
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    return code


def _warm_up() -> None:
    """Import what the commands import when they are called; none of it starts a thread."""
    import importlib

    for name in (
        *("nas_syncd.cli.app", "nas_syncd.cli.run", "nas_syncd.cli.doctor", "nas_syncd.doctor"),
        *("nas_syncd.daemon", "nas_syncd.install", "sqlalchemy.dialects.sqlite", "watchdog"),
    ):
        importlib.import_module(name)
    with contextlib.suppress(ImportError):  # an extra
        importlib.import_module("nas_syncd.api.front")
        importlib.import_module("nas_syncd.api.server")
        importlib.import_module("pydantic.v1")  # FastAPI's doing
    assert threading.active_count() == 1


if __name__ == "__main__":
    _warm_up()
    sys.exit(_serve(socket.socket(fileno=int(sys.argv[1]))))
