"""How single values look to a person: sizes, durations, times, hostile names. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable
from enum import Enum

DEFAULT_LANGUAGE = "fr"
MISSING = "?"
LONGEST = 2000
"""Characters of one value that are shown; a database driver can say a lot."""

_LEFT_BY_JSON = (
    "\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
)
"""What JSON leaves as it is although it steers a terminal or cannot be encoded."""
_STEERING = re.compile(f"[\x00-\x1f{_LEFT_BY_JSON}]")
"""Controls, line separators, writing-direction overrides, unpaired surrogates."""
_STEERING_JSON = re.compile(f"[{_LEFT_BY_JSON}]")

_SIZE_UNITS = {"fr": ("o", "Kio", "Mio", "Gio", "Tio"), "en": ("B", "KiB", "MiB", "GiB", "TiB")}
_DAY_UNIT = {"fr": "j", "en": "d"}
_TIME_FORMAT = {"fr": "%d/%m/%Y %H:%M:%S %Z", "en": "%Y-%m-%d %H:%M:%S %Z"}
_TIME_NAMES = frozenset({"until", "since", "at"})
_SIZE_NAMES = frozenset({"free", "needed", "size", "total_size"})
_WORDS = {
    "fr": {"since": "depuis {}", "ago": "il y a {}", True: "oui", False: "non"},
    "en": {"since": "for {}", "ago": "{} ago", True: "yes", False: "no"},
}


def visible(value: str) -> str:
    """Return *value* in one harmless line: ``\\n`` as two characters, a raw byte as ``\\xe9``."""
    return _STEERING.sub(_escape, value)


def harmless_json(words: str) -> str:
    """Return JSON that means the same, and steers no terminal that it is printed on."""
    return _STEERING_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", words)


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if "\udc80" <= char <= "\udcff":  # a byte that was not UTF-8 in a file's name
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def shown(name: str, value: object, language: str) -> str:
    """Return *value* as the blank *name* shows it; None is ``?``."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return _WORDS[language][value]
    if isinstance(value, int | float):
        return _number(name, value, language)
    if isinstance(value, dt.datetime):
        return time_text(value, language)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, list | tuple | set | frozenset):
        return _listed(value, language)
    return _worded(name, value, language)


def _worded(name: str, value: object, language: str) -> str:
    words = str(value)
    if name in _TIME_NAMES:
        try:
            return time_text(dt.datetime.fromisoformat(words), language)
        except ValueError:
            pass
    words = visible(words[:LONGEST])
    return words or MISSING


def _listed(values: Iterable[object], language: str) -> str:
    return ", ".join(shown("", value, language) for value in values) or MISSING


def _number(name: str, value: float, language: str) -> str:
    if name in _SIZE_NAMES or name.endswith("bytes"):
        return bytes_text(value, language)
    if name == "seconds":
        return duration_text(value, language)
    words = f"{value:g}" if isinstance(value, float) else str(value)
    return words.replace(".", ",") if language == "fr" else words


def bytes_text(count: float, language: str) -> str:
    """Return *count* bytes as ``1,5 Gio`` or ``1.5 GiB``."""
    units = _SIZE_UNITS.get(language, _SIZE_UNITS[DEFAULT_LANGUAGE])
    if not math.isfinite(count):
        return MISSING
    size, unit = float(count), 0
    while abs(size) >= 1023.95 and unit < len(units) - 1:
        size, unit = size / 1024, unit + 1
    number = f"{size:.0f}" if unit == 0 else f"{size:.1f}".removesuffix(".0")
    return f"{_decimal(number, language)} {units[unit]}"


def duration_text(seconds: float, language: str) -> str:
    """Return a duration with at most two units: ``0,3 s``, ``45 s``, ``2 min 5 s``, ``3 j 4 h``."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 0:
        seconds = 0.0
    if 0 < seconds < 10 and round(seconds, 1) != round(seconds):
        return f"{_decimal(f'{seconds:.1f}', language)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    day = _DAY_UNIT.get(language, _DAY_UNIT[DEFAULT_LANGUAGE])
    counted = ((days, day), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((place for place, (count, _) in enumerate(counted) if count), 3)
    parts = [f"{count} {unit}" for count, unit in counted[first : first + 2] if count]
    return " ".join(parts) or "0 s"


def since_text(since: dt.datetime, now: dt.datetime, language: str) -> str:
    """Return how long something has lasted: ``depuis 5 min`` or ``for 5 min``."""
    return _timed("since", since, now, language)


def ago_text(then: dt.datetime, now: dt.datetime, language: str) -> str:
    """Return how long ago something was: ``il y a 5 min`` or ``5 min ago``."""
    return _timed("ago", then, now, language)


def _timed(word: str, then: dt.datetime, now: dt.datetime, language: str) -> str:
    words = _WORDS.get(language, _WORDS[DEFAULT_LANGUAGE])
    seconds = round((now - then).total_seconds())  # whole seconds: tenths say nothing here
    return words[word].format(duration_text(seconds, language))


def time_text(moment: dt.datetime, language: str, zone: dt.tzinfo | None = None) -> str:
    """Return *moment* (naive: UTC) in *zone*, by default in the host's own time zone."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    form = _TIME_FORMAT.get(language, _TIME_FORMAT[DEFAULT_LANGUAGE])
    try:
        return aware.astimezone(zone).strftime(form)
    except (OverflowError, ValueError, OSError):  # the year 1 or 9999, beyond the C library
        return aware.isoformat()


def _decimal(number: str, language: str) -> str:
    return number.replace(".", ",") if language == "fr" else number
