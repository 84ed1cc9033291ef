"""Flags that we cannot vouch for, checked by reading the NAS.

A flag is *inherited* when our journal holds no receipt for it on the NAS that is mounted now: an
older tool set it, another installation did, the state directory was lost, another NAS was adopted.
The document's bytes are looked for at every place where it may stand. Found: there is a receipt
from now on, and nothing was written. Not found, or something else stands there: the flag
goes back to false, and the document is to be copied. Its upload is gone: nothing can be compared,
so the flag stays and a person is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from nas_syncd.agent.wire import Message
from nas_syncd.decide import valid_receipt
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DocumentError, SyncError, UnfilableError, UploadsError, Whose
from nas_syncd.models import (
    Document,
    Entry,
    Reason,
    Receipt,
    Source,
    SourceKind,
    SourceVersion,
    State,
)
from nas_syncd.mount import mount_error
from nas_syncd.names import SHA_PLACE, place_key
from nas_syncd.routing import candidates_for
from nas_syncd.site import Site

PAGE = 200
GROUP = 25
"""Documents whose files are looked up, and whose receipts are kept, together."""
_VOUCHED = frozenset({State.SYNCED, State.COPIED, State.MARKING})
_REFUSED = {
    SourceKind.OUTSIDE: "refuse.outside",
    SourceKind.LINK: "refuse.link",
    SourceKind.DIRECTORY: "refuse.directory",
    SourceKind.SPECIAL: "refuse.special",
    SourceKind.UNREADABLE: "source.unreadable",
    SourceKind.MISSING: "source.missing",
}


class Verdict(StrEnum):
    """What reading the NAS has shown."""

    PROVEN = "proven"
    RECOPY = "recopy"
    """The flag is false again; the document is to be copied."""
    UNVERIFIABLE = "unverifiable"
    """There is nothing to compare with; the flag is as it was."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One document's verdict. ``document`` is the row as it is now."""

    document: Document
    verdict: Verdict
    reason: Reason | None = None
    receipt: Receipt | None = None


def is_inherited(document: Document, entry: Entry | None, nas: str | None) -> bool:
    """Whether the flag is true and we cannot vouch for it. Pure; as ``decide`` sees it."""
    if not document.synced:
        return False
    return valid_receipt(document, entry, nas) is None or (
        entry is not None and entry.state not in _VOUCHED
    )


class Inherited:
    """Finds and checks them. Belongs to one thread; memory does not grow with the table."""

    def __init__(self, site: Site, table: DocumentsTable) -> None:
        self.site = site
        self.table = table

    def documents(self, user_id: str | None = None) -> Iterator[Document]:
        """Yield every inherited document, in the order of the keys.

        Raises:
            DatabaseUnavailableError: What was yielded before stays as it is.
        """
        cursor: str | None = None
        while True:
            page = self.table.synced(cursor, PAGE, user_id)
            yield from self.among(page.documents)
            cursor = page.cursor
            if cursor is None:
                return

    def among(self, documents: list[Document]) -> list[Document]:
        """Return those of *documents* that are inherited."""
        entries = self.site.journal.entries(self.table.scope, [d.id for d in documents])
        nas = self.site.nas
        return [d for d in documents if is_inherited(d, entries.get(d.id), nas)]

    def check(self, documents: Iterable[Document]) -> Iterator[Checked]:
        """Read the NAS for each of *documents*, take back what is not true, yield the verdicts.

        Raises:
            MountError: The NAS cannot be used; nothing is taken back because of that.
            UploadsError: The upload folder as a whole cannot be asked.
            DatabaseUnavailableError: A flag could not be taken back.
        """
        source = iter(documents)
        while group := list(islice(source, GROUP)):
            yield from self._check_group(group)

    # -- inside -----------------------------------------------------------------------------

    def _check_group(self, group: list[Document]) -> list[Checked]:
        looked = self._look(group)
        entries = self.site.journal.entries(self.table.scope, [d.id for d in group])
        verdicts: list[Checked] = []
        asked: deque[tuple[Document, Future[Message]]] = deque()
        for document in group:
            file = self.site.source_of(document, looked)
            refused = _REFUSED.get(file.kind)
            if refused is not None or file.relative is None:
                params = {"path": file.relative or document.file_path}
                reason = Reason(refused or "refuse.outside", params)
                verdicts.append(Checked(document, Verdict.UNVERIFIABLE, reason))
                continue
            try:
                places = self._places(document, entries.get(document.id))
            except UnfilableError:
                reason = Reason("refuse.unfilable")
                verdicts.append(Checked(document, Verdict.UNVERIFIABLE, reason))
                continue
            asked.append((document, self._ask(file, places)))
        verdicts += [self._judge(*one) for one in asked]
        self._keep(verdicts)
        return self._take_back(verdicts)

    def _look(self, group: list[Document]) -> dict[str, Source]:
        relatives = {self.site.relative(document) for document in group} - {None}
        try:
            return self.site.uploads.look([r for r in relatives if r]).result()
        except UploadsError:
            raise
        except SyncError as error:
            raise UploadsError(error.detail, path=self.site.plan.upload_dir) from error

    def _places(self, document: Document, entry: Entry | None) -> list[str]:
        """Return where it may stand, the most certain first; no place of another document's."""
        places = list(reversed(candidates_for(document, self.site.policy.folders)))
        if entry is not None and entry.receipt is not None:
            places.append(entry.receipt.destination)
        return [p for p in dict.fromkeys(places) if SHA_PLACE in p or self._may_own(document, p)]

    def _may_own(self, document: Document, place: str) -> bool:
        owner = self.site.journal.owners(self.site.nas or "", [place]).get(place_key(place))
        mine = (self.table.scope, document.id, document.file_path)
        return owner is None or tuple(owner) == mine

    def _ask(self, file: Source, places: list[str]) -> Future[Message]:
        site, version = self.site, file.version
        identity = site.guard.identity
        return site.agent.ask(
            "find",
            root=site.plan.nas_path,
            nas=site.nas,
            file_system=identity.file_system if identity else "",
            uploads=site.plan.upload_dir,
            relative=file.relative,
            version=[version.size, version.mtime_ns, version.inode] if version else None,
            candidates=(),
            adopt_only=places,
        )

    def _judge(self, document: Document, asked: Future[Message]) -> Checked:
        try:
            found = asked.result()
        except SyncError as error:
            return self._after(document, error)
        place = found["destination"]
        if place is None:
            return Checked(document, Verdict.RECOPY, Reason("unmark.not_found"))
        if not self._may_own(document, place):
            return Checked(document, Verdict.RECOPY, Reason("unmark.not_found"))
        receipt = Receipt(
            scope=self.table.scope,
            id=document.id,
            file_path=document.file_path,
            version=SourceVersion(*found["version"]),
            sha256=found["sha256"],
            nas=self.site.nas or "",
            destination=place,
            received_at=self.site.now(),
            filed_as=place.rpartition("/")[0],
        )
        return Checked(document, Verdict.PROVEN, receipt=receipt)

    def _after(self, document: Document, error: SyncError) -> Checked:
        """A trouble of the mount stops everything; a copy that cannot be read proves nothing."""
        if error.whose is Whose.MOUNT:
            self.site.guard.trouble(error)
            if self.site.guard.view.usable:
                raise error
            raise mount_error(self.site.guard.view) from error
        if not isinstance(error, DocumentError):
            raise error
        reason = Reason(error.code, dict(error.params))
        if error.code.startswith("source."):
            return Checked(document, Verdict.UNVERIFIABLE, reason)
        return Checked(document, Verdict.RECOPY, reason)

    def _keep(self, verdicts: list[Checked]) -> None:
        """Keep the receipts of what was found; a place that two documents share is the first's."""
        proven = {c.document.id: c for c in verdicts if c.receipt is not None}
        if not proven:
            return
        journal = self.site.journal
        refused = journal.receive(
            [
                (c.document, self.site.relative(c.document) or "", c.receipt, None)
                for c in proven.values()
                if c.receipt is not None
            ]
        )
        for number, checked in enumerate(verdicts):
            if checked.document.id in refused:
                again = Reason("unmark.not_found")
                verdicts[number] = Checked(checked.document, Verdict.RECOPY, again)
        kept = [c.document for key, c in proven.items() if key not in refused]
        journal.note_all(self.table.scope, [(d, State.SYNCED, None, None) for d in kept])

    def _take_back(self, verdicts: list[Checked]) -> list[Checked]:
        """Take the flags back of what was not found; from then on these are pending rows."""
        wrong = [c for c in verdicts if c.verdict is Verdict.RECOPY]
        if not wrong:
            return verdicts
        self.table.unmark([(c.document.id, c.document.file_path) for c in wrong])
        for checked in wrong:
            reason = checked.reason or Reason("unmark.not_found")
            self.site.journal.forget_receipt(self.table.scope, checked.document, reason)
        return [
            replace(c, document=replace(c.document, synced=False, synced_at=None))
            if c.verdict is Verdict.RECOPY
            else c
            for c in verdicts
        ]
