"""A document's life with the real parts, in which a system call of the NAS agent may fail.

A life is prepared, then it *acts*: that is when the fault strikes. After each turn nothing may be
lost and no flag may lie; every document has a fate, with a reason that can be read. When the
trouble is over, everything must become safe.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from nas_syncd import copier, mount
from nas_syncd.errors import BY_CODE, SyncError
from nas_syncd.flow import Flow
from nas_syncd.messages import LANGUAGES, TEXTS, explain
from nas_syncd.models import Entry, Fate, FateKind, MountState
from nas_syncd.site import Site
from nas_syncd.upkeep import Upkeep
from tests.faults.lab import DirtyError, LiedError, LostError, StuckError
from tests.faults.strikes import StruckCalls
from tests.faults.threads import Threads, children_are_threads
from tests.helpers import BACKEND_DIR, World
from tests.oracle import Verdict, digest, examine, places_in, snapshot

FOLDER = "2024/01/factures"
DAY = 86_400.0
BLOCK = 4096
SMALL = b"the document's own bytes"
BLOCKS = os.urandom(64) * 300  # five blocks, of which each second is flushed
FREE = 100 << 30
STRANGERS = {f"{FOLDER}/theirs.pdf": b"a stranger's", "photos/cat.jpg": b"no document at all"}


class Witness:
    """The table. It sees for itself that the bytes are in their place before a flag is set."""

    def __init__(self, table: Any, world: World) -> None:
        self._table = table
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def mark(self, marks: Any, at: dt.datetime) -> Any:
        marks = list(marks)
        places = places_in(self._world.state)
        for id_, file_path in marks:
            place = self._world.nas / places.get((id_, file_path), "nowhere")
            source = self._world.uploads / file_path.removeprefix(f"{BACKEND_DIR}/")
            if not place.is_file() or digest(place) != digest(source):
                raise LiedError(f"{file_path} is marked, and {place} does not hold its bytes")
        return self._table.mark(marks, at)


class Life:
    """One installation. A context manager: its threads are gone at the end."""

    kind: ClassVar[str] = ""

    def __init__(self, folder: Path, *, claims: bool = False, calls: Any = None) -> None:
        self.folder = folder
        self.calls: Any = calls or StruckCalls()
        self.calls.renames_exclusively = not claims
        self.calls.free_bytes = FREE
        self.fates: dict[str, Fate] = {}
        self.troubles: list[SyncError] = []
        self.ids: dict[str, str] = {}
        self.spoiled: set[str] = set()
        """Copies that the NAS has spoiled afterwards: they stay where they are."""
        self.may_lie = False
        """The NAS itself has just lost a document: until it is found the flag is wrong."""

    def __enter__(self) -> Life:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(small_blocks())
        self.threads: Threads = self._stack.enter_context(children_are_threads(self.calls))
        self.calls.job = lambda: self.threads.job
        self.world = World(self.folder / "world")
        self._stack.callback(self.world.close)
        for place, content in STRANGERS.items():
            self.put(place, content)
        self.calls.sick = "sick.pdf"
        self.start()
        self.prepare()
        self.before = snapshot(self.world.nas)
        self.calls.made.clear()
        self.threads.rest()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Begin a run, as a daemon does; after another one, when there was one."""
        world = self.world
        self.site: Site = world.site(ready=False, workers=1)
        self.flow: Flow = world.flow(self.site, Witness(world.table(), world), manual=False)
        self.upkeep = Upkeep(self.site, self.flow.table, self.flow.inbox, lambda _ids: None)  # type: ignore[arg-type]

    def restart(self) -> None:
        self.flow.let_go()
        self.site.close()
        self.threads.roles.clear()
        self.calls.forget()
        self.start()

    # -- the world ----------------------------------------------------------------------------

    def put(self, place: str, content: bytes) -> Path:
        path = self.world.nas / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def add(self, name: str, content: bytes, **columns: object) -> str:
        self.ids[name] = id_ = self.world.add(name, content, **columns)
        return id_

    def add_a_healthy_one(self) -> None:
        self.add("well.pdf", b"another document's bytes")

    def time_goes_by(self, seconds: float) -> None:
        """Here, and by the NAS's clock; meanwhile the batch ends."""
        self.world.clock.pass_by(seconds)
        guard, upkeep = self.site.guard, self.upkeep
        if guard._short is not None:
            guard._short = replace(guard._short, until=0.0)
        if upkeep._clean_due < math.inf:
            upkeep._clean_due = 0.0
        for path in self.world.nas.rglob(".nas-syncd*"):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if path.is_file():
                    os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))
        self.threads.rest()

    # -- going --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make what the act needs; nothing fails yet."""

    def act(self) -> None:
        """Do what this life is about, once; a fault may strike."""
        self.turn(upkeep=False)

    def turn(self, *, upkeep: bool = True) -> None:
        """One round of the daemon: look at the NAS, take every pending document on."""
        guard = self.site.guard
        guard.check(write=not guard.view.usable).result(20)
        pending = [str(i) for (i,) in self.world.sql(_PENDING)]
        self.flow.offer(self.flow.table.get(pending).values())
        self.fates = {f.document.id: f for f in self.flow.drain(time.monotonic() + 20)}
        if self.flow.busy or set(self.fates) != set(pending):
            raise StuckError(f"no fate for {set(pending) - set(self.fates)}")
        for fate in self.fates.values():
            self._is_told(fate)
        if upkeep:
            self.keep_house()
        self.check()

    def keep_house(self) -> None:
        """Let the upkeep ask until there is nothing more to ask now."""
        self.upkeep._young_due = 0.0
        quiet, end = 0, time.monotonic() + 20
        while quiet < 2:
            self.upkeep.tick()
            asking = self.upkeep._asking
            for message in self.flow.step(0.05 if asking else 0.0)[1]:
                message()
            quiet = 0 if asking else quiet + 1
            if time.monotonic() > end:
                raise StuckError("the upkeep finds no end")

    def _is_told(self, fate: Fate) -> None:
        if fate.kind is FateKind.SYNCED:
            return
        if fate.reason is None or any(fate.reason.code not in TEXTS[la] for la in LANGUAGES):
            raise StuckError(f"no reason that can be read: {fate}")
        if fate.kind is FateKind.WAITING and fate.document.id not in self.flow.waits:
            raise StuckError(f"waits for nothing: {fate}")
        self.said = {language: explain(fate.reason, language) for language in LANGUAGES}

    # -- judging ------------------------------------------------------------------------------

    @property
    def verdict(self) -> Verdict:
        world = self.world
        seen = examine(
            world.database, world.uploads, world.nas, before=self.before, state=world.state
        )
        seen.partial = [path for path in seen.partial if path not in self.spoiled]
        return seen

    def check(self) -> None:
        """
        Raises:
            BrokenError: Something is lost, a flag lies, or what is nobody's stands about.
        """
        seen = self.verdict
        if seen.changed:
            raise LostError(f"of what stood there before: {seen.changed}")
        if seen.lying and not self.may_lie:
            raise LiedError(f"marked, and not there: {seen.lying}")
        if seen.foreign or seen.partial or seen.doubled:
            raise DirtyError(f"{seen}")

    def get_well(self) -> None:
        """The trouble is over, and time goes by.

        A probe's file, a claim or a dead run's temp file may stay until the next start; a temp
        file of this run's documents only where its removal has failed.

        Raises:
            BrokenError: Not everything has become safe, or something was left.
        """
        self.calls.mend()
        self.calls.free_bytes = 2 * FREE
        for _ in range(4):
            self.time_goes_by(2 * DAY)
            self.again()
            if self.is_well():
                return
        if self.verdict.temps and (self.calls.not_removed or not self.temps_of_this_run()):
            self.restart()
            self.again()
            if self.is_well():
                return
        seen = self.verdict
        if len(seen.safe) < seen.total:
            raise StuckError(f"{seen}\n{self.fates}\n{self.site.guard.view}")
        raise DirtyError(f"{seen}")

    def temps_of_this_run(self) -> list[str]:
        document = re.compile(rf"\.nas-syncd-{self.site.runs.mine}-\d+\.part$")
        return [temp for temp in self.verdict.temps if document.search(temp)]

    def again(self) -> None:
        """What the daemon does by itself when all is well again."""
        self.turn()
        self.may_lie = False

    def is_well(self) -> bool:
        return self.verdict.perfect

    def entry(self, name: str = "sick.pdf") -> Entry | None:
        return self.site.journal.entry(self.flow.table.scope, self.ids[name])

    # -- what is said -------------------------------------------------------------------------

    def code(self) -> str:
        """What is told of the sick document; of the NAS, where it waits for that; else nothing."""
        fate = self.fates.get(self.ids.get("sick.pdf", ""))
        view = self.site.guard.view
        if fate is not None and fate.reason is not None and fate.reason.code != "wait.mount":
            backoff = fate.reason.code == "wait.backoff"
            return str(fate.reason.params["error"]) if backoff else fate.reason.code
        if self.troubles:
            return self.troubles[-1].code
        if view.reason and view.state is not MountState.UNKNOWN:
            return view.reason.code
        entry = self.entry() if "sick.pdf" in self.ids else None
        return entry.reason.code if entry and entry.reason else ""

    def whose(self) -> str:
        code = self.code()
        return str(BY_CODE[code].whose) if code in BY_CODE else "nobody"

    def state(self) -> str:
        entry = self.entry() if "sick.pdf" in self.ids else None
        return str(entry.state) if entry else "-"

    def mount(self) -> str:
        return str(self.site.guard.view.state)


_PENDING = "SELECT id FROM documents WHERE coalesce(synced_to_nas, 0) = 0 ORDER BY id"


@contextlib.contextmanager
def small_blocks() -> Iterator[None]:
    """A document of several blocks and flushes need not be of many MiB."""
    before = copier.BLOCK_BYTES, copier.FLUSH_FIRST_BYTES, mount.FULL_FIRST_RETRY_SECONDS
    copier.BLOCK_BYTES, copier.FLUSH_FIRST_BYTES = BLOCK, 2 * BLOCK
    try:
        yield
    finally:
        copier.BLOCK_BYTES, copier.FLUSH_FIRST_BYTES, mount.FULL_FIRST_RETRY_SECONDS = before
