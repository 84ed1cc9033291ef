"""The people and the backend of a soak: they upload, edit, ask again and delete, by chance."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections import Counter
from pathlib import Path

from tests.faults.backends import Backend, Sqlite
from tests.oracle import Verdict, examine
from tests.stage import BACKEND_DIR, Stage

TYPES = ("invoice", "receipt", "payslip", "other", None)
POPULATION = 250
"""So many documents at once: beyond that the oldest are deleted, and what grows is a leak."""


class Household:
    """What each act does; and what the oracle has to know of it."""

    def __init__(self, stage: Stage, backend: Backend, chance: random.Random) -> None:
        self.stage = stage
        self.backend = backend
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.documents: dict[int, str] = {}
        self.left: set[str] = set()
        """Digests of what was filed for rows or versions that are no more: it stays on the NAS."""
        self._edited: set[int] = set()
        self._asked_again: set[int] = set()
        self._numbers = 0
        self._files_to_come: list[tuple[str, bytes]] = []
        self._rows_to_come: list[tuple[int, str]] = []
        self._unprocessed: list[int] = []

    @property
    def ever(self) -> int:
        return self._numbers

    def act(self) -> None:
        """One thing that happens on an ordinary day."""
        acts = {
            self.upload: 10,
            self.upload_before_its_row: 2,
            self.insert_before_its_file: 2,
            self.upload_unprocessed: 3,
            self.finish: 5,
            self.edit: 3,
            self.rewrite: 2,
            self.reset: 4,
            self.delete: 2,
        }
        (act,) = self.chance.choices(list(acts), weights=list(acts.values()))
        act()
        for _ in range(len(self.documents) - POPULATION):
            self.delete()

    # -- acts -------------------------------------------------------------------------------

    def upload(self) -> None:
        for _ in range(self.chance.choice((1, 1, 1, 3, 10))):
            number, name = self._next()
            self._write(name, self._bytes(number))
            self._insert(number, name)
            self.done["uploaded"] += 1

    def upload_before_its_row(self) -> None:
        number, name = self._next()
        self._write(name, self._bytes(number))
        self._rows_to_come.append((number, name))
        self.done["uploaded before its row"] += 1

    def insert_before_its_file(self) -> None:
        number, name = self._next()
        self._insert(number, name)
        self._files_to_come.append((name, self._bytes(number)))
        self.done["row before its file"] += 1

    def upload_unprocessed(self) -> None:
        number, name = self._next()
        self._write(name, self._bytes(number))
        self._insert(number, name, status="processing")
        self._unprocessed.append(number)
        self.done["uploaded, metadata later"] += 1

    def finish(self) -> None:
        """What was begun is completed: the row, the file, the metadata."""
        if self._rows_to_come:
            self._insert(*self._rows_to_come.pop(0))
        if self._files_to_come:
            self._write(*self._files_to_come.pop(0))
        if self._unprocessed:
            number = self._unprocessed.pop(0)
            self._update(number, f"{self._metadata()}, processing_status = 'completed'")
            self._edited.add(number)  # it may have been filed without, if a clock jumped
            if number in self.documents:
                self._stays_where_it_was(number)
            self.done["metadata came"] += 1

    def finish_all(self) -> None:
        while self._rows_to_come or self._files_to_come or self._unprocessed:
            self.finish()

    def edit(self) -> None:
        if number := self._any():
            self._update(number, self._metadata())
            self._edited.add(number)
            self._stays_where_it_was(number)
            self.done["metadata edited"] += 1

    def rewrite(self) -> None:
        """Another version of the file: the old one stays on the NAS."""
        number = self._any() or 0
        path = self.stage.uploads / self.documents.get(number, "")
        if path.is_file():
            self._leave(path)
            path.write_bytes(self._bytes(number))
            self.done["file rewritten"] += 1

    def reset(self) -> None:
        if number := self._any():
            self._update(number, "synced_to_nas = false, synced_at = NULL")
            self._asked_again.add(number)
            self._stays_where_it_was(number)
            self.done["flag reset"] += 1

    def delete(self) -> None:
        number = self._any(oldest=True)
        if not number or number in self._unprocessed:
            return
        path = self.stage.uploads / self.documents.pop(number)
        if path.exists():
            self._leave(path)
        self.backend.sql(f"DELETE FROM documents WHERE id = {number}")
        path.unlink(missing_ok=True)
        self._files_to_come = [one for one in self._files_to_come if one[0] != path.name]
        self.done["deleted"] += 1

    # -- the oracle -------------------------------------------------------------------------

    def verdict(self, nas: Path) -> Verdict:
        """Every row's state, by the independent oracle; what is rightly left over taken out."""
        stage = self.stage
        verdict = examine(self._rows(), stage.uploads, nas, BACKEND_DIR, state=stage.state)
        for found in (verdict.foreign, verdict.doubled, verdict.partial):
            found[:] = [f for f in found if _digest((nas / f).read_bytes()) not in self.left]
        return verdict

    def _rows(self) -> Path:
        """The rows in an SQLite file, which the oracle reads."""
        if isinstance(self.backend, Sqlite):
            return self.backend.file
        columns = "id, file_path, doc_type, date, created_at, synced_to_nas"
        mirror = self.stage.root / "mirror.sqlite"
        mirror.unlink(missing_ok=True)
        with sqlite3.connect(mirror) as db:
            db.execute(f"CREATE TABLE documents ({columns})")
            rows = self.backend.sql(f"SELECT {columns} FROM documents")
            plain = [[str(v) if i in (3, 4) and v else v for i, v in enumerate(r)] for r in rows]
            db.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", plain)
        return mirror

    # -- inside -----------------------------------------------------------------------------

    def _next(self) -> tuple[int, str]:
        self._numbers += 1
        twin = self.chance.random() < 0.1  # another person's scan of that name
        name = f"u{self._numbers}/scan.pdf" if twin else f"f{self._numbers}.pdf"
        return self._numbers, name

    def _bytes(self, number: int) -> bytes:
        size = self.chance.choice((0, 200, 5_000, 40_000, 300_000))
        return f"{number}, {self.chance.random()}\n".encode() + self.chance.randbytes(size)

    def _write(self, name: str, content: bytes) -> None:
        path = self.stage.uploads / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def _insert(self, number: int, name: str, status: str = "completed") -> None:
        kind, date = self._kind_and_date()
        self.backend.sql(
            f"INSERT INTO documents VALUES ({number}, 1, '{BACKEND_DIR}/{name}', '{name}', {kind},"
            f" {date}, '2024-01-16 10:00:00', '{status}', NULL, NULL)"
        )
        self.documents[number] = name

    def _update(self, number: int, what: str) -> None:
        self.backend.sql(f"UPDATE documents SET {what} WHERE id = {number}")

    def _metadata(self) -> str:
        kind, date = self._kind_and_date()
        return f"doc_type = {kind}, date = {date}"

    def _kind_and_date(self) -> tuple[str, str]:
        kind = self.chance.choice(TYPES)
        date = f"'20{self.chance.randint(20, 25)}-{self.chance.randint(1, 12):02}-15'"
        return (f"'{kind}'" if kind else "NULL"), date

    def _stays_where_it_was(self, number: int) -> None:
        """Other metadata, and the wish for a new copy: that one goes elsewhere, the old one stays.
        Either alone doubles nothing."""
        path = self.stage.uploads / self.documents[number]
        if number in self._edited & self._asked_again and path.is_file():
            self._leave(path)

    def _any(self, *, oldest: bool = False) -> int | None:
        if not self.documents:
            return None
        return min(self.documents) if oldest else self.chance.choice(list(self.documents))

    def _leave(self, path: Path) -> None:
        self.left.add(_digest(path.read_bytes()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
