"""One record of the log as a person is told of it: a sign, a sentence, and what is left over.

Pure, and total: a record may come from a damaged or a forged file. Whatever it holds, what is
returned steers no terminal and breaks no line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from nas_syncd.messages import TEXTS, bytes_text, duration_text, language_of, text, visible

LONGEST_VALUE = 300
"""Characters of one ``key=value`` that are shown; ``--json`` has all of it."""
LONGEST_BELOW = 400
"""Lines of a traceback that are shown."""

SAID = "said"
"""The key under which JSON lines hold the sentence, for who reads them without us."""
ALWAYS_APART = frozenset({"timestamp", "level", "event", "logger", "exception", "text", SAID})
_OF_A_DOCUMENT = frozenset({"document_id", "name", "path", "code", "text", "destination"})
_COVERED: dict[str, frozenset[str]] = {
    "document.synced": _OF_A_DOCUMENT | {"bytes", "seconds", "sha256", "adopted"},
    "document.failed": _OF_A_DOCUMENT,
    "document.refused": _OF_A_DOCUMENT,
    "document.gone": _OF_A_DOCUMENT,
    "document.waiting": _OF_A_DOCUMENT,
    "document.vanished": _OF_A_DOCUMENT,
    "document.damaged": _OF_A_DOCUMENT,
    "mount.changed": frozenset({"state", "was", "path", "source"}),
    "mount.still_unusable": frozenset({"state", "since"}),
    "uploads.changed": frozenset({"state", "path", "watching"}),
    "database.unavailable": frozenset({"detail", "since", "remedy"}),
    "database.back": frozenset({"seconds"}),
    "journal.unusable": frozenset({"detail", "since"}),
    "journal.rebuilt": frozenset({"detail", "aside"}),
    "journal.lost": frozenset(),
    "daemon.started": frozenset({"version", "pid", "uploads", "nas", "database", "table", "state"}),
    "daemon.reloaded": frozenset({"needs_restart"}),
    "daemon.stopping": frozenset({"in_flight"}),
    "daemon.stop_interrupted": frozenset({"detail"}),
    "daemon.stopped": frozenset({"abandoned"}),
    "temp.removed": frozenset({"path", "bytes"}),
    "temp.restored": _OF_A_DOCUMENT | {"outcome"},
    "run.broken": frozenset({"run"}),
    "api.ready": frozenset({"urls"}),
    "api.unavailable": frozenset({"code"}),
    "api.not_installed": frozenset({"detail"}),
    "api.error": frozenset({"method", "path", "message"}),
    "api.stop_late": frozenset({"seconds"}),
    "log.foreign": frozenset({"message"}),
    "log.line": frozenset(),
}
"""The keys of each event that its sentence tells, or that only a machine wants."""

_ONLY_IF_ANY = ("in_flight", "abandoned", "needs_restart")
_TAKEN = ("code", "language")
"""Parameters of :func:`text` itself."""
_BARE = re.compile(r"[^\s\"'=\\]+")


class Tone(StrEnum):
    """How a line feels, which decides its colour."""

    GOOD = "good"
    PLAIN = "plain"
    QUIET = "quiet"
    WARNING = "warning"
    BAD = "bad"


_BY_LEVEL = {
    "debug": ("·", Tone.QUIET),
    "info": ("·", Tone.PLAIN),
    "warning": ("!", Tone.WARNING),
}
_WORST = ("✗", Tone.BAD)
_BY_EVENT = {
    "document.synced": ("✓", Tone.GOOD),
    "document.waiting": ("…", Tone.QUIET),
    "document.refused": _WORST,
    "database.back": ("✓", Tone.GOOD),
    "temp.restored": ("✓", Tone.GOOD),
    "daemon.started": ("●", Tone.GOOD),
    "daemon.stopped": ("○", Tone.PLAIN),
}


@dataclass(frozen=True, slots=True)
class Filed:
    """The two halves of "this document lies there now", for who must shorten them."""

    name: str
    id: str
    destination: str
    size: str = ""
    """The aside where there is little room."""

    @property
    def words(self) -> str:
        named = f"{self.name} ({self.id})" if self.name else self.id
        return f"{named} → {self.destination}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a person reads of one record. Every text is harmless and one line."""

    sign: str
    tone: Tone
    words: str
    aside: str = ""
    """What is good to know as well: how much, how long."""
    rest: tuple[tuple[str, str], ...] = ()
    """Keys and values that no sentence tells."""
    below: tuple[str, ...] = ()
    """A traceback's lines."""
    filed: Filed | None = None

    @property
    def sentence(self) -> str:
        return f"{self.words} ({self.aside})" if self.aside else self.words


def tell(record: Mapping[str, object], language: str) -> Told:
    """Return *record* for a person. Never raises."""
    language = language_of(language)
    event = _str(record.get("event"))
    sign, tone = _face(event, record)
    rest = tuple(_rest(event, record))
    below = tuple(_below(record))
    filed = _filed(record, language) if event == "document.synced" else None
    if filed is not None:
        aside = _aside(record, filed.size, language)
        return Told(sign, tone, filed.words, aside, rest, below, filed)
    return Told(sign, tone, _words(event, record, language), "", rest, below)


def has_sentence(record: Mapping[str, object]) -> bool:
    """Return whether there are words of its own for this event."""
    return f"log.{_str(record.get('event'))}" in TEXTS["en"]


# -- words -------------------------------------------------------------------------------------


def _face(event: str, record: Mapping[str, object]) -> tuple[str, Tone]:
    if event in ("mount.changed", "uploads.changed") and record.get("level") == "info":
        return "✓", Tone.GOOD
    by_level = _BY_LEVEL.get(_str(record.get("level")), _WORST)
    return _BY_EVENT.get(event, by_level)


def _words(event: str, record: Mapping[str, object], language: str) -> str:
    """The event's own sentence; else the record's ``text``; else the event's name."""
    own = f"log.{event}{_variety(event, record)}"
    if own in TEXTS[language]:
        return _shown(text(own, language, **_params(record, language)))
    return _shown(_str(record.get("text")) or event or "?")


def _variety(event: str, record: Mapping[str, object]) -> str:
    """Return the end of the sentence's key where an event has several."""
    if event == "mount.changed":
        return ".ok" if record.get("state") == "ok" else ""
    if event == "uploads.changed" and not record.get("text"):
        watching = _str(record.get("watching"))
        return f".{watching}" if watching in ("native", "poll") else ".found"
    if event == "document.waiting":
        kind = _str(record.get("code")).removeprefix("wait.").partition(".")[0]
        return f".{kind}" if kind in ("mount", "metadata", "no_file") else ""
    return ""


def _params(record: Mapping[str, object], language: str) -> dict[str, Any]:
    given: dict[str, Any] = {_str(key): _plain(value) for key, value in record.items()}
    for name in _TAKEN:
        given.pop(name, None)
    for name in _ONLY_IF_ANY:
        if not given.get(name):
            given.pop(name, None)
    urls = given.get("urls")
    if isinstance(urls, list):
        given["urls"] = [url for url in urls if url.startswith("http")] or urls
    remedy = given.get("remedy")
    if isinstance(remedy, str):
        given["remedy"] = remedy.removesuffix(".")
    if "document_id" in record:
        given["document"] = _document(record, language)
    return given


def _plain(value: object) -> object:
    """Return a value that a sentence can hold; a container's items, nothing nested."""
    if isinstance(value, list):
        return [_shown(_str(one)) for one in value[:20]]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _str(value)
    return _str(value)


def _document(record: Mapping[str, object], language: str) -> str:
    identifier, name = _shown(_str(record.get("document_id"))), _name(record)
    if name:
        return text("log.document.name", language, given=name, id=identifier)
    return text("log.document.nameless", language, id=identifier)


def _name(record: Mapping[str, object]) -> str:
    """What a person calls the document: the name it was given, else its file's."""
    given = _str(record.get("name") or "") or PurePosixPath(_str(record.get("path") or "")).name
    return _shown(given)


def _filed(record: Mapping[str, object], language: str) -> Filed | None:
    if not record.get("destination"):
        return None
    name, identifier = _name(record), _shown(_str(record.get("document_id")))
    if not name:
        identifier = text("log.document.nameless", language, id=identifier)
    destination = _shown(_str(record.get("destination")))
    return Filed(name, identifier, destination, _size(record.get("bytes"), language))


def _size(size: object, language: str) -> str:
    if not isinstance(size, int) or isinstance(size, bool):
        return ""
    try:
        return bytes_text(float(size), language)
    except OverflowError:
        return ""


def _aside(record: Mapping[str, object], size: str, language: str) -> str:
    if not size:
        return ""
    if record.get("adopted") is True:
        return text("log.document.synced.adopted", language, size=size)
    took = _took(record.get("seconds"), language)
    return text("log.document.synced.aside", language, size=size, took=took)


def _took(seconds: object, language: str) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    if 0 <= seconds < 0.9995:
        return f"{math.ceil(seconds * 1000)} ms"
    return duration_text(min(seconds, 1e12), language)


# -- what is left ------------------------------------------------------------------------------


def _rest(event: str, record: Mapping[str, object]) -> list[tuple[str, str]]:
    covered = ALWAYS_APART | _COVERED.get(event, frozenset())
    rest = [(_shown(_str(key)), _value(record[key])) for key in record if key not in covered]
    if has_sentence(record) or "text" not in record:
        return rest
    return [("event", _shown(event)), *rest]


def _value(value: object) -> str:
    if isinstance(value, str):
        words = visible(value)
        words = words if _BARE.fullmatch(words) else json.dumps(words, ensure_ascii=False)
    else:
        try:
            words = visible(json.dumps(value, ensure_ascii=False, default=str))
        except (TypeError, ValueError, RecursionError):
            words = "?"
    return words if len(words) <= LONGEST_VALUE else f"{words[:LONGEST_VALUE]}…"


def _below(record: Mapping[str, object]) -> list[str]:
    lines = _str(record.get("exception") or "").split("\n")
    shown = [_shown(line.replace("\t", "    ")) for line in lines if line.strip()]
    return shown if len(shown) <= LONGEST_BELOW else [*shown[:LONGEST_BELOW], "…"]


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return str(value)
    except (ValueError, RecursionError):  # an integer of ten thousand digits
        return "?"


def _shown(words: str) -> str:
    longest = 4000
    return visible(words if len(words) <= longest else f"{words[:longest]}…")
