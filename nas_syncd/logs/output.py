"""Where records go: a stream (for a person or as JSON lines) and perhaps a file."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from nas_syncd.logs.face import Face, Look, plain_words
from nas_syncd.logs.file import LogFile
from nas_syncd.logs.journald import PRIORITIES, Journal
from nas_syncd.logs.safe import ascii_line, exception_text, json_line, safe, str_of
from nas_syncd.logs.tap import Tap
from nas_syncd.logs.told import SAID, Told, has_sentence, tell
from nas_syncd.messages import DEFAULT_LANGUAGE

FOREIGN_EVENT = "log.foreign"
"""What other libraries log through the standard library, with their words in ``message``."""

OWN_KEYS = ("timestamp", "level", "event", "logger", "exception", SAID)

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_NAMES = {number: name for name, number in LEVELS.items()}

Record = dict[str, Any]


def new_record(level: str, event: object, name: str) -> Record:
    return {"timestamp": _now(), "level": level, "event": safe(event), "logger": name}


_second: tuple[int, str] = (-1, "")


def _now() -> str:
    """Return the time in ISO 8601, UTC, with milliseconds; the seconds' part is kept."""
    global _second
    nanoseconds = time.time_ns()
    second = nanoseconds // 1_000_000_000
    known = _second
    if known[0] != second:
        known = _second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
    return f"{known[1]}.{nanoseconds // 1_000_000 % 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class _Output:
    """A stream and perhaps a file; all of it in one place, exchanged as a whole."""

    threshold: int
    language: str
    stream: TextIO | None
    as_json: bool
    face: Face
    journald: bool
    journal: Journal | None
    file: LogFile | None
    tap: Tap | None
    lock: threading.RLock

    def write(self, record: Record) -> None:
        """Write one record everywhere. Never raises."""
        told = tell(record, self.language)
        line = self._json(record, told) if self._wants_json else ""
        if self.file is not None:
            self.file.write(line)
        if self.tap is not None:
            self.tap.add(line)
        if self.journal is not None and self.journal.send(record, _for_journal(told), line):
            return
        if self.stream is not None:
            with self.lock:
                self._print(self._shown(record, told, line))

    @property
    def _wants_json(self) -> bool:
        used = (self.file, self.tap, self.journal)
        return self.as_json or any(one is not None for one in used)

    def _json(self, record: Record, told: Told) -> str:
        try:
            return json_line(_arranged(record, told))
        except (TypeError, ValueError, RecursionError) as error:
            return json_line(
                {key: str_of(value) for key, value in record.items()}
                | {"unprintable": type(error).__name__}
            )

    def _shown(self, record: Record, told: Told, line: str) -> str:
        if self.as_json:
            lines = [line]
        elif self.journald:
            lines = _for_journal(told).split("\n")
        else:
            lines = self._by_face(record, told)
        if self.journald:
            lines = [f"<{PRIORITIES[record['level']]}>{one}" for one in lines]
        return "\n".join(lines) + "\n"

    def _by_face(self, record: Record, told: Told) -> list[str]:
        if self.face.look.width is not None:
            width = shutil.get_terminal_size().columns  # it may have changed
            self.face.look = replace(self.face.look, width=width)
        return self.face.lines(record, told)

    def _print(self, words: str) -> None:
        stream = self.stream
        if stream is None:
            return
        if not holds_everything(stream):
            words = ascii_line(words)
        try:
            stream.write(words)
            stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or it is closed
            pass

    def close(self) -> None:
        for one in (self.file, self.journal):
            if one is not None:
                one.close()


def _for_journal(told: Told) -> str:
    """Return what the journal shows: it has the time and the level already."""
    return "\n".join([f"{told.sign} {plain_words(told)}", *told.below])


def _arranged(record: Record, told: Told) -> Record:
    """Return the record in the order in which people read it: what happened comes first.

    Where an event has a sentence of its own, that is ``said``, unless its ``text`` is the same.
    """
    first = {key: record[key] for key in OWN_KEYS[:3]}
    if has_sentence(record) and told.sentence != record.get("text"):
        first[SAID] = told.sentence
    elif "text" in record:
        first["text"] = record["text"]
    arranged = first | record  # a key keeps its first place
    for last in ("logger", "exception"):
        if last in arranged:
            arranged[last] = arranged.pop(last)
    return arranged


_output: _Output | None = None


def current() -> _Output | None:
    """Return where records go now; None until somebody configured it."""
    return _output


_foreign: logging.Handler | None = None
_changing = threading.RLock()


def configure_logging(
    level: str = "info",
    fmt: Literal["auto", "console", "json"] = "auto",
    file: Path | None = None,
    *,
    stream: TextIO | None = None,
    quiet: bool = False,
    journald: bool = False,
    colour: bool = True,
    tap: Tap | None = None,
    language: str = DEFAULT_LANGUAGE,
) -> None:
    """
    Send every event to *stream* (standard error by default) and to *file*, from now on.

    Also takes what other libraries log at WARNING and above. Idempotent; called again it replaces
    the former set-up as a whole, and a failure leaves that in force.

    Args:
        quiet: Nothing to *stream*: the file is enough.
        fmt: ``auto`` is ``console`` (lines for people) on a terminal and in systemd's journal, JSON
            lines otherwise; *file* is always JSON.
        journald: *stream* goes to systemd's journal. Lines for people then go there in its own
            protocol, with fields; what it does not take goes to *stream* and begins with its
            level (``<6>``).
        colour: Whether a terminal may be coloured.
        tap: Gets every line as well, as JSON.
        language: Of the sentences.

    Raises:
        JournalError: *file* cannot be opened.
    """
    global _output, _foreign
    target = stream if stream is not None else sys.stderr
    terminal = _is_terminal(target)
    opened = LogFile(file) if file is not None else None
    as_json = fmt == "json" or (fmt == "auto" and not (journald or terminal))
    output = _Output(
        threshold=LEVELS[level.lower()],
        language=language,
        stream=None if quiet else target,
        as_json=as_json,
        face=Face(_look(target, language, colour=colour)),
        journald=journald,
        journal=Journal() if journald and not as_json else None,
        file=opened,
        tap=tap,
        lock=threading.RLock(),
    )
    with _changing:
        former, _output = _output, output
        if _foreign is None:
            _foreign = _ForeignHandler()
            logging.getLogger().addHandler(_foreign)
        _foreign.setLevel(max(logging.WARNING, output.threshold))
        if former is not None:
            former.close()


def shutdown_logging() -> None:
    """Undo :func:`configure_logging`: close the file, leave the standard library's root alone."""
    global _output, _foreign
    with _changing:
        former, _output = _output, None
        if _foreign is not None:
            logging.getLogger().removeHandler(_foreign)
            _foreign = None
        if former is not None:
            former.close()


def is_journal(stream: TextIO, journal_stream: str | None) -> bool:
    """Return whether *stream* is the journal that systemd's ``JOURNAL_STREAM`` names."""
    if not journal_stream:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no descriptor behind it
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


class _ForeignHandler(logging.Handler):
    """Takes the standard library's records into our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        output = _output
        if output is None:
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - foreign arguments may not fit their format
            message = str_of(record.msg)
        level = _NAMES.get(record.levelno // 10 * 10, "critical")
        ours = new_record(level, FOREIGN_EVENT, str_of(record.name))
        ours["message"] = safe(message)
        told = exception_text(record.exc_info)
        if told is not None:
            ours["exception"] = told
        output.write(ours)


def _look(stream: TextIO, language: str, *, colour: bool) -> Look:
    terminal = _is_terminal(stream)
    width = shutil.get_terminal_size().columns if terminal else None
    return Look(language, width, colour and terminal, holds_everything(stream))


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (ValueError, AttributeError):  # closed, or hardly a stream
        return False


def holds_everything(stream: TextIO) -> bool:
    """Return whether every character can be written to *stream*."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"
