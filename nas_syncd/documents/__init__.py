"""The backend's ``documents`` table, which we read and of which we write two columns.

::

    names       what it is called, what the questions answer
    urls        which driver, what is shown, what is compared
    engines     our own connections          gates     a transaction of ours, or a session's
    shape       what the table looks like    values    from the driver's values to ours
    statements  the SQL                      marks     the two updates
    counting    totals, and by month         freshness has a SQLite file changed?
    trouble     what a driver's error means  writes    the moment when it is written to
    table       DocumentsTable
"""

from __future__ import annotations

from nas_syncd.documents.names import (
    LOGICAL,
    OPTIONAL,
    REQUIRED,
    Counts,
    MarkOutcome,
    MonthCount,
    Page,
    TableNames,
)
from nas_syncd.documents.table import DocumentsTable
from nas_syncd.documents.urls import display_url, driver_url, scope_database

__all__ = [
    "LOGICAL",
    "OPTIONAL",
    "REQUIRED",
    "Counts",
    "DocumentsTable",
    "MarkOutcome",
    "MonthCount",
    "Page",
    "TableNames",
    "display_url",
    "driver_url",
    "scope_database",
]
