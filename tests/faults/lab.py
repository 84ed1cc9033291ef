"""What a group of fault cases is, and what may come of a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class BrokenError(Exception):
    """A promise was broken: what the lab looks for. ``kind`` says which one."""

    kind = "broken"


class LostError(BrokenError):
    """A document, or something that stood on the NAS before, is gone or changed."""

    kind = "lost"


class LiedError(BrokenError):
    """A flag is set without the verified bytes in their place, or was set for a moment."""

    kind = "lied"


class StuckError(BrokenError):
    """The trouble is over and the document is not safe; or there is no fate and no reason."""

    kind = "stuck"


class DirtyError(BrokenError):
    """Something was left on the NAS that is nobody's: a temp file, a part, a second copy."""

    kind = "dirty"


@dataclass(frozen=True, slots=True)
class Result:
    """One case, tried."""

    group: str
    case: str
    outcome: str
    """What became of it, in one or two words (``mount.down, then safe``)."""
    broken: str | None = None
    """The kind of :class:`BrokenError`, None when it survived."""
    detail: str = ""


class Group(Protocol):
    """One class of faults. Each module of the lab has one, as ``GROUP``."""

    name: str
    """One word, for ``--group``."""
    about: str
    """One line for the table."""

    def missing(self) -> str | None:
        """Return why it cannot be tried on this machine (strace, root, FUSE), None when it can."""

    def cases(self) -> Sequence[str]:
        """Return every case's name, each of them distinct; cheap, and the same each time."""

    def short(self) -> Sequence[str]:
        """Return the cases that ``make test`` tries: a few seconds of them, of every kind."""

    def run(self, case: str, folder: Path) -> str:
        """Try one case in an empty *folder* and return its outcome.

        Raises:
            BrokenError: A promise was broken.
        """
