"""The backend's own objects: read as documents, and kept in step with what was marked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm.attributes import set_committed_value

from nas_syncd.models import Document


def document_from(given: Any, columns: Mapping[str, str]) -> Document | None:
    """Return *given* as a document; None when it has no id.

    Its attributes have our names, or the names that *columns* maps them to. An ORM row may ask
    its database for them.
    """

    def value(name: str) -> Any:
        found = getattr(given, name, None)
        mapped = columns.get(name)
        return getattr(given, mapped, None) if found is None and mapped else found

    if value("id") is None:
        return None
    date, created, synced_at = value("date"), value("created_at"), value("synced_at")
    user, name, status = value("user_id"), value("original_name"), value("processing_status")
    return Document(
        id=str(value("id")),
        file_path=str(value("file_path") or ""),
        user_id=None if user is None else str(user),
        original_name=None if name is None else str(name),
        doc_type=plain(value("doc_type")),
        date=date.date() if isinstance(date, dt.datetime) else date,
        created_at=_aware(created),
        processing_status=None if status is None else plain(status),
        synced=bool(value("synced_to_nas")),
        synced_at=_aware(synced_at),
    )


def reflect(given: Any, columns: Mapping[str, str], at: dt.datetime) -> None:
    """Let the caller's object say what the row says now, without a write of its own."""
    moment = at.astimezone(dt.UTC)
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


def plain(value: Any) -> str | None:
    """Return an enum's value, or what ``str`` makes of anything else."""
    if value is None:
        return None
    return str(getattr(value, "value", value))


def _aware(moment: Any) -> dt.datetime | None:
    if not isinstance(moment, dt.datetime):
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
