"""A real Samba share through GNOME's gvfs and its FUSE mount, on this very kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.daemon import BenchmarkError
from benchmarks.proxy import Proxy
from benchmarks.targets import Target
from tests.lab import parts
from tests.lab.samba import Samba, new_server

GVFSD, FUSE = "/usr/libexec/gvfsd", "/usr/libexec/gvfsd-fuse"
NEEDED = {
    "smbd": "samba",
    "smbclient": "smbclient",
    "dbus-daemon": "dbus",
    "gio": "libglib2.0-bin",
    "fusermount3": "fuse3",
    GVFSD: "gvfs-backends",
    FUSE: "gvfs-fuse",
}
SECONDS = 30.0


def missing() -> str | None:
    """Return why there can be no such mount here; None when there can."""
    if os.geteuid() != 0:
        return "needs root: it runs a Samba of its own"
    for program, package in NEEDED.items():
        if not shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{parts.SBIN}"):
            return f"{program} is not installed: make bench-lab (Debian package {package})"
    return None


@contextmanager
def gvfs(name: str, round_trip_ms: float = 0.0) -> Iterator[Target]:
    """The share, and between client and server a proxy that makes the way long, if it is to be.

    Raises:
        BenchmarkError: This machine lacks something, or the mount does not come.
    """
    reason = missing()
    if reason:
        raise BenchmarkError(reason)
    with ExitStack() as stack:
        server = new_server()
        stack.callback(server.tear_down)
        port = server.port
        if round_trip_ms:
            seconds = round_trip_ms / 1000
            port = stack.enter_context(Proxy(port, round_trip_seconds=seconds)).port
        folder = stack.enter_context(_mounted(server, port))
        yield Target(name, folder, server.folder)


@contextmanager
def _mounted(server: Samba, port: int) -> Iterator[Path]:
    """A session of its own (bus, gvfsd), so that nobody else's is touched."""
    home = Path(tempfile.mkdtemp(prefix="nas-gvfs-"))
    mount, runtime = home / "mnt", home / "run"
    mount.mkdir()
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        address = f"unix:path={runtime}/bus"
        bus = ("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}")
        _start(stack, bus, environment)
        parts.wait_until((runtime / "bus").exists, "the session's bus is there", SECONDS)
        environment["DBUS_SESSION_BUS_ADDRESS"] = address
        _start(stack, (GVFSD, "--no-fuse"), environment)
        _start(stack, (FUSE, str(mount), "-f"), environment)
        stack.callback(_unmount, mount)
        parts.wait_until(lambda: parts.is_mounted(mount), "gvfs is mounted", SECONDS)
        _log_in(server, f"smb://{server.host}:{port}/{server.share}", environment)
        parts.wait_until(lambda: any(mount.iterdir()), "the share is there", SECONDS)
        yield next(mount.iterdir())


def _start(stack: ExitStack, command: tuple[str, ...], environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # one signal reaches all that it starts
    )
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    parts.end(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)


def _unmount(mount: Path) -> None:
    if parts.is_mounted(mount):
        parts.call("umount", "-l", str(mount))


def _log_in(server: Samba, address: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["gio", "mount", address],
        input=f"{server.user}\nLAB\n{server.password}\n",
        capture_output=True,
        text=True,
        env=environment,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"gvfs does not mount the share: {done.stdout}{done.stderr}")
