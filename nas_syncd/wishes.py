"""A wish of a person, seen through: which documents it means, and what becomes of each.

``nas-syncd sync`` and the API's runs both go this way: the same documents are taken, inherited
ones are checked by reading the NAS, and the same words tell what was done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nas_syncd.documents import DocumentsTable
from nas_syncd.inherited import Checked, Inherited, Verdict
from nas_syncd.manual import Ended, Ending, ManualSync
from nas_syncd.messages import explain, text
from nas_syncd.models import Document, Fate, Reason
from nas_syncd.site import Site
from nas_syncd.works import Work

UNKNOWN, WITHOUT_FILE = "document.unknown", "document.no_file"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. Without an id: everything that is not marked."""

    ids: tuple[str, ...] = ()
    everything: bool = False
    """Also with ``inherited``."""
    user: str | None = None
    inherited: bool = False
    """Check what another tool has marked."""

    @property
    def contradicts_itself(self) -> bool:
        """Whether ids are given beside what stands for all documents."""
        return bool(self.ids) and (self.everything or self.user is not None)


class Selection:
    """The documents that a wish means, and the ids that no document has."""

    def __init__(self, site: Site, table: DocumentsTable, wish: Wish) -> None:
        self.wish = wish
        self.inherited = Inherited(site, table)
        self.unknown: list[str] = []
        self.without_file: list[str] = []
        self._table = table
        self._named: list[Document] | None = None

    def named(self) -> list[Document]:
        """Return the documents with the ids given, in their order, each one once.

        Raises:
            DatabaseUnavailableError: They cannot be asked for.
        """
        if self._named is None:
            rows = self._table.get(self.wish.ids)
            missing = [i for i in dict.fromkeys(self.wish.ids) if i not in rows]
            there = {i for i in missing if self._table.row_exists(i)}
            self.unknown = [i for i in missing if i not in there]
            self.without_file = [i for i in missing if i in there]
            self._named = list({row.id: row for row in rows.values()}.values())
        return self._named

    def to_check(self) -> Iterator[Document]:
        """Yield the inherited documents: those with an id given always, others when asked for."""
        if self.wish.ids:
            yield from self.inherited.among(self.named())
        elif self.wish.inherited:
            yield from self.inherited.documents(self.wish.user)

    @property
    def wants_pending(self) -> bool:
        """Whether everything that is not marked is meant, too."""
        return not self.wish.ids and (self.wish.everything or not self.wish.inherited)

    def count(self) -> int:
        """Return how many documents there are to look at; of inherited ones, at most.

        Raises:
            DatabaseUnavailableError: They cannot be counted.
        """
        if self.wish.ids:
            return len(self.named())
        counts = self._table.counts(self.wish.user)
        pending = counts.total - counts.synced
        marked = counts.synced if self.wish.inherited else 0
        return (pending if self.wants_pending else 0) + marked


def _nothing(*_: object) -> None: ...


class Grant:
    """Sees one wish through, once. All of it belongs to one thread, but for :meth:`stop`."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        wish: Wish,
        *,
        on_total: Callable[[int], None] = _nothing,
        on_end: Callable[[Ended], None] = _nothing,
        on_checked: Callable[[Checked], None] = _nothing,
        on_unknown: Callable[[str, str], None] = _nothing,
        on_tick: Callable[[], None] = _nothing,
        on_fate: Callable[[Fate], None] = _nothing,
        on_stopping: Callable[[], None] = _nothing,
    ) -> None:
        """
        Args:
            on_total: How many documents there are to look at, about; before anything is begun.
            on_end: Called exactly once for each document that was taken and has its ending; for
                every one that was marked, however the whole ends.
            on_checked: Called for each inherited document; with RECOPY its ending follows.
            on_unknown: An id that no copy can be made for, and the code that says why.
            on_tick: Called several times a second.
            on_fate: Called for each go at a document, for the log.
            on_stopping: Called once after :meth:`stop`, in the thread of :meth:`go`.
        """
        self._site = site
        self._table = table
        self._selection = Selection(site, table, wish)
        self._on_total = on_total
        self._on_checked = on_checked
        self._on_unknown = on_unknown
        self._prepared = False
        self._manual = ManualSync(
            site, table, on_end=on_end, on_tick=on_tick, on_fate=on_fate, on_stopping=on_stopping
        )

    def prepare(self) -> None:
        """Ask what there is to do; :meth:`go` does it where it was not done before.

        Raises:
            DatabaseUnavailableError: Nothing was begun.
        """
        if self._prepared:
            return
        self._selection.named()
        self._on_total(self._selection.count())
        self._prepared = True

    def go(self) -> None:
        """Bring every document that is meant to its ending. The caller has checked the mount.

        Raises:
            MountError: The NAS cannot be used any more; nobody's attempt was counted.
            UploadsError: The upload folder as a whole cannot be asked.
            DatabaseUnavailableError: Verified copies have their receipts, the daemon marks them.
            JournalError: Our own state directory.
        """
        self.prepare()
        selection = self._selection
        for document_id in selection.unknown:
            self._on_unknown(document_id, UNKNOWN)
        for document_id in selection.without_file:
            self._on_unknown(document_id, WITHOUT_FILE)
        if selection.wish.ids:
            named = [document.id for document in selection.named()]
            self._site.journal.retry_now(self._table.scope, named)
        try:
            self._manual.go(self._documents())
        finally:
            self._manual.let_go()

    def see_off(self, go_on: Callable[[], bool]) -> None:
        """After :meth:`go`, in a process that lives on: see :meth:`ManualSync.see_off`.

        Raises:
            JournalError: Our own state directory.
        """
        self._manual.see_off(go_on)

    def stop(self) -> None:
        """Begin nothing new; :meth:`go` returns when what flies has landed, or within
        ``FINISH_SECONDS``. Any thread or signal handler may call it, at any time, repeatedly."""
        self._manual.stop()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._manual.stopped

    def flying(self) -> list[Work]:
        """Return what is on its way to the NAS now. Any thread may ask."""
        return self._manual.flow.flying()

    def _documents(self) -> Iterator[Document | None]:
        """Yield what is to be copied; inherited documents are checked on the way."""
        selection = self._selection
        checked_ids: set[str] = set()
        for checked in selection.inherited.check(selection.to_check()):
            self._on_checked(checked)
            if selection.wish.ids or checked.verdict is Verdict.RECOPY:
                checked_ids.add(checked.document.id)
            yield checked.document if checked.verdict is Verdict.RECOPY else None
        for document in selection.named():
            if document.id not in checked_ids:
                yield document
        if selection.wants_pending:
            pending = self._manual.pending(selection.wish.user)
            yield from (document for document in pending if document.id not in checked_ids)


# -- what was done -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one document, in words."""

    id: str
    name: str | None
    ending: str
    """``safe``, ``failed``, ``waiting``, ``inherited`` (stays marked, unproven), ``gone``,
    ``unknown``; or ``recopied``: the flag was taken back, and its ending follows."""
    text: str
    routine: bool
    """Nothing that a person would want to see among thousands."""
    reason: Reason | None = None
    """The same for programs; None where all went well."""

    @property
    def is_error(self) -> bool:
        """Whether it belongs among the errors that are told at the end."""
        return not self.routine and self.ending != "recopied"

    def words(self, language: str) -> str:
        """Return ``Document 42: scan.pdf: …``."""
        key = "document.line_named" if self.name else "document.line"
        return text(key, language, id=self.id, name=self.name, text=self.text)


@dataclass(slots=True)
class Tally:
    """Counts what a grant tells; its methods are the grant's callbacks. Not thread-safe."""

    nas_path: str
    language: str
    on_line: Callable[[Line], None] = _nothing
    expected: int = 0
    done: int = 0
    """Documents that have their ending."""
    synced: int = 0
    failed: int = 0
    waiting: int = 0
    proven: int = 0
    recopied: int = 0
    unverifiable: int = 0
    errors: list[str] = field(default_factory=list)
    most_errors: int = sys.maxsize
    """So many lines are kept; the counts go on."""

    @property
    def total(self) -> int:
        return self.synced + self.failed

    @property
    def checked_count(self) -> int:
        """Inherited documents that were looked at."""
        return self.proven + self.recopied + self.unverifiable

    def total_is(self, expected: int) -> None:
        """For ``on_total``."""
        self.expected = expected

    def ended(self, ended: Ended) -> None:
        """For ``on_end``."""
        self.done += 1
        match ended.ending:
            case Ending.SAFE:
                self.synced += 1
                words = self._where(ended.fate)
            case Ending.FAILED:
                self.failed += 1
                words = self._explained(ended.reason or Reason("internal"))
            case Ending.WAITING:
                self.waiting += 1
                words = self._explained(ended.reason)
            case Ending.INHERITED | Ending.GONE:
                words = self._explained(ended.reason)
        why = None if ended.ending is Ending.SAFE else ended.reason
        self._tell(ended.document, str(ended.ending), words, why)

    def checked(self, checked: Checked) -> None:
        """For ``on_checked``."""
        why = self._explained(checked.reason)
        match checked.verdict:
            case Verdict.RECOPY:
                self.recopied += 1
                self._tell(checked.document, "recopied", why, checked.reason)
            case Verdict.PROVEN:
                self.done += 1
                self.proven += 1
                self.synced += 1
                place = checked.receipt.destination if checked.receipt else ""
                words = text("sync.proven", self.language, path=self._full(place))
                self._tell(checked.document, "safe", words)
            case Verdict.UNVERIFIABLE:
                self.done += 1
                self.unverifiable += 1
                words = text("sync.unverifiable", self.language, text=why)
                self._tell(checked.document, "inherited", words, checked.reason, error=True)

    def unknown(self, document_id: str, code: str) -> None:
        """For ``on_unknown``."""
        self.failed += 1
        words = text(code, self.language)
        self._take(Line(document_id, None, "unknown", words, False, Reason(code)), True)

    def _tell(
        self,
        document: Document,
        ending: str,
        words: str,
        why: Reason | None = None,
        *,
        error: bool = False,
    ) -> None:
        error = error or ending == "failed"
        routine = not error and ending != "recopied"
        self._take(Line(document.id, document.original_name, ending, words, routine, why), error)

    def _take(self, line: Line, error: bool) -> None:
        if error and len(self.errors) < self.most_errors:
            self.errors.append(line.words(self.language))
        self.on_line(line)

    def _where(self, fate: Fate) -> str:
        if fate.receipt is not None:
            return text("sync.done", self.language, path=self._full(fate.receipt.destination))
        return text("sync.already", self.language, text=self._explained(fate.reason))

    def _full(self, destination: str) -> str:
        return f"{self.nas_path.rstrip('/')}/{destination}"

    def _explained(self, reason: Reason | None) -> str:
        return explain(reason, self.language) if reason else "?"
