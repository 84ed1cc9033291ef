"""What the backend's table really looks like: found once, by asking the database."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SAWarning

from nas_syncd.documents.names import LOGICAL, REQUIRED, TableNames
from nas_syncd.documents.values import KeyKind
from nas_syncd.errors import ColumnTypeError, NoTableError, PrimaryKeyError, SchemaError

POSTGRESQL, MYSQL, SQLITE = "postgresql", "mysql", "sqlite"
_TIMES = ("date", "created_at")


class Stamp(StrEnum):
    """What ``synced_at`` can hold."""

    NAIVE = "naive"
    ZONED = "zoned"
    TEXT = "text"


@dataclass(frozen=True)
class Shape:
    """The table as reflected: only the columns we use, and what has to be known of their types."""

    dialect: str
    """``postgresql``, ``mysql`` (MariaDB too) or ``sqlite``."""
    table: sa.TableClause
    columns: Mapping[str, sa.ColumnClause[Any]]
    """Our name → the real column; optional ones only when they are there. Untyped, so that
    nothing converts (and trips over) a value before we do."""
    id_kind: KeyKind
    user_kind: KeyKind
    boolean_flag: bool
    """``synced_to_nas`` is the database's own boolean, not an integer."""
    stamp: Stamp
    stamp_nullable: bool
    temporal: frozenset[str]
    """Which of ``date`` and ``created_at`` the database itself knows for dates or times. Never
    in SQLite, where a column holds what was put into it."""
    zoned: frozenset[str]
    """Which of them are times with zone."""
    returning: bool
    """``UPDATE … RETURNING`` works here."""
    statements: dict[str, sa.UpdateBase] = field(default_factory=dict, compare=False)
    """Those that were built for this table, to be run again with other values."""

    def __getitem__(self, logical: str) -> sa.ColumnClause[Any]:
        return self.columns[logical]


class Shapes:
    """What was reflected, by engine: for all tables of a process, and safe for its threads."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Engine, dict[object, Shape]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def known(self, engine: Engine, names: TableNames) -> Shape | None:
        with self._lock:
            return self._known.get(engine, {}).get(_key(names))

    def of(self, connection: Connection, engine: Engine, names: TableNames) -> Shape:
        """Return the known shape, or :func:`reflect` it."""
        shape = self.known(engine, names)
        if shape is None:
            shape = reflect(connection, names)
            with self._lock:
                self._known.setdefault(engine, {})[_key(names)] = shape
        return shape

    def forget(self, engine: Engine, names: TableNames) -> None:
        with self._lock:
            self._known.get(engine, {}).pop(_key(names), None)


def _key(names: TableNames) -> tuple[str, frozenset[tuple[str, str]]]:
    return names.table, frozenset(names.columns.items())


def reflect(connection: Connection, names: TableNames) -> Shape:
    """Return the shape of the table that *names* speaks of. Reads the catalog, changes nothing.

    Raises:
        SchemaError: The table or a column is missing, the key is not one column, or a column is
            of a type that cannot serve.
    """
    with warnings.catch_warnings():
        # Types of columns that are not ours, which SQLAlchemy has not heard of.
        warnings.simplefilter("ignore", SAWarning)
        inspector = sa.inspect(connection)
        if not inspector.has_table(names.name, schema=names.schema):
            raise NoTableError(
                f"there is no table {names.table!r} in the database;"
                " name it with NAS_SYNCD_DB_TABLE (table, or schema.table)",
                table=names.table,
            )
        found = {
            column["name"]: column
            for column in inspector.get_columns(names.name, schema=names.schema)
        }
    real = _resolve(names, found)
    _require_key(inspector, names, real["id"])
    return _shape(connection, names, real, {ours: found[name] for ours, name in real.items()})


def _resolve(names: TableNames, found: Mapping[str, Any]) -> dict[str, str]:
    """Our name → the table's own spelling, for every column that is there."""
    folded: dict[str, list[str]] = {}
    for name in found:
        folded.setdefault(name.casefold(), []).append(name)
    real, missing = {}, []
    for logical in LOGICAL:
        name = names.real(logical)
        alike = [name] if name in found else folded.get(name.casefold(), [])
        if len(alike) == 1:
            real[logical] = alike[0]
        elif logical in REQUIRED or logical in names.columns:
            missing.append(name)
    if missing:
        raise SchemaError(
            f"the table {names.table!r} has no column {', '.join(missing)};"
            " map our names to its own with NAS_SYNCD_DB_COLUMNS,"
            " or name another table with NAS_SYNCD_DB_TABLE",
            table=names.table,
            missing=", ".join(missing),
        )
    return real


def _require_key(inspector: Inspector, names: TableNames, key: str) -> None:
    """The primary key is exactly our ``id``; a view has none and is taken at its word."""
    columns = inspector.get_pk_constraint(names.name, schema=names.schema)["constrained_columns"]
    if columns == [key] or (not columns and _is_view(inspector, names)):
        return
    what = f"is {' + '.join(columns)}" if columns else "is missing"
    raise PrimaryKeyError(
        f"the primary key of the table {names.table!r} {what}; it must be the one column {key!r}"
        " (map id to another with NAS_SYNCD_DB_COLUMNS, or give a view with NAS_SYNCD_DB_TABLE)",
        table=names.table,
        key=key,
        found=" + ".join(columns) or None,
    )


def _is_view(inspector: Inspector, names: TableNames) -> bool:
    views = inspector.get_view_names(schema=names.schema)
    return names.name.casefold() in {view.casefold() for view in views}


def _shape(
    connection: Connection, names: TableNames, real: Mapping[str, str], found: Mapping[str, Any]
) -> Shape:
    dialect = connection.dialect
    family = MYSQL if dialect.name == "mariadb" else dialect.name
    types = {logical: _bare(column["type"]) for logical, column in found.items()}
    columns: dict[str, sa.ColumnClause[Any]] = {
        logical: sa.column(name) for logical, name in real.items()
    }
    return Shape(
        dialect=family,
        table=sa.table(names.name, *set(columns.values()), schema=names.schema),
        columns=columns,
        id_kind=_key_kind(family, types["id"]),
        user_kind=_key_kind(family, types["user_id"]),
        boolean_flag=_boolean_flag(family, types["synced_to_nas"], names),
        stamp=_stamp(family, types["synced_at"]),
        stamp_nullable=bool(found["synced_at"].get("nullable", True)),
        temporal=_temporal(family, types),
        zoned=frozenset(name for name in _TIMES if getattr(types[name], "timezone", False)),
        returning=dialect.update_returning,
    )


def _bare(kind: Any) -> Any:
    """The type below a PostgreSQL domain."""
    while hasattr(kind, "data_type"):
        kind = kind.data_type
    return kind


def _key_kind(family: str, kind: Any) -> KeyKind:
    if isinstance(kind, sa.Integer):
        return KeyKind.INTEGER
    whole = isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and not kind.scale
    if whole and family != SQLITE:  # which calls every type NUMERIC that it does not know
        return KeyKind.INTEGER
    if isinstance(kind, sa.Uuid):
        return KeyKind.UUID if family != SQLITE else KeyKind.TEXT
    if isinstance(kind, sa.LargeBinary | sa.BINARY | sa.VARBINARY):
        return KeyKind.BINARY
    return KeyKind.TEXT


def _boolean_flag(family: str, kind: Any, names: TableNames) -> bool:
    if family != POSTGRESQL:
        return False
    if not isinstance(kind, sa.Boolean | sa.Integer):
        raise ColumnTypeError(
            f"the column {names.real('synced_to_nas')!r} of the table {names.table!r} is of type"
            f" {kind}; it must be a boolean or an integer",
            table=names.table,
            column=names.real("synced_to_nas"),
            type=str(kind),
        )
    return isinstance(kind, sa.Boolean)


def _temporal(family: str, types: Mapping[str, Any]) -> frozenset[str]:
    if family == SQLITE:
        return frozenset()
    return frozenset(name for name in _TIMES if isinstance(types[name], sa.Date | sa.DateTime))


def _stamp(family: str, kind: Any) -> Stamp:
    if family == SQLITE:
        return Stamp.NAIVE  # what SQLAlchemy's own DateTime stores there, zoned or not
    if isinstance(kind, sa.String):
        return Stamp.TEXT
    return Stamp.ZONED if getattr(kind, "timezone", False) else Stamp.NAIVE
