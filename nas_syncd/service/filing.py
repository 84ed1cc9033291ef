"""Documents brought to their fates, one or all of them, by a flow of the caller's own thread."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from nas_syncd.errors import SyncError
from nas_syncd.flow import Flow
from nas_syncd.messages import explain, render_error, text
from nas_syncd.models import Document, Fate, FateKind, Reason, State
from nas_syncd.service.session import SessionTable
from nas_syncd.site import Site

PAGE = 200
ELSEWHERE_POLL_SECONDS = 0.2


class Filing:
    """Used by one thread. The caller has looked at the mount."""

    def __init__(
        self, site: Site, table: SessionTable, *, patience_seconds: float, language: str
    ) -> None:
        """
        Args:
            patience_seconds: How long a document that another process has in hand is waited for.
        """
        self._site = site
        self._table = table
        self._patience_seconds = patience_seconds
        self._language = language

    def bring(self, row: Document) -> Fate:
        """Bring one document to its fate; another process that has it in hand counts as us.

        Raises:
            JournalError: Our own state directory.
        """
        site, table = self._site, self._table
        entry = site.journal.entry(table.scope, row.id)
        proven = entry is not None and entry.receipt is not None and entry.receipt.nas == site.nas
        if row.synced and not proven:
            row = replace(row, synced=False)  # inherited: read the NAS and prove it
        deadline = time.monotonic() + self._patience_seconds
        flow = Flow(site, table, manual=True)
        site.journal.retry_now(table.scope, [row.id])
        try:
            while True:
                flow.offer([row])
                fate = flow.drain()[-1]
                code = fate.reason.code if fate.reason else ""
                if fate.kind is FateKind.NOTHING or code == "wait.elsewhere":
                    done = self._done_elsewhere(row)
                    if done is not None:
                        return done
                if code.startswith("unmark.") and row.synced:
                    row = replace(row, synced=False)  # it has changed: the new version is filed
                elif code != "wait.elsewhere" or time.monotonic() > deadline:
                    return fate
                else:
                    time.sleep(ELSEWHERE_POLL_SECONDS)  # another process tells us nothing
        finally:
            flow.let_go()

    def _done_elsewhere(self, row: Document) -> Fate | None:
        table = self._table
        entry = self._site.journal.entry(table.scope, row.id)
        current = table.get([row.id]).get(row.id)
        safe = current is not None and current.synced and current.file_path == row.file_path
        proven = entry is not None and entry.state is State.SYNCED and entry.receipt is not None
        if safe and proven and entry and entry.receipt and entry.receipt.nas == self._site.nas:
            table.marked_at = current.synced_at if current else None
            return Fate(row, FateKind.SYNCED, receipt=entry.receipt)
        return None

    def everything(self, user: str | None) -> dict[str, Any]:
        """Bring all that is not marked to its fate; count what became of it.

        Trouble with the database or the journal ends it and is the last of the errors.

        Raises:
            SyncError: That trouble was there before anything was done.
        """
        result = nothing_done()
        flow = Flow(self._site, self._table, manual=True)
        cursor: str | None = None
        try:
            while True:
                page = self._table.pending(cursor, PAGE, user)
                self._take(flow, page.documents, result)
                cursor = page.cursor
                if cursor is None:
                    return result
        except SyncError as error:
            if not result["total"]:
                raise
            result["errors"].append(render_error(error, self._language))
            return result
        finally:
            flow.let_go()

    def _take(self, flow: Flow, documents: list[Document], result: dict[str, Any]) -> None:
        """Bring a page of documents to their fates; without the NAS they have failed together."""
        view = self._site.guard.view
        if view.usable:
            flow.offer(documents)
            for fate in flow.drain():
                self._count(fate, result)
        elif documents:
            result["total"] += len(documents)
            result["failed"] += len(documents)
            why = explain(view.reason or Reason("mount.error"), self._language)
            if result["errors"][-1:] != [why]:
                result["errors"].append(why)

    def _count(self, fate: Fate, result: dict[str, Any]) -> None:
        reason = fate.reason or Reason("internal")
        if reason.code in ("wait.elsewhere", "rest.synced"):
            fate = self.bring(fate.document)
            reason = fate.reason or reason
        if reason.code == "wait.metadata":
            result["waiting"] += 1
            return
        gone = fate.kind is FateKind.NOTHING
        if gone:
            return
        result["total"] += 1
        if fate.kind is FateKind.SYNCED:
            result["synced"] += 1
            return
        result["failed"] += 1
        result["errors"].append(error_line(fate.document, reason, self._language))


def nothing_done() -> dict[str, Any]:
    """Return the answer of a run, all counts at zero."""
    return {"total": 0, "synced": 0, "failed": 0, "errors": [], "waiting": 0}


def error_line(document: Document, reason: Reason, language: str) -> str:
    """Return ``Document 42: …``, with the name that the person gave it."""
    words, name = explain(reason, language), document.original_name
    if name:
        return text("document.line_named", language, id=document.id, name=name, text=words)
    return text("document.line", language, id=document.id, text=words)
