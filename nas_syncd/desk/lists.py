"""Lists of documents by state, page by page, from the table and from the journal.

What is open (waiting, failed …) is found by the journal's index, what is not by the table's key. A
cursor says which of the two it belongs to, and where the page ended.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from nas_syncd.desk.views import OPEN_STATES, Json, line_json, state_of
from nas_syncd.documents import DocumentsTable, Page
from nas_syncd.errors import SyncError
from nas_syncd.models import Document, Entry, State
from nas_syncd.site import Site

MOST = 200
DEFAULT = 50
SCANNED = 2000
"""So many rows are looked through for one page at most: it may be short, its cursor goes on."""

BY_STATE = {
    name: frozenset(state for state, called in OPEN_STATES.items() if called == name)
    for name in set(OPEN_STATES.values())
}


class CursorError(SyncError):
    """The cursor is not one of ours."""

    code = "api.cursor"
    retryable = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents, and how many at once."""

    state: str | None = None
    """One of shapes.DocumentState; None: all."""
    user_id: str | None = None
    cursor: str | None = None
    limit: int = DEFAULT


class Lists:
    """Reads for the lists; safe for several threads."""

    def __init__(self, site: Site, table: DocumentsTable) -> None:
        self._site = site
        self._table = table

    def page(self, wanted: Wanted, language: str) -> Json:
        """Return one page of documents, as :class:`shapes.DocumentPage`.

        Raises:
            CursorError: The cursor was not given by such a list.
            DatabaseUnavailableError: The rows cannot be read.
            JournalError: Our own memory cannot be read.
        """
        if wanted.state in BY_STATE:
            found, cursor = self._by_journal(wanted, BY_STATE[wanted.state])
        else:
            found, cursor = self._by_table(wanted)
        nas = self._site.nas
        lines = [line_json(document, entry, nas, language) for document, entry in found]
        return {"documents": lines, "cursor": cursor}

    def _by_table(self, wanted: Wanted) -> tuple[list[tuple[Document, Entry | None]], str | None]:
        ask = self._which(wanted.state)
        filtered = wanted.state not in (None, "pending")
        at_once = max(wanted.limit, MOST) if filtered else wanted.limit
        after = _opened("t", wanted.cursor)
        found: list[tuple[Document, Entry | None]] = []
        scanned = 0
        while True:
            page = ask(after, at_once, wanted.user_id)
            scanned += len(page.documents)
            for document, entry in self._with_entries(page.documents, wanted.state):
                if len(found) == wanted.limit:  # there are more of them
                    return found, _closed("t", found[-1][0].id)
                found.append((document, entry))
            after = page.cursor
            if after is None:
                return found, None
            if len(found) == wanted.limit or scanned >= SCANNED:
                return found, _closed("t", after)

    def _which(self, state: str | None) -> Callable[[str | None, int, str | None], Page]:
        if state in ("safe", "inherited"):
            return self._table.synced
        return self._table.pending if state == "pending" else self._table.page

    def _with_entries(
        self, documents: list[Document], state: str | None
    ) -> list[tuple[Document, Entry | None]]:
        entries = self._site.journal.entries(self._table.scope, [d.id for d in documents])
        pairs = [(document, entries.get(document.id)) for document in documents]
        if state in (None, "pending"):  # pending, asked for, is everything that is not marked
            return pairs
        return [(d, e) for d, e in pairs if state_of(d, e, self._site.nas) == state]

    def _by_journal(
        self, wanted: Wanted, states: frozenset[State]
    ) -> tuple[list[tuple[Document, Entry | None]], str | None]:
        after = _opened("j", wanted.cursor) or ""
        found: list[tuple[Document, Entry | None]] = []
        scanned = 0
        while True:
            entries = self._site.journal.in_states(self._table.scope, states, after, MOST)
            scanned += len(entries)
            rows = self._table.get([entry.id for entry in entries])
            for entry in entries:
                row = rows.get(entry.id)
                if row is not None and self._is_meant(row, entry, wanted):
                    if len(found) == wanted.limit:  # there are more of them
                        return found, _closed("j", found[-1][0].id)
                    found.append((row, entry))
            if len(entries) < MOST:
                return found, None
            after = entries[-1].id
            if len(found) == wanted.limit or scanned >= SCANNED:
                return found, _closed("j", after)

    def _is_meant(self, row: Document, entry: Entry, wanted: Wanted) -> bool:
        if wanted.user_id is not None and row.user_id != wanted.user_id:
            return False
        return state_of(row, entry, self._site.nas) == wanted.state


def _closed(kind: str, key: str) -> str:
    raw = f"{kind}{key}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _opened(kind: str, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (UnicodeError, binascii.Error):
        raise CursorError(cursor) from None
    if not text.startswith(kind):
        raise CursorError(cursor)
    return text[1:]
