"""What is fed to a flow from the database, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_syncd.backlog import Backlog, Paced
from nas_syncd.models import Document
from tests.helpers import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


class Fed:
    """A backlog, and what it has offered."""

    def __init__(self, world: World) -> None:
        self.waits: dict[str, dt.datetime | None] = {}
        self.offered: list[str] = []
        self.backlog = Backlog(world.site(), world.table(), self.waits, self._offer)

    def _offer(self, documents: object) -> None:
        assert not isinstance(documents, Document)
        self.offered += [document.id for document in documents]  # type: ignore[attr-defined]

    def feed(self) -> list[str]:
        """Give what one feeding offers."""
        self.offered.clear()
        self.backlog.feed(100)
        return list(self.offered)


def test_a_new_row_is_found_at_once_when_the_database_was_written_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_syncd.backlog.NEW_SECONDS", 3600.0)
    monkeypatch.setattr("nas_syncd.backlog.NEW_LONGEST_SECONDS", 3600.0)
    fed = Fed(world)
    fed.feed()
    id_ = world.add("u1/a.pdf")
    assert fed.feed() == [], "the next look is far away"

    fed.backlog._new._spent = 0.0  # what the look before has cost would put it off
    fed.backlog.written()

    assert fed.feed() == [id_]


def test_somebody_who_writes_all_the_time_is_not_followed_at_any_cost() -> None:
    paced = Paced(1.5)
    paced.spent(cpu_seconds=0.5)
    ended = paced._ended

    paced.hurry(0.02)

    assert paced.due - ended == pytest.approx(25.0)
    paced.hurry()
    assert paced.due - ended == pytest.approx(0.5)
    paced.hurry(0.02)
    assert paced.due - ended == pytest.approx(0.5), "never later than before"


@pytest.mark.parametrize("jump", [-3600.0, -86400.0 * 365])
def test_a_clock_that_is_set_back_keeps_no_document_waiting(world: World, jump: float) -> None:
    fed = Fed(world)
    fed.feed()
    id_ = world.add("u1/a.pdf")
    fed.feed()
    fed.waits[id_] = world.clock() + dt.timedelta(seconds=2)
    assert fed.feed() == []

    world.clock.pass_by(jump)
    assert fed.feed() == [], "its two seconds are not over"
    world.clock.pass_by(2.5)

    assert fed.feed() == [id_]


def test_a_clock_that_is_set_forward_ends_what_is_waited_for(world: World) -> None:
    fed = Fed(world)
    fed.feed()
    id_ = world.add("u1/a.pdf")
    fed.feed()
    fed.waits[id_] = world.clock() + dt.timedelta(seconds=2)

    world.clock.pass_by(3600.0)

    assert fed.feed() == [id_]


def test_what_waits_for_the_nas_goes_on_waiting_when_the_clock_is_set_back(world: World) -> None:
    fed = Fed(world)
    fed.feed()
    id_ = world.add("u1/a.pdf")
    fed.feed()
    fed.waits[id_] = None

    world.clock.pass_by(-3600.0)

    assert fed.feed() == []
    assert fed.waits[id_] is None
