"""A real SMB mount, by the kernel's own cifs: in a second kernel (User-Mode Linux), with a Samba.

The measurement runs in there as it would outside, and hands its reports over as JSON. That kernel
has one processor and slow system calls: its times say something only where the way to the NAS is
long. How many requests are made does not depend on it.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.daemon import BenchmarkError
from benchmarks.proxy import Proxy
from benchmarks.reports import Report, from_json
from benchmarks.targets import Target
from tests.lab import parts, uml
from tests.lab.samba import Samba, new_server

MOUNT = Path("/mnt/nas")
STATS = Path("/proc/fs/cifs/Stats")
OPTIONS = "vers=3.1.1,uid=0,gid=0"
INSIDE = "--inside"
ROOT = Path(__file__).parents[1]


def boot(arguments: Sequence[str], seconds: float) -> list[Report]:
    """Run ``python -m benchmarks`` with these arguments in the second kernel.

    Raises:
        BenchmarkError: There is none on this machine, or it did not come to an end.
    """
    missing = uml.missing() or _missing()
    if missing:
        raise BenchmarkError(missing)
    folder = Path(tempfile.mkdtemp(prefix="nas-syncd-bench-uml-"))
    try:
        result = folder / "reports.json"
        command = [sys.executable, "-B", "-m", "benchmarks", *arguments, INSIDE]
        places = ["--where", "/mnt/tmp", "--out", "/mnt/out", "--json", str(result)]
        ran = uml.run([*command, *places], folder, ROOT, seconds)
        if not result.exists():
            raise BenchmarkError(f"the second kernel gave {ran.status}: {ran.output[-3000:]}")
        return from_json(result.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _missing() -> str | None:
    for program, package in (("smbd", "samba"), ("mount.cifs", "cifs-utils"), ("tc", "iproute2")):
        if not shutil.which(program, path=f"/usr/bin:/bin:{parts.SBIN}"):
            return f"{program} is not installed: make lab (Debian package {package})"
    return None


@contextmanager
def cifs(name: str, round_trip_ms: float = 0.0) -> Iterator[Target]:
    """A share mounted by the kernel; netem makes each direction half of the round trip long."""
    with _server() as server, _mounted(server.port, server.user, server.password):
        if round_trip_ms:
            half = f"{round_trip_ms / 2:g}ms"
            parts.must("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", half)
        yield Target(name, MOUNT, server.folder)


@contextmanager
def watched(name: str, round_trip_ms: float) -> Iterator[tuple[Target, Proxy]]:
    """The same through a proxy that is as far away, and notes every exchange."""
    with ExitStack() as stack:
        server = stack.enter_context(_server())
        seconds = round_trip_ms / 1000
        proxy = stack.enter_context(Proxy(server.port, round_trip_seconds=seconds, smb=True))
        stack.enter_context(_mounted(proxy.port, server.user, server.password))
        yield Target(name, MOUNT, server.folder), proxy


def counted() -> dict[str, int]:
    """Return how many SMB requests this kernel has made so far: all (``SMBs``), and by kind."""
    text = STATS.read_text()
    found = {kind: int(number) for kind, number in re.findall(r"(\w+): (\d+) total", text)}
    total = re.search(r"SMBs: (\d+)", text)
    return {"SMBs": int(total[1]) if total else 0, **found}


@contextmanager
def _server() -> Iterator[Samba]:
    server = new_server()
    try:
        yield server
    finally:
        server.tear_down()


@contextmanager
def _mounted(port: int, user: str, password: str) -> Iterator[None]:
    MOUNT.mkdir(exist_ok=True)
    login = f"username={user},password={password},port={port},{OPTIONS}"
    parts.must("mount", "-t", "cifs", "//127.0.0.1/nas", str(MOUNT), "-o", login, seconds=60)
    try:
        yield
    finally:
        parts.must("umount", "-l", str(MOUNT))
