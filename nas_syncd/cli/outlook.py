"""How things stand, as far as can be learned in a few seconds: for status, config and explain.

A running daemon has written down what it sees; else the NAS is asked here, with a short deadline.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nas_syncd import report
from nas_syncd.agent.process import AgentHungError
from nas_syncd.compose import names_from, site_from
from nas_syncd.documents import DocumentsTable
from nas_syncd.models import MountState, MountView
from nas_syncd.settings import Settings
from nas_syncd.site import Site

SHORT_SECONDS = 5.0
CLOSE_SECONDS = 0.2


@dataclass(slots=True)
class Outlook:
    """Our parts, what a daemon says, and the question to the NAS that may be on its way."""

    site: Site
    daemon: int | None
    """The running daemon's pid."""
    live: dict[str, Any] | None
    """What it wrote down last; None while it is only starting."""
    _view: MountView | None
    _asked: Future[MountView] | None
    _seconds: float

    @property
    def view(self) -> MountView:
        """The mount; waits for the answer, but never beyond the deadline."""
        if self._view is None and self._asked is not None:
            guard = self.site.guard
            try:
                self._view = self._asked.result(self._seconds)
            except TimeoutError:
                guard.trouble(AgentHungError(side="nas"))
                self._view = guard.view
        return self._view or self.site.guard.view

    @property
    def now(self) -> dt.datetime:
        return self.site.now()


def short(settings: Settings) -> Settings:
    """Return *settings* with deadlines for a person who waits for an answer."""
    seconds = min(SHORT_SECONDS, settings.nas_timeout_seconds)
    return settings.model_copy(update={"nas_timeout_seconds": seconds})


def quick_table(settings: Settings) -> DocumentsTable:
    """Return the documents table, which answers or fails within a few seconds.

    Raises:
        ConfigurationError: No driver for the database is installed.
    """
    url = settings.database_url.get_secret_value()
    return DocumentsTable.connect(url, names_from(settings), timeout_seconds=SHORT_SECONDS)


@contextmanager
def outlook(settings: Settings) -> Iterator[Outlook]:
    """Look at how things stand; whatever hangs is left behind at the end.

    Raises:
        JournalError: The state directory cannot be used.
    """
    hurried = short(settings)
    site = site_from(hurried)
    try:
        live = report.live(site.journal)
        view = report.view_from_live(live) if live else None
        if view is not None and (
            view.path != settings.nas_path or view.state is MountState.UNKNOWN
        ):
            view = None  # it was started with other settings, or has not looked yet
        asked = None if view else site.guard.check()
        daemon = report.daemon_runs(settings.state_dir)
        yield Outlook(site, daemon, live, view, asked, hurried.nas_timeout_seconds)
    finally:
        site.close(CLOSE_SECONDS)
