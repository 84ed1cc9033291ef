"""A wish, seen through: what is taken, what is told, and how it stops."""

from __future__ import annotations

import threading
import time

import pytest

from nas_syncd.errors import DatabaseUnavailableError, MountError
from nas_syncd.manual import Ended, Ending
from nas_syncd.wishes import Grant, Line, Selection, Tally, Wish
from tests.helpers import World
from tests.lab.parts import wait_until


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "world")
    yield world
    world.close()


class Told:
    """A grant with its tally, and everything that was said."""

    def __init__(self, world: World, site, table, wish: Wish, **more) -> None:
        self.lines: list[Line] = []
        self.ended: list[Ended] = []
        self.totals: list[int] = []
        self.stopping = 0
        self.tally = Tally(str(world.nas), "en", on_line=self.lines.append)
        self.on_ended = more.pop("on_ended", lambda _told: None)
        self.grant = Grant(
            site,
            table,
            wish,
            on_total=self.totals.append,
            on_end=self._end,
            on_checked=self.tally.checked,
            on_unknown=self.tally.unknown,
            on_stopping=self._stop,
            **more,
        )

    def _end(self, ended: Ended) -> None:
        self.ended.append(ended)
        self.tally.ended(ended)
        self.on_ended(self)

    def _stop(self) -> None:
        self.stopping += 1


def marked(world: World) -> int:
    return int(world.sql("SELECT count(*) FROM documents WHERE synced_to_nas")[0][0])


def test_everything_that_is_pending_is_brought_to_its_ending_and_counted(world):
    for number in range(3):
        world.add(f"{number}.pdf", b"%d" % number, original_name=f"my {number}.pdf")
    world.add("w.pdf", processing_status="pending")
    lost = world.add("lost.pdf", None)
    told = Told(world, world.site(), world.table(), Wish())
    told.grant.go()
    tally = told.tally
    assert told.totals == [5]
    assert (tally.synced, tally.failed, tally.waiting, tally.done) == (3, 1, 1, 5)
    assert tally.errors[0].startswith(f"Document {lost}: The file is not in the upload folder")
    safe = next(line for line in told.lines if line.ending == "safe")
    assert safe.text.startswith(f"Synced to {world.nas}/2024/01/factures/")
    assert safe.words("en").startswith(f"Document {safe.id}: my ")
    assert [line.routine for line in told.lines if line.ending == "failed"] == [False]
    assert told.stopping == 0


def test_named_ids_are_taken_once_and_the_others_told_with_their_code(world):
    row = world.add("a.pdf")
    world.sql("INSERT INTO documents (id, user_id) VALUES (99, 1)")
    world.add("b.pdf")
    codes: list[tuple[str, str]] = []
    site, table = world.site(), world.table()
    ended: list[Ended] = []
    wish = Wish((row, "4711", row, "99"))
    grant = Grant(site, table, wish, on_end=ended.append, on_unknown=lambda *one: codes.append(one))
    grant.go()
    assert [one.document.id for one in ended] == [row]
    assert codes == [("4711", "document.unknown"), ("99", "document.no_file")]
    assert marked(world) == 1


def test_ids_beside_everybody_contradict_one_another():
    assert Wish(("1",), everything=True).contradicts_itself
    assert Wish(("1",), user="2").contradicts_itself
    assert not Wish(("1",), inherited=True).contradicts_itself
    assert not Wish(everything=True, user="2").contradicts_itself


def test_what_there_is_to_do_can_be_asked_for_before_it_is_begun(world):
    world.add("a.pdf")
    told = Told(world, world.site(), world.table(), Wish())
    told.grant.prepare()
    told.grant.prepare()
    assert told.totals == [1]
    assert marked(world) == 0
    told.grant.go()
    assert told.totals == [1]
    assert marked(world) == 1


def test_without_the_database_nothing_is_begun(world):
    world.add("a.pdf")
    table = world.table(timeout_seconds=1.0)
    world.database.rename(world.root / "away")
    told = Told(world, world.site(), table, Wish())
    with pytest.raises(DatabaseUnavailableError):
        told.grant.go()
    assert told.ended == []


def test_a_selection_counts_what_is_meant(world):
    row = world.add("a.pdf")
    world.add("b.pdf", user_id=2)
    world.add("c.pdf", synced_to_nas=True)
    site, table = world.site(), world.table()

    def count(wish: Wish) -> int:
        return Selection(site, table, wish).count()

    assert count(Wish()) == 2
    assert count(Wish(user="2")) == 1
    assert count(Wish((row, "4711"))) == 1
    assert count(Wish(inherited=True)) == 1
    assert count(Wish(inherited=True, everything=True)) == 3


# -- stopping ---------------------------------------------------------------------------------


def test_a_stop_in_the_middle_tells_every_document_that_was_marked(world, monkeypatch):
    monkeypatch.setattr("nas_syncd.flow.IN_FLIGHT_PER_WORKER", 4)
    for number in range(200):  # more than fly at once
        world.add(f"{number}.pdf", b"%d" % number)
    told = Told(world, world.site(), world.table(), Wish(), on_ended=lambda t: t.grant.stop())
    told.grant.go()
    assert 0 < marked(world) < 200
    assert told.tally.synced == marked(world)
    assert {one.ending for one in told.ended} == {Ending.SAFE}
    assert (told.stopping, told.grant.stopped) == (1, True)


def test_a_stop_from_another_thread_lets_what_flies_land_and_the_rest_is_free(world, fault_fs):
    nas = fault_fs()
    world.nas = nas.path
    world.pair()
    for number in range(60):
        world.add(f"{number}.pdf", b"%d" % number)
    nas.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": 0.7}])
    site, table = world.site(workers=2), world.table()
    told = Told(world, site, table, Wish())
    thread = threading.Thread(target=told.grant.go)
    thread.start()
    wait_until(lambda: len(told.grant.flying()) > 0, "something flies")
    told.grant.stop()
    told.grant.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert told.tally.synced == marked(world) < 60
    nas.clear()
    again = Told(world, site, table, Wish())
    began = time.monotonic()
    again.grant.go()
    assert marked(world) == 60
    assert again.tally.synced + told.tally.synced == 60
    assert time.monotonic() - began < 15  # nobody waited for a holder that is gone


def test_a_stop_before_it_begins_leaves_everything_as_it_is(world):
    world.add("a.pdf")
    told = Told(world, world.site(), world.table(), Wish())
    told.grant.stop()
    told.grant.go()
    assert marked(world) == 0
    assert told.ended == []
    assert told.stopping == 1


def test_a_nas_that_goes_away_is_raised_and_what_was_marked_is_told(world):
    for number in range(200):
        world.add(f"{number}.pdf", b"%d" % number)

    def gone(_told: Told) -> None:
        (world.nas / ".nas-syncd.json").unlink(missing_ok=True)

    told = Told(world, world.site(), world.table(), Wish(), on_ended=gone)
    with pytest.raises(MountError):
        told.grant.go()
    assert told.tally.synced == marked(world) > 0
    assert told.tally.failed == 0


# -- inherited --------------------------------------------------------------------------------


def test_inherited_documents_are_checked_and_each_verdict_is_counted(world):
    proven = world.add("a.pdf", b"a", synced_to_nas=True)
    (world.nas / "2024/01/factures").mkdir(parents=True)
    (world.nas / "2024/01/factures/a.pdf").write_bytes(b"a")
    again = world.add("b.pdf", b"b", synced_to_nas=True)
    stays = world.add("c.pdf", None, synced_to_nas=True)
    told = Told(world, world.site(), world.table(), Wish(inherited=True))
    told.grant.go()
    tally = told.tally
    assert (tally.proven, tally.recopied, tally.unverifiable) == (1, 1, 1)
    assert (tally.synced, tally.failed, tally.done, tally.checked_count) == (2, 0, 3, 3)
    endings = [(line.id, line.ending) for line in told.lines]
    assert (proven, "safe") in endings
    assert endings.index((again, "recopied")) < endings.index((again, "safe"))
    assert (stays, "inherited") in endings
    assert tally.errors[0].startswith(f"Document {stays}: Cannot be verified, stays marked")
    assert world.flag(stays)
