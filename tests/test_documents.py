"""The contract of the documents table, the same for every database a backend may have."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nas_syncd.documents import Counts, DocumentsTable, MarkOutcome, TableNames
from nas_syncd.errors import SchemaError
from nas_syncd.messages import render_error
from tests.documents_backend import CREATED, Backend

AT = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
ZONE = dt.timezone(dt.timedelta(hours=2))
CREATED_UTC = CREATED.replace(tzinfo=dt.UTC)
NOTHING = Counts(total=0, synced=0, last_sync=None, oldest_pending=None)


@pytest.fixture
def backend(database: str) -> Iterator[Backend]:
    backend = Backend(database)
    yield backend
    backend.engine.dispose()


@pytest.fixture
def table(backend: Backend) -> Iterator[DocumentsTable]:
    """Lazily connected: a test may still create the backend's table."""
    table = DocumentsTable.connect(backend.url, TableNames(), timeout_seconds=5)
    yield table
    table.close()


def opened(backend: Backend, names: TableNames) -> DocumentsTable:
    return DocumentsTable.connect(backend.url, names, timeout_seconds=5)


def path_of(id_: object) -> str:
    return f"/app/uploads/{id_}.pdf"


def all_pending(table: DocumentsTable, size: int, user_id: str | None = None) -> list[str]:
    found, cursor = [], None
    while True:
        page = table.pending(cursor, size, user_id)
        assert len(page.documents) <= size
        found += [document.id for document in page.documents]
        cursor = page.cursor
        if cursor is None:
            return found


# -- reading --------------------------------------------------------------------------------


def test_a_row_becomes_a_document(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    backend.add(
        7,
        user_id=3,
        original_name="Reçu n°1 🧾.pdf",
        doc_type="Receipt",
        date=dt.date(2023, 12, 31),
        processing_status="completed",
        synced_to_nas=True,
        synced_at=dt.datetime(2024, 2, 3, 4, 5, 6),  # noqa: DTZ001
    )

    document = table.get(["7"])["7"]

    assert document.id == "7"
    assert document.user_id == "3"
    assert document.file_path == "/app/uploads/7.pdf"
    assert document.original_name == "Reçu n°1 🧾.pdf"
    assert document.doc_type == "Receipt"
    assert document.date == dt.date(2023, 12, 31)
    assert document.created_at == dt.datetime(2024, 1, 15, 14, 30, tzinfo=dt.UTC)
    assert document.processing_status == "completed"
    assert document.synced is True
    assert document.synced_at == dt.datetime(2024, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def test_a_row_full_of_nulls_becomes_a_document(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    backend.add(1, user_id=None, created_at=None)

    document = table.get(["1"])["1"]

    assert (document.user_id, document.doc_type, document.date) == (None, None, None)
    assert (document.created_at, document.synced, document.synced_at) == (None, False, None)


def test_optional_columns_may_be_missing(backend: Backend, table: DocumentsTable) -> None:
    backend.create(original_name=None, processing_status=None)
    backend.add(1, doc_type="invoice")

    document = table.get(["1"])["1"]

    assert (document.original_name, document.processing_status) == (None, None)
    assert document.doc_type == "invoice"


@pytest.mark.parametrize("path", [None, ""])
def test_a_row_without_a_file_is_no_document(
    backend: Backend, table: DocumentsTable, path: str | None
) -> None:
    backend.create()
    backend.add(1, file_path=path, synced_to_nas=True)

    assert table.get(["1"]) == {}
    assert table.row_exists("1")
    assert not table.row_exists("2")
    assert table.counts() == NOTHING
    assert table.synced(None, 10).documents == []


@pytest.mark.parametrize("id_", ["", "x", "1.0", "01", "+1", " 1", "٣", "9" * 18, "9" * 40, "-1"])
def test_an_id_that_no_row_can_have_is_absent(
    backend: Backend, table: DocumentsTable, id_: str
) -> None:
    backend.create()
    backend.add(1)

    assert table.get([id_, "1"]).keys() == {"1"}
    assert not table.row_exists(id_)
    assert table.mark([(id_, path_of(1))], AT) == {id_: MarkOutcome.GONE}


def test_more_ids_than_one_statement_takes_are_all_found(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    for number in (1, 600, 1200):
        backend.add(number)

    assert table.get([str(number) for number in range(1500)]).keys() == {"1", "600", "1200"}


def test_find_gives_every_row_with_the_path_and_no_other(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    backend.add(1, file_path="/app/uploads/a.pdf")
    backend.add(2, file_path="/app/uploads/a.pdf")
    backend.add(3, file_path="/app/uploads/A.pdf")
    backend.add(4, file_path="uploads/é'%s:x\\.pdf")

    asked = ["/app/uploads/a.pdf", "uploads/é'%s:x\\.pdf", "/none", ""]
    found = table.find([*asked, *(f"/app/{number}" for number in range(1100))])

    assert sorted(document.id for document in found) == ["1", "2", "4"]


def test_find_skips_what_no_database_can_hold(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    backend.add(1)

    found = table.find(["\udcff.pdf", "nul\0.pdf", path_of(1), "x" * 5000])

    assert [document.id for document in found] == ["1"]
    assert table.find([]) == []


def test_pages_go_through_everything_that_is_pending_once(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    flags = [None, False, True]
    for number in range(1, 31):
        backend.add(number, user_id=number % 2, synced_to_nas=flags[number % 3])
    expected = [str(number) for number in range(1, 31) if number % 3 != 2]

    assert all_pending(table, 7) == expected
    assert all_pending(table, 100) == expected
    assert all_pending(table, 4, user_id="1") == [id_ for id_ in expected if int(id_) % 2]
    assert all_pending(table, 4, user_id="no number") == []
    assert [document.id for document in table.synced("11", 3).documents] == ["14", "17", "20"]


def test_newer_sees_only_what_came_after(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    assert table.last_key() is None
    for number in (1, 9, 10):
        backend.add(number)

    assert table.keys_ascend
    assert table.last_key() == "10"
    assert [document.id for document in table.newer("9", 5).documents] == ["10"]
    assert table.newer("10", 5).documents == []
    assert len(table.newer("not a key here", 5).documents) == 3


def test_counts_are_of_rows_with_a_file(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    assert table.counts() == NOTHING
    late = dt.datetime(2024, 3, 1, 12)  # noqa: DTZ001
    backend.add(1, user_id=1, synced_to_nas=True, synced_at=late)
    backend.add(2, user_id=2, synced_to_nas=True, synced_at=late - dt.timedelta(days=1))
    backend.add(3, user_id=2, synced_to_nas=False, synced_at=late + dt.timedelta(days=1))
    backend.add(4, user_id=2)
    backend.add(5, user_id=2, file_path=None, synced_to_nas=True)

    aware = late.replace(tzinfo=dt.UTC)
    assert table.counts() == Counts(4, 2, aware, CREATED_UTC)
    assert table.counts("2") == Counts(3, 1, aware - dt.timedelta(days=1), CREATED_UTC)
    assert table.counts("77") == NOTHING


# -- marking --------------------------------------------------------------------------------


def test_marking_says_what_became_of_each(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    backend.add(1, synced_to_nas=False)
    backend.add(2)
    backend.add(3, synced_to_nas=True)
    backend.add(4, file_path="/app/uploads/other.pdf")
    backend.add(5, file_path=path_of(5).upper())

    outcomes = table.mark([(str(number), path_of(number)) for number in range(1, 7)], AT)

    assert outcomes == {
        "1": MarkOutcome.MARKED,
        "2": MarkOutcome.MARKED,
        "3": MarkOutcome.ALREADY,
        "4": MarkOutcome.MOVED,
        "5": MarkOutcome.MOVED,
        "6": MarkOutcome.GONE,
    }
    assert [backend.flag(number) for number in range(1, 6)] == [True, True, True, False, False]
    assert table.get(["1"])["1"].synced_at == AT
    assert table.get(["3"])["3"].synced_at is None
    assert table.mark([("1", path_of(1))], AT) == {"1": MarkOutcome.ALREADY}
    assert table.mark([], AT) == {}


def test_a_path_must_be_the_same_to_the_last_letter(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    stored = ["é.pdf", "b.pdf ", "c.pdf", "/x/" + "d" * 497]
    asked = ["e\u0301.pdf", "b.pdf", "c.pdf\0", "/x/" + "d" * 498]
    for number, path in enumerate(stored):
        backend.add(number, file_path=path)

    wrong = table.mark([(str(number), path) for number, path in enumerate(asked)], AT)
    right = table.mark([(str(number), path) for number, path in enumerate(stored)], AT)

    assert set(wrong.values()) == {MarkOutcome.MOVED}
    assert set(right.values()) == {MarkOutcome.MARKED}


def test_a_big_group_is_marked_whole(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    for number in range(251):
        backend.add(number)

    outcomes = table.mark([(str(number), path_of(number)) for number in range(251)], AT)

    assert set(outcomes.values()) == {MarkOutcome.MARKED}
    assert table.counts() == Counts(251, 251, AT, None)


def test_unmark_takes_flag_and_time_back_and_says_of_whom(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    backend.add(1, synced_to_nas=True, synced_at=AT.replace(tzinfo=None))
    backend.add(2, synced_to_nas=False)
    backend.add(3, synced_to_nas=True, file_path="/app/uploads/other.pdf")

    changed = table.unmark([(str(number), path_of(number)) for number in range(1, 5)])

    assert changed == {"1"}
    row = backend.row(1)
    assert row is not None
    assert (bool(row[0]), row[1]) == (False, None)
    assert backend.flag(3)


def test_nothing_but_the_two_columns_is_written(backend: Backend, table: DocumentsTable) -> None:
    backend.create(note="VARCHAR(20)")
    backend.add(1, note="mine", doc_type="Invoice", processing_status="completed")
    others = ("user_id", "file_path", "doc_type", "date", "created_at", "processing_status", "note")
    before = backend.row(1, *others)

    table.mark([("1", path_of(1))], AT)
    table.unmark([("1", path_of(1))])

    assert backend.row(1, *others) == before


def test_of_many_markers_at_once_exactly_one_marks(backend: Backend, table: DocumentsTable) -> None:
    backend.create()
    for number in range(40):
        backend.add(number)
    marks = [(str(number), path_of(number)) for number in range(40)]
    tables = [opened(backend, TableNames()) for _ in range(4)]
    start = threading.Barrier(len(tables))
    results: list[dict[str, MarkOutcome]] = []

    def run(one: DocumentsTable, turn: int) -> None:
        mine = marks[turn * 7 :] + marks[: turn * 7]
        start.wait()
        results.append(one.mark(mine, AT))
        one.close()

    threads = [threading.Thread(target=run, args=(one, turn)) for turn, one in enumerate(tables)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for id_, _ in marks:
        said = sorted(outcomes[id_] for outcomes in results)
        assert said == ["already", "already", "already", "marked"]


def test_a_zoned_column_gets_an_aware_time_and_a_naive_one_naive_utc(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create(created_at="{zoned}", synced_at="{zoned} NULL")
    backend.add(1)

    table.mark([("1", path_of(1))], AT.astimezone(ZONE))

    assert table.get(["1"])["1"].synced_at == AT
    row = backend.row(1, "synced_at")
    assert row is not None
    if backend.kind == "postgresql":
        assert row[0] == AT
        assert row[0].tzinfo is not None
    else:
        assert str(row[0])[:19] == "2024-05-06 07:08:09"


# -- the backend's own ways -----------------------------------------------------------------


@pytest.mark.parametrize("flag", ["INTEGER", "SMALLINT", "BIGINT NOT NULL"])
def test_a_flag_may_be_an_integer(backend: Backend, table: DocumentsTable, flag: str) -> None:
    backend.create(synced_to_nas=flag)
    backend.add(1, synced_to_nas=1)
    backend.add(2, synced_to_nas=0)

    assert all_pending(table, 5) == ["2"]
    assert table.mark([("2", path_of(2))], AT) == {"2": MarkOutcome.MARKED}
    assert table.unmark([("1", path_of(1))]) == {"1"}
    assert table.get(["1", "2"])["2"].synced


@pytest.mark.parametrize("kind", ["VARCHAR(36)", "CHAR(36)", "CHAR(32)"])
def test_keys_may_be_text(backend: Backend, table: DocumentsTable, kind: str) -> None:
    backend.create(id=f"{kind} PRIMARY KEY", user_id="VARCHAR(36)")
    keys = sorted(str(uuid.uuid4()) for _ in range(5))
    for key in keys:
        stored = key if "36" in kind else uuid.UUID(key).hex
        backend.add(stored, file_path=path_of(key), user_id=stored)

    found = table.get([*keys, "nobody", "\udcff", "nul\0"])

    assert found.keys() == set(keys)
    assert [found[key].file_path for key in keys] == [path_of(key) for key in keys]
    assert not table.keys_ascend
    assert all_pending(table, 2) == [found[key].id for key in keys]
    assert all_pending(table, 2, user_id=keys[1]) == [found[keys[1]].id]
    assert table.row_exists(keys[0])
    outcomes = table.mark([(key, path_of(key)) for key in keys], AT)
    assert outcomes == dict.fromkeys(keys, MarkOutcome.MARKED)
    assert table.unmark([(keys[2], path_of(keys[2]))]) == {keys[2]}


def test_keys_and_users_may_be_uuids_of_the_database(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create(id="UUID PRIMARY KEY", user_id="UUID")
    keys = [str(uuid.uuid4()) for _ in range(5)]
    for key in keys:
        backend.add(key, user_id=key)

    assert table.get([*keys, "not one"]).keys() == set(keys)
    if backend.kind != "sqlite":  # where it is but a text
        assert table.get([keys[0].upper()])[keys[0].upper()].id == keys[0]
    assert sorted(all_pending(table, 2)) == sorted(keys)
    assert all_pending(table, 2, user_id=keys[3]) == [keys[3]]
    assert table.last_key() in keys
    outcomes = table.mark([*((key, path_of(key)) for key in keys), ("no", "x")], AT)
    assert outcomes == {**dict.fromkeys(keys, MarkOutcome.MARKED), "no": MarkOutcome.GONE}


def test_a_schema_other_names_and_foreign_columns_are_no_trouble(backend: Backend) -> None:
    schema = {"sqlite": "main", "postgresql": "Büro", "mysql": backend.engine.url.database}
    if backend.kind == "postgresql":
        backend.run('CREATE SCHEMA "Büro"')
    name = f"{backend.quoted(schema[backend.kind] or '')}.{backend.quoted('Mes Documents')}"
    backend.run(
        f"CREATE TABLE {name} ({backend.quoted('N°')} INTEGER PRIMARY KEY, owner INTEGER,"
        f" {backend.quoted('File Path')} VARCHAR(200), doc_type VARCHAR(9), day DATE,"
        " created_at TIMESTAMP NULL, done BOOLEAN, done_at TIMESTAMP NULL, secret VARCHAR(9))"
    )
    backend.run(
        f"INSERT INTO {name} VALUES (1, 4, '/u/a.pdf', 'other', '2024-02-29', NULL, NULL, NULL, '')"
    )
    columns = {"id": "N°", "user_id": "owner", "file_path": "File Path", "date": "day"}
    columns |= {"synced_to_nas": "done", "synced_at": "done_at"}
    table = opened(backend, TableNames(f"{schema[backend.kind]}.Mes Documents", columns))

    table.check()
    (document,) = table.pending(None, 5).documents

    assert (document.id, document.user_id, document.file_path) == ("1", "4", "/u/a.pdf")
    assert document.date == dt.date(2024, 2, 29)
    assert table.mark([("1", "/u/a.pdf")], AT) == {"1": MarkOutcome.MARKED}
    assert table.unmark([("1", "/u/a.pdf")]) == {"1"}
    table.close()


def test_a_view_will_do(backend: Backend) -> None:
    backend.create()
    backend.add(1, doc_type="invoice")
    backend.run("CREATE VIEW papers AS SELECT * FROM documents WHERE doc_type IS NOT NULL")
    table = opened(backend, TableNames("papers"))

    assert [document.id for document in table.pending(None, 5).documents] == ["1"]
    if backend.kind != "sqlite":
        assert table.mark([("1", path_of(1))], AT) == {"1": MarkOutcome.MARKED}
    table.close()


def test_a_date_column_may_hold_times(backend: Backend, table: DocumentsTable) -> None:
    backend.create(date="{naive}")
    backend.add(1, date=dt.datetime(2023, 11, 30, 23, 59, 59, 5))  # noqa: DTZ001

    assert table.get(["1"])["1"].date == dt.date(2023, 11, 30)


# -- what is wrong is said ------------------------------------------------------------------


def test_every_missing_column_is_named_with_the_way_out(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create(file_path=None, synced_at=None)

    with pytest.raises(SchemaError) as caught:
        table.check()

    assert caught.value.params == {"table": "documents", "missing": "file_path, synced_at"}
    for word in ("documents", "file_path", "synced_at", "NAS_SYNCD_DB_COLUMNS"):
        assert word in caught.value.detail
    assert "\n" not in caught.value.detail


def test_a_missing_table_is_named_and_found_once_it_is_there(
    backend: Backend, table: DocumentsTable
) -> None:
    with pytest.raises(SchemaError, match=r"documents.*NAS_SYNCD_DB_TABLE"):
        table.counts()

    backend.create()

    table.check()
    assert table.counts() == NOTHING


def test_a_missing_table_is_called_missing_in_the_one_line_that_a_person_reads(
    backend: Backend, table: DocumentsTable
) -> None:
    with pytest.raises(SchemaError) as caught:
        table.check()

    assert "There is no table documents in the database. " in render_error(caught.value, "en")
    assert "La base n’a pas de table « documents ». " in render_error(caught.value, "fr")


def test_a_mapped_optional_column_must_be_there(backend: Backend) -> None:
    backend.create()
    table = opened(backend, TableNames(columns={"original_name": "title"}))

    with pytest.raises(SchemaError, match="title"):
        table.check()
    table.close()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": "INTEGER NOT NULL"}, "is missing"),
        ({"id": "INTEGER", "number": "INTEGER PRIMARY KEY"}, "is number"),
        ({"id": "INTEGER NOT NULL", "number": "INTEGER, PRIMARY KEY (id, number)"}, "id . number"),
    ],
)
def test_the_key_must_be_one_column(
    backend: Backend, table: DocumentsTable, columns: dict[str, str], words: str
) -> None:
    backend.create(**columns)

    with pytest.raises(SchemaError, match=f"primary key.*{words}") as caught:
        table.check()
    assert "primary key" in render_error(caught.value, "en")
    assert "clé primaire" in render_error(caught.value, "fr")


def test_a_column_that_goes_away_is_noticed_and_a_new_one_used(
    backend: Backend, table: DocumentsTable
) -> None:
    backend.create()
    backend.add(1, doc_type="invoice", original_name="a.pdf")
    assert table.get(["1"])["1"].original_name == "a.pdf"

    backend.run("ALTER TABLE documents DROP COLUMN original_name")
    with pytest.raises(SchemaError, match="original_name"):
        table.get(["1"])

    assert table.get(["1"])["1"].original_name is None


# -- inside a session of the backend's ------------------------------------------------------


def test_within_a_session_the_caller_commits(backend: Backend) -> None:
    backend.create()
    backend.add(1)
    engine = sa.create_engine(backend.engine.url)
    with Session(engine) as session:
        table = DocumentsTable.within(session, TableNames())
        assert table.scope == opened(backend, TableNames()).scope

        assert table.mark([("1", path_of(1))], AT) == {"1": MarkOutcome.MARKED}
        assert table.get(["1"])["1"].synced
        session.rollback()
        assert not backend.flag(1)

        table.mark([("1", path_of(1))], AT)
        session.commit()
        assert backend.flag(1)
        assert table.unmark([("1", path_of(1))]) == {"1"}
        assert table.change_token() is None
        table.close()
        session.commit()
    engine.dispose()
    assert not backend.flag(1)


def test_within_an_old_snapshot_a_mark_of_another_is_seen(backend: Backend) -> None:
    """A session that has read before must not take its old view of the row for the truth."""
    backend.create()
    backend.add(1)
    engine = sa.create_engine(backend.engine.url)
    with Session(engine) as session:
        table = DocumentsTable.within(session, TableNames())
        assert not table.get(["1"])["1"].synced
        if backend.kind == "sqlite":
            session.rollback()  # its driver takes no snapshot, but may hold a lock
        backend.run("UPDATE documents SET synced_to_nas = true")

        assert table.mark([("1", path_of(1))], AT) == {"1": MarkOutcome.ALREADY}
    engine.dispose()


def test_a_session_bound_to_a_connection_is_understood(backend: Backend) -> None:
    backend.create()
    backend.add(1)
    with backend.engine.connect() as connection, Session(connection) as session:
        table = DocumentsTable.within(session, TableNames())

        assert table.counts().total == 1
