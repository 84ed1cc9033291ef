"""The databases of the lab: a PostgreSQL for each process, reused by its cases, and SQLite files.

To a case a backend is the other program that owns the table: :meth:`Backend.sql` is what that
program does, over connections of its own and with all rights, whatever our side is going through.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing.util
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.helpers import BACKEND_DIR
from tests.lab import parts
from tests.lab.databases import PostgreSQL, Server
from tests.lab.mounts import DiskMount

ROLE = "backend"
"""Whom we log in as: no superuser, and not the owner of the table."""
COLUMNS = (
    "id INTEGER PRIMARY KEY, user_id INTEGER, file_path VARCHAR(500), original_name VARCHAR(255),"
    " doc_type VARCHAR(20), date DATE, created_at {time}, processing_status VARCHAR(20),"
    " synced_to_nas BOOLEAN, synced_at {time}"
)
_ROW = (
    "INSERT INTO documents VALUES ({id}, 1, '" + BACKEND_DIR + "/{name}', '{name}', 'invoice',"
    " '2024-01-15', '2024-01-16 10:00:00', 'completed', NULL, NULL)"
)


class Backend:
    """One database with the table in it."""

    kind: str
    url: str

    def sql(self, statement: str) -> list[Any]:
        """Run it as the backend, committed on return; the rows if there are any."""
        raise NotImplementedError

    def open(self) -> sa.Connection:
        """Return a connection of the backend's, for what takes long."""
        raise NotImplementedError

    def restore(self) -> None:
        """Put the database back to what it was after :meth:`keep`."""
        raise NotImplementedError

    def keep(self) -> None:
        """Make a backup."""

    def add(self, id_: int, name: str) -> None:
        self.sql(_ROW.format(id=id_, name=name))

    def rows(self) -> list[Any]:
        columns = "id, file_path, doc_type, date, synced_to_nas"
        return self.sql(f"SELECT {columns} FROM documents ORDER BY id")

    def in_use(self) -> bool:
        """Whether somebody holds at this moment what a write would have to wait for."""
        try:
            self._lock_at_once()
        except (sqlite3.OperationalError, sa.exc.OperationalError):
            return True
        return False

    def _lock_at_once(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing of it is needed any more."""


class Postgres(Backend):
    kind = "postgresql"

    def __init__(self) -> None:
        self.server = postgresql()
        self._address = self.server.new_database()
        self._engine = sa.create_engine(
            self._address.replace("postgresql:", f"{self.server.driver}:"),
            poolclass=sa.NullPool,
            connect_args={"options": "-c datestyle=ISO -c synchronous_commit=on"},
        )
        self.url = self._address.replace(f"//{self.server.user}@", f"//{ROLE}@")
        self.sql(f"CREATE TABLE documents ({COLUMNS.format(time='TIMESTAMP')})")
        self.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO {ROLE}")

    def sql(self, statement: str) -> list[Any]:
        with self._engine.begin() as connection:
            done = connection.exec_driver_sql(statement)
            return list(done.all()) if done.returns_rows else []

    def _lock_at_once(self) -> None:
        self.sql("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE NOWAIT")

    def open(self) -> sa.Connection:
        return self._engine.connect()

    def keep(self) -> None:
        self.sql("CREATE TABLE kept AS SELECT * FROM documents")

    def restore(self) -> None:
        self.sql("DELETE FROM documents; INSERT INTO documents SELECT * FROM kept")

    def cut(self) -> None:
        """Every connection of ours is cut."""
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")

    def close(self) -> None:
        self._engine.dispose()
        self.server.administer(f"DROP DATABASE {self._address.rpartition('/')[2]} WITH (FORCE)")


class Sqlite(Backend):
    kind = "sqlite"

    def __init__(self, folder: Path, *, own_disk: bool) -> None:
        folder.mkdir()
        self.disk: DiskMount | None = None
        if own_disk:
            command = ("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "nas-lab")
            self.disk = DiskMount(folder, command)
            self.disk.mount()
        self.file = folder / "backend.sqlite"
        self._kept = folder.with_name("backup.sqlite")
        self.url = f"sqlite:///{self.file}"
        with contextlib.closing(sqlite3.connect(self.file)) as db:
            db.execute(f"CREATE TABLE documents ({COLUMNS.format(time='DATETIME')})")

    def sql(self, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=20)) as db, db:
            return db.execute(statement).fetchall()

    def _lock_at_once(self) -> None:
        with contextlib.closing(sqlite3.connect(self.file, timeout=0)) as db:
            db.execute("BEGIN EXCLUSIVE")

    def open(self) -> sa.Connection:
        engine = sa.create_engine(
            self.url,
            poolclass=sa.NullPool,
            connect_args={"timeout": 20, "check_same_thread": False, "isolation_level": None},
        )
        return engine.connect()

    def keep(self) -> None:
        shutil.copyfile(self.file, self._kept)

    def restore(self) -> None:
        self.put(self._kept.read_bytes())

    def put(self, content: bytes) -> None:
        """Another file stands under the name from now on, as ``cp new old.tmp; mv`` leaves it."""
        new = self.file.with_name("new")
        new.write_bytes(content)
        for left in ("-wal", "-shm", "-journal"):
            self.file.with_name(self.file.name + left).unlink(missing_ok=True)
        new.replace(self.file)

    def close(self) -> None:
        if self.disk is not None:
            self.disk.unmount(lazy=True)


# -- the server ---------------------------------------------------------------------------------


def postgres_missing() -> str | None:
    return None if _folders() else "postgres is not installed: make lab (Debian package postgresql)"


def _folders() -> list[Path]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    on_path = shutil.which("postgres")
    return [*found, Path(on_path).parent] if on_path else found


@functools.cache
def postgresql() -> Server:
    """This process's own PostgreSQL, running."""
    server = PostgreSQL(_folders()[-1])
    # Whichever way this process ends: a worker of the pool runs the second kind only.
    atexit.register(server.remove)
    multiprocessing.util.Finalize(server, server.remove, exitpriority=10)
    server.initialise()
    server.start()
    server.administer(f"CREATE ROLE {ROLE} LOGIN")
    return server


def remove_servers() -> None:
    """The tests of this process are over."""
    if postgresql.cache_info().currsize:
        postgresql().remove()
        postgresql.cache_clear()


def kill(server: Server) -> None:
    """SIGKILL for the server and all its children: what was not on the disk is forgotten."""
    pid = server.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [pid, *map(int, children)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    server.stop()
    parts.wait_until(lambda: not any(map(_lives, children)), "the server's children are gone")


def _lives(pid: str) -> bool:
    try:
        return parts.state_of(int(pid)) not in "ZX"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def held(backend: Backend, *statements: str) -> Iterator[None]:
    """A transaction of the backend's that has done *statements* and goes on for long."""
    connection = backend.open()
    try:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield
    finally:
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.close()
