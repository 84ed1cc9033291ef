"""The moment when somebody writes to a SQLite file."""

from __future__ import annotations

import os
import queue
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nas_syncd.documents import writes
from nas_syncd.documents.writes import WriteEvents
from tests.helpers import World, open_descriptors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
PATIENCE_SECONDS = 20.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "database" / "backend.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE documents (id INTEGER PRIMARY KEY, name)")
    return path


@contextmanager
def heard(file: Path) -> Iterator[queue.SimpleQueue[int]]:
    """Give what is told: how many rows could be seen at that moment."""
    told: queue.SimpleQueue[int] = queue.SimpleQueue()

    def count() -> None:
        with closing(sqlite3.connect(file, timeout=PATIENCE_SECONDS)) as db:
            told.put(db.execute("SELECT count(*) FROM documents").fetchone()[0])

    events = WriteEvents(str(file), count)
    try:
        yield told
    finally:
        events.close()


def insert(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=PATIENCE_SECONDS)) as db, db:
        db.execute("INSERT INTO documents (name) VALUES ('a')")


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_a_commit_is_told_when_it_can_be_seen(file: Path, mode: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        with heard(file) as told:
            with db:
                db.execute("INSERT INTO documents (name) VALUES ('a')")
            while told.get(timeout=PATIENCE_SECONDS) < 1:
                pass  # of the writing before the commit


def test_what_comes_while_one_is_told_is_told_too(file: Path) -> None:
    with heard(file) as told:
        for wanted in range(1, 6):
            insert(file)
            while told.get(timeout=PATIENCE_SECONDS) < wanted:
                pass


def test_a_file_that_takes_its_place_is_told(file: Path) -> None:
    other = file.with_name("new.sqlite")
    other.write_bytes(file.read_bytes())
    insert(other)
    with heard(file) as told:
        other.replace(file)
        while told.get(timeout=PATIENCE_SECONDS) < 1:
            pass


def test_what_happens_to_other_files_in_its_folder_is_not_told(file: Path) -> None:
    with heard(file) as told:
        for name in ("backend.sqlite2", "other", "backend"):
            file.with_name(name).write_text("x")
        insert(file)
        assert told.get(timeout=PATIENCE_SECONDS) == 1, "the first that is told"


def test_closing_ends_the_thread_and_leaves_no_descriptor(file: Path) -> None:
    before = open_descriptors()
    events = WriteEvents(str(file), lambda: None)
    assert "database-writes" in {thread.name for thread in threading.enumerate()}
    events.close()
    events.close()

    assert "database-writes" not in {thread.name for thread in threading.enumerate()}
    assert open_descriptors() == before


def test_a_callback_that_is_at_work_is_waited_for(file: Path) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        may_end.wait(PATIENCE_SECONDS)
        ended.set()

    events = WriteEvents(str(file), slow)
    insert(file)
    assert begun.wait(PATIENCE_SECONDS)
    may_end.set()
    events.close()
    assert ended.is_set()


def test_a_folder_that_cannot_be_watched_is_an_error_and_leaves_no_descriptor(
    tmp_path: Path,
) -> None:
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        WriteEvents(str(tmp_path / "gone" / "backend.sqlite"), lambda: None)
    assert open_descriptors() == before


@pytest.mark.parametrize("folder", ["there", "gone"])
def test_a_table_tells_of_writes_where_they_can_be_heard(tmp_path: Path, folder: str) -> None:
    world = World(tmp_path)
    told = threading.Event()
    try:
        if folder == "gone":
            table = world.table()
            world.database.rename(tmp_path / "elsewhere.sqlite")
            table._watch.path = str(tmp_path / "gone" / "backend.sqlite")  # type: ignore[union-attr]
            assert table.hear(told.set) is None
            return
        events = world.table().hear(told.set)
        assert events is not None
        world.add("a.pdf")
        assert told.wait(PATIENCE_SECONDS)
        events.close()
    finally:
        world.close()


def test_without_inotify_nothing_is_heard(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_folder: str) -> int:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(writes, "_watch", refuses)
    before = open_descriptors()
    with pytest.raises(OSError, match="Too many open files"):
        WriteEvents(str(file), lambda: None)
    assert open_descriptors() == before
