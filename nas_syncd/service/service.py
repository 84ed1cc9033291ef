"""``NASSyncService``: see the package.

Nothing here waits for the mount itself: a call returns when the agent answers or its deadline has
passed, and the backend's process can end at any time.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nas_syncd import report
from nas_syncd.compose import names_from
from nas_syncd.errors import MountError, SyncError
from nas_syncd.messages import explain, language_of, render_error, text
from nas_syncd.models import Document, FateKind, MountState, MountView, Reason
from nas_syncd.mount import mount_error
from nas_syncd.routing import destination_for, folder_for
from nas_syncd.service.filing import Filing, nothing_done
from nas_syncd.service.given import document_from, plain, reflect
from nas_syncd.service.session import (
    BorrowedSession,
    SessionTable,
    database_error,
    plain_session,
)
from nas_syncd.service.sites import shared_site
from nas_syncd.settings import Settings, load_settings
from nas_syncd.site import Site

FRESH_SECONDS = 1.0
READER_SECONDS = 5.0
"""Who only asks how things stand waits no longer for the NAS: a page that is reloaded again and
again would otherwise take all the backend's threads while the NAS hangs."""
DEFAULT_UPLOADS = "uploads"
UNKNOWN, WITHOUT_FILE = "document.unknown", "document.no_file"


def get_nas_sync_service(db: Session) -> NASSyncService:
    """Return the service for one of the backend's own sessions.

    Raises:
        ConfigurationError: A setting is wrong; its one line says which.
    """
    return NASSyncService(db)


class Told(NamedTuple):
    """How it ended for one document: for a person, and as the code of a text."""

    success: bool
    message: str
    code: str


class NASSyncService:
    """See DESIGN: is_configured, test_connection, sync_file, sync_all_pending, get_sync_stats.

    Belongs to the session's thread. Calls return within ``NAS_SYNCD_NAS_TIMEOUT_SECONDS`` while
    the NAS hangs. No transaction stays open meanwhile, unless the session holds uncommitted
    changes, or is inside a ``with db.begin():`` or a savepoint: then the commit is the caller's.
    """

    def __init__(
        self, db: Session, settings: Settings | None = None, *, language: str | None = None
    ) -> None:
        """
        Args:
            db: A session of the backend's own; it is committed when a document was marked.
            settings: Instead of the environment's and the settings file's.
            language: ``fr`` or ``en`` instead of the one that is set.

        Raises:
            ConfigurationError: A setting is wrong, or the session is an asynchronous one.
            JournalError: The state directory cannot be used.
        """
        self.settings = settings or load_settings(for_backend=True)
        if not self.settings.upload_dir:
            upload_dir = os.path.abspath(DEFAULT_UPLOADS)
            self.settings = self.settings.model_copy(update={"upload_dir": upload_dir})
        self.nas_mount_path = self.settings.nas_path
        self.language = language_of(language) if language else self.settings.language
        self.db = plain_session(db, self.language)
        self._borrowed = BorrowedSession(self.db)

    # -- how it is --------------------------------------------------------------------------

    def is_configured(self) -> bool:
        """Whether the NAS can be used now: a path is set, the mount is there, ours, writable."""
        return self._view().usable

    def get_config_status(self) -> dict[str, Any]:
        """Return what ``GET /sync/config`` answers."""
        return report.config_status(self.nas_mount_path, self._seen(), self.language)

    def test_connection(self) -> tuple[bool, str]:
        """Write, flush, read back and remove a small file; say how it went."""
        view = self._view(fresh=True)
        if not view.usable:
            return False, self._why(view)
        try:
            self._site.try_nas()
        except SyncError as error:
            return False, render_error(error, self.language)
        return True, text("test.ok", self.language)

    def get_sync_stats(self, user_id: object = None) -> dict[str, Any]:
        """Return what ``GET /sync/status`` answers, for one user or for all.

        Raises:
            DatabaseUnavailableError: The rows cannot be counted.
        """
        site, view = self._site, self._seen()
        user = _user(user_id)
        return report.status(self._table(), site.journal, view, site.nas, self.language, user)

    # -- work: one document -----------------------------------------------------------------

    def sync_file(self, document: Any) -> tuple[bool, str]:
        """Copy one document now and mark it.

        Args:
            document: Any object with the table's columns as attributes, an ORM row included.

        Returns:
            Whether it is safe on the NAS, and where, or why not. Trouble with the database or
            the journal is such an answer, too; only a wrong setting raises.
        """
        try:
            row = self._read(document)
            if row is None:
                return False, text(UNKNOWN, self.language)
            self._borrowed.rest()
            table = self._table()
            told = self._sync(table, row)
        except SyncError as error:
            return False, render_error(error, self.language)
        if told.success:
            reflect(document, self.settings.db_columns, table.marked_at or self._site.now())
        return told.success, told.message

    def sync_document(self, document_id: object, user_id: object = None) -> Told:
        """Copy the document with this id now, if it is *user_id*'s, and mark it.

        Returns:
            The code is ``document.unknown`` also for another user's document, and
            ``document.no_file`` for a row without a file.

        Raises:
            MountError: The NAS cannot be used.
            DatabaseUnavailableError: The row cannot be read.
            JournalError: The state directory cannot be used.
        """
        table, wanted, user = self._table(), str(document_id), _user(user_id)
        row = table.get([wanted], user).get(wanted)
        if row is not None:
            return self._sync(table, row)
        code = WITHOUT_FILE if table.row_exists(wanted, user) else UNKNOWN
        return Told(False, text(code, self.language, id=wanted), code)

    def _sync(self, table: SessionTable, row: Document) -> Told:
        """
        Raises:
            MountError: The NAS cannot be used, or went away meanwhile.
        """
        if not row.file_path:
            return Told(False, text(WITHOUT_FILE, self.language), WITHOUT_FILE)
        self._require_nas()
        fate = self._filing(table).bring(row)
        if fate.kind is FateKind.SYNCED:
            destination = fate.receipt.destination if fate.receipt else ""
            where = text("sync.done", self.language, path=self._full(destination))
            return Told(True, where, "sync.done")
        if fate.kind is FateKind.WAITING:
            self._site.guard.raise_unless_usable()
        reason = fate.reason or Reason("internal")
        return Told(False, explain(reason, self.language), reason.code)

    # -- work: everything -------------------------------------------------------------------

    def sync_all_pending(self, user_id: object = None) -> dict[str, Any]:
        """Copy everything that is not marked, of one user or of all.

        Returns:
            ``total`` = ``synced`` + ``failed``, ``errors`` as lines for a person, and ``waiting``:
            how many rows still wait for their metadata. What keeps us from beginning is such an
            answer, too.
        """
        try:
            return self.run(user_id)
        except SyncError as error:
            result = nothing_done()
            result["errors"].append(render_error(error, self.language))
            if isinstance(error, MountError):
                counts = self._table().counts(_user(user_id))
                result["total"] = result["failed"] = counts.total - counts.synced
            return result

    def run(self, user_id: object = None) -> dict[str, Any]:
        """:meth:`sync_all_pending`, but raise what keeps us from beginning.

        Raises:
            MountError: The NAS cannot be used.
            DatabaseUnavailableError: The rows cannot be read.
            JournalError: The state directory cannot be used.
        """
        self._require_nas(fresh=True)
        return self._filing(self._table()).everything(_user(user_id))

    # -- names and places -------------------------------------------------------------------

    def _get_doc_type_folder(self, doc_type: Any) -> str:
        """Return the folder of a type, in any letter case; unknown and None give ``autres``."""
        return folder_for(plain(doc_type), self.settings.type_folders)

    def _get_destination_path(self, document: Any) -> str:
        """Return where *document* goes when the place is free, the mount's path included.

        Raises:
            UnfilableError: It has neither ``date`` nor ``created_at``.
        """
        row = document_from(document, self.settings.db_columns) or Document("", "")
        return self._full(str(destination_for(row, self.settings.type_folders)))

    def _full(self, destination: str) -> str:
        return f"{self.nas_mount_path.rstrip('/')}/{destination}"

    # -- inside -----------------------------------------------------------------------------

    @property
    def _site(self) -> Site:
        return shared_site(self.settings)

    def _table(self) -> SessionTable:
        return SessionTable.of(self.db, names_from(self.settings))

    def _filing(self, table: SessionTable) -> Filing:
        patience = self.settings.nas_timeout_seconds
        return Filing(self._site, table, patience_seconds=patience, language=self.language)

    def _read(self, document: Any) -> Document | None:
        self._borrowed.flush_new(document)
        try:
            return document_from(document, self.settings.db_columns)
        except SQLAlchemyError as error:  # an expired row is read from the database
            self._borrowed.undo()
            raise database_error(error) from None

    def _require_nas(self, *, fresh: bool = False) -> None:
        """
        Raises:
            MountError: The NAS cannot be used.
        """
        view = self._view(fresh=fresh)
        if not view.usable:
            raise mount_error(view)

    def _seen(self) -> MountView:
        """Return the mount as it is now; a NAS that takes long to answer does not answer."""
        return self._view(patience=min(READER_SECONDS, self.settings.nas_timeout_seconds))

    def _view(self, *, fresh: bool = False, patience: float | None = None) -> MountView:
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
        self._borrowed.rest()
        asked = guard.check(write=not view.usable)
        try:
            return asked.result(patience)
        except TimeoutError:
            return _silent(guard.view, patience)

    def _why(self, view: MountView) -> str:
        return explain(view.reason, self.language) if view.reason else ""


def _silent(view: MountView, seconds: float | None) -> MountView:
    """What is known of a NAS that has not answered yet: not that it can be used."""
    if view.checked_at is not None and not view.usable:
        return view
    reason = Reason("mount.hung", {"path": view.path, "seconds": seconds})
    return replace(view, state=MountState.HUNG, reason=reason)


def _user(user_id: object) -> str | None:
    return None if user_id is None else str(user_id)
