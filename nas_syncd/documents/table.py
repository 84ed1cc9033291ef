"""The backend's ``documents`` table: find, page through, count, mark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import UnboundExecutionError

from nas_syncd.documents import counting
from nas_syncd.documents import marks as marking
from nas_syncd.documents import statements as sql
from nas_syncd.documents.engines import engine_for
from nas_syncd.documents.freshness import ChangeWatch
from nas_syncd.documents.gates import Gate, OwnGate, SessionGate
from nas_syncd.documents.names import Counts, MarkOutcome, MonthCount, Page, TableNames
from nas_syncd.documents.shape import SQLITE, Shape, Shapes
from nas_syncd.documents.trouble import ValueRefusedError
from nas_syncd.documents.urls import driver_url, scope_database, sqlite_path
from nas_syncd.documents.values import KeyKind, sendable, spellings
from nas_syncd.documents.writes import WriteEvents
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, SchemaError
from nas_syncd.models import Document, Scope

if TYPE_CHECKING:  # the daemon does without the ORM
    from sqlalchemy.orm import Session

T = TypeVar("T")

_CHUNK = 500
"""Values in one ``IN``: below every database's limit on parameters."""

_shapes = Shapes()


class DocumentsTable:
    """The table, over an engine of our own (:meth:`connect`) or a caller's session
    (:meth:`within`).

    The first is safe for several threads, the second belongs to the session's thread. Every
    method raises :class:`DatabaseUnavailableError` when the database cannot be asked now,
    :class:`SchemaError` when the table is not as we need it, :class:`ConfigurationError` when
    the driver does not take the address, nothing else. ``user_id=None``: everybody's documents.
    """

    def __init__(
        self, gate: Gate, names: TableNames, scope: Scope, watch: ChangeWatch | None = None
    ) -> None:
        self.scope = scope
        self._gate = gate
        self._names = names
        self._watch = watch

    @classmethod
    def connect(cls, url: str, names: TableNames, *, timeout_seconds: float = 10) -> Self:
        """Return the table behind *url*; nothing is connected to before the first question.

        Nothing takes much longer than *timeout_seconds*, whatever the server does.

        Raises:
            ConfigurationError: *url* is wrong, or no driver for it is installed.
        """
        parsed = driver_url(url)
        engine = engine_for(parsed, timeout_seconds)
        is_file = parsed.get_backend_name() == SQLITE
        return cls(
            OwnGate(engine, timeout_seconds=timeout_seconds),
            names,
            Scope(scope_database(parsed), names.table),
            ChangeWatch(sqlite_path(parsed)) if is_file else None,
        )

    @classmethod
    def within(
        cls,
        session: Session,
        names: TableNames,
        *,
        gate_of: Callable[[Session], SessionGate] = SessionGate,
    ) -> Self:
        """Return the table as seen by *session*: in its transaction, which we never end.

        Args:
            gate_of: Another gate may do more around each question.

        Raises:
            ConfigurationError: The session is bound to no database, or one we do not know.
        """
        try:
            gate = gate_of(session)
        except UnboundExecutionError:
            raise ConfigurationError("the session is bound to no database") from None
        return cls(gate, names, Scope(scope_database(gate.engine.url), names.table))

    def close(self) -> None:
        """Let go of our own connections; a session stays as it is."""
        if self._watch is not None:
            self._watch.close()
        if isinstance(self._gate, OwnGate):
            self._gate.close()

    def check(self) -> None:
        """Look at the table anew, and read from it.

        Raises:
            SchemaError: The table or a column is missing, or of no use.
            DatabaseUnavailableError: It could not be looked at.
        """
        self._forget_shape()
        self._ask(lambda connection, shape: connection.execute(sql.rows(shape).limit(0)).all())

    @property
    def keys_ascend(self) -> bool:
        """Whether new rows get greater keys, so that :meth:`newer` finds them."""
        shape = _shapes.known(self._gate.engine, self._names) or self._ask(
            lambda _, reflected: reflected
        )
        return shape.id_kind is KeyKind.INTEGER

    def get(self, ids: Collection[str], user_id: str | None = None) -> dict[str, Document]:
        """Return the documents with these ids, by the id as given; the others are absent."""

        def wanted(shape: Shape, texts: Sequence[str]) -> sql.Condition:
            return sa.and_(_by_id(shape, texts), sql.of_user(shape, user_id))

        rows: dict[str, Document] = {}
        for chunk in _chunks(ids):
            rows.update((row.id, row) for row in self._ask_for_any(chunk, wanted))
        return {
            id_: rows[spelling]
            for id_ in ids
            for spelling in reversed(spellings(id_))
            if spelling in rows
        }

    def row_exists(self, id_: str, user_id: str | None = None) -> bool:
        """Whether there is such a row, with a file or without."""

        def look(connection: Connection, shape: Shape) -> bool:
            mine = sql.of_user(shape, user_id)
            where = sa.and_(sql.any_of(shape["id"], sql.id_values(shape, id_)), mine)
            query = sa.select(shape["id"]).select_from(shape.table).where(where).limit(1)
            return connection.execute(query).first() is not None

        try:
            return self._ask(look)
        except ValueRefusedError:
            return False

    def find(self, file_paths: Collection[str]) -> list[Document]:
        """Return every document whose ``file_path`` is, letter by letter, one of these.

        Several rows may share a path: all of them. Strings that no database can hold are skipped.
        """
        found = []
        for chunk in _chunks(path for path in file_paths if path and sendable(path)):
            exact = set(chunk)
            rows = self._ask_for_any(chunk, _by_path)
            found += [document for document in rows if document.file_path in exact]
        return found

    def page(self, after: str | None, limit: int, user_id: str | None = None) -> Page:
        """Return up to *limit* documents, marked or not, beyond the key *after*.

        An *after* that cannot be a key of this table begins at the first row.
        """
        return self._page(lambda _: sa.true(), after, limit, user_id)

    def pending(self, after: str | None, limit: int, user_id: str | None = None) -> Page:
        """:meth:`page` of the documents whose flag is not true."""
        return self._page(sql.unmarked, after, limit, user_id)

    def newer(self, after: str | None, limit: int) -> Page:
        """:meth:`pending` for a quick look at new rows; complete only if :attr:`keys_ascend`.

        A row that was committed late may have a smaller key: the whole has to be paged through
        now and then all the same.
        """
        return self._page(sql.unmarked, after, limit, None)

    def synced(self, after: str | None, limit: int, user_id: str | None = None) -> Page:
        """:meth:`page` of the documents whose flag is true."""
        return self._page(sql.marked, after, limit, user_id)

    def last_key(self) -> str | None:
        """Return the greatest key of all rows, None for an empty table."""

        def look(connection: Connection, shape: Shape) -> str | None:
            key = shape["id"]
            query: sa.Select[Any] = (
                sa.select(key).select_from(shape.table).where(sql.beyond(shape, None))
            )
            row = connection.execute(query.order_by(key.desc()).limit(1)).first()
            return None if row is None else sql.id_text(shape, row[0])

        return self._ask(look)

    def counts(self, user_id: str | None = None) -> Counts:
        """Count the rows with a file. Reads the whole table."""
        return self._ask(
            lambda connection, shape: counting.counts(
                connection.execute(counting.totals(shape, user_id)).one()
            )
        )

    def months(self, user_id: str | None = None) -> list[MonthCount]:
        """Count the rows with a file by the month and the type they are filed under, in this
        order. Reads the whole table."""
        return self._ask(
            lambda connection, shape: counting.months(
                connection.execute(counting.month_groups(shape, user_id)).all()
            )
        )

    def mark(self, marks: Collection[tuple[str, str]], at: dt.datetime) -> dict[str, MarkOutcome]:
        """Set the flag, and *at* (aware), of each (id, file_path that was copied).

        A row is touched only while it has that path and its flag is not true; of two callers at
        once exactly one is told MARKED. One transaction, committed here unless in a session. When
        the answer to the commit was lost, asking again says ALREADY.
        """
        return self._ask(
            lambda connection, shape: marking.mark(connection, shape, marks, at), write=True
        )

    def unmark(self, marks: Collection[tuple[str, str]]) -> set[str]:
        """Take the flag and ``synced_at`` back; return the ids for which it was true.

        Only of rows that still have the path given. Committed here unless in a session.
        """
        return self._ask(
            lambda connection, shape: marking.unmark(connection, shape, marks), write=True
        )

    def change_token(self) -> object | None:
        """Return a value that changes when the database was written to; None: cannot be told.

        Cheap, for SQLite files only. Our own marks change it, too.
        """
        return self._watch.token() if self._watch is not None else None

    def hear(self, on_write: Callable[[], None]) -> WriteEvents | None:
        """Have *on_write* called, in another thread, when somebody writes to the database.

        Returns:
            What is to be closed at the end; None where writes cannot be heard.
        """
        if self._watch is None:
            return None
        try:
            return WriteEvents(self._watch.path, on_write)
        except OSError:
            return None

    # -- inside ---------------------------------------------------------------------------

    def _page(
        self,
        which: Callable[[Shape], sql.Condition],
        after: str | None,
        limit: int,
        user_id: str | None,
    ) -> Page:
        def look(connection: Connection, shape: Shape) -> Page:
            query = sql.rows(
                shape, which(shape), sql.beyond(shape, after), sql.of_user(shape, user_id)
            )
            rows = connection.execute(query.order_by(shape["id"]).limit(limit)).all()
            cursor = sql.id_text(shape, rows[-1][0]) if rows and len(rows) == limit else None
            documents, unreadable = _read(shape, rows)
            return Page(documents, cursor, unreadable)

        return self._ask(look)

    def _ask_for_any(
        self, texts: Sequence[str], where: Callable[[Shape, Sequence[str]], sql.Condition]
    ) -> list[Document]:
        """The rows that *where* finds for *texts*; one that cannot be asked for spoils no other."""

        def look(connection: Connection, shape: Shape) -> list[Document]:
            return _read(shape, connection.execute(sql.rows(shape, where(shape, texts))).all())[0]

        try:
            return self._ask(look)
        except ValueRefusedError:
            if len(texts) == 1:
                return []
        half = len(texts) // 2
        return self._ask_for_any(texts[:half], where) + self._ask_for_any(texts[half:], where)

    def _ask(self, question: Callable[[Connection, Shape], T], *, write: bool = False) -> T:
        def work(connection: Connection) -> T:
            return question(connection, _shapes.of(connection, self._gate.engine, self._names))

        try:
            return self._gate.run(work, table=self._names.table, write=write)
        except ValueRefusedError:
            raise  # one value's trouble
        except (SchemaError, DatabaseUnavailableError):
            self._forget_shape()  # it may have changed under us; the next question looks again
            raise

    def _forget_shape(self) -> None:
        _shapes.forget(self._gate.engine, self._names)


def _by_id(shape: Shape, texts: Sequence[str]) -> sql.Condition:
    return sql.any_of(shape["id"], sql.ids(shape, texts))


def _by_path(shape: Shape, texts: Sequence[str]) -> sql.Condition:
    return sql.any_of(shape["file_path"], texts)


def _read(
    shape: Shape, rows: Sequence[Sequence[Any]]
) -> tuple[list[Document], list[tuple[str, str]]]:
    documents, unreadable = [], []
    for row in rows:
        try:
            documents.append(sql.document(shape, row))
        except UnicodeDecodeError as error:
            unreadable.append((sql.id_text(shape, row[0]), f"file_path: {error}"))
    return documents, unreadable


def _chunks(texts: Collection[str] | Iterator[str]) -> Iterator[list[str]]:
    distinct = iter(dict.fromkeys(texts))
    while chunk := list(islice(distinct, _CHUNK)):
        yield chunk
