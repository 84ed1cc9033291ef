"""Database addresses: which driver speaks to it, how it is shown, how two are compared.

Nothing here opens a connection, and no error shows a password.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas_syncd.errors import ConfigurationError

HIDDEN = "***"
_SHORTEST_SECRET = 3
"""A shorter password cannot be told from ordinary letters in a message."""


class Family(NamedTuple):
    """One kind of database, and the synchronous drivers that can speak to it, best first."""

    backend: str
    drivers: tuple[tuple[str, str], ...]
    """(SQLAlchemy's name, the module to import)."""
    port: int
    install: str


_POSTGRESQL = Family(
    "postgresql",
    (("psycopg", "psycopg"), ("psycopg2", "psycopg2")),
    5432,
    "pip install 'nas-syncd[postgres]'",
)
_MYSQL = Family(
    "mysql",
    (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
    3306,
    "pip install 'nas-syncd[mysql]'",
)
_SQLITE = Family("sqlite", (("pysqlite", "sqlite3"),), 0, "a Python with sqlite3")
_FAMILIES = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _SQLITE,
}
_NOT_A_FAMILY_MEMBER = ("pysqlcipher",)
_ASYNCPG_ONLY = (
    "async_fallback",
    "command_timeout",
    "max_cacheable_statement_size",
    "max_cached_statement_lifetime",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
    "statement_cache_size",
    "timeout",
)
_ASYNC_MYSQL_ONLY = ("echo", "maxsize", "minsize", "pool_recycle")


def driver_url(url: str) -> URL:
    """Return *url* with a synchronous driver that is installed here.

    Asynchronous drivers' addresses, as the backend has them, are understood; an installed
    synchronous driver that is named is kept.

    Raises:
        ConfigurationError: Not an address, another kind of database, a database in memory
            (which nobody can share), or no driver installed. One line, no password.
    """
    parsed = _parse(url)
    family = _family(parsed)
    if family is _SQLITE:
        sqlite_path(parsed)
        return parsed.set(drivername="sqlite+pysqlite")
    driver = _installed(family, parsed)
    return _translated_query(parsed).set(drivername=f"{family.backend}+{driver}")


def display_url(url: str | URL) -> str:
    """Return *url* as people may see it: no password, neither in its place nor in an argument."""
    try:
        parsed = _parse(url)
    except ConfigurationError:
        return "(not a database address)"
    query = {key: HIDDEN if _is_secret(key) else value for key, value in parsed.query.items()}
    shown = parsed.set(query=query).render_as_string(hide_password=True)
    return shown.replace(quote_plus(HIDDEN), HIDDEN)


def scope_database(url: URL) -> str:
    """Return what tells one database from another: kind, host, port and name, nothing else.

    Two addresses of one database compare equal whatever user, driver or argument they carry,
    and whether or not they spell out a default.
    """
    family = _family(url)
    if family is _SQLITE:
        path = _sqlite_file(url)
        return f"sqlite:///{os.path.realpath(path)}" if path else "sqlite:///:memory:"
    host, port = _server(url, family)
    name = url.database or _single(url, "dbname") or _single(url, "db")
    if not name and family is _POSTGRESQL:
        name = url.username or ""
    return f"{family.backend}://{host}:{port}/{name}"


def sqlite_path(url: URL) -> str:
    """Return the absolute path of the SQLite file that *url* names.

    Raises:
        ConfigurationError: It names a database in memory.
    """
    path = _sqlite_file(url)
    if not path:
        raise ConfigurationError(
            "DATABASE_URL: a SQLite database in memory cannot be shared;"
            " allowed: sqlite:////absolute/path.db"
        )
    return os.path.abspath(path)


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return every spelling of a secret in *url*, so that messages can be cleaned of them."""
    return tuple(sorted(set(_spellings(url)), key=len, reverse=True))


def _spellings(url: URL) -> Iterator[str]:
    given = [str(url.password)] if url.password else []
    for key, values in url.normalized_query.items():
        given += values if _is_secret(key) else ()
    for secret in given:
        if len(secret) >= _SHORTEST_SECRET:
            yield from (secret, quote(secret, safe=""), quote_plus(secret))


def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in ("pass", "pwd", "secret", "token"))


def _parse(url: str | URL) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # Its own words quote the whole address, password included.
        raise ConfigurationError(
            "DATABASE_URL: what was given is not a database address;"
            " allowed: sqlite:////path.db, postgresql://user:password@host/name,"
            " mysql://user:password@host/name"
        ) from None


def _family(url: URL) -> Family:
    backend, _, driver = url.drivername.partition("+")
    if backend not in _FAMILIES or driver in _NOT_A_FAMILY_MEMBER:
        raise ConfigurationError(
            f"DATABASE_URL: {url.drivername!r} is not a database we know;"
            " allowed: sqlite, postgresql, mysql, mariadb"
        )
    return _FAMILIES[backend]


def _installed(family: Family, url: URL) -> str:
    asked = url.drivername.partition("+")[2]
    for name, module in sorted(family.drivers, key=lambda driver: driver[0] != asked):
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return name
    raise ConfigurationError(
        f"DATABASE_URL: no driver for {family.backend} is installed; install one: {family.install}"
    )


def _translated_query(url: URL) -> URL:
    """Speak the arguments of an asynchronous driver in its synchronous cousin's words."""
    driver = url.drivername.partition("+")[2]
    if driver in ("aiomysql", "asyncmy"):
        return url.difference_update_query(_ASYNC_MYSQL_ONLY)
    if driver != "asyncpg":
        return url
    ssl = _single(url, "ssl")
    plain = url.difference_update_query((*_ASYNCPG_ONLY, "ssl"))
    if not ssl:
        return plain
    mode = {"true": "require", "false": "disable"}.get(ssl.lower(), ssl)
    return plain.update_query_dict({"sslmode": mode})


def _single(url: URL, key: str) -> str:
    return ",".join(url.normalized_query.get(key, ()))


def _server(url: URL, family: Family) -> tuple[str, str]:
    host = url.host or _single(url, "host") or _single(url, "unix_socket")
    port = str(url.port or _single(url, "port") or family.port)
    bare, colon, own_port = host.rpartition(":")
    if colon and own_port.isdigit() and ":" not in bare and "," not in host:
        host, port = bare, own_port
    host = host.lower() if not host.startswith("/") else host
    return ("localhost" if host in ("", "127.0.0.1", "::1") else host), port


def _sqlite_file(url: URL) -> str:
    database = url.database or ""
    if database.startswith("file:"):
        database = unquote(urlsplit(database).path)
    in_memory = database == ":memory:" or _single(url, "mode") == "memory"
    return "" if in_memory else database
