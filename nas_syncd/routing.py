"""Where a document goes on the NAS. Pure: no clock, no disk.

The rule is DESIGN.md's section 3: ``{year}/{month:02}/{folder}/{file}``, and the names tried in
order where the place is taken: plain, ``-<id>``, ``-<id>-<first 12 of the SHA-256>``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from nas_syncd.errors import UnfilableError
from nas_syncd.models import Document
from nas_syncd.names import SHA_PLACE, last_component, safe_name, safe_tag, with_suffix

DEFAULT_FOLDERS: Mapping[str, str] = {
    "receipt": "tickets",
    "invoice": "factures",
    "payslip": "salaires",
    "other": "autres",
}


def folder_for(doc_type: str | None, folders: Mapping[str, str] = DEFAULT_FOLDERS) -> str:
    """Return the folder of *doc_type*, in any letter case; unknown and None give ``other``'s."""
    key = (doc_type or "").strip().casefold()
    return folders.get(key) or folders.get("other") or DEFAULT_FOLDERS["other"]


def filing_date(document: Document) -> dt.date:
    """Return the date a document is filed under.

    Raises:
        UnfilableError: The row has neither ``date`` nor ``created_at``.
    """
    if document.date is not None:
        return document.date
    if document.created_at is not None:
        return document.created_at.astimezone(dt.UTC).date()
    raise UnfilableError(id=document.id)


def folder_path(document: Document, folders: Mapping[str, str] = DEFAULT_FOLDERS) -> str:
    """Return ``{year}/{month:02}/{folder}`` for *document*.

    Raises:
        UnfilableError: The row has neither ``date`` nor ``created_at``.
    """
    date = filing_date(document)
    return f"{date.year:04d}/{date.month:02d}/{folder_for(document.doc_type, folders)}"


def destination_for(document: Document, folders: Mapping[str, str] = DEFAULT_FOLDERS) -> str:
    """Return where *document* is filed when the place is free, relative to the NAS's root.

    The same document always gives the same path, which makes a retried copy idempotent.

    Raises:
        UnfilableError: The row has neither ``date`` nor ``created_at``.
    """
    return f"{folder_path(document, folders)}/{safe_name(last_component(document.file_path))}"


def candidates_for(
    document: Document, folders: Mapping[str, str] = DEFAULT_FOLDERS
) -> tuple[str, str, str]:
    """Return the three places to try, in order; the last holds :data:`SHA_PLACE`.

    Raises:
        UnfilableError: The row has neither ``date`` nor ``created_at``.
    """
    folder = folder_path(document, folders)
    plain = safe_name(last_component(document.file_path))
    tag = safe_tag(document.id)
    return (
        f"{folder}/{plain}",
        f"{folder}/{with_suffix(plain, f'-{tag}')}",
        f"{folder}/{with_suffix(plain, f'-{tag}-{SHA_PLACE}')}",
    )
