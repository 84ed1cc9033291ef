"""The database has its troubles at every moment of a document's life.

Three documents go through the real flow, journal, table and children, with a real PostgreSQL or a
SQLite file. At one moment of the way one event happens to the database; it lasts for two more
looks, then it is over, and by and by every row that is left must be safe. One document, the
:data:`~tests.faults.databaseevents.VICTIM`, is the one that events of a row happen to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nas_syncd.documents import DocumentsTable, TableNames, gates
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError
from nas_syncd.flow import Flow
from nas_syncd.messages import LANGUAGES, TEXTS
from nas_syncd.models import Fate, FateKind, State
from nas_syncd.site import Site
from tests.faults import backends, databaseevents
from tests.faults.databaseproxy import CommitEater
from tests.faults.lab import BrokenError, DirtyError, Group, LiedError, LostError, StuckError
from tests.helpers import BACKEND_DIR, World, files_below
from tests.oracle import Row, find_place

NAMES = ("a.pdf", "b.pdf", "c.pdf")
SECONDS = 1.0
"""Our side's patience with the database; the daemon's is ten times that."""
ROUNDS = 10
"""So many looks, an hour and more apart, and all is safe."""
METADATA = (("invoice", "2024-01-15"), ("receipt", "2023-02-01"), ("invoice", "2024-01-16"))
"""What the rows may have said when a file was filed."""
MOMENTS = (
    "before the look-up",
    "after the look-up",
    "after the intent",
    "in the agent's hands",
    "after the receipt",
    "before the mark",
    "before the commit",
    "answer to the commit lost",
    "after the mark",
    "after the note",
)
_IN_A_TRANSACTION = frozenset({"before the commit", "answer to the commit lost"})
"""Our transaction may stand in the event's way, and it has to wait for it, as it would outside."""


class Scene:
    """One case: the world, and the moment at which the event happens."""

    def __init__(self, backend: backends.Backend, folder: Path, event: str, moment: str) -> None:
        self.backend = backend
        self.moment = moment
        self.event = event
        self.world = World(folder / "world")
        self.claimed: set[int] = set()
        """Rows that the backend itself has marked."""
        self.happened = False
        self._trouble = contextlib.ExitStack()
        self._happening: threading.Thread | None = None
        self._failure: BaseException | None = None
        for name in (*NAMES, "d.pdf"):
            self.world.upload(name, f"content of {name}\n".encode() * 500)
        for number, name in enumerate(NAMES, start=1):
            backend.add(number, name)
        backend.keep()
        self.site = self.world.site(nas_timeout_seconds=30.0)
        self._eater = CommitEater(self.server.port, self._eaten) if self._eats else None
        self.table = WatchedTable.connect(self._url, TableNames(), timeout_seconds=SECONDS)
        self.table.scene = self
        self.flow = Flow(self.site, self.table, manual=False, on_fate=self.world.told)
        _watch(self)

    # -- for the events ---------------------------------------------------------------------

    @property
    def postgres(self) -> backends.Postgres:
        assert isinstance(self.backend, backends.Postgres)
        return self.backend

    @property
    def server(self) -> Any:
        return self.postgres.server

    @property
    def sqlite(self) -> backends.Sqlite:
        assert isinstance(self.backend, backends.Sqlite)
        return self.backend

    # -- the moment -------------------------------------------------------------------------

    @property
    def _eats(self) -> bool:
        return self.moment == "answer to the commit lost"

    @property
    def _url(self) -> str:
        url = self.backend.url
        return url.replace(f":{self.server.port}/", f":{self._eater.port}/") if self._eater else url

    def at(self, moment: str) -> None:
        """The flow has come to *moment*."""
        if moment != self.moment or self.happened:
            return
        self.happened = True
        if moment not in _IN_A_TRANSACTION:
            self._happen()
            return
        self._happening = threading.Thread(target=self._happen_beside, name="event")
        self._happening.start()
        self._happening.join(0.3)

    def _eaten(self) -> None:
        self.at("answer to the commit lost")

    def _happen(self) -> None:
        events = databaseevents.POSTGRESQL if _is_server(self.backend) else databaseevents.SQLITE
        self._trouble.enter_context(events[self.event](self))

    def _happen_beside(self) -> None:
        try:
            self._happen()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._failure = error

    def settled(self) -> None:
        """Wait until the event has happened, if something of ours was in its way."""
        if self._happening is not None:
            self._happening.join(30)
            assert not self._happening.is_alive(), "the event itself does not come to an end"
            self._happening = None
        if self._failure is not None:
            raise self._failure

    def over(self) -> None:
        self._trouble.close()

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.backend.close)
            stack.callback(self.world.close)
            if self._eater is not None:
                stack.callback(self._eater.close)
            stack.callback(self.table.close)
            stack.callback(self.flow.let_go)
            stack.callback(self._trouble.close)

    # -- looking ----------------------------------------------------------------------------

    def look(self) -> list[Fate] | str:
        """One look at everything, as the daemon does; the trouble's code if it cannot be asked."""
        ids = [str(row) for row in range(1, len(NAMES) + 1)]
        began = time.monotonic()
        try:
            self.flow.offer(self.table.get(ids).values())
            fates = self.flow.drain(time.monotonic() + 30)
        except (DatabaseUnavailableError, ConfigurationError) as error:
            return str(error.code)
        finally:
            self.settled()
        if self.flow.busy:
            raise StuckError(
                f"in hand after {time.monotonic() - began:.0f} s: {self.flow.active()}"
            )
        for fate in fates:
            self._has_a_reason(fate)
        return fates

    def _has_a_reason(self, fate: Fate) -> None:
        code = fate.reason.code if fate.reason else None
        if fate.kind is not FateKind.SYNCED and code is None:
            raise StuckError(f"{fate.document.id} is not safe, and nobody says why: {fate}")
        if code and not all(code in TEXTS[language] for language in LANGUAGES):
            raise StuckError(f"{code} has no words")

    # -- judging ----------------------------------------------------------------------------

    def about_to_mark(self, marks: Collection[tuple[str, str]]) -> None:
        """Whatever is marked must stand on the NAS by now."""
        on_nas = {place.read_bytes() for place in self.world.nas.glob("[!.]*/**/*.*")}
        for id_, path in marks:
            if self._content(path) not in on_nas:
                raise LiedError(f"{id_} is about to be marked, and {path} is not on the NAS")

    def unsafe(self) -> list[str]:
        """The rows that are not marked; raises for those that are, and should not be."""
        left = {name for name in files_below(self.world.nas) if not _is_ours(name)}
        unmarked = []
        for id_, path, *_, flag in self.backend.rows():
            if not int(flag or 0):
                unmarked.append(f"{id_}: {path}")
            elif self._place(int(id_), path, left) is None and int(id_) not in self.claimed:
                raise LiedError(f"{id_} is marked, and {path} is not on the NAS: {sorted(left)}")
        return unmarked

    def _content(self, path: str) -> bytes:
        return (self.world.uploads / path.removeprefix(f"{BACKEND_DIR}/")).read_bytes()

    def _place(self, id_: int, path: str, left: set[str]) -> str | None:
        source = self.world.uploads / path.removeprefix(f"{BACKEND_DIR}/")
        for kind, date in METADATA:
            row = Row(id_, path, kind, date, flag=True, source=source)
            place = find_place(row, left, self.world.nas)
            if place is not None:
                return place
        return None

    def judge_the_nas(self) -> None:
        """Every file is a document's, whole, where a row has put it; none is there twice."""
        files = files_below(self.world.nas)
        known = {self._content(name): name for name in (*NAMES, "d.pdf")}
        seen: dict[str, str] = {}
        for place, content in files.items():
            name = known.get(content)
            if name is None:
                raise DirtyError(f"{place} is nobody's, or in part")
            if name in seen:
                raise DirtyError(f"{name} is there twice: {seen[name]}, {place}")
            seen[name] = place
            ids = (databaseevents.VICTIM, *range(1, len(NAMES) + 1))
            if all(self._place(id_, f"{BACKEND_DIR}/{name}", {place}) is None for id_ in ids):
                raise DirtyError(f"{name} stands at {place}, where no rule has put it")

    def judge_the_journal(self) -> None:
        """A receipt that is there is for bytes that are there."""
        for entry in self.site.journal.in_states(self.table.scope, list(State)):
            receipt = entry.receipt
            if receipt and not (self.world.nas / receipt.destination).is_file():
                raise LostError(f"the journal knows of {receipt.destination}, the NAS does not")


class WatchedTable(DocumentsTable):
    """Tells the scene how far we have come."""

    scene: Scene

    def get(self, ids: Collection[str], user_id: str | None = None) -> dict[str, Any]:
        self.scene.at("before the look-up")
        rows = super().get(ids, user_id)
        self.scene.at("after the look-up")
        return rows

    def mark(self, marks: Collection[tuple[str, str]], at: Any) -> dict[str, Any]:
        self.scene.about_to_mark(marks)
        self.scene.at("before the mark")
        outcomes = super().mark(marks, at)
        self.scene.at("after the mark")
        return outcomes

    def listen(self, before_commit: Callable[..., None]) -> None:
        sa.event.listen(self._gate.engine, "commit", before_commit)


def _watch(scene: Scene) -> None:
    """The moments that are not the table's."""
    journal, agent = scene.site.journal, scene.site.agent
    begin, receive, note_all, ask = journal.begin, journal.receive, journal.note_all, agent.ask

    def told(moment: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def method(*args: Any, **more: Any) -> Any:
            result = do(*args, **more)
            scene.at(moment)
            return result

        return method

    def noted(scope: Any, moves: Sequence[Any], **more: Any) -> Any:
        result = note_all(scope, moves, **more)
        if any(move[1] is State.SYNCED for move in moves):
            scene.at("after the note")
        return result

    def asked(op: str, **more: Any) -> Any:
        if op != "copy" or scene.happened:
            return ask(op, **more)
        with _paused(scene.site):
            answer = ask(op, **more)
            scene.at("in the agent's hands")
        return answer

    replacements = {"begin": told("after the intent", begin), "note_all": noted}
    replacements["receive"] = told("after the receipt", receive)
    for name, method in replacements.items():
        setattr(journal, name, method)
    agent.ask = asked  # type: ignore[method-assign]
    scene.table.listen(lambda _connection: scene.at("before the commit"))


@contextlib.contextmanager
def _paused(site: Site) -> Any:
    pids = site.agent.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _is_ours(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".nas-syncd")


def _is_server(backend: backends.Backend) -> bool:
    return isinstance(backend, backends.Postgres)


class DatabaseGroup:
    """The events of one kind of database, at every moment."""

    def __init__(
        self,
        kind: str,
        events: dict[str, Callable[[Scene], AbstractContextManager[None]]],
        moments: Sequence[str],
        short: Sequence[str],
        missing: Callable[[], str | None],
    ) -> None:
        self.name = kind
        self.about = f"the {kind} database has its troubles at every moment of a document's life"
        self.missing = missing
        self._events = events
        self._moments = moments
        self._short = short

    def cases(self) -> Sequence[str]:
        return [
            f"{event}: {moment}"
            for event in self._events
            for moment in self._moments
            if event not in databaseevents.OWN_DISK or os.geteuid() == 0
            # what is written to cannot be made read-only
            if (event, moment) != ("disk read-only", "before the commit")
        ]

    def short(self) -> Sequence[str]:
        return self._short

    def run(self, case: str, folder: Path) -> str:
        """Have the event at the moment, then let it pass; all must be safe in the end."""
        gates.LOCKED_PATIENCE_SECONDS = 0.3  # its length is the table's tests' matter
        event, moment = case.split(": ")
        scene = Scene(self._backend(folder, event), folder, event, moment)
        try:
            return _live_through(scene)
        finally:
            scene.close()

    def _backend(self, folder: Path, event: str) -> backends.Backend:
        if self.name == "postgresql":
            return backends.Postgres()
        own_disk = event in databaseevents.OWN_DISK
        return backends.Sqlite(folder / "database", own_disk=own_disk)


def _live_through(scene: Scene) -> str:
    seen: list[str] = []
    for _ in range(2):
        seen += _codes(scene.look())
        scene.world.clock.pass_by(60)
        if scene.event in databaseevents.ROWS:
            scene.unsafe()
    if not scene.happened:
        raise BrokenError(f"it never came to that: {scene.moment}")
    scene.over()
    for number in range(ROUNDS):
        if not scene.unsafe() and number:
            break
        seen += _codes(scene.look())
        scene.world.clock.pass_by(4000)
    else:
        raise StuckError(f"not safe: {scene.unsafe()}; what was said: {seen}")
    scene.judge_the_nas()
    scene.judge_the_journal()
    return _outcome(seen)


def _codes(look: list[Fate] | str) -> list[str]:
    if isinstance(look, str):
        return [look]
    return [fate.reason.code if fate.reason else "synced" for fate in look]


def _outcome(seen: list[str]) -> str:
    troubles = [code for code in dict.fromkeys(seen) if code not in ("synced", "rest.synced")]
    return f"{troubles[0]}, then safe" if troubles else "safe"


POSTGRESQL: Group = DatabaseGroup(
    "postgresql",
    databaseevents.POSTGRESQL,
    MOMENTS,
    (
        "connections cut: answer to the commit lost",
        "row deleted, its id used again: before the mark",
    ),
    backends.postgres_missing,
)
SQLITE: Group = DatabaseGroup(
    "sqlite",
    databaseevents.SQLITE,
    tuple(moment for moment in MOMENTS if moment != "answer to the commit lost"),
    ("restored from a backup: after the mark", "locked for long: before the mark"),
    lambda: None,
)
