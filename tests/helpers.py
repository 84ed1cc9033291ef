"""What the tests of the heart share: a backend's world in a folder, and a NAS that fails on demand.

:class:`World` is for whole parts (site, flow, upkeep) with a real table and a real child process;
:class:`FaultyCalls` is for the copier in this very process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sqlite3
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from nas_syncd.copier import Copier, Order
from nas_syncd.documents import DocumentsTable, TableNames
from nas_syncd.flow import Flow
from nas_syncd.models import (
    Document,
    Entry,
    Fate,
    MountState,
    MountView,
    Policy,
    Reason,
    Receipt,
    Scope,
    SourceVersion,
    State,
)
from nas_syncd.nasfs import Calls, Tree
from nas_syncd.routing import DEFAULT_FOLDERS
from nas_syncd.site import Plan, Site
from nas_syncd.sourcefile import Version
from nas_syncd.watcher import UploadFolder

BACKEND_DIR = "/app/uploads"
SCOPE = Scope("sqlite:////x.db", "documents")
NOW = dt.datetime(2024, 6, 1, 12, 0, 0, tzinfo=dt.UTC)
TABLE = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, user_id INTEGER, file_path VARCHAR, original_name VARCHAR,
    doc_type VARCHAR, date DATE, created_at DATETIME, processing_status VARCHAR,
    synced_to_nas BOOLEAN, synced_at DATETIME
);
CREATE TABLE flags (id INTEGER, flag BOOLEAN);
CREATE TRIGGER witness AFTER UPDATE OF synced_to_nas ON documents
BEGIN INSERT INTO flags VALUES (new.id, new.synced_to_nas); END;
"""


def no_step(_side: str) -> None:
    """For what reports its steps to a heartbeat."""


def files_below(folder: Path) -> dict[str, bytes]:
    """Every regular file below *folder*, the marker left out: relative path → content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".nas-syncd.json"
    }


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# -- models -----------------------------------------------------------------------------------


def a_document(id_: str = "7", **fields: Any) -> Document:
    values: dict[str, Any] = {
        "file_path": f"{BACKEND_DIR}/{id_}.pdf",
        "doc_type": "invoice",
        "date": dt.date(2024, 1, 15),
        "created_at": NOW,
        **fields,
    }
    return Document(id=id_, **values)


VERSION = SourceVersion(size=10, mtime_ns=1_000, inode=5)


def a_receipt(document: Document, nas: str = "nas-1", **fields: Any) -> Receipt:
    values: dict[str, Any] = {
        "scope": SCOPE,
        "version": VERSION,
        "sha256": "ab" * 32,
        "destination": f"2024/01/factures/{document.id}.pdf",
        "received_at": NOW,
        "filed_as": "2024/01/factures",
        **fields,
    }
    return Receipt(id=document.id, file_path=document.file_path, nas=nas, **values)


def an_entry(document: Document, state: State, **fields: Any) -> Entry:
    values: dict[str, Any] = {"reason": None, "since": NOW, "first_seen": NOW, **fields}
    return Entry(SCOPE, document.id, document.file_path, state, **values)


def a_view(state: MountState = MountState.OK) -> MountView:
    reason = None if state is MountState.OK else Reason(f"mount.{state}", {"path": "/nas"})
    return MountView(state, "/nas", reason, since=NOW)


class Clock:
    """The time of day, as a test wants it."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.time = now

    def __call__(self) -> dt.datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)


# -- the copier in this process -----------------------------------------------------------------

Strike = Callable[[int, str], OSError | None]
"""Told the number and the name of a system call; the error it is to fail with, or None."""

OPS = (
    *("open", "close", "read", "write", "seek", "fsync", "drop_cache", "fstat", "lstat"),
    *("fstatvfs", "mkdir", "listdir", "unlink", "rename_exclusive", "rename"),
)


class FaultyCalls(Calls):
    """The real calls, some of which fail. ``log`` names those that were made, in order."""

    def __init__(self, strike: Strike = lambda _number, _op: None, *, late: bool = False) -> None:
        """
        Args:
            late: What fails was done all the same: the server's answer was lost.
        """
        self.log: list[str] = []
        self._strike = strike
        self._late = late

    def sleep(self, seconds: float) -> None:
        """Nobody waits here."""


def _struck(op: str) -> Callable[..., Any]:
    real = getattr(Calls, op)

    def method(self: FaultyCalls, *args: Any, **more: Any) -> Any:
        number = len(self.log)
        self.log.append(op)
        error = self._strike(number, op)
        if error is None:
            return real(self, *args, **more)
        if self._late or op == "close":  # a close that fails has closed
            result = real(self, *args, **more)
            if op == "open":
                os.close(result)
        raise error

    return method


for _op in OPS:
    setattr(FaultyCalls, _op, _struck(_op))


def fail(*ops: str, number: int, times: int = 10**9) -> Strike:
    """The first *times* calls of these kinds fail with errno *number*."""
    left = [times]

    def strike(_number: int, op: str) -> OSError | None:
        if op not in ops or left[0] <= 0:
            return None
        left[0] -= 1
        return OSError(number, os.strerror(number))

    return strike


@contextlib.contextmanager
def tree_at(nas: Path, calls: Calls | None = None, *, claims: bool = False) -> Iterator[Tree]:
    """A batch's tree, as the agent opens one."""
    tree = Tree(os.open(nas, os.O_RDONLY | os.O_DIRECTORY), calls or Calls(), claims=claims)
    try:
        with tree:
            yield tree
    finally:
        tree.close()


def an_order(uploads: Path, relative: str = "a.pdf", id_: str = "7", **fields: Any) -> Order:
    """Copy *relative* to ``2024/01/factures``, as the rule of the three names has it."""
    stem, dot, extension = relative.rpartition("/")[2].rpartition(".")
    folder = "2024/01/factures"
    places = [f"{folder}/{stem}{add}{dot}{extension}" for add in ("", f"-{id_}")]
    values: dict[str, Any] = {
        "version": None,
        "candidates": (*places, f"{folder}/{stem}-{id_}-{{sha12}}{dot}{extension}"),
        "adopt_only": (),
        "temp_folder": f".nas-syncd-tmp/inst/{id_}",
        "temp": f".nas-syncd-run-{id_}.part",
        "stale": (),
        "min_free_bytes": 0,
        **fields,
    }
    return Order(uploads=str(uploads), relative=relative, **values)


def copier_for(tree: Tree, order: Order) -> Copier:
    return Copier(tree, order, no_step)


def version_at(path: Path) -> Version:
    status = path.stat()
    return Version(status.st_size, status.st_mtime_ns, status.st_ino)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


# -- a whole world ------------------------------------------------------------------------------


class World:
    """Upload folder, SQLite table, NAS folder with its marker, state directory; all real."""

    def __init__(self, root: Path, nas: Path | None = None) -> None:
        self.root = root
        self.uploads = root / "uploads"
        self.nas = nas or root / "nas"
        self.state = root / "state"
        self.database = root / "backend.sqlite"
        self.clock = Clock()
        self.uuid = str(uuid.uuid4())
        self.fates: list[Fate] = []
        self._stack = contextlib.ExitStack()
        self.uploads.mkdir(parents=True)
        self.nas.mkdir(exist_ok=True)
        self.pair()
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            db.executescript(TABLE)

    def close(self) -> None:
        self._stack.close()

    def pair(self) -> None:
        (self.nas / ".nas-syncd.json").write_text(json.dumps({"nas": self.uuid}))

    # -- parts --------------------------------------------------------------------------

    def site(self, *, state: Path | None = None, ready: bool = True, **plan: Any) -> Site:
        """A site whose mount was looked at once (unless not *ready*)."""
        values: dict[str, Any] = {
            "policy": Policy(folders=DEFAULT_FOLDERS),
            "workers": 2,
            "nas_timeout_seconds": 20.0,
            "min_free_bytes": 0,
            **plan,
        }
        uploads = UploadFolder(str(self.uploads), timeout_seconds=values["nas_timeout_seconds"])
        site = Site(
            Plan(
                nas_path=str(self.nas),
                upload_dir=str(self.uploads),
                db_upload_dir=BACKEND_DIR,
                state_dir=state or self.state,
                **values,
            ),
            uploads,
            now=self.clock,
        )
        self._stack.callback(site.close)
        if ready:
            site.guard.check().result(30)
        return site

    def table(self, timeout_seconds: float = 5.0) -> DocumentsTable:
        table = DocumentsTable.connect(
            f"sqlite:///{self.database}", TableNames(), timeout_seconds=timeout_seconds
        )
        self._stack.callback(table.close)
        return table

    def flow(self, site: Site, table: Any = None, **more: Any) -> Flow:
        return Flow(
            site, table or self.table(), manual=more.pop("manual", True), on_fate=self.told, **more
        )

    def told(self, fate: Fate) -> None:
        self.fates.append(fate)

    # -- the backend --------------------------------------------------------------------

    def sql(self, statement: str, *values: object) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as db, db:
            return db.execute(statement, values).fetchall()

    def upload(self, name: str, content: bytes) -> Path:
        path = self.uploads / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def add(self, name: str, content: bytes | None = b"content", **columns: object) -> str:
        """Upload a file (unless its content is None) and insert its row; return the id."""
        if content is not None:
            self.upload(name, content)
        row: dict[str, object] = {
            "user_id": 1,
            "file_path": f"{BACKEND_DIR}/{name}",
            "doc_type": "invoice",
            "date": "2024-01-15",
            "created_at": "2024-01-16 10:00:00",
            "processing_status": "completed",
            **columns,
        }
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as db, db:
            marks = ", ".join("?" * len(row))
            statement = f"INSERT INTO documents ({', '.join(row)}) VALUES ({marks})"
            return str(db.execute(statement, tuple(row.values())).lastrowid)

    def flag(self, id_: str) -> bool:
        return bool(self.sql("SELECT synced_to_nas FROM documents WHERE id = ?", id_)[0][0])

    def flags(self, id_: str) -> list[bool]:
        """What the flag was set to so far, in order."""
        rows = self.sql("SELECT flag FROM flags WHERE id = ? ORDER BY rowid", id_)
        return [bool(flag) for (flag,) in rows]

    def reset_flag(self, id_: str) -> None:
        self.sql("UPDATE documents SET synced_to_nas = 0 WHERE id = ?", id_)

    def on_nas(self) -> dict[str, bytes]:
        return files_below(self.nas)

    # -- going --------------------------------------------------------------------------

    def go(self, flow: Flow, ids: Iterable[str], seconds: float = 30.0) -> dict[str, Fate]:
        """Offer the rows as they are now and wait for each one's fate."""
        from time import monotonic

        flow.offer(flow.table.get(list(ids)).values())
        fates = flow.drain(monotonic() + seconds)
        assert not flow.busy, f"still in hand after {seconds} s: {flow.active()}"
        return {fate.document.id: fate for fate in fates}
