"""The way of a document, whole: real table, real upload folder, real NAS folder, real children."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from nas_syncd.documents import MarkOutcome, gates
from nas_syncd.flow import (
    ENOUGH,
    IN_FLIGHT_PER_WORKER,
    Flow,
    backoff_seconds,
)
from nas_syncd.messages import LANGUAGES, TEXTS
from nas_syncd.models import (
    FateKind,
    Intent,
    MountState,
    Policy,
    Source,
    SourceKind,
    SourceVersion,
    State,
)
from nas_syncd.routing import DEFAULT_FOLDERS
from nas_syncd.works import Answered, Work
from tests.helpers import NOW, World
from tests.lab.parts import wait_until

FOLDER = "2024/01/factures"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "world")
    yield world
    world.close()
    for fate in world.fates:  # whatever was told can be said in both languages
        for language in LANGUAGES:
            assert fate.reason is None or fate.reason.code in TEXTS[language]


@pytest.fixture
def site(world):
    return world.site()


@pytest.fixture
def flow(world, site):
    return world.flow(site)


def entry(flow, id_):
    return flow.site.journal.entry(flow.table.scope, id_)


def one(world, flow, id_):
    """Offer one document and return its only fate."""
    return world.go(flow, [id_])[id_]


def fly(world, flow, ids):
    """Offer them and go on until their copies are asked for; nothing has landed yet."""
    flow.offer(flow.table.get(ids).values())
    wait_until(lambda: flow.step(0.05) and len(flow.flying()) == len(ids), "in flight")


def an_answer():
    nothing: Any = None
    return Answered(Work(nothing, nothing, nothing), None, None)


def identity(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, path.read_bytes()


# -- the ordinary way -------------------------------------------------------------------------


def test_a_document_is_copied_and_marked(world, flow):
    id_ = world.add("u1/a.pdf", b"content")

    fate = one(world, flow, id_)

    assert fate.kind is FateKind.SYNCED
    assert not fate.adopted
    assert world.on_nas() == {f"{FOLDER}/a.pdf": b"content"}
    assert world.flag(id_)
    assert world.sql("SELECT synced_at FROM documents")[0][0].startswith("2024-06-01 12:00:00")
    known = entry(flow, id_)
    assert known.state is State.SYNCED
    assert known.receipt == fate.receipt
    assert known.receipt.nas == world.uuid
    assert known.intent is None
    history = [row["became"] for row in flow.site.journal.history(flow.table.scope, id_)]
    assert history == ["synced", "copied"]


def test_a_document_that_is_offered_twice_at_once_goes_once(world, flow):
    id_ = world.add("a.pdf")
    document = flow.table.get([id_])[id_]

    flow.offer([document, document])
    fates = flow.drain()

    assert [fate.kind for fate in fates] == [FateKind.SYNCED]
    assert world.flags(id_) == [True]


def test_what_is_safe_is_left_alone(world, flow):
    id_ = world.add("a.pdf")
    one(world, flow, id_)
    before = identity(world.nas / FOLDER / "a.pdf")

    fate = one(world, flow, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.NOTHING, "rest.synced")
    assert identity(world.nas / FOLDER / "a.pdf") == before
    assert world.flags(id_) == [True]


def test_what_comes_back_while_the_agent_is_busy_is_landed_in_one_group(world, flow, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.GATHER_SECONDS", 60.0)
    most = flow.site.plan.workers * IN_FLIGHT_PER_WORKER
    answers = [an_answer() for _ in range(most)]
    flow._flying = dict(enumerate(answers))
    thread = threading.Thread(target=lambda: [flow.inbox.put(one) for one in answers])
    thread.start()

    together = flow._receive(60.0)

    thread.join()
    assert len(together) >= most * (1 - ENOUGH)
    flow._flying.clear()


def test_the_last_answers_wait_for_nothing(world, flow, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.GATHER_SECONDS", 60.0)
    flow._flying = dict.fromkeys(range(2))
    flow.inbox.put(an_answer())
    began = time.monotonic()

    assert len(flow._receive(60.0)) == 1
    assert time.monotonic() - began < 30
    flow._flying.clear()


def test_an_answer_waits_for_no_others_once_something_else_has_come(world, flow, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.GATHER_SECONDS", 60.0)
    flow._flying = dict.fromkeys(range(flow.site.plan.workers * IN_FLIGHT_PER_WORKER))
    flow.inbox.put(an_answer())
    threading.Timer(0.05, flow.inbox.put, ["news"]).start()

    assert flow._receive(60.0)[1:] == ["news"]
    flow._flying.clear()


def test_the_agent_gets_new_work_before_what_it_did_is_written_down(world, flow, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.IN_FLIGHT_PER_WORKER", 1)
    told, journal, agent = [], flow.site.journal, flow.site.agent
    receive, ask = journal.receive, agent.ask

    def noted(name, call):
        def wrapped(*args, **values):
            told.append(name)
            return call(*args, **values)

        return wrapped

    monkeypatch.setattr(journal, "receive", noted("written down", receive))
    monkeypatch.setattr(agent, "ask", noted("asked", ask))

    world.go(flow, [world.add(f"{n}.pdf") for n in range(flow.site.plan.workers + 1)])

    first = told.index("written down")
    assert told[:first].count("asked") > flow.site.plan.workers


def test_no_new_copy_is_sent_to_a_nas_that_has_just_hung(world, monkeypatch):
    """It would only join the child that was left behind: one is enough for each mount."""
    monkeypatch.setattr("nas_syncd.flow.IN_FLIGHT_PER_WORKER", 1)
    site = world.site(nas_timeout_seconds=1.0)
    flow, asked, ask = world.flow(site), [], site.agent.ask
    most = site.plan.workers

    def noted(operation, **values):
        asked.append(operation)
        return ask(operation, **values)

    monkeypatch.setattr(site.agent, "ask", noted)
    (pid,) = site.agent.pids()
    os.kill(pid, signal.SIGSTOP)
    ids = [world.add(f"{n}.pdf") for n in range(2 * most)]

    fates = world.go(flow, ids)

    assert asked == ["copy"] * most
    assert {fate.reason.code for fate in fates.values()} == {"agent.hung", "wait.mount"}
    assert all(entry(flow, id_).attempts == 0 for id_ in ids)


def test_many_documents_are_each_copied_once(world, flow):
    ids = [world.add(f"u{n % 3}/{n}.pdf", str(n).encode()) for n in range(120)]

    fates = world.go(flow, ids)

    assert {fate.kind for fate in fates.values()} == {FateKind.SYNCED}
    assert len(world.fates) == 120
    assert sorted(world.on_nas().values()) == sorted(str(n).encode() for n in range(120))
    assert all(world.flags(id_) == [True] for id_ in ids)


def test_a_document_in_hand_is_not_taken_twice(world, flow):
    id_ = world.add("a.pdf")
    fly(world, flow, [id_])
    flow.offer(flow.table.get([id_]).values())

    flow.drain(time.monotonic() + 20)

    assert [fate.kind for fate in world.fates] == [FateKind.SYNCED]


def test_what_was_looked_at_before_a_reset_is_not_copied_twice(world, flow, monkeypatch):
    """The second copy would take the first one's temp file for one that was left behind."""
    asked, ask = [], flow.site.agent.ask
    id_ = world.add("a.pdf")

    def noted(operation, **values):
        asked.append(operation)
        return ask(operation, **values)

    monkeypatch.setattr(flow.site.agent, "ask", noted)
    flow.offer(flow.table.get([id_]).values())
    wait_until(lambda: flow.inbox.qsize() == 1, "looked at")
    flow.reset()
    flow.offer(flow.table.get([id_]).values())
    wait_until(lambda: flow.inbox.qsize() == 2, "looked at again")

    flow.drain(time.monotonic() + 20)

    assert asked == ["copy"]
    assert [fate.kind for fate in world.fates] == [FateKind.SYNCED]


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [True, False], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("together", [True, False], ids=["at once", "one after the other"])
def test_twins_each_own_a_file(world, flow, same, together):
    first = world.add("u1/scan.pdf", b"one")
    second = world.add("u2/Scan.PDF", b"one" if same else b"two")

    for ids in [[first, second]] if together else [[first], [second]]:
        world.go(flow, ids)

    places = {id_: entry(flow, id_).receipt.destination for id_ in (first, second)}
    assert len({place.casefold() for place in places.values()}) == 2
    assert (world.nas / places[first]).read_bytes() == b"one"
    assert (world.nas / places[second]).read_bytes() == (b"one" if same else b"two")
    assert len(world.on_nas()) == 2


def test_two_rows_of_one_file_each_own_a_copy(world, flow):
    first = world.add("a.pdf")
    second = world.add("a.pdf", None)

    fates = world.go(flow, [first, second])

    assert {fate.kind for fate in fates.values()} == {FateKind.SYNCED}
    assert len({fate.receipt.destination for fate in fates.values()}) == 2
    assert len(world.on_nas()) == 2


def test_a_strangers_file_stays_and_the_next_name_is_taken(world, flow):
    (world.nas / FOLDER).mkdir(parents=True)
    stranger = world.nas / FOLDER / "A.pdf"
    stranger.write_bytes(b"not ours")
    before = identity(stranger)
    id_ = world.add("a.pdf")

    one(world, flow, id_)

    assert identity(stranger) == before
    assert (world.nas / FOLDER / f"a-{id_}.pdf").read_bytes() == b"content"


def test_the_same_bytes_that_nobody_owns_become_this_documents_copy(world, flow):
    (world.nas / FOLDER).mkdir(parents=True)
    copy = world.nas / FOLDER / "a.pdf"
    copy.write_bytes(b"content")
    before = identity(copy)
    id_ = world.add("a.pdf")

    fate = one(world, flow, id_)

    assert (fate.kind, fate.adopted) == (FateKind.SYNCED, True)
    assert identity(copy) == before
    assert len(world.on_nas()) == 1


def test_a_hostile_name_is_made_safe_and_the_name_used_is_recorded(world, flow):
    id_ = world.add('a:b?"<{sha12}>.pdf')

    place = one(world, flow, id_).receipt.destination

    assert not set(place.rpartition("/")[2]) & set(':?"<>')
    assert world.on_nas() == {place: b"content"}


# -- what waits -------------------------------------------------------------------------------


@pytest.mark.parametrize("manual", [True, False])
def test_metadata_that_comes_later_decides_the_place(world, site, manual):
    flow = world.flow(site, manual=manual)
    id_ = world.add("a.pdf", processing_status="processing", doc_type=None, date=None)

    waiting = one(world, flow, id_)
    assert (waiting.kind, waiting.reason.code) == (FateKind.WAITING, "wait.metadata")
    assert flow.waits[id_] is not None
    assert world.on_nas() == {}
    world.sql("UPDATE documents SET processing_status='completed', doc_type='receipt'")
    world.clock.pass_by(1)
    one(world, flow, id_)

    assert world.on_nas() == {"2024/01/tickets/a.pdf": b"content"}
    assert id_ not in flow.waits


def test_metadata_that_never_comes_is_waited_for_from_our_first_sight(world, flow):
    id_ = world.add("a.pdf", processing_status="pending", doc_type=None)
    one(world, flow, id_)
    world.clock.pass_by(3599)
    assert one(world, flow, id_).kind is FateKind.WAITING
    world.clock.pass_by(2)

    assert one(world, flow, id_).kind is FateKind.SYNCED
    assert list(world.on_nas()) == ["2024/01/autres/a.pdf"]


def test_a_file_that_is_not_there_fails_for_a_person_and_waits_for_the_daemon(world, site):
    id_ = world.add("a.pdf", None)
    asked = one(world, world.flow(site), id_)
    daemon = world.flow(site, manual=False)

    waits = one(world, daemon, id_)

    assert (asked.kind, asked.reason.code) == (FateKind.FAILED, "source.missing")
    assert (waits.kind, waits.reason.code) == (FateKind.WAITING, "wait.no_file")
    world.clock.pass_by(3601)
    one(world, daemon, id_)
    assert entry(daemon, id_).state is State.PROBLEM
    assert entry(daemon, id_).reason.code == "problem.missing"
    world.upload("a.pdf", b"at last")
    assert one(world, daemon, id_).kind is FateKind.SYNCED


def test_a_file_that_has_not_settled_is_not_copied(world, site):
    settled = []
    flow = world.flow(site, manual=False, settled=lambda name, _version: name in settled)
    id_ = world.add("a.pdf")
    assert one(world, flow, id_).reason.code == "wait.settling"
    assert world.on_nas() == {}

    settled.append("a.pdf")

    assert one(world, flow, id_).kind is FateKind.SYNCED


@pytest.mark.parametrize(
    ("kind", "code"),
    [("link", "refuse.link"), ("folder", "refuse.directory"), ("fifo", "refuse.special")],
)
def test_what_is_no_file_is_refused_and_not_asked_again_and_again(world, flow, kind, code):
    path = world.uploads / "a.pdf"
    (world.root / "secret").write_bytes(b"secret")
    {"link": lambda: path.symlink_to(world.root / "secret"), "folder": path.mkdir}.get(
        kind, lambda: os.mkfifo(path)
    )()
    id_ = world.add("a.pdf", None)

    for _ in range(2):
        fate = one(world, flow, id_)
        assert (fate.kind, fate.reason.code) == (FateKind.REFUSED, code)

    assert entry(flow, id_).state is State.PROBLEM
    assert world.on_nas() == {}
    assert len(flow.site.journal.history(flow.table.scope, id_)) == 1


@pytest.mark.parametrize("path", ["/etc/passwd", "/app/uploads/../secret", "../x", "C:\\x"])
def test_a_path_that_leads_outside_is_refused(world, flow, path):
    id_ = world.add("a.pdf", file_path=path)

    fate = one(world, flow, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.REFUSED, "refuse.outside")


def test_a_link_on_the_way_is_refused(world, flow):
    (world.root / "elsewhere").mkdir()
    (world.root / "elsewhere" / "a.pdf").write_bytes(b"secret")
    (world.uploads / "sub").symlink_to(world.root / "elsewhere")
    id_ = world.add("sub/a.pdf", None)

    assert one(world, flow, id_).reason.code == "refuse.link"


# -- what changes meanwhile ---------------------------------------------------------------------


def test_a_source_that_changed_since_is_unmarked_first_and_filed_under_the_next_name(world, flow):
    id_ = world.add("a.pdf", b"version one")
    one(world, flow, id_)
    world.upload("a.pdf", b"version two!")

    told = one(world, flow, id_)
    assert (told.kind, told.reason.code) == (FateKind.WAITING, "unmark.source_changed")
    assert not world.flag(id_)
    one(world, flow, id_)

    assert world.flags(id_) == [True, False, True]
    assert world.on_nas() == {
        f"{FOLDER}/a.pdf": b"version one",
        f"{FOLDER}/a-{id_}.pdf": b"version two!",
    }


def test_each_new_version_is_filed_and_all_the_old_ones_stay(world, flow):
    id_ = world.add("a.pdf", b"0")
    for number in range(5):
        world.upload("a.pdf", b"x" * (number + 1))
        world.go(flow, [id_])
        world.go(flow, [id_])
        assert world.flag(id_)

    assert sorted(world.on_nas().values()) == [b"x" * n for n in range(1, 6)]


def test_a_version_that_comes_back_is_found_where_it_was(world, flow):
    id_ = world.add("a.pdf", b"one")
    one(world, flow, id_)
    for content in (b"second", b"one"):
        world.upload("a.pdf", content)
        one(world, flow, id_)
        fate = one(world, flow, id_)

    assert fate.adopted
    assert fate.receipt.destination == f"{FOLDER}/a.pdf"
    assert len(world.on_nas()) == 2


def test_a_row_that_is_deleted_during_the_copy_is_not_marked(world, flow):
    id_ = world.add("a.pdf")
    fly(world, flow, [id_])
    world.sql("DELETE FROM documents")

    (fate,) = flow.drain(time.monotonic() + 20)

    assert (fate.kind, fate.reason.code) == (FateKind.NOTHING, "gone.gone")
    assert entry(flow, id_).state is State.GONE
    assert world.on_nas() == {f"{FOLDER}/a.pdf": b"content"}


def test_an_id_that_is_used_again_is_copied_for_itself(world, flow):
    id_ = world.add("a.pdf", b"the old one")
    one(world, flow, id_)
    world.sql("DELETE FROM documents")
    assert world.add("b.pdf", b"the new one") == id_

    fate = one(world, flow, id_)

    assert fate.kind is FateKind.SYNCED
    assert fate.receipt.destination == f"{FOLDER}/b.pdf"
    assert len(world.on_nas()) == 2


def test_a_path_that_changes_during_the_copy_is_not_marked_and_the_new_file_is_filed(world, flow):
    id_ = world.add("a.pdf", b"old file")
    world.upload("b.pdf", b"new file")
    fly(world, flow, [id_])
    world.sql("UPDATE documents SET file_path = '/app/uploads/b.pdf'")

    (fate,) = flow.drain(time.monotonic() + 20)
    assert (fate.kind, fate.reason.code) == (FateKind.NOTHING, "gone.moved")
    assert not world.flag(id_)

    assert one(world, flow, id_).kind is FateKind.SYNCED
    assert world.on_nas()[f"{FOLDER}/b.pdf"] == b"new file"


def test_a_flag_set_by_somebody_else_meanwhile_is_no_trouble(world, flow):
    id_ = world.add("a.pdf")
    fly(world, flow, [id_])
    world.sql("UPDATE documents SET synced_to_nas = 1")

    (fate,) = flow.drain(time.monotonic() + 20)

    assert fate.kind is FateKind.SYNCED
    assert entry(flow, id_).state is State.SYNCED


def test_metadata_that_changes_afterwards_moves_nothing(world, flow):
    id_ = world.add("a.pdf")
    one(world, flow, id_)
    world.sql("UPDATE documents SET doc_type = 'receipt'")

    fate = one(world, flow, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.NOTHING, "rest.moved_since")
    assert list(world.on_nas()) == [f"{FOLDER}/a.pdf"]


def test_a_file_that_changed_between_look_and_copy_is_not_filed_and_costs_no_attempt(world, flow):
    id_ = world.add("a.pdf")
    old = Source("a.pdf", SourceKind.FILE, SourceVersion(7, 1, 1))

    flow.offer(flow.table.get([id_]).values(), {"a.pdf": old})
    (fate,) = flow.drain(time.monotonic() + 20)

    assert (fate.kind, fate.reason.code) == (FateKind.WAITING, "source.changed")
    assert world.on_nas() == {}
    assert entry(flow, id_).attempts == 0
    assert one(world, flow, id_).kind is FateKind.SYNCED


# -- flags ------------------------------------------------------------------------------------


def test_a_flag_that_went_back_is_set_after_reading_and_without_writing(world, flow):
    id_ = world.add("a.pdf")
    one(world, flow, id_)
    before = identity(world.nas / FOLDER / "a.pdf")
    world.reset_flag(id_)

    fate = one(world, flow, id_)

    assert (fate.kind, fate.adopted) == (FateKind.SYNCED, True)
    assert identity(world.nas / FOLDER / "a.pdf") == before
    assert len(world.on_nas()) == 1


def test_a_flag_that_went_back_is_not_set_while_the_nas_cannot_be_read(world, flow):
    id_ = world.add("a.pdf")
    one(world, flow, id_)
    world.reset_flag(id_)
    (world.nas / ".nas-syncd.json").unlink()

    for _ in range(3):
        assert one(world, flow, id_).kind is FateKind.WAITING

    assert not world.flag(id_)


def test_a_damaged_copy_is_not_vouched_for_again_and_stays_as_it_is(world, flow):
    id_ = world.add("a.pdf", b"content")
    one(world, flow, id_)
    (world.nas / FOLDER / "a.pdf").write_bytes(b"cOntent")
    world.reset_flag(id_)

    fate = one(world, flow, id_)

    assert fate.receipt.destination == f"{FOLDER}/a-{id_}.pdf"
    assert world.on_nas() == {f"{FOLDER}/a.pdf": b"cOntent", f"{FOLDER}/a-{id_}.pdf": b"content"}


def test_an_inherited_flag_is_left_alone(world, flow):
    id_ = world.add("a.pdf", synced_to_nas=True)

    fate = one(world, flow, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.NOTHING, "rest.synced_elsewhere")
    assert world.on_nas() == {}


def test_without_the_journal_everything_is_adopted_and_nothing_written(world, flow):
    ids = [world.add(f"{n}.pdf", str(n).encode()) for n in range(5)]
    world.go(flow, ids)
    before = {path: identity(world.nas / path) for path in world.on_nas()}
    for id_ in ids:
        world.reset_flag(id_)

    fresh = world.flow(world.site(state=world.root / "another-state"))
    fates = world.go(fresh, ids)

    assert all(fate.adopted and fate.kind is FateKind.SYNCED for fate in fates.values())
    assert {path: identity(world.nas / path) for path in world.on_nas()} == before


# -- the database is away -------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """A locked SQLite counts as away at once; how long it is waited for is the table's matter."""
    monkeypatch.setattr(gates, "LOCKED_PATIENCE_SECONDS", 0.2)


@contextlib.contextmanager
def locked(world):
    with contextlib.closing(sqlite3.connect(world.database, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("ROLLBACK")


@pytest.mark.parametrize("source", ["stays", "is deleted"])
def test_a_receipt_is_kept_while_the_database_is_locked_and_marked_later(
    world, site, impatient, source
):
    flow = world.flow(site, world.table(timeout_seconds=0.3))
    id_ = world.add("a.pdf")
    fly(world, flow, [id_])
    with locked(world):
        (fate,) = flow.drain(time.monotonic() + 20)
    assert (fate.kind, fate.reason.code) == (FateKind.WAITING, "database.unavailable")
    kept = entry(flow, id_)
    assert kept.state is State.COPIED
    assert kept.receipt is not None
    assert not world.flag(id_)
    if source == "is deleted":
        (world.uploads / "a.pdf").unlink()
    (world.nas / ".nas-syncd.json").unlink()  # neither is the NAS needed for it

    again = one(world, flow, id_)

    assert again.kind is FateKind.SYNCED
    assert again.receipt == kept.receipt
    assert world.flag(id_)


def test_a_receipt_whose_source_changed_before_it_could_be_marked_marks_nothing(
    world, site, impatient
):
    flow = world.flow(site, world.table(timeout_seconds=0.3))
    id_ = world.add("a.pdf", b"old")
    fly(world, flow, [id_])
    with locked(world):
        flow.drain(time.monotonic() + 20)
    world.upload("a.pdf", b"newer")

    fate = one(world, flow, id_)

    assert fate.receipt.destination == f"{FOLDER}/a-{id_}.pdf"
    assert world.on_nas()[f"{FOLDER}/a-{id_}.pdf"] == b"newer"


def test_a_flag_that_cannot_be_taken_back_now_is_taken_back_later(world, site, impatient):
    flow = world.flow(site, world.table(timeout_seconds=0.3))
    id_ = world.add("a.pdf", b"old")
    one(world, flow, id_)
    world.upload("a.pdf", b"newer")
    documents = flow.table.get([id_])
    with locked(world):
        flow.offer(documents.values())
        (fate,) = flow.drain(time.monotonic() + 20)
    assert fate.reason.code == "database.unavailable"
    assert entry(flow, id_).state is State.SYNCED

    assert one(world, flow, id_).reason.code == "unmark.source_changed"


class DiesAfterMarking:
    """The table of a process that is killed when the mark was sent and not noted yet."""

    def __init__(self, table):
        self.table = table
        self.scope = table.scope

    def mark(self, marks, at):
        self.table.mark(marks, at)
        raise KeyboardInterrupt

    def __getattr__(self, name):
        return getattr(self.table, name)


def die_after_marking(world, table, id_):
    dying = world.site()
    with pytest.raises(KeyboardInterrupt):
        one(world, world.flow(dying, DiesAfterMarking(table)), id_)
    dying.close()


def test_a_mark_that_was_sent_but_not_noted_is_noted_at_the_next_go(world, site):
    table = world.table()
    id_ = world.add("a.pdf")
    die_after_marking(world, table, id_)
    flow = world.flow(site, table)
    assert entry(flow, id_).state is State.MARKING
    assert world.flag(id_)

    assert one(world, flow, id_).kind is FateKind.SYNCED

    assert entry(flow, id_).state is State.SYNCED
    assert world.flags(id_) == [True]


def test_a_flag_that_went_back_after_such_an_end_is_set_only_after_reading(world, site):
    table = world.table()
    id_ = world.add("a.pdf")
    die_after_marking(world, table, id_)
    world.reset_flag(id_)
    (world.nas / FOLDER / "a.pdf").unlink()

    fate = one(world, world.flow(site, table), id_)

    assert (fate.kind, fate.adopted) == (FateKind.SYNCED, False)
    assert world.on_nas() == {f"{FOLDER}/a.pdf": b"content"}


# -- the NAS is away ------------------------------------------------------------------------------


def test_without_the_nas_all_wait_and_none_loses_an_attempt(world, site, flow):
    (world.nas / ".nas-syncd.json").unlink()
    site.guard.check().result(20)
    ids = [world.add(f"{n}.pdf") for n in range(5)]

    fates = world.go(flow, ids)

    assert {fate.reason.code for fate in fates.values()} == {"wait.mount"}
    assert flow.wants_nas
    assert all(entry(flow, id_).attempts == 0 for id_ in ids)
    assert world.on_nas() == {}
    world.pair()
    site.guard.check().result(20)
    assert {f.kind for f in world.go(flow, ids).values()} == {FateKind.SYNCED}


def test_a_nas_that_goes_away_unnoticed_is_noticed_by_the_copy(world, site, flow):
    id_ = world.add("a.pdf")
    (world.nas / ".nas-syncd.json").unlink()

    fate = one(world, flow, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.WAITING, "mount.not_mounted")
    assert site.guard.view.state is MountState.NOT_MOUNTED
    assert entry(flow, id_).attempts == 0
    assert world.on_nas() == {}


def test_another_nas_in_its_place_gets_nothing(world, site, flow):
    first = world.uuid
    world.uuid = "another"
    world.pair()
    id_ = world.add("a.pdf")

    assert one(world, flow, id_).reason.code == "mount.foreign"
    assert world.on_nas() == {}
    assert site.nas == first


@pytest.mark.root
@pytest.mark.lab
def test_a_full_nas_stops_all_costs_nothing_and_goes_on_when_space_is_freed(tmp_path, tmpfs_mount):
    share = tmpfs_mount("1m")
    world = World(tmp_path / "world", share.path)
    try:
        site = world.site()
        flow = world.flow(site)
        (share.path / "ballast").write_bytes(bytes(600_000))
        id_ = world.add("a.pdf", os.urandom(700_000))

        assert one(world, flow, id_).reason.code == "mount.full"
        assert set(world.on_nas()) == {"ballast"}
        assert entry(flow, id_).attempts == 0
        assert site.guard.check().result(20).state is MountState.FULL
        (share.path / "ballast").unlink()
        assert site.guard.check().result(20).usable
        assert one(world, flow, id_).kind is FateKind.SYNCED
    finally:
        world.close()


# -- one document's own trouble -------------------------------------------------------------------


def test_a_documents_own_trouble_is_retried_with_backoff_and_is_a_problem_in_the_end(world, site):
    flow = world.flow(site, manual=False)
    (world.nas / "2024").write_bytes(b"a file where a folder must be")
    id_ = world.add("a.pdf")
    other = world.add("b.pdf", date="2023-01-01")

    fates = world.go(flow, [id_, other])
    assert (fates[id_].kind, fates[id_].reason.code) == (FateKind.FAILED, "place.blocked")
    assert fates[other].kind is FateKind.SYNCED
    assert one(world, flow, id_).reason.code == "wait.backoff"
    for number in range(2, 9):
        world.clock.pass_by(4000)
        assert one(world, flow, id_).kind is FateKind.FAILED
        assert entry(flow, id_).attempts == number
    assert entry(flow, id_).state is State.PROBLEM
    world.clock.pass_by(4000)
    assert one(world, flow, id_).reason.code == "wait.backoff"

    (world.nas / "2024").unlink()
    world.clock.pass_by(86_400)
    assert one(world, flow, id_).kind is FateKind.SYNCED
    assert entry(flow, id_).attempts == 0


def test_a_person_does_not_wait_for_the_backoff(world, site):
    (world.nas / "2024").write_bytes(b"")
    id_ = world.add("a.pdf")
    one(world, world.flow(site, manual=False), id_)
    (world.nas / "2024").unlink()

    assert one(world, world.flow(site), id_).kind is FateKind.SYNCED


@pytest.mark.parametrize("attempts", [1, 2, 5, 11, 50, 10_000])
def test_backoff_doubles_with_jitter_to_its_limit(attempts):
    plain = min(3600.0, 5.0 * 2 ** min(attempts - 1, 40))

    values = {backoff_seconds(attempts, 5.0, 3600.0) for _ in range(50)}

    assert len(values) > 10
    assert all(0.75 * plain <= value <= 1.25 * plain for value in values)


# -- the agent dies -------------------------------------------------------------------------------


def test_a_killed_agent_costs_nothing_and_leaves_nothing(world, site, flow):
    site.agent.call("test", root=str(world.nas), nas=site.nas)
    (pid,) = site.agent.pids()
    os.kill(pid, signal.SIGSTOP)
    ids = [world.add(f"{n}.pdf", os.urandom(100_000)) for n in range(6)]
    fly(world, flow, ids)
    os.kill(pid, signal.SIGKILL)

    fates = {fate.document.id: fate for fate in flow.drain(time.monotonic() + 20)}
    assert {fate.reason.code for fate in fates.values()} <= {"agent.died", "wait.mount"}
    assert all(entry(flow, id_).attempts == 0 for id_ in ids)
    assert any(entry(flow, id_).intent for id_ in ids), "what it may have begun is remembered"

    site.guard.check().result(20)
    assert {f.kind for f in world.go(flow, ids).values()} == {FateKind.SYNCED}
    assert len(world.on_nas()) == 6
    assert not any(entry(flow, id_).intent for id_ in ids)


def dead_intent(world, flow, id_, place, temp=".nas-syncd-tmp/x/0/.nas-syncd-dead-0.part"):
    """A copy that a process began which is not alive any more."""
    intent = Intent("d" * 16, world.uuid, temp, (place,), NOW)
    (document,) = flow.table.get([id_]).values()
    flow.site.journal.begin([(document, "a.pdf", intent)], flow.table.scope)


def test_what_an_abandoned_agent_completed_late_is_found_although_the_row_has_changed(world, flow):
    id_ = world.add("a.pdf", b"content", doc_type="receipt", date="2023-05-05")
    late = world.nas / "2023/04/autres/a.pdf"
    late.parent.mkdir(parents=True)
    late.write_bytes(b"content")
    dead_intent(world, flow, id_, "2023/04/autres/a.pdf")

    fate = one(world, flow, id_)

    assert fate.receipt.destination == "2023/04/autres/a.pdf"
    assert fate.adopted
    assert len(world.on_nas()) == 1


def test_what_an_abandoned_agent_left_half_is_removed(world, flow):
    id_ = world.add("a.pdf")
    temp = world.nas / ".nas-syncd-tmp/x/0/.nas-syncd-dead-0.part"
    temp.parent.mkdir(parents=True)
    temp.write_bytes(b"con")
    dead_intent(world, flow, id_, f"{FOLDER}/a.pdf")

    assert one(world, flow, id_).kind is FateKind.SYNCED
    assert world.on_nas() == {f"{FOLDER}/a.pdf": b"content"}


# -- several processes ----------------------------------------------------------------------------


def land(flow):
    """Wait until the agent has answered; the answer is not looked at yet."""
    wait_until(lambda: not flow.site.agent.progress(), "answered")


def test_what_another_living_process_has_in_hand_is_left_to_it(world, site, flow):
    other = world.flow(world.site(), flow.table)
    id_ = world.add("a.pdf")
    fly(world, flow, [id_])

    fate = one(world, other, id_)

    assert (fate.kind, fate.reason.code) == (FateKind.WAITING, "wait.elsewhere")
    (mine,) = flow.drain(time.monotonic() + 20)
    assert mine.kind is FateKind.SYNCED
    assert one(world, other, id_).kind is FateKind.NOTHING


def test_twins_of_two_processes_at_once_each_own_a_file(world, flow):
    """The second adopts the very file that the first has just placed and not yet recorded."""
    other = world.flow(world.site(), flow.table)
    first, second = world.add("u1/scan.pdf", b"same"), world.add("u2/scan.pdf", b"same")
    fly(world, flow, [first])
    land(flow)
    assert one(world, other, second).kind is FateKind.SYNCED

    (fate,) = flow.drain(time.monotonic() + 20)

    assert fate.kind is FateKind.SYNCED
    places = {entry(flow, id_).receipt.destination for id_ in (first, second)}
    assert places == {f"{FOLDER}/scan.pdf", f"{FOLDER}/scan-{first}.pdf"}
    assert set(world.on_nas()) == places
    assert world.flag(first)
    assert world.flag(second)


# -- the owner's view -----------------------------------------------------------------------------


def test_a_closed_flow_begins_nothing_and_lets_land_what_flies(world, flow):
    flying, late = world.add("a.pdf"), world.add("b.pdf")
    fly(world, flow, [flying])
    flow.close()
    flow.offer(flow.table.get([late]).values())

    wait_until(lambda: flow.step(0.05) and not flow.flying(), "landed")

    assert [fate.document.id for fate in world.fates] == [flying]
    assert not world.flag(late)


def test_messages_of_the_owner_come_back_to_it(flow):
    flow.inbox.put("hello")

    assert flow.step(5) == ([], ["hello"])


def test_room_shrinks_with_what_is_in_hand(world, flow):
    free = flow.room
    flow.offer(flow.table.get([world.add("a.pdf")]).values())

    assert flow.room == free - 1
    flow.drain(time.monotonic() + 20)
    assert flow.room == free


def test_the_plan_is_told_without_doing_anything(world, site, flow):
    id_ = world.add("a.pdf")
    (document,) = flow.table.get([id_]).values()
    sources = site.uploads.look(["a.pdf"]).result(20)

    source, decision = flow.decide_for(document, sources, None)

    assert source.settled
    assert decision.candidates[0] == f"{FOLDER}/a.pdf"
    assert world.on_nas() == {}
    assert entry(flow, id_) is None


def test_no_flow_makes_the_upload_folder_or_writes_into_it(world, flow):
    world.uploads.rmdir()
    id_ = world.add("a.pdf", None)

    fate = one(world, flow, id_)

    assert fate.kind is FateKind.WAITING
    assert fate.reason.code == "wait.uploads"
    assert not world.uploads.exists()


def test_a_folder_name_of_ones_own_is_used(world):
    policy = replace(Policy(folders=DEFAULT_FOLDERS), folders={"invoice": "Belege", "other": "x"})
    flow = world.flow(world.site(policy=policy))

    one(world, flow, world.add("a.pdf"))

    assert list(world.on_nas()) == ["2024/01/Belege/a.pdf"]


def test_every_way_a_mark_can_end_has_its_words():
    for outcome in set(MarkOutcome) - {MarkOutcome.MARKED, MarkOutcome.ALREADY}:
        for language in LANGUAGES:
            assert f"gone.{outcome}" in TEXTS[language]


# -- marks in groups ---------------------------------------------------------------------------


class Held:
    """The NAS agent, whose answer to one document's copy is held back until it may come."""

    def __init__(self, monkeypatch, flow, id_):
        self.marks: list[set[str]] = []
        self._may, agent, ask = threading.Event(), flow.site.agent, flow.site.agent.ask
        mark = flow.table.mark

        def held(operation, **values):
            answer = ask(operation, **values)
            if operation != "copy" or values["relative"] != f"{id_}.pdf":
                return answer
            late: Future[Any] = Future()
            thread = threading.Thread(target=self._pass_on, args=(answer, late), daemon=True)
            thread.start()
            return late

        def marked(marks, at):
            self.marks.append({document_id for document_id, _ in marks})
            return mark(marks, at)

        monkeypatch.setattr(agent, "ask", held)
        monkeypatch.setattr(flow.table, "mark", marked)

    def _pass_on(self, answer, late):
        result = answer.result(30)
        self._may.wait(30)
        late.set_result(result)

    def come(self):
        self._may.set()


@pytest.fixture
def four(world, flow, monkeypatch):
    """Four documents, and the agent that holds the last one back."""
    ids = [world.add(f"{number}.pdf") for number in (1, 2, 3, 4)]
    assert ids == ["1", "2", "3", "4"]
    return ids, Held(monkeypatch, flow, "4")


def land_some(flow, number):
    wait_until(lambda: flow.step(0.01) and len(flow._unmarked) == number, f"{number} landed")


def test_flags_wait_for_others_while_copies_are_made(world, flow, four, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.MARK_SECONDS", 3600.0)
    ids, agent = four
    flow.offer(flow.table.get(ids).values())
    land_some(flow, 3)
    assert not any(world.flag(id_) for id_ in ids)
    assert [entry(flow, id_).state for id_ in ids[:3]] == [State.MARKING] * 3

    agent.come()
    flow.drain(time.monotonic() + 20)

    assert agent.marks == [set(ids)]
    assert all(world.flag(id_) for id_ in ids)


@pytest.mark.parametrize("limit", ["MARK_SECONDS", "MARK_ENOUGH"])
def test_flags_wait_neither_for_long_nor_for_many(world, flow, four, monkeypatch, limit):
    monkeypatch.setattr("nas_syncd.flow.MARK_SECONDS", 3600.0)
    monkeypatch.setattr(f"nas_syncd.flow.{limit}", 0.001 if limit == "MARK_SECONDS" else 2)
    ids, agent = four
    flow.offer(flow.table.get(ids).values())

    wait_until(lambda: flow.step(0.05) and sum(map(len, agent.marks)) >= 2, "marked")

    assert "4" in {work.document.id for work in flow.flying()}  # perhaps the third as well
    agent.come()
    flow.drain(time.monotonic() + 20)
    assert all(world.flag(id_) for id_ in ids)


def test_a_flow_that_only_waits_for_its_time_to_mark_wakes_up_by_itself(
    world, flow, four, monkeypatch
):
    monkeypatch.setattr("nas_syncd.flow.MARK_SECONDS", 0.2)
    ids, agent = four
    flow.offer(flow.table.get(ids).values())
    land_some(flow, 3)

    while not agent.marks:
        flow.step(3600.0)

    assert agent.marks == [set(ids[:3])]
    agent.come()
    flow.drain(time.monotonic() + 20)


def test_at_a_stop_no_flag_waits(world, flow, four, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.MARK_SECONDS", 3600.0)
    ids, agent = four
    flow.offer(flow.table.get(ids).values())
    land_some(flow, 3)

    flow.close()
    flow.inbox.put(None)
    flow.step(20)

    assert agent.marks == [set(ids[:3])]
    agent.come()
    flow.drain(time.monotonic() + 20)
    assert world.flag("4")


def test_a_file_that_changes_while_its_flag_waits_is_looked_at_again(
    world, flow, four, monkeypatch
):
    monkeypatch.setattr("nas_syncd.flow.MARK_SECONDS", 3600.0)
    ids, agent = four
    flow.offer(flow.table.get(ids).values())
    land_some(flow, 3)
    document = flow.table.get(["1"])["1"]
    newer = Source("1.pdf", SourceKind.FILE, SourceVersion(size=9, mtime_ns=9, inode=9))
    flow.offer([document], {"1.pdf": newer})

    agent.come()
    flow.drain(time.monotonic() + 20)

    assert flow.waits.keys() == {"1"}


@pytest.mark.parametrize(
    ("seconds", "times"), [(0.01, 4), (0.1, 3), (0.15, 2), (0.3, 1), (60.0, 1)]
)
def test_so_many_are_in_flight_as_land_soon(world, flow, monkeypatch, seconds, times):
    """What flies has to land at a stop."""
    usual = flow.site.plan.workers * IN_FLIGHT_PER_WORKER
    assert flow._capacity == usual
    landing = Flow._land

    def taking_so_long(self, answered):
        for each in answered:
            each.work.asked, each.work.among = time.monotonic() - seconds, usual
        landing(self, answered)

    monkeypatch.setattr(Flow, "_land", taking_so_long)
    monkeypatch.setattr(Flow, "_usual", 1)  # what was before is forgotten at once
    one(world, flow, world.add("a.pdf"))
    monkeypatch.undo()

    assert flow._capacity == pytest.approx(times * usual, rel=0.1)
    assert flow.room >= 2 * flow._capacity


def test_one_that_comes_alone_says_nothing_about_many(world, flow):
    before = flow._capacity

    one(world, flow, world.add("a.pdf"))

    assert flow._capacity == before
