"""Setting the flag and taking it back: the only two statements that write to the backend.

Correct whoever else writes: each update carries what must still be true of the row, and what it
changed is read from the update itself, never from a look before or after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nas_syncd.documents import statements as sql
from nas_syncd.documents.names import MarkOutcome
from nas_syncd.documents.shape import MYSQL, Shape
from nas_syncd.documents.values import lenient_text, sendable

_GROUP = 100
"""Pairs in one statement: few enough for every database's limits on terms and parameters."""
_GOES = 3
"""How often a row that should have matched, and did not, is tried."""

Pairs = dict[object, tuple[str, str]]
"""The database's key → (id as given, path)."""


def mark(
    connection: Connection, shape: Shape, marks: Collection[tuple[str, str]], at: dt.datetime
) -> dict[str, MarkOutcome]:
    """Set the flag of every (id, file_path) whose row is still that; say what became of each.

    An id that is given twice counts with its last path.
    """
    paths = dict(marks)
    outcomes = {
        id_: MarkOutcome.GONE if sendable(path) else MarkOutcome.MOVED
        for id_, path in paths.items()
    }
    update = sql.flag_set(shape, at)
    for group in _groups(shape, paths):
        _mark_group(connection, shape, update, group, outcomes)
    return outcomes


def unmark(connection: Connection, shape: Shape, marks: Collection[tuple[str, str]]) -> set[str]:
    """Take the flag of every (id, file_path) back; return the ids whose flag was true."""
    update = sql.flag_cleared(shape)
    return {
        group[key][0]
        for group in _groups(shape, dict(marks))
        for key in _updated(connection, shape, update.where(sql.marked(shape)), group)
    }


def _mark_group(
    connection: Connection,
    shape: Shape,
    update: sa.Update,
    group: Pairs,
    outcomes: dict[str, MarkOutcome],
) -> None:
    left = dict(group)
    for _ in range(_GOES):
        for key in _updated(connection, shape, update.where(sql.unmarked(shape)), left):
            outcomes[left.pop(key)[0]] = MarkOutcome.MARKED
        if left:
            left = _judge(connection, shape, left, outcomes)
        if not left:
            return
    outcomes.update({id_: MarkOutcome.MOVED for id_, _ in left.values()})


def _judge(
    connection: Connection, shape: Shape, left: Pairs, outcomes: dict[str, MarkOutcome]
) -> Pairs:
    """Say why the rows of *left* did not match; return those that would match now."""
    look = sql.paths_and_flags(shape, left)
    if shape.dialect == MYSQL:
        look = look.with_for_update()  # an old snapshot of the session's would not show why
    hopeful: Pairs = {}
    for raw_key, raw_path, flag in connection.execute(look):
        key = _canonical(shape, raw_key)
        id_, path = left.get(key, ("", ""))
        if key not in left or outcomes[id_] is MarkOutcome.MARKED:
            continue
        if lenient_text(raw_path) != path:
            outcomes[id_] = MarkOutcome.MOVED
        elif int(flag):
            outcomes[id_] = MarkOutcome.ALREADY
        else:
            hopeful[key] = left[key]
    return hopeful


def _updated(connection: Connection, shape: Shape, update: sa.Update, pairs: Pairs) -> list[object]:
    """Run *update* on the rows that are still *pairs*; return the keys it changed."""
    if shape.returning:
        named = (sql.pair(shape, key, path) for key, (_, path) in pairs.items())
        statement = update.where(sql.any_of(shape["id"], list(pairs)), sa.or_(*named))
        changed = connection.execute(statement.returning(shape["id"])).scalars().all()
        return [key for key in (_canonical(shape, raw) for raw in changed) if key in pairs]
    return [
        key
        for key, (_, path) in pairs.items()
        if connection.execute(update.where(sql.pair(shape, key, path))).rowcount
    ]


def _groups(shape: Shape, paths: Mapping[str, str]) -> Iterator[Pairs]:
    """The pairs that can exist, in the order of their ids: two markers meet in no deadlock."""
    pairs = (
        (key, (id_, path))
        for id_, path in sorted(paths.items())
        if sendable(path)
        for key in sql.id_values(shape, id_)
    )
    while group := dict(islice(pairs, _GROUP)):
        yield group


def _canonical(shape: Shape, raw: object) -> object:
    """The key that the database gave, as we would send it."""
    values = sql.id_values(shape, sql.id_text(shape, raw))
    return values[0] if values else raw
