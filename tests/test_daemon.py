"""What the daemon does to its own process, and between its threads."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from nas_syncd.daemon import Daemon, spare_what_stays
from nas_syncd.models import Fate, FateKind, Reason
from nas_syncd.settings import Settings
from tests.helpers import a_document


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
