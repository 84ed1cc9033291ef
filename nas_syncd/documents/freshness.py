"""A cheap answer to "has anybody written to this SQLite file since I last asked?"."""

from __future__ import annotations

import os
import sqlite3
import threading

from nas_syncd.documents.engines import open_sqlite
from nas_syncd.documents.trouble import detail_of
from nas_syncd.errors import DatabaseUnavailableError

_BUSY_SECONDS = 1.0

Token = tuple[int, int, int, int]


class ChangeWatch:
    """Keeps one connection on which SQLite counts what *others* committed.

    Holds no lock between two questions. Safe for several threads. Our own marks, which go over
    other connections, count as a change too.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._opened = 0

    def token(self) -> Token:
        """Return a value that is another one whenever the file was written to, or replaced.

        Raises:
            DatabaseUnavailableError: The file is not there, locked, or no database.
        """
        with self._lock:
            try:
                stat = os.stat(self.path)
                connection = self._on((stat.st_dev, stat.st_ino))
                version = connection.execute("PRAGMA data_version").fetchall()[0][0]
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise DatabaseUnavailableError(detail_of(error, ())) from None
            return (*self._file, self._opened, int(version))

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _on(self, file: tuple[int, int]) -> sqlite3.Connection:
        if self._connection is None or file != self._file:
            self._drop()
            self._connection = open_sqlite(self.path, _BUSY_SECONDS)
            self._file = file
            self._opened += 1  # versions of two connections cannot be compared
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
