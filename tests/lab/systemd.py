"""A real systemd of the test's own, on which nas-syncd is installed as on a fresh host.

It runs over this machine's own file tree, in namespaces of its own; what it changes there is
forgotten (``boot-systemd``). Commands are run in it with ``nsenter``; its files are reached through
``/proc/PID/root``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import parts

PROJECT = Path(__file__).parents[2]
PREFIX = "/opt/nas-syncd"
"""Where nas-syncd is installed on the host, for every user to run."""
SOURCE = "/opt/nas-syncd-source"
PACKAGES = "/opt/nas-syncd-packages"
PYTHON = "/opt/nas-syncd-python"
"""The interpreter; where it is really, only its owner may be able to run it."""
PATH = f"{PREFIX}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 30.0
ASK_SECONDS = 0.2


class SystemdHost:
    """One booted systemd."""

    def __init__(self, folder: Path, binds: dict[Path, str]) -> None:
        self.folder = folder
        self._name = f"nas-syncd-lab-{os.getpid()}-{folder.name}"
        self._console = folder / "console"
        script = Path(__file__).with_name("boot-systemd")
        pairs = [word for source, target in binds.items() for word in (str(source), target)]
        with self._console.open("wb") as console:
            self._child = subprocess.Popen(
                ["bash", str(script), str(folder), self._name, *pairs],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._leader = 0

    def wait_booted(self) -> None:
        """Return when it has started what it starts by itself."""

        def booted() -> bool:
            if self._child.poll() is not None:
                raise RuntimeError(f"it did not boot: {self._console.read_text()}")
            self._leader = self._leader or self._first_process()
            if not self._leader:
                return False
            return self.run("systemctl is-system-running")[1] in ("running", "degraded")

        self.wait_until(booted, "systemd has booted", BOOT_SECONDS)

    @staticmethod
    def wait_until(true: Callable[[], object], what: str, seconds: float = 10.0) -> None:
        """As in ``parts``, for questions that cost a process: asked five times a second."""

        def asked() -> object:
            time.sleep(ASK_SECONDS)
            return true()

        parts.wait_until(asked, what, seconds)

    def find_libraries(self) -> None:
        """An interpreter with a library of its own shall find that one at its new place."""
        if list(Path(sys.base_prefix, "lib").glob("libpython3.*.so*")):
            self.write("/etc/ld.so.conf.d/00-lab.conf", f"{PYTHON}/lib\n")
            self.must("ldconfig")

    def _first_process(self) -> int:
        """Return the process that is systemd there; 0 as long as it is not."""
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self._child.pid}/task").iterdir():
                for pid in (task / "children").read_text().split():
                    if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                        return int(pid)
        return 0

    @property
    def root(self) -> Path:
        """Its file tree, as seen from here."""
        return Path(f"/proc/{self._leader}/root")

    @property
    def network(self) -> Path:
        """Its network namespace."""
        return Path(f"/proc/{self._leader}/ns/net")

    def run(self, command: str, seconds: float = 60.0) -> tuple[int | None, str]:
        """Run a shell command there as root; return its exit status and its output."""
        inside = ["-t", str(self._leader), *["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]]
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "bash", "-c", command]
        return parts.call("nsenter", *inside, *clean, seconds=seconds)

    def must(self, command: str, seconds: float = 60.0) -> str:
        """Likewise; raises when it fails."""
        status, output = self.run(command, seconds)
        if status != 0:
            raise RuntimeError(f"{command} gave {status}: {output}")
        return output

    def as_user(self, name: str, command: str) -> tuple[int | None, str]:
        """Run a shell command there as a user of it, with that user's groups."""
        inner = f"PATH={PATH} {command}"
        return self.run(
            f"setpriv --reuid {name} --regid {name} --init-groups env HOME=/home/{name} "
            f"bash -c {shlex.quote(inner)}"
        )

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file there, owned by root."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.must(f"systemctl show {unit} -P {name}")

    def stop(self) -> None:
        """End all of it, at once."""
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
        parts.end(self._child)
        for group in Path("/sys/fs/cgroup").glob(f"**/{self._name}"):
            _remove_group(group)


def _remove_group(group: Path) -> None:
    """Its processes may take a moment to end."""
    end = time.monotonic() + 5
    while group.exists() and time.monotonic() < end:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(0.05)


def _environment(folder: Path) -> Path:
    """Return an environment for :data:`PREFIX`: this project and its packages, for all users."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    target = folder / "environment"
    packages = target / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (target / "bin").mkdir()
    (target / "bin/python").symlink_to(f"{PYTHON}/bin/{version}")
    (target / "pyvenv.cfg").write_text(f"home = {PYTHON}/bin\n")
    (packages / "lab.pth").write_text(f"{SOURCE}\n{PACKAGES}\n")
    script = target / "bin/nas-syncd"
    script.write_text(f'#!/bin/sh\nexec {PREFIX}/bin/python -P -m nas_syncd "$@"\n')
    script.chmod(0o755)
    return target


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """What a host is to see of us, and where."""
    packages = Path(pytest.__file__).parents[1]
    environment = _environment(tmp_path_factory.mktemp("systemd-lab"))
    return {
        environment: PREFIX,
        PROJECT: SOURCE,
        packages: PACKAGES,
        Path(sys.base_prefix): PYTHON,
    }


@pytest.fixture
def systemd_host(
    tmp_path: Path, installation: dict[Path, str]
) -> Iterator[Callable[[dict[Path, str]], SystemdHost]]:
    """``systemd_host({folder: "/srv/x"})``: a fresh host with systemd, nas-syncd in
    ``/opt/nas-syncd`` and these folders of the test's own."""
    parts.need_root()
    for name, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("nsenter", "util-linux")):
        parts.program(name, package)
    if not os.path.exists("/lib/systemd/systemd"):
        parts.missing("systemd is not installed: make lab (Debian package systemd)")
    if parts.call("unshare", "--cgroup", "--pid", "--mount", "--net", "--fork", "true")[0] != 0:
        parts.missing("this machine lets nobody make namespaces")
    with contextlib.ExitStack() as hosts:

        def boot(folders: dict[Path, str]) -> SystemdHost:
            folder = tmp_path / "host"
            folder.mkdir()
            host = SystemdHost(folder, {**installation, **folders})
            hosts.callback(host.stop)
            host.wait_booted()
            host.find_libraries()
            return host

        yield boot
