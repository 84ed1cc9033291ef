"""What a look at one thing found, in words and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nas_syncd.messages import remedy, text

PREFIX = "doctor."


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, or will; somebody should look at it all the same."""
    WRONG = "wrong"
    SKIPPED = "skipped"
    """It could not be looked at; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's. ``check`` and the keys of ``details`` are stable and English."""

    check: str
    level: Level
    text: str
    remedy: str | None
    """Whole sentences; never None where something is wrong or to be looked at."""
    details: dict[str, Any] = field(default_factory=dict)


class Notes:
    """The findings of one room, as they come. Only that room's thread adds to them."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.found: list[Finding] = []

    def ok(self, check: str, code: str, **params: object) -> None:
        self._add(check, Level.OK, PREFIX + code, params)

    def warning(self, check: str, code: str, **params: object) -> None:
        self._add(check, Level.WARNING, PREFIX + code, params)

    def wrong(self, check: str, code: str, **params: object) -> None:
        self._add(check, Level.WRONG, PREFIX + code, params)

    def skipped(self, check: str, why: str, **params: object) -> None:
        """Say that *check* was left out, and why: a text ``doctor.skipped.<why>``."""
        self._add(check, Level.SKIPPED, f"{PREFIX}skipped.{why}", params)

    def told(self, check: str, level: Level, code: str, params: dict[str, Any]) -> None:
        """Take over what another part says of itself: a code with its own words and remedy."""
        self._add(check, level, code, params)

    def _add(self, check: str, level: Level, code: str, params: dict[str, Any]) -> None:
        known = {name: value for name, value in params.items() if name not in ("code", "language")}
        needed = level in (Level.WARNING, Level.WRONG)
        cure = remedy(code, self.language, **known) if needed else None
        words = text(code, self.language, **known)
        if needed and cure is None:
            cure = text("doctor.no_remedy", self.language)
        self.found.append(Finding(check, level, words, cure, {"code": code, **known}))
