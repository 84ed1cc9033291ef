"""Documents arrive in every order; each lands once, in its place, and is marked."""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.lab.parts import wait_until
from tests.stage import RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]


def test_what_was_there_before_the_start_is_brought_to_safety(stage: Stage, start: Start) -> None:
    stage.add("a.pdf", b"first")
    stage.add("sub/b.pdf", b"second", doc_type="RECEIPT")
    stage.add("c.pdf", b"third", doc_type=None, date=None)
    start(stage)

    stage.wait_marked(3)

    assert stage.verdict().perfect
    assert (stage.nas / "2024/01/autres/c.pdf").read_bytes() == b"third"


def test_a_row_that_comes_after_its_file_finds_it(stage: Stage, start: Start) -> None:
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching="native")
    (stage.uploads / "late.pdf").write_bytes(b"file first")
    time.sleep(0.3)  # the point: some time lies between the file and its row
    row = stage.row("late.pdf")

    wait_until(lambda: stage.is_marked(row), "marked", seconds=10)

    assert stage.verdict().perfect


def test_metadata_that_comes_late_decides_the_place(stage: Stage, start: Start) -> None:
    stage.settings["NAS_SYNCD_SCAN_SECONDS"] = 30
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching="native")
    row = stage.add("x.pdf", b"x", doc_type=None, date=None, processing_status="processing")
    other = stage.add("y.pdf", b"y")
    wait_until(lambda: stage.is_marked(other), "the other one marked", seconds=10)
    assert not stage.is_marked(row)

    stage.sql(
        "UPDATE documents SET doc_type = 'payslip', date = '2023-11-30',"
        " processing_status = 'completed' WHERE id = ?",
        row,
    )
    wait_until(lambda: stage.is_marked(row), "marked soon, not at the next scan", seconds=8)

    assert (stage.nas / "2023/11/salaires/x.pdf").read_bytes() == b"x"
    assert stage.verdict().perfect


def test_two_documents_of_one_name_both_find_a_place(stage: Stage, start: Start) -> None:
    first = stage.add("u1/scan.pdf", b"of the first")
    second = stage.add("u2/scan.pdf", b"of the second")
    same = stage.add("u3/Scan.pdf", b"of the first")
    start(stage)

    stage.wait_marked(3)

    names = sorted(p.name for p in (stage.nas / "2024/01/factures").iterdir())
    assert len({n.casefold() for n in names}) == 3
    assert stage.verdict().perfect, (first, second, same)


@pytest.mark.slow
@pytest.mark.parametrize("watch", ["native", "poll"])
def test_five_thousand_files_at_once_are_each_copied_once(
    stage: Stage, start: Start, watch: str
) -> None:
    stage.settings["NAS_SYNCD_WATCH"] = watch
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching=watch)
    stage.add_many(5000, size=500, folders=200)

    stage.wait_marked(5000, seconds=100)

    assert stage.verdict().perfect
    wait_until(lambda: daemon.count("document.synced") == 5000, "all told", seconds=10)
    daemon.stop()
    assert daemon.count("document.synced") == 5000


def test_a_changed_source_is_filed_anew_and_the_old_version_stays(
    stage: Stage, start: Start
) -> None:
    row = stage.add("doc.pdf", b"version one")
    daemon = start(stage)
    stage.wait_marked(1)
    daemon.wait_for("document.synced")
    with sqlite3.connect(stage.database) as db:
        db.execute("CREATE TABLE seen (flag BOOLEAN)")
        db.execute(
            "CREATE TRIGGER witness AFTER UPDATE OF synced_to_nas ON documents"
            " BEGIN INSERT INTO seen VALUES (new.synced_to_nas); END"
        )

    (stage.uploads / "doc.pdf").write_bytes(b"version two!")
    daemon.wait_for("document.synced", since=len(daemon.events), document_id=str(row))

    assert [bool(flag) for (flag,) in stage.sql("SELECT flag FROM seen")] == [False, True]
    folder = stage.nas / "2024/01/factures"
    assert (folder / "doc.pdf").read_bytes() == b"version one"
    assert (folder / f"doc-{row}.pdf").read_bytes() == b"version two!"


def test_an_id_that_is_used_again_is_another_document(stage: Stage, start: Start) -> None:
    stage.add("one.pdf", b"one")
    last = stage.add("two.pdf", b"two")
    daemon = start(stage)
    stage.wait_marked(2)
    daemon.wait_for("document.synced", document_id=str(last))

    stage.sql("DELETE FROM documents WHERE id = ?", last)
    again = stage.add("three.pdf", b"three")
    assert again == last
    daemon.wait_for("document.synced", path="/app/uploads/three.pdf")

    assert stage.is_marked(again)
    assert (stage.nas / "2024/01/factures/three.pdf").read_bytes() == b"three"


def test_a_flag_that_was_taken_back_is_set_only_after_reading_the_nas(
    stage: Stage, start: Start
) -> None:
    row = stage.add("doc.pdf", b"content")
    daemon = start(stage)
    daemon.wait_for("document.synced")
    copy = stage.nas / "2024/01/factures/doc.pdf"
    copy.write_bytes(b"damaged")  # the same length
    before = len(daemon.events)
    stage.sql("UPDATE documents SET synced_to_nas = 0 WHERE id = ?", row)

    told = daemon.wait_for("document.synced", since=before)

    assert told["destination"] == f"2024/01/factures/doc-{row}.pdf"
    assert copy.read_bytes() == b"damaged"


def test_the_upload_folder_may_come_later_and_be_replaced(stage: Stage, start: Start) -> None:
    stage.uploads.rmdir()
    daemon = start(stage)
    daemon.wait_for("uploads.changed", state="missing")
    stage.uploads.mkdir()
    row = stage.add("a.pdf", b"a")
    wait_until(lambda: stage.is_marked(row), "the first", seconds=15)

    stage.uploads.rename(stage.root / "old-uploads")
    stage.uploads.mkdir()
    second = stage.add("b.pdf", b"b")

    wait_until(lambda: stage.is_marked(second), "the second", seconds=15)
    assert (stage.nas / "2024/01/factures/b.pdf").read_bytes() == b"b"


def test_a_document_is_marked_soon_after_its_file_is_closed(stage: Stage, start: Start) -> None:
    """No promise of a time here: only that it takes far less than any interval we poll at."""
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching="native")
    took = []
    for number in range(9):
        row = stage.row(f"q{number}.pdf")
        with open(stage.uploads / f"q{number}.pdf", "wb") as file:
            file.write(os.urandom(50_000))
        closed = time.monotonic()
        wait_until(partial(stage.is_marked, row), "marked", seconds=10)
        took.append(time.monotonic() - closed)
    print(f"close to marked: median {1000 * statistics.median(took):.0f} ms", sorted(took))
    assert statistics.median(took) < 1.0
