"""Where records go: a stream (for a person or as JSON lines) and perhaps a file."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from nas_syncd.logs.file import LogFile
from nas_syncd.logs.safe import (
    ascii_line,
    exception_text,
    json_line,
    plain_lines,
    plain_value,
    safe,
    str_of,
)
from nas_syncd.logs.tap import Tap

FOREIGN_EVENT = "log.foreign"
"""What other libraries log through the standard library, with their words in ``message``."""

OWN_KEYS = ("timestamp", "level", "event", "logger", "exception")

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_NAMES = {number: name for name, number in LEVELS.items()}
_SYSLOG = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}

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
    stream: TextIO | None
    as_json: bool
    colour: bool
    journald: bool
    file: LogFile | None
    tap: Tap | None
    lock: threading.RLock

    @property
    def _wants_json(self) -> bool:
        return self.as_json or self.file is not None or self.tap is not None

    def write(self, record: Record) -> None:
        """Write one record everywhere. Never raises."""
        try:
            line = json_line(record) if self._wants_json else ""
        except (TypeError, ValueError, RecursionError) as error:
            record = {**record, "unprintable": type(error).__name__}
            record = {key: str_of(value) for key, value in record.items()}
            line = json_line(record)
        if self.file is not None:
            self.file.write(line)
        if self.tap is not None:
            self.tap.add(line)
        if self.stream is not None:
            lines = [line] if self.as_json else _console(record, colour=self.colour)
            if self.journald:
                lines = [_SYSLOG[record["level"]] + one for one in lines]
            self._print("\n".join(lines) + "\n")

    def _print(self, words: str) -> None:
        stream = self.stream
        if stream is None:
            return
        if not _holds_everything(stream):
            words = ascii_line(words)
        try:
            with self.lock:
                stream.write(words)
                stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or it is closed
            pass


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
) -> None:
    """
    Send every event to *stream* (standard error by default) and to *file*, from now on.

    Also takes what other libraries log at WARNING and above. Idempotent; called again it replaces
    the former set-up as a whole, and a failure leaves that in force.

    Args:
        quiet: Nothing to *stream*: the file is enough.
        fmt: ``auto`` is ``console`` on a terminal, JSON lines otherwise; *file* is always JSON.
        journald: *stream* goes to systemd's journal: lines begin with their level (``<6>``).
        colour: Whether a terminal may be coloured.
        tap: Gets every line as well, as JSON.

    Raises:
        JournalError: *file* cannot be opened.
    """
    global _output, _foreign
    target = stream if stream is not None else sys.stderr
    terminal = _is_terminal(target)
    opened = LogFile(file) if file is not None else None
    output = _Output(
        threshold=LEVELS[level.lower()],
        stream=None if quiet else target,
        as_json=fmt == "json" or (fmt == "auto" and (journald or not terminal)),
        colour=colour and terminal,
        journald=journald,
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
        if former is not None and former.file is not None:
            former.file.close()


def shutdown_logging() -> None:
    """Undo :func:`configure_logging`: close the file, leave the standard library's root alone."""
    global _output, _foreign
    with _changing:
        former, _output = _output, None
        if _foreign is not None:
            logging.getLogger().removeHandler(_foreign)
            _foreign = None
        if former is not None and former.file is not None:
            former.file.close()


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


def _console(record: Record, *, colour: bool) -> list[str]:
    """Return one line for a person, and the traceback's lines below it."""
    level = record["level"]
    name = f"{level:<8}"
    event = plain_value(record["event"])
    if colour:
        name, event = f"\x1b[{_COLOURS[level]}m{name}\x1b[0m", f"\x1b[1m{event}\x1b[0m"
    values = [
        f"{plain_value(key)}={plain_value(value)}"
        for key, value in record.items()
        if key not in OWN_KEYS
    ]
    head = " ".join([record["timestamp"], name, event, *values])
    below = plain_lines(record["exception"]) if "exception" in record else []
    return [head, *(f"    {line}" for line in below)]


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (ValueError, AttributeError):  # closed, or hardly a stream
        return False


def _holds_everything(stream: TextIO) -> bool:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"
