"""The SQL we speak, in the dialect of the table at hand. Builds statements, runs none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import NullType

from nas_syncd.documents.shape import MYSQL, POSTGRESQL, SQLITE, Shape, Stamp
from nas_syncd.documents.values import date_of, key_text, key_values, lenient_text, text_of, utc_of
from nas_syncd.models import Document

Condition = sa.ColumnElement[bool]

OURS = "nas_syncd_"
"""So begin the names of values that come later: none may be a column's."""
STAMP, KEY, PATH = f"{OURS}stamp", f"{OURS}key", f"{OURS}path"
KEYS, PAIRS = f"{OURS}keys", f"{OURS}pairs"


def raw(value: object) -> sa.BindParameter[Any]:
    """A value the database types by what it is compared with.

    SQLAlchemy's own types make PostgreSQL compare a ``char(36)`` key with a ``varchar``, without
    its index, and refuse an integer that is too large instead of not finding it.
    """
    return sa.bindparam(None, value, type_=NullType(), unique=True)


def named(name: str) -> sa.ColumnElement[Any]:
    """Like :func:`raw`; the value comes when the statement is run."""
    return sa.bindparam(name, type_=NullType())


def any_of(column: sa.ColumnElement[Any], values: Collection[object]) -> Condition:
    if not values:
        return sa.false()
    return column.in_(
        sa.bindparam(None, list(values), type_=NullType(), unique=True, expanding=True)
    )


def marked(shape: Shape) -> Condition:
    """The flag is true."""
    flag = shape["synced_to_nas"]
    if shape.dialect == SQLITE:
        return flag.op("IS")(literal("1"))  # a text 'false' is not 0 there, and not 1 either
    if shape.boolean_flag:
        return flag == sa.true()
    return flag != literal("0")


def unmarked(shape: Shape) -> Condition:
    """The flag is not true: false, or NULL. Written so that an index on it can serve."""
    flag = shape["synced_to_nas"]
    if shape.dialect == SQLITE:
        return flag.op("IS NOT")(literal("1"))
    no = flag == sa.false() if shape.boolean_flag else flag == literal("0")
    return sa.or_(flag.is_(sa.null()), no)


def has_file(shape: Shape) -> Condition:
    """A path that is not empty; NULL is neither empty nor not."""
    return shape["file_path"] != literal("''")


def of_user(shape: Shape, user_id: str | None) -> Condition:
    if user_id is None:
        return sa.true()
    return any_of(shape["user_id"], key_values(shape.user_kind, user_id))


def ids(shape: Shape, texts: Collection[str]) -> list[object]:
    """Every value the database may hold for the keys *texts*; impossible keys give none."""
    return [value for text in texts for value in id_values(shape, text)]


def id_values(shape: Shape, text: str) -> list[object]:
    return key_values(shape.id_kind, text, unsigned=shape.dialect == MYSQL)


def id_text(shape: Shape, value: object) -> str:
    return key_text(shape.id_kind, value)


def beyond(shape: Shape, after: str | None) -> Condition:
    """Keys greater than *after*; an *after* that is no key of this table gives all of them."""
    key = shape["id"]
    values = id_values(shape, after) if after is not None else []
    return key > raw(values[0]) if values else key.is_not(sa.null())


def same_row(shape: Shape) -> Condition:
    """The row has the key and the path of :func:`row_values`."""
    path = named(PATH)
    if shape.dialect == MYSQL:
        path = bytes_of(path)
    return sa.and_(shape["id"] == named(KEY), exact_path(shape) == path)


def row_values(key: object, path: str) -> dict[str, object]:
    return {KEY: key, PATH: path}


def any_pair(shape: Shape) -> Condition:
    """The row is one of the pairs of :func:`pair_values`, however many: a statement that is
    compiled once.

    The keys stand in it twice, so that every database finds the rows by its index.
    """
    keys = sa.bindparam(KEYS, type_=NullType(), expanding=True)
    pairs = sa.bindparam(PAIRS, type_=sa.types.TupleType(NullType(), NullType()), expanding=True)
    return sa.and_(shape["id"].in_(keys), sa.tuple_(shape["id"], exact_path(shape)).in_(pairs))


def pair_values(pairs: Sequence[tuple[object, str]]) -> dict[str, object]:
    return {KEYS: [key for key, _ in pairs], PAIRS: pairs}


def exact_path(shape: Shape) -> sa.ColumnElement[Any]:
    """The row's ``file_path``, to be compared letter by letter, whatever its collation thinks."""
    column = shape["file_path"]
    if shape.dialect == SQLITE:
        return sa.collate(column, "BINARY")
    if shape.dialect == POSTGRESQL:
        return sa.collate(sa.cast(column, sa.Text), "C")
    return bytes_of(column)


def rows(shape: Shape, *where: Condition) -> sa.Select[Any]:
    """Our columns, in the order :func:`document` reads them, of rows with a file."""
    names = ("user_id", "file_path", "original_name", "doc_type", "processing_status")
    plain = [plain_text(shape, shape.columns.get(name, sa.null())) for name in names]
    return (
        sa.select(
            shape["id"].label("f_id"),
            *(value.label(f"f_{name}") for name, value in zip(names, plain, strict=True)),
            as_text(shape, in_utc(shape, "date")).label("f_date"),
            as_text(shape, shape["created_at"]).label("f_created_at"),
            as_text(shape, shape["synced_at"]).label("f_synced_at"),
            flag_number(shape).label("f_synced"),
        )
        .select_from(shape.table)
        .where(has_file(shape), *where)
    )


def paths_and_flags(shape: Shape, keys: Collection[object]) -> sa.Select[Any]:
    return (
        sa.select(
            shape["id"], plain_text(shape, shape["file_path"]).label("f_path"), flag_number(shape)
        )
        .select_from(shape.table)
        .where(any_of(shape["id"], keys))
    )


def document(shape: Shape, row: Sequence[Any]) -> Document:
    """Return one row of :func:`rows` as a document.

    Raises:
        UnicodeDecodeError: ``file_path`` is no text.
    """
    return Document(
        id=id_text(shape, row[0]),
        user_id=None if row[1] is None else key_text(shape.user_kind, row[1]),
        file_path=text_of(row[2]) or "",
        original_name=lenient_text(row[3]),
        doc_type=lenient_text(row[4]),
        processing_status=lenient_text(row[5]),
        date=date_of(row[6]),
        created_at=utc_of(row[7]),
        synced_at=utc_of(row[8]),
        synced=bool(int(row[9])),
    )


def flag_set(shape: Shape) -> sa.Update:
    """``UPDATE`` that sets the flag, and the time to :data:`STAMP`; the caller says where."""
    yes = sa.true() if shape.boolean_flag else literal("1")
    return (
        sa.update(shape.table)
        .values({shape["synced_to_nas"].name: yes, shape["synced_at"].name: _stamp(shape)})
        .where(unmarked(shape))
    )


def flag_cleared(shape: Shape) -> sa.Update:
    """``UPDATE`` that takes both back."""
    no = sa.false() if shape.boolean_flag else literal("0")
    values: dict[str, Any] = {shape["synced_to_nas"].name: no}
    if shape.stamp_nullable:
        values[shape["synced_at"].name] = sa.null()
    return sa.update(shape.table).values(values).where(marked(shape))


def as_text(shape: Shape, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """*value* as text that no setting of the session changes and no driver interprets."""
    if shape.dialect == POSTGRESQL:
        return untyped(sa.func.to_jsonb(value).op("#>>")(literal("'{}'")))
    if shape.dialect == SQLITE:
        return plain_text(shape, value)
    return untyped(sa.cast(value, sa.CHAR))


def flag_number(shape: Shape) -> sa.ColumnElement[Any]:
    """1 where the flag is true, else 0."""
    return sa.case((marked(shape), literal("1")), else_=literal("0"))


def plain_text(shape: Shape, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A text as the driver gives it; as bytes in SQLite, whose driver raises on bad UTF-8."""
    if shape.dialect == SQLITE:
        return untyped(sa.cast(value, sa.LargeBinary))
    return value


def in_utc(shape: Shape, name: str) -> sa.ColumnElement[Any]:
    """The column; a PostgreSQL time with zone is taken in UTC, not in the session's zone."""
    if name in shape.zoned and shape.dialect == POSTGRESQL:
        return sa.func.timezone(literal("'UTC'"), shape[name])
    return shape[name]


def _stamp(shape: Shape) -> sa.ColumnElement[Any]:
    if shape.stamp is Stamp.TEXT:
        return named(STAMP)
    return sa.bindparam(STAMP, type_=sa.DateTime(timezone=shape.stamp is Stamp.ZONED))


def stamp_value(shape: Shape, at: dt.datetime) -> object:
    """*at* as the column ``synced_at`` takes it."""
    aware = at.astimezone(dt.UTC)
    if shape.stamp is Stamp.ZONED:
        return aware
    naive = aware.replace(tzinfo=None)
    return naive.isoformat(sep=" ") if shape.stamp is Stamp.TEXT else naive


def bytes_of(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The UTF-8 bytes of a MySQL text, whatever character set and collation it is in."""
    utf8 = sa.func.convert(value.op("USING")(sa.literal_column("utf8mb4")))
    return untyped(sa.cast(utf8, sa.LargeBinary))


def untyped(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.type_coerce(value, NullType())


def literal(sql: str) -> sa.ColumnClause[Any]:
    return sa.literal_column(sql)
