"""How told records look: on a terminal of a certain width, or as plain lines.

On a terminal: the time, a coloured sign, the sentence, and what is left in dim letters. Only the
sign has a colour, so that it reads alike on light and dark. A document's fate keeps to one line,
where its names can be shortened for it; what needs more room goes on below, indented. The day
stands above the first line of each day that is not today's.

Elsewhere, for files and pipes and the journal: nothing is shortened, nothing is wrapped.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nas_syncd.logs.told import Filed, Told, Tone, tell

NARROWEST = 40
SHORTEST_FILE = 12
SHORTEST_NAME = 10
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "…": "~", "·": "-", "●": "*", "○": "o", "→": ">", "─": "-", "—": "-"}
    | {"’": "'", "“": '"', "”": '"', "«": '"', "»": '"', "\u202f": " ", "\xa0": " "}
)
"""What stands for our own signs and for typography where a stream holds ASCII only."""
_COLOURS = {
    Tone.GOOD: "32",
    Tone.PLAIN: "",
    Tone.QUIET: "2",
    Tone.WARNING: "1;33",
    Tone.BAD: "1;31",
}
_DIM = "2"
_CLINGING = frozenset({":", ";", "!", "?", "»", "%"})
_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to write on."""

    language: str
    width: int | None = None
    """Columns of a terminal; None: plain lines, with the whole date and the level."""
    colour: bool = False
    signs: bool = True
    """Whether more than ASCII can be shown."""


class Face:
    """Gives records their look, one after the other: it remembers the day."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self._day: dt.date | None = None

    def lines(self, record: Mapping[str, object], told: Told | None = None) -> list[str]:
        """Return the lines for *record*, without their ends. Never raises.

        Args:
            told: What :func:`tell` made of it, where that is known already.
        """
        told = told or tell(record, self.look.language)
        moment = moment_of_record(record)
        if self.look.width is None:
            lines = self._plain(told, str(record.get("level", ""))[:8], moment)
        else:
            lines = [*self._day_before(moment), *self._shaped(told, moment)]
        return lines if self.look.signs else [line.translate(_ASCII) for line in lines]

    # -- plain ------------------------------------------------------------------------------

    def _plain(self, told: Told, level: str, moment: dt.datetime | None) -> list[str]:
        at = f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"
        level = level if level.isascii() and level.isalpha() else "?"
        head = f"{at} {level:<7} {told.sign} {plain_words(told)}"
        return [head, *(f"    {line}" for line in told.below)]

    # -- on a terminal ----------------------------------------------------------------------

    def _day_before(self, moment: dt.datetime | None) -> list[str]:
        day = moment.date() if moment else self._day
        if self._day is None:
            self._day = dt.datetime.now().astimezone().date()
        if day is None or moment is None or day == self._day:
            return []
        self._day = day
        form = _DAY.get(self.look.language, "%Y-%m-%d")
        return [self._styled(f"── {moment.strftime(form)} ──", _DIM)]

    def _shaped(self, told: Told, moment: dt.datetime | None) -> list[str]:
        at = f"{moment:%H:%M:%S}" if moment else "--:--:--"
        room = max(self.look.width or 0, NARROWEST) - 12
        body = wrapped(pieces(told, room), room)
        head = f"{self._styled(at, _DIM)}  {self._styled(told.sign, _COLOURS[told.tone])} "
        lines = [head + self._run(body[0]) if body else head]
        lines += [" " * 12 + self._run(line) for line in body[1:]]
        for below in told.below:
            lines += [" " * 12 + self._styled(line, _DIM) for line in cut(below, room) or [""]]
        return lines

    def _run(self, line: list[tuple[str, str]]) -> str:
        """Return pieces of one line, neighbours of one style in one go."""
        done, words, style = [], "", ""
        for piece, its in line:
            if its != style and words:
                done.append(self._styled(words, style))
                words = ""
            words, style = words + piece, its
        return "".join([*done, self._styled(words, style)])

    def _styled(self, words: str, style: str) -> str:
        return f"\x1b[{style}m{words}\x1b[0m" if style and words and self.look.colour else words


def plain_words(told: Told) -> str:
    """Return all of it but a traceback, in one line."""
    return "  ".join(part for part in (told.words, told.aside, rest_of(told)) if part)


def rest_of(told: Told) -> str:
    """Return the keys and values that no sentence tells."""
    return " ".join(f"{key}={value}" for key, value in told.rest)


def moment_of_record(record: Mapping[str, object]) -> dt.datetime | None:
    """Return when it was, in this computer's time zone; None where that is not known."""
    try:
        moment = dt.datetime.fromisoformat(str(record.get("timestamp")))
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return aware.astimezone()
    except (ValueError, OverflowError, OSError):
        return None


# -- fitting -----------------------------------------------------------------------------------


def pieces(told: Told, room: int) -> list[tuple[str, str]]:
    """Return words with their style, ready to be put into lines of *room* columns."""
    words, aside = told.words, told.aside
    if told.filed is not None:
        words, aside = fitted(told.filed, aside, room)
    style = _DIM if told.tone is Tone.QUIET else ""
    found = [(word, style) for word in unbroken(words)]
    for part in (aside, rest_of(told)):
        if part:
            found.append(("", ""))
            found += [(word, _DIM) for word in unbroken(part)]
    return found


def unbroken(words: str) -> list[str]:
    """Return the words between which a line may end: not before French double punctuation."""
    found: list[str] = []
    for word in words.split(" "):
        if found and (word in _CLINGING or found[-1] == "«"):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def fitted(filed: Filed, aside: str, room: int) -> tuple[str, str]:
    """Return words and aside in one line of *room* columns where leaving out can do it.

    First goes how long it took, then the size, then the middle of the file's name on the NAS,
    then that of the document's.
    """
    for kept in (aside, filed.size, ""):
        if columns(filed.words) + (columns(kept) + 2 if kept else 0) <= room:
            return filed.words, kept
    over = columns(filed.words) - room
    folder, slash, file = filed.destination.rpartition("/")
    shorter = middle_out(file, max(columns(file) - over, SHORTEST_FILE))
    over -= columns(file) - columns(shorter)
    name = filed.name
    if over > 0:
        name = middle_out(name, max(columns(name) - over, SHORTEST_NAME))
        over -= columns(filed.name) - columns(name)
    if over > 0:
        return filed.words, aside
    return Filed(name, filed.id, f"{folder}{slash}{shorter}").words, ""


def middle_out(words: str, room: int) -> str:
    """Return *words* in at most *room* columns, its beginning and its end kept."""
    if columns(words) <= room:
        return words
    tail = ""
    for char in reversed(words):
        if columns(char + tail) > (room - 1) // 2:
            break
        tail = char + tail
    return head_of(words, room - 1 - columns(tail)) + "…" + tail


def head_of(words: str, room: int) -> str:
    """Return as much of the beginning as *room* columns hold."""
    taken = 0
    for place, char in enumerate(words):
        taken += columns(char)
        if taken > room:
            return words[:place]
    return words


def columns(words: str) -> int:
    """Return how many columns of a terminal *words* take."""
    if words.isascii():
        return len(words)
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) == "Cf"
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in words
    )


def wrapped(parts: list[tuple[str, str]], room: int) -> list[list[tuple[str, str]]]:
    """Put words into lines; an empty word is a wider gap, a long one is cut."""
    lines: list[list[tuple[str, str]]] = []
    line: list[tuple[str, str]] = []
    used = 0
    for word, style, gap in _with_gaps(parts):
        wide = columns(word)
        if line and used + gap + wide > room:
            lines.append(line)
            line, used = [], 0
        if line and gap:
            line.append((" " * gap, style))
            used += gap
        *before, last = cut(word, room) if wide > room else [word]
        lines += [[(piece, style)] for piece in before]
        line.append((last, style))
        used += columns(last)
    return [*lines, line] if line else lines


def _with_gaps(parts: list[tuple[str, str]]) -> Iterator[tuple[str, str, int]]:
    gap = 1
    for word, style in parts:
        if not word:
            gap = 2
            continue
        yield word, style, gap
        gap = 1


def cut(words: str, room: int) -> list[str]:
    """Return *words* in pieces of at most *room* columns."""
    done = []
    while words:
        piece = head_of(words, room) or words[:1]
        done.append(piece)
        words = words[len(piece) :]
    return done
