"""Engines of our own: lazy, bounded in time, and without side effects on the backend's database."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import NullPool

from nas_syncd.documents.urls import sqlite_path

APPLICATION_NAME = "nas-syncd"
_SQLITE_BUSY_SECONDS = 2.0
_POOL_SIZE, _POOL_OVERFLOW, _POOL_RECYCLE_SECONDS = 2, 18, 1800


def engine_for(url: URL, timeout_seconds: float) -> Engine:
    """Return an engine that has not connected yet. *url* is one of ``driver_url``."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        path = sqlite_path(url)
        return sa.create_engine(
            url,
            # A kept connection would go on reading a file that was replaced under its name.
            poolclass=NullPool,
            creator=lambda: open_sqlite(path, min(timeout_seconds, _SQLITE_BUSY_SECONDS)),
            hide_parameters=True,
        )
    arguments = _postgresql if backend == "postgresql" else _mysql
    return sa.create_engine(
        url,
        connect_args=_unless_given(url, arguments(url, timeout_seconds)),
        hide_parameters=True,
        max_overflow=_POOL_OVERFLOW,
        pool_pre_ping=backend != "postgresql",  # its first statement is as good
        pool_recycle=_POOL_RECYCLE_SECONDS,
        pool_size=_POOL_SIZE,
        pool_timeout=timeout_seconds,
    )


def open_sqlite(path: str, busy_seconds: float) -> sqlite3.Connection:
    """Open *path* without creating it; transactions begin only where we say so.

    Raises:
        sqlite3.OperationalError: There is no such file, or it may not be opened.
    """
    return sqlite3.connect(
        f"file:{quote(path)}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )


def _postgresql(url: URL, timeout_seconds: float) -> dict[str, Any]:
    """libpq's own words. Two seconds is the shortest time it waits for a connection."""
    seconds = max(2, round(timeout_seconds))
    arguments: dict[str, Any] = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": seconds,
        "keepalives_count": 3,
        "keepalives_idle": seconds,
        "keepalives_interval": max(1, seconds // 3),
        "tcp_user_timeout": seconds * 1000,
    }
    if url.get_driver_name() == "psycopg":
        arguments["prepare_threshold"] = None  # a pooler would not find them again
    return arguments


def _mysql(_: URL, timeout_seconds: float) -> dict[str, Any]:
    seconds = max(1, round(timeout_seconds))
    lock_seconds = max(1, seconds // 2)
    return {
        "charset": "utf8mb4",
        "connect_timeout": seconds,
        "init_command": f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}",
        "read_timeout": seconds,
        "write_timeout": seconds,
    }


def _unless_given(url: URL, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the address itself says wins."""
    return {key: value for key, value in arguments.items() if key not in url.query}
