"""Document, NAS and database change in any order: none is ever stuck without a reason.

A state machine over the real parts: the flow, the journal, the children, a real table and real
folders. Only the clock is a test's own. After each look every document has a fate, and at
the end, when all is well again, every document that has a file is safe.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nas_syncd.messages import LANGUAGES, TEXTS
from nas_syncd.models import Fate, FateKind
from tests.helpers import World

DAY = 86_400.0
NAMES = st.sampled_from(["a.pdf", "A.pdf", "u/a.pdf", "b.pdf", "con.pdf"])
BYTES = st.sampled_from([b"", b"one", b"two", b"the same"])
WHICH = st.integers(0, 9)


class Lives(RuleBasedStateMachine):
    """What the backend, its users and the network may do, between two looks of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="never-stuck-"))
        self.world = World(self.folder / "world")
        self.away = self.folder / "away"
        (self.folder / "outside.pdf").write_bytes(b"what no document may ever hold")
        self.locked: sqlite3.Connection | None = None
        self.waited = False
        """For a lock on the database; it takes seconds, so once for each life."""
        self.unsettled: set[str] = set()
        self.paths: dict[str, str] = {}
        self.kept: dict[str, bytes] = {}
        self.site = self.world.site()
        self.flow = self.world.flow(
            self.site,
            self.world.table(timeout_seconds=0.2),
            manual=False,
            settled=lambda relative, _version: relative not in self.unsettled,
        )

    def teardown(self) -> None:
        if self.locked:
            self.locked.close()
        self.world.close()
        shutil.rmtree(self.folder)

    def one(self, which: int) -> str:
        return list(self.paths)[which % len(self.paths)]

    def file(self, which: int) -> Path:
        return self.world.uploads / self.paths[self.one(which)]

    # -- people and the backend ---------------------------------------------------------------

    @precondition(lambda self: not self.locked and len(self.paths) < 6)
    @rule(
        name=NAMES,
        content=st.none() | BYTES,
        status=st.sampled_from(["completed", "processing", None]),
        date=st.sampled_from(["2024-01-15", None, "9999-12-31"]),
        created_at=st.sampled_from(["2024-01-16 10:00:00", None]),
    )
    def upload(self, name, content, status, date, created_at):
        if content is not None:
            self._clear(self.world.uploads / name)
        more = {"processing_status": status, "date": date, "created_at": created_at}
        id_ = self.world.add(name, content, **more)
        self.paths[id_] = name

    @precondition(lambda self: self.paths)
    @rule(which=WHICH, content=BYTES, settled=st.booleans())
    def write(self, which, content, settled):
        self._clear(self.file(which))
        self.file(which).write_bytes(content)
        (self.unsettled.discard if settled else self.unsettled.add)(self.paths[self.one(which)])

    @precondition(lambda self: self.paths)
    @rule(which=WHICH, instead=st.sampled_from(["nothing", "link", "folder"]))
    def remove(self, which, instead):
        self._clear(self.file(which))
        if instead == "link":
            self.file(which).symlink_to(self.folder / "outside.pdf")
        elif instead == "folder":
            self.file(which).mkdir()

    def _clear(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)

    @precondition(lambda self: self.paths and not self.locked)
    @rule(
        which=WHICH,
        change=st.sampled_from(
            [
                "processing_status = 'completed'",
                "processing_status = 'pending'",
                "doc_type = 'receipt'",
                "date = NULL",
                "synced_to_nas = 0",
                "synced_to_nas = 1",
            ]
        ),
    )
    def edit(self, which, change):
        self.world.sql(f"UPDATE documents SET {change} WHERE id = ?", self.one(which))

    @precondition(lambda self: self.paths and not self.locked)
    @rule(which=WHICH)
    def delete(self, which):
        id_ = self.one(which)
        self.world.sql("DELETE FROM documents WHERE id = ?", id_)
        del self.paths[id_]

    # -- the world ----------------------------------------------------------------------------

    @precondition(lambda self: not self.away.exists())
    @rule()
    def unmount(self):
        self.world.nas.rename(self.away)
        self.world.nas.mkdir()

    @precondition(lambda self: self.away.exists())
    @rule()
    def mount(self):
        self.world.nas.rmdir()
        self.away.rename(self.world.nas)

    @precondition(lambda self: not self.locked)
    @rule()
    def lock(self):
        self.locked = sqlite3.connect(self.world.database, isolation_level=None)
        self.locked.execute("BEGIN IMMEDIATE")

    @precondition(lambda self: self.locked)
    @rule()
    def unlock(self):
        assert self.locked is not None
        self.locked.close()
        self.locked = None

    @rule(seconds=st.sampled_from([1.0, 3600.0, DAY, -DAY]))
    def time_goes_by(self, seconds):
        self.world.clock.pass_by(seconds)

    # -- what we do ---------------------------------------------------------------------------

    @precondition(lambda self: self.paths and not (self.locked and self.waited))
    @rule()
    def look(self):
        """Every document gets a fate; one that is not marked has a reason that can be read."""
        self.waited |= self.locked is not None
        for id_, fate in self._go().items():
            if fate.kind is FateKind.SYNCED:
                assert self.world.flag(id_)
                assert fate.receipt is not None
                assert not self.away.exists()
                place = fate.receipt.destination
                assert (
                    self.world.on_nas()[place]
                    == (self.world.uploads / self.paths[id_]).read_bytes()
                )
                continue
            assert fate.reason is not None, fate
            assert all(fate.reason.code in TEXTS[language] for language in LANGUAGES), fate
            if fate.kind is FateKind.WAITING:
                assert id_ in self.flow.waits

    def _go(self) -> dict[str, Fate]:
        self.site.guard.check().result(30)
        self.flow.offer(self.flow.table.get(list(self.paths)).values())
        fates = {fate.document.id: fate for fate in self.flow.drain(time.monotonic() + 20)}
        assert not self.flow.busy, f"no fate for {self.flow.active()}"
        assert fates.keys() == self.paths.keys()
        return fates

    @invariant()
    def nothing_on_the_nas_is_lost_or_changed(self):
        nas = self.away if self.away.exists() else self.world.nas
        files = {
            str(path.relative_to(nas)): path.read_bytes()
            for path in nas.glob("[0-9]*/*/*/*")
            if path.is_file()
        }
        assert self.kept.items() <= files.items()
        assert b"what no document may ever hold" not in files.values()
        self.kept = files
        assert not self.away.exists() or not any(self.world.nas.iterdir())


class LivesThatEndWell(Lives):
    """At the end all is mended: then nobody waits any more."""

    def teardown(self) -> None:
        try:
            self._mend()
            for _ in range(4):
                fates = self._go() if self.paths else {}
                self.world.clock.pass_by(2 * DAY)
            for id_, name in self.paths.items():
                reason = fates[id_].reason
                refused = reason is not None and reason.code == "refuse.unfilable"
                assert self.world.flag(id_) or refused, (name, fates[id_])
        finally:
            super().teardown()

    def _mend(self) -> None:
        if self.locked:
            self.unlock()
        if self.away.exists():
            self.mount()
        self.unsettled.clear()
        for number, _ in enumerate(self.paths):
            if self.file(number).is_symlink() or not self.file(number).is_file():
                self._clear(self.file(number))
                self.file(number).write_bytes(b"mended")
        self.world.sql("UPDATE documents SET processing_status = 'completed'")


TestNeverStuck = LivesThatEndWell.TestCase
TestNeverStuck.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)
