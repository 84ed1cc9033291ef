"""Values made fit for a log: no secrets, no forged lines, nothing that cannot be written."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST_SECRET = 4
"""Shorter ones would shred every line; as part of an address they are hidden all the same."""

LONGEST_TEXT = 8_000
LONGEST_EXCEPTION = 64_000
DEEPEST = 6
MOST_ITEMS = 200

ExcInfo = (
    bool
    | BaseException
    | tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
    | None
)

_UNSAFE = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What JSON leaves as it is although it steers a terminal or cannot be encoded."""

_NOT_ASCII = re.compile("[^\x00-\x7f]")
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f]+")
_ADDRESS = re.compile(r"(://[^\s/:@]*:)[^\s]*@")
"""An address's password, to the last ``@`` of the word."""

_lock = threading.Lock()
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(*secrets: str) -> None:
    """Never write *secrets* again, in any value of any record; also percent-encoded or escaped."""
    global _pattern
    with _lock:
        for secret in secrets:
            for form in _forms(secret):
                if len(form) >= SHORTEST_SECRET:
                    _secrets.add(form)
        longest_first = sorted(_secrets, key=lambda form: (-len(form), form))
        _pattern = re.compile("|".join(map(re.escape, longest_first))) if _secrets else None


def _forms(secret: str) -> set[str]:
    raw = secret.strip()
    shapes = {raw, unquote(raw)}
    shapes |= {quote(shape, safe="", errors="surrogatepass") for shape in set(shapes)}
    shapes |= {quote(shape, errors="surrogatepass") for shape in (raw, unquote(raw))}
    escaped = {repr(shape)[1:-1] for shape in shapes}
    for ascii_only in (True, False):
        escaped |= {json.dumps(shape, ensure_ascii=ascii_only)[1:-1] for shape in shapes}
    return shapes | escaped


def forget_secrets() -> None:
    """Forget what :func:`hide` was told; for tests."""
    global _pattern
    with _lock:
        _secrets.clear()
        _pattern = None


def redacted(value: str) -> str:
    """Return *value* without secrets and without the password of any address."""
    if _pattern is not None:
        value = _pattern.sub(HIDDEN, value)
    return _ADDRESS.sub(rf"\1{HIDDEN}@", value) if "://" in value else value


def safe(value: object, depth: int = 0) -> Any:
    """Return *value* as something JSON holds, redacted, of limited length. Never raises."""
    kind = type(value)
    if kind is str:
        return _shortened(redacted(value), LONGEST_TEXT)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return _number(value)  # type: ignore[arg-type]
    return _other(value, depth)


def _number(value: float) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > 256:
        return f"<integer of {value.bit_length()} bits>"
    if _pattern is not None and _pattern.fullmatch(str(value)):
        return HIDDEN
    return value


def _other(value: object, depth: int) -> Any:
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _nested(value, depth)
    return _shortened(redacted(_described(value)), LONGEST_TEXT)


def _nested(value: Any, depth: int) -> Any:
    if depth >= DEEPEST:
        return "…"
    try:
        items = list(value.items() if isinstance(value, Mapping) else value)[:MOST_ITEMS]
    except Exception as error:  # noqa: BLE001 - a foreign container may do anything
        return f"<unreadable {type(value).__name__}: {type(error).__name__}>"
    if isinstance(value, Mapping):
        return {str(safe(str_of(key))): safe(item, depth + 1) for key, item in items}
    return [safe(item, depth + 1) for item in items]


def _described(value: object) -> str:
    if isinstance(value, Enum):
        return str_of(value.value)
    if isinstance(value, dt.datetime):
        return _moment(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {str_of(value)}"
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, os.PathLike):
        return str_of(value)
    return str_of(value) if isinstance(value, str | int | float | dt.date) else str_of(value, repr)


def str_of(value: object, how: Callable[[object], str] = str) -> str:
    """Return ``str(value)``, or something else when that raises."""
    try:
        return str(how(value))
    except Exception as error:  # noqa: BLE001 - a foreign __str__ may do anything
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _moment(value: dt.datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _shortened(value: str, longest: int) -> str:
    return value if len(value) <= longest else f"{value[:longest]}… ({len(value)} characters)"


def exception_text(exc_info: ExcInfo) -> str | None:
    """Return the traceback as text, redacted; None when there is no exception."""
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = None
    if error is None:
        return None
    try:
        whole = "".join(traceback.format_exception(error)).rstrip()
    except Exception as trouble:  # noqa: BLE001 - a foreign exception may do anything
        whole = f"{type(error).__name__} <unprintable: {type(trouble).__name__}>"
    whole = redacted(whole)
    if len(whole) <= LONGEST_EXCEPTION:
        return whole
    half = LONGEST_EXCEPTION // 2
    return f"{whole[:half]}\n…\n{whole[-half:]}"


# -- lines -----------------------------------------------------------------------------------

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def json_line(record: Mapping[str, object]) -> str:
    """Return *record*, whose values are safe already, as one line of JSON without its end."""
    return _UNSAFE.sub(_escaped, _encode(record))


def harmless_json(line: str) -> str:
    """Return one line of anybody's JSON, so that it steers no terminal and means the same."""
    return _UNSAFE.sub(_escaped, line)


def ascii_line(line: str) -> str:
    """Return a line of JSON, or of our console, for a stream that cannot hold everything."""
    return _NOT_ASCII.sub(_escaped, line)


def plain_value(value: object) -> str:
    """Return one safe value for the console: bare where it can be, else quoted in one line."""
    if isinstance(value, str):
        bare = _PLAIN.fullmatch(value) and not _UNSAFE.search(value)
        return value if bare else _UNSAFE.sub(_escaped, _encode(value))
    return _UNSAFE.sub(_escaped, _encode(value))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
