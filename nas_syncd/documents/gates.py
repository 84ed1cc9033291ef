"""How a piece of work reaches the database: over our own engine, or inside a caller's session.

Both translate every failure into our own errors and wait out a locked SQLite; only the first
may begin a transaction again.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ProgrammingError

from nas_syncd.documents.trouble import (
    FAILURES,
    Trouble,
    detail_of,
    explained,
    retrying_cannot_help,
    server_has_spoken,
    trouble_of,
)
from nas_syncd.documents.urls import secrets_of
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError

if TYPE_CHECKING:  # the daemon does without the ORM
    from sqlalchemy.orm import Session

T = TypeVar("T")
Work = Callable[[Connection], T]

LOCKED_PATIENCE_SECONDS = 5.0
"""How long a SQLite file may stay locked before the database counts as away."""
_CLASH_ATTEMPTS = 6
_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.3
_STALE_SECONDS = 1.0
"""A kept connection that is dead says so at once; what takes longer is not worth a second go."""


class Gate(Protocol):
    """Runs work on a connection."""

    @property
    def engine(self) -> Engine: ...

    def run(self, work: Work[T], *, table: str, write: bool = False) -> T:
        """Return what *work* returns.

        *work* may be called more than once. Raises our own errors only.
        """


class OwnGate:
    """One transaction of our own for each piece of work. Safe for several threads."""

    def __init__(self, engine: Engine, *, timeout_seconds: float) -> None:
        self.engine = engine
        self._timeout_seconds = timeout_seconds

    def run(self, work: Work[T], *, table: str, write: bool = False) -> T:
        return _persist(
            lambda: self._once(work, write),
            table,
            secrets_of(self.engine.url),
            {Trouble.BUSY, Trouble.CLASH, Trouble.LOST},
        )

    def close(self) -> None:
        self.engine.dispose()

    def _once(self, work: Work[T], write: bool) -> T:
        with _connected(self.engine) as connection, self._bounded(connection):
            if connection.dialect.name == "sqlite" and write:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif connection.dialect.name == "postgresql":
                connection.execute(_POSTGRESQL_LIMITS, self._limits())
            result = work(connection)
            if write:
                connection.commit()
            return result

    def _limits(self) -> dict[str, str]:
        whole = max(1, int(self._timeout_seconds * 1000))
        return {"statement": f"{whole}ms", "lock": f"{max(1, whole // 2)}ms"}

    def _bounded(self, connection: Connection) -> Deadline | nullcontext[None]:
        """PostgreSQL's drivers wait for ever on a server that is there but does not answer."""
        if connection.dialect.name != "postgresql":
            return nullcontext()
        fileno: Callable[[], int] = connection.connection.driver_connection.fileno  # type: ignore[union-attr]
        return Deadline(fileno(), self._timeout_seconds * 2)


class SessionGate:
    """Work inside the transaction of a caller's session; commits and rolls back nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        bind = session.get_bind()
        self.engine = bind.engine

    def run(self, work: Work[T], *, table: str, write: bool = False) -> T:  # noqa: ARG002
        return _persist(
            lambda: work(self._session.connection()),
            table,
            secrets_of(self.engine.url),
            {Trouble.BUSY},
        )


class Deadline:
    """Cuts the line when the block takes longer than *seconds*: its driver then gives up."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = descriptor
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._descriptor = None

    def _cut(self) -> None:
        with self._lock:
            if self._descriptor is None:
                return
            try:
                with socket.socket(fileno=os.dup(self._descriptor)) as line:
                    line.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed by the other side meanwhile, which ends the wait as well


_POSTGRESQL_LIMITS = sa.text(
    "SELECT set_config('statement_timeout', :statement, true),"
    " set_config('lock_timeout', :lock, true)"
)
"""For one transaction only: a pooler in between may hand the connection to somebody else. It is
also the first thing said on a kept connection, and finds out whether it is still alive."""


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection; what drivers say of an argument they do not know is understood."""
    try:
        connection = engine.connect()
    except RuntimeError as error:  # PyMySQL without the package that the server's login needs
        raise DatabaseUnavailableError(detail_of(error, secrets_of(engine.url))) from None
    except (TypeError, ValueError, ProgrammingError) as error:
        if server_has_spoken(error):
            raise
        detail = detail_of(error, secrets_of(engine.url))
        raise ConfigurationError(
            f"DATABASE_URL: the driver does not take what was given: {detail};"
            " allowed after the question mark: what the driver knows"
        ) from None
    with connection:
        yield connection


def _persist(
    once: Callable[[], T], table: str, secrets: Collection[str], again: Collection[Trouble]
) -> T:
    """Call *once* until it works or the failure is not one to wait out."""
    began = time.monotonic()
    attempt = 0
    while True:
        started = time.monotonic()
        attempt += 1
        try:
            return once()
        except FAILURES as error:
            trouble = trouble_of(error)
            now = time.monotonic()
            hopeful = {
                Trouble.BUSY: not retrying_cannot_help(error)
                and now - began < LOCKED_PATIENCE_SECONDS,
                Trouble.CLASH: attempt < _CLASH_ATTEMPTS,
                Trouble.LOST: attempt == 1 and now - started < _STALE_SECONDS,
            }
            if trouble not in again or not hopeful.get(trouble, False):
                raise explained(error, table, secrets) from None
        time.sleep(_pause_seconds(attempt))


def _pause_seconds(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)
