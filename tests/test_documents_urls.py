"""Database addresses: the driver that is chosen, what is shown, what counts as the same."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from nas_syncd.documents import TableNames, display_url, driver_url, scope_database
from nas_syncd.documents.trouble import detail_of
from nas_syncd.documents.urls import secrets_of
from nas_syncd.documents.values import KeyKind, date_of, key_text, key_values, utc_of
from nas_syncd.errors import ConfigurationError

PASSWORD = "p@ss/w%rd:é"
real_import = importlib.import_module


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The drivers that are installed; a test fills the list."""
    names: list[str] = []

    def find(name: str, package: str | None = None) -> ModuleType:
        if name in ("psycopg", "psycopg2", "pymysql", "MySQLdb"):
            if name not in names:
                raise ImportError(name)
            return ModuleType(name)
        return real_import(name, package)

    monkeypatch.setattr(importlib, "import_module", find)
    return names


@pytest.mark.parametrize(
    ("given_driver", "installed", "expected"),
    [
        ("postgresql", "psycopg psycopg2", "postgresql+psycopg"),
        ("postgres", "psycopg2", "postgresql+psycopg2"),
        ("postgresql+asyncpg", "psycopg", "postgresql+psycopg"),
        ("postgresql+psycopg_async", "psycopg psycopg2", "postgresql+psycopg"),
        ("postgresql+psycopg2", "psycopg psycopg2", "postgresql+psycopg2"),
        ("postgresql+psycopg2", "psycopg", "postgresql+psycopg"),
        ("mysql", "pymysql MySQLdb", "mysql+pymysql"),
        ("mysql+aiomysql", "MySQLdb", "mysql+mysqldb"),
        ("mysql+asyncmy", "pymysql", "mysql+pymysql"),
        ("mariadb", "pymysql", "mysql+pymysql"),
        ("mariadb+mysqldb", "pymysql MySQLdb", "mysql+mysqldb"),
    ],
)
def test_an_address_gets_a_driver_that_is_installed(
    only: list[str], given_driver: str, installed: str, expected: str
) -> None:
    only += installed.split()
    url = driver_url(f"{given_driver}://me:secret@db:99/finance")

    assert url.drivername == expected
    assert (url.username, url.password, url.host, url.port) == ("me", "secret", "db", 99)
    assert url.database == "finance"


@pytest.mark.parametrize("driver", ["postgresql", "mysql+aiomysql"])
def test_a_missing_driver_is_said_with_what_to_install(only: list[str], driver: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        driver_url(f"{driver}://me:secret@db/finance")

    assert "pip install" in caught.value.detail
    assert "secret" not in caught.value.detail


def test_an_asynchronous_drivers_arguments_are_translated(only: list[str]) -> None:
    only.append("psycopg")
    url = driver_url(
        "postgresql+asyncpg://db/finance?ssl=true&prepared_statement_cache_size=0&host=h"
    )

    assert dict(url.query) == {"sslmode": "require", "host": "h"}


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"])
def test_sqlite_needs_no_installation(driver: str) -> None:
    assert driver_url(f"{driver}:////data/a.db").render_as_string() == (
        "sqlite+pysqlite:////data/a.db"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "finance.db",
        "postgresql:secret",
        "postgresql://me:secret@db:port/x",
        "oracle://me:secret@db/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite+pysqlcipher://:secret@/a.db",
    ],
)
def test_what_cannot_serve_is_refused_in_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        driver_url(url)

    assert caught.value.detail.startswith("DATABASE_URL: ")
    assert "allowed: " in caught.value.detail
    assert "secret" not in caught.value.detail
    assert "\n" not in caught.value.detail
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_address_is_shown_without_its_secrets() -> None:
    url = URL.create(
        "postgresql", "me", PASSWORD, "db", 5432, "x", {"sslpassword": "s1", "sslmode": "require"}
    )
    shown = display_url(url.render_as_string(hide_password=False))

    assert shown == display_url(url)
    assert shown == "postgresql://me:***@db:5432/x?sslmode=require&sslpassword=***"
    assert display_url("postgresql:secret") == "(not a database address)"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=3))
def test_no_spelling_of_a_password_survives_in_a_message(password: str) -> None:
    url = URL.create("postgresql", "me", password, "db", query={"passwd": password + "x"})
    text = f"{password} {url.render_as_string(hide_password=False)}".replace("\n", " ")

    detail = detail_of(OSError(text), secrets_of(url))

    assert password not in detail.replace("***", "") or password.strip() != password
    assert password not in display_url(url).replace("***", "") or len(password) < 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://a:b@DB/x", "postgres://db:5432/x?sslmode=require"),
        ("postgresql+asyncpg://localhost/x", "postgresql://127.0.0.1:5432/x"),
        ("postgresql:///x?host=db:5433", "postgresql://db:5433/x"),
        ("postgresql://me@db", "postgresql://db/me"),
        ("mysql://u@db/x", "mariadb+aiomysql://db:3306/x?charset=utf8"),
        ("sqlite+aiosqlite:////data/a.db", "sqlite:////data/../data/a.db?timeout=3"),
        ("sqlite:////data/a.db", "sqlite:///file:/data/a.db?uri=true"),
    ],
)
def test_two_addresses_of_one_database_are_the_same(one: str, other: str) -> None:
    assert scope_database(make_url(one)) == scope_database(make_url(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://db/x", "postgresql://db/y"),
        ("postgresql://db/x", "postgresql://db2/x"),
        ("postgresql://db/x", "postgresql://db:5433/x"),
        ("postgresql://db/x", "mysql://db:5432/x"),
        ("postgresql:///x?host=/run/a", "postgresql:///x?host=/run/b"),
        ("sqlite:////data/a.db", "sqlite:////data/b.db"),
    ],
)
def test_two_databases_are_not_the_same(one: str, other: str) -> None:
    assert scope_database(make_url(one)) != scope_database(make_url(other))


def test_a_scope_says_neither_user_nor_password_nor_driver() -> None:
    scope = scope_database(make_url("postgresql+psycopg://me:secret@db.home/finance?x=secret"))

    assert scope == "postgresql://db.home:5432/finance"


def test_a_relative_sqlite_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    scope = scope_database(make_url("sqlite:///./a.db"))

    assert scope == f"sqlite:///{os.path.realpath(tmp_path)}/a.db"


@pytest.mark.parametrize(
    ("names", "words"),
    [({"columns": {"path": "x"}}, "'path'.*file_path"), ({"table": "a."}, "'a.'.*schema.name")],
)
def test_a_wrong_mapping_is_refused(names: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"NAS_SYNCD_DB_.*{words}"):
        TableNames(**names)  # type: ignore[arg-type]


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_key_and_its_text_are_inverse(number: int) -> None:
    assert key_values(KeyKind.INTEGER, key_text(KeyKind.INTEGER, number)) == [number]


@given(st.text())
def test_a_text_that_is_no_integer_is_no_integer_key(text: str) -> None:
    for value in key_values(KeyKind.INTEGER, text):
        assert key_text(KeyKind.INTEGER, value) == text


@given(st.uuids())
def test_a_uuid_is_found_by_all_its_spellings(key: object) -> None:
    text = str(key)
    plain = text.replace("-", "")

    assert key_values(KeyKind.UUID, text.upper()) == [text]
    assert key_values(KeyKind.TEXT, text) == [text, plain]
    assert key_values(KeyKind.BINARY, text) == key_values(KeyKind.BINARY, plain)


@given(st.none() | st.text() | st.binary() | st.integers() | st.floats() | st.datetimes())
def test_no_value_in_a_date_column_raises(value: object) -> None:
    moment = utc_of(value)

    assert moment is None or moment.utcoffset() is not None
    assert (date_of(value) is None) == (moment is None) or "-" in str(value) or "+" in str(value)
