"""The NAS loses its power before each step of the protocol, the mark included.

The NAS is an ext4 of its own that forgets at once what was not flushed. It is tried as an honest
one, on which no flag may lie for a moment, and as one that confirms every flush and keeps nothing
("forgetful"): there renames that were confirmed come undone, and the second look must find it. The
daemon lives on for a moment, then dies; the second life begins when the NAS is back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults import tracing
from tests.faults.crashes import (
    SCENARIOS,
    Key,
    dark,
    first_life,
    grow_old,
    is_well,
    judge_crash,
    judge_end,
    key_of,
    planted_by,
    recorded,
    second_life,
    verdict_of,
)
from tests.faults.lab import LiedError
from tests.helpers import World
from tests.lab import parts
from tests.lab.mounts import DiskMount

TRIED = ("small", "taken", "claimed")
KINDS = ("honest", "forgetful")
MIB = 16
END = "end"
PARENTS = frozenset({"fdatasync", "unlink"})
"""Of the parent's calls: on its own disk they begin and end what a crash could show."""


class Power:
    name = "power"
    about = "the NAS loses its power before each step; then it is back"

    def missing(self) -> str | None:
        if why := tracing.missing():
            return why
        if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
            return "needs root and loop devices: it mounts a disk of its own"
        return None

    def cases(self) -> Sequence[str]:
        steps = [
            f"{scenario}: before {' '.join(key)} {number}"
            for scenario, key, times in recorded()
            if scenario in TRIED and (key[0] == "agent" or key[1] in PARENTS)
            if key[1] in tracing.CHANGING
            for number in range(1, times + 1)
        ]
        steps += [f"{scenario}: at the {END}" for scenario in TRIED]
        return [f"{kind} {step}" for kind in KINDS for step in steps]

    def short(self) -> Sequence[str]:
        return [
            "honest small: before agent write pipe 2",
            f"forgetful small: at the {END}",
        ]

    def run(self, case: str, folder: Path) -> str:
        kind, scenario, *_ = case.replace(":", "").split()
        call = case.partition(" before ")[2].split()
        with disk_at(folder.resolve() / "nas") as disk:
            world = World(folder.resolve())
            SCENARIOS[scenario](world)
            parts.must("sync", "-f", str(disk.path))
            live_until_dark(world, disk, call, lies=kind == "forgetful")
            disk.unmount(lazy=True)
            disk.mount()
            return self._afterwards(world, scenario, honest=kind == "honest")

    def _afterwards(self, world: World, scenario: str, *, honest: bool) -> str:
        planted = planted_by(world, scenario)
        lied = verdict_of(world).lying
        if honest:
            judge_crash(world, planted)
        world.clock.pass_by(7200)
        grow_old(world.nas)
        second_life(world, lambda: is_well(world, planted))
        judge_end(world, planted)
        flags = world.flags("1")
        if flags != [True] and (honest or flags != [True, False, True]):
            raise LiedError(f"the flag went {flags}")
        if lied:
            return "came undone, found out" if False in flags else "came undone, put back"
        return "safe"


def live_until_dark(world: World, disk: DiskMount, call: list[str], *, lies: bool) -> None:
    """Live the first life; the power goes before *call* (none: when all is done).

    Raises:
        RuntimeError: The call never came.
    """
    key: Key | None = (call[0], call[1], call[2]) if call else None
    left = int(call[3]) if call else 0

    def before(_traced: tracing.Traced, made: tracing.Call) -> None:
        nonlocal left
        if left > 0 and key_of(world, made) == key:
            left -= 1
            if left == 0:
                disk.lose_power()
                dark(world).touch()
        if lies and not dark(world).exists() and made.name == "fsync" and made.who == "agent":
            made.pretend()

    tracing.follow(lambda: first_life(world), before, frozenset({"fsync", *call[1:2]}))
    if left > 0:
        raise RuntimeError(f"{call} came {int(call[3]) - left} times only: record the calls anew")
    if not call:
        disk.lose_power()


@contextlib.contextmanager
def disk_at(path: Path) -> Iterator[DiskMount]:
    """A disk of its own at *path*, unmounted at the end whatever is still open."""
    image = path.with_name("disk.img")
    with image.open("wb") as file:
        file.truncate(MIB << 20)
    parts.must(parts.program("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-m", "0", str(image))
    disk = DiskMount(path, ("mount", "-t", "ext4", "-o", "loop", str(image)))
    path.mkdir()
    disk.mount()
    try:
        (path / "lost+found").rmdir()
        yield disk
    finally:
        while parts.is_mounted(path):
            disk.unmount(lazy=True)


GROUP = Power()
