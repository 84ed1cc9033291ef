"""The log that systemd's journal holds, read through ``journalctl``."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from nas_syncd.cli.logs.chain import LONGEST_LINE, Gap
from nas_syncd.cli.logs.entries import Entry, Record, Takes, entry_of, last, record_of
from nas_syncd.cli.logs.wanted import Wanted
from nas_syncd.errors import SyncError, Whose
from nas_syncd.logs import FOREIGN_EVENT
from nas_syncd.logs.journald import DOCUMENT_FIELD, IDENTIFIER, PRIORITIES, RECORD_FIELD

UNIT = "nas-syncd.service"
LOOK_SECONDS = 10.0
_LEVELS = {number: name for name, number in PRIORITIES.items()}
_IDENTIFIERS = (IDENTIFIER, "python", "python3")


class JournalUnreadableError(SyncError):
    """journalctl says why in ``detail``."""

    code = "logs.journald_failed"
    whose = Whose.JOURNAL


def journal_has(*matches: str) -> bool:
    """Return whether the journal has a line of our service that we may read. Never raises."""
    program = shutil.which("journalctl")
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, *_OF_US, "--lines=1", *matches],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LOOK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.startswith(b"{")


_OF_US = (
    *("--quiet", "--no-pager", "--output=json", "--all"),
    *(f"--unit={UNIT}", f"--user-unit={UNIT}"),
)


class LogInJournal:
    """See :class:`~nas_syncd.cli.logs.entries.Source`."""

    def __init__(self, wanted: Wanted, *, fields: bool) -> None:
        """
        Args:
            fields: Whether documents can be looked for by their field. They cannot where
                the lines are JSON by order of the settings.
        """
        self._wanted = wanted
        self._by_field = fields or wanted.document is None
        self._cursor: str | None = None

    def history(self, takes: Takes, most: int | None) -> Iterator[Entry]:
        """
        Raises:
            JournalUnreadableError: journalctl fails.
        """
        number = most if most is not None and self._by_field else None
        lines = f"--lines={'all' if number is None else number}"
        if number == 0:
            self._cursor = next(self._cursors("--lines=1"), None)
            return
        yield from last(self._entries(lines), takes, most)

    def coming(self) -> Iterator[Entry]:
        since = f"--after-cursor={self._cursor}" if self._cursor else "--lines=0"
        more = ["--no-tail"] if self._cursor else []
        yield from self._entries("--follow", since, *more)

    def close(self) -> None:
        """There is nothing to close: journalctl ends with its reader."""

    def _cursors(self, *options: str) -> Iterator[str | None]:
        for _ in self._entries(*options):
            yield self._cursor

    def _entries(self, *options: str) -> Iterator[Entry]:
        for line in _lines([*options, *self._narrowed()]):
            if isinstance(line, Gap):
                yield Entry(gap=line)
                continue
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(fields, dict):
                self._cursor = str(fields.get("__CURSOR") or "") or self._cursor
                yield _entry(fields)

    def _narrowed(self) -> list[str]:
        """What journalctl can leave out for us; what it lets through is looked at once more."""
        options = []
        if self._wanted.level is not None:
            options.append(f"--priority={PRIORITIES[self._wanted.level]}")
        if self._wanted.since is not None:
            options.append(f"--since=@{max(0, int(self._wanted.since.timestamp()))}")
        if self._wanted.document is not None and self._by_field:
            options.append(f"{DOCUMENT_FIELD}={self._wanted.document}")
        return options


def _lines(options: list[str]) -> Iterator[bytes | Gap]:
    program = shutil.which("journalctl")
    if program is None:
        raise JournalUnreadableError("journalctl: not found")
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [program, *_OF_US, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        with contextlib.ExitStack() as stack:
            stack.callback(process.wait)
            stack.callback(process.kill)  # whoever reads may go before the journal's end
            out = process.stdout
            assert out is not None
            stack.callback(out.close)
            skipped = 0
            while line := out.readline(LONGEST_LINE):
                if skipped or (len(line) >= LONGEST_LINE and not line.endswith(b"\n")):
                    skipped += len(line)
                    if line.endswith(b"\n"):
                        yield Gap(skipped)
                        skipped = 0
                    continue
                yield line
            code = process.wait()
        complaints.seek(0)
        said = complaints.read(4000).decode("utf-8", "backslashreplace").strip()
        if code > 1 or (code == 1 and said):
            raise JournalUnreadableError(said or f"exit {code}")


def _entry(fields: dict[str, Any]) -> Entry:
    """Return one entry of the journal: our own record, or what systemd and others said."""
    ours = fields.get(RECORD_FIELD)
    if isinstance(ours, str) and (record := record_of(ours)) is not None:
        return Entry(ours, record)
    message = _text(fields.get("MESSAGE"))
    entry = entry_of(message)
    if entry.record is not None:
        return entry
    record = _foreign(fields, message)
    return Entry(json.dumps(record, ensure_ascii=False), record)


def _foreign(fields: dict[str, Any], message: str) -> Record:
    who = _text(fields.get("SYSLOG_IDENTIFIER")) or "?"
    base: Record = {"timestamp": _time(fields), "level": _level(fields)}
    if who in _IDENTIFIERS or who.startswith("python3"):
        return base | {"event": "log.line", "text": message, "logger": who}
    return base | {"event": FOREIGN_EVENT, "message": message, "logger": who}


def _text(value: object) -> str:
    """Return a field's value; bytes that are no text come as a list of numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        try:
            return bytes(value).decode("utf-8", "backslashreplace")
        except (TypeError, ValueError):
            return _text(value[0]) if value else ""  # a field that was there more than once
    return ""


def _level(fields: dict[str, Any]) -> str:
    try:
        number = int(_text(fields.get("PRIORITY")) or 6)
    except ValueError:
        number = 6
    return _LEVELS.get(max(2, number), "info")


def _time(fields: dict[str, Any]) -> str | None:
    try:
        microseconds = int(_text(fields.get("__REALTIME_TIMESTAMP")))
        moment = dt.datetime.fromtimestamp(microseconds / 1e6, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
