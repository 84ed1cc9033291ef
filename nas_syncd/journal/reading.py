"""The journal as somebody reads it who must leave no trace: nothing is made, migrated or locked."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nas_syncd.errors import JournalError
from nas_syncd.journal.schema import COLUMNS, VERSIONS, entry_from, parse_time
from nas_syncd.journal.store import FILE_NAME
from nas_syncd.models import Entry, Identity, Scope

BUSY_SECONDS = 3.0
_CHUNK = 400
_STEPS = 10_000
"""Virtual machine instructions between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a journal remembers beside its documents."""

    folder: Path
    version: int
    installation: str | None
    identity: Identity | None
    """The NAS that this installation belongs to."""
    first_at: dt.datetime | None
    """When this installation did something for the first time."""
    live: dict[str, Any] | None
    """What the daemon wrote down last, whether or not it still runs."""

    @property
    def is_newer(self) -> bool:
        """Whether a later version than ours has written it."""
        return self.version > len(VERSIONS)


def exists(folder: Path) -> bool:
    """Whether *folder* holds a journal."""
    return (folder / FILE_NAME).is_file()


def remembered(folder: Path) -> Memory | None:
    """
    Return what the journal in *folder* remembers; None: it was only just begun, and is empty.

    Raises:
        JournalError: It cannot be opened or read.
    """
    with _reading(folder) as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            return None
        meta = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}
        first = db.execute("SELECT at FROM history ORDER BY seq LIMIT 1").fetchone()
        identity, live = meta.get("identity"), meta.get("live")
        return Memory(
            folder=folder,
            version=version,
            installation=meta.get("installation"),
            identity=Identity(**identity) if identity else None,
            first_at=parse_time(first[0]) if first else None,
            live=live if isinstance(live, dict) else None,
        )


def is_damaged(error: JournalError) -> bool:
    """Whether *error* says that the file itself is no good; it may also be refused, or in use."""
    cause = error.__cause__
    if not isinstance(cause, sqlite3.Error):
        return not isinstance(cause, OSError)
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in damage


def is_in_use(error: JournalError) -> bool:
    """Whether somebody keeps it locked at the moment."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def entries(folder: Path, scope: Scope, ids: Collection[str]) -> dict[str, Entry]:
    """
    Return the entries of these documents, by id.

    Raises:
        JournalError: The journal cannot be read.
    """
    wanted, found = list(ids), {}
    with _reading(folder) as db:
        db.row_factory = sqlite3.Row
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT {COLUMNS} FROM document WHERE db = ? AND tbl = ? AND id IN ({marks})"
            for row in db.execute(query, (scope.database, scope.table, *chunk)):
                found[row["id"]] = entry_from(row)
    return found


def quick_check(folder: Path, seconds: float) -> list[str] | None:
    """
    Return what is damaged in the journal's file, nothing where all is well; None: not finished
    within *seconds*.

    Raises:
        JournalError: It cannot even be read.
    """
    give_up = time.monotonic() + seconds
    with _reading(folder) as db:
        db.set_progress_handler(lambda: time.monotonic() > give_up, _STEPS)
        try:
            said = [str(row[0]) for row in db.execute("PRAGMA quick_check(5)")]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return None
            raise
    return [] if said == ["ok"] else said


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FILE_NAME
    try:
        # Not mode=ro: its close would leave the files behind that reading has made.
        db = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
        )
        with contextlib.closing(db):
            db.execute("PRAGMA query_only=ON")
            yield db
    except (sqlite3.Error, OSError, ValueError, TypeError, LookupError) as error:
        raise JournalError(f"{error}", path=str(path)) from error
