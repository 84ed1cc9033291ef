"""What every test has: the lab's fixtures, a clean environment, unhurried property tests."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

LAB_PARTS = ("tests.lab.databases", "tests.lab.mounts", "tests.lab.samba", "tests.lab.systemd")
pytest_plugins = [part for part in LAB_PARTS if importlib.util.find_spec(part)]

settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared-machine")

OUR_SETTINGS = ("NAS_", "DATABASE_URL", "UPLOAD_DIR")
ALWAYS_THERE = ("browser", "lab", "root")
"""Marks of tests that may not be skipped where ``LAB_REQUIRED=1`` says that the lab is there."""


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    """What the developer has set for a real NAS never reaches a test, nor a test it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith(OUR_SETTINGS)]:
            patch.delenv(name)
        yield


def lab_is_required() -> bool:
    return os.environ.get("LAB_REQUIRED") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """A fixture of the lab that cannot be had is a failure where the lab is required."""
    try:
        return (yield)
    except pytest.skip.Exception as skipped:
        if lab_is_required() and fixturedef.func.__module__.startswith("tests.lab."):
            pytest.fail(f"LAB_REQUIRED=1, but: {skipped}", pytrace=False)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The same for tests that skip themselves, by their marks."""
    report = yield
    marked = any(item.get_closest_marker(name) for name in ALWAYS_THERE)
    if report.skipped and marked and lab_is_required() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"LAB_REQUIRED=1, but this test was skipped: {report.longrepr}"
    return report
