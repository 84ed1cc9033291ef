"""From a hint to a row: whom the table is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_syncd.intake import Intake
from nas_syncd.models import Document, SourceKind, SourceVersion
from nas_syncd.settle import Settling
from nas_syncd.watcher import Hint
from tests.helpers import World, version_at


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_row_that_was_found_otherwise_is_not_looked_for(world: World) -> None:
    id_ = world.add("u1/a.pdf")
    world.add("u1/b.pdf")
    table = world.table()
    offered: list[Document] = []
    intake = Intake(world.site(), table, Settling(0.0), lambda found, _: offered.extend(found))
    intake.hear(
        [
            Hint(path, SourceKind.FILE, _version(world, path), closed=True, by="event")
            for path in ("u1/a.pdf", "u1/b.pdf")
        ]
    )

    intake.met(table.get([id_]).values())

    assert intake.claim(100) == 1
    assert [document.file_path.rpartition("/")[2] for document in offered] == ["b.pdf"]


def test_other_forms_of_a_path_are_only_asked_for_where_the_likeliest_has_no_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("a.pdf")
    world.add("b.pdf", file_path="./b.pdf")
    table, asked = world.table(), []
    find = table.find

    def noted(paths: list[str]) -> list[Document]:
        asked.append(paths)
        return find(paths)

    monkeypatch.setattr(table, "find", noted)
    offered: list[Document] = []
    intake = Intake(world.site(), table, Settling(0.0), lambda found, _: offered.extend(found))
    intake.hear(
        [
            Hint(name, SourceKind.FILE, _version(world, name), closed=True, by="event")
            for name in ("a.pdf", "b.pdf")
        ]
    )

    assert intake.claim(100) == 2
    assert sorted(document.file_path for document in offered) == ["./b.pdf", "/app/uploads/a.pdf"]
    first, second = asked
    assert first == ["/app/uploads/a.pdf", "/app/uploads/b.pdf"]
    assert "./b.pdf" in second
    assert not any(path.endswith("a.pdf") for path in second)


def test_a_changed_file_takes_the_flags_of_all_its_rows_back(world: World) -> None:
    """In whatever form their paths are."""
    ids = [
        world.add("a.pdf", b"old"),
        world.add("a.pdf", b"old", file_path="uploads/a.pdf"),
    ]
    site, table = world.site(), world.table()
    flow = world.flow(site, table)
    world.go(flow, ids)
    assert all(world.flag(id_) for id_ in ids)
    world.upload("a.pdf", b"new")
    intake = Intake(site, table, Settling(0.0), flow.offer)

    intake.hear([Hint("a.pdf", SourceKind.FILE, _version(world, "a.pdf"), closed=True, by="event")])
    intake.claim(100)
    flow.drain()

    assert [world.flags(id_) for id_ in ids] == [[True, False], [True, False]]


def _version(world: World, path: str) -> SourceVersion:
    found = version_at(world.uploads / path)
    return SourceVersion(found.size, found.mtime_ns, found.inode)
