"""What went wrong once inside, where no daemon is needed to show it, and shall not again."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nas_syncd import get_nas_sync_service
from nas_syncd.agent.process import Agent
from nas_syncd.agent.tree import look_of
from nas_syncd.errors import JournalError, MountError, SourceRefusedError
from nas_syncd.journal import Journal, Runs
from nas_syncd.models import FateKind, Identity, Intent, MountState, SourceVersion
from nas_syncd.mount import Guard
from nas_syncd.mounttable import parse_mountinfo
from nas_syncd.names import place_key, safe_name, with_suffix
from nas_syncd.nasfs import nas_error
from nas_syncd.sourcefile import open_source, version_of
from nas_syncd.upkeep import YOUNG_SECONDS, Upkeep
from tests.helpers import (
    SCOPE,
    FaultyCalls,
    World,
    a_document,
    a_receipt,
    an_order,
    copier_for,
    no_step,
    tree_at,
)
from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, Stage


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world")
    yield world
    world.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "world").pair()


@pytest.fixture
def backend(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], Session]]:
    """The backend's sessions on the stage's database."""
    monkeypatch.setenv("NAS_MOUNT_PATH", str(stage.nas))
    monkeypatch.setenv("UPLOAD_DIR", str(stage.uploads))
    monkeypatch.setenv("NAS_SYNCD_NAS_TIMEOUT_SECONDS", "3")
    for name in ("DB_UPLOAD_DIR", "STATE_DIR", "MIN_FREE_SPACE"):
        monkeypatch.setenv(f"NAS_SYNCD_{name}", str(stage.settings[f"NAS_SYNCD_{name}"]))
    monkeypatch.chdir(tmp_path)
    engine = sa.create_engine(f"sqlite:///{stage.database}", connect_args={"timeout": 30})
    yield lambda: Session(engine)
    engine.dispose()


def given(id_: int, name: str = "a.pdf") -> SimpleNamespace:
    return SimpleNamespace(
        id=id_,
        file_path=f"{BACKEND_DIR}/{name}",
        doc_type="invoice",
        date=dt.date(2024, 1, 15),
        created_at=None,
    )


def pdfs(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.pdf") if p.is_file())


# -- one file behind several rows, several flows on one journal ---------------------------------


def test_rows_of_one_file_that_are_copied_by_four_threads_at_once_each_own_a_copy(
    stage: Stage, backend: Callable[[], Session]
) -> None:
    (stage.uploads / "a.pdf").write_bytes(b"one file behind four rows")
    rows = [stage.row("a.pdf") for _ in range(4)]
    together = threading.Barrier(4)

    def go(row: int) -> tuple[bool, str]:
        with backend() as db:
            service = get_nas_sync_service(db)
            assert service.is_configured()
            together.wait(20)
            return service.sync_file(given(row))

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(go, rows))

    assert all(good for good, _ in answers), answers
    assert len({message for _, message in answers}) == 4
    assert len(pdfs(stage.nas)) == 4
    assert stage.marked() == 4
    with sqlite3.connect(stage.state / "journal.sqlite3") as db:
        owned = dict(db.execute("SELECT id, key FROM place"))
        filed = dict(db.execute("SELECT id, destination FROM document"))
    assert owned == {i: place_key(d) for i, d in filed.items()}
    assert len(set(owned.values())) == 4


def test_a_place_that_another_process_has_in_hand_holds_no_call_up_for_ever(
    stage: Stage, backend: Callable[[], Session]
) -> None:
    """Two rows of one place, one of which a living process has begun: the call returns."""
    (stage.uploads / "a.pdf").write_bytes(b"x")
    first, second = (stage.row("a.pdf") for _ in range(2))
    with backend() as db:
        service = get_nas_sync_service(db)
        assert service.is_configured()
        other = Runs(stage.state)  # the daemon, as another process sees it
        site, table = service._site, service._table()
        document = table.get([str(first)])[str(first)]
        db.commit()
        intent = Intent(
            other.mine,
            site.nas or "",
            ".nas-syncd-tmp/x/0/.nas-syncd-y.part",
            ("2024/01/factures/a.pdf",),
            dt.datetime.now(dt.UTC),
        )
        site.journal.begin([(document, "a.pdf", intent)], table.scope, holder=f"{other.mine}:1")
        begun = time.monotonic()

        result = service.sync_all_pending(1)

        assert time.monotonic() - begun < 15
        assert (result["total"], result["synced"], result["failed"]) == (2, 1, 1), result
        assert not stage.is_marked(first)
        assert stage.is_marked(second)
        other.close()  # that process has ended: its work is anybody's
        assert service.sync_all_pending(1)["synced"] == 1
    assert len(pdfs(stage.nas)) == 2


# -- what the NAS forgets -------------------------------------------------------------------------


class Keeper:
    """An upkeep, turned until it has nothing more to ask."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = world.site()
        self.table = world.table()
        self.flow = world.flow(self.site, self.table)
        self.lost: list[str] = []
        self.upkeep = Upkeep(self.site, self.table, self.flow.inbox, self.lost.extend)

    def turn(self) -> None:
        end, quiet = time.monotonic() + 20, 0
        while quiet < 2:
            assert time.monotonic() < end
            self.upkeep.tick()
            _, messages = self.flow.step(0.05 if self.upkeep._asking else 0.0)
            for message in messages:
                message()
            quiet = 0 if self.upkeep._asking or messages else quiet + 1


def test_a_file_that_the_second_look_misses_is_sought_among_the_temp_files(world: World) -> None:
    """The temp files were cleaned long ago when the NAS forgets: the look itself must ask."""
    keeper = Keeper(world)
    row = world.add("a.pdf", b"the only copy")
    assert world.go(keeper.flow, [row])[row].kind is FateKind.SYNCED
    keeper.turn()
    temp = keeper.site.journal.temp_of(keeper.flow.table.scope, row)
    assert temp is not None
    place = world.nas / "2024/01/factures/a.pdf"
    inode = place.stat().st_ino
    place.rename(world.nas / temp)
    world.upload("a.pdf", b"the source has changed since, the copy on the NAS is the only one")

    world.clock.pass_by(YOUNG_SECONDS + 1)
    keeper.upkeep._young_due = 0.0
    keeper.turn()

    assert place.stat().st_ino == inode
    assert keeper.lost == []
    assert world.flags(row) == [True]
    assert list(world.on_nas()) == ["2024/01/factures/a.pdf"]


def test_restoring_into_a_place_that_vanished_meanwhile_puts_the_temp_file_there(
    world: World,
) -> None:
    """The agent's listing still knows the name; the file is not there any more."""
    keeper = Keeper(world)
    row = world.add("a.pdf", b"the only copy")
    receipt = world.go(keeper.flow, [row])[row].receipt
    assert receipt is not None
    temp = keeper.site.journal.temp_of(keeper.flow.table.scope, row)
    assert temp is not None
    place = world.nas / receipt.destination
    place.rename(world.nas / temp)  # within the batch that has listed the folder

    answer = keeper.site.agent.call(
        "restore",
        root=str(world.nas),
        nas=world.uuid,
        file_system="",
        temp=temp,
        destination=receipt.destination,
        sha256=receipt.sha256,
    )

    assert answer["outcome"] != "differs"
    assert place.read_bytes() == b"the only copy"
    assert list(world.on_nas()) == [receipt.destination]


# -- numbers and names ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_inodes_of_all_64_bits_are_folded_alike_everywhere(tmp_path: Path, number: int) -> None:
    status: Any = SimpleNamespace(st_mode=0o100644, st_size=5, st_mtime_ns=number, st_ino=number)

    version = version_of(status)

    assert 0 <= version.inode < 2**63
    assert 0 <= version.mtime_ns < 2**63
    assert look_of(status)[1:] == tuple(version)
    journal = Journal(tmp_path / "state")
    document = a_document()
    receipt = a_receipt(document, version=SourceVersion(*version))
    assert journal.receive([(document, "7.pdf", receipt, None)]) == set()
    entry = journal.entry(SCOPE, document.id)
    assert entry is not None
    assert entry.receipt == receipt
    assert journal.versions(SCOPE, receipt.nas, ["7.pdf"]) == {}  # not marked yet
    journal.close()


@pytest.mark.parametrize("length", [200, 240, 250, 255])
def test_each_suffix_of_a_long_name_gives_another_name(length: int) -> None:
    """A name that is as long as can be, and ends like its suffix already."""
    name = "a" * (length - 6) + "-7.pdf"
    plain = safe_name(name)
    again = with_suffix(plain, "-7")
    third = with_suffix(plain, "-7-0123456789ab")

    assert len({plain, again, third}) == 3
    assert all(len(n.encode()) <= 255 for n in (plain, again, third))
    assert all(n.endswith(".pdf") for n in (plain, again, third))


def test_a_name_that_holds_our_own_blank_is_an_ordinary_name(world: World) -> None:
    flow = world.flow(world.site())
    row = world.add("report{sha12}.pdf", b"x")

    fate = world.go(flow, [row])[row]

    assert fate.kind is FateKind.SYNCED
    [name] = world.on_nas()
    assert "{sha12}" not in name
    assert name.endswith(".pdf")
    assert world.go(flow, [row])[row].kind is FateKind.NOTHING


def test_names_that_are_not_utf8_find_no_version_and_raise_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state")
    odd = os.fsdecode(b"caf\xe9.pdf")

    assert journal.versions(SCOPE, "nas-1", [odd, "a.pdf"]) == {}
    document = a_document(original_name="x")
    journal.receive([(document, odd, a_receipt(document), None)])
    assert journal.entry(SCOPE, document.id) is not None
    journal.close()


def test_a_name_that_is_not_utf8_is_no_documents_id(tmp_path: Path) -> None:
    """``explain`` asks the journal with whatever a person has typed."""
    journal = Journal(tmp_path / "state")

    assert journal.entry(SCOPE, os.fsdecode(b"/uploads/caf\xe9.pdf")) is None
    journal.close()


@pytest.mark.parametrize("column", ["file_path", "original_name", "doc_type"])
def test_a_row_whose_text_is_not_utf8_holds_nobody_up(world: World, column: str) -> None:
    """SQLite keeps any bytes as text: the other documents go on."""
    flow = world.flow(world.site())
    odd, plain = world.add("odd.pdf", b"odd"), world.add("plain.pdf", b"plain")
    text = b"/app/uploads/caf\xe9.pdf"
    world.sql(f"UPDATE documents SET {column} = CAST(? AS TEXT) WHERE id = ?", text, odd)
    world.upload("caf\udce9.pdf", b"odd")

    fates = world.go(flow, [odd, plain])

    assert fates[plain].kind is FateKind.SYNCED
    assert world.flag(plain)


# -- the mount ------------------------------------------------------------------------------------


@pytest.fixture
def agent() -> Iterator[Agent]:
    options = {"installation": "i", "run": "r"}
    agent = Agent("nas", side="nas", timeout_seconds=10, options=options)
    yield agent
    agent.close(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_journal_that_cannot_remember_the_nas_once_does_not_silence_the_guard(
    tmp_path: Path, agent: Agent
) -> None:
    (tmp_path / ".nas-syncd.json").write_text(json.dumps({"nas": "abc"}))
    remembered: list[Identity] = []
    calls = []

    def remember(identity: Identity) -> None:
        calls.append(identity)
        if len(calls) == 1:
            raise JournalError("the disk is full")
        remembered.append(identity)

    guard = Guard(agent, str(tmp_path), identity=None, remember=remember)

    first = guard.check().result(10)

    assert first.state is not MountState.OK
    wait_until(lambda: not guard.asking, "nothing is asked any more")
    assert guard.check().result(10).state is MountState.OK
    assert [i.nas for i in remembered] == ["abc"]
    assert guard.identity is not None


def test_what_another_process_has_paired_with_is_asked_for_before_each_look(
    tmp_path: Path, agent: Agent
) -> None:
    (tmp_path / ".nas-syncd.json").write_text(json.dumps({"nas": "new"}))
    kept = [Identity("old", "", "")]
    guard = Guard(agent, str(tmp_path), identity=kept[0], recall=lambda: kept[0])
    view = guard.check().result(10)
    assert view.state is MountState.FOREIGN

    kept[0] = Identity("new", view.file_system or "", "")

    assert guard.check().result(10).state is MountState.OK


@pytest.mark.parametrize("kind", ["link", "folder", "list", "number", "deep"])
def test_a_marker_that_is_none_is_foreign_and_costs_no_child(
    tmp_path: Path, agent: Agent, kind: str
) -> None:
    marker = tmp_path / ".nas-syncd.json"
    match kind:
        case "link":
            marker.symlink_to(tmp_path / "elsewhere")
            (tmp_path / "elsewhere").write_text(json.dumps({"nas": "abc"}))
        case "folder":
            marker.mkdir()
        case "list":
            marker.write_text('["nas"]')
        case "number":
            marker.write_text('{"nas": 7}')
        case "deep":
            marker.write_text("[" * 4000)
    guard = Guard(agent, str(tmp_path), identity=None)

    assert guard.check().result(10).state is MountState.FOREIGN
    assert guard.identity is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_that_this_host_is_short_of_something_is_no_documents_fault(number: int) -> None:
    assert isinstance(nas_error(OSError(number, "x"), "a.pdf"), MountError)


@pytest.mark.parametrize("odd", ["\x0b", "\x1c", "\x85", "\u2028", "\r"])
def test_a_mount_point_with_what_ends_a_line_elsewhere_is_one_line(odd: str) -> None:
    line = f"36 35 98:0 / /mnt/a{odd}b rw - cifs //nas/x rw"

    [mount] = parse_mountinfo(f"{line}\n")

    assert mount.path == f"/mnt/a{odd}b"


# -- the source and the copy ----------------------------------------------------------------------


def test_a_link_on_the_way_is_refused_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.pdf").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(SourceRefusedError) as caught:
        open_source(str(tmp_path), "link/a.pdf", no_step)
    assert caught.value.params["kind"] == "link"


def test_a_claim_whose_close_fails_is_a_claim_all_the_same(tmp_path: Path) -> None:
    """That it exists is all that it says: the copy goes on, and no descriptor is left."""
    uploads, nas = tmp_path / "uploads", tmp_path / "nas"
    uploads.mkdir()
    nas.mkdir()
    (uploads / "a.pdf").write_bytes(b"x")
    claimed: list[int] = []

    class Calls(FaultyCalls):
        def open(
            self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
        ) -> int:
            fd = super().open(path, flags, mode, dir_fd=dir_fd)
            if flags & os.O_WRONLY and flags & os.O_EXCL:
                claimed.append(fd)
            return fd

        def close(self, fd: int) -> None:
            super().close(fd)
            if claimed and fd == claimed[-1]:
                claimed[-1] = -1
                raise OSError(errno.EIO, "late")

    with tree_at(nas, Calls(), claims=True) as tree:
        copied = copier_for(tree, an_order(uploads)).copy()

    assert claimed == [-1]
    assert (nas / copied.destination).read_bytes() == b"x"


def test_a_rename_that_must_be_claimed_is_claimed_however_late_that_is_known(
    tmp_path: Path,
) -> None:
    """Another thread may have found out meanwhile: the retry must claim, not rename again."""
    uploads, nas = tmp_path / "uploads", tmp_path / "nas"
    uploads.mkdir()
    nas.mkdir()
    (uploads / "a.pdf").write_bytes(b"x")
    exclusive: list[str] = []

    class Calls(FaultyCalls):
        def rename_exclusive(self, *args: Any) -> None:
            exclusive.append(args[0])
            tree.claims = True  # another thread has just learned the same
            raise OSError(errno.EINVAL, "not here")

    with tree_at(nas, Calls()) as tree:
        copied = copier_for(tree, an_order(uploads)).copy()

    assert len(exclusive) == 1
    assert (nas / copied.destination).read_bytes() == b"x"


def test_a_flow_that_was_reset_begins_nothing_twice(world: World) -> None:
    """After an error of the journal: what the agent still does is not begun a second time."""
    flow = world.flow(world.site())
    row = world.add("a.pdf", os.urandom(3_000_000))
    document = flow.table.get([row])[row]
    flow.offer([document])
    while not flow.flying():
        flow.step(5)
    flow.reset()
    flow.offer([document])
    assert not flow.active()

    end = time.monotonic() + 20
    while not world.flag(row):
        assert time.monotonic() < end
        flow.step(0.2)
        flow.offer(flow.table.get([row]).values())

    flow.drain(time.monotonic() + 10)
    assert list(world.on_nas()) == ["2024/01/factures/a.pdf"]
    assert world.flags(row) == [True]


def test_a_mark_that_the_database_keeps_off_is_not_tried_again_at_once(world: World) -> None:
    """A trigger of the backend's, say: no copy and no mark every few milliseconds."""
    world.sql(
        "CREATE TRIGGER keep_off BEFORE UPDATE OF synced_to_nas ON documents"
        " BEGIN SELECT RAISE(IGNORE); END"
    )
    flow = world.flow(world.site(), manual=False)
    row = world.add("a.pdf", b"x")

    first = world.go(flow, [row])[row]

    assert first.kind is FateKind.NOTHING
    assert flow.waits[row] is not None
    again = world.go(flow, [row])[row]
    assert again.kind is FateKind.WAITING
    assert again.reason is not None
    assert again.reason.code == "wait.backoff"
    world.sql("DROP TRIGGER keep_off")
    world.clock.pass_by(60)
    assert world.go(flow, [row])[row].kind is FateKind.SYNCED
    assert list(world.on_nas()) == ["2024/01/factures/a.pdf"]


def test_a_batch_over_hundreds_of_folders_holds_few_of_them_open(world: World) -> None:
    site = world.site(workers=1)
    flow = world.flow(site)
    rows = [
        world.add(f"{number}.pdf", b"x", date=f"{1900 + number // 12}-{number % 12 + 1:02d}-01")
        for number in range(260)
    ]

    fates = world.go(flow, rows, seconds=60)

    [pid] = site.agent.pids()
    most = len(os.listdir(f"/proc/{pid}/fd"))
    assert {fate.kind for fate in fates.values()} == {FateKind.SYNCED}
    assert len(world.on_nas()) == 260
    assert most < 200


def test_a_locked_journal_is_an_answer_and_not_an_exception(
    stage: Stage, backend: Callable[[], Session]
) -> None:
    row = stage.add("a.pdf", b"x")
    with backend() as db:
        service = get_nas_sync_service(db)
        assert service.is_configured()
        service._site.journal._db.execute("PRAGMA busy_timeout = 200")
        other = sqlite3.connect(stage.state / "journal.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        good, message = service.sync_file(given(row))

        assert not good
        assert message
        other.execute("ROLLBACK")
        other.close()
        assert service.sync_file(given(row))[0]
    assert stage.is_marked(row)
