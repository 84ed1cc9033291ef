"""Setting the flag and taking it back: the only two statements that write to the backend.

Correct whoever else writes: each update carries what must still be true of the row, and what it
changed is read from the update itself, never from a look before or after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nas_syncd.documents import statements as sql
from nas_syncd.documents.names import MarkOutcome
from nas_syncd.documents.shape import MYSQL, Shape
from nas_syncd.documents.values import lenient_text, sendable

_GROUP = 200
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
    setting = _Update(connection, shape, sql.flag_set, {sql.STAMP: sql.stamp_value(shape, at)})
    for group in _groups(shape, paths):
        _mark_group(setting, group, outcomes)
    return outcomes


def unmark(connection: Connection, shape: Shape, marks: Collection[tuple[str, str]]) -> set[str]:
    """Take the flag of every (id, file_path) back; return the ids whose flag was true."""
    clearing = _Update(connection, shape, sql.flag_cleared, {})
    return {
        group[key][0] for group in _groups(shape, dict(marks)) for key in clearing.changed(group)
    }


def _mark_group(setting: _Update, group: Pairs, outcomes: dict[str, MarkOutcome]) -> None:
    left = dict(group)
    for _ in range(_GOES):
        for key in setting.changed(left):
            outcomes[left.pop(key)[0]] = MarkOutcome.MARKED
        if left:
            left = _judge(setting.connection, setting.shape, left, outcomes)
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


@dataclass(frozen=True, slots=True)
class _Update:
    """An ``UPDATE`` of the rows that are still given pairs."""

    connection: Connection
    shape: Shape
    build: Callable[[Shape], sa.Update]
    values: Mapping[str, object]

    def changed(self, pairs: Pairs) -> list[object]:
        """Run it; return the keys of the rows that it changed."""
        wanted = [(key, path) for key, (_, path) in pairs.items()]
        if self.shape.returning:
            rows = self._run(sql.any_pair, sql.pair_values(wanted)).scalars().all()
            return [key for key in (_canonical(self.shape, raw) for raw in rows) if key in pairs]
        return [one[0] for one in wanted if self._run(sql.same_row, sql.row_values(*one)).rowcount]

    def _run(
        self, where: Callable[[Shape], sql.Condition], values: Mapping[str, object]
    ) -> sa.CursorResult[Any]:
        return self.connection.execute(self._statement(where), {**self.values, **values})

    def _statement(self, where: Callable[[Shape], sql.Condition]) -> sa.UpdateBase:
        """Built once for each table: to build it costs more than to run it."""
        shape, name = self.shape, self.build.__name__
        if name not in shape.statements:
            update = self.build(shape).where(where(shape))
            statement = update.returning(shape["id"]) if shape.returning else update
            shape.statements[name] = statement
        return shape.statements[name]


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
