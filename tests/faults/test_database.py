"""The database's group notices what it is there to notice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nas_syncd.documents import statements
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.flow import Flow
from tests.faults.database import SQLITE, Scene, WatchedTable
from tests.faults.databaseevents import VICTIM
from tests.faults.lab import BrokenError, DirtyError, LiedError, LostError, StuckError


def broken(case: str, folder: Path) -> type[BrokenError]:
    with pytest.raises(BrokenError) as found:
        SQLITE.run(case, folder)
    return type(found.value)


@pytest.mark.parametrize("event", ["row deleted, its id used again", "re-pointed and back"])
def test_a_mark_by_the_id_alone_lies(
    event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = statements.any_pair

    def any_path(shape: Any) -> Any:
        keys = sa.bindparam(statements.KEYS, type_=sa.types.NullType(), expanding=True)
        return sa.or_(exact(shape), shape["id"].in_(keys))

    monkeypatch.setattr(statements, "any_pair", any_path)

    assert broken(f"{event}: before the mark", tmp_path) is LiedError


def test_a_mark_before_the_copy_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Flow._begin

    def marks_first(flow: Flow, group: Any, nas: str) -> None:
        pairs = [(work.document.id, work.document.file_path) for work in group]
        flow.table.mark(pairs, flow.site.now())
        begin(flow, group, nas)

    monkeypatch.setattr(Flow, "_begin", marks_first)

    assert broken("flag reset: after the intent", tmp_path) is LiedError


def test_a_mark_that_is_never_made_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(table: WatchedTable, *_: Any) -> Any:
        table.scene.at("before the mark")
        raise DatabaseUnavailableError("never")

    monkeypatch.setattr(WatchedTable, "mark", refuses)

    assert broken("vacuumed: before the mark", tmp_path) is StuckError


@pytest.mark.parametrize(
    ("does", "kind"),
    [
        (lambda file: shutil.copy(file, file.with_name("b-2.pdf")), DirtyError),
        (lambda file: file.with_name("c.pdf").write_bytes(b"other"), LiedError),
        (lambda file: file.with_name("half.pdf").write_bytes(file.read_bytes()[:9]), DirtyError),
        (lambda file: file.with_name(".nas-syncd-1.part").write_bytes(b""), DirtyError),
    ],
    ids=["doubled", "changed", "partial", "temp"],
)
def test_what_is_left_on_the_nas_is_looked_at(
    does: Any, kind: type[BrokenError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwatched = WatchedTable.mark

    def meddles(table: WatchedTable, *given: Any) -> Any:
        outcomes = unwatched(table, *given)
        does(table.scene.world.nas / f"2024/01/factures/{'abc'[VICTIM - 1]}.pdf")
        return outcomes

    monkeypatch.setattr(WatchedTable, "mark", meddles)

    assert broken("vacuumed: after the mark", tmp_path) is kind


def test_a_copy_that_is_gone_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loses(scene: Scene) -> None:
        (scene.world.nas / "2024/01/factures/b.pdf").unlink()

    monkeypatch.setattr(Scene, "over", loses)

    assert broken("row deleted: after the note", tmp_path) is LostError
