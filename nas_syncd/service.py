"""``NASSyncService``: the daemon's work, called from inside the backend.

The same decision, copier, journal and mount guard as the daemon's. All instances of one
process share one site (journal, agents), so that fifty threads ask a hung NAS once. Nothing here
waits for the mount itself: a call returns when the agent answers or its deadline has passed, and
the backend's process can end at any time.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from nas_syncd import report
from nas_syncd.compose import names_from, site_from
from nas_syncd.documents import DocumentsTable, MarkOutcome
from nas_syncd.errors import DatabaseUnavailableError, SyncError
from nas_syncd.flow import Flow
from nas_syncd.logs import redacted
from nas_syncd.messages import explain, render_error, text
from nas_syncd.models import Document, Fate, FateKind, MountState, MountView, Reason, State
from nas_syncd.routing import destination_for, folder_for
from nas_syncd.settings import Settings, load_settings
from nas_syncd.site import Site

PAGE = 200
ELSEWHERE_POLL_SECONDS = 0.2
FRESH_SECONDS = 1.0
DEFAULT_UPLOADS = "uploads"

_sites: dict[tuple[str, ...], Site] = {}
_sites_lock = threading.Lock()


def get_nas_sync_service(db: Session) -> NASSyncService:
    """Return the service for one of the backend's own sessions.

    Raises:
        ConfigurationError: A setting is wrong; its one line says which.
    """
    return NASSyncService(db)


def _shared_site(settings: Settings) -> Site:
    key = (settings.nas_path, settings.upload_dir, str(settings.state_dir))
    with _sites_lock:
        site = _sites.get(key)
        if site is None:
            site = _sites[key] = site_from(settings)
        return site


def _after_fork() -> None:
    """A forked worker begins with parts of its own: threads and children did not come along."""
    global _sites_lock
    _sites_lock = threading.Lock()
    _sites.clear()


os.register_at_fork(after_in_child=_after_fork)


class NASSyncService:
    """See DESIGN: is_configured, test_connection, sync_file, sync_all_pending, get_sync_stats.

    Belongs to the session's thread. Calls return within ``NAS_SYNCD_NAS_TIMEOUT_SECONDS`` while
    the NAS hangs.
    """

    def __init__(self, db: Session, settings: Settings | None = None) -> None:
        """
        Args:
            db: A session of the backend's own; it is committed when a document was marked.
            settings: Instead of the environment's and the settings file's.

        Raises:
            ConfigurationError: A setting is wrong.
            JournalError: The state directory cannot be used.
        """
        self.db = db
        self.settings = settings or load_settings(for_backend=True)
        if not self.settings.upload_dir:
            upload_dir = os.path.abspath(DEFAULT_UPLOADS)
            self.settings = self.settings.model_copy(update={"upload_dir": upload_dir})
        self.nas_mount_path = self.settings.nas_path
        self._language = self.settings.language

    # -- how it is --------------------------------------------------------------------------

    def is_configured(self) -> bool:
        """Whether the NAS can be used now: a path is set, the mount is there, ours, writable."""
        return self._view().usable

    def get_config_status(self) -> dict[str, Any]:
        """Return what ``GET /sync/config`` answers."""
        return report.config_status(self.nas_mount_path, self._view(), self._language)

    def test_connection(self) -> tuple[bool, str]:
        """Write, flush, read back and remove a small file; say how it went."""
        view = self._view(fresh=True)
        if not view.usable:
            return False, self._why(view)
        site = self._site
        try:
            site.agent.call("test", root=self.nas_mount_path, nas=site.nas, file_system="")
        except SyncError as error:
            site.guard.trouble(error)
            return False, render_error(error, self._language)
        return True, text("test.ok", self._language)

    def get_sync_stats(self, user_id: object = None) -> dict[str, Any]:
        """Return what ``GET /sync/status`` answers, for one user or for all."""
        site, table = self._site, self._table()
        user = None if user_id is None else str(user_id)
        clean = self._is_clean()
        stats = report.status(table, site.journal, self._view(), site.nas, self._language, user)
        self._end_transaction(clean)
        return stats

    # -- work -------------------------------------------------------------------------------

    def sync_file(self, document: Any) -> tuple[bool, str]:
        """Copy one document now and mark it.

        Args:
            document: Any object with the table's columns as attributes, an ORM row included.

        Returns:
            Whether it is safe on the NAS, and where, or why not. Trouble with the database or
            the journal is such an answer, too; only a wrong setting raises.
        """
        clean = self._is_clean()
        row = self._document(document)
        self._end_transaction(clean)
        if not row.file_path:
            return False, text("document.no_file", self._language)
        view = self._view()
        if not view.usable:
            return False, self._why(view)
        try:
            table = _Committing(self._table(), self.db, clean)
            fate = self._run(table, row)
        except SyncError as error:
            return False, render_error(error, self._language)
        if fate.kind is FateKind.SYNCED:
            self._reflect(document, table.marked_at)
            destination = fate.receipt.destination if fate.receipt else ""
            return True, text("sync.done", self._language, path=self._full(destination))
        return False, explain(fate.reason, self._language) if fate.reason else "?"

    def _run(self, table: _Committing, row: Document) -> Fate:
        """Bring one document to its fate; another process that has it in hand counts as us."""
        site = self._site
        entry = site.journal.entry(table.scope, row.id)
        proven = entry is not None and entry.receipt is not None and entry.receipt.nas == site.nas
        if row.synced and not proven:
            row = replace(row, synced=False)  # inherited: read the NAS and prove it
        deadline = time.monotonic() + self.settings.nas_timeout_seconds
        flow = Flow(site, table, manual=True)
        site.journal.retry_now(table.scope, [row.id])
        try:
            while True:
                flow.offer([row])
                fate = flow.drain()[-1]
                code = fate.reason.code if fate.reason else ""
                if fate.kind is FateKind.NOTHING or code == "wait.elsewhere":
                    done = self._done_elsewhere(table, row)
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

    def _done_elsewhere(self, table: _Committing, row: Document) -> Fate | None:
        entry = self._site.journal.entry(table.scope, row.id)
        current = table.get([row.id]).get(row.id)
        safe = current is not None and current.synced and current.file_path == row.file_path
        proven = entry is not None and entry.state is State.SYNCED and entry.receipt is not None
        if safe and proven and entry and entry.receipt and entry.receipt.nas == self._site.nas:
            table.marked_at = current.synced_at if current else None
            return Fate(row, FateKind.SYNCED, receipt=entry.receipt)
        return None

    def sync_all_pending(self, user_id: object = None) -> dict[str, Any]:
        """Copy everything that is not marked, of one user or of all.

        Returns:
            ``total`` = ``synced`` + ``failed``, ``errors`` as lines for a person, and ``waiting``:
            how many rows still wait for their metadata.
        """
        user = None if user_id is None else str(user_id)
        result: dict[str, Any] = {"total": 0, "synced": 0, "failed": 0, "errors": [], "waiting": 0}
        view = self._view(fresh=True)
        clean = self._is_clean()
        table = _Committing(self._table(), self.db, clean)
        if not view.usable:
            counts = self._table().counts(user)
            self._end_transaction(clean)
            pending = counts.total - counts.synced
            result |= {"total": pending, "failed": pending, "errors": [self._why(view)]}
            return result
        flow = Flow(self._site, table, manual=True)
        cursor: str | None = None
        try:
            while True:
                page = self._table().pending(cursor, PAGE, user)
                self._end_transaction(clean)
                flow.offer(page.documents)
                for fate in flow.drain():
                    self._count(table, fate, result)
                cursor = page.cursor
                if cursor is None:
                    return result
        except SyncError as error:
            result["errors"].append(render_error(error, self._language))
            return result
        finally:
            flow.let_go()

    def _count(self, table: _Committing, fate: Fate, result: dict[str, Any]) -> None:
        reason = fate.reason or Reason("internal")
        if reason.code in ("wait.elsewhere", "rest.synced"):
            fate = self._run(table, fate.document)
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

    # -- names and places -------------------------------------------------------------------

    def _get_doc_type_folder(self, doc_type: Any) -> str:
        """Return the folder of a type, in any letter case; unknown and None give ``autres``."""
        return folder_for(_plain(doc_type), self.settings.type_folders)

    def _get_destination_path(self, document: Any) -> str:
        """Return where *document* goes when the place is free, the mount's path included.

        Raises:
            UnfilableError: It has neither ``date`` nor ``created_at``.
        """
        place = destination_for(self._document(document), self.settings.type_folders)
        return self._full(place)

    def _full(self, destination: str) -> str:
        return f"{self.nas_mount_path.rstrip('/')}/{destination}"

    # -- inside -----------------------------------------------------------------------------

    @property
    def _site(self) -> Site:
        return _shared_site(self.settings)

    def _table(self) -> DocumentsTable:
        return DocumentsTable.within(self.db, names_from(self.settings))

    def _view(self, *, fresh: bool = False) -> MountView:
        """Return the mount as it is now, asked at most once a second, by one caller for all."""
        guard = self._site.guard
        view = guard.view
        if view.state is MountState.UNCONFIGURED:
            return view
        checked = view.checked_at
        age = (self._site.now() - checked).total_seconds() if checked else None
        if view.usable and age is not None and 0 <= age < FRESH_SECONDS and not fresh:
            return view
        if not view.usable and checked and not guard.due(work_waits=True) and not guard.asking:
            return view  # a moment ago it was not; the mount table has not changed since
        return guard.check(write=not view.usable).result()

    def _why(self, view: MountView) -> str:
        return explain(view.reason, self._language) if view.reason else ""

    def _document(self, given: Any) -> Document:
        """Read the columns of *given* by our names, or by the names they are mapped to."""

        def value(name: str) -> Any:
            found = getattr(given, name, None)
            mapped = self.settings.db_columns.get(name)
            return getattr(given, mapped, None) if found is None and mapped else found

        date, created, synced_at = value("date"), value("created_at"), value("synced_at")
        user, name, status = value("user_id"), value("original_name"), value("processing_status")
        return Document(
            id=str(value("id")),
            file_path=str(value("file_path") or ""),
            user_id=None if user is None else str(user),
            original_name=None if name is None else str(name),
            doc_type=_plain(value("doc_type")),
            date=date.date() if isinstance(date, dt.datetime) else date,
            created_at=_aware(created),
            processing_status=None if status is None else _plain(status),
            synced=bool(value("synced_to_nas")),
            synced_at=_aware(synced_at),
        )

    def _reflect(self, given: Any, at: dt.datetime | None) -> None:
        """Let the caller's object say what the row says now, without a write of its own."""
        moment = (at or self._site.now()).astimezone(dt.UTC)
        columns = self.settings.db_columns
        names = {n: columns.get(n, n) for n in ("synced_to_nas", "synced_at")}
        try:
            mapper = sa.inspect(given).mapper
        except (NoInspectionAvailable, AttributeError):
            given.synced_to_nas = True
            zoned = getattr(getattr(given, "created_at", None), "tzinfo", None) is not None
            given.synced_at = moment if zoned else moment.replace(tzinfo=None)
            return
        for attribute in mapper.column_attrs:
            column = attribute.columns[0]
            if column.name == names["synced_to_nas"]:
                set_committed_value(given, attribute.key, True)
            elif column.name == names["synced_at"]:
                zoned = bool(getattr(column.type, "timezone", False))
                value = moment if zoned else moment.replace(tzinfo=None)
                set_committed_value(given, attribute.key, value)

    def _is_clean(self) -> bool:
        """Whether the session holds nothing that the caller has not yet committed."""
        db = self.db
        if db.new or db.dirty or db.deleted:
            return False
        transaction = db.get_transaction()
        flushed = ("_new", "_dirty", "_deleted")
        return transaction is None or not any(getattr(transaction, n, None) for n in flushed)

    def _end_transaction(self, clean: bool) -> None:
        """No transaction stays open during I/O on the NAS, unless it is the caller's own."""
        if clean and self.db.in_transaction():
            self.db.commit()


class _Committing:
    """The table within the session, each mark committed as soon as it is made."""

    def __init__(self, table: DocumentsTable, db: Session, clean: bool) -> None:
        self.scope = table.scope
        self.marked_at: dt.datetime | None = None
        self._table = table
        self._db = db
        self._clean = clean

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        found = self._table.get(ids)
        if self._clean and self._db.in_transaction():
            self._commit()
        return found

    def _commit(self) -> None:
        try:
            self._db.commit()
        except SQLAlchemyError as error:
            self._db.rollback()
            words = str(error.__cause__ or error).splitlines()[0]
            raise DatabaseUnavailableError(redacted(words)) from None

    def mark(self, marks: Collection[tuple[str, str]], at: dt.datetime) -> dict[str, MarkOutcome]:
        outcomes = self._table.mark(marks, at)
        self._commit()
        self.marked_at = at
        return outcomes

    def unmark(self, marks: Collection[tuple[str, str]]) -> set[str]:
        taken = self._table.unmark(marks)
        self._commit()
        return taken


def error_line(document: Document, reason: Reason, language: str) -> str:
    """Return ``Document 42: …``, with the name that the person gave it."""
    words = explain(reason, language)
    if document.original_name:
        return text(
            "document.line_named",
            language,
            id=document.id,
            name=document.original_name,
            text=words,
        )
    return text("document.line", language, id=document.id, text=words)


def _plain(value: Any) -> str | None:
    """Return an enum's value, or what ``str`` makes of anything else."""
    if value is None:
        return None
    return str(getattr(value, "value", value))


def _aware(moment: Any) -> dt.datetime | None:
    if not isinstance(moment, dt.datetime):
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
