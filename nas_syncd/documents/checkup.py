"""A look at the backend's table as a doctor takes it: what could be done, without doing it.

Nothing is changed: the update that is tried concerns no row, and is rolled back.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from nas_syncd.documents import statements as sql
from nas_syncd.documents.engines import engine_for
from nas_syncd.documents.gates import OwnGate, Work
from nas_syncd.documents.names import LOGICAL, TableNames
from nas_syncd.documents.shape import MYSQL, POSTGRESQL, SQLITE, Shape, reflect
from nas_syncd.documents.trouble import detail_of, is_denied, is_read_only
from nas_syncd.documents.urls import driver_url, scope_database, secrets_of, sqlite_path
from nas_syncd.models import Document, Scope

T = TypeVar("T")

_INDEX = "documents_nas_pending"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be done. ``kind``: ``denied``, ``read_only``, ``folder``, ``other``."""

    kind: str
    detail: str
    columns: tuple[str, ...] = ()
    """Those that may not be written, where the database says so."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The rows with a file."""

    total: int
    marked: int
    null_flags: int
    """Their flag is neither true nor false; it counts as false."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What there is, for who has to find the right name."""

    tables: list[str]
    columns: list[str] | None
    """Of our table; None: it is not there."""


class Checkup:
    """Asks over connections of its own. Every method raises what ``DocumentsTable``'s do."""

    def __init__(self, url: URL, names: TableNames, timeout_seconds: float) -> None:
        self.url = url
        self.names = names
        self._gate = OwnGate(engine_for(url, timeout_seconds), timeout_seconds=timeout_seconds)

    @classmethod
    def connect(cls, url: str, names: TableNames, timeout_seconds: float) -> Self:
        """Nothing is connected to before the first question.

        Raises:
            ConfigurationError: *url* is wrong, or no driver for it is installed.
        """
        return cls(driver_url(url), names, timeout_seconds)

    @property
    def scope(self) -> Scope:
        """As the journal names it. Follows the links to an SQLite file."""
        return Scope(scope_database(self.url), self.names.table)

    @property
    def file(self) -> str | None:
        """The SQLite file; None for a server."""
        return sqlite_path(self.url) if self.url.get_backend_name() == SQLITE else None

    def close(self) -> None:
        self._gate.close()

    def round_trip(self) -> float:
        """Return how long the second of two questions takes, in seconds."""
        return self._run(_round_trip)

    def ahead(self) -> float | None:
        """Return by how many seconds the server's clock is ahead of ours; None: it has none."""
        return self._run(_ahead)

    def shape(self) -> Shape:
        """
        Raises:
            SchemaError: The table or a column is missing, or of no use.
        """
        return self._run(lambda connection: reflect(connection, self.names))

    def tables(self) -> Tables:
        """Return the tables of our schema, and our table's columns."""

        def look(connection: Connection) -> Tables:
            inspector = sa.inspect(connection)
            schema, name = self.names.schema, self.names.name
            tables = inspector.get_table_names(schema=schema)
            there = inspector.has_table(name, schema=schema)
            columns = inspector.get_columns(name, schema=schema) if there else None
            return Tables(tables, [c["name"] for c in columns] if columns is not None else None)

        return self._run(look)

    def read_refusal(self, shape: Shape) -> Refusal | None:
        """Return why the table may not be read; None: it may."""
        return self._tried(lambda c: c.execute(sql.rows(shape).limit(0)).all())

    def mark_refusal(self, shape: Shape) -> Refusal | None:
        """Return why our two columns may not be written; None: they may. Writes nothing."""
        if self.file is not None and not os.access(os.path.dirname(self.file), os.W_OK | os.X_OK):
            return Refusal("folder", os.path.dirname(self.file))
        refusal = self._tried(lambda connection: _update_nothing(connection, shape))
        if refusal is not None and refusal.kind == "denied" and shape.dialect == POSTGRESQL:
            columns = self._run(lambda connection: _unwritable(connection, shape))
            return Refusal(refusal.kind, refusal.detail, tuple(columns))
        return refusal

    def grant(self, shape: Shape) -> str:
        """Return the SQL that gives our user the rights it needs."""
        quote = self._gate.engine.dialect.identifier_preparer
        flag, stamp = (quote.quote(shape[name].name) for name in ("synced_to_nas", "synced_at"))
        user = self.url.username or "nas_syncd"
        grantee = f"'{user}'@'%'" if shape.dialect == MYSQL else quote.quote_identifier(user)
        table = quote.format_table(shape.table)
        return f"GRANT SELECT, UPDATE ({flag}, {stamp}) ON {table} TO {grantee};"

    def hides_rows(self, shape: Shape) -> bool:
        """Whether a row policy of PostgreSQL's decides which rows we see and write."""
        if shape.dialect != POSTGRESQL:
            return False
        table = self._quoted(shape)
        query = sa.text("SELECT row_security_active(CAST(:table AS regclass))")
        return bool(self._run(lambda c: c.execute(query, {"table": table}).scalar()))

    def numbers(self, shape: Shape) -> Numbers:
        """Count the rows with a file. Reads the whole table."""
        flag = sql.flag_number(shape)
        null = sa.case((shape["synced_to_nas"].is_(sa.null()), sql.literal("1")))
        query = (
            sa.select(sa.func.count(), sa.func.sum(flag), sa.func.count(null))
            .select_from(shape.table)
            .where(sql.has_file(shape))
        )
        total, marked, nulls = self._run(lambda connection: tuple(connection.execute(query).one()))
        return Numbers(int(total), int(marked or 0), int(nulls or 0))

    def newest_marks(self, shape: Shape, limit: int) -> list[Document]:
        """Return the documents that were marked last; those that cannot be read are left out."""
        stamp = shape["synced_at"]
        query = sql.rows(shape, sql.marked(shape), stamp.is_not(sa.null()))
        rows = self._run(lambda c: c.execute(query.order_by(stamp.desc()).limit(limit)).all())
        documents = []
        for row in rows:
            try:
                documents.append(sql.document(shape, row))
            except UnicodeDecodeError:
                continue
        return documents

    def has_pending_index(self, shape: Shape) -> bool:
        """Whether an index leads to the rows without a mark."""
        flag = shape["synced_to_nas"].name

        def look(connection: Connection) -> bool:
            indexes = sa.inspect(connection).get_indexes(self.names.name, schema=self.names.schema)
            return any(_leads_to(index, flag) for index in indexes)

        return self._run(look)

    def pending_index(self, shape: Shape) -> str:
        """Return the SQL that makes such an index, in the dialect at hand."""
        quote = self._gate.engine.dialect.identifier_preparer.quote
        key, flag = quote(shape["id"].name), quote(shape["synced_to_nas"].name)
        table = self._quoted(shape)
        if shape.dialect == MYSQL:
            return f"CREATE INDEX {_INDEX} ON {table} ({flag}, {key});"
        if shape.dialect == SQLITE:
            return f"CREATE INDEX {_INDEX} ON {table} ({key}) WHERE {flag} IS NOT 1;"
        no = "false" if shape.boolean_flag else "0"
        where = f"{flag} IS NULL OR {flag} = {no}"
        return f"CREATE INDEX CONCURRENTLY {_INDEX} ON {table} ({key}) WHERE {where};"

    # -- inside ---------------------------------------------------------------------------

    def _quoted(self, shape: Shape) -> str:
        preparer = self._gate.engine.dialect.identifier_preparer
        return preparer.format_table(shape.table)

    def _run(self, work: Work[T]) -> T:
        return self._gate.run(work, table=self.names.table)

    def _tried(self, work: Work[Any]) -> Refusal | None:
        def attempt(connection: Connection) -> Refusal | None:
            try:
                work(connection)
            except DBAPIError as error:
                detail = detail_of(error, secrets_of(self.url))
                if is_denied(error):
                    return Refusal("denied", detail)
                if is_read_only(error):
                    return Refusal("read_only", detail)
                raise
            return None

        return self._run(attempt)


def _round_trip(connection: Connection) -> float:
    connection.exec_driver_sql("SELECT 1").all()
    began = time.monotonic()
    connection.exec_driver_sql("SELECT 1").all()
    return time.monotonic() - began


def _ahead(connection: Connection) -> float | None:
    queries = {
        POSTGRESQL: "SELECT extract(epoch FROM clock_timestamp())",
        MYSQL: "SELECT unix_timestamp(sysdate(6))",
        "mariadb": "SELECT unix_timestamp(sysdate(6))",
    }
    query = queries.get(connection.dialect.name)
    if query is None:
        return None
    before = time.time()
    told = connection.exec_driver_sql(query).scalar_one()
    return float(told) - (before + time.time()) / 2


def _update_nothing(connection: Connection, shape: Shape) -> None:
    """Try the update of a mark on no row at all: rights are looked at all the same."""
    update = sql.flag_set(shape).where(sa.false())
    values = {sql.STAMP: sql.stamp_value(shape, dt.datetime.now(dt.UTC))}
    if shape.dialect == SQLITE:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            connection.execute(update, values)
        finally:
            connection.exec_driver_sql("ROLLBACK")
    else:
        connection.execute(update, values)  # the gate ends the transaction without a commit


def _unwritable(connection: Connection, shape: Shape) -> list[str]:
    preparer = connection.dialect.identifier_preparer
    query = sa.text("SELECT has_column_privilege(:table, :column, 'UPDATE')")
    table = preparer.format_table(shape.table)
    columns = [shape[name].name for name in ("synced_to_nas", "synced_at")]
    return [
        column
        for column in columns
        if not connection.execute(query, {"table": table, "column": column}).scalar()
    ]


def _leads_to(index: Any, flag: str) -> bool:
    if flag in (index["column_names"] or [None])[:1]:
        return True
    options = index.get("dialect_options", {})
    return any(flag in str(value) for name, value in options.items() if name.endswith("_where"))


def similar(wanted: str, names: list[str]) -> str | None:
    """Return the one of *names* that probably means our *wanted*."""
    import difflib

    if wanted not in LOGICAL:
        return next(iter(difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)), None)
    usual = {
        "original_name": ("original_filename", "filename", "file_name", "name"),
        "processing_status": ("status", "ocr_status", "state"),
        "file_path": ("filepath", "path", "storage_path", "stored_path"),
        "doc_type": ("document_type", "type", "category", "kind"),
        "created_at": ("created", "uploaded_at", "inserted_at"),
        "user_id": ("owner_id", "owner", "account_id"),
        "date": ("document_date", "doc_date", "invoice_date"),
        "id": ("document_id", "uuid", "pk"),
    }
    folded = {name.casefold(): name for name in names}
    for candidate in usual.get(wanted, ()):
        if candidate in folded:
            return folded[candidate]
    return next(iter(difflib.get_close_matches(wanted, names, n=1, cutoff=0.7)), None)
