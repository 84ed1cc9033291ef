"""Which documents are not yet safe? Asked of the database, again and again, and cheaply.

Three looks: at what waits and is due; at what is new (by key, or when an SQLite file was written
to); and at everything that is not marked, in pages, which finds whatever was missed. Each
keeps to a share of one core, so that a table without an index does not keep us busy.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

from nas_syncd.documents import DocumentsTable
from nas_syncd.models import Document
from nas_syncd.site import Site

NEW_SECONDS = 1.0
SHARE = 0.002
"""The part of one core that an idle poll may use."""
PAGE = 200
MOST_WAITING = 5000
"""Beyond so many waiting documents the pass pauses: memory must not grow with the backlog."""


class Paced:
    """Something that is done every so often, the less often the more it costs."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.due = 0.0

    def ready(self) -> bool:
        return time.monotonic() >= self.due

    def spent(self, seconds: float) -> None:
        self.due = time.monotonic() + max(self.interval, seconds / SHARE)

    def hurry(self) -> None:
        self.due = 0.0


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
        self._new = Paced(NEW_SECONDS)
        self._pass = Paced(site.policy.scan_seconds)
        self._cursor: str | None = None
        self._in_pass = False
        self._seen: str | None = None
        self._token: object = None
        self._pass_spent = 0.0
        self._rows: dict[str, Document] = {}
        """The rows of waiting documents, as they were when they began to wait."""
        self.passes = 0
        """How many times everything was looked at."""

    def hurry(self) -> None:
        """Look at everything as soon as there is room: something has changed for all."""
        self._pass.hurry()

    def feed(self, room: int, *, everything: bool = True) -> None:
        """Offer up to *room* documents of what is due.

        Args:
            everything: False while the NAS is away: the long pass then stays where it is.

        Raises:
            DatabaseUnavailableError: Nothing is lost; the same is asked for next time.
        """
        room -= self._feed_waiting(room)
        if room > 0:
            room -= self._feed_new(room)
        if room > 0 and (everything or len(self._waits) < PAGE):
            self._feed_pass(room)

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
        self._rows = {i: row for i, row in self._rows.items() if i in self._waits}
        ids = list(self._rows)[: min(room, PAGE)]
        if not ids:
            return 0
        rows = self.table.get(ids)
        changed = [row for row in rows.values() if self._rows[row.id] != row]
        for document_id in ids:  # those asked about go to the end
            self._rows[document_id] = rows.get(document_id, self._rows.pop(document_id))
            if document_id not in rows:
                self._waits.pop(document_id, None)
        self._offer(changed)
        return len(changed)

    def _feed_new(self, room: int) -> int:
        if not self._new.ready():
            return 0
        started = time.monotonic()
        token = self.table.change_token()
        changed = token is None or token != self._token
        self._token = token
        offered = self._feed_changed(room) if changed else 0
        if token is not None:
            if changed:
                self._pass.due = min(self._pass.due, time.monotonic() + self._pass_pause())
        elif self.table.keys_ascend and room > offered:
            if self._seen is None:
                self._seen = self.table.last_key() or "0"
            page = self.table.newer(self._seen, min(room, PAGE))
            if page.documents:
                self._seen = page.documents[-1].id
                self._offer(page.documents)
                offered += len(page.documents)
        self._new.spent(time.monotonic() - started)
        return offered

    def _pass_pause(self) -> float:
        """How long to let a written SQLite file rest before everything is looked at."""
        return min(self._pass.interval, self._pass_spent / SHARE / 10)

    def _feed_pass(self, room: int) -> None:
        if not self._in_pass:
            if not self._pass.ready():
                return
            self._in_pass, self._cursor, self._pass_spent = True, None, 0.0
        if len(self._waits) > MOST_WAITING:
            return
        started = time.monotonic()
        page = self.table.pending(self._cursor, min(room, PAGE))
        self._pass_spent += time.monotonic() - started
        self._offer(d for d in page.documents if self._not_waiting(d))
        self._cursor = page.cursor
        if page.cursor is None:
            self._in_pass = False
            self.passes += 1
            self._pass.spent(self._pass_spent)

    def _not_waiting(self, document: Document) -> bool:
        """What waits for a time has its turn then; what waits for the NAS, when it is back."""
        return document.id not in self._waits
