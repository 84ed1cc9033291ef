"""What the table is called, and what its questions answer: plain types, no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nas_syncd.errors import ConfigurationError
from nas_syncd.models import Document

REQUIRED = (
    "id",
    "user_id",
    "file_path",
    "doc_type",
    "date",
    "created_at",
    "synced_to_nas",
    "synced_at",
)
OPTIONAL = ("original_name", "processing_status")
LOGICAL = REQUIRED + OPTIONAL
"""The names we use; the settings map each of them to the backend's own."""


@dataclass(frozen=True)
class TableNames:
    """What the backend calls its table and columns.

    ``table`` may be ``schema.table``. ``columns`` maps our names (:data:`LOGICAL`) to theirs;
    what it does not name is called the same on both sides.

    Raises:
        ConfigurationError: The table has no name, or ``columns`` maps a name we do not know.
    """

    table: str = "documents"
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not all(self.table.split(".")):
            raise ConfigurationError(
                f"NAS_SYNCD_DB_TABLE: {self.table!r} is not a table's name;"
                " allowed: a name, or schema.name"
            )
        unknown = sorted(set(self.columns) - set(LOGICAL))
        if unknown:
            raise ConfigurationError(
                f"NAS_SYNCD_DB_COLUMNS: {unknown[0]!r} is not a column we know;"
                f" allowed: {', '.join(LOGICAL)}"
            )

    @property
    def schema(self) -> str | None:
        return self.table.rpartition(".")[0] or None

    @property
    def name(self) -> str:
        return self.table.rpartition(".")[2]

    def real(self, logical: str) -> str:
        return self.columns.get(logical, logical)


@dataclass(frozen=True)
class Counts:
    """How many rows have a file, how many of them are marked, and when the last one was."""

    total: int
    synced: int
    last_sync: dt.datetime | None
    """Aware UTC."""
    oldest_pending: dt.datetime | None
    """When the first of the rows was created that have a file and no mark; aware UTC, to the
    millisecond at least. None: no such row, or no such row that says when."""


@dataclass(frozen=True)
class MonthCount:
    """How many rows with a file are filed under one month and type."""

    month: str
    """``2024-01``, by the rule of :func:`nas_syncd.routing.filing_date`; empty when the row has
    neither date."""
    doc_type: str
    """As :func:`nas_syncd.routing.folder_for` reads it: lower case, no spaces around it; empty
    for none."""
    documents: int
    synced: int
    """Their flag is true."""


class MarkOutcome(StrEnum):
    """What became of one wish to mark a row."""

    MARKED = "marked"
    """By this very call, and by no other."""
    ALREADY = "already"
    """The flag is true; somebody else set it."""
    GONE = "gone"
    """There is no such row any more."""
    MOVED = "moved"
    """The row has another ``file_path``, or the database keeps our update from it (a trigger or
    a row policy). The flag is as it was: read the row again before anything else."""


@dataclass(frozen=True)
class Page:
    """Some rows in the order of the primary key."""

    documents: list[Document]
    cursor: str | None
    """What to give as ``after`` for the next page; None: this was the last."""
    unreadable: list[tuple[str, str]]
    """Rows whose path is no text: (id, why). They are in no other list."""
