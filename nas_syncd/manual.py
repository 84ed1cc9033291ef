"""A person's wish: these documents, now. The daemon's flow, driven until each one has its fate.

A document that another process has in hand is waited for; a file that somebody is still writing
is tried a few times more; a NAS, a database or an upload folder that goes away ends the whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError, SyncError, UploadsError
from nas_syncd.flow import Flow
from nas_syncd.models import Document, Fate, FateKind, Reason
from nas_syncd.mount import mount_error
from nas_syncd.site import Site

PAGE = 200
TICK_SECONDS = 0.2
TAKEN_AT_ONCE = 32
ELSEWHERE_SECONDS = 900.0
"""How long a document that another process has in hand is waited for."""
ELSEWHERE_POLL_SECONDS = 0.3
MOST_GOES = 5
"""Goes at a file that changes while it is copied."""
FINISH_SECONDS = 5.0


class Ending(StrEnum):
    """How it ended for one document."""

    SAFE = "safe"
    FAILED = "failed"
    WAITING = "waiting"
    """For its metadata, or for another process that still has it in hand."""
    INHERITED = "inherited"
    """Its flag is true, and we cannot vouch for it."""
    GONE = "gone"
    """Its row was deleted or names another file by now."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One document's ending. ``fate`` is the last one that the flow told."""

    document: Document
    ending: Ending
    reason: Reason | None
    fate: Fate


@dataclass(slots=True)
class _Again:
    """A document that is offered once more."""

    due: float
    fate: Fate


class ManualSync:
    """Used by one thread, once."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        *,
        on_end: Callable[[Ended], None],
        on_tick: Callable[[], None] = lambda: None,
        on_fate: Callable[[Fate], None] = lambda _fate: None,
        on_stopping: Callable[[], None] = lambda: None,
        elsewhere_seconds: float = ELSEWHERE_SECONDS,
    ) -> None:
        """
        Args:
            on_end: Called exactly once for each document that was taken and has its ending.
            on_tick: Called several times a second.
            on_fate: Called for each go, for the log.
            on_stopping: Called once after :meth:`stop`, in the thread of :meth:`go`.
        """
        self.site = site
        self.table = table
        self.flow = Flow(site, table, manual=True, on_fate=on_fate)
        self._on_end = on_end
        self._on_tick = on_tick
        self._on_stopping = on_stopping
        self.stopped = False
        """Whether :meth:`stop` was called."""
        self._elsewhere_seconds = elsewhere_seconds
        self._again: dict[str, _Again] = {}
        self._goes: Counter[str] = Counter()
        self._begun: dict[str, float] = {}

    def pending(self, user_id: str | None = None) -> Iterator[Document]:
        """Yield what is not marked, page by page, in the order of the keys.

        Raises:
            DatabaseUnavailableError: What was yielded before stays as it is.
        """
        cursor: str | None = None
        while True:
            page = self.table.pending(cursor, PAGE, user_id)
            yield from page.documents
            cursor = page.cursor
            if cursor is None:
                return

    def go(self, documents: Iterator[Document | None]) -> None:
        """Bring every one of *documents* to its ending; a None only gives us a breath.

        Raises:
            MountError: The NAS cannot be used any more; nobody's attempt was counted.
            UploadsError: The upload folder as a whole cannot be asked.
            DatabaseUnavailableError: Verified copies have their receipts, the daemon marks them.
            JournalError: Our own state directory.
        """
        more = True
        try:
            while not self.stopped and (more or self.flow.busy or self._again):
                self._offer_again()
                if more and self.flow.room:
                    more = self._take(documents)
                at_once = more and self.flow.room
                self._judge_all(self.flow.step(0.0 if at_once else TICK_SECONDS)[0])
                self._on_tick()
        except SyncError:
            self.finish(FINISH_SECONDS)
            raise
        if self.stopped:
            self._on_stopping()
            self.finish(FINISH_SECONDS)

    def stop(self) -> None:
        """Begin nothing new: :meth:`go` lets what flies land and returns. Every document that is
        marked has its ending told. Any thread or signal handler may call it, at any time."""
        self.stopped = True
        self.flow.inbox.put(None)

    def let_go(self) -> None:
        """What was not brought to its end is free for others; what still flies, when it lands."""
        if not self.flow.flying():
            self.flow.let_go()

    def see_off(self, go_on: Callable[[], bool]) -> None:
        """Stay until what still flies has been answered, which the agent's deadline bounds, and
        let go of all of it: for a process that lives on. Fates are told as before.

        Args:
            go_on: Asked several times a second.

        Raises:
            JournalError: Our own state directory; everything is let go of all the same.
        """
        self.flow.close()
        try:
            while self.flow.flying() and go_on():
                self.flow.step(TICK_SECONDS)
        finally:
            self.flow.let_go()

    def finish(self, seconds: float) -> int:
        """Begin nothing new, let what flies land for up to *seconds*; return how many did not."""
        self.flow.close()
        deadline = time.monotonic() + seconds
        while True:
            rest = deadline - time.monotonic()
            wait = self.flow.flying() and self.site.guard.view.usable and rest > 0
            for fate in self.flow.step(min(rest, TICK_SECONDS) if wait else 0.0)[0]:
                if fate.kind is FateKind.SYNCED:
                    self._end(fate, Ending.SAFE)
            self._on_tick()
            if not wait:
                return len(self.flow.flying())

    # -- inside -----------------------------------------------------------------------------

    def _take(self, documents: Iterator[Document | None]) -> bool:
        """Offer the next few; return whether there may be more."""
        limit = min(self.flow.room, TAKEN_AT_ONCE)
        taken: list[Document] = []
        for document in islice(documents, limit):
            if document is None:
                self.flow.offer(taken)
                return True
            taken.append(document)
        self.flow.offer(taken)
        return len(taken) == limit

    def _offer_again(self) -> None:
        now = time.monotonic()
        due = [i for i, again in self._again.items() if again.due <= now]
        if not due:
            return
        rows = self.table.get(due)
        for document_id in due:
            again = self._again.pop(document_id)
            if document_id not in rows:
                self._end(again.fate, Ending.GONE)
        self.flow.offer(rows.values())

    def _judge_all(self, fates: list[Fate]) -> None:
        """Judge each fate; what ends the whole is raised when all of them have been."""
        stopped: SyncError | None = None
        for fate in fates:
            if stopped is not None and fate.kind is FateKind.WAITING:
                continue  # it would only ask for the same trouble again
            try:
                self._judge(fate)
            except SyncError as error:
                stopped = stopped or error
        if stopped is not None:
            raise stopped

    def _judge(self, fate: Fate) -> None:
        code = fate.reason.code if fate.reason else ""
        if fate.kind is FateKind.SYNCED:
            self._end(fate, Ending.SAFE)
        elif fate.kind in (FateKind.FAILED, FateKind.REFUSED):
            self._end(fate, Ending.FAILED)
        elif fate.kind is FateKind.NOTHING:
            known = {"rest.synced_elsewhere": Ending.INHERITED}
            gone = Ending.GONE if code.startswith("gone.") else Ending.SAFE
            self._end(fate, known.get(code, gone))
        else:
            self._wait(fate, code)

    def _wait(self, fate: Fate, code: str) -> None:
        if code == "wait.metadata":
            self._end(fate, Ending.WAITING)
        elif code == "wait.elsewhere":
            self._wait_for_another(fate)
        elif code.startswith("unmark."):
            self._once_more(fate, 0.0)  # the flag is false by now: look at it anew
        elif code in ("source.changed", "wait.settling"):
            self._once_more(fate, max(self.site.policy.settle_seconds, TICK_SECONDS))
        elif code.startswith("database."):
            detail = fate.reason.params.get("detail", "") if fate.reason else ""
            raise DatabaseUnavailableError(str(detail))
        elif code.startswith(("wait.uploads", "uploads.")):
            raise self._uploads_error(fate)
        elif code.startswith(("wait.mount", "mount.", "agent.")):
            view = self.site.guard.check(write=True).result()
            if not view.usable:
                raise mount_error(view)
            self._offer_at(fate, TICK_SECONDS)  # the flow itself counts what is the document's own
        elif code.startswith("source."):
            self._end(fate, Ending.FAILED)
        else:
            self._end(fate, Ending.WAITING)

    def _wait_for_another(self, fate: Fate) -> None:
        now = time.monotonic()
        since = self._begun.setdefault(fate.document.id, now)
        if now - since > self._elsewhere_seconds:
            self._end(fate, Ending.WAITING)
            return
        self._offer_at(fate, ELSEWHERE_POLL_SECONDS)

    def _once_more(self, fate: Fate, seconds: float) -> None:
        self._goes[fate.document.id] += 1
        if self._goes[fate.document.id] >= MOST_GOES:
            self._end(fate, Ending.FAILED)
            return
        self._offer_at(fate, seconds)

    def _offer_at(self, fate: Fate, seconds: float) -> None:
        self._again[fate.document.id] = _Again(time.monotonic() + seconds, fate)

    def _uploads_error(self, fate: Fate) -> UploadsError:
        """Return the error that the folder's own reason stands for."""
        reason = self.site.uploads.view.reason or fate.reason or Reason("uploads.error")
        kinds: list[type[UploadsError]] = [UploadsError, *UploadsError.__subclasses__()]
        kind = next((kind for kind in kinds if kind.code == reason.code), UploadsError)
        params = {name: value for name, value in reason.params.items() if name != "detail"}
        params.setdefault("path", self.site.plan.upload_dir)
        return kind(str(reason.params.get("detail", "")), **params)

    def _end(self, fate: Fate, ending: Ending) -> None:
        self._goes.pop(fate.document.id, None)
        self._begun.pop(fate.document.id, None)
        self._on_end(Ended(fate.document, ending, fate.reason, fate))
