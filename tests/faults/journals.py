"""Our own disk full, the journal locked, damaged or taken away: at every step that it is used for.

One document is on its way, another one is proven from before. While the trouble lasts no flag may
lie; when it is over everything becomes safe, and nothing on the NAS was written a second time. A
trouble that passes sets no journal aside; damage sets aside one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nas_syncd.errors import JournalError
from nas_syncd.flow import Flow
from nas_syncd.journal.store import FILE_NAME
from nas_syncd.models import State
from nas_syncd.site import Site
from tests.faults.crashes import SMALL, is_well, judge_crash, judge_end
from tests.faults.lab import DirtyError, LiedError, LostError, StuckError
from tests.helpers import World
from tests.lab import parts
from tests.lab.mounts import DiskMount

LASTS_SECONDS = 0.6
SECONDS = 15.0
OPEN = "open"
STAGES = {"intent": "begin", "receipt": "receive", "marking": "note_all", "marked": "note_all"}
"""The step, and the journal's method that it begins with."""
BEFORE_MARK = {"marking": State.MARKING, "marked": State.SYNCED}


# -- troubles: each strikes when it is entered, and is over when it is left ------------------------


@contextlib.contextmanager
def full(state: Path) -> Iterator[None]:
    ballast = state / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    yield
    ballast.unlink()


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    other = sqlite3.connect(state / FILE_NAME, isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        yield


@contextlib.contextmanager
def read_only(state: Path) -> Iterator[None]:
    parts.must("mount", "-o", "remount,ro", str(state))
    yield
    parts.must("mount", "-o", "remount,rw", str(state))


def _damage(change: Callable[[Path], None]) -> Callable[[Path], Any]:
    @contextlib.contextmanager
    def trouble(state: Path) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(state / FILE_NAME)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        change(state / FILE_NAME)
        yield

    return trouble


def _without_log(change: Callable[[Path], None]) -> Callable[[Path], Any]:
    @contextlib.contextmanager
    def trouble(state: Path) -> Iterator[None]:
        change(state / f"{FILE_NAME}-wal")
        yield

    return trouble


def _overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _cut(path: Path) -> None:
    if path.exists():
        os.truncate(path, path.stat().st_size // 2)


def _senseless(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE document SET since = x'80', state = 'nobody wrote this'")


PASSING: dict[str, Callable[[Path], Any]] = {"disk full": full, "locked": locked}
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "header overwritten": _damage(lambda path: _overwrite(path, 0, b"\xff" * 100)),
    "pages zeroed": _damage(
        lambda path: _overwrite(path, 4096, bytes(path.stat().st_size - 2 * 4096))
    ),
    "truncated": _damage(lambda path: os.truncate(path, path.stat().st_size // 8192 * 4096)),
    "rows without sense": _damage(_senseless),
}
LOSSES: dict[str, Callable[[Path], Any]] = {
    "log cut": _without_log(_cut),
    "log deleted": _without_log(lambda path: path.unlink(missing_ok=True)),
    "emptied": _damage(lambda path: os.truncate(path, 0)),
    "taken away": _damage(Path.unlink),
}
TROUBLES = {**PASSING, **DAMAGES, **LOSSES, "read-only": read_only}
ASIDE = {**{trouble: {1} for trouble in DAMAGES}, "rows without sense": {0, 1}, "emptied": {0, 1}}
"""How many journals may be set aside: of a row that nobody reads nobody knows, and an empty file
may be begun in."""


class Journals:
    name = "journal"
    about = "our own disk full, the journal locked, damaged, taken away, at every step"

    def missing(self) -> str | None:
        if sys.platform != "linux" or os.geteuid() != 0:
            return "needs root on Linux: it mounts a small disk of its own"
        return None

    def cases(self) -> Sequence[str]:
        steps = [OPEN, *STAGES]
        return [
            f"{trouble} at {step}"
            for trouble in TROUBLES
            for step in (steps if trouble != "read-only" else [OPEN])  # in use it is never that
        ]

    def short(self) -> Sequence[str]:
        return ["disk full at receipt", "pages zeroed at intent"]

    def run(self, case: str, folder: Path) -> str:
        trouble, _, step = case.rpartition(" at ")
        with disk_at(folder / "state"):
            world = World(folder)
            proven = world.add("b.pdf", b"from before " * 99)
            first = world.site()
            world.go(world.flow(first), [proven])
            first.close()
            before = _stands(world)
            fresh = world.add("a.pdf", SMALL)
            try:
                told = Try(world, TROUBLES[trouble]).at(step)
            finally:
                world.close()
            judge_end(world, {})
            _judge(world, [proven, fresh], before, ASIDE.get(trouble, {0}))
        return told


class Try:
    """One life with one trouble in it."""

    def __init__(self, world: World, trouble: Callable[[Path], Any]) -> None:
        self.world = world
        self.trouble = contextlib.ExitStack()
        self._strike = lambda: self.trouble.enter_context(trouble(world.state))
        self.errors = 0
        self.struck_at: float | None = None

    def at(self, step: str) -> str:
        if step == OPEN:
            self.strike()
        site = self._site()
        if step != OPEN:
            site.journal._db.execute("PRAGMA busy_timeout = 100")
            self._arm(site, step)
        self._live(site, step)
        return f"{'refused, then ' * bool(self.errors)}safe"

    def strike(self) -> None:
        if self.struck_at is None:
            self.struck_at = time.monotonic()
            self._strike()

    def _site(self) -> Site:
        """Start as a service manager would: again and again."""
        for _ in range(3):
            try:
                return self.world.site()
            except JournalError:
                self.errors += 1
                self.trouble.close()
        raise StuckError("does not start after the trouble")

    def _arm(self, site: Site, step: str) -> None:
        name, journal = STAGES[step], site.journal
        real = getattr(journal, name)

        def struck(*arguments: Any, **more: Any) -> Any:
            wanted = BEFORE_MARK.get(step)
            if wanted is None or any(move[1] is wanted for move in arguments[1]):
                self.strike()
            return real(*arguments, **more)

        setattr(journal, name, struck)

    def _live(self, site: Site, step: str) -> None:
        """The daemon's loop, as far as the journal's troubles are concerned."""
        table = self.world.table()
        flow = self.world.flow(site, table)
        if step == "marking":  # has a transaction of its own after the database was away
            flow.database_away = lambda: (
                not site.journal.count_in_states(table.scope, [State.COPIED, State.MARKING])
            )
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                _round(site, flow)
            except JournalError:
                self.errors += 1
                flow.reset()
            judge_crash(self.world, {})
            over = self.struck_at and time.monotonic() > self.struck_at + LASTS_SECONDS
            if over:
                self.trouble.close()
            if over and is_well(self.world, {}) and not flow.busy:
                break
        if self.struck_at is None:
            raise RuntimeError("the step never came")
        with contextlib.suppress(JournalError):
            flow.let_go()


def _round(site: Site, flow: Flow) -> None:
    scope = flow.table.scope
    received = site.journal.in_states(scope, [State.COPIED, State.MARKING])
    ids = {str(number) for number in (1, 2)} | {entry.id for entry in received}
    rows = flow.table.get(ids)
    marking = {entry.id for entry in received}
    flow.offer(row for row in rows.values() if not row.synced or row.id in marking)
    flow.step(0.05)


@contextlib.contextmanager
def disk_at(path: Path) -> Iterator[None]:
    path.mkdir()
    disk = DiskMount(path, ("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "nas-lab"))
    disk.mount()
    try:
        yield
    finally:
        disk.unmount(lazy=True)


def _stands(world: World) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in world.nas.rglob("*.pdf")
    }


def _judge(
    world: World, ids: list[str], before: dict[str, tuple[int, int]], expected: set[int]
) -> None:
    after = _stands(world)
    if any(after.get(path) != was for path, was in before.items()):
        raise LostError("what stood on the NAS was written again")
    if len(after) != len(ids):
        raise DirtyError(f"{len(after)} files for {len(ids)} documents")
    if any(world.flags(id_) != [True] for id_ in ids):
        raise LiedError(f"flags: {[world.flags(id_) for id_ in ids]}")
    aside = [
        path.name
        for path in world.state.glob(f"{FILE_NAME}.corrupt-*")
        if not path.name.endswith(("-wal", "-shm"))
    ]
    if len(aside) not in expected:
        raise DirtyError(f"set aside: {aside}")


GROUP = Journals()
