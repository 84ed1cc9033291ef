"""The journal's tables, by version, and how a row becomes a model."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from nas_syncd.models import Entry, Intent, Reason, Receipt, Scope, SourceVersion, State

VERSIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE document (
        db TEXT NOT NULL, tbl TEXT NOT NULL, id TEXT NOT NULL,
        file_path TEXT NOT NULL, relative TEXT, name TEXT,
        state TEXT NOT NULL, code TEXT, params TEXT, since TEXT NOT NULL,
        first_seen TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt TEXT,
        size INTEGER, mtime_ns INTEGER, inode INTEGER,
        algorithm TEXT, digest TEXT, nas TEXT, destination TEXT, filed_as TEXT,
        received_at TEXT, temp TEXT, young INTEGER NOT NULL DEFAULT 0,
        intent_run TEXT, intent_nas TEXT, intent_temp TEXT, intent_places TEXT, intent_at TEXT,
        holder TEXT,
        PRIMARY KEY (db, tbl, id)
    ) WITHOUT ROWID;
    CREATE INDEX document_relative ON document (db, tbl, relative);
    CREATE INDEX document_state ON document (db, tbl, state, nas);
    CREATE INDEX document_young ON document (nas, received_at) WHERE young;
    CREATE INDEX document_temp ON document (temp) WHERE temp IS NOT NULL;
    CREATE INDEX document_intent ON document (intent_temp) WHERE intent_temp IS NOT NULL;
    CREATE TABLE place (
        nas TEXT NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL,
        db TEXT NOT NULL, tbl TEXT NOT NULL, id TEXT NOT NULL,
        file_path TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (nas, key)
    ) WITHOUT ROWID;
    CREATE TABLE history (
        seq INTEGER PRIMARY KEY, at TEXT NOT NULL,
        db TEXT NOT NULL, tbl TEXT NOT NULL, id TEXT NOT NULL,
        was TEXT, became TEXT NOT NULL, code TEXT, detail TEXT
    );
    CREATE INDEX history_document ON history (db, tbl, id, seq);
    """,
    # Counted while they are written: with a million documents, counting them takes a fifth of a
    # second, and it is asked for every second. An index by state and id gives pages in order.
    """
    CREATE TABLE tally (
        db TEXT NOT NULL, tbl TEXT NOT NULL, state TEXT NOT NULL, nas TEXT NOT NULL,
        documents INTEGER NOT NULL,
        PRIMARY KEY (db, tbl, state, nas)
    ) WITHOUT ROWID;
    INSERT INTO tally
        SELECT db, tbl, state, coalesce(nas, ''), count(*) FROM document GROUP BY 1, 2, 3, 4;
    CREATE TRIGGER tally_added AFTER INSERT ON document BEGIN
        INSERT INTO tally VALUES (new.db, new.tbl, new.state, coalesce(new.nas, ''), 1)
            ON CONFLICT (db, tbl, state, nas) DO UPDATE SET documents = documents + 1;
    END;
    CREATE TRIGGER tally_removed AFTER DELETE ON document BEGIN
        UPDATE tally SET documents = documents - 1
            WHERE db = old.db AND tbl = old.tbl AND state = old.state
            AND nas = coalesce(old.nas, '');
    END;
    CREATE TRIGGER tally_moved AFTER UPDATE OF state, nas ON document
    WHEN old.state <> new.state OR old.nas IS NOT new.nas BEGIN
        UPDATE tally SET documents = documents - 1
            WHERE db = old.db AND tbl = old.tbl AND state = old.state
            AND nas = coalesce(old.nas, '');
        INSERT INTO tally VALUES (new.db, new.tbl, new.state, coalesce(new.nas, ''), 1)
            ON CONFLICT (db, tbl, state, nas) DO UPDATE SET documents = documents + 1;
    END;
    DROP INDEX document_state;
    CREATE INDEX document_page ON document (db, tbl, state, id);
    """,
)

COLUMNS = (
    "db, tbl, id, file_path, state, code, params, since, first_seen, attempts, next_attempt,"
    " size, mtime_ns, inode, digest, nas, destination, filed_as, received_at, young,"
    " intent_run, intent_nas, intent_temp, intent_places, intent_at, holder"
)


encoded = json.JSONEncoder(default=str).encode
"""JSON in ASCII, whatever is in it."""


class Standing(NamedTuple):
    """What a change of a document's state needs to know of its row: less than an entry holds,
    for it is read at each step of each document."""

    id: str
    file_path: str
    relative: str | None
    name: str | None
    state: State
    code: str | None
    since: str
    attempts: int
    holder: str | None
    destination: str | None
    digest: str | None
    """None when there is no receipt."""


STANDING_COLUMNS = ", ".join(Standing._fields)


def standing_from(row: sqlite3.Row) -> Standing:
    id_, file_path, relative, name, state, *others = row
    return Standing(id_, file_path, relative, name, State(state), *others)


def statements(script: str) -> Iterator[str]:
    """Yield the statements of one of :data:`VERSIONS`, each of which ends its line."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if statement.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def entry_from(row: sqlite3.Row) -> Entry:
    scope = Scope(row["db"], row["tbl"])
    reason = Reason(row["code"], json.loads(row["params"] or "{}")) if row["code"] else None
    return Entry(
        scope=scope,
        id=row["id"],
        file_path=row["file_path"],
        state=State(row["state"]),
        reason=reason,
        since=parse_time(row["since"]),
        first_seen=parse_time(row["first_seen"]),
        attempts=row["attempts"],
        next_attempt=parse_time(row["next_attempt"]) if row["next_attempt"] else None,
        receipt=receipt_from(row, scope),
        intent=_intent_from(row),
        young=bool(row["young"]),
        holder=row["holder"],
    )


def receipt_from(row: sqlite3.Row, scope: Scope) -> Receipt | None:
    if row["digest"] is None:
        return None
    return Receipt(
        scope=scope,
        id=row["id"],
        file_path=row["file_path"],
        version=SourceVersion(row["size"], row["mtime_ns"], row["inode"]),
        sha256=row["digest"],
        nas=row["nas"],
        destination=row["destination"],
        received_at=parse_time(row["received_at"]),
        filed_as=row["filed_as"] or "",
    )


def _intent_from(row: sqlite3.Row) -> Intent | None:
    if row["intent_run"] is None:
        return None
    return Intent(
        run=row["intent_run"],
        nas=row["intent_nas"],
        temp=row["intent_temp"],
        candidates=tuple(json.loads(row["intent_places"])),
        begun_at=parse_time(row["intent_at"]),
    )


def parse_time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def time_text(moment: dt.datetime) -> str:
    """Aware UTC in a form that sorts as time does."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def params_text(reason: Reason | None) -> str | None:
    if reason is None or not reason.params:
        return None
    return encoded(dict(reason.params))
