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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nas_syncd.errors import JournalError
from nas_syncd.journal.schema import COLUMNS, VERSIONS, entry_from, params_text, time_text
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
        self, folder: Path, *, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> None:
        """Open it, or make it.

        Raises:
            JournalError: The folder cannot be used, or the file is of a later version.
        """
        self.folder = folder
        self._now = now
        self._lock = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._connect(folder / FILE_NAME)
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{error}: {folder}", path=str(folder)) from error
        self.installation = self._installation()
        os.register_at_fork(after_in_child=self._forked)

    def _connect(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        os.chmod(path, 0o600)
        return db

    def _migrate(self) -> None:
        with self._transaction(durable=True) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(VERSIONS):
                raise JournalError(
                    f"journal of version {version}, this program knows {len(VERSIONS)}",
                    path=str(self.folder),
                )
            for number, script in enumerate(VERSIONS[version:], start=version + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version={number}")

    def _forked(self) -> None:
        """A connection must not cross a fork: the child opens its own."""
        self._lock = threading.RLock()
        self._db = self._connect(self.folder / FILE_NAME)

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One ``BEGIN IMMEDIATE`` transaction (FACTS: deferred ones fail with BUSY_SNAPSHOT)."""
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalError(f"{error}: {self.folder}", path=str(self.folder)) from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise JournalError(f"{error}: {self.folder}", path=str(self.folder)) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- what we know of ourselves ----------------------------------------------------------

    def get(self, key: str) -> Any:
        """Return what :meth:`put` kept under *key*, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(rows[0]["value"]) if rows else None

    def put(self, key: str, value: object, *, durable: bool = False) -> None:
        with self._transaction(durable=durable) as db:
            db.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(value, default=str)),
            )

    def _installation(self) -> str:
        with self._transaction(durable=True) as db:
            fresh = json.dumps(uuid.uuid4().hex[:12])
            db.execute("INSERT OR IGNORE INTO meta VALUES ('installation', ?)", (fresh,))
        return str(self.get("installation"))

    def identity(self) -> Identity | None:
        """Return the NAS that this installation belongs to, None before the first one."""
        known = self.get("identity")
        return Identity(**known) if known else None

    def remember_identity(self, identity: Identity) -> None:
        self.put(
            "identity",
            {
                "nas": identity.nas,
                "file_system": identity.file_system,
                "source": identity.source,
            },
            durable=True,
        )

    # -- reading ----------------------------------------------------------------------------

    def entries(self, scope: Scope, ids: Collection[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for chunk in _chunks(ids):
            marks = ",".join("?" * len(chunk))
            for row in self._rows(
                f"SELECT {COLUMNS} FROM document WHERE db = ? AND tbl = ? AND id IN ({marks})",
                (scope.database, scope.table, *chunk),
            ):
                found[row["id"]] = entry_from(row)
        return found

    def entry(self, scope: Scope, document_id: str) -> Entry | None:
        return self.entries(scope, [document_id]).get(document_id)

    def in_states(
        self, scope: Scope, states: Collection[State], after: str = "", limit: int = 500
    ) -> list[Entry]:
        """Return a page of entries in one of *states*, by id."""
        marks = ",".join("?" * len(states))
        rows = self._rows(
            f"SELECT {COLUMNS} FROM document WHERE db = ? AND tbl = ? AND state IN ({marks})"
            " AND id > ? ORDER BY id LIMIT ?",
            (scope.database, scope.table, *states, after, limit),
        )
        return [entry_from(row) for row in rows]

    def versions(
        self, scope: Scope, nas: str | None, relatives: Collection[str]
    ) -> dict[str, SourceVersion]:
        """Return, by path below the upload folder, the version that is marked and proven."""
        found: dict[str, SourceVersion] = {}
        for chunk in _chunks(relatives):
            marks = ",".join("?" * len(chunk))
            for row in self._rows(
                "SELECT relative, size, mtime_ns, inode FROM document INDEXED BY document_relative"
                f" WHERE db = ? AND tbl = ? AND relative IN ({marks}) AND state = ? AND nas IS ?",
                (scope.database, scope.table, *chunk, State.SYNCED, nas),
            ):
                found[row["relative"]] = SourceVersion(row["size"], row["mtime_ns"], row["inode"])
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
        counts: dict[str, int] = {}
        proven = 0
        for row in self._rows(
            "SELECT state, nas, count(*) AS n FROM document WHERE db = ? AND tbl = ?"
            " GROUP BY state, nas",
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
        rows = self._rows(
            f"SELECT {COLUMNS} FROM document WHERE young AND nas = ? AND received_at < ?"
            " ORDER BY received_at LIMIT ?",
            (nas, time_text(received_before), limit),
        )
        return [entry_from(row) for row in rows]

    def by_temp(self, temp: str) -> tuple[Entry, bool] | None:
        """Return whose temp file this is, and whether there is a receipt for it."""
        rows = self._rows(
            f"SELECT {COLUMNS}, temp FROM document WHERE temp = ? OR intent_temp = ?", (temp, temp)
        )
        for row in rows:
            return entry_from(row), row["temp"] == temp and row["digest"] is not None
        return None

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
        alive: Callable[[str], bool],
    ) -> set[str]:
        """Journal the intents of copies that are about to begin; return the ids that may.

        A document that another living run has in hand is left out.
        """
        may: set[str] = set()
        with self._transaction(durable=True) as db:
            known = self.entries(scope, [document.id for document, _, _ in works])
            for document, relative, intent in works:
                entry = known.get(document.id)
                held = entry.intent.run if entry and entry.intent else None
                if held is not None and held != intent.run and alive(held):
                    continue
                self._move(db, scope, document, State.COPYING, None, relative=relative, was=entry)
                db.execute(
                    "UPDATE document SET intent_run = ?, intent_nas = ?, intent_temp = ?,"
                    " intent_places = ?, intent_at = ? WHERE db = ? AND tbl = ? AND id = ?",
                    (
                        intent.run,
                        intent.nas,
                        intent.temp,
                        json.dumps(intent.candidates),
                        time_text(intent.begun_at),
                        *_key(scope, document),
                    ),
                )
                may.add(document.id)
        return may

    def receive(self, receipts: Sequence[tuple[Document, str, Receipt, str | None]]) -> None:
        """Keep receipts: durable on return. Each is (document, relative, receipt, temp)."""
        with self._transaction(durable=True) as db:
            for document, relative, receipt, temp in receipts:
                scope = receipt.scope
                self._move(db, scope, document, State.COPIED, None, relative=relative)
                db.execute(
                    "UPDATE document SET size = ?, mtime_ns = ?, inode = ?, algorithm = 'sha256',"
                    " digest = ?, nas = ?, destination = ?, filed_as = ?, received_at = ?,"
                    " temp = ?, young = 1, attempts = 0, next_attempt = NULL, intent_run = NULL,"
                    " intent_nas = NULL, intent_temp = NULL, intent_places = NULL,"
                    " intent_at = NULL WHERE db = ? AND tbl = ? AND id = ?",
                    (
                        receipt.version.size,
                        receipt.version.mtime_ns,
                        receipt.version.inode,
                        receipt.sha256,
                        receipt.nas,
                        receipt.destination,
                        receipt.filed_as,
                        time_text(receipt.received_at),
                        temp,
                        *_key(scope, document),
                    ),
                )
                db.execute(
                    "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (nas, key)"
                    " DO UPDATE SET digest = excluded.digest WHERE place.db = excluded.db"
                    " AND place.tbl = excluded.tbl AND place.id = excluded.id",
                    (
                        receipt.nas,
                        place_key(receipt.destination),
                        receipt.destination,
                        *_key(scope, document),
                        document.file_path,
                        receipt.sha256,
                    ),
                )

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
    ) -> None:
        """Move one document to *state*; :meth:`note_all` for many."""
        self.note_all(
            scope,
            [(document, state, reason, relative)],
            next_attempt=next_attempt,
            failed=failed,
            keep_intent=keep_intent,
        )

    def note_all(
        self,
        scope: Scope,
        moves: Sequence[tuple[Document, State, Reason | None, str | None]],
        *,
        next_attempt: dt.datetime | None = None,
        failed: bool = False,
        keep_intent: bool = False,
    ) -> None:
        """Move documents; ``failed`` counts an attempt, an intent is given up unless kept."""
        with self._transaction() as db:
            known = self.entries(scope, [document.id for document, *_ in moves])
            for document, state, reason, relative in moves:
                was = known.get(document.id)
                self._move(db, scope, document, state, reason, relative=relative, was=was)
                changes = ["next_attempt = ?"]
                if failed:
                    changes.append("attempts = attempts + 1")
                if not keep_intent:
                    changes.append(
                        "intent_run = NULL, intent_nas = NULL, intent_temp = NULL,"
                        " intent_places = NULL, intent_at = NULL"
                    )
                db.execute(
                    f"UPDATE document SET {', '.join(changes)} WHERE db = ? AND tbl = ? AND id = ?",
                    (
                        time_text(next_attempt) if next_attempt else None,
                        *_key(scope, document),
                    ),
                )

    def forget_receipt(self, scope: Scope, document: Document, reason: Reason) -> None:
        """The receipt no longer holds. What was filed stays, and stays this document's place."""
        with self._transaction(durable=True) as db:
            self._move(db, scope, document, State.WAITING, reason)
            db.execute(
                "UPDATE document SET digest = NULL, nas = NULL, destination = NULL, temp = NULL,"
                " young = 0 WHERE db = ? AND tbl = ? AND id = ?",
                _key(scope, document),
            )

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
        state: State,
        reason: Reason | None,
        *,
        relative: str | None = None,
        was: Entry | None = None,
    ) -> None:
        """The one place where a document changes its state."""
        entry = was or self.entry(scope, document.id)
        now = time_text(self._now())
        code = reason.code if reason else None
        if entry is not None and entry.file_path != document.file_path:
            self._start_over(db, scope, document, entry, now)
            entry = None
        if entry is not None and state not in LEGAL[entry.state]:
            raise JournalError(f"{document.id}: {entry.state} cannot become {state}")
        same = entry is not None and entry.state is state and _code(entry) == code
        since = time_text(entry.since) if same and entry else now
        db.execute(
            "INSERT INTO document (db, tbl, id, file_path, relative, name, state, code, params,"
            " since, first_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (db, tbl, id) DO UPDATE SET state = excluded.state,"
            " code = excluded.code, params = excluded.params, since = excluded.since,"
            " relative = coalesce(excluded.relative, relative), name = excluded.name",
            (
                *_key(scope, document),
                document.file_path,
                relative,
                document.original_name,
                state,
                code,
                params_text(reason),
                since,
                now,
            ),
        )
        if not same and state is not State.COPYING:
            self._remember(db, scope, document.id, entry, state, reason, now)

    def _start_over(
        self, db: sqlite3.Connection, scope: Scope, document: Document, entry: Entry, now: str
    ) -> None:
        """The row's id stands for another document now: nothing of the old one counts."""
        reason = Reason("gone.replaced", {"file_path": entry.file_path})
        self._remember(db, scope, document.id, entry, State.GONE, reason, now)
        db.execute(
            "DELETE FROM document WHERE db = ? AND tbl = ? AND id = ?", _key(scope, document)
        )

    def _remember(
        self,
        db: sqlite3.Connection,
        scope: Scope,
        document_id: str,
        entry: Entry | None,
        state: State,
        reason: Reason | None,
        now: str,
    ) -> None:
        detail: dict[str, object] = dict(reason.params) if reason else {}
        if entry and entry.receipt and state in (State.SYNCED, State.GONE):
            detail["destination"] = entry.receipt.destination
            detail["sha256"] = entry.receipt.sha256
        db.execute(
            "INSERT INTO history (at, db, tbl, id, was, became, code, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                scope.database,
                scope.table,
                document_id,
                entry.state if entry else None,
                state,
                reason.code if reason else None,
                json.dumps(detail, default=str) if detail else None,
            ),
        )


def _key(scope: Scope, document: Document) -> tuple[str, str, str]:
    return scope.database, scope.table, document.id


def _code(entry: Entry) -> str | None:
    return entry.reason.code if entry.reason else None


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    items = list(values)
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
