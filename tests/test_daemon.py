"""What the daemon does to its own process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from nas_syncd.daemon import spare_what_stays


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
