"""What the audience sees at one moment; the daemon's log events change it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from nas_syncd.demo.process import Event
from nas_syncd.messages import TEXTS, text

LINES = 9


class Tone(StrEnum):
    """How a line is meant; the show gives it a sign and a colour."""

    STORY = "story"
    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    tone: Tone
    words: str


@dataclass(slots=True)
class Scene:
    """The picture. ``fresh`` are the lines that nobody has shown yet."""

    language: str
    total: int = 0
    begun: int = 0
    safe: int = 0
    nas: str = "unknown"
    story: str = ""
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=LINES))
    fresh: list[Line] = field(default_factory=list)
    _told: set[tuple[object, object]] = field(default_factory=set)

    def text(self, code: str, **params: object) -> str:
        return text(code, self.language, **params)

    def tell(self, code: str, **params: object) -> None:
        """Go on with the story."""
        self.story = self.text(code, **params)
        self.fresh.append(Line(Tone.STORY, self.story))

    def nas_text(self) -> str:
        own = f"demo.nas.{self.nas}"
        return self.text(own if own in TEXTS[self.language] else f"mount.{self.nas}")

    def take(self, event: Event) -> None:
        """Show one event of the daemon's log, when it says something to the audience."""
        line = self._line(str(event.get("event")), event)
        if line is not None:
            self.lines.append(line)
            self.fresh.append(line)

    def _line(self, name: str, event: Event) -> Line | None:
        if name == "document.synced":
            return Line(Tone.GOOD, self._synced(event))
        if name == "mount.changed":
            self.nas = str(event.get("state"))
            tone = Tone.GOOD if self.nas == "ok" else Tone.BAD
            return Line(tone, self.text("demo.mount", why=self.nas_text()))
        if name == "api.ready":
            return self._page(event)
        if name in ("document.failed", "document.refused"):
            return Line(Tone.BAD, self._waiting(event))
        if name == "document.waiting" and self._is_news(event):
            return Line(Tone.WAITING, self._waiting(event))
        return None

    def _page(self, event: Event) -> Line | None:
        pages = [url for url in event.get("urls", ()) if str(url).startswith("http")]
        return Line(Tone.STORY, self.text("demo.page", url=pages[0])) if pages else None

    def _synced(self, event: Event) -> str:
        return self.text(
            "demo.synced",
            name=_name(event),
            destination=event.get("destination"),
            size=event.get("bytes"),
            ms=round(float(event.get("seconds") or 0) * 1000),
        )

    def _waiting(self, event: Event) -> str:
        """Say it in few words where there are some, else as the daemon's log does."""
        own = f"demo.why.{str(event.get('code')).partition('.')[0]}"
        for code in (f"demo.why.{event.get('code')}", own):
            if code in TEXTS[self.language]:
                return self.text("demo.waiting", name=_name(event), why=self.text(code))
        return self.text("demo.waiting", name=_name(event), why=_first_sentence(event))

    def _is_news(self, event: Event) -> bool:
        news = (event.get("document_id"), event.get("code"))
        if news in self._told:
            return False
        self._told.add(news)
        return True


def _name(event: Event) -> object:
    return event.get("name") or event.get("path")


def _first_sentence(event: Event) -> str:
    """What happened, without the remedy: in a demo there is nothing to mend."""
    return str(event.get("text") or "").partition(". ")[0]
