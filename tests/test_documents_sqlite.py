"""SQLite has rules of its own: dates are texts, one writer at a time, a file may be replaced."""

from __future__ import annotations

import datetime as dt
import enum
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from nas_syncd.documents import DocumentsTable, MarkOutcome, TableNames
from nas_syncd.errors import DatabaseUnavailableError, SchemaError
from tests.documents_backend import Backend

AT = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


class Kind(enum.Enum):
    INVOICE = "invoice"


class Base(DeclarativeBase):
    pass


class Row(Base):
    """A backend's model as SQLAlchemy's own documentation would write it."""

    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    file_path: Mapped[str | None]
    doc_type: Mapped[Kind]
    date: Mapped[dt.date | None]
    created_at: Mapped[dt.datetime]
    synced_to_nas: Mapped[bool] = mapped_column(default=False)
    synced_at: Mapped[dt.datetime | None]


@pytest.fixture
def backend(sqlite_database: str) -> Iterator[Backend]:
    backend = Backend(sqlite_database)
    backend.create()
    yield backend
    backend.engine.dispose()


@pytest.fixture
def table(backend: Backend) -> Iterator[DocumentsTable]:
    table = DocumentsTable.connect(backend.url, TableNames(), timeout_seconds=5)
    yield table
    table.close()


def file_of(backend: Backend) -> Path:
    return Path(backend.engine.url.database or "")


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-02-29", dt.date(2024, 2, 29)),
        ("2024-02-29 23:59:59", dt.date(2024, 2, 29)),
        ("2024-02-29T23:59:59.123456789Z", dt.date(2024, 2, 29)),
        ("2024-02-29 23:59:59.5-11:00", dt.date(2024, 2, 29)),
        ("29/02/2024", None),
        ("2023-02-29", None),
        ("0000-00-00", None),
        ("", None),
        (1709164800, None),
    ],
)
def test_a_date_is_read_as_far_as_it_is_one(
    backend: Backend, table: DocumentsTable, text: object, date: dt.date | None
) -> None:
    backend.add(1, date=text)

    assert table.get(["1"])["1"].date == date


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-02 03:04:05", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ("2024-01-02T03:04:05.5+02:00", dt.datetime(2024, 1, 2, 1, 4, 5, 500000, tzinfo=dt.UTC)),
        ("2024-01-02", dt.datetime(2024, 1, 2, tzinfo=dt.UTC)),
        ("0001-01-01 00:00:00+14:00", None),
        ("yesterday", None),
        (12.5, None),
    ],
)
def test_a_time_is_read_as_far_as_it_is_one(
    backend: Backend, table: DocumentsTable, text: object, moment: dt.datetime | None
) -> None:
    backend.add(1, created_at=text)

    assert table.get(["1"])["1"].created_at == moment


def test_bytes_that_are_no_text_spoil_their_own_row_only(
    backend: Backend, table: DocumentsTable
) -> None:
    for number in (1, 2, 3):
        backend.add(number)
    backend.run("UPDATE documents SET file_path = CAST(x'2fff' AS TEXT) WHERE id = 2")
    backend.run("UPDATE documents SET original_name = CAST(x'61ff' AS TEXT) WHERE id = 3")

    page = table.pending(None, 10)

    assert [document.id for document in page.documents] == ["1", "3"]
    assert page.documents[1].original_name == "a\ufffd"
    assert [id_ for id_, _ in page.unreadable] == ["2"]
    assert page.cursor is None
    assert "file_path" in page.unreadable[0][1]
    assert table.mark([("2", "/\ufffd.pdf")], AT) == {"2": MarkOutcome.MOVED}


@pytest.mark.parametrize("text", ["false", "no", "true"])
def test_a_flag_that_is_a_word_is_not_taken_for_true(
    backend: Backend, table: DocumentsTable, text: str
) -> None:
    """``DEFAULT 'false'`` is a text in SQLite, and a text is greater than every number."""
    backend.add(1, synced_to_nas=text)

    assert [document.synced for document in table.pending(None, 5).documents] == [False]
    assert table.synced(None, 5).documents == []
    assert table.mark([("1", "/app/uploads/1.pdf")], AT) == {"1": MarkOutcome.MARKED}
    assert table.counts().synced == 1


def test_an_orm_backend_with_an_enum_reads_what_we_wrote(sqlite_database: str) -> None:
    engine = sa.create_engine(sqlite_database)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        created = AT.replace(tzinfo=None)
        session.add(Row(user_id=1, file_path="/u/a.pdf", doc_type=Kind.INVOICE, created_at=created))
        session.commit()
        table = DocumentsTable.within(session, TableNames())
        (document,) = table.find(["/u/a.pdf"])
        assert (document.doc_type, document.created_at) == ("INVOICE", AT)
        table.mark([(document.id, document.file_path)], AT)
        session.commit()
        row = session.get_one(Row, 1)
        assert (row.synced_to_nas, row.synced_at) == (True, created)
    engine.dispose()


def test_a_missing_file_is_the_database_being_away_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "not there.db"
    table = DocumentsTable.connect(f"sqlite:///{path}", TableNames())

    for question in (table.check, table.counts, table.change_token):
        with pytest.raises(DatabaseUnavailableError, match=r"unable to open|No such file"):
            question()

    assert not path.exists()
    Backend(f"sqlite:///{path}").create()
    table.check()
    table.close()


def test_strange_letters_in_the_path_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "é #&+.db"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE documents (id INTEGER PRIMARY KEY)")
    engine.dispose()
    table = DocumentsTable.connect(f"sqlite:///{path}", TableNames())

    with pytest.raises(SchemaError, match="has no column"):
        table.check()
    assert table.change_token() is not None
    table.close()


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is not a database, it is a text " * 50)
    table = DocumentsTable.connect(f"sqlite:///{path}", TableNames())

    with pytest.raises(DatabaseUnavailableError, match="not a database"):
        table.check()
    table.close()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_journal_mode_stays_and_a_short_lock_is_waited_out(
    backend: Backend, table: DocumentsTable, mode: str
) -> None:
    backend.run(f"PRAGMA journal_mode = {mode}")
    backend.add(1)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite3.connect(file_of(backend), isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            held.set()
            release.wait(10)
            other.execute("COMMIT")
        other.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.5, release.set).start()
    outcome = table.mark([("1", "/app/uploads/1.pdf")], AT)
    holder.join()

    assert outcome == {"1": MarkOutcome.MARKED}
    with sqlite3.connect(file_of(backend)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == (mode,)
    other.close()


def test_a_lock_that_stays_is_given_up_within_seconds(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.add(1)
    other = sqlite3.connect(file_of(backend), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()

    with pytest.raises(DatabaseUnavailableError, match="locked"):
        table.mark([("1", "/app/uploads/1.pdf")], AT)

    assert 1 < time.monotonic() - began < 9
    other.execute("ROLLBACK")
    other.close()
    assert table.mark([("1", "/app/uploads/1.pdf")], AT) == {"1": MarkOutcome.MARKED}


def test_a_session_with_a_stale_snapshot_is_told_at_once(backend: Backend) -> None:
    backend.run("PRAGMA journal_mode = wal")
    backend.add(1)
    engine = sa.create_engine(backend.engine.url)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with Session(engine) as session:
        table = DocumentsTable.within(session, TableNames())
        assert table.counts().total == 1
        backend.run("UPDATE documents SET doc_type = 'other'")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            table.mark([("1", "/app/uploads/1.pdf")], AT)
        assert time.monotonic() - began < 2
        session.rollback()
        assert table.mark([("1", "/app/uploads/1.pdf")], AT) == {"1": MarkOutcome.MARKED}
        session.commit()
    engine.dispose()
    assert backend.flag(1)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_change_token_changes_when_somebody_writes(
    backend: Backend, table: DocumentsTable, mode: str
) -> None:
    backend.run(f"PRAGMA journal_mode = {mode}")
    first = table.change_token()
    assert table.change_token() == first

    backend.add(1)

    second = table.change_token()
    assert second != first
    table.counts()
    assert table.change_token() == second


def test_a_replaced_file_is_noticed(
    backend: Backend, table: DocumentsTable, tmp_path: Path
) -> None:
    backend.add(1)
    assert table.counts().total == 1
    before = table.change_token()

    restored = Backend(f"sqlite:///{tmp_path / 'restored.db'}")
    restored.engine.dispose()
    (tmp_path / "restored.db").touch()
    restored.create(original_name=None)
    restored.engine.dispose()
    os.replace(tmp_path / "restored.db", file_of(backend))

    assert table.change_token() != before
    with pytest.raises(SchemaError):
        table.pending(None, 5)
    assert table.pending(None, 5).documents == []


def test_nothing_is_kept_open_that_hinders_the_backend(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.add(1)
    table.change_token()
    table.mark([("1", "/app/uploads/1.pdf")], AT)
    table.pending(None, 5)

    with sqlite3.connect(file_of(backend), timeout=0) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM documents")
    other.close()
    assert table.counts().total == 0


def test_marks_of_many_threads_over_one_table_all_arrive(
    backend: Backend, table: DocumentsTable
) -> None:
    for number in range(30):
        backend.add(number)
    results: list[MarkOutcome] = []

    def run(number: int) -> None:
        results.extend(table.mark([(str(number), f"/app/uploads/{number}.pdf")], AT).values())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [MarkOutcome.MARKED] * 30
    assert table.counts().synced == 30
