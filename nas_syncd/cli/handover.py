"""``nas-syncd sync`` with a daemon that runs: it does the work, we follow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.exits import AnsweredError
from nas_syncd.cli.remote import GoneError, Remote, error_from_reason
from nas_syncd.cli.tally import Summary
from nas_syncd.wishes import Line, Tally, Wish

POLL_SECONDS = 0.25
BIG_FILES_SECONDS = 1.0
_COUNTED = ("synced", "failed", "waiting", "proven", "recopied", "unverifiable", "done")
_STARTLING = frozenset({"failed", "unknown", "recopied", "inherited"})
"""Endings that are shown among thousands, too."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How far it came."""

    left: Wish | None
    """The daemon has ended before its time: this is left to do; None: nothing."""
    error: dict[str, Any] | None = None
    """Why it was stopped: ``code``, ``message``, ``remedy``."""


def hand_over(daemon: Remote, wish: Wish, *, patience: float) -> dict[str, Any]:
    """Have the daemon grant *wish*; return the run that it has begun.

    Args:
        patience: How long it may take to look whether the NAS can be used, in seconds.

    Raises:
        GoneError: It does not answer.
        AnsweredError: It cannot be done now, and why; nothing was begun.
    """
    return daemon.post(
        "/sync/runs",
        timeout=patience,
        id=list(wish.ids) or None,
        everything=_flag(wish.everything),
        user_id=wish.user,
        inherited=_flag(wish.inherited),
    )


def _flag(value: bool) -> str | None:
    return "true" if value else None


class Follower:
    """Tells what a run does, while it does it. The *tally* is its alone until it ends."""

    def __init__(self, daemon: Remote, run: dict[str, Any], tally: Tally, summary: Summary) -> None:
        self._daemon = daemon
        self._run = run
        self._tally = tally
        self._summary = summary
        self._ended: set[str] = set()
        self._seen = 0
        self._big: tuple[float, float] | None = None
        self._big_due = 0.0

    def follow(self, wish: Wish) -> Followed:
        """Follow it to its end. An interrupt leaves the run to the daemon."""
        try:
            self._take(self._run)
            while self._run["state"] == "running":
                time.sleep(POLL_SECONDS)
                self._look()
            while self._run["ended"]:  # there may be more of them than one answer holds
                self._look()
        except GoneError:
            return Followed(self._left(wish))
        if self._run["state"] != "stopped":
            return Followed(None)
        reason = self._run["reason"]
        if reason is None:  # the daemon was told to end
            return Followed(self._left(wish))
        return Followed(None, error_from_reason(reason))

    def _look(self) -> None:
        try:
            self._take(self._daemon.get(self._run["url"], after=self._seen))
        except AnsweredError as error:  # it does not know the run: another daemon by now
            raise GoneError(str(error)) from error

    def _take(self, run: dict[str, Any]) -> None:
        self._run = run
        tally = self._tally
        if run["expected"] != tally.expected:
            tally.total_is(run["expected"])
            self._summary.expect(run["expected"])
        for name in _COUNTED:
            setattr(tally, name, run[name])
        for one in run["ended"]:
            if one["ending"] != "recopied":
                self._ended.add(one["id"])
            routine = one["ending"] not in _STARTLING
            line = Line(one["id"], one["name"], one["ending"], one["text"], routine)
            if one["error"]:
                tally.errors.append(line.words(tally.language))
            tally.on_line(line)
        self._seen = run["next"]
        self._summary.tick(tally.done, self._big_files())

    def _big_files(self) -> tuple[float, float] | None:
        """Return how far the big files in flight are, asked for now and then."""
        if not self._summary.has_bar or time.monotonic() < self._big_due:
            return self._big
        self._big_due = time.monotonic() + BIG_FILES_SECONDS
        flying = self._daemon.get("/sync/now")["in_flight"]
        big = [one for one in flying if one["total"] >= screen.BIG_BYTES]
        done, total = (sum(one[name] for one in big) for name in ("done", "total"))
        self._big = (done, total) if big else None
        return self._big

    def _left(self, wish: Wish) -> Wish | None:
        """Return what is left of *wish*. Without ids: what is marked by now is not meant any more,
        and what failed or waits is met again."""
        if wish.ids:
            left = tuple(one for one in wish.ids if one not in self._ended)
            return Wish(left) if left else None
        for name in ("failed", "waiting", "unverifiable"):
            setattr(self._tally, name, 0)
        self._tally.errors.clear()
        return wish
