"""From what drivers give to what we say, and back. Pure, and forgiving where the row is not ours.

Dates reach us as text on purpose: a driver that turns them into ``datetime`` raises on the one
row that holds ``infinity``, a zero date or garbage, and takes the whole page with it.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from enum import StrEnum

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_SMALLEST, _GREATEST = -(2**63), 2**64 - 1
_GREATEST_SIGNED = 2**63 - 1


class KeyKind(StrEnum):
    """What a key column holds."""

    INTEGER = "integer"
    UUID = "uuid"
    """The database's own UUID type."""
    TEXT = "text"
    BINARY = "binary"


def sendable(text: str) -> bool:
    """Whether a database can hold *text* at all: encodable as UTF-8, without a NUL."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def key_values(kind: KeyKind, text: str, *, unsigned: bool = False) -> list[object]:
    """Return what the database may hold for the key that people write as *text*.

    Empty when no key of this kind can be it. Text keys that hold UUIDs are stored with hyphens
    by some programs and without by others: both are given.
    """
    if kind is KeyKind.INTEGER:
        return _integer_values(text, _GREATEST if unsigned else _GREATEST_SIGNED)
    if not sendable(text):
        return []
    if kind is KeyKind.BINARY:
        return _binary_values(text)
    parsed = _uuid(text)
    if kind is KeyKind.UUID:
        return [str(parsed)] if parsed else []
    return [text, parsed.hex] if parsed and text == str(parsed) else [text]


def key_text(kind: KeyKind, value: object) -> str:
    """Return a key as text; the inverse of :func:`key_values`."""
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        return raw.hex() if kind is KeyKind.BINARY else raw.decode("utf-8", "replace")
    return str(value)


def spellings(text: str) -> list[str]:
    """Return the texts by which a row may come back that was asked for as *text*."""
    parsed = _uuid(text)
    return [text, str(parsed), parsed.hex] if parsed else [text]


def text_of(value: object) -> str | None:
    """Return *value* as text, None for NULL.

    Raises:
        UnicodeDecodeError: Bytes that are not UTF-8.
    """
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    return str(value)


def lenient_text(value: object) -> str | None:
    """Like :func:`text_of`; what is not UTF-8 shows as replacement characters."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return text_of(value)


def date_of(value: object) -> dt.date | None:
    """Return the date that *value* begins with, None for NULL and for what is no date."""
    moment = _moment(value)
    return moment.date() if moment else None


def utc_of(value: object) -> dt.datetime | None:
    """Return *value* as an aware UTC time; naive is UTC; None for NULL and for what is no time."""
    moment = _moment(value)
    if moment is None or moment.tzinfo is None:
        return moment.replace(tzinfo=dt.UTC) if moment else None
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        return None


def _moment(value: object) -> dt.datetime | None:
    text = (lenient_text(value) or "").strip()
    try:
        return dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _integer_values(text: str, greatest: int) -> list[object]:
    if not _INTEGER.fullmatch(text) or len(text) > len(str(_SMALLEST)):
        return []
    number = int(text)
    return [number] if _SMALLEST <= number <= greatest else []


def _binary_values(text: str) -> list[object]:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        parsed = _uuid(text)
        return [parsed.bytes] if parsed else []
    return [raw] if raw.hex() == text else []


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
