"""What stands where, for who tells people of it: asked of the guard's view, the journal, the table.

The mount is never asked. The table is counted every few minutes, and sooner when something has
happened, but never for more than a hundredth of the time.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Collection

from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError
from nas_syncd.logs import get_logger
from nas_syncd.messages import explain, text
from nas_syncd.models import Entry, MountState, State
from nas_syncd.notify import Facts, Kind, Waiting
from nas_syncd.notify.alarms import MOST_PROBLEMS
from nas_syncd.site import Site

COUNT_SECONDS = 300.0
"""Between two counts of the table while nothing happens."""
COUNT_SHARE = 0.01
"""The part of the time that counting may take when much happens."""
COUNT_SOON_SECONDS = 5.0
CHECKED_WITHIN = dt.timedelta(minutes=65)
"""An idle NAS is looked at once an hour: an older look is no proof that it is well."""
PAGE = 500
MOST_PAGES = 20

_ON_ITS_WAY = frozenset({State.WAITING, State.COPYING, State.FAILED})
_UNKNOWN = (MountState.UNKNOWN, MountState.UNCONFIGURED)

_log = get_logger("nas_syncd.lookout")


class Lookout:
    """Used by one thread; :meth:`stir` may come from any."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        *,
        language: str,
        waiting_limit: dt.timedelta,
        database_away: Callable[[], bool],
        reconcile: Callable[[], None],
    ) -> None:
        """
        Args:
            waiting_limit: So old a document may become that waits.
            reconcile: Called when rows were deleted, it seems: receipts may be left of them, which
                would hide flags without proof.
        """
        self._site = site
        self._table = table
        self._language = language
        self._waiting_limit = waiting_limit
        self._database_away = database_away
        self._reconcile = reconcile
        self._stirred = True
        self._count_due = self._soon = 0.0
        """When the table is counted; and at the earliest, because something has happened."""
        self._total = 0
        self._waiting: Waiting | None = None
        self._counted_safe = False

    def stir(self) -> None:
        """Something has changed: count it at one of the next looks."""
        self._stirred = True

    def look(self, told: Collection[str] = ()) -> Facts:
        """
        Args:
            told: The documents given up that somebody was told about.

        Raises:
            JournalError: It cannot be asked now.
        """
        site, now = self._site, self._site.now()
        view = site.guard.view
        away: bool | None = self._database_away()
        if away:
            self._waiting, self._counted_safe = None, False
        elif self._is_due() and not self._count(now):
            away = None
        problems = self._problems()
        unknown = view.state in _UNKNOWN
        full = view.state is MountState.FULL
        return Facts(
            now=now,
            away=None if unknown else not (view.usable or full),
            full=None if unknown else full,
            database_away=away,
            waiting=self._waiting,
            problems=problems,
            retried=self._retried([id_ for id_ in told if id_ not in problems]),
            about=self._about(),
        )

    @property
    def all_safe(self) -> bool:
        """Whether the newest count found everything proven, on a NAS known to be well."""
        view = self._site.guard.view
        if not (self._counted_safe and view.usable and view.checked_at):
            return False
        return self._site.now() - view.checked_at <= CHECKED_WITHIN

    def _about(self) -> dict[Kind, dict[str, object]]:
        """Return what fills the blanks of each kind's text."""
        reason, waiting = self._site.guard.view.reason, self._waiting
        common: dict[str, object] = {}
        if waiting and waiting.pending:
            common["pending"] = waiting.pending
        mount = {"reason": explain(reason, self._language).rstrip(".")} if reason else {}
        oldest = {"at": waiting.oldest} if waiting and waiting.oldest else {}
        return {
            Kind.AWAY: {**common, **mount},
            Kind.FULL: {**common, **mount},
            Kind.WAITING: {**common, **oldest},
        }

    # -- counting ---------------------------------------------------------------------------

    def _is_due(self) -> bool:
        if self._stirred:
            self._stirred = False
            self._count_due = min(self._count_due, self._soon)
        return time.monotonic() >= self._count_due

    def _count(self, now: dt.datetime) -> bool:
        """Count the table: one full pass over all that there is. Return whether it could be.

        Where it cannot, all else is looked at as ever: the daemon's loop tells of a database that
        is away, and a table may be too large to be counted in time while it answers all else.
        """
        began = time.monotonic()
        try:
            self._count_it(now)
        except (DatabaseUnavailableError, ConfigurationError) as error:
            _log.debug("notify.interrupted", detail=error.detail)
            self._waiting, self._counted_safe = None, False
            counted, patience, longest = False, COUNT_SOON_SECONDS, COUNT_SECONDS
        else:
            counted, longest = True, math.inf
            patience = min(COUNT_SECONDS, self._waiting_limit.total_seconds())
        ended = time.monotonic()
        cost = min((ended - began) / COUNT_SHARE, longest)
        self._count_due = ended + max(patience, cost)
        self._soon = ended + max(COUNT_SOON_SECONDS, cost)
        return counted

    def _count_it(self, now: dt.datetime) -> None:
        """
        Raises:
            DatabaseUnavailableError, ConfigurationError: The table cannot be counted.
        """
        counts = self._table.counts()
        tally = self._site.journal.tally(self._table.scope, self._site.nas)
        pending, oldest = max(0, counts.total - counts.synced), counts.oldest_pending
        self._counted_safe = not pending and tally.proven == counts.synced and not tally.problems
        if tally.proven > counts.synced or counts.total < self._total:
            self._reconcile()
            self.stir()
        self._total = counts.total
        overdue = oldest is not None and now - oldest >= self._waiting_limit
        if overdue and tally.problems:  # those were told as such
            pending, oldest = self._oldest_but_problems(pending, oldest)
        self._waiting = Waiting(pending, oldest)

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

    # -- documents that were given up ---------------------------------------------------------

    def _problems(self) -> dict[str, str]:
        """Return them: id → why, without a name or a path."""
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

    def _retried(self, ids: Collection[str]) -> frozenset[str]:
        """Return which of *ids* are on their way once more: not solved before they are safe."""
        found = self._site.journal.entries(self._table.scope, ids)
        return frozenset(id_ for id_, entry in found.items() if entry.state in _ON_ITS_WAY)

    def _problem(self, entry: Entry) -> str:
        code = entry.reason.code if entry.reason else "unknown"
        return f"{entry.id}: {text(code, self._language)}"
