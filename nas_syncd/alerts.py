"""Tells people who are not looking: gathers what stands where, and has it sent.

A thread of its own, so that neither the database nor an address can hold up the daemon's loop.
It asks the guard's view (never the mount), the journal and, every few minutes, the table. What
leaves this machine holds ids and reasons: no document's name, no path in the upload folder.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nas_syncd import __version__
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import JournalError, SyncError
from nas_syncd.logs import Repeater, get_logger
from nas_syncd.messages import explain, remedy, text
from nas_syncd.models import Entry, MountState, MountView, Reason, State
from nas_syncd.notify import (
    Alarms,
    Channel,
    Facts,
    Kind,
    Letter,
    Limits,
    News,
    Outbox,
    Pinger,
    Waiting,
    address_key,
)
from nas_syncd.notify.alarms import MOST_PROBLEMS
from nas_syncd.settings import Settings, senders_environment
from nas_syncd.site import Site

TICK_SECONDS = 5.0
QUICK_SECONDS = 0.5
"""After something urgent: several things often happen at once."""
COUNT_SECONDS = 300.0
"""Between two counts of the table while nothing happens."""
COUNT_SHARE = 0.01
"""The part of the time that counting may take when much happens."""
COUNT_SOON_SECONDS = 5.0
PING_EVERY_SECONDS = 300.0
CHECKED_WITHIN = dt.timedelta(minutes=65)
"""An idle NAS is looked at once an hour: an older look is no proof that it is well."""
MEMORY = "alerts"
PAGE = 500
MOST_PAGES = 20

_UNKNOWN = (MountState.UNKNOWN, MountState.UNCONFIGURED)
_log = get_logger("nas_syncd.alerts")


class Alerts:
    """Made, started and closed by the daemon's thread; :meth:`happened` may come from any."""

    def __init__(
        self,
        settings: Settings,
        site: Site,
        table: DocumentsTable,
        database_away: Callable[[], bool],
        reconcile: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            reconcile: Called when rows were deleted, it seems: receipts may be left of them, which
                would hide flags without proof.
        """
        self._settings = settings
        self._language = settings.language
        self._site = site
        self._table = table
        self._database_away = database_away
        self._reconcile = reconcile
        self._total = 0
        self._repeater = Repeater()
        self._wake = threading.Condition()
        self._closed = False
        self._urgent = self._stirred = True
        self._count_due = self._soon = 0.0
        """When the table is counted; and at the earliest, because something has happened."""
        self._ping_due = 0.0
        self._safe = False
        self._facts = Facts(site.now(), None, None, None)
        self._saving = threading.Lock()
        self._kept: dict[str, Any] = {}
        self._channels: list[Channel] = []
        address = settings.ping_url.get_secret_value()
        agent = f"nas-syncd/{__version__}"
        self._pinger = Pinger(address, agent, self._pinged) if address else None
        self._remember({})
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)

    def _remember(self, kept: dict[str, Any]) -> None:
        """
        Raises:
            ValueError, TypeError, LookupError, AttributeError: *kept* is not what we keep.
        """
        settings = self._settings
        limits = Limits(
            away=dt.timedelta(minutes=settings.notify_away_minutes),
            waiting=dt.timedelta(hours=settings.notify_waiting_hours),
        )
        addresses = [address_key(url.get_secret_value()) for url in settings.notify_urls]
        self._alarms = Alarms(limits, kept.get("alarms"))
        self._outbox = Outbox(addresses, kept.get("outbox"), self._save)
        self._kept = kept

    def start(self) -> None:
        if self._settings.notify_urls and importlib.util.find_spec("apprise") is None:
            reason = Reason("notify.no_apprise")
            _log.warning("notify.unavailable", text=explain(reason, self._language))
        self._thread.start()

    def happened(self, *, urgent: bool) -> None:
        """Something has changed: look at once, or have it counted at one of the next looks."""
        self._stirred = True
        if urgent:
            with self._wake:
                self._urgent = True
                self._wake.notify_all()

    def close(self) -> None:
        """End it, within a second. What was not sent is sent after the next start."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            self._outbox.close()
        for channel in self._channels:
            channel.close()
        if self._thread.is_alive():
            self._thread.join(0.5)

    # -- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        recalled = False
        while not self._wait():
            try:
                recalled = recalled or self._recall()
                if recalled:
                    self._look()
            except SyncError as error:  # the next look is soon; the daemon's loop tells of it
                _log.debug("notify.interrupted", detail=error.detail)
            except Exception:  # noqa: BLE001 - who tells of trouble must not end in silence
                if self._repeater.should_log("broken", self._site.now()):
                    _log.exception("notify.broken")

    def _recall(self) -> bool:
        """Take up what was kept before a restart, and begin to send; False: it was closed.

        Raises:
            JournalError: It cannot be read now.
        """
        kept = self._site.journal.get(MEMORY) or {}
        with self._wake:
            if self._closed:
                return False
            try:
                self._remember(kept)
            except (ValueError, TypeError, LookupError, AttributeError) as error:  # another version
                _log.warning("notify.forgotten", detail=f"{type(error).__name__}: {error}")
                self._remember({})
            environment = senders_environment()
            urls = [url.get_secret_value() for url in self._settings.notify_urls]
            self._channels = [Channel(url, self._outbox, self._tried, environment) for url in urls]
        for channel in self._channels:
            channel.start()
        return True

    def _wait(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._urgent, TICK_SECONDS)
            if self._urgent:
                self._wake.wait_for(lambda: self._closed, QUICK_SECONDS)
            self._urgent = False
            return self._closed

    def _look(self) -> None:
        if self._stirred:
            self._stirred = False
            self._count_due = min(self._count_due, self._soon)
        self._gather()
        news = self._alarms.look(self._facts)
        if news and self._channels:
            lost = self._outbox.add([self._worded(one) for one in news], self._site.now())
            if lost:
                _log.error("notify.dropped", count=lost)
        self._save()
        self._ping()

    def _ping(self) -> None:
        now = time.monotonic()
        due = self._pinger is not None and now >= self._ping_due and self._all_safe()
        if due and self._pinger is not None and self._pinger.call():
            self._ping_due = now + PING_EVERY_SECONDS

    def _gather(self) -> None:
        site, now = self._site, self._site.now()
        view, away = site.guard.view, self._database_away()
        unknown = view.state in _UNKNOWN
        gone = not view.usable and view.state is not MountState.FULL
        self._facts = replace(
            self._facts,
            now=now,
            away=None if unknown else gone,
            full=None if unknown else view.state is MountState.FULL,
            database_away=away,
            problems=self._problems(),
        )
        if away:
            self._facts = replace(self._facts, waiting=None)
            self._safe = False
        elif time.monotonic() >= self._count_due:
            self._count(now)
        waiting = self._facts.waiting
        pending = {"pending": waiting.pending} if waiting and waiting.pending else {}
        mount = {"reason": explain(view.reason, self._language).rstrip(".")} if view.reason else {}
        about = {kind: {**pending, **mount} for kind in (Kind.AWAY, Kind.FULL)}
        oldest = {"at": waiting.oldest} if waiting and waiting.oldest else {}
        self._facts = replace(self._facts, about={**about, Kind.WAITING: {**pending, **oldest}})

    def _count(self, now: dt.datetime) -> None:
        """Count the table: one full pass over all that there is."""
        began = time.monotonic()
        site, scope = self._site, self._table.scope
        counts = self._table.counts()
        tally = site.journal.tally(scope, site.nas)
        pending = max(0, counts.total - counts.synced)
        self._safe = not pending and tally.proven == counts.synced and not tally.problems
        if tally.proven > counts.synced or counts.total < self._total:
            self._reconcile()
            self._stirred = True
        self._total = counts.total
        oldest = counts.oldest_pending
        overdue = oldest is not None and now - oldest >= self._alarms.limits.waiting
        if overdue and tally.problems:  # those were told as such
            pending, oldest = self._oldest_but_problems(pending, oldest)
        self._facts = replace(self._facts, waiting=Waiting(pending, oldest))
        ended = time.monotonic()
        cost = (ended - began) / COUNT_SHARE
        patience = min(COUNT_SECONDS, self._alarms.limits.waiting.total_seconds())
        self._count_due = ended + max(patience, cost)
        self._soon = ended + max(COUNT_SOON_SECONDS, cost)

    def _oldest_but_problems(
        self, pending: int, oldest: dt.datetime | None
    ) -> tuple[int, dt.datetime | None]:
        """Return how many wait that were not given up, and when the oldest was created.

        Where there are too many to look at each, what is known of all of them.
        """
        journal, scope = self._site.journal, self._table.scope
        left, earliest, cursor = 0, None, None
        for _ in range(MOST_PAGES):
            page = self._table.pending(cursor, PAGE)
            entries = journal.entries(scope, [document.id for document in page.documents])
            for document in page.documents:
                entry = entries.get(document.id)
                if entry is not None and entry.state is State.PROBLEM:
                    continue
                left += 1
                if document.created_at is not None:
                    earliest = min(earliest or document.created_at, document.created_at)
            cursor = page.cursor
            if cursor is None:
                return left, earliest
        return pending, oldest

    def _problems(self) -> dict[str, str]:
        """Return the documents that were given up: id → why, without a name or a path."""
        journal, scope = self._site.journal, self._table.scope
        if not journal.tally(scope, self._site.nas).problems:
            return {}
        found: list[Entry] = []
        after = ""
        while len(found) < MOST_PROBLEMS:
            page = journal.in_states(scope, [State.PROBLEM], after, PAGE)
            found += page
            if len(page) < PAGE:
                break
            after = page[-1].id
        return {entry.id: self._problem(entry) for entry in found}

    def _problem(self, entry: Entry) -> str:
        code = entry.reason.code if entry.reason else "unknown"
        return f"{entry.id}: {text(code, self._language)}"

    def _all_safe(self) -> bool:
        """Whether the newest count found everything safe, on a NAS known to be well."""
        view: MountView = self._site.guard.view
        if not (self._safe and view.usable and view.checked_at and self._alarms.quiet):
            return False
        return self._site.now() - view.checked_at <= CHECKED_WITHIN

    # -- words ------------------------------------------------------------------------------

    def _worded(self, news: News) -> tuple[str, str, str]:
        language, params = self._language, dict(news.params)
        lines = params.pop("documents", ())
        title = text(f"notify.{news.code}.title", language, host=platform.node(), **params)
        body = [text(f"notify.{news.code}", language, **params)]
        if isinstance(lines, Sequence) and not isinstance(lines, str):
            body += [f"- {line}" for line in lines]
        hint = remedy(f"notify.{news.code}", language, **params)
        return title, "\n".join([*body, *([hint] if hint else [])]), str(news.severity)

    # -- what comes back --------------------------------------------------------------------

    def _tried(self, channel: Channel, letter: Letter, failure: str | None, pause: float) -> None:
        about = {"title": letter.title, "to": channel.scheme}
        if failure is None:
            _log.info("notify.sent", **about)
        elif self._repeater.should_log((channel, letter.number), self._site.now()):
            _log.warning("notify.failed", **about, detail=failure, seconds=pause)

    def _pinged(self, failure: str | None) -> None:
        if failure is None:
            self._repeater.clear("ping", self._site.now())
            _log.debug("ping.sent")
        elif self._repeater.should_log("ping", self._site.now()):
            _log.warning("ping.failed", detail=failure)
            self._ping_due = time.monotonic() + PING_EVERY_SECONDS / 5

    def _save(self) -> None:
        """Keep what must survive a restart, when it has changed; who was closed has a successor."""
        with self._saving:
            if self._closed:
                return
            fresh = {"alarms": self._alarms.as_json(), "outbox": self._outbox.as_json()}
            if fresh == self._kept:
                return
            try:
                self._site.journal.put(MEMORY, fresh, durable=True)
                self._kept = fresh
            except JournalError as error:
                _log.debug("notify.interrupted", detail=error.detail)
