"""Tells people who are not looking: has an eye on what stands where, and has it sent.

A thread of its own, so that neither the database nor an address can hold up the daemon's loop. What
leaves this machine holds ids and reasons: no document's name, no path in the upload folder.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import platform
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from nas_syncd import __version__
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import JournalError, SyncError
from nas_syncd.logs import Repeater, get_logger
from nas_syncd.lookout import Lookout
from nas_syncd.messages import explain, remedy, text
from nas_syncd.models import Reason
from nas_syncd.notify import (
    Alarms,
    Channel,
    Letter,
    Limits,
    News,
    Outbox,
    Pinger,
    address_key,
)
from nas_syncd.settings import Settings, senders_environment
from nas_syncd.site import Site

TICK_SECONDS = 5.0
QUICK_SECONDS = 0.5
"""After something urgent: several things often happen at once."""
PING_EVERY_SECONDS = 300.0
MEMORY = "alerts"

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
            reconcile: See :class:`~nas_syncd.lookout.Lookout`.
        """
        self._settings = settings
        self._language = settings.language
        self._site = site
        self._limits = Limits(
            away=dt.timedelta(minutes=settings.notify_away_minutes),
            waiting=dt.timedelta(hours=settings.notify_waiting_hours),
        )
        self._lookout = Lookout(
            site,
            table,
            language=settings.language,
            waiting_limit=self._limits.waiting,
            database_away=database_away,
            reconcile=reconcile,
        )
        self._repeater = Repeater()
        self._wake = threading.Condition()
        self._closed = False
        self._urgent = True
        self._ping_due = 0.0
        self._saving = threading.Lock()
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
        addresses = [address_key(url.get_secret_value()) for url in self._settings.notify_urls]
        outbox = kept.get("outbox", {})
        self._alarms = Alarms(self._limits, kept.get("alarms"))
        if not outbox.get("sent"):  # nobody was there to be told
            self._alarms = Alarms(self._limits)
        self._outbox = Outbox(addresses, outbox, self._save)

    def start(self) -> None:
        if self._settings.notify_urls and importlib.util.find_spec("apprise") is None:
            reason = Reason("notify.no_apprise")
            _log.warning("notify.unavailable", text=explain(reason, self._language))
        self._thread.start()

    def happened(self, *, urgent: bool) -> None:
        """Something has changed: look at once, or have it counted at one of the next looks."""
        self._lookout.stir()
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
            self._put([])  # what is too old by now goes before anything is sent
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
        facts = self._lookout.look(self._alarms.problems.told)
        with self._saving:  # what was told is written down with its message, never without it
            news = self._alarms.look(facts)
            if news and self._channels:
                self._put(news)
        self._save()
        self._ping()

    def _put(self, news: Sequence[News]) -> None:
        lost = self._outbox.add([self._worded(one) for one in news], self._site.now())
        if lost:
            _log.error("notify.dropped", count=lost)

    def _ping(self) -> None:
        now = time.monotonic()
        if self._pinger is None or now < self._ping_due:
            return
        if self._lookout.all_safe and self._alarms.quiet and self._pinger.call():
            self._ping_due = now + PING_EVERY_SECONDS

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
        """Keep what must survive a restart, unless it is kept; who was closed has a successor.

        What is kept is read: a journal that was begun anew holds none of it.
        """
        with self._saving:
            if self._closed:
                return
            fresh = {"alarms": self._alarms.as_json(), "outbox": self._outbox.as_json()}
            journal = self._site.journal
            try:
                if journal.get(MEMORY) != fresh:
                    journal.put(MEMORY, fresh, durable=True)
            except JournalError as error:
                _log.debug("notify.interrupted", detail=error.detail)
