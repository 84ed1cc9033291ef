"""Which records somebody asked for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import UsageError
from nas_syncd.logs.face import moment_of_record

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
SHOWN_LINES = 100
"""As many of the last ones are shown where nothing says how many."""
_ALL = "all"
_SPAN = re.compile(r"(\d+)\s*(s|m|min|h|d|j)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "j": 86_400}


@dataclass(frozen=True, slots=True)
class Filter:
    """What the command line said; :meth:`check` makes it a :class:`Wanted`."""

    document: str | None = None
    level: str | None = None
    since: str | None = None
    lines: str | None = None

    @classmethod
    def of(
        cls, document: str | None, level: str | None, since: str | None, lines: str | None = None
    ) -> Filter:
        return cls(document, level.lower() if level else None, since, lines)

    def check(self, call: Call) -> Wanted:
        """
        Raises:
            UsageError: There is no such level, no such time, no such number.
        """
        if self.level is not None and self.level not in LEVELS:
            choices = ", ".join(LEVELS)
            raise UsageError(text=call.text("logs.level", given=self.level, choices=choices))
        since = None
        if self.since is not None:
            since = moment_of(self.since, dt.datetime.now(dt.UTC))
            if since is None:
                raise UsageError(text=call.text("logs.since", given=self.since))
        return Wanted(self.document, self.level, since, self._most(call))

    def _most(self, call: Call) -> int | None:
        if self.lines is None:
            narrowed = self.since is not None or self.document is not None
            return None if narrowed or call.as_json else SHOWN_LINES
        if self.lines.lower() == _ALL:
            return None
        if not (self.lines.isascii() and self.lines.isdigit()) or len(self.lines) > 9:
            raise UsageError(text=call.text("logs.lines", given=self.lines))
        return int(self.lines)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are wanted, and how many of the last ones."""

    document: str | None = None
    level: str | None = None
    since: dt.datetime | None = None
    most: int | None = None

    @property
    def everything(self) -> bool:
        """Whether lines that are no records are wanted, too."""
        return self.document is None and self.level is None and self.since is None

    def takes(self, record: Mapping[str, object]) -> bool:
        """Whether this record is wanted."""
        if self.document is not None and str(record.get("document_id")) != self.document:
            return False
        if self.level is not None and _number(record.get("level")) < LEVELS[self.level]:
            return False
        if self.since is None:
            return True
        moment = moment_of_record(record)
        return moment is not None and moment >= self.since


def _number(level: object) -> int:
    return LEVELS.get(level, 50) if isinstance(level, str) else 50


def moment_of(text: str, now: dt.datetime) -> dt.datetime | None:
    """Return the moment that *text* means: ``10m`` ago, ``2h`` ago, a date, a time in ISO form."""
    words = text.strip()
    span = _SPAN.fullmatch(words.lower())
    if span:
        try:
            return now - dt.timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
        except (OverflowError, ValueError):
            return dt.datetime.min.replace(tzinfo=dt.UTC)
    try:
        moment = dt.datetime.fromisoformat(words)
        return moment if moment.tzinfo else moment.astimezone()  # a person means the local time
    except (ValueError, OverflowError, OSError):
        return None
