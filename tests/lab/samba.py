"""A real SMB server of the test's own, and smbclient as an independent reader of it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from tests.lab import parts

CONFIGURATION = """\
[global]
  workgroup = LAB
  server role = standalone server
  interfaces = 127.0.0.1/8
  bind interfaces only = yes
  smb ports = {port}
  disable netbios = yes
  passdb backend = tdbsam:{home}/passdb.tdb
  private dir = {home}/private
  state directory = {home}/state
  cache directory = {home}/cache
  lock directory = {home}/lock
  pid directory = {home}/pid
  ncalrpc dir = {home}/ncalrpc
  usershare path = {home}/usershare
  log file = {home}/smbd.log
  server min protocol = SMB2
  map to guest = never
  load printers = no
  printing = bsd
  printcap name = /dev/null
  disable spoolss = yes
[{share}]
  path = {folder}
  read only = no
  valid users = {user}
  create mask = 0664
  directory mask = 0775
  {options}
"""
# A line of smbclient's ls: name, attributes, size, weekday and month.
LISTED = re.compile(r"^  (?P<name>.+?) +(?P<attributes>[A-Z]*) +\d+  \w{3} \w{3} ")
FOLDERS = ("private", "state", "cache", "lock", "pid", "ncalrpc", "usershare")


@dataclass
class Samba:
    """A private smbd on a free port of 127.0.0.1, serving ``folder`` as ``share``."""

    folder: Path
    home: Path
    options: str = ""
    share: str = "nas"
    host: str = "127.0.0.1"
    user: str = "root"
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def unc(self) -> str:
        return f"//{self.host}/{self.share}"

    def start(self) -> None:
        """Start the server; returns when it answers. After :meth:`kill`: on the same port."""
        for _ in range(3):  # somebody may take the port between our look and the server's
            if self._start_once(self.port or _free_port()):
                return
            self._end()
        log = self.home / "smbd.log"
        raise RuntimeError(f"smbd does not answer: {log.read_text()[-2000:]}")

    def _start_once(self, port: int) -> bool:
        configuration = self.home / "smb.conf"
        configuration.write_text(
            CONFIGURATION.format(
                port=port,
                home=self.home,
                share=self.share,
                folder=self.folder,
                user=self.user,
                options=self.options,
            )
        )
        self._know_the_user(configuration)
        smbd = parts.program("smbd", "samba")
        self._child = subprocess.Popen(
            [smbd, "-F", "--no-process-group", "-s", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that one signal reaches it and all its children
        )
        self.port = port
        with contextlib.suppress(TimeoutError):
            parts.wait_until(self._answers_or_ended, "smbd answers")
        if self._child.poll() is None and self._answers_or_ended():
            return True
        self.port = 0
        return False

    def _know_the_user(self, configuration: Path) -> None:
        command = ["smbpasswd", "-c", str(configuration), "-s", "-a", self.user]
        twice = f"{self.password}\n{self.password}\n".encode()
        subprocess.run(command, input=twice, capture_output=True, check=True, timeout=20)

    def _answers_or_ended(self) -> bool:
        assert self._child is not None
        return self._child.poll() is not None or self.smbclient("ls", seconds=5)[0] == 0

    # -- the server's weather --------------------------------------------------------------

    def stop(self) -> None:
        """Freeze it: connections stay open and nothing answers, as when a NAS hangs."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Thaw it."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, connections and all, as when a NAS loses power."""
        self._signal(signal.SIGKILL)
        self._end()

    def tear_down(self) -> None:
        if self._child is not None:
            self.cont()
            parts.end(self._child)  # it ends its children itself, as a rule
        self.kill()
        shutil.rmtree(self.home)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def _end(self) -> None:
        if self._child is not None:
            parts.end(self._child)
            self._child = None

    # -- an independent reader -------------------------------------------------------------

    def smbclient(self, command: str, *, seconds: float = 20.0) -> tuple[int | None, str]:
        """Run one smbclient command line (``ls; get a b``); return its status and output."""
        login = self.home / "login"
        login.touch(mode=0o600)
        login.write_text(f"username = {self.user}\npassword = {self.password}\n")
        program = parts.program("smbclient", "smbclient")
        configuration = ("-s", str(self.home / "smb.conf"))
        server = ("-p", str(self.port), "-A", str(login), self.unc)
        return parts.call(program, *configuration, *server, "-c", command, seconds=seconds)

    def put(self, local: Path, remote: str) -> None:
        """Store a file; *remote* is relative to the share, ``/``-separated."""
        self._must(f'put "{local}" "{_theirs(remote)}"')

    def get(self, remote: str) -> bytes:
        """Return what the server says the file holds."""
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            target = Path(folder) / "file"
            self._must(f'get "{_theirs(remote)}" "{target}"')
            return target.read_bytes()

    def mkdir(self, remote: str) -> None:
        self._must(f'mkdir "{_theirs(remote)}"')

    def files(self) -> set[str]:
        """Return every file's path relative to the share, as the server lists them."""
        found: set[str] = set()
        folder = ""
        for line in self._must("recurse on; ls").splitlines():
            if line.startswith("\\"):
                folder = line.strip("\\").replace("\\", "/")
            entry = LISTED.match(line)
            if entry and "D" not in entry["attributes"]:
                found.add(f"{folder}/{entry['name']}".lstrip("/"))
        return found

    def _must(self, command: str) -> str:
        status, output = self.smbclient(command)
        if status != 0:
            raise RuntimeError(f"smbclient {command!r} gave {status}: {output}")
        return output


def new_server(folder: Path | None = None, options: str = "") -> Samba:
    """Start a server whose :meth:`Samba.tear_down` is the caller's.

    Args:
        folder: What it shares; by default an empty folder of its own.
        options: Lines of smb.conf's share.
    """
    # Not below tmp_path: a socket's path has 107 characters at most.
    home = Path(tempfile.mkdtemp(prefix="nas-lab-"))
    for name in (*FOLDERS, "share"):
        (home / name).mkdir()
    server = Samba(folder=folder or home / "share", home=home, options=options)
    try:
        server.start()
    except BaseException:
        server.tear_down()
        raise
    return server


class SambaFactory(Protocol):
    def __call__(self, folder: Path | None = None, options: str = "") -> Samba: ...


@pytest.fixture
def samba_server(tmp_path: Path) -> Iterator[SambaFactory]:
    """``samba_server()``: a running :class:`Samba`; *options* are lines of smb.conf's share."""
    parts.need_root()
    for name, package in (("smbd", "samba"), ("smbpasswd", "samba"), ("smbclient", "smbclient")):
        parts.program(name, package)
    with contextlib.ExitStack() as stack:

        def factory(folder: Path | None = None, options: str = "") -> Samba:
            server = new_server(folder, options)
            stack.callback(server.tear_down)
            return server

        yield factory


@pytest.fixture
def samba(samba_server: SambaFactory) -> Samba:
    """A running Samba with an empty share."""
    return samba_server()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _theirs(path: str) -> str:
    return path.replace("/", "\\")
