"""Attacks on all documents by one: what a single upload, row or NAS can do to the others."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from nas_syncd.agent.marker import uuid_in
from nas_syncd.copier import BLOCK_BYTES, Copier
from nas_syncd.errors import SourceChangedError
from tests.helpers import an_order, no_step, tree_at, version_at
from tests.hostile.scene import client, command, documents, on_the_nas, steering, stuck
from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]


def test_a_file_larger_than_the_nas_holds_nobody_else_up(stage: Stage, start: Start) -> None:
    """A sparse file costs its owner nothing and has any size."""
    with open(stage.uploads / "huge.pdf", "wb") as file:
        file.truncate(1 << 43)
    huge = stage.row("huge.pdf")
    daemon = start(stage)
    daemon.wait_for("document.failed", seconds=10, document_id=str(huge))

    others = [stage.add(f"{number}.pdf", b"%d" % number) for number in range(30)]
    wait_until(lambda: all(map(stage.is_marked, others)), "the others", seconds=10)

    line = documents(stage)[str(huge)]
    assert line["reason"]["code"] == "place.no_room"
    assert "8 TiB" in line["reason"]["text"]
    assert client(stage).get("/sync/status").data["nas_configured"] is True


def test_paths_longer_than_any_system_holds_do_not_bring_the_watcher_down(
    stage: Stage, start: Start
) -> None:
    """All of a page's paths go to the child in one frame, which has its limit."""
    for number in range(60):
        stage.row("", file_path=f"{BACKEND_DIR}/{'💶' * 100_000}{number}")
    honest = stage.add("honest.pdf", b"honest")
    daemon = start(stage)

    wait_until(lambda: stage.is_marked(honest), "the honest one marked", seconds=15)

    wait_until(lambda: not list(stuck(documents(stage))), "a reason for each")
    assert daemon.count("log.foreign") == 0, "the child has crashed"
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "uuid",
    ["\ud800", "\x1b[2J\x9b31m", "a\nb", "x" * 3000, "../../etc", "with space", "é", "", 7, None],
)
def test_a_marker_that_is_no_plain_word_is_no_marker(uuid: object) -> None:
    assert uuid_in(json.dumps({"nas": uuid}).encode()) is None


def test_who_writes_the_marker_writes_nothing_else(stage: Stage, start: Start) -> None:
    """Whoever may write to the NAS may write the marker; it stands in the journal and in logs."""
    (stage.nas / ".nas-syncd.json").write_text(json.dumps({"nas": "\ud800\x1b[2J\x9b31m"}))
    stage.add("a.pdf", b"a")

    daemon = start(stage)

    daemon.wait_for("mount.changed", seconds=10, state="foreign")
    assert on_the_nas(stage.nas) == []
    assert daemon.count("journal.unusable") == 0
    said = command(stage, "status", "--json")
    assert not steering(said.out)


def test_a_source_that_has_no_end_is_let_go(tmp_path) -> None:
    """Its place is taken by a file of its size, so its bytes are compared: a hole of 2 TiB that
    opens meanwhile is not read to its end."""
    uploads, nas = tmp_path / "uploads", tmp_path / "nas"
    uploads.mkdir()
    taken = nas / "2024/01/factures/a.pdf"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"x" * BLOCK_BYTES)
    path = uploads / "a.pdf"
    path.write_bytes(b"y" * BLOCK_BYTES)
    order = an_order(uploads, version=version_at(path))
    blocks: list[int] = []

    class Endless(Copier):
        def _read_source(self, source: int, most: int) -> bytes:
            blocks.append(most)
            with path.open("r+b") as file:
                file.truncate(1 << 41)
            assert len(blocks) < 10, "it reads for ever"
            return super()._read_source(source, most)

    with tree_at(nas) as tree, pytest.raises(SourceChangedError):
        Endless(tree, order, no_step).copy()

    assert len(blocks) >= 1
