"""``nas-syncd logs``: reads and follows the log file as a person likes it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import Any, BinaryIO

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import DaemonGoneError, Exit, UsageError
from nas_syncd.cli.reach import reach
from nas_syncd.cli.remote import ANSWER_SECONDS, GoneError, Remote, knock
from nas_syncd.messages import time_text, visible
from nas_syncd.settings import env_name, wants_colour

FOLLOW_SECONDS = 0.25
REOPEN_SECONDS = 1.0
FIRST_LINE = "Nas-Syncd-Log-First"
"""The header that says which line comes first."""
MOST_OLD_FILES = 99
LONGEST_LINE = 4 * 2**20
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_SPAN = re.compile(r"(\d+)\s*(s|m|min|h|d|j)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "j": 86_400}
_SHOWN_APART = ("timestamp", "level", "event", "logger", "exception", "document_id", "name")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted."""

    document: str | None = None
    level: str | None = None
    since: str | None = None

    @classmethod
    def of(cls, document: str | None, level: str | None, since: str | None) -> Filter:
        return cls(document, level.lower() if level else None, since)

    def check(self, call: Call) -> dt.datetime | None:
        """Return the moment that ``since`` means.

        Raises:
            UsageError: There is no such level, or no such time.
        """
        if self.level is not None and self.level not in LEVELS:
            choices = ", ".join(LEVELS)
            raise UsageError(text=call.text("logs.level", given=self.level, choices=choices))
        if self.since is None:
            return None
        moment = moment_of(self.since, dt.datetime.now(dt.UTC))
        if moment is None:
            raise UsageError(text=call.text("logs.since", given=self.since))
        return moment

    def takes(self, record: dict[str, Any], since: dt.datetime | None) -> bool:
        """Whether this record is wanted."""
        if self.document is not None and str(record.get("document_id")) != self.document:
            return False
        if self.level is not None and LEVELS.get(record.get("level", ""), 50) < LEVELS[self.level]:
            return False
        if since is None:
            return True
        moment = _moment(record.get("timestamp"))
        return moment is not None and moment >= since


def moment_of(text: str, now: dt.datetime) -> dt.datetime | None:
    """Return the moment that *text* means: ``10m`` ago, ``2h`` ago, a date, a time in ISO form."""
    span = _SPAN.fullmatch(text.strip().lower())
    if span:
        try:
            return now - dt.timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
        except OverflowError:
            return dt.datetime.min.replace(tzinfo=dt.UTC)
    moment = _moment(text.strip())
    if moment is None or text.strip().endswith("Z") or "+" in text:
        return moment
    return moment.replace(tzinfo=None).astimezone()  # a person means the local time


def _moment(value: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def show_logs(call: Call, wanted: Filter, *, follow: bool) -> int:
    """Show the records that are wanted, the oldest first; with *follow* until Ctrl-C.

    Raises:
        ConfigurationError: A setting is wrong.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        UsageError: No such level or time.
    """
    since = wanted.check(call)
    reached = reach(call)
    path = reached.settings.log_file if reached.settings else None
    if path is not None and (reached.daemon is None or _readable(path)):
        source = lines(path, follow=follow)
    elif reached.daemon is not None:
        source = heard(reached.daemon, follow=follow)
    else:
        _tell_where(call)
        return Exit.CONFIGURATION
    show = _raw if call.as_json else _pretty
    for line in source:
        record = _record(line)
        if record is None:
            if not (call.as_json or wanted.document or wanted.level or since):
                call.say(visible(line))
        elif wanted.takes(record, since):
            show(call, line, record)
        if follow:
            sys.stdout.flush()  # somebody reads along, perhaps through a pipe
    return Exit.DONE


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK) or not path.exists()


def _tell_where(call: Call) -> None:
    """Without a file of our own: say where the log is, with the command that shows it."""
    message = call.text("logs.none")
    where = [
        call.text("logs.journald", command="journalctl -u nas-syncd -f"),
        call.text("logs.console", command="nas-syncd run"),
        call.text("logs.file", name=env_name("log_file")),
    ]
    if call.as_json:
        remedy = " ".join(where)
        call.answer({"error": {"code": "logs.none", "message": message, "remedy": remedy}})
        return
    for line in (message, *where):
        call.complain(line)


# -- reading -----------------------------------------------------------------------------------


def lines(path: Path, *, follow: bool) -> Iterator[str]:
    """Yield every whole line of the log, rotated files first; then, if wanted, what comes.

    A file that is not there yet, or that is rotated away while it is read, is no trouble.
    """
    for number in range(_oldest(path), 0, -1):
        try:
            with open(f"{path}.{number}", "rb") as file:
                yield from _rest(file, last=True)
        except OSError:  # rotated on meanwhile, or not ours to read
            continue
    yield from _follow(path) if follow else _once(path)


def _oldest(path: Path) -> int:
    numbers = range(1, MOST_OLD_FILES + 1)
    return next((n - 1 for n in numbers if not os.path.exists(f"{path}.{n}")), MOST_OLD_FILES)


def _once(path: Path) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            yield from _rest(file, last=True)
    except FileNotFoundError:
        return


def _follow(path: Path) -> Iterator[str]:
    """Yield lines as they are written; when the file was rotated, finish the old one first."""
    while True:
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed below, whatever the reader does
        except FileNotFoundError:
            time.sleep(FOLLOW_SECONDS)
            continue
        with file:
            while True:
                replaced = not _is_at(file, path)
                yield from _rest(file, last=replaced)
                if replaced:
                    break
                time.sleep(FOLLOW_SECONDS)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether *file* still is what stands at *path*, and was not cut short."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(file.fileno())
    same = (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
    return same and here.st_size >= file.tell()


def _rest(file: BinaryIO, *, last: bool) -> Iterator[str]:
    """Yield what is left, line by line; a line without its end waits, unless it is the *last*."""
    while True:
        begin = file.tell()
        line = file.readline(LONGEST_LINE)
        if not line:
            return
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE and not last:
            file.seek(begin)
            return
        words = line.decode("utf-8", "backslashreplace").rstrip("\n")
        if words:
            yield words


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def heard(daemon: Remote, *, follow: bool) -> Iterator[str]:
    """Yield the last lines of the daemon's log, which it remembers; then, if wanted, what comes,
    also of the daemon that comes after it.

    Raises:
        DaemonGoneError: It does not answer, or keeps no log.
        AnsweredError: It cannot now, and why.
    """
    pid, log = daemon.pid, _HeardLog()
    timeout = None if follow else ANSWER_SECONDS
    while True:
        query = {"after": log.last, "follow": "true" if follow else None}
        try:
            for line in daemon.lines("/sync/log", timeout=timeout, on_head=log.begin, **query):
                log.last += 1
                yield line
        except GoneError as error:
            if not (follow and log.begun):
                raise DaemonGoneError(str(error)) from error
        if not follow:
            return
        while (found := _again(daemon)) is None:
            time.sleep(REOPEN_SECONDS)
        if found.pid != pid:
            pid, log.last = found.pid, 0


class _HeardLog:
    """How far we have read."""

    def __init__(self) -> None:
        self.last = 0
        self.begun = False

    def begin(self, head: HTTPMessage) -> None:
        self.begun = True
        self.last = int(head.get(FIRST_LINE) or 1) - 1


def _again(daemon: Remote) -> Remote | None:
    try:
        return knock(daemon.path, daemon.language)
    except PermissionError:
        return None


# -- showing -----------------------------------------------------------------------------------


def _raw(call: Call, line: str, _record: dict[str, Any]) -> None:
    call.say(line)


def _pretty(call: Call, _line: str, record: dict[str, Any]) -> None:
    level = str(record.get("level", ""))
    event = visible(str(record["event"]))
    if screen.on_terminal() and wants_colour():
        level_shown = f"\x1b[{_COLOURS.get(level, '0')}m{visible(level):<8}\x1b[0m"
        event = f"\x1b[1m{event}\x1b[0m"
    else:
        level_shown = f"{visible(level):<8}"
    moment = _moment(record.get("timestamp"))
    at = time_text(moment, call.language) if moment else "?"
    about = [f"{key}={_value(record[key])}" for key in record if key not in _SHOWN_APART]
    if "document_id" in record:
        name = record.get("name")
        about.insert(0, call.name(str(record["document_id"]), str(name) if name else None))
    call.say(" ".join([at, level_shown, event, *about]))
    for line in str(record.get("exception", "")).splitlines():
        call.say(f"    {visible(line)}")


def _value(value: object) -> str:
    if isinstance(value, str):
        return visible(shlex.quote(value) if " " in value or not value else value)
    return visible(json.dumps(value, ensure_ascii=False))
