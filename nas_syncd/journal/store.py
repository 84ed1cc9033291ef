"""The journal's rows: one for each document, its receipts, the places it owns, its history.

Every change of state goes through :meth:`Journal._move`, which alone knows what is legal and alone
writes the history. Receipts are durable when the call returns (``synchronous=FULL``); what may
be lost with the power, at the cost of asking again, is not waited for.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import threading
import uuid
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nas_syncd.errors import JournalError
from nas_syncd.journal.rescue import alone, is_damage, keep_identity, kept_identity, set_aside
from nas_syncd.journal.schema import (
    COLUMNS,
    STANDING_COLUMNS,
    VERSIONS,
    Standing,
    encoded,
    entry_from,
    params_text,
    standing_from,
    statements,
    time_text,
)
from nas_syncd.models import (
    Document,
    Entry,
    Identity,
    Intent,
    Reason,
    Receipt,
    Scope,
    SourceVersion,
    State,
)
from nas_syncd.names import place_key

FILE_NAME = "journal.sqlite3"
BUSY_SECONDS = 10.0
_CHUNK = 400
T = TypeVar("T")
_NO_INTENT: dict[str, object] = dict.fromkeys(
    ("intent_run", "intent_nas", "intent_temp", "intent_places", "intent_at")
)
_PASSING = frozenset({State.COPYING, State.MARKING})
"""States that last a moment: the history does without them."""

_OPEN = frozenset({State.WAITING, State.COPYING, State.FAILED, State.PROBLEM, State.GONE})
LEGAL: dict[State, frozenset[State]] = {
    State.WAITING: _OPEN | {State.COPIED},
    State.COPYING: _OPEN | {State.COPIED},
    State.COPIED: _OPEN | {State.COPIED, State.MARKING, State.SYNCED},
    State.MARKING: _OPEN | {State.COPIED, State.MARKING, State.SYNCED},
    State.SYNCED: _OPEN | {State.COPIED, State.SYNCED},
    State.FAILED: _OPEN | {State.COPIED},
    State.PROBLEM: _OPEN | {State.COPIED},
    State.GONE: _OPEN | {State.COPIED},
}
"""From which state which other may follow. ``copied`` without ``copying`` is an adopted file."""


class Owner(NamedTuple):
    """Whose file stands at a place."""

    scope: Scope
    id: str
    file_path: str


Received = tuple[Document, str, Receipt, str | None]
"""A document, its path below the upload folder, its receipt, the temp file it was written to."""


class Tally(NamedTuple):
    """How many documents of one scope stand where."""

    proven: int
    waiting: int
    copying: int
    unmarked: int
    failed: int
    problems: int


class Journal:
    """The journal of one state directory. Thread-safe; other processes may use it at once."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        on_rebuilt: Callable[[str, Path | None], None] = lambda _detail, _aside: None,
    ) -> None:
        """Open it, or make it. A damaged one is set aside, now or when the damage is met.

        Args:
            on_rebuilt: Told that a new one was begun where there had been one: why, and where
                the old one lies (None: it was gone).

        Raises:
            JournalError: The folder cannot be used, or the file is of a later version.
        """
        self.folder = folder
        self._path = folder / FILE_NAME
        self._now = now
        self._on_rebuilt = on_rebuilt
        self.alive: Callable[[str], bool] = lambda _holder: False
        """Whether a holder (the flow that has a document in hand) still lives."""
        self._lock = threading.RLock()
        self.installation = ""
        self._damage = ""
        """What is wrong with the file; empty while nothing is known to be."""
        self._damaged: int | None = None
        """The inode of the damaged file, until it is set aside."""
        self._aside: Path | None = None
        """Where it was set aside, until the new one is there."""
        self._closed = False
        self._has_crossed = False
        """Whether the connection is that of the process that we were forked from."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open_or_rebuild()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{error}: {folder}", path=str(folder)) from error
        _follow_forks(weakref.ref(self))

    def _open_or_rebuild(self) -> None:
        try:
            self._open()
        except (JournalError, sqlite3.Error) as error:
            if not is_damage(error):
                raise
            self._note_damage(error)
            self._rebuild()

    def _note_damage(self, error: Exception) -> None:
        self._damage, self._damaged = str(error), self._inode

    def _rebuild(self) -> None:
        """Begin a new journal, unless another process has already done so."""
        with alone(self.folder):
            detail, self._damage = self._damage, ""
            try:
                if self._damaged is not None and _inode(self._path) == self._damaged:
                    self._aside = set_aside(self._path, self._now())
                self._damaged = None
                self._open()
            except BaseException:
                self._damage = self._damage or detail or "it was taken away"
                raise
        aside, self._aside = self._aside, None
        if aside is not None:
            self._on_rebuilt(detail, aside)

    def _open(self) -> None:
        before = self._inode = _inode(self._path)
        self._db = self._connect(self._path)
        self._opening = True
        try:
            if before is None:  # else it stays: the file may have been set aside meanwhile
                self._inode = _inode(self._path)
            fresh = self._migrate() == 0
            self.installation = self._installation()
            self._keep_identity(fresh)
        except BaseException:
            self._db.close()
            raise
        finally:
            self._opening = False

    def _keep_identity(self, fresh: bool) -> None:
        """What is ours outlives the journal: a new one remembers it from the first moment."""
        known, kept = self.identity(), kept_identity(self.folder)
        if known is not None:
            keep_identity(self.folder, known)
        elif kept is not None:
            self.remember_identity(kept)
            if fresh and not self._aside:
                self._on_rebuilt("", None)

    def _connect(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode=WAL")
            os.chmod(path, 0o600)
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self) -> int:
        """Bring the tables up to date; return the version that was found. What is lost with the
        power is done again, and nothing durable is written before it."""
        with self._transaction() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version > len(VERSIONS):
                raise JournalError(
                    f"journal of version {version}, this program knows {len(VERSIONS)}",
                    path=str(self.folder),
                )
            for number, script in enumerate(VERSIONS[version:], start=version + 1):
                for statement in statements(script):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={number}")
        return version

    def about_to_fork(self) -> None:
        """Wait until no thread has a transaction: its locks would be the child's for ever, for
        SQLite keeps in memory what a process has locked."""
        self._lock.acquire()

    def has_forked(self) -> None:
        self._lock.release()

    def forked(self) -> None:
        """A connection must not cross a fork: the child opens its own when it wants one. Not at
        once: locks in SQLite's memory may be held for ever, by threads that the child has not."""
        self._lock = threading.RLock()
        self._has_crossed = not self._closed

    def _connect_anew(self) -> None:
        """After a fork. The parent's connection is closed first: while it is there, SQLite believes
        that the child has the locks which only its parent has."""
        self._db.close()
        self._db = self._connect(self.folder / FILE_NAME)
        self._has_crossed = False

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One ``BEGIN IMMEDIATE`` transaction (FACTS: deferred ones fail with BUSY_SNAPSHOT)."""
        with self._lock:
            try:
                self._mend()
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # SQLite may have done it
                        self._db.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, UnicodeError, OverflowError, OSError) as error:
                raise self._error(error) from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                self._mend()
                return self._db.execute(sql, values).fetchall()
            except (sqlite3.Error, UnicodeError, OverflowError, OSError) as error:
                raise self._error(error) from error

    def _read(
        self, make: Callable[[sqlite3.Row], T], sql: str, values: Sequence[object] = ()
    ) -> list[T]:
        """Return what *make* makes of each row. The lock is held to the end, so that what turns
        out to be damage is that of the file that was read, and not of one begun since."""
        with self._lock:
            return [self._made(make, row) for row in self._rows(sql, values)]

    def _made(self, make: Callable[[Any], T], value: Any) -> T:
        """Return what *make* makes of what was read; what nobody can have written is damage."""
        try:
            return make(value)
        except (ValueError, TypeError, LookupError) as error:
            self._note_damage(error)
            raise JournalError(
                f"not ours: {error}: {self.folder}", path=str(self.folder)
            ) from error

    def _error(self, error: Exception) -> JournalError:
        if is_damage(error) or self._is_emptied():
            self._note_damage(error)
        return JournalError(f"{error}: {self.folder}", path=str(self.folder))

    def _is_emptied(self) -> bool:
        """Whether the file that we had open has no tables any more, which SQLite takes calmly."""
        found: int | None
        try:
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error:
            found = None
        return bool(self.installation) and found == 0

    def _mend(self) -> None:
        """Whoever met the damage was told; the next one finds a new journal. So does who has a
        file open that another process has set aside. Not while it is being opened, which is a part
        of the mending."""
        if self._has_crossed:
            self._connect_anew()
        if not (self._closed or self._opening) and (self._damage or self._is_replaced()):
            self._db.close()
            self._rebuild()

    def _is_replaced(self) -> bool:
        return not self._db.in_transaction and _inode(self._path) != self._inode

    def close(self) -> None:
        with self._lock:
            self._closed, self._has_crossed = True, False
            self._db.close()

    # -- what we know of ourselves ----------------------------------------------------------

    def get(self, key: str) -> Any:
        """Return what :meth:`put` kept under *key*, or None."""
        found = self._read(_value, "SELECT value FROM meta WHERE key = ?", (key,))
        return found[0] if found else None

    def put(self, key: str, value: object, *, durable: bool = False) -> None:
        with self._transaction(durable=durable) as db:
            db.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(value, default=str)),
            )

    def _installation(self) -> str:
        with self._transaction(durable=True) as db:
            fresh = json.dumps(self.installation or uuid.uuid4().hex[:12])
            db.execute("INSERT OR IGNORE INTO meta VALUES ('installation', ?)", (fresh,))
        return str(self.get("installation"))

    def identity(self) -> Identity | None:
        """Return the NAS that this installation belongs to, None before the first one."""
        with self._lock:
            known = self.get("identity")
            return self._made(lambda values: Identity(**values), known) if known else None

    def remember_identity(self, identity: Identity) -> None:
        keep_identity(self.folder, identity)
        self.put("identity", asdict(identity), durable=True)

    def entries(self, scope: Scope, ids: Collection[str]) -> dict[str, Entry]:
        return {entry.id: entry for entry in self._of(entry_from, COLUMNS, scope, ids)}

    def _standings(self, scope: Scope, ids: Collection[str]) -> dict[str, Standing]:
        found = self._of(standing_from, STANDING_COLUMNS, scope, ids)
        return {standing.id: standing for standing in found}

    def _of(
        self,
        make: Callable[[sqlite3.Row], T],
        columns: str,
        scope: Scope,
        ids: Collection[str],
    ) -> Iterator[T]:
        for chunk in _chunks([id_ for id_ in ids if storable(id_) == id_]):
            marks = ",".join("?" * len(chunk))
            yield from self._read(
                make,
                f"SELECT {columns} FROM document WHERE db = ? AND tbl = ? AND id IN ({marks})",
                (scope.database, scope.table, *chunk),
            )

    def entry(self, scope: Scope, document_id: str) -> Entry | None:
        return self.entries(scope, [document_id]).get(document_id)

    def in_states(
        self, scope: Scope, states: Collection[State], after: str = "", limit: int = 500
    ) -> list[Entry]:
        """Return a page of entries in one of *states*, by id, beyond the id *after*.

        Costs what the page holds, however many entries stand in these states or in others.
        """
        wanted = sorted(set(states))
        if not wanted:
            return []
        one = (
            f"SELECT {COLUMNS} FROM document INDEXED BY document_page"
            " WHERE db = ? AND tbl = ? AND state = ? AND id > ?"
        )
        return self._read(
            entry_from,
            f"{' UNION ALL '.join([one] * len(wanted))} ORDER BY id LIMIT ?",
            (*(v for state in wanted for v in (scope.database, scope.table, state, after)), limit),
        )

    def count_in_states(self, scope: Scope, states: Collection[State]) -> int:
        """Return how many entries stand in one of *states*. Costs nothing to speak of."""
        marks = ",".join("?" * len(states))
        rows = self._rows(
            "SELECT coalesce(sum(documents), 0) AS n FROM tally"
            f" WHERE db = ? AND tbl = ? AND state IN ({marks})",
            (scope.database, scope.table, *states),
        )
        return int(rows[0]["n"])

    def versions(
        self, scope: Scope, nas: str | None, relatives: Collection[str]
    ) -> dict[str, SourceVersion]:
        """Return, by path below the upload folder, the version that is marked and proven."""
        found: dict[str, SourceVersion] = {}
        wanted = {storable(relative): relative for relative in relatives}
        for chunk in _chunks(wanted):
            marks = ",".join("?" * len(chunk))
            for row in self._rows(
                "SELECT relative, size, mtime_ns, inode FROM document INDEXED BY document_relative"
                f" WHERE db = ? AND tbl = ? AND relative IN ({marks}) AND state = ? AND nas IS ?",
                (scope.database, scope.table, *chunk, State.SYNCED, nas),
            ):
                version = SourceVersion(row["size"], row["mtime_ns"], row["inode"])
                found[wanted[row["relative"]]] = version
        return found

    def owners(self, nas: str, paths: Iterable[str]) -> dict[str, Owner]:
        """Return who owns each of *paths* (by :func:`place_key`) on that NAS."""
        found: dict[str, Owner] = {}
        for chunk in _chunks({place_key(path) for path in paths}):
            marks = ",".join("?" * len(chunk))
            for row in self._rows(
                f"SELECT key, db, tbl, id, file_path FROM place WHERE nas = ? AND key IN ({marks})",
                (nas, *chunk),
            ):
                found[row["key"]] = Owner(Scope(row["db"], row["tbl"]), row["id"], row["file_path"])
        return found

    def tally(self, scope: Scope, nas: str | None) -> Tally:
        """Return how many stand where. Costs nothing to speak of, however many there are."""
        counts: dict[str, int] = {}
        proven = 0
        for row in self._rows(
            "SELECT state, nas, documents AS n FROM tally WHERE db = ? AND tbl = ?",
            (scope.database, scope.table),
        ):
            counts[row["state"]] = counts.get(row["state"], 0) + row["n"]
            if row["state"] == State.SYNCED and nas is not None and row["nas"] == nas:
                proven = row["n"]
        return Tally(
            proven=proven,
            waiting=counts.get(State.WAITING, 0),
            copying=counts.get(State.COPYING, 0),
            unmarked=counts.get(State.COPIED, 0) + counts.get(State.MARKING, 0),
            failed=counts.get(State.FAILED, 0),
            problems=counts.get(State.PROBLEM, 0),
        )

    def young(self, nas: str, received_before: dt.datetime, limit: int) -> list[Entry]:
        """Return receipts that still want their second look, oldest first."""
        return self._read(
            entry_from,
            f"SELECT {COLUMNS} FROM document WHERE young AND nas = ? AND received_at < ?"
            " ORDER BY received_at LIMIT ?",
            (nas, time_text(received_before), limit),
        )

    def temp_of(self, scope: Scope, document_id: str) -> str | None:
        """Return the temp file that the receipt's bytes were written to, while it is young."""
        rows = self._rows(
            "SELECT temp FROM document WHERE db = ? AND tbl = ? AND id = ?",
            (scope.database, scope.table, document_id),
        )
        return rows[0]["temp"] if rows else None

    def by_temp(self, temp: str) -> tuple[Entry, bool] | None:
        """Return whose temp file this is, and whether there is a receipt for it."""
        found = self._read(
            lambda row: (entry_from(row), row["temp"] == temp and row["digest"] is not None),
            f"SELECT {COLUMNS}, temp FROM document WHERE temp = ? OR intent_temp = ?",
            (temp, temp),
        )
        return found[0] if found else None

    def history(self, scope: Scope, document_id: str, limit: int = 50) -> list[dict[str, Any]]:
        rows = self._rows(
            "SELECT at, was, became, code, detail FROM history WHERE db = ? AND tbl = ? AND id = ?"
            " ORDER BY seq DESC LIMIT ?",
            (scope.database, scope.table, document_id, limit),
        )
        return [dict(row) for row in rows]

    # -- writing ----------------------------------------------------------------------------

    def begin(
        self,
        works: Sequence[tuple[Document, str, Intent]],
        scope: Scope,
        *,
        holder: str = "",
        decided_on: Mapping[str, Entry | None] | None = None,
    ) -> set[str]:
        """Journal the intents of copies that are about to begin; return the ids that may.

        Left out is what another living flow has in hand, and what another one has brought
        further since it was decided on.
        """
        may: set[str] = set()
        with self._transaction(durable=True) as db:
            now = time_text(self._now())
            known = self._standings(scope, [document.id for document, _, _ in works])
            for document, relative, intent in works:
                was = known.get(document.id)
                if self._held(was, holder) or self._overtaken(scope, document, was, decided_on):
                    continue
                changes = {
                    "intent_run": intent.run,
                    "intent_nas": intent.nas,
                    "intent_temp": intent.temp,
                    "intent_places": json.dumps(intent.candidates),
                    "intent_at": time_text(intent.begun_at),
                    "holder": holder or None,
                }
                self._move(
                    db,
                    scope,
                    document,
                    was,
                    State.COPYING,
                    now=now,
                    relative=relative,
                    changes=changes,
                )
                may.add(document.id)
        return may

    def _held(self, was: Standing | None, by: str) -> bool:
        """Whether somebody else, who lives, has it in hand."""
        other = was.holder if was else None
        return other is not None and other != by and self.alive(other)

    def _overtaken(
        self,
        scope: Scope,
        document: Document,
        was: Standing | None,
        decided_on: Mapping[str, Entry | None] | None,
    ) -> bool:
        """Whether somebody has verified or marked it since *decided_on* was read."""
        if was is None or decided_on is None or was.file_path != document.file_path:
            return False
        if was.state not in (State.COPIED, State.MARKING, State.SYNCED):
            return False
        before, now = decided_on.get(document.id), self.entry(scope, document.id)
        return _state_and_receipt(now) != _state_and_receipt(before)

    def let_go(self, holder: str) -> None:
        """A flow ends: what it still had in hand is free. Its intents stay, to be resolved."""
        with self._transaction() as db:
            db.execute("UPDATE document SET holder = NULL WHERE holder = ?", (holder,))

    def receive(self, received: Sequence[Received], *, marking: bool = False) -> set[str]:
        """Keep receipts: durable on return.

        Returns the ids of those whose place is another document's by now (another process has
        adopted the very same file a moment ago): theirs are not kept, they go on waiting.

        Args:
            marking: Their flags are set at once: one transaction less.
        """
        refused: set[str] = set()
        with self._transaction(durable=True) as db:
            now = time_text(self._now())
            known, owned = self._known(received), self._owned(received)
            for one in received:
                document, _, receipt, _ = one
                was = known.get((receipt.scope, document.id))
                mine = Owner(receipt.scope, document.id, document.file_path)
                place = (receipt.nas, place_key(receipt.destination))
                if owned.setdefault(place, mine) == mine:
                    self._keep_receipt(db, one, was, now, marking=marking)
                else:
                    self._refuse_receipt(db, one, was, now)
                    refused.add(document.id)
        return refused

    def _keep_receipt(
        self,
        db: sqlite3.Connection,
        one: Received,
        was: Standing | None,
        now: str,
        *,
        marking: bool,
    ) -> None:
        document, relative, receipt, temp = one
        scope, changes = receipt.scope, _kept(receipt, temp)
        if marking:  # from copied, as is legal; nobody sees it in between
            changes["state"] = State.MARKING
        self._move(
            db, scope, document, was, State.COPIED, now=now, relative=relative, changes=changes
        )
        db.execute(
            "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (nas, key)"
            " DO UPDATE SET digest = excluded.digest",
            (
                receipt.nas,
                place_key(receipt.destination),
                receipt.destination,
                *_key(scope, document),
                document.file_path,
                receipt.sha256,
            ),
        )

    def _refuse_receipt(
        self, db: sqlite3.Connection, one: Received, was: Standing | None, now: str
    ) -> None:
        document, relative, receipt, _ = one
        self._move(
            db,
            receipt.scope,
            document,
            was,
            State.WAITING,
            Reason("wait.place", {"path": receipt.destination}),
            now=now,
            relative=relative,
            changes=_NO_INTENT,
        )

    def _known(self, received: Sequence[Received]) -> dict[tuple[Scope, str], Standing]:
        ids: dict[Scope, list[str]] = {}
        for document, _, receipt, _ in received:
            ids.setdefault(receipt.scope, []).append(document.id)
        return {
            (scope, id_): standing
            for scope, some in ids.items()
            for id_, standing in self._standings(scope, some).items()
        }

    def _owned(self, received: Sequence[Received]) -> dict[tuple[str, str], Owner]:
        places: dict[str, list[str]] = {}
        for _, _, receipt, _ in received:
            places.setdefault(receipt.nas, []).append(receipt.destination)
        return {
            (nas, key): owner
            for nas, some in places.items()
            for key, owner in self.owners(nas, some).items()
        }

    def note(
        self,
        scope: Scope,
        document: Document,
        state: State,
        reason: Reason | None = None,
        *,
        relative: str | None = None,
        next_attempt: dt.datetime | None = None,
        failed: bool = False,
        keep_intent: bool = False,
        holder: str = "",
    ) -> None:
        """Move one document to *state*; :meth:`note_all` for many."""
        self.note_all(
            scope,
            [(document, state, reason, relative)],
            next_attempt=next_attempt,
            failed=failed,
            keep_intent=keep_intent,
            holder=holder,
        )

    def note_all(
        self,
        scope: Scope,
        moves: Sequence[tuple[Document, State, Reason | None, str | None]],
        *,
        next_attempt: dt.datetime | None = None,
        failed: bool = False,
        keep_intent: bool = False,
        holder: str = "",
        only_from: Collection[State] = frozenset(State),
    ) -> set[str]:
        """Move documents; ``failed`` counts an attempt, an intent is given up unless kept.

        Passed over, not refused, is what another living flow has in hand, and what does not
        stand in one of *only_from* any more: somebody else was quicker. Returns the ids moved.
        """
        moved: set[str] = set()
        until = time_text(next_attempt) if next_attempt else None
        with self._transaction() as db:
            now = time_text(self._now())
            known = self._standings(scope, [document.id for document, *_ in moves])
            for document, state, reason, relative in moves:
                if document.id in moved:  # twice in one call
                    known |= self._standings(scope, [document.id])
                was = known.get(document.id)
                if self._held(was, holder) or (was and was.state not in only_from):
                    continue
                moved.add(document.id)
                changes: dict[str, object] = {"next_attempt": until}
                if failed:
                    same = was is not None and was.file_path == document.file_path
                    changes["attempts"] = (was.attempts if was and same else 0) + 1
                if state is not State.MARKING:
                    changes["holder"] = None
                if not keep_intent:
                    changes |= _NO_INTENT
                self._move(
                    db,
                    scope,
                    document,
                    was,
                    state,
                    reason,
                    now=now,
                    relative=relative,
                    changes=changes,
                )
        return moved

    def forget_receipt(self, scope: Scope, document: Document, reason: Reason) -> None:
        """The receipt proves nothing any more. What was filed stays, and stays this document's
        place; and a temp file that a NAS brings back is still known by the receipt."""
        with self._transaction(durable=True) as db:
            was = self._standings(scope, [document.id]).get(document.id)
            now, changes = time_text(self._now()), {"young": 0}
            self._move(db, scope, document, was, State.WAITING, reason, now=now, changes=changes)

    def retry_now(self, scope: Scope, ids: Collection[str]) -> None:
        """Clear the backoff: somebody asked for these now."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE document SET attempts = 0, next_attempt = NULL"
                " WHERE db = ? AND tbl = ? AND id = ?",
                [(scope.database, scope.table, one) for one in ids],
            )

    def grown_up(self, scope: Scope, ids: Collection[str]) -> None:
        """The second look found these in their places."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE document SET young = 0, temp = NULL WHERE db = ? AND tbl = ? AND id = ?",
                [(scope.database, scope.table, one) for one in ids],
            )

    def _move(
        self,
        db: sqlite3.Connection,
        scope: Scope,
        document: Document,
        was: Standing | None,
        state: State,
        reason: Reason | None = None,
        *,
        now: str,
        relative: str | None = None,
        changes: Mapping[str, object],
    ) -> None:
        """The one place where a document changes its state.

        Args:
            was: What the journal holds of it, read in this transaction.
            changes: What else is to be set in its row, by column.
        """
        code = reason.code if reason else None
        if was is not None and was.file_path != document.file_path:
            self._start_over(db, scope, document, was, now)
            was = None
        if was is not None and state not in LEGAL[was.state]:
            raise JournalError(f"{document.id}: {was.state} cannot become {state}")
        same = was is not None and was.state is state and was.code == code
        row: dict[str, object] = {
            "state": state,
            "code": code,
            "params": params_text(reason),
            "since": was.since if same and was else now,
            **changes,
        }
        path = None if relative is None else storable(relative)
        if was is None:
            values = (*_key(scope, document), document.file_path, path, document.original_name, now)
            db.execute(_insertion(tuple(row)), (*values, *row.values()))
        else:  # an index is written for each column that is named, whether it changes or not
            if path not in (None, was.relative):
                row["relative"] = path
            if document.original_name not in (None, was.name):
                row["name"] = document.original_name
            db.execute(_update(tuple(row)), (*row.values(), *_key(scope, document)))
        if not same and state not in _PASSING:
            self._remember(db, scope, document.id, was, state, reason, now)

    def _start_over(
        self, db: sqlite3.Connection, scope: Scope, document: Document, was: Standing, now: str
    ) -> None:
        """The row's id stands for another document now: nothing of the old one counts."""
        reason = Reason("gone.replaced", {"file_path": was.file_path})
        self._remember(db, scope, document.id, was, State.GONE, reason, now)
        db.execute(
            "DELETE FROM document WHERE db = ? AND tbl = ? AND id = ?", _key(scope, document)
        )

    def _remember(
        self,
        db: sqlite3.Connection,
        scope: Scope,
        document_id: str,
        was: Standing | None,
        state: State,
        reason: Reason | None,
        now: str,
    ) -> None:
        detail: dict[str, object] = dict(reason.params) if reason else {}
        if was and was.digest is not None and state in (State.SYNCED, State.GONE):
            detail["destination"] = was.destination
            detail["sha256"] = was.digest
        db.execute(
            "INSERT INTO history (at, db, tbl, id, was, became, code, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                scope.database,
                scope.table,
                document_id,
                was.state if was else None,
                state,
                reason.code if reason else None,
                encoded(detail) if detail else None,
            ),
        )


@cache
def _insertion(columns: tuple[str, ...]) -> str:
    """The statement that writes the first row of a document."""
    return (
        "INSERT INTO document (db, tbl, id, file_path, relative, name, first_seen,"
        f" {', '.join(columns)}) VALUES ({', '.join('?' * (7 + len(columns)))})"
    )


@cache
def _update(columns: tuple[str, ...]) -> str:
    """The statement that sets these *columns* of a document's row."""
    changes = ", ".join(f"{column} = ?" for column in columns)
    return f"UPDATE document SET {changes} WHERE db = ? AND tbl = ? AND id = ?"


def _kept(receipt: Receipt, temp: str | None) -> dict[str, object]:
    """A receipt as columns. What failed before does not count any more, nor does the intent."""
    return {
        "size": receipt.version.size,
        "mtime_ns": receipt.version.mtime_ns,
        "inode": receipt.version.inode,
        "algorithm": "sha256",
        "digest": receipt.sha256,
        "nas": receipt.nas,
        "destination": receipt.destination,
        "filed_as": receipt.filed_as,
        "received_at": time_text(receipt.received_at),
        "temp": temp,
        "young": 1,
        "attempts": 0,
        "next_attempt": None,
        **_NO_INTENT,
    }


def _value(row: sqlite3.Row) -> Any:
    return json.loads(row["value"])


def _inode(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def _follow_forks(journal: weakref.ref[Journal]) -> None:
    """Tell the journal of each fork. Hooks are registered for ever, and shall not keep it."""
    forking: list[Journal] = []  # at most one: its lock is held

    def before() -> None:
        if (kept := journal()) is not None:
            kept.about_to_fork()
            forking.append(kept)

    def in_parent() -> None:
        if forking:
            forking.pop().has_forked()

    def in_child() -> None:
        if forking:
            forking.pop().forked()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def storable(text: str) -> str:
    """Return *text* as SQLite can hold it: a name that is not UTF-8 is escaped, always alike."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _state_and_receipt(entry: Entry | None) -> tuple[State, Receipt | None] | None:
    return (entry.state, entry.receipt) if entry else None


def _key(scope: Scope, document: Document) -> tuple[str, str, str]:
    return scope.database, scope.table, document.id


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    items = list(values)
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
