"""What only a real server can do: infinite dates, deadlocks, silence, restarts."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nas_syncd.documents import DocumentsTable, MarkOutcome, TableNames
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, SchemaError, SyncError
from nas_syncd.messages import render_error
from tests.documents_backend import Backend
from tests.lab.databases import Server, free_port
from tests.lab.parts import wait_until

AT = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
SECONDS = 2.0


@pytest.fixture
def postgres(postgresql_database: str) -> Iterator[Backend]:
    backend = Backend(postgresql_database)
    yield backend
    backend.engine.dispose()


@pytest.fixture
def maria(mariadb_database: str) -> Iterator[Backend]:
    backend = Backend(mariadb_database)
    yield backend
    backend.engine.dispose()


@pytest.fixture(params=["postgres", "maria"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Backend)
    return found


@pytest.fixture
def server(request: pytest.FixtureRequest, backend: Backend) -> Server:
    found = request.getfixturevalue({"mysql": "mariadb"}.get(backend.kind, backend.kind))
    assert isinstance(found, Server)
    return found


def table_of(backend: Backend, names: TableNames | None = None) -> DocumentsTable:
    return DocumentsTable.connect(backend.url, names or TableNames(), timeout_seconds=SECONDS)


def mark_one(table: DocumentsTable, id_: str = "1") -> MarkOutcome:
    return table.mark([(id_, f"/app/uploads/{id_}.pdf")], AT)[id_]


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("date", ["infinity", "-infinity", "0044-03-15 BC", "12024-01-01"])
def test_a_date_python_cannot_hold_spoils_nothing(postgres: Backend, date: str) -> None:
    postgres.create(created_at="TIMESTAMPTZ", synced_at="TIMESTAMP")
    postgres.add(1, date=dt.date(2024, 1, 2))
    postgres.add(2, date=date, created_at=date, synced_at=date)
    table = table_of(postgres)

    page = table.pending(None, 5)

    assert [document.date for document in page.documents] == [dt.date(2024, 1, 2), None]
    assert page.documents[1].created_at is None
    assert page.unreadable == []
    postgres.run("UPDATE documents SET synced_to_nas = true")
    assert table.counts().last_sync is None
    table.close()


def test_types_of_the_backends_own_are_read(postgres: Backend) -> None:
    postgres.run("CREATE TYPE kind AS ENUM ('INVOICE', 'receipt')")
    postgres.run("CREATE DOMAIN number AS bigint CHECK (VALUE > 0)")
    postgres.run("CREATE DOMAIN place AS text")
    postgres.create(id="number PRIMARY KEY", doc_type="kind", file_path="place", extra="point[]")
    postgres.add(5_000_000_000, doc_type="INVOICE")
    table = table_of(postgres)

    (document,) = table.pending(None, 5).documents

    assert (document.id, document.doc_type) == ("5000000000", "INVOICE")
    assert table.keys_ascend
    assert mark_one(table, "5000000000") is MarkOutcome.MARKED
    table.close()


def test_a_zoned_date_is_taken_in_utc_whatever_the_servers_zone(postgres: Backend) -> None:
    postgres.create(date="TIMESTAMPTZ", created_at="TIMESTAMPTZ")
    postgres.add(1, date="2024-03-01 01:00:00+00", created_at="2024-03-01 01:00:00+02")
    table = table_of(postgres)

    document = table.get(["1"])["1"]

    assert document.date == dt.date(2024, 3, 1)
    assert document.created_at == dt.datetime(2024, 2, 29, 23, tzinfo=dt.UTC)
    table.close()


def test_a_flag_that_is_a_text_is_refused_with_its_name(postgres: Backend) -> None:
    postgres.create(synced_to_nas="TEXT")
    table = table_of(postgres)

    with pytest.raises(SchemaError, match=r"synced_to_nas.*TEXT.*boolean") as caught:
        table.check()
    table.close()
    assert re.search(r"synced_to_nas.*TEXT.*boolean", render_error(caught.value, "en"))
    assert re.search(r"synced_to_nas.*TEXT.*booléen", render_error(caught.value, "fr"))


def test_a_database_of_another_encoding_does_not_spoil_a_look_up(
    postgres: Backend, postgresql: Server
) -> None:
    postgresql.administer("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    latin = Backend(postgresql.url("latin"))
    latin.create()
    latin.add(1, file_path="/é.pdf")
    table = table_of(latin)

    assert [row.id for row in table.find(["/日本.pdf", "/é.pdf", "/🧾.pdf"])] == ["1"]
    assert table.mark([("1", "/é.pdf")], AT) == {"1": MarkOutcome.MARKED}
    table.close()
    latin.engine.dispose()
    postgresql.administer("DROP DATABASE latin")


def test_an_old_character_set_does_not_spoil_a_look_up(maria: Backend) -> None:
    maria.create(file_path="VARCHAR(200) CHARACTER SET latin1")
    maria.add(1, file_path="/é.pdf")
    table = table_of(maria)

    assert [row.id for row in table.find(["/日本.pdf", "/é.pdf", "/🧾.pdf"])] == ["1"]
    assert table.mark([("1", "/É.pdf")], AT) == {"1": MarkOutcome.MOVED}
    assert table.mark([("1", "/🧾.pdf")], AT) == {"1": MarkOutcome.MOVED}
    assert table.mark([("1", "/é.pdf")], AT) == {"1": MarkOutcome.MARKED}
    table.close()


def test_zero_dates_spoil_nothing(maria: Backend) -> None:
    maria.create()
    maria.run("INSERT INTO documents (id, user_id, file_path) VALUES (1, 1, '/u/1.pdf')")
    maria.run("UPDATE documents SET date = '0000-00-00', created_at = '0000-00-00 00:00:00'")
    table = table_of(maria)

    (document,) = table.pending(None, 5).documents

    assert (document.date, document.created_at) == (None, None)
    table.close()


def test_keys_may_be_bytes_and_flags_bits(maria: Backend) -> None:
    maria.create(id="BINARY(16) PRIMARY KEY", synced_to_nas="BIT(1)", user_id="BIGINT UNSIGNED")
    key = "00ff" * 8
    maria.run(
        f"INSERT INTO documents (id, user_id, file_path, synced_to_nas)"
        f" VALUES (x'{key}', {2**64 - 1}, '/app/uploads/{key}.pdf', 0)"
    )
    table = table_of(maria)

    (document,) = table.pending(None, 5).documents

    assert (document.id, document.user_id) == (key, str(2**64 - 1))
    assert table.get([key, "zz", "0"]).keys() == {key}
    assert mark_one(table, key) is MarkOutcome.MARKED
    assert [row.id for row in table.synced(None, 5).documents] == [key]
    table.close()


# -- other writers --------------------------------------------------------------------------


def test_a_deadlock_is_resolved_by_trying_again(backend: Backend) -> None:
    backend.create()
    for number in (1, 2):
        backend.add(number)
    table = DocumentsTable.connect(backend.url, TableNames(), timeout_seconds=20)
    outcome: dict[str, MarkOutcome] = {}
    with backend.writing("UPDATE documents SET doc_type = 'x' WHERE id = 2") as other:
        marks = [("1", "/app/uploads/1.pdf"), ("2", "/app/uploads/2.pdf")]
        thread = threading.Thread(target=lambda: outcome.update(table.mark(marks, AT)))
        thread.start()
        _wait_until_blocked(backend)
        # The other one gives way or we do; either way both marks are made in the end.
        try:
            other.execute(sa.text("UPDATE documents SET doc_type = 'x' WHERE id = 1"))
        except sa.exc.OperationalError:
            other.rollback()
        other.rollback()
        thread.join(20)

    assert outcome == {"1": MarkOutcome.MARKED, "2": MarkOutcome.MARKED}
    table.close()


def test_a_row_that_stays_locked_is_given_up_in_time(backend: Backend) -> None:
    backend.create()
    backend.add(1)
    table = table_of(backend)
    with backend.writing("UPDATE documents SET doc_type = 'x' WHERE id = 1"):
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            mark_one(table)
        assert time.monotonic() - began < 3 * SECONDS
    assert mark_one(table) is MarkOutcome.MARKED
    table.close()


@pytest.mark.parametrize(
    ("column", "kind"),
    [("synced_to_nas", "INTEGER USING synced_to_nas::integer"), ("id", "VARCHAR USING id::text")],
)
def test_a_column_of_another_type_is_looked_at_anew(
    postgres: Backend, column: str, kind: str
) -> None:
    postgres.create()
    postgres.add(1, synced_to_nas=False)
    table = table_of(postgres)
    assert table.pending(None, 10).documents
    postgres.run(f"ALTER TABLE documents ALTER COLUMN {column} TYPE {kind}")

    with pytest.raises(DatabaseUnavailableError):
        mark_one(table)

    assert mark_one(table) is MarkOutcome.MARKED
    table.close()


def test_a_row_the_database_protects_is_told_apart_and_the_others_are_marked(
    postgres: Backend,
) -> None:
    postgres.create()
    for number in (1, 2):
        postgres.add(number)
    postgres.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN CASE WHEN NEW.id = 1 THEN NULL ELSE NEW END; END $$"
    )
    postgres.run(
        "CREATE TRIGGER keep BEFORE UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    table = table_of(postgres)

    outcomes = table.mark([("1", "/app/uploads/1.pdf"), ("2", "/app/uploads/2.pdf")], AT)

    assert outcomes == {"1": MarkOutcome.MOVED, "2": MarkOutcome.MARKED}
    table.close()


# -- a server that is away ------------------------------------------------------------------


def test_a_restarted_server_heals_by_itself(backend: Backend, server: Server) -> None:
    backend.create()
    backend.add(1)
    table = table_of(backend)
    assert table.counts().total == 1

    backend.engine.dispose()
    server.stop()
    try:
        with pytest.raises(DatabaseUnavailableError):
            table.counts()
    finally:
        server.start()

    assert table.counts().total == 1
    server.stop()
    server.start()
    assert mark_one(table) is MarkOutcome.MARKED
    table.close()


def test_a_server_that_does_not_answer_is_given_up_in_time(
    backend: Backend, server: Server
) -> None:
    """Before the connection: the kernel accepts it, the server does not."""
    backend.create()
    table = table_of(backend)
    with server.frozen():
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            table.counts()
        assert time.monotonic() - began < 4 * SECONDS
    assert table.counts().total == 0
    table.close()


def _stands_still(pid: int) -> bool:
    """The signal reaches one thread after the other, and one that still runs may answer."""
    told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(text.rpartition(")")[2].split()[0] == "T" for text in told)


def test_a_connection_that_falls_silent_is_given_up_in_time(
    backend: Backend, server: Server
) -> None:
    """On a kept connection, in the middle of the conversation."""
    backend.create()
    table = table_of(backend)
    assert table.counts().total == 0
    frozen = _process_behind(table, backend) or server.pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_until(lambda: _stands_still(frozen), "every thread of the server stopped")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            table.counts()
        assert time.monotonic() - began < 6 * SECONDS
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert table.counts().total == 0
    table.close()


@pytest.mark.parametrize("driver", ["postgresql", "postgres", "mysql", "mariadb+aiomysql"])
def test_no_word_about_a_server_that_is_away_holds_the_password(driver: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pymysql")
    url = f"{driver}://me:s3cr%40t-pass@127.0.0.1:{free_port()}/finance"
    table = DocumentsTable.connect(url, TableNames(), timeout_seconds=SECONDS)

    with pytest.raises(DatabaseUnavailableError) as caught:
        table.check()

    said = f"{caught.value.detail} {caught.value.params} {_with_traceback(caught.value)}"
    assert "s3cr" not in said
    assert "refused" in caught.value.detail.lower()
    assert "\n" not in caught.value.detail
    table.close()


def test_a_wrong_password_is_told_without_telling_it(maria: Backend, mariadb: Server) -> None:
    mariadb.administer("CREATE USER IF NOT EXISTS other@'127.0.0.1' IDENTIFIED BY 'right'")
    url = f"mysql://other:s3cr%40t@127.0.0.1:{mariadb.port}/mysql"
    table = DocumentsTable.connect(url, TableNames(), timeout_seconds=SECONDS)

    with pytest.raises(DatabaseUnavailableError, match="Access denied") as caught:
        table.check()

    assert "s3cr" not in _with_traceback(caught.value)
    table.close()


@pytest.mark.parametrize(
    "address", ["postgresql://me:s3cr@127.0.0.1/x?bogus=1", "mysql://h/x?bogus=1"]
)
def test_an_argument_the_driver_does_not_know_is_a_wrong_setting(address: str) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pymysql")
    table = DocumentsTable.connect(address, TableNames(), timeout_seconds=SECONDS)

    with pytest.raises(ConfigurationError, match=r"DATABASE_URL: .*bogus") as caught:
        table.check()

    assert "s3cr" not in _with_traceback(caught.value)
    table.close()


def _with_traceback(error: SyncError) -> str:
    return "".join(traceback.format_exception(error))


def _process_behind(table: DocumentsTable, backend: Backend) -> int | None:
    """PostgreSQL has a process for each connection; stopping the first stops no other."""
    if backend.kind != "postgresql":
        return None
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'nas-syncd' AND datname ="
    with backend.engine.connect() as connection:
        return int(connection.execute(sa.text(f"{query} current_database()")).scalar_one())


def _wait_until_blocked(backend: Backend) -> None:
    query = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[backend.kind]
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with backend.engine.connect() as connection:
            if connection.execute(sa.text(query)).scalar_one():
                return
        time.sleep(0.15)  # InnoDB's answer stays as it is while it is asked more often
    raise TimeoutError("nobody is waiting for a lock")
