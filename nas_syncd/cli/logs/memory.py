"""The last lines of the log, which a running daemon remembers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from http.client import HTTPMessage

from nas_syncd.cli.exits import DaemonGoneError
from nas_syncd.cli.logs.entries import Entry, Takes, entry_of, last
from nas_syncd.cli.remote import ANSWER_SECONDS, GoneError, Remote, knock

REOPEN_SECONDS = 1.0
FIRST_LINE = "Nas-Syncd-Log-First"
"""The header that says which line comes first."""


class LogInMemory:
    """See :class:`~nas_syncd.cli.logs.entries.Source`. Goes on with the daemon that comes after."""

    def __init__(self, daemon: Remote) -> None:
        self._daemon = daemon
        self._pid = daemon.pid
        self._last = 0

    def history(self, takes: Takes, most: int | None) -> Iterator[Entry]:
        """
        Raises:
            DaemonGoneError: It does not answer, or keeps no log.
            AnsweredError: It cannot now, and why.
        """
        try:
            yield from last(self._lines(follow=False), takes, most)
        except GoneError as error:
            raise DaemonGoneError(str(error)) from error

    def coming(self) -> Iterator[Entry]:
        while True:
            with contextlib.suppress(GoneError):
                yield from self._lines(follow=True)
            while (found := self._again()) is None:
                time.sleep(REOPEN_SECONDS)
            if found.pid != self._pid:
                self._pid, self._last = found.pid, 0

    def close(self) -> None:
        """There is nothing to close: a connection lives as long as its answer."""

    def _lines(self, *, follow: bool) -> Iterator[Entry]:
        query = {"after": self._last, "follow": "true" if follow else None}
        timeout = None if follow else ANSWER_SECONDS
        lines = self._daemon.lines("/sync/log", timeout=timeout, on_head=self._begin, **query)
        for line in lines:
            self._last += 1
            yield entry_of(line)

    def _begin(self, head: HTTPMessage) -> None:
        self._last = int(head.get(FIRST_LINE) or 1) - 1

    def _again(self) -> Remote | None:
        try:
            return knock(self._daemon.path, self._daemon.language)
        except PermissionError:
            return None
