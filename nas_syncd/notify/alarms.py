"""When somebody should be told, and when it is over. Pure: no clock, no disk, no network.

A trouble is told once, when it has lasted as long as its patience; its end is told once, when it
has been over for a moment, and only if its beginning was told. What is not known is neither a
trouble nor an end. Each alarm within a day makes the next one of its kind more patient, so that a
NAS that comes and goes does not ring all day. All of it is kept as JSON, so that a restart neither
repeats an alarm nor forgets to call it off.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nas_syncd.notify.outbox import moment_of

CALM = dt.timedelta(seconds=20)
"""A trouble must have been over for so long; or for as long as the NAS may be away, if less."""
AGAIN = dt.timedelta(minutes=10)
"""So much more patience for each alarm of the kind within a day."""
DAY = dt.timedelta(days=1)
GATHER = dt.timedelta(seconds=5)
"""Documents given up within this time are told together."""
SPACING = dt.timedelta(minutes=10)
"""Between two messages about documents given up."""
STANDING = dt.timedelta(hours=1)
"""A document that was the oldest to wait for so long makes no progress. A shorter time is a queue
that moves, however old the papers in it are."""
UNSEEN = dt.timedelta(minutes=10)
"""Between two looks so far apart the clock was set, or the computer slept: nobody looked."""
MOST_PROBLEMS = 1000
MOST_NAMED = 5


class Kind(StrEnum):
    """The troubles that begin and end."""

    AWAY = "away"
    FULL = "full"
    WAITING = "waiting"
    DATABASE = "database"


ENDS = {
    Kind.AWAY: "back",
    Kind.FULL: "freed",
    Kind.WAITING: "caught_up",
    Kind.DATABASE: "database_back",
}


class Severity(StrEnum):
    """Apprise's words for it."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell."""

    code: str
    """The key of its text: ``notify.<code>``."""
    severity: Severity
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The documents without a flag that nobody has been told about yet."""

    pending: int
    oldest: dt.datetime | None = None
    """When the oldest of them was created; None: there is none, or the table does not know."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. None: not known, which changes nothing."""

    now: dt.datetime
    away: bool | None
    full: bool | None
    database_away: bool | None
    waiting: Waiting | None = None
    problems: Mapping[str, str] | None = None
    """Documents that were given up: id → what it is called."""
    retried: Collection[str] = frozenset()
    """Of those that were told: what is no longer given up, and not safe either."""
    about: Mapping[Kind, Mapping[str, object]] = field(default_factory=dict)
    """What fills the blanks of a kind's text."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a trouble may last before somebody is told."""

    away: dt.timedelta
    waiting: dt.timedelta


@dataclass(frozen=True, slots=True)
class Spell:
    """How one kind of trouble stands."""

    wrong_since: dt.datetime | None = None
    well_since: dt.datetime | None = None
    told_since: dt.datetime | None = None
    """When the trouble began that was told, and not called off yet."""
    told_at: tuple[dt.datetime, ...] = ()
    """The alarms of the last day."""

    def unseen(self) -> Spell:
        """Return how it stands when nobody has looked for a while: its patience begins anew."""
        return replace(self, wrong_since=self.told_since, well_since=None)

    def step(
        self, wrong: bool, now: dt.datetime, patience: dt.timedelta, calm: dt.timedelta = CALM
    ) -> tuple[Spell, bool]:
        """Return how it stands now, and whether that is to be told (its beginning or its end)."""
        return self._wrong(now, patience) if wrong else self._well(now, calm)

    def _wrong(self, now: dt.datetime, patience: dt.timedelta) -> tuple[Spell, bool]:
        since = min(self.wrong_since or now, now)  # the clock may have been set back
        recent = tuple(told for told in self.told_at if now - DAY < told <= now)
        lasting = replace(self, wrong_since=since, well_since=None, told_at=recent)
        if self.told_since is not None or now - since < max(patience, AGAIN * len(recent)):
            return lasting, False
        return replace(lasting, told_since=since, told_at=(*recent, now)), True

    def _well(self, now: dt.datetime, calm: dt.timedelta) -> tuple[Spell, bool]:
        if self.told_since is None:
            return Spell(told_at=self.told_at), False
        since = min(self.well_since or now, now)
        if now - since < calm:
            return replace(self, well_since=since), False
        return Spell(told_at=self.told_at), True


@dataclass(frozen=True, slots=True)
class Problems:
    """Which of the documents given up were told."""

    told: frozenset[str] = frozenset()
    news_since: dt.datetime | None = None
    told_at: dt.datetime | None = None

    def step(
        self, now: dt.datetime, current: Mapping[str, str], retried: Collection[str] = ()
    ) -> tuple[Problems, list[News]]:
        new = [id_ for id_ in current if id_ not in self.told]
        # A list that was cut short says nothing of who is not in it.
        cut = len(current) >= MOST_PROBLEMS
        over = frozenset() if cut else self.told.difference(current, retried)
        if not new and not over:
            return replace(self, news_since=None), []
        since = min(self.news_since or now, now)
        spaced = self.told_at is None or not self.told_at <= now < self.told_at + SPACING
        if now - since < GATHER or not spaced:
            return replace(self, news_since=since), []
        news = []
        if new:
            params = {"count": len(new), "total": len(current), **_named(current, new)}
            news.append(News("problem", Severity.FAILURE, params))
        if over:
            params = {"count": len(over), "left": len(current), "documents": _some(sorted(over))}
            news.append(News("solved", Severity.SUCCESS, params))
        return Problems((self.told - over).union(current), None, now), news


class Alarms:
    """The state of all alarms. Not thread-safe."""

    def __init__(self, limits: Limits, kept: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            kept: What :meth:`as_json` gave before a restart. A trouble that was not told yet
                begins anew: nobody looked meanwhile.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: *kept* is not that.
        """
        self.limits = limits
        self.spells = dict.fromkeys(Kind, Spell())
        self.problems = Problems()
        self._looked_at: dt.datetime | None = None
        self._front: tuple[dt.datetime | None, dt.datetime] | None = None
        """The oldest document that waits, and since when it has been that."""
        if kept:
            self._recall(kept)

    def look(self, facts: Facts) -> list[News]:
        """Return what is to be told now, ends before beginnings."""
        news: list[News] = []
        calm = min(CALM, self.limits.away)
        if self._looked_at is not None and facts.now - self._looked_at > UNSEEN:
            self.spells = {kind: spell.unseen() for kind, spell in self.spells.items()}
        self._looked_at = facts.now
        for kind, wrong, patience in self._judged(facts):
            if wrong is None:
                continue
            before = self.spells[kind]
            self.spells[kind], told = before.step(wrong, facts.now, patience, calm)
            if told:
                news.append(_told(kind, before, self.spells[kind], facts))
        news.sort(key=lambda one: one.severity is not Severity.SUCCESS)
        if facts.problems is not None:
            self.problems, more = self.problems.step(facts.now, facts.problems, facts.retried)
            news += more
        return news

    @property
    def quiet(self) -> bool:
        """Whether nothing is wrong that was told."""
        return not self.problems.told and all(
            spell.told_since is None for spell in self.spells.values()
        )

    def _judged(self, facts: Facts) -> Iterable[tuple[Kind, bool | None, dt.timedelta]]:
        yield Kind.AWAY, facts.away, self.limits.away
        # One trouble of the NAS at a time: what is away is neither full nor free.
        gone = facts.away or self.spells[Kind.AWAY].told_since is not None
        yield Kind.FULL, None if gone else facts.full, dt.timedelta()
        yield Kind.DATABASE, facts.database_away, self.limits.away
        yield Kind.WAITING, self._overdue(facts), dt.timedelta()

    def _overdue(self, facts: Facts) -> bool | None:
        if facts.waiting is None:
            return None
        if not facts.waiting.pending:
            self._front = None
            return False
        oldest, now = facts.waiting.oldest, facts.now
        if self._front is None or self._front[0] != oldest or self._front[1] > now:
            self._front = (oldest, now)
        limit, stood = self.limits.waiting, now - self._front[1]
        if self.spells[Kind.WAITING].told_since is not None:
            # Over is it when none is too old; how long the front has stood decides its beginning.
            return oldest is None or now - oldest >= limit
        age = stood if oldest is None else now - oldest
        return age >= limit and stood >= min(limit, STANDING)

    # -- kept -------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Return what must survive a restart; equal as long as nothing of that has changed."""
        return {
            "spells": {
                kind: {"since": _text(spell.told_since), "told": [_text(t) for t in spell.told_at]}
                for kind, spell in self.spells.items()
            },
            "problems": sorted(self.problems.told),
            "problems_at": _text(self.problems.told_at),
        }

    def _recall(self, kept: Mapping[str, Any]) -> None:
        for kind, spell in kept.get("spells", {}).items():
            if kind in self.spells:
                since = _time(spell["since"])
                told = tuple(moment_of(text) for text in spell["told"])
                self.spells[Kind(kind)] = Spell(since, None, since, told)
        told_ids = frozenset(kept.get("problems", ()))
        self.problems = Problems(told_ids, None, _time(kept.get("problems_at")))


def _told(kind: Kind, before: Spell, now: Spell, facts: Facts) -> News:
    about = dict(facts.about.get(kind, {}))
    if now.told_since is not None:
        severity = Severity.WARNING if kind is Kind.WAITING else Severity.FAILURE
        return News(kind, severity, {"since": now.told_since, **about})
    began = before.told_since or facts.now
    seconds = max(0.0, (facts.now - began).total_seconds())
    return News(ENDS[kind], Severity.SUCCESS, {"since": began, "seconds": seconds, **about})


def _named(current: Mapping[str, str], ids: list[str]) -> dict[str, object]:
    return {"documents": _some([current[id_] for id_ in ids])}


def _some(names: list[str]) -> list[str]:
    more = len(names) - MOST_NAMED
    return [*names[:MOST_NAMED], *(["…"] if more > 0 else [])]


def _text(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _time(text: str | None) -> dt.datetime | None:
    return moment_of(text) if text else None
