"""The oracle sees what it is there to see: a checker that finds nothing wrong proves nothing."""

from __future__ import annotations

import os

import pytest

from tests.helpers import World
from tests.oracle import examine, snapshot

FOLDER = "2024/01/factures"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "world")
    yield world
    world.close()


def put(world, place, content=b"content"):
    path = world.nas / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def mark(world):
    world.sql("UPDATE documents SET synced_to_nas = 1")


def verdict(world, before=None):
    state = world.state if world.state.exists() else None
    return examine(world.database, world.uploads, world.nas, before=before, state=state)


def test_a_document_in_its_place_is_safe(world):
    world.add("a.pdf")
    put(world, f"{FOLDER}/a.pdf")
    mark(world)

    assert verdict(world).perfect


@pytest.mark.parametrize("there", [None, b"", b"conten", b"CONTENT"])
def test_a_flag_without_its_bytes_is_a_lie(world, there):
    world.add("a.pdf")
    if there is not None:
        put(world, f"{FOLDER}/a.pdf", there)
    mark(world)

    assert verdict(world).lying == ["1: /app/uploads/a.pdf"]
    assert not verdict(world).honest


def test_two_flags_on_one_file_are_one_lie(world):
    world.add("a.pdf")
    world.add("a.pdf", None)
    put(world, f"{FOLDER}/a.pdf")
    mark(world)

    assert len(verdict(world).lying) == 1


def test_a_copy_that_is_not_marked_yet_is_early_and_a_second_one_doubled(world):
    world.add("a.pdf")
    put(world, f"{FOLDER}/a.pdf")
    early = verdict(world)
    assert (early.early, early.honest, early.perfect) == ([f"{FOLDER}/a.pdf"], True, False)

    put(world, f"{FOLDER}/a-1.pdf")
    assert verdict(world).doubled == [f"{FOLDER}/a.pdf"]


@pytest.mark.parametrize(
    ("place", "content", "what"),
    [
        (f"{FOLDER}/a-1.pdf", b"content", "doubled"),
        ("elsewhere/a.pdf", b"content", "doubled"),
        (f"{FOLDER}/b.pdf", b"cont", "partial"),
        (f"{FOLDER}/b.pdf", b"", "partial"),
        (f"{FOLDER}/b.pdf", b"something else", "foreign"),
        (".nas-syncd-tmp/x/0/.nas-syncd-1-0.part", b"content", "temps"),
        (".nas-syncd-claims/.nas-syncd-12", b"", "temps"),
    ],
)
def test_what_is_left_about_is_found_and_told_apart(world, place, content, what):
    world.add("a.pdf")
    put(world, f"{FOLDER}/a.pdf")
    mark(world)
    before = snapshot(world.nas)
    put(world, place, content)

    seen = verdict(world, before)

    assert getattr(seen, what) == [place]
    assert not seen.perfect
    assert sum(map(len, (seen.doubled, seen.partial, seen.foreign, seen.temps))) == 1


def test_what_stood_there_before_must_stay_as_it_was(world):
    stranger = put(world, f"{FOLDER}/theirs.pdf", b"theirs")
    before = snapshot(world.nas)
    assert verdict(world, before).perfect

    stranger.write_bytes(b"Theirs")
    assert verdict(world, before).changed == [f"{FOLDER}/theirs.pdf"]
    stranger.unlink()
    assert verdict(world, before).changed == [f"{FOLDER}/theirs.pdf"]
    os.symlink("/etc/hostname", stranger)
    assert not verdict(world, before).honest


def test_a_document_may_be_where_the_journal_says_and_only_there(world):
    put(world, f"{FOLDER}/a.pdf", b"theirs")
    before = snapshot(world.nas)
    id_ = world.add("a.pdf", date=None, created_at="2024-01-16 10:00:00")
    world.go(world.flow(world.site()), [id_])
    world.sql("UPDATE documents SET doc_type = 'receipt'")  # the rule leads elsewhere by now

    assert verdict(world, before).perfect
    assert examine(world.database, world.uploads, world.nas, before=before).lying

    os.rename(world.nas / f"{FOLDER}/a-1.pdf", world.nas / f"{FOLDER}/a-2.pdf")
    assert verdict(world, before).lying
