"""Fixtures for tests of the real daemon on a stage of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stage import RunningDaemon, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "world").pair()


@pytest.fixture
def start() -> Iterator[Callable[..., RunningDaemon]]:
    """Start daemons; all of them are gone at the end."""
    with ExitStack() as running:
        yield lambda stage, **more: running.enter_context(RunningDaemon(stage, **more))
