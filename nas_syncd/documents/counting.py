"""Counting in the database: all rows at once, and by the month and the type they are filed under.

The months follow :mod:`nas_syncd.routing` to the letter. What the database can judge is grouped
there; a date that is only a text, and not one that the database reads as Python does, comes
back as it is and is judged here, by the very functions that read a row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from nas_syncd.documents import statements as sql
from nas_syncd.documents.names import Counts, MonthCount
from nas_syncd.documents.shape import MYSQL, POSTGRESQL, SQLITE, Shape
from nas_syncd.documents.values import date_of, lenient_text, utc_of

Element = sa.ColumnElement[Any]

_SQLITE_DAY = "{x} = date({x}, '+0 days') AND {x} NOT GLOB '0000*'"
_SQLITE_UTC = (
    "{x} = datetime({x}, '+0 days') || substr({x}, 20)"
    " AND substr({x}, 20) NOT GLOB '*[^.0-9Z]*' AND {x} NOT GLOB '0000*'"
)
_SQLITE_TIME = (
    "{x} = replace(datetime(substr({x}, 1, 19), '+0 days'), ' ', substr({x}, 11, 1))"
    " || substr({x}, 20) AND substr({x}, 20) NOT GLOB '*[^-+:.0-9Z]*'"
    " AND datetime({x}) IS NOT NULL AND {x} NOT GLOB '000[01]*'"
)
"""Texts that SQLite and Python read alike, to the last letter; Python reads more than these. Adding
nothing makes SQLite reckon, and so give 29 February back as another day where there is none."""
_SQLITE_CREATED = (
    f"CASE WHEN {_SQLITE_UTC} OR {_SQLITE_DAY} THEN substr({{x}}, 1, 7)"
    f" WHEN {_SQLITE_TIME} AND substr({{x}}, -6) NOT GLOB '[-+]*' THEN substr({{x}}, 1, 7)"
    # Without its fraction, which SQLite rounds: up into the next month at worst.
    f" WHEN {_SQLITE_TIME} THEN coalesce("
    "strftime('%Y-%m', substr({x}, 1, 19) || substr({x}, -6)), hex({x}))"
    " ELSE hex({x}) END"
)
_SQLITE_KEY = (
    f"CASE WHEN {_SQLITE_DAY} THEN substr({{x}}, 1, 7)"
    " WHEN {x} IS NULL OR {x} = '' THEN '/' || ({created})"
    f" WHEN {_SQLITE_TIME} THEN substr({{x}}, 1, 7)"
    " ELSE hex({x}) || '/' || ({created}) END"
)
"""The month; or, for Python to judge, ``date / created_at``, each a month or a text in hex."""
_SQLITE_MOMENT = (
    "CASE WHEN {x} GLOB '[0-9][0-9][0-9][0-9]-*' AND {x} NOT GLOB '000[01]*'"
    " THEN strftime('%Y-%m-%d %H:%M:%f', {x}) END"
)
_ISO_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_NAIVE = (
    f"{_ISO_DAY}([ T]([01][0-9]|2[0-3])(:[0-5][0-9]){{2}}([.][0-9]+)?)?$"  # its day says all
)


def totals(shape: Shape, user_id: str | None) -> sa.Select[Any]:
    """One pass over the table; the texts are made of the result, not of each row."""
    yes = sql.marked(shape)
    last = sa.func.max(sa.case((yes, shape["synced_at"])))
    oldest = sa.func.min(sa.case((yes, sa.null()), else_=_moment(shape)))
    return (
        sa.select(
            sa.func.count().label("total"),
            sa.func.sum(sql.flag_number(shape)).label("synced"),
            sql.as_text(shape, last).label("last_text"),
            sql.as_text(shape, oldest).label("oldest_text"),
        )
        .select_from(shape.table)
        .where(sql.has_file(shape), sql.of_user(shape, user_id))
    )


def counts(row: Sequence[Any]) -> Counts:
    """Return the row of :func:`totals` as what it says."""
    return Counts(
        total=int(row[0]),
        synced=int(row[1] or 0),
        last_sync=utc_of(row[2]),
        oldest_pending=utc_of(row[3]),
    )


def month_groups(shape: Shape, user_id: str | None) -> sa.Select[Any]:
    """Group the rows with a file; :func:`months` reads the answer."""
    keys = (_sqlite_keys if shape.dialect == SQLITE else _server_keys)(shape)
    named = zip("mdct", (*keys, _type(shape)), strict=True)
    there = {name: key.label(name) for name, key in named if key is not None}
    each = (
        sa.select(*there.values(), sql.flag_number(shape).label("s"))
        .select_from(shape.table)
        .where(sql.has_file(shape), sql.of_user(shape, user_id))
        .subquery("each_row")
    )
    shown: list[Element] = [each.c[name] if name in there else sa.null() for name in "mdct"]
    if shape.dialect == POSTGRESQL and shape.temporal:
        shown[0] = sa.func.to_char(shown[0], sql.literal("'YYYY-MM'"))
    return sa.select(
        sql.untyped(shown[0]), *shown[1:], sa.func.count(), sa.func.sum(each.c.s)
    ).group_by(*(each.c[name] for name in there))


def months(groups: Iterable[Sequence[Any]]) -> list[MonthCount]:
    """Return the answer to :func:`month_groups`, each month and type once, in order."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for month, date, created, doc_type, documents, synced in groups:
        key = (
            _month_of(date_of(date)) or _judged(month) or _month_of(utc_of(created)),
            (lenient_text(doc_type) or "").strip().casefold(),
        )
        before = found.get(key, (0, 0))
        found[key] = before[0] + int(documents), before[1] + int(synced)
    return [MonthCount(*key, *found[key]) for key in sorted(found)]


def _month_of(date: dt.date | None) -> str:
    return f"{date.year:04d}-{date.month:02d}" if date else ""


def _judged(key: object) -> str:
    """Return the month that a key of :data:`_SQLITE_KEY`, or a month, stands for."""
    date, _, created = (lenient_text(key) or "").partition("/")
    return _half(date, date_of) or _half(created, utc_of)


def _half(text: str, read: Callable[[object], dt.date | None]) -> str:
    return text if "-" in text else _month_of(read(bytes.fromhex(text)))


Keys = tuple[Element, Element | None, Element | None]
"""The month as far as the database can judge, and ``date`` and ``created_at`` as texts as far as
it cannot. None where it always can: a constant among the keys costs PostgreSQL a sort."""


def _sqlite_keys(shape: Shape) -> Keys:
    created = _sqlite(_SQLITE_CREATED, shape["created_at"])
    key = _sqlite(_SQLITE_KEY, shape["date"], created=str(created))
    return sql.untyped(sa.cast(key, sa.LargeBinary)), None, None


def _server_keys(shape: Shape) -> Keys:
    by_date, by_creation = _month(shape, "date"), _month(shape, "created_at")
    unknown = by_date.is_(sa.null())
    unknown_both = sa.and_(unknown, by_creation.is_(sa.null()))
    return (
        sa.func.coalesce(by_date, by_creation),
        _odd_where(unknown, shape, "date"),
        _odd_where(unknown_both, shape, "created_at"),
    )


def _month(shape: Shape, name: str) -> Element:
    """The month of the column *name*; NULL where the database cannot say."""
    if name not in shape.temporal:
        return sa.null()
    if shape.dialect == POSTGRESQL:
        moment = sql.in_utc(shape, name)
        month = sa.func.date_trunc(sql.literal("'month'"), sa.cast(moment, sa.DateTime))
        return sa.case((_python_can_hold(moment), month))
    column = shape[name]
    last_day = sa.func.dayofmonth(sa.func.last_day(column))
    is_a_day = sa.and_(
        column >= sql.literal("'0001-01-01'"),
        sa.func.dayofmonth(column).between(sql.literal("1"), last_day),
    )
    return sa.case((is_a_day, sa.func.left(sa.cast(column, sa.CHAR), sql.literal("7"))))


def _odd_where(unknown: sql.Condition, shape: Shape, name: str) -> Element | None:
    """The column as a text for Python to judge, where it is *unknown* what it says."""
    if name in shape.temporal:
        return None
    text = sql.as_text(shape, shape[name])
    day = sa.func.left(text, sql.literal("10"))
    odd: Element = sa.case((_matches(shape, text, _ISO_NAIVE), day), else_=text)
    if shape.dialect == MYSQL:
        odd = sql.bytes_of(odd)  # its collation would take Z for z
    return sa.case((unknown, odd))


def _type(shape: Shape) -> Element:
    """``doc_type``, letter by letter, whatever its type and collation."""
    column = shape["doc_type"]
    if shape.dialect == SQLITE:
        return sql.plain_text(shape, column)
    return sa.cast(column, sa.Text) if shape.dialect == POSTGRESQL else sql.bytes_of(column)


def _moment(shape: Shape) -> Element:
    """``created_at`` so that the least is the earliest, NULL where it is no time."""
    column = shape["created_at"]
    if shape.dialect == SQLITE:
        return _sqlite(_SQLITE_MOMENT, column)
    if "created_at" not in shape.temporal:
        text = sql.as_text(shape, column)
        return sa.case((_matches(shape, text, _ISO_DAY), text))
    if shape.dialect == POSTGRESQL:
        return sa.case((_python_can_hold(sql.in_utc(shape, "created_at")), column))
    return sa.case((column >= sql.literal("'0001-01-01'"), column))


def _python_can_hold(moment: Element) -> sql.Condition:
    """A PostgreSQL date or time that is neither infinite nor before our era."""
    first, beyond = sql.literal("make_date(1, 1, 1)"), sql.literal("make_date(10000, 1, 1)")
    return sa.and_(moment >= first, moment < beyond)


def _matches(shape: Shape, text: Element, pattern: str) -> sql.Condition:
    operator = "REGEXP" if shape.dialect == MYSQL else "~"
    return text.op(operator, is_comparison=True)(sql.literal(f"'{pattern}'"))


def _sqlite(template: str, column: Element, **more: str) -> Element:
    name = str(column.compile(dialect=sqlite.dialect()))
    return sa.literal_column(template.format(x=name, **more))
