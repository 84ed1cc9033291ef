"""``nas-syncd sync``: copy now, and say for each document what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit, UsageError, exit_code
from nas_syncd.cli.plan import show_plan
from nas_syncd.cli.tally import Summary
from nas_syncd.compose import site_from, table_from
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import SyncError
from nas_syncd.inherited import Inherited, Verdict
from nas_syncd.logs import configure_logging, shutdown_logging
from nas_syncd.manual import FINISH_SECONDS, ManualSync
from nas_syncd.models import Document
from nas_syncd.settings import Settings
from nas_syncd.site import Site


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for. Without an id: everything that is not marked."""

    ids: tuple[str, ...]
    everything: bool
    user: str | None
    inherited: bool

    def check(self, call: Call) -> None:
        """
        Raises:
            UsageError: Parts of it contradict one another.
        """
        if self.ids and (self.everything or self.user is not None):
            raise UsageError(text=call.text("sync.ids_or_all"))


def sync_now(call: Call, wish: Wish, *, dry_run: bool) -> int:
    """Copy what was asked for; return 0, 1 when some failed, 69 without the NAS, 75 to try again.

    Raises:
        SyncError: Before anything was begun; later troubles stand in the summary.
    """
    wish.check(call)
    settings = call.settings()
    call.require(settings, "nas", "database_url", "upload_dir")
    table = table_from(settings)
    try:
        site = site_from(settings)
        try:
            site.guard.check(write=not dry_run).result()
            if dry_run:
                return show_plan(call, site, table, Selection(site, table, wish))
            site.guard.raise_unless_usable()
            return _sync(call, settings, site, table, wish)
        finally:
            site.close()
    finally:
        table.close()


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
            self._named = list({row.id: row for row in rows.values()}.values())
            for document_id in dict.fromkeys(self.wish.ids):
                if document_id in rows:
                    continue
                there = self._table.row_exists(document_id)
                (self.without_file if there else self.unknown).append(document_id)
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


def _sync(call: Call, settings: Settings, site: Site, table: DocumentsTable, wish: Wish) -> int:
    selection = Selection(site, table, wish)
    named = selection.named()
    total = len(named) if wish.ids else _how_many(table, selection)
    stopped: SyncError | None = None
    interrupted = False
    with _log_file(settings), Summary(call, site, total) as summary:
        manual = ManualSync(
            site, table, on_end=summary.ended, on_tick=summary.tick, on_fate=summary.log
        )
        try:
            for document_id in selection.unknown:
                summary.refuse(document_id, "document.unknown")
            for document_id in selection.without_file:
                summary.refuse(document_id, "document.no_file")
            if wish.ids:
                site.journal.retry_now(table.scope, [d.id for d in named])
            manual.go(_documents(manual, selection, summary))
        except SyncError as error:
            stopped = error
        except KeyboardInterrupt:
            interrupted = True
            summary.interrupted()
            manual.finish(FINISH_SECONDS)
    summary.tell(stopped)
    if interrupted:
        return Exit.INTERRUPTED
    if stopped is not None:
        return exit_code(stopped)
    return Exit.FAILED if summary.failed or summary.unverifiable else Exit.DONE


def _documents(
    manual: ManualSync, selection: Selection, summary: Summary
) -> Iterator[Document | None]:
    """Yield what is to be copied; inherited documents are checked on the way."""
    checked_ids: set[str] = set()
    for checked in selection.inherited.check(selection.to_check()):
        summary.checked(checked)
        if selection.wish.ids:
            checked_ids.add(checked.document.id)
        yield checked.document if checked.verdict is Verdict.RECOPY else None
    for document in selection.named():
        if document.id not in checked_ids:
            yield document
    if selection.wants_pending:
        yield from manual.pending(selection.wish.user)


def _how_many(table: DocumentsTable, selection: Selection) -> int:
    """Return how many documents there are to look at, for the bar; inherited ones at most."""
    counts = table.counts(selection.wish.user)
    pending = counts.total - counts.synced
    marked = counts.synced if selection.wish.inherited else 0
    return (pending if selection.wants_pending else 0) + marked


@contextmanager
def _log_file(settings: Settings) -> Iterator[None]:
    """Fates go to the log file, as the daemon's do; the person has lines of their own.

    Raises:
        JournalError: The log file cannot be opened.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        configure_logging(settings.log_level, "console", settings.log_file, stream=nowhere)
        try:
            yield
        finally:
            shutdown_logging()
