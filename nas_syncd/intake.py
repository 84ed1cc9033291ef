"""From a hint to a row: which document does this file belong to?

A file may land before its row is committed. It is asked for again soon, then less and less often,
and after a minute a person is told that it has no row yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from nas_syncd.documents import DocumentsTable
from nas_syncd.models import Document, Source, SourceKind, SourceVersion
from nas_syncd.settle import Settling
from nas_syncd.site import Site
from nas_syncd.watcher import Hint, likeliest_row, row_candidates

FIRST_LOOK_SECONDS = 0.1
DUE_SECONDS = 0.05
TOLD_AFTER_SECONDS = 60.0
MOST_UNCLAIMED = 20_000
BATCH = 400


@dataclass(slots=True)
class Unclaimed:
    """A file whose row is being looked for."""

    since: float
    due: float
    wait: float
    source: Source
    marked: bool
    """Whether it is, in another version, a document's that is marked: that flag must not stay."""


class Intake:
    """Takes hints, finds rows. Used by the daemon's thread only."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        settling: Settling,
        offer: Callable[[Iterable[Document], dict[str, Source]], None],
    ) -> None:
        self.site = site
        self.table = table
        self.settling = settling
        self._offer = offer
        self._files: dict[str, Unclaimed] = {}
        self._due: float | None = None
        self._due_known_until = 0.0

    def observe(self, relative: str, version: SourceVersion, closed: bool = False) -> None:
        """Tell the settling what was seen."""
        age = time.time() - version.mtime_ns / 1e9
        self.settling.observe(relative, version, closed, time.monotonic(), age)

    def settled(self, relative: str, version: SourceVersion) -> bool:
        self.observe(relative, version)
        return self.settling.settled(relative, version, time.monotonic())

    def over(self, document: Document) -> None:
        """It is safe, or wants nothing: its file is looked at anew when something happens to it."""
        if (relative := self.site.relative(document)) is not None:
            self.settling.forget(relative)

    def hear(self, hints: list[Hint]) -> None:
        """Take hints in. What is marked and unchanged is passed over without asking anybody."""
        files = {h.relative: h for h in hints if h.kind is SourceKind.FILE and h.version}
        if not files:
            return
        known = self.site.journal.versions(self.table.scope, self.site.nas, list(files))
        first_scan = self.site.uploads.view.scanned_at is None
        now = time.monotonic()
        for relative, hint in files.items():
            if hint.version is None or known.get(relative) == hint.version:
                continue
            if hint.by == "scan" and first_scan and relative not in known:
                continue  # at the start the pending rows themselves lead to their files
            self.observe(relative, hint.version, hint.closed)
            source = Source(relative, hint.kind, hint.version)
            waiting = self._files.get(relative)
            if waiting is not None:
                waiting.source, waiting.due, waiting.wait = source, now, FIRST_LOOK_SECONDS
                waiting.marked |= relative in known
            elif len(self._files) < MOST_UNCLAIMED:
                marked = relative in known
                self._files[relative] = Unclaimed(now, now, FIRST_LOOK_SECONDS, source, marked)
            # Beyond that, the pending rows lead to their files, a little later.
        self._due_known_until = 0.0

    def met(self, documents: Iterable[Document]) -> None:
        """The rows of these were found otherwise: nobody need look for them."""
        if self._files:
            for relative in map(self.site.relative, documents):
                self._files.pop(relative or "", None)

    def due(self) -> float | None:
        """Return when the next look is due, monotonic; None when nothing waits."""
        if time.monotonic() >= self._due_known_until:
            self._due = min((f.due for f in self._files.values()), default=None)
            self._due_known_until = time.monotonic() + DUE_SECONDS
        return self._due

    def claim(self, room: int) -> int:
        """Ask the table for the rows of what is due; offer them. Returns how many were asked for.

        Raises:
            DatabaseUnavailableError: They stay due.
        """
        now = time.monotonic()
        limit = min(room, BATCH)
        due = [r for r, f in self._files.items() if f.due <= now][:limit]
        if not due:
            return 0
        rows = self._find(due)
        sources = {relative: self._files[relative].source for relative in due}
        for relative in due:
            if rows.get(relative):
                del self._files[relative]
                continue
            waiting = self._files[relative]
            waiting.due = now + waiting.wait
            waiting.wait = min(waiting.wait * 2, self.site.policy.scan_seconds)
        if 2 * len(rows) >= len(due):  # rows come in one transaction: the others' may be there, too
            for waiting in islice(self._files.values(), BATCH):
                waiting.due = min(waiting.due, now)
        self._due_known_until = 0.0
        found = {d.id: d for documents in rows.values() for d in documents}
        if found:
            self._offer(found.values(), sources)
        return len(due)

    def _find(self, relatives: list[str]) -> dict[str, list[Document]]:
        """Return the rows of these files. A backend writes all of its paths alike: what it may
        have written instead is only asked for where the likeliest form is not there, and where a
        flag may have to be taken back; a pending row is found without its file, too."""
        folders = self.site.plan.upload_dir, self.site.plan.db_upload_dir
        likeliest = {likeliest_row(relative, *folders): relative for relative in relatives}
        found = self._find_paths({path: of for path, of in likeliest.items() if path is not None})
        others = [r for r in relatives if r not in found or self._files[r].marked]
        wanted = {path: of for of in others for path in row_candidates(of, *folders)}
        return found | self._find_paths(wanted)

    def _find_paths(self, wanted: dict[str, str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        for document in self.table.find(list(wanted)) if wanted else ():
            found.setdefault(wanted[document.file_path], []).append(document)
        return found

    def without_row(self) -> list[tuple[str, float]]:
        """Return files without a row for more than a minute: (path, seconds)."""
        now = time.monotonic()
        return [
            (relative, now - f.since)
            for relative, f in self._files.items()
            if now - f.since > TOLD_AFTER_SECONDS
        ]

    def forget_missing(self, hints: list[Hint]) -> None:
        """A file that was removed again is nobody's."""
        for hint in hints:
            if hint.kind is SourceKind.MISSING:
                self._files.pop(hint.relative, None)
                self.settling.forget(hint.relative)
