"""``nas-syncd logs``: finds the log, reads and follows it, as a person likes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import DaemonNeededError, Exit
from nas_syncd.cli.logs.chain import Gap
from nas_syncd.cli.logs.entries import Entry, Source, Takes
from nas_syncd.cli.logs.find import find_log, where_else
from nas_syncd.cli.logs.journal import LogInJournal, journal_has
from nas_syncd.cli.logs.wanted import Filter, Wanted
from nas_syncd.cli.reach import reach
from nas_syncd.logs.face import Face, Look
from nas_syncd.logs.output import holds_everything
from nas_syncd.logs.safe import harmless_json
from nas_syncd.messages import bytes_text, visible
from nas_syncd.settings import wants_colour

__all__ = ["Filter", "show_logs"]

LONGEST_GARBAGE = 500
"""Characters of a line that is no record that are shown."""


def show_logs(call: Call, asked: Filter, *, follow: bool) -> int:
    """Show the records that are wanted, the oldest first; with *follow* until Ctrl-C.

    Raises:
        ConfigurationError: A setting is wrong.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The log cannot be read.
        UsageError: No such level, time or number.
    """
    wanted = asked.check(call)
    source = _found(call, wanted, follow=follow)
    if source is None:
        return _tell_where(call)
    shown = _Shown(call, wanted)
    try:
        for entry in _entries(source, wanted, shown.takes, follow=follow):
            shown.show(entry)
            if follow:
                sys.stdout.flush()  # somebody reads along, perhaps through a pipe
    finally:
        source.close()
    return Exit.DONE


def _found(call: Call, wanted: Wanted, *, follow: bool) -> Source | None:
    try:
        return find_log(reach(call), wanted, follow=follow)
    except DaemonNeededError:
        if not journal_has():  # the service's settings are not ours to read; its journal may be
            raise
        return LogInJournal(wanted, fields=True)


def _entries(source: Source, wanted: Wanted, takes: Takes, *, follow: bool) -> Iterator[Entry]:
    yield from source.history(takes, wanted.most)
    if follow:
        sys.stdout.flush()
        yield from (entry for entry in source.coming() if takes(entry))


def _tell_where(call: Call) -> int:
    """Without a log of our own: say where it is, with the command that shows it."""
    message, where = call.text("logs.none"), where_else(call)
    if call.as_json:
        remedy = " ".join(where)
        call.answer({"error": {"code": "logs.none", "message": message, "remedy": remedy}})
    else:
        for line in (message, *where):
            call.complain(line)
    return Exit.CONFIGURATION


class _Shown:
    """How entries are shown: as they stand with ``--json``, else as a person likes it."""

    def __init__(self, call: Call, wanted: Wanted) -> None:
        self._call = call
        self._wanted = wanted
        self._terminal = screen.on_terminal()
        self._colour = self._terminal and wants_colour()
        self._face = Face(self._look())

    def takes(self, entry: Entry) -> bool:
        """Whether it is wanted. Lines that are no records are, where everything is."""
        if entry.gap is not None:
            return True
        if entry.record is None:
            return bool(entry.line) and self._wanted.everything and not self._call.as_json
        return self._wanted.takes(entry.record)

    def show(self, entry: Entry) -> None:
        if entry.gap is not None:
            self._aside(self._words_of_gap(entry.gap))
        elif entry.record is None:
            self._aside(self._cut(entry.line))
        elif self._call.as_json:
            self._call.say(harmless_json(entry.line))
        else:
            if self._terminal:
                self._face.look = self._look()  # the window may have another size now
            for line in self._face.lines(entry.record):
                self._call.say(line)

    def _look(self) -> Look:
        width = shutil.get_terminal_size().columns if self._terminal else None
        return Look(self._call.language, width, self._colour, holds_everything(sys.stdout))

    def _aside(self, words: str) -> None:
        if self._call.as_json:
            self._call.complain(words)
        else:
            self._call.say(f"\x1b[2m{words}\x1b[0m" if self._colour else words)

    def _words_of_gap(self, gap: Gap) -> str:
        if gap.size is None:
            return self._call.text("logs.missed")
        return self._call.text("logs.long", size=gap.size)

    def _cut(self, line: str) -> str:
        if len(line) <= LONGEST_GARBAGE:
            return visible(line)
        size = bytes_text(len(line.encode("utf-8", "replace")), self._call.language)
        return visible(line[:LONGEST_GARBAGE]) + self._call.text("logs.cut", total=size)
