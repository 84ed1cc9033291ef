"""A damaged journal: set aside, begun anew; what matters is kept, nothing is copied twice."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from nas_syncd.errors import JournalError
from nas_syncd.inherited import Inherited, Verdict
from nas_syncd.journal import Journal, rescue, schema, store
from nas_syncd.journal.store import FILE_NAME
from nas_syncd.models import Entry, Identity, State
from tests.helpers import NOW, SCOPE, World, a_document, a_receipt
from tests.oracle import examine

OURS = Identity("nas-1", "cifs", "//nas/x")
DOCUMENTS = [a_document(str(number)) for number in range(400)]


def fill(folder: Path) -> None:
    with contextlib.closing(Journal(folder)) as journal:
        journal.remember_identity(OURS)
        journal.receive([(d, f"{d.id}.pdf", a_receipt(d), None) for d in DOCUMENTS])
        journal.note_all(SCOPE, [(d, State.SYNCED, None, None) for d in DOCUMENTS])


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def no_header(path: Path) -> None:
    overwrite(path, 0, b"\xff" * 100)


def another_file(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough" * 40)


def zeroed_pages(path: Path) -> None:
    overwrite(path, 4096, bytes(path.stat().st_size - 2 * 4096))


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 8192 * 4096)


def senseless_rows(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE document SET since = x'80', state = 'nobody wrote this'")


def no_text(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE document SET file_path = CAST(x'2fff' AS TEXT)")


DAMAGES = [no_header, another_file, zeroed_pages, truncated, senseless_rows, no_text]
one_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


def set_aside(folder: Path) -> list[Path]:
    found = folder.glob(f"{FILE_NAME}.corrupt-*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))


def use(journal: Journal) -> None:
    """Read and write all of it."""
    journal.entries(SCOPE, [d.id for d in DOCUMENTS])
    journal.note(SCOPE, DOCUMENTS[0], State.SYNCED)


@one_damage
def test_a_damaged_journal_is_set_aside_and_a_new_one_is_begun(tmp_path, damage):
    fill(tmp_path)
    damage(tmp_path / FILE_NAME)
    was = (tmp_path / FILE_NAME).read_bytes()
    told: list[tuple[str, Path | None]] = []

    with contextlib.closing(Journal(tmp_path, on_rebuilt=lambda *said: told.append(said))) as one:
        with contextlib.suppress(JournalError):
            use(one)
        one.receive([(DOCUMENTS[0], "0.pdf", a_receipt(DOCUMENTS[0]), None)])
        use(one)
        assert one.identity() == OURS

    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == was
    assert [said[1] for said in told] == [aside]
    with contextlib.closing(Journal(tmp_path)) as again:
        assert set(again.entries(SCOPE, [d.id for d in DOCUMENTS])) == {"0"}
        assert again.identity() == OURS


def test_damage_that_comes_while_it_is_open_is_noticed_too(tmp_path):
    fill(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as journal:
        installation = journal.installation
        journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        zeroed_pages(tmp_path / FILE_NAME)
        journal._db.execute("PRAGMA shrink_memory")
        with pytest.raises(JournalError):
            use(journal)

        journal.receive([(DOCUMENTS[0], "0.pdf", a_receipt(DOCUMENTS[0]), None)])
        assert (journal.identity(), journal.installation) == (OURS, installation)
    assert len(set_aside(tmp_path)) == 1


def test_who_only_reads_finds_a_new_journal_too(tmp_path):
    fill(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        zeroed_pages(tmp_path / FILE_NAME)
        journal._db.execute("PRAGMA shrink_memory")
        with pytest.raises(JournalError):
            journal.entries(SCOPE, [d.id for d in DOCUMENTS])

        assert journal.entries(SCOPE, [d.id for d in DOCUMENTS]) == {}


@pytest.fixture
def begun_at_the_second_try(monkeypatch):
    """A disk that fails while a new journal is made, once."""
    real, fails = Journal._migrate, iter((True, False))

    def migrate(journal: Journal) -> int:
        if next(fails, False):
            raise sqlite3.OperationalError("disk I/O error")
        return real(journal)

    return lambda: monkeypatch.setattr(Journal, "_migrate", migrate)


@pytest.mark.parametrize("how", ["taken away", "damaged"])
def test_a_new_journal_that_could_not_be_begun_is_begun_at_the_next_use(
    tmp_path, begun_at_the_second_try, how
):
    fill(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if how == "damaged":
            zeroed_pages(tmp_path / FILE_NAME)
            journal._db.execute("PRAGMA shrink_memory")
            with pytest.raises(JournalError, match="malformed"):
                use(journal)
        else:
            (tmp_path / FILE_NAME).unlink()
        begun_at_the_second_try()
        with pytest.raises(JournalError, match="disk I/O error"):
            journal.put("word", "lost")

        journal.put("word", "here")
        assert (journal.get("word"), journal.identity()) == ("here", OURS)
    with contextlib.closing(Journal(tmp_path)) as again:
        assert again.get("word") == "here"


def test_a_new_journal_that_cannot_be_begun_at_the_start_is_said(tmp_path, begun_at_the_second_try):
    fill(tmp_path)
    no_header(tmp_path / FILE_NAME)
    begun_at_the_second_try()

    with pytest.raises(JournalError, match="disk I/O error"):
        Journal(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.identity() == OURS


def test_what_is_kept_for_a_new_journal_is_written_again_when_it_is_gone(tmp_path):
    fill(tmp_path)
    (tmp_path / rescue.KEEPSAKE).unlink()
    Journal(tmp_path).close()
    no_header(tmp_path / FILE_NAME)

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.identity() == OURS


def test_two_processes_that_meet_the_same_damage_set_it_aside_once(tmp_path):
    fill(tmp_path)
    one, other = Journal(tmp_path), Journal(tmp_path)
    with contextlib.closing(one), contextlib.closing(other):
        one._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        zeroed_pages(tmp_path / FILE_NAME)
        for journal in (one, other):
            with contextlib.suppress(JournalError):
                use(journal)
        for journal in (one, other):
            journal.put("word", "here")

        assert one.get("word") == other.get("word") == "here"
        assert len(set_aside(tmp_path)) == 1


def test_two_threads_that_meet_the_same_damage_set_it_aside_once(tmp_path, monkeypatch):
    """One of them begins a new journal while the other one still makes entries of old rows."""
    fill(tmp_path)
    senseless_rows(tmp_path / FILE_NAME)
    real = schema.entry_from
    with contextlib.closing(Journal(tmp_path)) as journal:

        def other() -> None:
            with contextlib.suppress(JournalError):
                journal.entry(SCOPE, "1")
            journal.put("word", "here")

        thread = threading.Thread(target=other)

        def slowly(row: sqlite3.Row) -> Entry:
            if threading.current_thread() is not thread and not thread.ident:
                thread.start()
                thread.join(0.5)
            return real(row)

        monkeypatch.setattr(store, "entry_from", slowly)
        with pytest.raises(JournalError):
            journal.entry(SCOPE, "0")
        thread.join(20)
        assert journal.get("word") == "here"
    assert len(set_aside(tmp_path)) == 1


def test_a_new_journal_that_is_taken_away_while_it_is_made_hangs_nobody(tmp_path, monkeypatch):
    fill(tmp_path)
    no_header(tmp_path / FILE_NAME)
    real, goes = Journal._migrate, iter((True, False))

    def taken_away(journal: Journal) -> int:
        if next(goes, False):
            (tmp_path / FILE_NAME).unlink()
        return real(journal)

    def open_it() -> None:
        with contextlib.suppress(JournalError):  # it may not succeed, but it ends
            Journal(tmp_path).close()

    monkeypatch.setattr(Journal, "_migrate", taken_away)
    opening = threading.Thread(target=open_it, daemon=True)
    opening.start()
    opening.join(10)
    assert not opening.is_alive()
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.put("word", "here")
        assert (journal.get("word"), journal.identity()) == ("here", OURS)


def test_a_journal_that_another_process_set_aside_is_not_written_to(tmp_path):
    fill(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as one:
        no_header(tmp_path / FILE_NAME)
        Journal(tmp_path).close()  # which sets it aside; the other one has it open still

        one.put("word", "here")

    with contextlib.closing(Journal(tmp_path)) as again:
        assert again.get("word") == "here"
    assert len(set_aside(tmp_path)) == 1


def test_a_journal_that_is_set_aside_while_another_process_opens_it_is_not_written_to(
    tmp_path, monkeypatch
):
    fill(tmp_path)
    real, goes = Journal._connect, iter((True, False))

    def set_aside_meanwhile(journal: Journal, path: Path) -> sqlite3.Connection:
        db = real(journal, path)
        if next(goes, False):
            rescue.set_aside(path, NOW)
            Journal(tmp_path).close()
        return db

    monkeypatch.setattr(Journal, "_connect", set_aside_meanwhile)
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.put("word", "here")
    with contextlib.closing(Journal(tmp_path)) as again:
        assert again.get("word") == "here"


def no_flushing(_fd: int) -> None:
    raise OSError(errno.EIO, "no flushing")


def test_a_folder_that_cannot_be_flushed_keeps_no_one_from_saying_what_was_set_aside(
    tmp_path, monkeypatch
):
    fill(tmp_path)
    no_header(tmp_path / FILE_NAME)
    monkeypatch.setattr(os, "fsync", no_flushing)
    told: list[Path | None] = []
    Journal(tmp_path, on_rebuilt=lambda _detail, aside: told.append(aside)).close()
    assert told == set_aside(tmp_path)


def test_a_keepsake_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    """A full disk: each command would leave another empty file."""
    monkeypatch.setattr(os, "fsync", no_flushing)
    rescue.keep_identity(tmp_path, OURS)
    assert list(tmp_path.iterdir()) == []


def test_an_emptied_journal_remembers_the_nas_and_says_so(tmp_path):
    fill(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"")
    told: list[tuple[str, Path | None]] = []

    with contextlib.closing(Journal(tmp_path, on_rebuilt=lambda *said: told.append(said))) as one:
        assert one.identity() == OURS
    assert told == [("", None)]


@pytest.mark.parametrize("how", ["cut to nothing", "restored from an empty one"])
def test_a_journal_that_is_emptied_while_it_is_open_is_begun_anew(tmp_path, how):
    fill(tmp_path)
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.put("word", "before")
        with (
            contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as other,
            contextlib.closing(sqlite3.connect(":memory:")) as empty,
        ):
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if how == "restored from an empty one":
                empty.backup(other)
        if how == "cut to nothing":
            (tmp_path / FILE_NAME).write_bytes(b"")
        with pytest.raises(JournalError):
            journal.put("word", "lost")

        journal.put("word", "here")
        assert (journal.get("word"), journal.identity()) == ("here", OURS)


def test_another_nas_that_was_adopted_is_the_one_that_is_remembered(tmp_path):
    fill(tmp_path)
    new = Identity("nas-2", "nfs", "other:/x")
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.remember_identity(new)
    no_header(tmp_path / FILE_NAME)

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.identity() == new


def test_a_lock_is_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
    fill(tmp_path)
    with (
        contextlib.closing(Journal(tmp_path)) as journal,
        contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError):
            journal.put("a", 1)
        other.execute("ROLLBACK")

        journal.put("a", 2)
        assert len(journal.entries(SCOPE, [d.id for d in DOCUMENTS])) == len(DOCUMENTS)
    assert set_aside(tmp_path) == []


def test_a_full_disk_is_no_damage_and_over_when_there_is_room(tmp_path, tmpfs_mount):
    disk = tmpfs_mount("4m")
    fill(disk.path)
    with contextlib.closing(Journal(disk.path)) as journal:
        ballast = disk.path / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(JournalError, match="full"):
            journal.put("much", "x" * (4 << 20))
        ballast.unlink()

        journal.put("a", 2)
        assert journal.get("a") == 2
        assert len(journal.entries(SCOPE, [d.id for d in DOCUMENTS])) == len(DOCUMENTS)
    assert set_aside(disk.path) == []


@one_damage
def test_what_was_flagged_is_inherited_and_nothing_is_copied_twice(tmp_path, damage):
    world = World(tmp_path)
    ids = [world.add(f"{name}.pdf", name.encode() * 900) for name in "abcd"]
    first = world.site()
    world.go(world.flow(first), ids)
    first.close()
    world.reset_flag(ids[0])
    damage(world.state / FILE_NAME)
    files = {path: path.stat() for path in world.nas.rglob("*.pdf")}

    site = world.site()
    flow = world.flow(site)
    with contextlib.suppress(JournalError):
        site.journal.entries(flow.table.scope, ids)
    world.go(flow, ids)
    inherited = Inherited(site, world.table())
    found = list(inherited.documents())
    checked = list(inherited.check(found))
    after = {path: path.stat() for path in world.nas.rglob("*.pdf")}
    world.close()

    assert [document.id for document in found] == ids[1:]
    assert {one.verdict for one in checked} == {Verdict.PROVEN}
    assert {p: (s.st_ino, s.st_mtime_ns) for p, s in after.items()} == {
        p: (s.st_ino, s.st_mtime_ns) for p, s in files.items()
    }
    assert examine(world.database, world.uploads, world.nas).perfect
