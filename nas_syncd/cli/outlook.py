"""How things stand, as far as can be learned in a few seconds: for status, config and explain.

A running daemon has written down what it sees; else the NAS is asked here, with a short deadline.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
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


class Outlook:
    """Our parts, what a daemon says, and the question to the NAS that may be on its way."""

    def __init__(self, site: Site, seconds: float) -> None:
        self.site = site
        self.daemon: int | None = None
        """The running daemon's pid."""
        self.live: dict[str, Any] | None = None
        """What it wrote down last; None while it is only starting."""
        self._view: MountView | None = None
        self._asked: Future[MountView] | None = None
        self._ever_asked = False
        self._seconds = seconds
        self.refresh()

    def refresh(self) -> None:
        """Look anew. An idle mount that was well is left alone, as the daemon leaves it.

        Raises:
            JournalError: The state directory cannot be used.
        """
        site = self.site
        self.live = report.live(site.journal)
        self.daemon = report.daemon_runs(site.plan.state_dir)
        view = report.view_from_live(self.live) if self.live else None
        if view and (view.path != site.plan.nas_path or view.state is MountState.UNKNOWN):
            view = None  # it was started with other settings, or has not looked yet
        self._view = view
        if view is None and (not self._ever_asked or site.guard.due(False)):
            self._asked, self._ever_asked = site.guard.check(), True

    @property
    def view(self) -> MountView:
        """The mount; waits for the answer, but never beyond the deadline."""
        asked, self._asked = self._asked, None
        if self._view is None and asked is not None:
            try:
                asked.result(self._seconds)
            except TimeoutError:
                self.site.guard.trouble(AgentHungError(side="nas"))
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
        yield Outlook(site, hurried.nas_timeout_seconds)
    finally:
        site.close(CLOSE_SECONDS)
