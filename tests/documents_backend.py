"""A backend as the tests of the documents table need it: its table, its rows, its own writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from nas_syncd.documents import driver_url

CREATED = dt.datetime(2024, 1, 15, 14, 30, 0)  # noqa: DTZ001 - naive, as most backends store it

COLUMNS = {
    "id": "INTEGER PRIMARY KEY",
    "user_id": "INTEGER",
    "file_path": "VARCHAR(500)",
    "original_name": "VARCHAR(255)",
    "doc_type": "VARCHAR(20)",
    "date": "DATE",
    "created_at": "{naive}",
    "processing_status": "VARCHAR(20)",
    "synced_to_nas": "BOOLEAN",
    "synced_at": "{naive} NULL",
}
TYPES = {
    "sqlite": {"naive": "DATETIME", "zoned": "DATETIME"},
    "postgresql": {"naive": "TIMESTAMP", "zoned": "TIMESTAMPTZ"},
    "mysql": {"naive": "DATETIME(6)", "zoned": "DATETIME(6)"},
}


class Backend:
    """The other program that owns the database."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = driver_url(url)
        self.kind = parsed.get_backend_name()
        plain = {"options": "-c datestyle=ISO"} if self.kind == "postgresql" else {}
        self.engine = sa.create_engine(parsed, connect_args=plain)

    def create(self, table: str = "documents", **columns: str | None) -> None:
        """Create the table; a column given as None is left out."""
        wanted = {name: kind for name, kind in {**COLUMNS, **columns}.items() if kind}
        body = ", ".join(
            f"{self.quoted(name)} {kind.format(**TYPES[self.kind])}"
            for name, kind in wanted.items()
        )
        self.run(f"CREATE TABLE {table} ({body})")

    def add(self, id_: object, table: str = "documents", **values: object) -> None:
        row = {
            "id": id_,
            "user_id": 1,
            "file_path": f"/app/uploads/{id_}.pdf",
            "created_at": CREATED,
            **values,
        }
        names = ", ".join(self.quoted(name) for name in row)
        blanks = ", ".join(f":{name}" for name in row)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({blanks})", **row)

    def add_all(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows that all have the same columns, in one transaction."""
        names = ", ".join(self.quoted(name) for name in rows[0])
        blanks = ", ".join(f":{name}" for name in rows[0])
        statement = sa.text(f"INSERT INTO documents ({names}) VALUES ({blanks})")
        with self.engine.begin() as connection:
            plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
            connection.execute(statement, plain)

    def row(self, id_: object, *columns: str) -> tuple[Any, ...] | None:
        names = ", ".join(self.quoted(name) for name in columns or ("synced_to_nas", "synced_at"))
        with self.engine.connect() as connection:
            query = sa.text(f"SELECT {names} FROM documents WHERE id = :id")
            found = connection.execute(query, {"id": _plain(id_)}).first()
        return tuple(found) if found else None

    def run(self, statement: str, **values: object) -> None:
        plain = {name: _plain(value) for name, value in values.items()}
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), plain)

    @contextmanager
    def writing(self, statement: str) -> Iterator[sa.Connection]:
        """A transaction that has written and is not over; rolled back at the end."""
        with self.engine.connect() as connection:
            connection.execute(sa.text(statement))
            yield connection
            connection.rollback()

    def quoted(self, name: str) -> str:
        return str(self.engine.dialect.identifier_preparer.quote(name))

    def flag(self, id_: object) -> bool:
        found = self.row(id_, "synced_to_nas")
        return bool(found and found[0])


def _plain(value: object) -> object:
    """Python's sqlite3 has no dates of its own any more."""
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value
