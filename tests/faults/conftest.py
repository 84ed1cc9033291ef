"""What the lab's groups leave running for the length of a process is ended with the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import backends


@pytest.fixture(scope="session", autouse=True)
def _servers() -> Iterator[None]:
    yield
    backends.remove_servers()
