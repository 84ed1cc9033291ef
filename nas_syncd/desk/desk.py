"""What the daemon tells, and what it takes on, while it works: the API's other side.

The daemon's thread tells the desk what happens (:meth:`Desk.told`, :meth:`Desk.show`); everybody
else asks it. Nothing asked here touches the mount, except what is meant to: :meth:`Desk.test` and
the runs, which have deadlines. Thread-safe.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from nas_syncd import __version__, report, stories
from nas_syncd.desk.counted import CountedTable, Figures, FiguresKeeper
from nas_syncd.desk.crew import Crew
from nas_syncd.desk.lists import Lists, Wanted
from nas_syncd.desk.runs import Run, Runs
from nas_syncd.desk.views import Json, fate_json, iso, mount_json, why
from nas_syncd.errors import DatabaseUnavailableError, SyncError
from nas_syncd.fates import QUIET
from nas_syncd.messages.asdata import reason_data
from nas_syncd.models import Document, Fate, FateKind, MountState, MountView, Reason
from nas_syncd.site import Site
from nas_syncd.watcher import UploadsState
from nas_syncd.wishes import Wish

if TYPE_CHECKING:  # it needs an extra
    from nas_syncd.metrics import Metrics, Snapshot

RECENT = 20
STUCK_SECONDS = 30.0
MONTHS_SECONDS = 2.0
MONTHS_SHARE = 20
"""The months are remembered for so many times as long as counting them took, at least for that."""
USER_SECONDS = 0.7
MOST_USERS = 100
CREW = 4
PATIENT = 8

Render = Callable[[str], Json]


class Board(Protocol):
    """Where events go: the hub of the event streams."""

    def publish(self, kind: str, render: Render, seq: int | None = None) -> None: ...

    def show(self, kind: str, render: Render) -> None: ...


class UnknownDocumentError(SyncError):
    """There is no such row."""

    code = "document.unknown"
    retryable = False


class NoFileError(SyncError):
    """The row has no file: a manual entry."""

    code = "document.no_file"
    retryable = False


class Desk:
    """See the module."""

    def __init__(
        self,
        site: Site,
        table: CountedTable,
        *,
        language: Callable[[], str],
        do: Callable[[Callable[[], None]], None],
        offer: Callable[[Iterable[Document]], None],
        reconcile: Callable[[], None],
        metrics: Metrics,
        board: Board | None = None,
        on_fate: Callable[[Fate], None] = lambda _fate: None,
    ) -> None:
        """
        Args:
            language: What is spoken when nobody asks for another one.
            do: Has the daemon's thread do something, soon.
            offer: Puts documents into the daemon's flow; called in its thread only.
            reconcile: Compares the journal with the table soon; called in the daemon's thread.
            board: Who watches is told there.
            on_fate: Told of the fates of runs, in their threads.
        """
        self.site = site
        self.table = table
        self.metrics = metrics
        self.board = board
        self.language = language
        self.crew = Crew(CREW, "desk")
        """Asks the database."""
        self.patient = Crew(PATIENT, "desk-patient")
        """Asks the NAS or the upload folder, which may take until their deadline."""
        self._counter = Crew(1, "desk-counter")
        self.figures = FiguresKeeper(
            table,
            lambda: site.journal.tally(table.scope, site.nas),
            self._counter.run,
            lambda: do(reconcile),
        )
        self.lists = Lists(site, table)
        self.runs = Runs(site, table, on_fate, self.figures.changed)
        self._do = do
        self._offer = offer
        self._lock = threading.Lock()
        self._seq = itertools.count(int(time.time() * 1000))  # rising over a restart, too
        self._recent: deque[Render] = deque(maxlen=RECENT)
        self._record: Json = {}
        self._shown: tuple[Json, Figures | None] | None = None
        self._database_since: str | None = None
        self._beat = time.monotonic()
        self._started = time.monotonic()
        self.started_at = site.now()
        self._months: tuple[float, str | None, Json] | None = None
        self._users: dict[str, tuple[float, Json]] = {}

    # -- told by the daemon -----------------------------------------------------------------

    def beat(self) -> None:
        """The daemon's loop has turned."""
        self._beat = time.monotonic()

    def told(self, fate: Fate) -> None:
        """One document has its fate."""
        if fate.reason is not None and fate.reason.code in QUIET:
            return
        at = self.site.now()
        receipt = fate.receipt if fate.kind is FateKind.SYNCED else None
        landed = at.timestamp() - receipt.version.mtime_ns / 1e9 if receipt else None
        self.metrics.told(fate, landed)
        seq = 0

        def render(language: str) -> Json:
            return fate_json(seq, at, fate, language)

        with self._lock:  # in the order of their numbers
            seq = next(self._seq)
            if fate.kind is not FateKind.WAITING:
                self._recent.append(render)
            if self.board is not None:
                self.board.publish("fate", render, seq)

    def mount_changed(self, view: MountView) -> None:
        if self.board is not None:
            known = self.site.guard.identity
            self.board.publish("mount", lambda language: mount_json(view, known, language))

    def show(self, record: Json, *, watched: bool) -> None:
        """Take how things stand (see :mod:`nas_syncd.live`), and tell who watches.

        Args:
            watched: Whether anybody does; the documents are then counted now and then.
        """
        if watched and record["database"]["ok"]:
            self.figures.ask()
        shown = (record, self.figures.known())
        if shown == self._shown:
            return
        self._shown = shown
        ok = record["database"]["ok"]
        if ok:
            self._database_since = None
        elif self._database_since is None:
            self._database_since = iso(self.site.now())
        self._record = record
        if self.board is not None:
            self.board.show("now", self.now)

    # -- how it is --------------------------------------------------------------------------

    def status(self, figures: Figures, language: str) -> Json:
        """Return what ``GET /sync/status`` answers for everybody's documents."""
        counts, tally, view = figures.counts, figures.tally, self.site.guard.view
        return {
            "total_documents": counts.total,
            "synced": counts.synced,
            "pending": counts.total - counts.synced,
            "sync_percentage": round(100 * counts.synced / (counts.total or 1), 1),
            "last_sync": report.naive_text(counts.last_sync),
            "nas_configured": view.usable,
            "inherited": figures.inherited,
            "waiting": tally.waiting + tally.failed,
            "problems": tally.problems,
            "reason": why(view.reason, language),
        }

    def status_of(self, user_id: str, language: str) -> Json:
        """Return the same for one user; asks the database.

        Raises:
            DatabaseUnavailableError: The rows cannot be counted.
        """
        self.require_database()
        view = self.site.guard.view
        with self._lock:
            at, known = self._users.get(user_id, (0.0, {}))
        marks = self.table.net_marks
        if not known or time.monotonic() - at > USER_SECONDS or known["marks"] != marks:
            site = self.site
            known = report.status(self.table, site.journal, view, site.nas, language, user_id)
            known["marks"] = marks
            with self._lock:
                if len(self._users) >= MOST_USERS:
                    self._users.clear()
                self._users[user_id] = time.monotonic(), known
        shown = {key: value for key, value in known.items() if key != "marks"}
        return {**shown, "nas_configured": view.usable, "reason": why(view.reason, language)}

    def config(self, language: str) -> Json:
        return report.config_status(self.site.plan.nas_path, self.site.guard.view, language)

    def database_trouble(self) -> DatabaseUnavailableError | None:
        """Return why the database cannot be asked, as far as the daemon knows."""
        database = self._record.get("database")
        if database is None or database["ok"]:
            return None
        return DatabaseUnavailableError(database["detail"])

    def require_database(self) -> None:
        """
        Raises:
            DatabaseUnavailableError: It is known to be away: nobody needs to wait for it.
        """
        trouble = self.database_trouble()
        if trouble is not None:
            raise trouble

    def page(self, wanted: Wanted, language: str) -> Json:
        """Return one page of documents, as :meth:`Lists.page`; raises what that raises."""
        self.require_database()
        return self.lists.page(wanted, language)

    def now(self, language: str) -> Json:
        """Return all that is known at a glance, but for the last fates."""
        record = self._record
        figures = self.figures.known()
        uploads = self.site.uploads.view
        trouble = self.database_trouble()
        about = Reason(trouble.code, {"detail": trouble.detail}) if trouble else None
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": iso(self.started_at),
            "at": iso(self.site.now()),
            "language": self.language(),
            "mount": mount_json(self.site.guard.view, self.site.guard.identity, language),
            "uploads": {
                "state": str(uploads.state),
                "path": uploads.path,
                "since": iso(uploads.since),
                "watching": uploads.watching,
                "reason": reason_data(uploads.reason, language),
                "warning": reason_data(uploads.warning, language),
            },
            "database": {
                "ok": trouble is None,
                "since": self._database_since,
                "reason": reason_data(about, language),
            },
            "status": self.status(figures, language) if figures else None,
            "in_flight": record.get("in_flight", []),
            "queued": record.get("queued", 0),
            "waiting": record.get("waiting", 0),
            "no_row": record.get("no_row", []),
        }

    def recent(self, language: str) -> list[Json]:
        """Return the last fates, the newest first."""
        return [render(language) for render in reversed(list(self._recent))]

    def turns(self) -> bool:
        """Whether the daemon's loop has turned of late."""
        return time.monotonic() - self._beat <= STUCK_SECONDS

    def health(self) -> Json:
        return {
            "status": "ok" if self.turns() else "stuck",
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - self._started, 1),
        }

    def readiness(self, language: str) -> Json:
        """Return whether documents can go their whole way now, and if not, why."""
        view, uploads = self.site.guard.view, self.site.uploads.view
        trouble = self.database_trouble()
        about = Reason(trouble.code, {"detail": trouble.detail}) if trouble else None
        checks = {
            "database": _check(trouble is None, "away" if trouble else "ok", about, language),
            "mount": _check(view.usable, str(view.state), view.reason, language),
            "uploads": _check(
                uploads.state is UploadsState.OK, str(uploads.state), uploads.reason, language
            ),
        }
        return {"ready": all(check["ok"] for check in checks.values()), "checks": checks}

    def months(self, user_id: str | None) -> Json:
        """Return how complete each month is, by type; asks the database, or remembers.

        ``again`` is in how many seconds they are counted anew; 0 when they just were.

        Raises:
            DatabaseUnavailableError: The rows cannot be counted.
        """
        known, began = self._months, time.monotonic()
        if known and known[1] == user_id and began < known[0]:
            return {**known[2], "again": known[0] - began}
        self.require_database()
        types = list(self.site.policy.folders)
        cells: dict[str, dict[str, Json]] = {}
        for count in self.table.months(user_id):
            kind = count.doc_type if count.doc_type in types else "other"
            cell = cells.setdefault(count.month, {}).setdefault(
                kind, {"documents": 0, "safe": 0, "missing": 0}
            )
            cell["documents"] += count.documents
            cell["safe"] += count.synced
            cell["missing"] += count.documents - count.synced
        months = [{"month": m, "types": cells[m]} for m in sorted(cells, reverse=True)]
        data: Json = {"types": types, "months": months, "again": 0.0}
        cost = time.monotonic() - began
        self._months = began + cost + max(MONTHS_SECONDS, MONTHS_SHARE * cost), user_id, data
        return data

    def explain(self, wanted: str, language: str) -> stories.Told:
        """Return all that is known of the document with this id, or of this path."""
        return stories.tell(
            self.site,
            self.table,
            wanted,
            view=self.site.guard.view,
            daemon=os.getpid(),
            language=language,
        )

    # -- work -------------------------------------------------------------------------------

    def require_nas(self) -> None:
        """Look anew if it could not be used a moment ago; with a deadline.

        Raises:
            MountError: The NAS cannot be used; why, and what to do.
        """
        guard = self.site.guard
        if not guard.view.usable and guard.view.state is not MountState.HUNG:
            guard.check(write=True).result()
        guard.raise_unless_usable()

    def test(self) -> None:
        """Write, flush, read back and remove a small file; with a deadline.

        Raises:
            SyncError: What went wrong.
        """
        self.site.try_nas()

    def row(self, document_id: str) -> Document:
        """
        Raises:
            UnknownDocumentError: There is no such row.
            NoFileError: It has no file.
            DatabaseUnavailableError: It cannot be read.
        """
        self.require_database()
        found = self.table.get([document_id]).get(document_id)
        if found is not None:
            return found
        if self.table.row_exists(document_id):
            raise NoFileError(id=document_id)
        raise UnknownDocumentError(id=document_id)

    def retry(self, document_id: str) -> str:
        """Have the daemon try one document now; return its id.

        Raises:
            UnknownDocumentError: There is no such row.
            NoFileError: It has no file.
            DatabaseUnavailableError: It cannot be read.
            JournalError: Its backoff cannot be cleared.
        """
        row = self.row(document_id)
        self.site.journal.retry_now(self.table.scope, [row.id])
        self._do(lambda: self._offer([row]))
        return row.id

    def sync_one(self, document_id: str, language: str) -> Future[Run]:
        """Copy one document now; return the future of its run.

        Raises:
            UnknownDocumentError: There is no such row.
            NoFileError: It has no file.
            MountError: The NAS cannot be used.
            DatabaseUnavailableError: The row cannot be read.
        """
        row = self.row(document_id)
        self.require_nas()
        return self.runs.begin(Wish((row.id,)), language).finished

    def close(self, go_on: Callable[[], bool]) -> None:
        """End the runs: what they have in flight may land as long as *go_on* says so."""
        self.runs.join(go_on)
        for crew in (self.crew, self.patient, self._counter):
            crew.close()

    # -- metrics ----------------------------------------------------------------------------

    def snapshot(self, streams: int) -> Snapshot:
        """Return the figures of this moment for the monitoring."""
        from nas_syncd.metrics import Snapshot

        figures, view = self.figures.known(), self.site.guard.view
        away = self.database_trouble() is not None
        states: dict[str, int] | None = None
        oldest: float | None = None
        if figures is not None and not away:
            counts, tally = figures.counts, figures.tally
            copying = tally.copying + tally.unmarked
            open_ = tally.waiting + copying + tally.failed + tally.problems
            states = {
                "safe": max(0, counts.synced - figures.inherited),
                "inherited": figures.inherited,
                "pending": max(0, counts.total - counts.synced - open_),
                "waiting": tally.waiting,
                "copying": copying,
                "failed": tally.failed,
                "problem": tally.problems,
            }
            since = counts.oldest_pending
            if counts.total > counts.synced and since is not None:
                oldest = max(0.0, (self.site.now() - since).total_seconds())
        return Snapshot(
            documents=states,
            oldest_pending_age_seconds=oldest,
            mount_state=view.state,
            nas_free_bytes=view.free_bytes,
            nas_total_bytes=view.total_bytes,
            database_up=not away,
            uploads_up=self.site.uploads.view.state is UploadsState.OK,
            event_streams=streams,
        )


def _check(ok: bool, state: str, reason: Reason | None, language: str) -> Json:
    return {"ok": ok, "state": state, "reason": None if ok else reason_data(reason, language)}
