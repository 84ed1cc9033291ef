"""Half a minute of the soak, and that it notices what it is there to notice."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sqlite3
from pathlib import Path

import pytest

from tests.faults.backends import Sqlite
from tests.lab import parts
from tests.soak.growth import ENOUGH, Sample, grown
from tests.soak.household import Household
from tests.soak.life import Soak
from tests.stage import Stage

PLACE = "2024/01/factures"
FLAT = Sample(
    rss=100e6, pss=80e6, descriptors=40, threads=20, journal=4e6, per_document=4000, wal=4e6
)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.lab
def test_half_a_minute_of_everything_loses_nothing(tmp_path: Path) -> None:
    parts.need_root()
    parts.need_fuse()
    soak = Soak(tmp_path, "sqlite", seed=20240515)
    try:
        account = soak.live(seconds=20, quiet_every=8)
    finally:
        soak.close()

    assert account.oracle >= 2
    assert soak.people.ever > 10
    assert sum(soak.troubles.done.values()) > 2
    assert account.broken == []


@pytest.mark.parametrize("figure", ["rss", "pss", "descriptors", "threads", "per_document"])
def test_growth_is_noticed(figure: str) -> None:
    grows = [
        dataclasses.replace(FLAT, **{figure: getattr(FLAT, figure) * (1 + number / ENOUGH)})
        for number in range(2 * ENOUGH)
    ]

    assert [line.partition(":")[0] for line in grown(grows)] == [figure]
    assert grown([FLAT] * 2 * ENOUGH) == []


@pytest.fixture
def people(tmp_path: Path) -> Household:
    """One document, marked, on the NAS as the rule has it; and a journal that knows nothing."""
    stage = Stage(tmp_path / "world").pair()
    stage.state.mkdir()
    with contextlib.closing(sqlite3.connect(stage.state / "journal.sqlite3")) as journal:
        journal.execute("CREATE TABLE document (id, file_path, destination)")
    people = Household(stage, Sqlite(tmp_path / "database", own_disk=False), random.Random(1))
    people.backend.add(1, "a.pdf")
    people.backend.sql("UPDATE documents SET synced_to_nas = 1")
    people.documents[1] = "a.pdf"
    for folder in (stage.uploads, stage.nas / PLACE):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.pdf").write_bytes(b"content")
    return people


def test_what_is_safe_is_found_safe(people: Household) -> None:
    assert people.verdict(people.stage.nas).perfect


def test_a_copy_that_nobody_asked_for_is_noticed(people: Household) -> None:
    (people.stage.nas / PLACE / "a-1.pdf").write_bytes(b"content")

    assert people.verdict(people.stage.nas).doubled == [f"{PLACE}/a-1.pdf"]


def test_the_old_copy_of_what_was_edited_and_asked_for_again_may_stay(people: Household) -> None:
    people.edit()
    assert people.verdict(people.stage.nas).lying, "no journal says that it was filed there before"
    people.reset()

    assert people.verdict(people.stage.nas).honest


def test_what_was_filed_for_a_row_that_is_deleted_may_stay(people: Household) -> None:
    people.delete()

    assert people.verdict(people.stage.nas).perfect
    (people.stage.nas / PLACE / "b.pdf").write_bytes(b"of nobody")
    assert people.verdict(people.stage.nas).foreign == [f"{PLACE}/b.pdf"]


@pytest.mark.parametrize("statement", ["SELECT * FROM documents", "DELETE FROM documents"])
def test_a_daemon_is_not_stopped_while_people_would_wait_for_it(
    tmp_path: Path, statement: str
) -> None:
    backend = Sqlite(tmp_path / "database", own_disk=False)
    backend.sql("INSERT INTO documents (id) VALUES (1), (2)")
    assert not backend.in_use()
    with contextlib.closing(sqlite3.connect(backend.file, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute(statement).fetchone()
        assert backend.in_use()
        other.execute("ROLLBACK")
        assert not backend.in_use()
