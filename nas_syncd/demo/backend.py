"""The pretend backend: it owns the ``documents`` table and the upload folder."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path
from typing import BinaryIO

PREFIX = "/app/uploads"
"""What stands for the upload folder in ``file_path``, as in the backend's container."""
_TABLE = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    file_path VARCHAR(500),
    original_name VARCHAR(255),
    doc_type VARCHAR(20),
    date DATE,
    amount NUMERIC(10, 2),
    created_at DATETIME NOT NULL,
    processing_status VARCHAR(20),
    synced_to_nas BOOLEAN DEFAULT 0,
    synced_at DATETIME
)"""
Row = dict[str, object]


class Backend:
    """One connection, one thread. ``rows`` is what the backend itself has written."""

    def __init__(self, database: Path, uploads: Path) -> None:
        self.uploads = uploads
        self.rows: dict[int, Row] = {}
        self._connection = sqlite3.connect(database, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(_TABLE)

    def insert(self, row: Row) -> None:
        names = ", ".join(row)
        blanks = ", ".join(f":{name}" for name in row)
        self._connection.execute(f"INSERT INTO documents ({names}) VALUES ({blanks})", row)
        self.rows[int(str(row["id"]))] = dict(row)

    def complete(self, number: int, doc_type: str | None, date: dt.date | None) -> None:
        """The recognition is done: type and date are known now."""
        known: Row = {"doc_type": doc_type, "date": iso(date), "processing_status": "completed"}
        changes = ", ".join(f"{name} = :{name}" for name in known)
        self._connection.execute(
            f"UPDATE documents SET {changes} WHERE id = :id", {**known, "id": number}
        )
        self.rows[number].update(known)

    def store(self, upload: str, data: bytes) -> None:
        """Write an upload as backends do: in place."""
        with self.open(upload) as file:
            file.write(data)

    def open(self, upload: str) -> BinaryIO:
        """Open an upload that comes in pieces."""
        path = self.uploads / upload
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")

    def safe(self) -> int:
        """Return how many documents are marked."""
        query = "SELECT count(*) FROM documents WHERE synced_to_nas"
        return int(self._connection.execute(query).fetchone()[0])

    def close(self) -> None:
        self._connection.close()


def iso(date: dt.date | None) -> str | None:
    return date.isoformat() if date else None


def utc_now() -> str:
    """Return the time as the table holds it: naive, UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(sep=" ")
