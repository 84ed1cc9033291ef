"""How many documents there are, known at once: counted now and then, and kept right in between.

The whole table is read at most once a second, and only while somebody asks. What we mark in
between is added: it shows in the very next answer.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

from nas_syncd.documents import Counts, DocumentsTable, MarkOutcome
from nas_syncd.errors import DatabaseUnavailableError, SyncError
from nas_syncd.journal import Tally

FRESH_SECONDS = 0.7
"""A count that is older is renewed when somebody asks; together with the grace, what the backend
changed shows within a second."""
GRACE_SECONDS = 0.25
"""So much longer a poller gets the last count while the next one is made."""
INEXACT_SECONDS = 0.2
"""A count during which marks were made is renewed after this, or four times what it took."""
POLITE_SECONDS = 0.05
"""So long a mark waits for a count to end, and a count for the marks under way."""
FLOWING_SECONDS = 0.3
"""While marks follow one another so closely, a count that was disturbed is told as it is until the
next one is there."""


class Since:
    """What we have marked and taken back since a count, as far as that count cannot hold it.

    A mark that was under way while it was counted may be in the count or not: it is left out. A
    flag that was being taken back may be in it, too: it is taken off. So what is told is at
    most what is true.
    """

    def __init__(self) -> None:
        self.begins_after: float = math.inf
        """The number of the last mark that began before the count had ended."""
        self.made = 0

    def note(self, number: int, made: int) -> None:
        if made < 0 or number > self.begins_after:
            self.made += made


class CountedTable(DocumentsTable):
    """The table as the daemon's flows use it: it counts the flags that they set and take back.

    Marks and :meth:`count` keep out of one another's way, but only for a moment: a row that the
    backend has locked holds up no count, and a count that is slow holds up no mark.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._turn = threading.Condition()
        self._marking = 0
        self._begun = 0
        """How many marks have begun; the number of the last one."""
        self._counting = False
        self._net = 0
        self._since: WeakSet[Since] = WeakSet()
        """Of the counts that are still remembered."""
        self.marked_at: dt.datetime | None = None
        self._last_mark = float("-inf")

    @property
    def net_marks(self) -> int:
        """Flags set less flags taken back since the start."""
        return self._net

    @property
    def marks_flow(self) -> bool:
        """Whether flags are being set at this time."""
        return self._marking > 0 or time.monotonic() - self._last_mark < FLOWING_SECONDS

    def count(self) -> tuple[Counts, Since, bool]:
        """Return the counts, what we mark from then on, and whether no mark disturbed them.

        Raises:
            DatabaseUnavailableError: The table cannot be counted.
        """
        since = Since()
        with self._turn:
            self._turn.wait_for(lambda: not self._marking, POLITE_SECONDS)
            self._counting = True
            begun, quiet = self._begun, not self._marking
            self._since.add(since)
        try:
            counts = self.counts()
        finally:
            with self._turn:
                self._counting = False
                since.begins_after = self._begun
                self._turn.notify_all()
        return counts, since, quiet and since.begins_after == begun

    def mark(self, marks: Collection[tuple[str, str]], at: dt.datetime) -> dict[str, MarkOutcome]:
        made, number = 0, self._begin()
        try:
            outcomes = super().mark(marks, at)
            made = sum(outcome is MarkOutcome.MARKED for outcome in outcomes.values())
            return outcomes
        finally:
            self._end(number, made, at if made else self.marked_at)

    def unmark(self, marks: Collection[tuple[str, str]]) -> set[str]:
        taken: set[str] = set()
        number = self._begin()
        try:
            taken = super().unmark(marks)
            return taken
        finally:
            self._end(number, -len(taken), self.marked_at)

    def _begin(self) -> int:
        with self._turn:
            self._turn.wait_for(lambda: not self._counting, POLITE_SECONDS)
            self._marking += 1
            self._begun += 1
            return self._begun

    def _end(self, number: int, made: int, marked_at: dt.datetime | None) -> None:
        with self._turn:
            self._marking -= 1
            self._net += made
            for since in self._since:
                since.note(number, made)
            self.marked_at = marked_at
            self._last_mark = time.monotonic()
            self._turn.notify_all()


@dataclass(frozen=True, slots=True)
class Figures:
    """The table and the journal, counted together."""

    counts: Counts
    tally: Tally

    @property
    def inherited(self) -> int:
        """Flags without a receipt; what we are just marking is not among them."""
        return max(0, self.counts.synced - self.tally.proven - self.tally.unmarked)


@dataclass(frozen=True, slots=True)
class _Taken:
    figures: Figures
    since: Since
    at: float
    """Monotonic, when counting began."""
    token: object
    """The database's change token then; None: it has none."""
    exact: bool = True
    """No mark was under way while it was counted."""


class FiguresKeeper:
    """Thread-safe. ``now`` answers from memory or from one count that all who ask share."""

    def __init__(
        self,
        table: CountedTable,
        tally: Callable[[], Tally],
        submit: Callable[[Callable[[], None]], object],
        on_shrunk: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            submit: Runs a job in another thread, soon.
            on_shrunk: Called when rows or flags are fewer than they were, not by us: receipts
                may be left of which the row is gone.
        """
        self._on_shrunk = on_shrunk
        self._table = table
        self._tally = tally
        self._submit = submit
        self._lock = threading.Lock()
        self._taken: _Taken | None = None
        self._coming: Future[Figures] | None = None
        self._cost = 0.0
        self._changed_at = 0.0

    def changed(self) -> None:
        """Something but a mark has changed (a flag was proven): who asks next waits for a count."""
        self._changed_at = time.monotonic()

    def known(self, longest_seconds: float = math.inf) -> Figures | None:
        """Return the last figures with our marks since; None where there are none so young."""
        taken = self._taken
        if taken is None or time.monotonic() - taken.at > longest_seconds:
            return None
        return self._with_marks(taken)

    def ask(self) -> Figures | Future[Figures]:
        """Return the figures as they are now, or the future that will have them.

        The future raises :class:`DatabaseUnavailableError` when the table cannot be counted.
        """
        taken = self._taken
        if taken is None or taken.at <= self._changed_at or self._might_be_all(taken):
            return self._renew()
        age = time.monotonic() - taken.at
        if not taken.exact and age > max(INEXACT_SECONDS, 4 * self._cost):
            coming = self._renew()
            return self._with_marks(taken) if self._table.marks_flow else coming
        if age < FRESH_SECONDS:
            return self._with_marks(taken)
        coming = self._renew()
        if age < FRESH_SECONDS + GRACE_SECONDS:
            return self._with_marks(taken)  # a poller gets the last one while the next is made
        return coming

    def _might_be_all(self, taken: _Taken) -> bool:
        """Whether our marks since would make it all of them: what was marked may be newer than
        the count of them all, and "all safe" is never said by inference."""
        made, counts = taken.since.made, taken.figures.counts
        return made > 0 and counts.synced + made >= counts.total

    def _with_marks(self, taken: _Taken) -> Figures:
        made = taken.since.made
        if not made or self._might_be_all(taken):
            return taken.figures
        counts, tally = taken.figures.counts, taken.figures.tally
        synced = min(counts.total, max(0, counts.synced + made))
        last = max(filter(None, (counts.last_sync, self._table.marked_at)), default=None)
        return Figures(
            replace(counts, synced=synced, last_sync=last),
            tally._replace(proven=max(0, tally.proven + made)),
        )

    def _renew(self) -> Future[Figures]:
        with self._lock:
            if self._coming is None:
                self._coming = Future()
                self._submit(self._count)
            return self._coming

    def _count(self) -> None:
        coming = self._coming
        assert coming is not None
        try:
            taken = self._take()
        except SyncError as error:
            self._end()
            coming.set_exception(error)
        except BaseException as error:
            self._end()
            coming.set_exception(DatabaseUnavailableError(f"{type(error).__name__}: {error}"))
            raise
        else:
            before, self._taken = self._taken, taken
            self._end()
            coming.set_result(self._with_marks(taken))
            if _has_shrunk(before, taken):
                self._on_shrunk()

    def _end(self) -> None:
        with self._lock:
            self._coming = None

    def _take(self) -> _Taken:
        token = self._table.change_token()
        before, began = self._taken, time.monotonic()
        same = before is not None and token is not None and token == before.token
        if before is not None and same and before.exact and not before.since.made:
            # Nobody has written: count nothing.
            figures = Figures(before.figures.counts, self._tally())
            return replace(before, at=began, figures=figures)
        began = time.monotonic()
        counts, since, exact = self._table.count()
        self._cost = time.monotonic() - began
        tally = self._tally()  # after it: what is marked meanwhile never looks inherited
        return _Taken(Figures(counts, tally), since, began, token, exact)


def _has_shrunk(before: _Taken | None, now: _Taken) -> bool:
    """Whether rows were deleted, or flags taken back by others, or more is proven than marked."""
    counts, tally = now.figures.counts, now.figures.tally
    if tally.proven > counts.synced:
        return True
    if before is None:
        return False
    was = before.figures.counts
    return counts.total < was.total or counts.synced < was.synced + min(before.since.made, 0)
