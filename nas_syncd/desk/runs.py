"""Runs: a person's wish, granted in a thread of its own beside the daemon's work.

A run has a flow of its own on the daemon's site: a document that the daemon has in hand is waited
for and counts, one that it has done meanwhile counts, too; nothing is copied twice, and nobody
waits for anybody else's run.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from nas_syncd.desk.views import Json, iso
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import SyncError
from nas_syncd.inherited import Checked
from nas_syncd.logs import get_logger
from nas_syncd.manual import Ended, Ending
from nas_syncd.messages import explain, render_error
from nas_syncd.messages.asdata import reason_data
from nas_syncd.models import Fate, Reason
from nas_syncd.site import Site
from nas_syncd.wishes import Grant, Line, Tally, Wish
from nas_syncd.works import Work

MOST_AT_ONCE = 8
MOST_SINGLE = 64
"""So many runs of one document each may be under way beside them."""
KEPT = 20
MOST_ENDINGS = 10_000
"""So many endings and lines of errors are kept of one run; its counts go on."""
ERRORS_AT_ONCE = 100
"""So many lines of errors go with each look at a run; ``ended`` has all of them."""
JOIN_SECONDS = 0.1
ENDINGS_AT_ONCE = 1000


_log = get_logger("nas_syncd.desk")

CUT_SHORT = "api.cut_short"


class TooManyRunsError(SyncError):
    """So many runs are under way that another one must wait."""

    code = "api.too_many_runs"


class Run:
    """One wish under way. Written by its own thread, read by everybody."""

    def __init__(self, wish: Wish, nas_path: str, language: str, now: dt.datetime) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.wish = wish
        self.language = language
        self.begun_at = now
        self.ended_at: dt.datetime | None = None
        self.error: SyncError | None = None
        self.lines: list[Line] = []
        self.tally = Tally(nas_path, language, on_line=self._keep, most_errors=MOST_ENDINGS)
        self.place = ""
        """Where the last safe document is."""
        self.finished: Future[Run] = Future()
        self.finished.set_running_or_notify_cancel()  # who stops waiting does not cancel it
        self.grant: Grant | None = None
        self.cut_short = False
        """The daemon was told to end; there is no reason beside that."""

    @property
    def state(self) -> str:
        if not self.finished.done():
            return "running"
        return "stopped" if self.cut_short or self.error is not None else "done"

    def result(self, most: int = MOST_ENDINGS) -> Json:
        """Return what ``POST /sync/run`` answers, with so many errors at most."""
        tally = self.tally
        errors = tally.errors[:most]
        if self.error is not None:
            errors.append(render_error(self.error, self.language))
        elif self.cut_short:
            errors.append(explain(Reason(CUT_SHORT), self.language))
        return {
            "total": tally.total,
            "synced": tally.synced,
            "failed": tally.failed,
            "errors": errors,
            "waiting": tally.waiting,
        }

    def as_json(self, after: int) -> Json:
        """Return it as :class:`shapes.Run`, with the endings after *after*."""
        state, tally, error = self.state, self.tally, self.error
        shown = self.lines[after : after + ENDINGS_AT_ONCE]
        why = Reason(error.code, {"detail": error.detail, **error.params}) if error else None
        return {
            "run": self.id,
            "url": f"/sync/runs/{self.id}",
            "events": "/sync/events",
            "state": state,
            "reason": reason_data(why, self.language),
            "expected": tally.expected,
            "done": tally.done,
            **self.result(ERRORS_AT_ONCE),
            "checked": tally.checked_count,
            "proven": tally.proven,
            "recopied": tally.recopied,
            "unverifiable": tally.unverifiable,
            "ended": [
                {
                    "id": one.id,
                    "name": one.name,
                    "ending": one.ending,
                    "text": one.text,
                    "error": one.is_error,
                }
                for one in shown
            ],
            "next": after + len(shown),
            "begun_at": iso(self.begun_at),
            "ended_at": iso(self.ended_at),
        }

    def _keep(self, line: Line) -> None:
        if len(self.lines) < MOST_ENDINGS:
            self.lines.append(line)


class Runs:
    """The last runs. Thread-safe."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        on_fate: Callable[[Fate], None],
        on_checked: Callable[[], None],
    ) -> None:
        """
        Args:
            on_fate: Told of every fate, in the run's thread.
            on_checked: Called when an inherited flag was looked at.
        """
        self._on_checked = on_checked
        self._site = site
        self._table = table
        self._on_fate = on_fate
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def begin(self, wish: Wish, language: str) -> Run:
        """Begin to grant *wish* in a thread of its own; it is told of in *language*.

        Raises:
            TooManyRunsError: Too many are under way, or the daemon is ending.
        """
        run = Run(wish, self._site.plan.nas_path, language, self._site.now())
        with self._lock:
            single = len(wish.ids) == 1
            under_way = sum(
                one.state == "running" and (len(one.wish.ids) == 1) is single
                for one in self._runs.values()
            )
            if self._closed or under_way >= (MOST_SINGLE if single else MOST_AT_ONCE):
                raise TooManyRunsError(runs=under_way)
            self._runs[run.id] = run
            for old in list(self._runs.values())[:-KEPT]:
                if old.state != "running":
                    del self._runs[old.id]
            thread = threading.Thread(target=self._go, args=(run,), name="run", daemon=True)
            self._threads.add(thread)
        thread.start()
        return run

    def get(self, run_id: str) -> Run | None:
        with self._lock:
            return self._runs.get(run_id)

    def flying(self) -> list[Work]:
        """Return what the runs have on its way to the NAS."""
        with self._lock:
            grants = [run.grant for run in self._runs.values()]
        return [work for grant in grants if grant is not None for work in grant.flying()]

    def stop(self) -> None:
        """Begin nothing new; what flies may land. :meth:`join` waits for it."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            if run.grant is not None:
                run.grant.stop()

    def join(self, go_on: Callable[[], bool]) -> None:
        """Wait until all of them have ended, as long as *go_on* says so."""
        for thread in list(self._threads):
            while thread.is_alive() and go_on():
                thread.join(JOIN_SECONDS)

    def _go(self, run: Run) -> None:
        grant = run.grant = self._grant(run)
        try:
            if self._closed:
                grant.stop()
            grant.go()
        except SyncError as error:
            run.error = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - a run that breaks must be told as ended
            run.error = SyncError(f"{type(error).__name__}: {error}")
            self._broken(run, error)
        finally:
            run.ended_at = self._site.now()
            run.cut_short = grant.stopped
            run.finished.set_result(run)
            self._see_off(run, grant)
            run.grant = None
            self._threads.discard(threading.current_thread())

    def _see_off(self, run: Run, grant: Grant) -> None:
        try:
            grant.see_off(lambda: not self._closed)
        except Exception as error:  # noqa: BLE001 - nobody is left to take it
            self._broken(run, error)

    def _broken(self, run: Run, error: Exception) -> None:
        """What a run meets when the daemon has ended around it is nobody's concern."""
        if not self._closed:
            _log.error("run.broken", run=run.id, exc_info=error)

    def _grant(self, run: Run) -> Grant:
        def on_end(ended: Ended) -> None:
            placed = self._with_place(ended)
            run.place = placed.fate.receipt.destination if placed.fate.receipt else run.place
            run.tally.ended(placed)

        def on_checked(checked: Checked) -> None:
            run.place = checked.receipt.destination if checked.receipt else run.place
            run.tally.checked(checked)
            self._on_checked()

        return Grant(
            self._site,
            self._table,
            run.wish,
            on_total=run.tally.total_is,
            on_end=on_end,
            on_checked=on_checked,
            on_unknown=run.tally.unknown,
            on_fate=self._on_fate,
        )

    def _with_place(self, ended: Ended) -> Ended:
        """What was safe already says where it is, as what was copied does."""
        if ended.ending is not Ending.SAFE or ended.fate.receipt is not None:
            return ended
        entry = self._site.journal.entry(self._table.scope, ended.document.id)
        receipt = entry.receipt if entry else None
        return replace(ended, fate=replace(ended.fate, receipt=receipt))
