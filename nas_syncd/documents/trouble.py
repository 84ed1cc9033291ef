"""What a driver's exception means: try again, wait, or tell the person what is wrong.

Drivers put their codes in different places; this is the one module that knows where.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from enum import Enum, auto

from sqlalchemy.exc import (
    DBAPIError,
    NoSuchTableError,
    SQLAlchemyError,
    UnboundExecutionError,
)

from nas_syncd.documents.urls import HIDDEN
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, SchemaError, SyncError

FAILURES = (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError, OverflowError)
"""All that drivers and SQLAlchemy raise at us; anything else is a mistake of ours."""

_LONGEST_DETAIL = 240
_VALUE_STATES = frozenset({"22003", "22007", "22021", "22P02", "22P05"})
_VALUE_CODES = frozenset({1267, 1270, 1271, 1300, 1366, 1977, 3854, 3988})
_CLASH_STATES = frozenset({"40001", "40P01"})
_CLASH_CODES = frozenset({1020, 1213})
_SCHEMA_STATES = frozenset({"3F000", "42703", "42P01"})
_SCHEMA_CODES = frozenset({1054, 1146})
_DENIED_CODES = frozenset({1044, 1142, 1143, 1227})
_READ_ONLY_CODES = frozenset({1290, 1792, 1836})
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Trouble(Enum):
    """The kinds of failure that are answered differently."""

    BUSY = auto()
    """SQLite is locked by somebody: the same again in a moment."""
    CLASH = auto()
    """Deadlock or serialization failure: the whole transaction again."""
    LOST = auto()
    """The connection is gone; a new one may work."""
    SCHEMA = auto()
    """A table or a column is not there (any more)."""
    VALUE = auto()
    """The database cannot hold, or compare with, a value that we sent."""
    OTHER = auto()


class ValueRefusedError(DatabaseUnavailableError):
    """The database cannot compare with one of the values that were sent.

    Never leaves this package when several values were sent at once: the others are asked again.
    """


def trouble_of(error: BaseException) -> Trouble:
    """Return what kind of failure *error* is. Pure."""
    cause = _driver_error(error)
    state, number = _sql_state(cause), _number(cause)
    sqlite_code = getattr(cause, "sqlite_errorcode", 0) or 0
    if sqlite_code & 0xFF in _SQLITE_BUSY:
        return Trouble.BUSY
    if state in _CLASH_STATES or number in _CLASH_CODES:
        return Trouble.CLASH
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Trouble.LOST
    if _is_schema(error, cause, state, number):
        return Trouble.SCHEMA
    if (
        state in _VALUE_STATES
        or number in _VALUE_CODES
        or isinstance(cause, UnicodeError | OverflowError)
    ):
        return Trouble.VALUE
    return Trouble.OTHER


def is_denied(error: BaseException) -> bool:
    """Whether the database's own rights keep us from it."""
    cause = _driver_error(error)
    return _sql_state(cause) == "42501" or _number(cause) in _DENIED_CODES


def is_read_only(error: BaseException) -> bool:
    """Whether nobody can write there: a standby, a read-only file."""
    cause = _driver_error(error)
    code = (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF
    return (
        _sql_state(cause) == "25006"
        or _number(cause) in _READ_ONLY_CODES
        or code == sqlite3.SQLITE_READONLY
    )


def retrying_cannot_help(error: BaseException) -> bool:
    """Whether a busy SQLite stays busy until the transaction is begun anew."""
    return getattr(_driver_error(error), "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY_SNAPSHOT


def server_has_spoken(error: BaseException) -> bool:
    """Whether *error* carries a code of the server's: it is not about our own arguments."""
    cause = _driver_error(error)
    return bool(_sql_state(cause) or _number(cause))


def explained(error: BaseException, table: str, secrets: Collection[str]) -> SyncError:
    """Return *error* as one of ours, with one clean line of detail."""
    detail = detail_of(error, secrets)
    kind = trouble_of(error)
    if kind is Trouble.SCHEMA:
        return SchemaError(
            f"NAS_SYNCD_DB_TABLE / NAS_SYNCD_DB_COLUMNS: {detail}", table=table, missing=""
        )
    if kind is Trouble.VALUE:
        return ValueRefusedError(detail)
    if isinstance(error, UnboundExecutionError):
        return ConfigurationError(f"the session is bound to no database: {detail}")
    return DatabaseUnavailableError(detail)


def detail_of(error: BaseException, secrets: Collection[str]) -> str:
    """Return the first line of what the driver says, without any of *secrets*."""
    cause = _driver_error(error)
    text = str(cause)
    if _number(cause) and len(cause.args) > 1:
        text = f"{cause.args[1]} ({cause.args[0]})"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[0] if lines else type(cause).__name__
    for secret in secrets:
        line = line.replace(secret, HIDDEN)
    return line[:_LONGEST_DETAIL]


def _driver_error(error: BaseException) -> BaseException:
    """SQLAlchemy's own text quotes the statement and its values; the driver's does not."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _sql_state(cause: BaseException) -> str:
    for attribute in ("sqlstate", "pgcode"):  # psycopg, psycopg2
        state = getattr(cause, attribute, None)
        if state:
            return str(state)
    return ""


def _number(cause: BaseException) -> int:
    """The MySQL family's number, which stands first in the arguments."""
    if isinstance(cause, OSError) or not cause.args or not isinstance(cause.args[0], int):
        return 0
    return cause.args[0]


def _is_schema(error: BaseException, cause: BaseException, state: str, number: int) -> bool:
    if isinstance(error, NoSuchTableError) or state in _SCHEMA_STATES or number in _SCHEMA_CODES:
        return True
    return isinstance(cause, sqlite3.OperationalError) and str(cause).startswith(
        ("no such table", "no such column")
    )
