"""``python -m tests.faults.smb_inside CASE``: one case over the kernel's own cifs, inside UML.

A private Samba, its share mounted by the kernel, the real daemon on it. The last line printed is
JSON: ``outcome``, or ``broken`` (a kind of :class:`~tests.faults.lab.BrokenError`) and ``detail``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.lab import BrokenError, DirtyError, LiedError, LostError, StuckError
from tests.lab import parts
from tests.lab.mounts import DiskMount
from tests.lab.samba import Samba, new_server
from tests.oracle import Verdict, examine
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

MOUNT = Path("/mnt/nas")
OPTIONS = "vers=3.1.1,soft,echo_interval=5,actimeo=1,uid=0,gid=0"
PATIENCE_SECONDS = 200.0
MIB = 1 << 20


class Share:
    """Samba and the kernel's mounts of it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.server = new_server(folder)
        self.mounts: list[Path] = []

    def mount(self, at: Path = MOUNT, more: str = "") -> None:
        at.mkdir(parents=True, exist_ok=True)
        server = self.server
        login = f"username={server.user},password={server.password},port={server.port}"
        parts.must(
            *("mount", "-t", "cifs", server.unc, str(at), "-o"),
            f"{login},{OPTIONS}{more}",
            seconds=60,
        )
        self.mounts.append(at)

    def restart(self, **changes: str) -> None:
        """End the server at once and start it with another line of its configuration."""
        self.server.kill()
        for name, value in changes.items():
            setattr(self.server, name, value)
        self.server.start()


class World:
    """One share, one stage on it; the daemon is started by the case."""

    def __init__(self, folder: Path | None = None) -> None:
        self.share = Share(folder)
        self.share.mount()
        self.server: Samba = self.share.server
        self.stage = Stage(
            Path("/mnt/world"),
            nas=MOUNT,
            NAS_SYNCD_NAS_TIMEOUT_SECONDS="8",
            NAS_SYNCD_SCAN_SECONDS="2",
        ).pair()
        self.ids: list[int] = []

    def upload(self, *names: str, size: int = 100_000) -> None:
        self.ids += [self.stage.add(name, os.urandom(size)) for name in names]

    def none_lies(self) -> None:
        """Whatever is marked now is on the server's disk, whole; asked without the mount."""
        verdict = self.verdict()
        if verdict.lying:
            raise LiedError(str(verdict.lying))

    def verdict(self, stage: Stage | None = None) -> Verdict:
        stage = stage or self.stage
        return examine(stage.database, stage.uploads, self.server.folder, BACKEND_DIR)

    def becomes_safe(self, daemon: RunningDaemon, seconds: float = PATIENCE_SECONDS) -> None:
        try:
            self.stage.wait_marked(len(self.ids), seconds)
        except (AssertionError, TimeoutError):
            told = "".join(daemon.text[-15:])
            raise StuckError(f"{self.stage.marked()} of {len(self.ids)} marked: {told}") from None
        daemon.stop(20)
        self.is_perfect()

    def is_perfect(self) -> None:
        verdict = self.verdict()
        if verdict.lying:
            raise LiedError(str(verdict.lying))
        if len(verdict.safe) != verdict.total:
            raise LostError(str(verdict))
        if not verdict.perfect:
            raise DirtyError(str(verdict))


Case = Callable[[World], str]
CASES: dict[str, Case] = {}
DISKS: dict[str, int] = {}
"""Cases whose share lies on an ext4 of so many MiB."""


def case(name: str, disk_mib: int = 0) -> Callable[[Case], Case]:
    def keep(function: Case) -> Case:
        CASES[name] = function
        if disk_mib:
            DISKS[name] = disk_mib
        return function

    return keep


@contextlib.contextmanager
def working(world: World) -> Iterator[RunningDaemon]:
    """A daemon that has made its first document safe."""
    world.upload("first.pdf")
    with RunningDaemon(world.stage) as daemon:
        world.stage.wait_marked(1, 60)
        yield daemon


# -- the server's weather ---------------------------------------------------------------------


@case("server paused for a minute while documents arrive")
def _paused(world: World) -> str:
    with working(world) as daemon:
        world.server.stop()
        world.upload("a.pdf", "b.pdf", "c.pdf")
        daemon.wait_for("mount.changed", 120, was="ok")
        threading.Event().wait(60)  # the kernel's own patience ends meanwhile
        if world.stage.marked() != 1:
            raise LiedError("marked while the server was frozen")
        world.server.cont()
        world.becomes_safe(daemon)
    return "hung, then safe"


@case("server killed while documents are copied, and started again")
def _killed(world: World) -> str:
    with working(world) as daemon:
        world.upload(*(f"{n}.pdf" for n in range(30)))
        world.stage.wait_marked(4, 60)
        world.server.kill()
        world.none_lies()
        told = daemon.wait_for("mount.changed", 60, was="ok")
        world.server.start()
        world.becomes_safe(daemon)
    return f"{told['state']}, then safe"


@case("server restarted in no time while documents are copied")
def _restarted(world: World) -> str:
    with working(world) as daemon:
        world.upload(*(f"{n}.pdf" for n in range(30)))
        world.stage.wait_marked(4, 60)
        world.share.restart()
        world.none_lies()
        world.becomes_safe(daemon)
    return "safe"


@case("connection cut in the middle of a big file")
def _cut(world: World) -> str:
    with working(world) as daemon:
        world.upload("big.pdf", size=192 * MIB)
        temps = world.server.folder / ".nas-syncd-tmp"
        parts.wait_until(lambda: any(_big(temps, 16 * MIB)), "it is being written", seconds=60)
        for pid in _children(world.server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        world.none_lies()
        world.becomes_safe(daemon)
    return "safe"


@case("password changed, and back")
def _password(world: World) -> str:
    with working(world) as daemon:
        old = world.server.password
        world.share.restart(password="another-one")
        world.upload("a.pdf", "b.pdf")
        told = daemon.wait_for("mount.changed", 120, was="ok")
        world.none_lies()
        world.share.restart(password=old)
        world.becomes_safe(daemon)
    return f"{told['state']}, then safe"


@case("share made read-only, and back")
def _read_only(world: World) -> str:
    with working(world) as daemon:
        world.share.restart(options="read only = yes\n")
        world.upload("a.pdf", "b.pdf")
        told = daemon.wait_for("mount.changed", 120, was="ok")
        world.none_lies()
        world.share.restart(options="")
        world.becomes_safe(daemon)
    return f"{told['state']}, then safe"


@case("share full, then freed", disk_mib=24)
def _full(world: World) -> str:
    with working(world) as daemon:
        filler = world.server.folder.parent / "others.bin"
        free = os.statvfs(world.server.folder)
        _fill(filler, free.f_bavail * free.f_frsize - MIB // 2)
        world.upload("a.pdf", "b.pdf", size=MIB)
        daemon.wait_for("mount.changed", 120, state="full")
        world.none_lies()
        if world.stage.marked() != 1:
            raise LiedError("marked on a full share")
        filler.unlink()
        world.becomes_safe(daemon)
    return "full, then safe"


@case("share back with an empty disk behind it, then the right one")
def _empty_disk(world: World) -> str:
    with working(world) as daemon:
        world.server.kill()
        folder = world.server.folder
        aside = folder.with_name("aside")
        folder.rename(aside)
        folder.mkdir()
        world.server.start()
        world.upload("a.pdf", "b.pdf")
        daemon.wait_for("mount.changed", 120, state="not_mounted")
        threading.Event().wait(10)
        if any(folder.iterdir()):
            raise DirtyError(f"written to a disk that is not the NAS: {list(folder.iterdir())}")
        world.server.kill()
        folder.rmdir()
        aside.rename(folder)
        world.server.start()
        world.becomes_safe(daemon)
    return "not_mounted, then safe"


@case("another client holds open whatever appears")
def _held_open(world: World) -> str:
    other = Path("/mnt/other")
    world.share.mount(other, ",nosharesock")
    over = threading.Event()
    held: list[int] = []

    def hold() -> None:
        """As a virus scanner does: open each file as soon as it is seen, for some seconds."""
        seen: set[str] = set()
        while not over.wait(0.05):
            for path in [*other.rglob("*.part"), *other.rglob("*.pdf")]:
                if str(path) not in seen:
                    seen.add(str(path))
                    with contextlib.suppress(OSError):
                        held.append(os.open(path, os.O_RDONLY))

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with working(world) as daemon:
            world.upload(*(f"{n}.pdf" for n in range(10)))
            world.becomes_safe(daemon)
    finally:
        over.set()
        holder.join()
        for fd in held:
            os.close(fd)
    return f"safe ({'held' if held else 'nothing could be held'})"


@case("mount taken away and back while documents are copied")
def _unmounted(world: World) -> str:
    with working(world) as daemon:
        world.upload(*(f"{n}.pdf" for n in range(20)))
        world.stage.wait_marked(4, 60)
        parts.must("umount", "-l", str(MOUNT))
        daemon.wait_for("mount.changed", 60, was="ok")
        if any(MOUNT.iterdir()):
            raise DirtyError("written into the bare folder")
        world.none_lies()
        world.share.mount()
        world.becomes_safe(daemon)
    return "safe"


# -- power ------------------------------------------------------------------------------------


def _power_cut(world: World, marked: int) -> str:
    """The server loses power when so many are marked: renames that were not flushed come undone."""
    with working(world) as daemon:
        world.upload(*(f"{n}.pdf" for n in range(12)))
        world.stage.wait_marked(marked, 60)
        world.server.kill()
        disk = DISK[0]
        disk.lose_power()
        disk.unmount()
        disk.mount()
        world.server.start()
        try:
            parts.wait_until(
                lambda: not world.verdict().lying and world.stage.marked() == len(world.ids),
                "the second look has found what the power cut undid",
                seconds=PATIENCE_SECONDS,
            )
        except TimeoutError:
            told = "".join(daemon.text[-25:])
            raise LiedError(f"{world.stage.marked()} {world.verdict()} {told}") from None
        daemon.stop(20)
    with RunningDaemon(world.stage) as daemon:  # it takes away what a run left that has ended
        parts.wait_until(lambda: not world.verdict().temps, "temp files gone", seconds=60)
        world.becomes_safe(daemon)
    return "safe"


@case("server loses power before anything is marked", disk_mib=64)
def _power_early(world: World) -> str:
    return _power_cut(world, 1)


@case("server loses power in the middle", disk_mib=64)
def _power_middle(world: World) -> str:
    return _power_cut(world, 6)


@case("server loses power just after the last mark", disk_mib=64)
def _power_late(world: World) -> str:
    return _power_cut(world, 13)


# -- two hosts --------------------------------------------------------------------------------


def _two_hosts(world: World, *, claims: bool) -> str:
    """Two databases, two mounts, one NAS: every name is wanted by both at the same moment."""
    if claims:
        (world.server.folder / ".nas-syncd-claims").mkdir()
    second = Path("/mnt/second")
    world.share.mount(second, ",nosharesock")
    other = Stage(Path("/mnt/world2"), nas=second, NAS_SYNCD_SCAN_SECONDS="2")
    other.sql("INSERT INTO documents (id) VALUES (1000)")  # so that the ids differ
    names = [f"{n}.pdf" for n in range(12)]
    for name in names:
        world.ids.append(world.stage.add(name, os.urandom(50_000)))
        other.add(name, os.urandom(50_000))
    with RunningDaemon(world.stage) as one, RunningDaemon(other) as two:
        world.stage.wait_marked(len(names), PATIENCE_SECONDS)
        other.wait_marked(len(names), PATIENCE_SECONDS)
        one.stop(20)
        two.stop(20)
    mine, theirs = world.verdict(), world.verdict(other)
    if mine.lying or theirs.lying:
        raise LiedError(f"{mine.lying} {theirs.lying}")
    if len(mine.safe) != len(names) or len(theirs.safe) != len(names):
        raise LostError(f"{mine} {theirs}")
    if len(mine.foreign) != len(names) or len(theirs.foreign) != len(names) or mine.temps:
        raise DirtyError(f"{mine} {theirs}")
    return "both safe"


@case("two hosts want the same names at the same moment")
def _hosts(world: World) -> str:
    return _two_hosts(world, claims=False)


@case("two hosts want the same names, without a rename that refuses to replace")
def _hosts_claims(world: World) -> str:
    return _two_hosts(world, claims=True)


# -- small things -----------------------------------------------------------------------------

DISK: list[DiskMount] = []


def _disk(mib: int) -> Path:
    """A disk of its own for the share, on which power can be lost."""
    at, image = Path("/mnt/disk"), Path("/mnt/disk.img")
    at.mkdir()
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    parts.must("mke2fs", "-q", "-t", "ext4", "-m", "0", str(image))
    disk = DiskMount(at, ("mount", "-t", "ext4", "-o", "loop", str(image)))
    disk.mount()
    DISK.append(disk)
    (at / "share").mkdir()
    return at / "share"


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _big(folder: Path, size: int) -> Iterator[bool]:
    for path in folder.rglob("*.part"):
        with contextlib.suppress(FileNotFoundError):
            yield path.stat().st_size >= size


def _children(server: Samba) -> list[int]:
    assert server._child is not None
    found = subprocess.run(
        ["pgrep", "-P", str(server._child.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def main() -> int:
    name = sys.argv[1]
    told: dict[str, str]
    try:
        world = World(_disk(DISKS[name]) if name in DISKS else None)
        told = {"outcome": CASES[name](world)}
    except BrokenError as broken:
        told = {"broken": broken.kind, "detail": str(broken)}
    except Exception:  # noqa: BLE001 - an error nobody expected is what we are here for
        told = {"broken": "error", "detail": traceback.format_exc()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    code = main()
    shutil.rmtree("/mnt/world", ignore_errors=True)
    os._exit(code)  # the machine is switched off next: nothing in a dead mount is waited for
