"""Which documents are not yet safe? Asked of the database, again and again, and cheaply.

Three looks: at what waits and is due; at what is new (by key, or when an SQLite file was written
to); and at everything that is not marked, in pages, which finds whatever was missed. Each
keeps to a share of one core, so that a table without an index does not keep us busy.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections import deque
from collections.abc import Callable, Iterable

from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.models import Document
from nas_syncd.site import Site

NEW_SECONDS = 1.5
SHARE = 0.002
"""The part of one core that an idle poll may use."""
WRITTEN_SHARE = 0.02
"""The same while somebody writes to the database."""
PAGE = 200
CHANGED_PAGE = 500
MOST_WAITING = 5000
"""So many waiting documents are kept in memory; the journal and the next pass know the others."""
LONG_WAIT_SECONDS = 60.0
DECIDE_SECONDS = 0.0003
"""About what it costs to look at one document that still waits."""
NEW_LONGEST_SECONDS = 1.5
"""The quick look is never put off for longer: late metadata is to be seen within two seconds."""
SET_BACK_SECONDS = 1.0
"""By less the clock is only slewed."""


class Paced:
    """Something that is done every so often, the less often the more CPU it costs."""

    def __init__(self, interval: float, longest: float = math.inf) -> None:
        self.interval = interval
        self.longest = longest
        self.due = 0.0
        self._ended = self._spent = 0.0

    def ready(self) -> bool:
        return time.monotonic() >= self.due

    def spent(self, cpu_seconds: float) -> None:
        pause = min(max(self.interval, cpu_seconds / SHARE), self.longest)
        self._ended, self._spent = time.monotonic(), cpu_seconds
        self.due = self._ended + pause

    def hurry(self, share: float = 1.0) -> None:
        """Be due at once, or as soon as *share* of one core allows."""
        self.due = min(self.due, self._ended + self._spent / share)


class Backlog:
    """Feeds a flow from the database. Used by the daemon's thread only."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        waits: dict[str, dt.datetime | None],
        offer: Callable[[Iterable[Document]], None],
    ) -> None:
        self.site = site
        self.table = table
        self._waits = waits
        self._offer = offer
        self._clocks = site.now(), time.monotonic()
        self._new = Paced(NEW_SECONDS, NEW_LONGEST_SECONDS)
        self._pass = Paced(site.policy.scan_seconds)
        self._cursor: str | None = None
        self._in_pass = False
        self._seen: str | None = None
        self._token: object = None
        self._pass_spent = 0.0
        self._rows: dict[str, Document] = {}
        """The rows of waiting documents, as they were when they began to wait."""
        self._to_compare: deque[str] = deque()
        self.passes = 0
        """How many times everything was looked at."""

    def hurry(self) -> None:
        """Look at everything as soon as there is room: something has changed for all."""
        self._pass.hurry()

    def written(self) -> None:
        """Somebody has written to the database: there may be new rows."""
        self._new.hurry(WRITTEN_SHARE)

    def feed(self, room: int, *, everything: bool = True) -> None:
        """Offer up to *room* documents of what is due.

        Args:
            everything: False while the NAS is away: the long pass then stays where it is.

        Raises:
            DatabaseUnavailableError: Nothing is lost; the same is asked for next time.
        """
        self._follow_clock()
        room -= self._feed_waiting((room + 1) // 2)  # what is due again leaves room for the new
        if room > 0:
            room -= self._feed_new(room)
        if room > 0 and (everything or len(self._waits) < PAGE):
            self._feed_pass(room)

    def _follow_clock(self) -> None:
        """When the clock was set back, so is what waits for a time; else it would wait on for as
        long. Set forward, it only ends some waiting early."""
        (wall, monotonic), self._clocks = self._clocks, (self.site.now(), time.monotonic())
        passed = dt.timedelta(seconds=self._clocks[1] - monotonic)
        by = self._clocks[0] - wall - passed
        if by.total_seconds() < -SET_BACK_SECONDS:
            for document_id, until in self._waits.items():
                self._waits[document_id] = until + by if until is not None else None

    def _feed_waiting(self, room: int) -> int:
        now = self.site.now()
        due = [i for i, until in self._waits.items() if until is not None and until <= now][:room]
        if not due:
            return 0
        documents = self.table.get(due)
        for document_id in due:
            if document_id not in documents:
                self._waits.pop(document_id, None)
        self._offer(documents.values())
        return len(documents)

    def waiting(self, document: Document) -> None:
        """Remember the row of a document that waits, to see when it changes."""
        self._rows[document.id] = document

    def release(self) -> None:
        """What waited for the NAS or the upload folder waits no more."""
        now = self.site.now()
        for document_id, until in self._waits.items():
            if until is None:
                self._waits[document_id] = now
        self.hurry()

    def _feed_changed(self, room: int) -> int:
        """Offer waiting documents whose rows have changed: their metadata may have come."""
        ids = [self._to_compare.popleft() for _ in range(min(CHANGED_PAGE, len(self._to_compare)))]
        ids = [i for i in ids if i in self._rows and i in self._waits]
        if not ids:
            return 0
        try:
            rows = self.table.get(ids)
        except DatabaseUnavailableError:
            self._to_compare.extendleft(reversed(ids))
            raise
        changed = [row for row in rows.values() if self._rows[row.id] != row]
        for document_id in ids:
            if document_id not in rows:
                self._waits.pop(document_id, None)
                self._rows.pop(document_id, None)
        for row in changed[room:]:
            self._to_compare.appendleft(row.id)
        self._offer(changed[:room])
        return len(changed[:room])

    def _forget_some(self) -> None:
        """Keep memory flat: what waits long is known to the journal, and the pass finds it."""
        self._rows = {i: row for i, row in self._rows.items() if i in self._waits}
        if len(self._waits) <= MOST_WAITING:
            return
        soon = self.site.now() + dt.timedelta(seconds=LONG_WAIT_SECONDS)
        for document_id, until in list(self._waits.items()):
            if until is not None and until > soon:
                del self._waits[document_id]
                self._rows.pop(document_id, None)

    def _feed_new(self, room: int) -> int:
        offered = self._feed_changed(room)
        if not self._new.ready() or offered >= room:
            return offered
        started = time.thread_time()
        self._forget_some()
        token = self.table.change_token()
        if token is None or token != self._token:
            if not self._to_compare:
                self._to_compare.extend(self._rows)
            offered += self._feed_changed(room - offered)
            if self.table.keys_ascend:
                offered += self._feed_newer(room - offered)
            if token is not None:
                self._token = token
                self._pass.due = min(self._pass.due, time.monotonic() + self._pass_pause())
        self._new.spent(time.thread_time() - started)
        return offered

    def _feed_newer(self, room: int) -> int:
        if room <= 0 or len(self._waits) > 2 * MOST_WAITING:
            return 0
        if self._seen is None:
            self._seen = self.table.last_key() or "0"
        page = self.table.newer(self._seen, min(room, PAGE))
        if page.documents:
            self._seen = page.documents[-1].id
            self._offer(page.documents)
        return len(page.documents)

    def _pass_pause(self) -> float:
        """How long to let a written SQLite file rest before everything is looked at."""
        return min(self._pass.interval, self._pass_spent / SHARE / 10)

    def _feed_pass(self, room: int) -> None:
        if not self._in_pass:
            if not self._pass.ready():
                return
            self._in_pass, self._cursor, self._pass_spent = True, None, 0.0
        started = time.thread_time()
        page = self.table.pending(self._cursor, min(room, PAGE))
        self._offer(d for d in page.documents if self._not_waiting(d))
        self._cursor = page.cursor
        # Asking is one part of the cost, deciding about what still waits is the other.
        self._pass_spent += time.thread_time() - started + len(page.documents) * DECIDE_SECONDS
        if page.cursor is None:
            self._in_pass = False
            self.passes += 1
            self._pass.spent(self._pass_spent)

    def _not_waiting(self, document: Document) -> bool:
        """What waits for a time has its turn then; what waits for the NAS, when it is back."""
        return document.id not in self._waits
