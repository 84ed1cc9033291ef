"""The daemon on a stage of its own, as in ``tests/life``."""

from tests.life.conftest import stage, start

__all__ = ["stage", "start"]
