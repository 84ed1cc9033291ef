"""The backend's session, borrowed: what is the caller's stays the caller's.

A *clean* session holds nothing that its owner has not committed yet: its read transaction is
ended after each question of ours, so that none stays open while the NAS is waited for. A *lent*
one is inside a ``with db.begin():`` or a savepoint: its end is the caller's, and so is the commit
of our marks.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
from collections.abc import Collection
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from nas_syncd.documents import DocumentsTable, MarkOutcome, TableNames
from nas_syncd.documents.gates import SessionGate, Work
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, SyncError
from nas_syncd.logs import redacted
from nas_syncd.messages import text

T = TypeVar("T")


def plain_session(db: Any, language: str) -> Any:
    """Return *db* itself, or the session of this thread that a ``scoped_session`` stands for.

    Raises:
        ConfigurationError: It is an asynchronous session.
    """
    if inspect.iscoroutinefunction(getattr(db, "commit", None)):
        detail = text("backend.async_session", language, given=type(db).__name__)
        raise ConfigurationError(detail, given=type(db).__name__)
    return db() if isinstance(db, scoped_session) else db


class BorrowedSession:
    """Keeps no state of its own. Belongs to the session's thread."""

    def __init__(self, db: Session) -> None:
        self._db = db

    @property
    def is_clean(self) -> bool:
        """Whether the session holds nothing that the caller has not yet committed."""
        db = self._db
        if db.new or db.dirty or db.deleted:
            return False
        transaction = db.get_transaction()
        flushed = ("_new", "_dirty", "_deleted")
        return transaction is None or not any(getattr(transaction, n, None) for n in flushed)

    @property
    def is_lent(self) -> bool:
        """Whether the caller is inside a ``with db.begin():`` or a savepoint. To commit there
        would make the caller's next statement fail."""
        managed = getattr(self._db, "_trans_context_manager", None)
        return managed is not None or self._db.in_nested_transaction()

    def rest(self) -> None:
        """End the transaction, unless it is the caller's own.

        Raises:
            DatabaseUnavailableError: It was rolled back.
        """
        if self._db is not None and self._db.in_transaction() and self.is_clean:
            self.commit()

    def commit(self) -> None:
        """Commit what we wrote, and with it what the caller has not; not in a lent session.

        Raises:
            DatabaseUnavailableError: It was rolled back.
        """
        if self.is_lent:
            return
        try:
            self._db.commit()
        except SQLAlchemyError as error:
            with contextlib.suppress(SQLAlchemyError):
                self._db.rollback()
            raise database_error(error) from None

    def undo(self) -> None:
        """After a failure of ours a clean session is ready for the caller's next statement."""
        if self.is_clean and not self.is_lent:
            with contextlib.suppress(SQLAlchemyError):
                self._db.rollback()

    def flush_new(self, given: object) -> None:
        """Let an object that was added, and has no key yet, get its key.

        Raises:
            DatabaseUnavailableError: The database does not take it.
        """
        if given not in self._db.new:
            return
        try:
            self._db.flush()
        except SQLAlchemyError as error:
            raise database_error(error) from None


def database_error(error: SQLAlchemyError) -> DatabaseUnavailableError:
    """Return *error* as ours: the first line of what the driver says, without a secret."""
    words = str(error.__cause__ or error).splitlines()
    return DatabaseUnavailableError(redacted(words[0] if words else type(error).__name__))


class BorrowedGate(SessionGate):
    """Ends the transaction after each question and commits each mark, where that is ours to do."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._borrowed = BorrowedSession(session)

    def run(self, work: Work[T], *, table: str, write: bool = False) -> T:
        try:
            answer = super().run(work, table=table, write=write)
        except SyncError:
            self._borrowed.undo()
            raise
        if write:
            self._borrowed.commit()
        else:
            self._borrowed.rest()
        return answer


class SessionTable(DocumentsTable):
    """The documents table by way of the backend's session. ``marked_at`` is the last mark's."""

    marked_at: dt.datetime | None = None

    @classmethod
    def of(cls, session: Session, names: TableNames) -> SessionTable:
        """
        Raises:
            ConfigurationError: The session is bound to no database, or one we do not know.
        """
        return cls.within(session, names, gate_of=BorrowedGate)

    def mark(self, marks: Collection[tuple[str, str]], at: dt.datetime) -> dict[str, MarkOutcome]:
        outcomes = super().mark(marks, at)
        self.marked_at = at
        return outcomes
