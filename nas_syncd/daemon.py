"""The daemon: start, loop, stop.

One thread does everything that decides: it takes hints and answers from the flow's inbox, feeds the
flow from the database, looks at the mount table, and says how it is. Whatever may hang
happens in the children. The service manager's watchdog is fed by this loop and by nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any

from nas_syncd import __version__
from nas_syncd.backlog import Backlog
from nas_syncd.compose import policy_from, site_from, table_from
from nas_syncd.desk import CountedTable
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, JournalError
from nas_syncd.fates import log_fate
from nas_syncd.flow import Flow
from nas_syncd.intake import Intake
from nas_syncd.journal import DaemonLock
from nas_syncd.live import live_record
from nas_syncd.logs import Repeater, Tap, get_logger
from nas_syncd.messages import explain, remedy, text
from nas_syncd.models import Document, Fate, FateKind, MountView, Reason, Source, State
from nas_syncd.sdnotify import Notifier
from nas_syncd.settings import Settings, notify_environment
from nas_syncd.settle import Settling
from nas_syncd.upkeep import Upkeep
from nas_syncd.watcher import Batch, UploadsState, UploadsView

if TYPE_CHECKING:  # they are imported where they are wanted
    from nas_syncd.alerts import Alerts
    from nas_syncd.api.front import Front
    from nas_syncd.documents.writes import WriteEvents

TICK_SECONDS = 1.5
"""A daemon with nothing to do wakes up so often, and for little else."""
STOP_SECONDS = 7.0
"""How long files in flight may take to finish at a stop; the rest of ten seconds is for closing."""
RUNS_SECONDS = 6.0
"""The same for what the API's runs have in flight."""
DATABASE_RETRY_SECONDS = (1.0, 2.0, 5.0)
LIVE_SECONDS = 1.5
WATCHED_SECONDS = 0.5
WAIT_LOOK_SECONDS = 0.2
JOURNAL_RETRY_SECONDS = 2.0

_log = get_logger("nas_syncd.daemon")


def run_daemon(settings: Settings, reload: Callable[[], Settings], tap: Tap | None = None) -> int:
    """Run until a signal ends it; return the exit code. Logging is configured by the caller.

    Args:
        tap: The last log lines, for who asks the daemon for them.

    Raises:
        StateDirectoryBusyError: Another daemon owns the state directory.
        JournalError: The state directory cannot be used.
        ConfigurationError: No driver for the database, or the table is not as it must be.
    """
    daemon = Daemon(settings, reload, tap)
    daemon.start()
    try:
        daemon.loop()
    finally:
        daemon.stop()
    return 0


def spare_what_stays() -> None:
    """
    Take what lives as long as the process out of the garbage collector's rounds.

    Some 100,000 objects of the imported modules: a full collection looks at each, holds the
    interpreter for 70 ms meanwhile, and so every thread that has an answer to give.
    """
    gc.collect()
    gc.freeze()


class Daemon:
    """See the module. ``start``, ``loop`` and ``stop`` are called by one thread, in this order."""

    def __init__(
        self, settings: Settings, reload: Callable[[], Settings], tap: Tap | None = None
    ) -> None:
        self.settings = settings
        self._tap = tap
        self._front: Front | None = None
        """None where FastAPI is not installed."""
        self._alerts: Alerts | None = None
        """None where nobody is to be told."""
        self._reload = reload
        self._repeater = Repeater()
        self._stopping = 0
        """How many signals asked for the end."""
        self._reload_wanted = False
        self._database_since: float | None = None
        self._database_due = 0.0
        self._database_tries = 0
        self._database_detail = ""
        self._checked_table = False
        self._resume_wanted = True
        """Whether receipts may be left that no pending row leads to."""
        self._resumed_pass = 0
        self._was_stuck = False
        self._show_due = self._live_due = 0.0
        self._live_shown: dict[str, Any] = {}
        self._synced = 0
        self._next_due: float | None = None
        self._wait_known_until = 0.0
        self._writes: WriteEvents | None = None
        """None where writes to the database cannot be heard."""
        self.notifier = Notifier(notify_environment())

    # -- start ------------------------------------------------------------------------------

    def start(self) -> None:
        settings = self.settings
        self.table = table_from(settings, CountedTable)
        self.site = site_from(
            settings,
            watch=True,
            on_hints=lambda hints: self.flow.inbox.put(hints),
            on_view=lambda view: self.flow.inbox.put(view),
            on_wake=lambda: self.flow.inbox.put(None),
            on_mount=lambda was, now: self.flow.inbox.put((was, now)),
        )
        self.lock = DaemonLock(settings.state_dir)
        self.settling = Settling(settings.settle_seconds)
        self.flow = Flow(
            self.site,
            self.table,
            settled=lambda relative, version: self.intake.settled(relative, version),
            on_fate=self._fate,
        )
        self.flow.database_away = lambda: self._database_since is not None
        self.intake = Intake(self.site, self.table, self.settling, self._offer_with)
        self.backlog = Backlog(self.site, self.table, self.flow.waits, self._offer)
        self.upkeep = Upkeep(self.site, self.table, self.flow.inbox, self._look_again)
        try:
            self._front = self._make_front()
            self.lock.acquire()
        except (ConfigurationError, JournalError):
            self.site.close()
            self.table.close()
            raise
        self._install_signals()
        _log.info(
            "daemon.started",
            version=__version__,
            pid=os.getpid(),
            nas=settings.nas_path,
            uploads=settings.upload_dir,
            database=self.table.scope.database,
            table=self.table.scope.table,
            state=str(settings.state_dir),
        )
        self.site.uploads.start()
        self._writes = self.table.hear(lambda: self.flow.inbox.put(self.backlog.written))
        if self._front is not None:
            self._front.start()
        self._start_alerts()

    def _start_alerts(self) -> None:
        """Begin to tell people of trouble, or begin anew with what the settings say now."""
        if self._alerts is not None:
            self._alerts.close()
            self._alerts = None
        if self.settings.tells_somebody:
            from nas_syncd.alerts import Alerts

            away = self.flow.database_away
            reconcile = self.upkeep.reconcile_soon
            self._alerts = Alerts(self.settings, self.site, self.table, away, reconcile)
            self._alerts.start()

    def _make_front(self) -> Front | None:
        """
        Raises:
            ConfigurationError: The API would be open to others without a good token.
        """
        try:
            from nas_syncd.api.front import Front
        except Exception as error:  # noqa: BLE001 - whatever is wrong with FastAPI, documents are copied
            _log.warning(
                "api.not_installed",
                detail=f"{type(error).__name__}: {error}",
                text=explain(Reason("api.not_installed"), self.settings.language),
            )
            return None
        return Front(
            self.settings,
            self.site,
            self.table,
            language=lambda: self.settings.language,
            do=self.flow.inbox.put,
            offer=self._offer,
            reconcile=self.upkeep.reconcile_soon,
            on_fate=self._tell,
            tap=self._tap,
        )

    def _install_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping += 1
        self.flow.inbox.put(None)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_wanted = True
        self.flow.inbox.put(None)

    # -- the loop ---------------------------------------------------------------------------

    def loop(self) -> None:
        spare_what_stays()
        self.notifier.ready()
        while not self._stopping:
            try:
                self._round()
            except JournalError as error:
                self._journal_trouble(error)
            self.notifier.ping()
            if self._front is not None:
                self._front.desk.beat()

    def _round(self) -> None:
        if self._reload_wanted:
            self._reload_settings()
        self._look_at_mount()
        uploads_due = self.site.uploads.tick(time.monotonic())
        self._ask_database()
        self.upkeep.tick()
        self._show()
        _, messages = self.flow.step(self._timeout(uploads_due))
        for message in messages:
            self._take(message)

    def _timeout(self, uploads_due: float) -> float:
        """How long the loop may sleep when nothing arrives."""
        now = time.monotonic()
        dues = [now + TICK_SECONDS, uploads_due, self._show_due]
        if self._database_since is None and self.flow.room:
            dues += [due for due in (self.intake.due(), self._next_wait()) if due is not None]
        return max(0.005, min(dues) - now)

    def _next_wait(self) -> float | None:
        """When the next waiting document is due (monotonic), looked up a few times a second."""
        now = time.monotonic()
        if now >= self._wait_known_until:
            untils = [until for until in self.flow.waits.values() if until is not None]
            rest = (min(untils) - self.site.now()).total_seconds() if untils else None
            self._next_due = None if rest is None else now + rest
            self._wait_known_until = now + WAIT_LOOK_SECONDS
        return self._next_due

    def _take(self, message: Any) -> None:
        if message is None:
            return
        if isinstance(message, Batch):
            self._hear(message)
        elif isinstance(message, UploadsView):
            self._uploads_changed(message)
        elif isinstance(message, tuple):
            self._mount_changed(*message)
        else:
            self._guarded(message)

    def _hear(self, hints: Batch) -> None:
        try:
            self.intake.forget_missing(hints)
            self.intake.hear(hints)
        finally:
            hints.taken()

    def _offer(self, documents: Iterable[Document]) -> None:
        documents, active = list(documents), self.flow.active()
        self.intake.met(document for document in documents if document.id not in active)
        self.flow.offer(documents)

    def _offer_with(self, documents: Iterable[Document], sources: dict[str, Source]) -> None:
        self.flow.offer(documents, sources)

    def _look_again(self, ids: list[str]) -> None:
        for document_id in ids:
            self.flow.waits[document_id] = self.site.now()

    # -- the database -----------------------------------------------------------------------

    def _ask_database(self) -> None:
        if self._database_since is not None and time.monotonic() < self._database_due:
            return
        self._guarded(self._feed)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do what asks the database; when it is away, note it and go on with the rest."""
        try:
            work()
        except DatabaseUnavailableError as error:
            self._database_away(error)
        except ConfigurationError:
            if self._checked_table:  # it was right at the start: somebody is at work on it
                self._database_away(DatabaseUnavailableError("the table has changed"))
            else:
                raise

    def _feed(self) -> None:
        if not self._checked_table:
            self.table.check()
            self._checked_table = True
        elif self._database_since is not None:
            self.table.row_exists("0")
        self._database_back()
        if self._resume_wanted or self.backlog.passes != self._resumed_pass:
            self._resume()
        usable = self.site.guard.view.usable
        self.intake.claim(self.flow.room)
        self.backlog.feed(self.flow.room, everything=usable)
        self.upkeep.reconcile()

    def _resume(self) -> None:
        """Take up receipts that could not be marked, or were not noted as marked; with each pass
        over the pending rows also those of a process that was killed between the two."""
        passes, after = self.backlog.passes, ""
        states = [State.COPIED, State.MARKING]
        while page := self.site.journal.in_states(self.table.scope, states, after):
            after = page[-1].id
            self.flow.offer(self.table.get([entry.id for entry in page]).values())
        self._resume_wanted, self._resumed_pass = False, passes

    def _database_away(self, error: DatabaseUnavailableError) -> None:
        tries = DATABASE_RETRY_SECONDS
        wait = tries[min(self._database_tries, len(tries) - 1)]
        self._database_tries += 1
        self._database_due = time.monotonic() + wait
        self._database_detail = error.detail
        if self._database_since is None:
            self._database_since = time.monotonic()
            self._show_due = 0.0  # at once: who asks is told what was, until then
        told = self._repeater.should_log("database", self.site.now())
        if told:
            _log.error(
                "database.unavailable",
                detail=error.detail,
                since=told.since,
                remedy=remedy(error.code, self.settings.language),
            )

    def _database_back(self) -> None:
        if self._database_since is None:
            return
        _log.info("database.back", seconds=round(time.monotonic() - self._database_since, 1))
        self._repeater.clear("database", self.site.now())
        self._database_since, self._database_tries = None, 0
        self._show_due = 0.0
        self._resume_wanted = True
        self.backlog.release()

    def _journal_trouble(self, error: JournalError) -> None:
        told = self._repeater.should_log("journal", self.site.now())
        if told:
            _log.error("journal.unusable", detail=error.detail, since=told.since)
        self.flow.reset()
        self._resume_wanted = True  # what was marked, and could not be noted so
        deadline = time.monotonic() + JOURNAL_RETRY_SECONDS
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.1)  # there is nothing to wait for: the state directory tells nobody
        self.backlog.release()

    # -- the mount and the folder -----------------------------------------------------------

    def _look_at_mount(self) -> None:
        guard = self.site.guard
        if guard.due(self.flow.wants_nas) or guard.untried:
            guard.check(write=not guard.view.usable or guard.untried)
        stuck = self.site.agent.stuck
        if self._was_stuck and not stuck:
            self.upkeep.clean_again()
            guard.check()
        self._was_stuck = stuck
        if not guard.view.usable and guard.view.reason is not None and guard.view.checked_at:
            self._tell_mount(guard.view)

    def _tell_mount(self, view: MountView) -> None:
        told = self._repeater.should_log(("mount", view.state), self.site.now())
        if told and not told.first and view.reason:
            _log.warning(
                "mount.still_unusable",
                state=str(view.state),
                since=view.since,
                text=explain(view.reason, self.settings.language),
            )

    def _mount_changed(self, was: MountView, now: MountView) -> None:
        self._repeater.clear(("mount", was.state), self.site.now())
        log = _log.info if now.usable else _log.warning
        language = self.settings.language
        log(
            "mount.changed",
            state=str(now.state),
            was=str(was.state),
            path=now.path,
            source=now.source,
            text=explain(now.reason, language) if now.reason else text("mount.ok", language),
        )
        if self._front is not None:
            self._front.desk.mount_changed(now)
        if self._alerts is not None:
            self._alerts.happened(urgent=True)
        if now.usable:
            self.backlog.release()

    def _uploads_changed(self, view: UploadsView) -> None:
        log = _log.info if view.state is UploadsState.OK else _log.warning
        language = self.settings.language
        about = view.reason or view.warning
        log(
            "uploads.changed",
            state=str(view.state),
            path=view.path,
            watching=view.watching,
            text=explain(about, language) if about else None,
        )
        if view.state is UploadsState.OK:
            self.backlog.release()

    # -- telling ----------------------------------------------------------------------------

    def _fate(self, fate: Fate) -> None:
        self._tell(fate)
        if fate.kind in (FateKind.WAITING, FateKind.FAILED, FateKind.REFUSED):
            self.backlog.waiting(fate.document)
        else:
            self.intake.over(fate.document)

    def _tell(self, fate: Fate) -> None:
        """Log it, count it, publish it; also what a run of the API's tells, in its thread."""
        code = fate.reason.code if fate.reason else ""
        said = fate.kind is FateKind.REFUSED and not self._repeater.should_log(
            (fate.document.id, code), self.site.now()
        )
        if not said:
            log_fate(_log, fate, self.settings.language)
        self._synced += fate.kind is FateKind.SYNCED
        if self._front is not None:
            self._front.desk.told(fate)
        alerts = self._alerts  # a reload may take it away at any moment
        if alerts is not None:
            alerts.happened(urgent=fate.kind is FateKind.REFUSED)

    def _show(self) -> None:
        """Tell how things stand to who watches, and write it down, when it has changed."""
        now = time.monotonic()
        if now < self._show_due:
            return
        watched = self._front is not None and self._front.watched
        self._show_due = now + (WATCHED_SECONDS if watched else LIVE_SECONDS)
        away = self._database_detail if self._database_since is not None else None
        others = self._front.desk.runs.flying() if self._front is not None else []
        live = live_record(self.site, self.flow, self.intake, away, others)
        if self._front is not None:
            self._front.desk.show(live, watched=watched)
        if live != self._live_shown and now >= self._live_due:
            self._live_due = now + LIVE_SECONDS
            self._live_shown = live
            self.site.journal.put("live", {**live, "at": self.site.now().isoformat()})
        self.notifier.status(self._status_line())

    def _status_line(self) -> str:
        view = self.site.guard.view
        language = self.settings.language
        state = (
            text("mount.ok", language) if view.usable else text(f"mount.{view.trouble}", language)
        )
        return text(
            "daemon.status",
            language,
            synced=self._synced,
            waiting=len(self.flow.waits) + len(self.flow.active()),
            mount=state,
        )

    # -- reload and stop --------------------------------------------------------------------

    def _reload_settings(self) -> None:
        """Take what can be taken without a restart: the patience, the folders, the language."""
        self._reload_wanted = False
        self.notifier.reloading()
        try:
            fresh = self._reload()
        except ConfigurationError as error:
            _log.error("daemon.reload_refused", text=error.detail)
        else:
            fixed = (
                "nas_path",
                "upload_dir",
                "db_upload_dir",
                "state_dir",
                "db_table",
                "api_host",
                "api_port",
                "api_token",
            )
            ignored = [n for n in fixed if getattr(fresh, n) != getattr(self.settings, n)]
            self.settings = fresh
            self.site.policy = policy_from(fresh)
            self.site.guard.min_free_bytes = int(fresh.min_free_space)
            self.settling.settle_seconds = fresh.settle_seconds
            self.backlog.hurry()
            self._start_alerts()
            _log.info("daemon.reloaded", needs_restart=ignored)
        self.notifier.ready()

    def stop(self) -> None:
        """Let files in flight finish for a while, then go, whatever the mount does."""
        self.notifier.stopping()
        deadline = time.monotonic() + STOP_SECONDS
        runs_deadline = time.monotonic() + RUNS_SECONDS
        _log.info("daemon.stopping", in_flight=len(self.flow.flying()))
        self.flow.close()
        if self._front is not None:
            self._front.desk.runs.stop()
        try:
            while self.flow.flying() and time.monotonic() < deadline and self._stopping < 2:
                self.flow.step(min(0.2, max(0.01, deadline - time.monotonic())))
        except (JournalError, DatabaseUnavailableError, ConfigurationError) as error:
            _log.error("daemon.stop_interrupted", detail=error.detail)
        left = len(self.flow.flying())
        with contextlib.suppress(JournalError):
            self.flow.let_go()
        if self._front is not None:
            self._front.stop(lambda: self._stopping < 2 and time.monotonic() < runs_deadline)
        if self._alerts is not None:
            self._alerts.close()
        self.site.close(grace_seconds=0.5)
        if self._writes is not None:
            self._writes.close()
        self.table.close()
        self.lock.release()
        self.notifier.close()
        _log.info("daemon.stopped", abandoned=left)
