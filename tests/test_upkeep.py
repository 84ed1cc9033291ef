"""What is looked after when the copying is done: temp files, the second look, rows that went."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nas_syncd import upkeep as upkeep_module
from nas_syncd.documents import gates
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.models import FateKind, MountState, State
from nas_syncd.upkeep import YOUNG_SECONDS, Upkeep
from tests.helpers import World
from tests.lab.parts import wait_until

FOLDER = "2024/01/factures"
PLACE = f"{FOLDER}/a.pdf"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "world")
    yield world
    world.close()


class Keeper:
    """An upkeep, driven as the daemon's loop drives it."""

    def __init__(self, world, site=None):
        self.world = world
        self.site = site or world.site()
        self.flow = world.flow(self.site)
        self.lost: list[str] = []
        self.upkeep = Upkeep(self.site, self.flow.table, self.flow.inbox, self.lost.extend)

    @property
    def asking(self):
        return self.upkeep._asking

    def turn(self, seconds=20.0):
        """Tick until there is nothing more to ask now."""
        end = time.monotonic() + seconds
        quiet = 0
        while quiet < 2:
            assert time.monotonic() < end
            self.upkeep.tick()
            _, messages = self.flow.step(0.05 if self.asking else 0.0)
            for message in messages:
                message()
            quiet = 0 if self.asking or messages else quiet + 1

    def later(self, seconds):
        """Let the time of day pass; the next look is due as if the loop had run all along."""
        self.world.clock.pass_by(seconds)
        self.upkeep._young_due = 0.0
        self.turn()

    def entry(self, id_):
        return self.site.journal.entry(self.flow.table.scope, id_)

    def copy(self, id_):
        fate = self.world.go(self.flow, [id_])[id_]
        assert fate.kind is FateKind.SYNCED
        return fate


@pytest.fixture
def keeper(world):
    return Keeper(world)


# -- the second look --------------------------------------------------------------------------


def test_a_receipt_is_young_until_a_look_a_minute_later(world, keeper):
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    assert keeper.entry(id_).young

    keeper.later(YOUNG_SECONDS - 1)
    assert keeper.entry(id_).young
    keeper.later(2)
    assert not keeper.entry(id_).young
    assert keeper.lost == []
    assert world.flags(id_) == [True]


def test_a_receipt_of_a_moment_ago_is_still_young_after_the_first_look_of_all(world, keeper):
    """What was copied since the NAS could be used is not older because we look for the first
    time: a NAS that loses power may still forget its rename."""
    id_ = world.add("a.pdf")
    keeper.copy(id_)
    world.clock.pass_by(1)

    keeper.turn()

    assert keeper.entry(id_).young


def test_a_file_that_vanishes_within_the_minute_takes_the_flag_back_and_is_copied_again(
    world, keeper
):
    id_ = world.add("a.pdf")
    other = world.add("b.pdf")
    keeper.turn()
    world.go(keeper.flow, [id_, other])
    (world.nas / PLACE).unlink()

    keeper.later(YOUNG_SECONDS + 1)

    assert not world.flag(id_)
    assert world.flag(other)
    assert keeper.lost == [id_]
    assert keeper.entry(id_).reason.code == "unmark.vanished"
    assert keeper.entry(id_).state is State.WAITING
    assert not keeper.entry(other).young
    keeper.copy(id_)
    assert (world.nas / PLACE).read_bytes() == b"content"
    assert world.flags(id_) == [True, False, True]


@pytest.mark.parametrize("instead", ["nothing", "a file", "a link"])
def test_a_folder_that_is_gone_takes_all_its_flags_back(world, keeper, instead):
    ids = [world.add(f"{n}.pdf", str(n).encode()) for n in range(3)]
    elsewhere = world.add("x.pdf", date="2023-01-01")
    keeper.turn()
    world.go(keeper.flow, [*ids, elsewhere])
    for number in range(3):
        (world.nas / FOLDER / f"{number}.pdf").unlink()
    (world.nas / FOLDER).rmdir()
    if instead == "a file":
        (world.nas / FOLDER).write_bytes(b"")
    elif instead == "a link":
        (world.nas / FOLDER).symlink_to(world.root)

    keeper.later(YOUNG_SECONDS + 1)

    assert sorted(keeper.lost) == ids
    assert [world.flag(id_) for id_ in ids] == [False] * 3
    assert world.flag(elsewhere)
    assert keeper.site.guard.view.usable


def test_after_a_remount_the_young_are_looked_at_at_once(world, keeper):
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    marker = world.nas / ".nas-syncd.json"
    away = marker.rename(world.nas / "hidden")
    assert keeper.site.guard.check().result(20).state is MountState.NOT_MOUNTED
    (world.nas / PLACE).unlink()
    world.clock.pass_by(5)
    keeper.turn()
    assert world.flag(id_), "while the NAS is away nobody can know"
    away.rename(marker)
    assert keeper.site.guard.check().result(20).usable

    keeper.turn()

    assert keeper.lost == [id_]
    assert not world.flag(id_)


def test_a_look_that_the_mount_did_not_survive_takes_no_flag_back(world, keeper):
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    (world.nas / PLACE).unlink()
    (world.nas / ".nas-syncd.json").unlink()
    wait_until(lambda: idle(keeper), "the root is closed", seconds=5)

    keeper.later(YOUNG_SECONDS + 1)

    assert world.flag(id_)
    assert keeper.lost == []
    assert keeper.site.guard.view.state is MountState.NOT_MOUNTED
    assert keeper.entry(id_).young


def idle(keeper):
    (pid,) = keeper.site.agent.pids()
    return not any(
        os.readlink(f"/proc/{pid}/fd/{fd}").startswith(str(keeper.world.nas))
        for fd in os.listdir(f"/proc/{pid}/fd")
        if os.path.islink(f"/proc/{pid}/fd/{fd}")
    )


def test_a_folder_that_cannot_be_looked_into_is_no_trouble_of_the_whole_mount(world, keeper):
    """Else the view would flap, and every flap asks for a look anew, for ever."""
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    told = []
    keeper.site.guard._on_change = lambda was, now: told.append((was.state, now.state))
    keeper.site.agent.stop_child()
    answer = keeper.site.agent.ask

    def refused(op, **args):
        """The server refuses this one folder (root may look into any here)."""
        if op == "look":
            args["folder"] = "x" * 300
        return answer(op, **args)

    keeper.site.agent.ask = refused
    keeper.later(YOUNG_SECONDS + 1)

    assert told == []
    assert world.flag(id_)
    assert keeper.entry(id_).young


@pytest.mark.parametrize("what", ["the row names another file", "a new receipt"])
def test_an_answer_about_a_receipt_that_is_no_more_changes_nothing(world, keeper, what):
    """The look was on its way while the document was copied anew."""
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    (world.nas / PLACE).unlink()
    world.clock.pass_by(YOUNG_SECONDS + 1)
    keeper.upkeep._young_due = 0.0
    keeper.upkeep.tick()
    message = keeper.flow.inbox.get(timeout=20)  # the look's answer, not taken yet
    if what == "a new receipt":
        world.reset_flag(id_)
    else:
        world.upload("b.pdf", b"b")
        world.sql("UPDATE documents SET file_path='/app/uploads/b.pdf', synced_to_nas=0")
    keeper.copy(id_)
    now = keeper.entry(id_)

    message()

    assert keeper.entry(id_) == now
    assert world.flag(id_)
    assert keeper.lost == []


def test_while_the_database_is_away_nothing_is_forgotten(world, keeper, monkeypatch):
    monkeypatch.setattr(gates, "LOCKED_PATIENCE_SECONDS", 0.2)
    id_ = world.add("a.pdf")
    keeper.turn()
    keeper.copy(id_)
    (world.nas / PLACE).unlink()
    hidden = world.database.rename(world.root / "hidden")

    with pytest.raises(DatabaseUnavailableError):
        keeper.later(YOUNG_SECONDS + 1)
    assert keeper.entry(id_).state is State.SYNCED
    hidden.rename(world.database)
    keeper.later(0)

    assert not world.flag(id_)
    assert keeper.lost == [id_]


# -- temp files -------------------------------------------------------------------------------


def temp_of(site, run, name="0"):
    return f".nas-syncd-tmp/{site.journal.installation}/0/.nas-syncd-{run}-{name}.part"


def put(world, path, content=b"half", age=0.0):
    file = world.nas / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    when = time.time() - age
    os.utime(file, (when, when))
    return file


def test_temp_files_of_dead_runs_are_removed_and_of_living_ones_left(world):
    other = world.site()
    keeper = Keeper(world)
    dead = put(world, temp_of(keeper.site, "d" * 16))
    test = put(world, temp_of(keeper.site, "d" * 16, "test12x34"))
    theirs = put(world, temp_of(keeper.site, other.runs.mine))

    keeper.turn()

    assert [f.exists() for f in (dead, test, theirs)] == [False, False, True]


def test_what_an_agent_that_was_killed_left_of_a_test_goes_although_its_run_lives(world, keeper):
    other = world.site()
    tags = ("test1x22", "marker1x22", "rename1x22-a")
    killed = [put(world, temp_of(keeper.site, keeper.site.runs.mine, tag)) for tag in tags]
    theirs = put(world, temp_of(keeper.site, other.runs.mine, tags[0]))

    keeper.turn()

    assert [f.exists() for f in (*killed, theirs)] == [False] * 3 + [True]


def test_what_a_copy_left_whose_row_was_deleted_goes_although_its_run_lives(world, keeper):
    """The agent was killed in the middle of many copies, and before the next go rows were gone."""
    id_ = world.add("a.pdf")
    document = keeper.flow.table.get([id_])[id_]
    begun = keeper.site.intent(keeper.site.nas or "", (PLACE,))
    scope = keeper.flow.table.scope
    keeper.site.journal.begin([(document, "a.pdf", begun)], scope, holder="h")
    in_hand = put(world, begun.temp)
    unknown = put(world, temp_of(keeper.site, keeper.site.runs.mine, "77"))
    keeper.turn()
    assert [f.exists() for f in (in_hand, unknown)] == [True, True]

    keeper.site.journal.note(scope, document, State.WAITING, None, keep_intent=True)
    keeper.upkeep._clean_due = 0.0  # the monotonic clock is nobody's to set
    keeper.turn()

    assert [f.exists() for f in (in_hand, unknown)] == [False, True]


def test_what_waits_for_its_documents_next_go_is_looked_at_again(world, keeper):
    id_ = world.add("a.pdf")
    document = keeper.flow.table.get([id_])[id_]
    begun = keeper.site.intent(keeper.site.nas or "", (PLACE,))
    keeper.site.journal.begin([(document, "a.pdf", begun)], keeper.flow.table.scope, holder="h")
    put(world, begun.temp)

    keeper.turn()
    first = keeper.upkeep._clean_due - time.monotonic()
    keeper.upkeep._clean_due = 0.0
    keeper.turn()
    second = keeper.upkeep._clean_due - time.monotonic()

    assert 50 < first < 61 < second < 121


def test_another_installations_temp_file_is_left_for_an_hour_by_its_clock_and_by_ours(world):
    """The NAS's clock may be wrong: that the file is old must be seen by both."""
    keeper = Keeper(world)
    young = put(world, ".nas-syncd-tmp/another/0/.nas-syncd-x-0.part", age=3000)
    old = put(world, ".nas-syncd-tmp/another/0/.nas-syncd-x-1.part", age=4000)
    keeper.turn()
    assert old.exists(), "we see it for the first time"

    known = keeper.upkeep._foreign  # the monotonic clock is nobody's to set
    known.update({path: since - 3601 for path, since in known.items()})
    keeper.upkeep.clean_again()
    keeper.turn()

    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize(
    "path",
    [
        ".nas-syncd-tmp/{own}/0/letter.pdf",
        ".nas-syncd-tmp/{own}/0/.nas-syncd-odd.part",
        ".nas-syncd-tmp/another/0/letter.part",
        ".nas-syncd-old.part",
        "2024/.nas-syncd-" + "d" * 16 + "-0.part",
    ],
)
def test_what_is_not_surely_a_temp_file_of_ours_is_never_removed(world, path):
    keeper = Keeper(world)
    file = put(world, path.format(own=keeper.site.journal.installation), age=10**6)

    keeper.turn()

    assert file.exists()


def receipt_with_its_file_back_in_the_temp_folder(world, keeper):
    """A NAS that lost power forgot the rename; the run that made it is dead."""
    id_ = world.add("a.pdf")
    fate = keeper.copy(id_)
    (row,) = keeper.site.journal._rows("SELECT temp FROM document")
    assert row["temp"].startswith(".nas-syncd-tmp/")
    (world.nas / row["temp"]).parent.mkdir(parents=True, exist_ok=True)
    (world.nas / fate.receipt.destination).rename(world.nas / row["temp"])
    keeper.site.close()
    return id_, world.nas / row["temp"]


def test_a_temp_file_with_a_receipt_is_put_in_its_place(world):
    id_, temp = receipt_with_its_file_back_in_the_temp_folder(world, Keeper(world))
    keeper = Keeper(world)

    keeper.turn()
    world.clock.pass_by(1)
    keeper.later(YOUNG_SECONDS + 1)

    assert not temp.exists()
    assert world.on_nas() == {PLACE: b"content"}
    assert world.flags(id_) == [True]
    assert keeper.lost == []
    assert not keeper.entry(id_).young


def test_a_temp_file_with_a_receipt_replaces_nothing(world):
    _, temp = receipt_with_its_file_back_in_the_temp_folder(world, Keeper(world))
    stranger = put(world, PLACE, b"a stranger's")

    Keeper(world).turn()

    assert stranger.read_bytes() == b"a stranger's"
    assert temp.read_bytes() == b"content"


def test_several_temp_files_with_receipts_are_all_put_in_their_places(world):
    first = Keeper(world)
    ids = [world.add(f"{n}.pdf", str(n).encode()) for n in range(4)]
    world.go(first.flow, ids)
    for row in first.site.journal._rows("SELECT temp, destination FROM document"):
        (world.nas / row["temp"]).parent.mkdir(parents=True, exist_ok=True)
        (world.nas / row["destination"]).rename(world.nas / row["temp"])
    first.site.close()

    keeper = Keeper(world)
    keeper.turn()

    assert world.on_nas() == {f"{FOLDER}/{n}.pdf": str(n).encode() for n in range(4)}
    assert keeper.lost == []


def test_an_idle_nas_is_asked_nothing(world, keeper):
    keeper.turn()
    asked: list[str] = []
    ask = keeper.site.agent.ask

    def noted(op, **args):
        asked.append(op)
        return ask(op, **args)

    keeper.site.agent.ask = noted

    for _ in range(20):
        world.clock.pass_by(10)
        keeper.turn()

    assert asked == []


def test_nothing_is_asked_while_the_nas_is_away(world):
    (world.nas / ".nas-syncd.json").unlink()
    keeper = Keeper(world)
    put(world, temp_of(keeper.site, "d" * 16))

    keeper.turn()

    assert not keeper.asking
    assert (world.nas / temp_of(keeper.site, "d" * 16)).exists()


# -- rows that are gone -----------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(upkeep_module, "RECONCILE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(upkeep_module, "RECONCILE_PASS_SECONDS", 0.0)
    monkeypatch.setattr(upkeep_module, "RECONCILE_SHARE", 1e9)


def test_a_row_that_was_deleted_counts_no_more_and_its_copy_stays(world, at_once):
    keeper = Keeper(world)
    kept, gone = world.add("a.pdf"), world.add("b.pdf")
    world.go(keeper.flow, [kept, gone])
    world.sql("DELETE FROM documents WHERE id = ?", gone)

    keeper.upkeep.reconcile()

    assert keeper.entry(gone).state is State.GONE
    assert keeper.entry(kept).state is State.SYNCED
    assert keeper.site.journal.tally(keeper.flow.table.scope, world.uuid).proven == 1
    assert len(world.on_nas()) == 2


def test_all_pages_are_compared(world, at_once, monkeypatch):
    monkeypatch.setattr(upkeep_module, "RECONCILE_PAGE", 2)
    keeper = Keeper(world)
    ids = [world.add(f"{n}.pdf") for n in range(7)]
    world.go(keeper.flow, ids)
    world.sql("DELETE FROM documents WHERE id > 2")

    for _ in range(5):
        keeper.upkeep.reconcile()

    assert [keeper.entry(id_).state is State.GONE for id_ in ids] == [False] * 2 + [True] * 5


def test_without_the_database_no_row_is_taken_for_gone(world, at_once):
    keeper = Keeper(world)
    id_ = world.add("a.pdf")
    keeper.copy(id_)
    hidden = world.database.rename(world.root / "hidden")

    with pytest.raises(DatabaseUnavailableError):
        keeper.upkeep.reconcile()

    hidden.rename(world.database)
    assert keeper.entry(id_).state is State.SYNCED
    assert Path(world.database).exists()
