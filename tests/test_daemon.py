"""What the daemon does to its own process, and between its threads."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_syncd.backlog import Backlog
from nas_syncd.daemon import Daemon, spare_what_stays
from nas_syncd.intake import Intake
from nas_syncd.models import Fate, FateKind, Reason, SourceVersion
from nas_syncd.settings import Settings
from nas_syncd.settle import Settling
from tests.helpers import World, a_document


@pytest.fixture
def heap() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("heap")
def test_a_full_collection_passes_over_what_was_there_when_work_began() -> None:
    looked_at = len(gc.get_objects())
    assert looked_at > 50_000

    spare_what_stays()

    assert len(gc.get_objects()) < looked_at / 100
    assert gc.get_freeze_count() > 50_000


@pytest.mark.usefixtures("heap")
def test_what_comes_later_is_collected_as_ever() -> None:
    spare_what_stays()
    ring: list[object] = []
    ring.append(ring)
    del ring

    assert gc.collect() >= 1


class Reloading(Daemon):
    """Its settings are reloaded, without addresses, whenever somebody has looked for alerts."""

    told = 0

    @property
    def _alerts(self) -> Any:
        alerts, self.__dict__["left"] = self.__dict__.get("left"), None
        return alerts

    @_alerts.setter
    def _alerts(self, alerts: Any) -> None:
        self.__dict__["left"] = alerts

    def happened(self, *, urgent: bool) -> None:
        self.told += not urgent


def test_a_reload_that_takes_the_alerts_away_breaks_no_run_that_tells_of_a_document() -> None:
    """Runs of the API tell in threads of their own."""
    daemon = Reloading(Settings(), Settings)
    daemon._alerts = daemon
    daemon._tell(Fate(a_document(), FateKind.WAITING, Reason("wait.mount")))
    daemon._tell(Fate(a_document(), FateKind.WAITING, Reason("wait.mount")))
    assert daemon.told == 1


@pytest.mark.parametrize("kind", list(FateKind))
def test_what_is_safe_or_needs_nothing_is_not_remembered_as_a_file_that_settles(
    tmp_path: Path, kind: FateKind
) -> None:
    """Of each document that ever came, 300 bytes and more for as long as the daemon lives."""
    world = World(tmp_path)
    try:
        daemon = Daemon(Settings(), Settings)
        daemon.settling = Settling(2.0)
        daemon.site, table = world.site(), world.table()
        daemon.intake = Intake(daemon.site, table, daemon.settling, lambda *_: None)
        daemon.backlog = Backlog(daemon.site, table, {}, lambda _: None)
        (document,) = table.get([world.add("u1/a.pdf")]).values()
        daemon.intake.observe("u1/a.pdf", SourceVersion(7, 0, 0))

        daemon._fate(Fate(document, kind, Reason("wait.mount")))

        over = kind in (FateKind.SYNCED, FateKind.NOTHING)
        assert len(daemon.settling) == (0 if over else 1)
    finally:
        world.close()
