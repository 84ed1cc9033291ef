"""A browser for this worker, and pages in it that are judged at the end of each test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http_client import free_port
from tests.lab.parts import need_linux, program
from tests.page.look import Look
from tests.stage import Stage

if TYPE_CHECKING:  # it may not be installed
    from playwright.sync_api import Browser

Visit = Callable[..., Look]
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-quic"
    " --no-first-run --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module only: while it is open, nobody else in this thread can run a loop."""
    need_linux()
    chromium = program("chromium", "chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS.split())
        yield opened
        opened.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Paired, with a port; the daemon is not running yet."""
    return Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()


@pytest.fixture
def visit(browser: Browser, stage: Stage) -> Iterator[Visit]:
    """Open the stage's page; at the end no visit may have seen an error or a violation."""
    looks: list[Look] = []
    contexts = []

    def open_page(locale: str = "en-GB", width: int = 1280, path: str = "/") -> Look:
        context = browser.new_context(
            locale=locale,
            timezone_id="Europe/Paris",
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        contexts.append(context)
        base = f"http://127.0.0.1:{stage.settings['NAS_SYNCD_API_PORT']}"
        looks.append(Look(context, base, path))
        return looks[-1]

    yield open_page
    wrong = [words for look in looks for words in look.left_over()]
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def years() -> list[int]:
    """Ten years, the newest first."""
    this = dt.datetime.now(dt.UTC).year
    return list(range(this, this - 10, -1))
