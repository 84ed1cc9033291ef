"""What may happen to a database while we work with it; each ends when the trouble is over.

An event is a context manager: it happens on entering, and is over on leaving. What is not undone
there (a row that was deleted, a column of another type) is meant to last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import backends
from tests.helpers import BACKEND_DIR

if TYPE_CHECKING:
    from tests.faults.database import Scene

Event = Callable[[Any], Iterator[None]]
POSTGRESQL: dict[str, Callable[[Scene], AbstractContextManager[None]]] = {}
SQLITE: dict[str, Callable[[Scene], AbstractContextManager[None]]] = {}
OWN_DISK = frozenset({"disk full", "disk read-only"})
"""SQLite on a file system of its own; only root can make one."""

VICTIM = 2
OTHER = f"{BACKEND_DIR}/d.pdf"
"""A file that no row names before the event."""


def event(name: str, *where: dict[str, Any]) -> Callable[[Event], Event]:
    def register(function: Event) -> Event:
        for events in where or (POSTGRESQL, SQLITE):
            events[name] = contextlib.contextmanager(function)
        return function

    return register


def statement(name: str, *where: dict[str, Any], does: str, undone: str = "") -> None:
    """An event that is one statement of the backend's, and another one when it is over."""

    @event(name, *where)
    def _event(scene: Scene) -> Iterator[None]:
        scene.backend.sql(does)
        yield
        if undone:
            scene.backend.sql(undone)


# -- rows -------------------------------------------------------------------------------------

_ONE = f"WHERE id = {VICTIM}"
statement("row deleted", does=f"DELETE FROM documents {_ONE}")
statement("all rows deleted", does="DELETE FROM documents")
statement("flag reset", does=f"UPDATE documents SET synced_to_nas = false {_ONE}")
statement("flag set to NULL", does=f"UPDATE documents SET synced_to_nas = NULL {_ONE}")
statement(
    "metadata edited", does=f"UPDATE documents SET doc_type = 'receipt', date = '2023-02-01' {_ONE}"
)
statement(
    "processed again",
    does=f"UPDATE documents SET processing_status = 'processing' {_ONE}",
    undone=f"UPDATE documents SET processing_status = 'completed' {_ONE}",
)
statement(
    "re-pointed, to be copied again",
    does=f"UPDATE documents SET file_path = '{OTHER}', synced_to_nas = false {_ONE}",
)
statement(
    "re-pointed and back",
    does=f"UPDATE documents SET file_path = '{OTHER}', synced_to_nas = false {_ONE}",
    undone=f"UPDATE documents SET file_path = '{BACKEND_DIR}/b.pdf', synced_to_nas = false {_ONE}",
)


@event("flag set by somebody else")
def _set_by_another(scene: Scene) -> Iterator[None]:
    scene.backend.sql(f"UPDATE documents SET synced_to_nas = true {_ONE}")
    scene.claimed.add(VICTIM)
    yield


@event("re-pointed, the flag left as it is")
def _repointed(scene: Scene) -> Iterator[None]:
    scene.backend.sql(f"UPDATE documents SET file_path = '{OTHER}' {_ONE}")
    (row,) = (row for row in scene.backend.rows() if row[0] == VICTIM)
    if row[4]:
        scene.claimed.add(VICTIM)  # the backend says so now, of bytes that we never saw
    yield


@event("row deleted, its id used again")
def _reused(scene: Scene) -> Iterator[None]:
    scene.backend.sql(f"DELETE FROM documents {_ONE}")
    scene.backend.add(VICTIM, "d.pdf")
    yield


@event("restored from a backup")
def _restored(scene: Scene) -> Iterator[None]:
    scene.backend.restore()
    yield


ROWS = frozenset(SQLITE)
"""So far: while these last the rows can be looked at as ever."""


# -- the table ----------------------------------------------------------------------------------

for _old, _new in (("documents", "documents_old"),):
    statement(
        "table renamed",
        does=f"ALTER TABLE {_old} RENAME TO {_new}",
        undone=f"ALTER TABLE {_new} RENAME TO {_old}",
    )
for _column in ("synced_to_nas", "file_path", "id"):
    statement(
        f"column {_column} renamed",
        does=f"ALTER TABLE documents RENAME COLUMN {_column} TO away",
        undone=f"ALTER TABLE documents RENAME COLUMN away TO {_column}",
    )
for _column in ("original_name", "processing_status"):
    statement(f"column {_column} dropped", does=f"ALTER TABLE documents DROP COLUMN {_column}")
statement("column added", does="ALTER TABLE documents ADD COLUMN amount NUMERIC")
for _column, _type in (
    ("synced_to_nas", "INTEGER USING synced_to_nas::integer"),
    ("synced_at", "TIMESTAMPTZ"),
    ("synced_at", "VARCHAR(40) USING synced_at::varchar"),
    ("file_path", "TEXT"),
    ("id", "BIGINT"),
    ("id", "VARCHAR(20) USING id::varchar"),
    ("date", "VARCHAR(20) USING date::varchar"),
):
    statement(
        f"{_column} altered to {_type.split(' ')[0].split('(')[0].lower()}",
        POSTGRESQL,
        does=f"ALTER TABLE documents ALTER COLUMN {_column} TYPE {_type}",
    )
_FUNCTION = "CREATE FUNCTION keep_off() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;"
_TRIGGER = "CREATE TRIGGER keep_off BEFORE UPDATE ON documents FOR EACH ROW {when} "
_VICTIM_ONLY = f"WHEN (new.id = {VICTIM})"
for _name, _body in (
    ("updates refused by a trigger", "RAISE EXCEPTION 'not now';"),
    ("updates ignored by a trigger", "RETURN NULL;"),
    ("updates take for ever", "PERFORM pg_sleep(60); RETURN new;"),
):
    statement(
        _name,
        POSTGRESQL,
        does=_FUNCTION.format(body=_body)
        + _TRIGGER.format(when=_VICTIM_ONLY)
        + "EXECUTE FUNCTION keep_off()",
        undone="DROP FUNCTION keep_off CASCADE",
    )
for _name, _how in (("refused", "ABORT, 'not now'"), ("ignored", "IGNORE")):
    statement(
        f"updates {_name} by a trigger",
        SQLITE,
        does=_TRIGGER.format(when=_VICTIM_ONLY) + f"BEGIN SELECT RAISE({_how}); END",
        undone="DROP TRIGGER keep_off",
    )


# -- PostgreSQL -----------------------------------------------------------------------------------


@event("server stopped", POSTGRESQL)
def _stopped(scene: Scene) -> Iterator[None]:
    scene.server.stop()
    yield
    scene.server.start()


@event("server stopped at once", POSTGRESQL)
def _immediate(scene: Scene) -> Iterator[None]:
    os.kill(scene.server.pid, signal.SIGQUIT)
    scene.server.stop()
    yield
    scene.server.start()


@event("server killed", POSTGRESQL)
def _killed(scene: Scene) -> Iterator[None]:
    backends.kill(scene.server)
    yield
    scene.server.start()


@event("server restarted", POSTGRESQL)
def _restarted(scene: Scene) -> Iterator[None]:
    scene.server.stop()
    scene.server.start()
    yield


@event("fail-over to one that lags", POSTGRESQL)
def _failed_over(scene: Scene) -> Iterator[None]:
    """What was committed last is not there any more."""
    backends.kill(scene.server)
    scene.server.start()
    scene.backend.restore()
    yield


@event("server frozen", POSTGRESQL)
def _frozen(scene: Scene) -> Iterator[None]:
    with scene.server.frozen():
        yield


@event("connections cut", POSTGRESQL)
def _cut(scene: Scene) -> Iterator[None]:
    scene.postgres.cut()
    yield


def role(name: str, does: str, undone: str) -> None:
    """What an administrator does to our login; what is connected already is cut."""

    @event(name, POSTGRESQL)
    def _event(scene: Scene) -> Iterator[None]:
        scene.backend.sql(f"ALTER ROLE {backends.ROLE} {does}")
        scene.postgres.cut()
        try:
            yield
        finally:
            scene.backend.sql(f"ALTER ROLE {backends.ROLE} {undone}")
            scene.postgres.cut()


role("connection limit reached", "CONNECTION LIMIT 0", "CONNECTION LIMIT -1")
role("login forbidden", "NOLOGIN", "LOGIN")
for _setting, _value in (
    ("default_transaction_read_only", "on"),  # as on a standby
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_isolation", "'repeatable read'"),
    ("statement_timeout", "1"),
    ("search_path", "nowhere"),
    ("row_security", "off"),
):
    role(f"{_setting} {_value}".replace("'", ""), f"SET {_setting} = {_value}", f"RESET {_setting}")
for _right in ("SELECT", "UPDATE"):
    statement(
        f"right to {_right} taken",
        POSTGRESQL,
        does=f"REVOKE {_right} ON documents FROM {backends.ROLE}",
        undone=f"GRANT {_right} ON documents TO {backends.ROLE}",
    )


def lock(name: str, where: dict[str, Any], *statements: str) -> None:
    @event(name, where)
    def _event(scene: Scene) -> Iterator[None]:
        with backends.held(scene.backend, *statements):
            yield


lock("row locked for long", POSTGRESQL, f"SELECT id FROM documents {_ONE} FOR UPDATE")
lock("row changed, not committed", POSTGRESQL, f"UPDATE documents SET user_id = 2 {_ONE}")
lock("table locked for long", POSTGRESQL, "LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
lock("table locked against writing", POSTGRESQL, "LOCK TABLE documents IN SHARE MODE")


# -- SQLite ---------------------------------------------------------------------------------------

lock("locked against writing", SQLITE, "BEGIN IMMEDIATE")
lock("locked for long", SQLITE, "BEGIN EXCLUSIVE")
lock("read from for long", SQLITE, "BEGIN", "SELECT count(*) FROM documents")


@event("gone for a while", SQLITE)
def _gone(scene: Scene) -> Iterator[None]:
    file = scene.sqlite.file
    away = file.rename(file.with_name("away"))
    yield
    away.rename(file)


def replaced(name: str, content: bytes) -> None:
    @event(name, SQLITE)
    def _event(scene: Scene) -> Iterator[None]:
        before = scene.sqlite.file.read_bytes()
        scene.sqlite.put(content)
        yield
        scene.sqlite.put(before)


replaced("replaced by an empty file", b"")
replaced("replaced by no database", b"this is no database\n" * 500)


def journal_mode(name: str, does: str, undone: str = "") -> None:
    @event(name, SQLITE)
    def _event(scene: Scene) -> Iterator[None]:
        _pragma(scene, does)
        yield
        if undone:
            _pragma(scene, undone)


def _pragma(scene: Scene, mode: str) -> None:
    """Possible only while nobody reads or writes: the backend tries for a while."""
    for _ in range(100):
        try:
            if scene.backend.sql(f"PRAGMA journal_mode = {mode}")[0][0] == mode:
                return
        except Exception as error:
            if "locked" not in str(error):
                raise
        time.sleep(0.05)
    raise TimeoutError(f"journal_mode = {mode}")


journal_mode("journal mode WAL", "wal")
journal_mode("journal mode WAL, and back", "wal", "delete")
journal_mode("journal mode TRUNCATE", "truncate")


@event("vacuumed", SQLITE)
def _vacuumed(scene: Scene) -> Iterator[None]:
    with backends.held(scene.backend, "VACUUM"):
        yield


@event("disk full", SQLITE)
def _full(scene: Scene) -> Iterator[None]:
    filling = Path(scene.sqlite.file.with_name("filling"))
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    yield
    filling.unlink()


@event("disk read-only", SQLITE)
def _read_only(scene: Scene) -> Iterator[None]:
    assert scene.sqlite.disk is not None
    scene.sqlite.disk.remount("ro")
    yield
    scene.sqlite.disk.remount("rw")
