"""What is counted in the database is what counting the rows themselves would give."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nas_syncd.documents import DocumentsTable, MonthCount, TableNames
from nas_syncd.errors import UnfilableError
from nas_syncd.routing import filing_date
from tests.documents_backend import CREATED, Backend

LAST_MOMENT = dt.datetime(2024, 1, 31, 23, 59, 59, 999999)  # noqa: DTZ001 - as backends store it
UTC = dt.UTC


@pytest.fixture
def backend(database: str) -> Iterator[Backend]:
    backend = Backend(database)
    yield backend
    backend.engine.dispose()


@pytest.fixture
def lite(sqlite_database: str) -> Iterator[Backend]:
    backend = Backend(sqlite_database)
    backend.create()
    yield backend
    backend.engine.dispose()


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


def opened(backend: Backend) -> DocumentsTable:
    return DocumentsTable.connect(backend.url, TableNames(), timeout_seconds=5)


def by_routing(table: DocumentsTable, user_id: str | None = None) -> list[MonthCount]:
    """Page through all rows and file each as a copy would be filed."""
    documents: Counter[tuple[str, str]] = Counter()
    synced: Counter[tuple[str, str]] = Counter()
    page = table.page(None, 100, user_id)
    while True:
        for document in page.documents:
            try:
                date = filing_date(document)
                month = f"{date.year:04d}-{date.month:02d}"
            except UnfilableError:
                month = ""
            key = month, (document.doc_type or "").strip().casefold()
            documents[key] += 1
            synced[key] += document.synced
        if page.cursor is None:
            return [MonthCount(*key, documents[key], synced[key]) for key in sorted(documents)]
        page = table.page(page.cursor, 100, user_id)


# -- pages ----------------------------------------------------------------------------------


def test_a_page_holds_marked_and_unmarked_rows_with_a_file(backend: Backend) -> None:
    backend.create()
    for number in range(1, 12):
        backend.add(number, user_id=number % 2, synced_to_nas=(True, False, None)[number % 3])
    backend.add(50, file_path=None)
    backend.add(51, file_path="", synced_to_nas=True)
    table = opened(backend)

    found, cursor = [], None
    while True:
        page = table.page(cursor, 4)
        found += [document.id for document in page.documents]
        cursor = page.cursor
        if cursor is None:
            break

    assert found == [str(number) for number in range(1, 12)]
    assert [d.id for d in table.page("5", 2, "1").documents] == ["7", "9"]
    table.close()


# -- months ---------------------------------------------------------------------------------


def test_months_are_counted_by_type_and_user_and_only_with_a_file(backend: Backend) -> None:
    backend.create()
    table = opened(backend)
    assert table.months() == []
    backend.add(1, doc_type="Invoice", date=dt.date(2023, 12, 31), synced_to_nas=True)
    backend.add(2, doc_type="INVOICE ", date=dt.date(2023, 12, 1))
    backend.add(3, doc_type=None, date=None, user_id=2)
    backend.add(4, doc_type="payslip", date=None, created_at=None, synced_to_nas=None)
    backend.add(5, doc_type="payslip", file_path=None)
    backend.add(6, doc_type="payslip", file_path="")

    assert table.months() == [
        MonthCount("", "payslip", 1, 0),
        MonthCount("2023-12", "invoice", 2, 1),
        MonthCount("2024-01", "", 1, 0),
    ]
    assert table.months("2") == [MonthCount("2024-01", "", 1, 0)]
    assert table.months("77") == []
    table.close()


@pytest.mark.parametrize("zone", ["naive", "zoned"])
@pytest.mark.parametrize("date", ["DATE", "{naive}"])
def test_months_follow_the_routing_on_every_database(
    backend: Backend, zone: str, date: str
) -> None:
    backend.create(date=date, created_at=f"{{{zone}}}")
    chance = random.Random(7)
    moments = [LAST_MOMENT, LAST_MOMENT + dt.timedelta(microseconds=1), None] + [
        CREATED + dt.timedelta(seconds=chance.randrange(-(10**8), 10**8)) for _ in range(20)
    ]
    dates = [None, dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2024, 2, 29)]
    kinds = ["invoice", "INVOICE", " Invoice", "reçu", "recu", "", None]
    backend.add_all(
        [
            {
                "id": number,
                "user_id": number % 3,
                "file_path": f"/u/{number}.pdf",
                "doc_type": chance.choice(kinds),
                "date": chance.choice(dates),
                "created_at": chance.choice(moments),
                "synced_to_nas": chance.choice([True, False, None]),
            }
            for number in range(300)
        ]
    )
    table = opened(backend)

    assert table.months() == by_routing(table)
    assert len(table.months()) > 30
    assert table.months("2") == by_routing(table, "2")
    table.close()


def test_dates_that_are_texts_are_read_as_a_row_is(backend: Backend) -> None:
    backend.create(date="VARCHAR(60)", created_at="VARCHAR(60)")
    backend.add_all(
        [
            {"id": number, "file_path": "/u/a.pdf", "date": date, "created_at": created}
            for number, (date, created) in enumerate(
                (date, created) for date in TEXTS for created in TEXTS
            )
        ]
    )
    table = opened(backend)

    assert table.months() == by_routing(table)
    assert sum(count.documents for count in table.months()) == len(TEXTS) ** 2
    table.close()


TEXTS = [
    None,
    "",
    " ",
    "2024-02-29",
    "2023-02-29",
    "2024-01-31 23:59:59",
    "2024-01-31T23:59:59.999999",
    "2024-01-31 23:59:59.9999999",
    "2024-01-31 23:30:00-01:00",
    "2024-02-01T00:30:00.123+02:00",
    "2024-02-01T00:30:00Z",
    "2024-02-01T00:30:00z",
    "2024-02-01 00:30:00 +02:00",
    "2024-02-01 00:30",
    "2024-02-01 24:00:00",
    "2024-02-01 10:60:00",
    "2024-02-01 10:00:00 and more",
    "2024-02-01\t10:00:00",
    " 2024-02-01 ",
    "20240201",
    "2024-W05-4",
    "2024-02",
    "29/02/2024",
    "0000-00-00",
    "0001-01-01 00:00:00+14:00",
    "9999-12-31 23:59:59-14:00",
    "now",
    "2460000.5",
    "1709164800",
    "'; DROP TABLE documents; --",
    "٢٠٢٤-٠٢-٠١",
]

_DIGITS = st.integers(0, 99).map(lambda number: f"{number:02d}")
_LIKE_DATES = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["2024", "0000", "0001", "9999", "24"]),
    st.sampled_from(["01", "02", "12", "13", "00", "1"]),
    st.sampled_from(["01", "28", "29", "30", "31", "32", "00"]),
    st.sampled_from(" T_\t"),
    st.sampled_from(["00", "23", "24", "7"]),
    st.sampled_from(["00", "59", "60"]),
    _DIGITS,
    st.sampled_from(["", ".", ".5", ".999", ".9996", ".999999", ".9999999", ",5", "5"]),
    st.sampled_from(
        ["", "Z", "z", "+00:00", "-00:00", " +01:00", "+14:00", "-13:59", "+23:59", "+1"]
    )
    | st.text("Z+-:. 0123456789", max_size=7),
)
_VALUES = (
    st.sampled_from(TEXTS)
    | _LIKE_DATES
    | _LIKE_DATES.map(lambda text: text[:10])
    | _LIKE_DATES.map(lambda text: f"{text}\0 and more")
    | _LIKE_DATES.map(str.encode)
    | st.text(max_size=12).filter(lambda text: text.isprintable())
    | st.binary(max_size=12)
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
)
_KINDS = st.sampled_from([None, "invoice", "Invoice ", "STRASSE", "straße", b"\xff", b"invoice", 5])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_VALUES, _VALUES, _KINDS), min_size=1, max_size=60))
@example([(date, created, None) for date in TEXTS for created in TEXTS])
def test_whatever_sqlite_holds_is_counted_as_it_would_be_filed(
    lite: Backend, values: list[tuple[object, object, object]]
) -> None:
    lite.run("DELETE FROM documents")
    lite.add_all(
        [
            {"id": n, "file_path": "/u/a", "date": date, "created_at": created, "doc_type": kind}
            for n, (date, created, kind) in enumerate(values)
        ]
    )
    table = opened(lite)

    assert table.months() == by_routing(table)
    assert table.counts().total == len(values)
    table.close()


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres, MDY"])
def test_months_do_not_depend_on_the_sessions_settings(postgres: Backend, style: str) -> None:
    postgres.run("CREATE TYPE kind AS ENUM ('INVOICE', 'receipt')")
    postgres.create(date="TIMESTAMPTZ", created_at="TIMESTAMPTZ", doc_type="kind")
    name = postgres.engine.url.database
    postgres.run(f"ALTER DATABASE {name} SET datestyle = '{style}'")
    postgres.run(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
    postgres.add(1, date="2024-02-29 23:30:00+00", doc_type="INVOICE", synced_to_nas=True)
    postgres.add(2, date=None, created_at="2024-03-01 01:00:00+02", doc_type="receipt")
    table = opened(postgres)

    assert table.months() == [
        MonthCount("2024-02", "invoice", 1, 1),
        MonthCount("2024-02", "receipt", 1, 0),
    ]
    assert table.months() == by_routing(table)
    assert table.counts().oldest_pending == dt.datetime(2024, 2, 29, 23, tzinfo=UTC)
    table.close()


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("date", ["infinity", "-infinity", "0044-03-15 BC", "12024-01-01"])
def test_a_date_python_cannot_hold_counts_under_the_creation(
    postgres: Backend, date: str, kind: str
) -> None:
    postgres.create(date=kind, created_at="TIMESTAMPTZ")
    postgres.add(1, date=date, created_at="2024-01-15 14:30:00+00")
    postgres.add(2, date=date, created_at=date)
    table = opened(postgres)

    assert table.months() == [MonthCount("", "", 1, 0), MonthCount("2024-01", "", 1, 0)]
    assert table.months() == by_routing(table)
    assert table.counts().oldest_pending == CREATED.replace(tzinfo=UTC)
    table.close()


def test_zero_dates_count_under_the_creation_or_nothing(maria: Backend) -> None:
    maria.create(doc_type="ENUM('Invoice', 'reçu') CHARACTER SET latin1")
    maria.add(1, doc_type="reçu")
    maria.run("UPDATE documents SET date = '0000-00-00'")
    maria.add(2, doc_type="invoice")
    maria.run("UPDATE documents SET created_at = '0000-00-00 00:00:00' WHERE id = 2")
    maria.add(3, created_at=CREATED.replace(year=2025))
    maria.run("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
    maria.add(4, date="2023-02-00")
    table = opened(maria)

    assert table.months() == [
        MonthCount("", "invoice", 1, 0),
        MonthCount("2024-01", "", 1, 0),
        MonthCount("2024-01", "reçu", 1, 0),
        MonthCount("2025-01", "", 1, 0),
    ]
    assert table.months() == by_routing(table)
    assert table.counts().oldest_pending == CREATED.replace(tzinfo=UTC)
    table.close()


# -- the oldest -----------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["{naive}", "{zoned}", "VARCHAR(40)"])
def test_the_oldest_that_is_pending_is_told_with_the_counts(backend: Backend, column: str) -> None:
    backend.create(created_at=column)
    zone = "+00" if backend.kind == "postgresql" else ""
    for number, (day, synced, path) in enumerate(
        [(1, True, "/u/a"), (2, False, None), (3, False, ""), (5, None, "/u/b"), (4, False, "/u/c")]
    ):
        created = f"2024-01-{day:02d} 01:02:03{zone}"
        backend.add(number, created_at=created, synced_to_nas=synced, file_path=path, user_id=day)
    backend.add(9, created_at=None)
    table = opened(backend)

    assert table.counts().oldest_pending == dt.datetime(2024, 1, 4, 1, 2, 3, tzinfo=UTC)
    assert table.counts("5").oldest_pending == dt.datetime(2024, 1, 5, 1, 2, 3, tzinfo=UTC)
    backend.run("UPDATE documents SET synced_to_nas = true WHERE id <> 9")
    assert table.counts().oldest_pending is None
    table.close()


def test_what_is_no_time_is_never_the_oldest(lite: Backend) -> None:
    nonsense = [
        "",
        "now",
        "0000-00-00 00:00:00",
        "0001-01-01 00:00:00+14:00",
        "1",
        5,
        b"\xff",
        None,
    ]
    for number, created in enumerate(nonsense):
        lite.add(number, created_at=created)
    table = opened(lite)
    assert table.counts().oldest_pending is None

    lite.add(20, created_at="2024-01-02T00:30:00.250+02:00")
    lite.add(21, created_at="2024-01-01 23:00:00")

    assert table.counts().oldest_pending == dt.datetime(2024, 1, 1, 22, 30, 0, 250000, UTC)
    table.close()
