"""What ``sync`` has done so far: shown while it goes on, and told at the end.

The same for work of our own (a :class:`~nas_syncd.wishes.Tally` counts it) and for a daemon's run.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.messages import bytes_text
from nas_syncd.wishes import Line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FEW = 20
"""Up to so many documents each one has its line on a terminal, too."""
_SUMS = ("failed", "waiting", "recopied", "unverifiable")


class Counts(Protocol):
    """What the summary says."""

    expected: int
    done: int
    synced: int
    failed: int
    waiting: int
    proven: int
    recopied: int
    unverifiable: int
    errors: list[str]


class Summary:
    """Shows and tells; with a bar while it is open, on a terminal."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._open = ExitStack()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._expected = 0

    def __enter__(self) -> Self:
        if not self._call.as_json:
            self._bar = self._open.enter_context(screen.progress_bar())
        if self._bar is not None:
            words = self._call.text("sync.bar")
            self._task = self._bar.add_task(words, total=self._expected or None, detail="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        self._bar = None

    @property
    def has_bar(self) -> bool:
        """Whether a person sees how it goes."""
        return self._bar is not None

    def expect(self, documents: int) -> None:
        """Take note of how many documents there are to look at."""
        self._expected = documents
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=documents)

    def line(self, line: Line) -> None:
        """Show what became of a document; on a terminal routine lines of many documents would
        drown the rest."""
        if self._bar is None or not line.routine or self._expected <= FEW:
            self.say(line.words(self._call.language))

    def tick(self, done: int, big_files: tuple[float, float] | None = None) -> None:
        """Move the bar; *big_files*: how far they are, and their size, all of them together."""
        if self._bar is None or self._task is None:
            return
        language = self._call.language
        detail = " / ".join(bytes_text(size, language) for size in big_files or ())
        self._bar.update(self._task, completed=done, detail=detail)

    def say(self, words: str) -> None:
        """Write a line for a person, above the bar where there is one."""
        if self._call.as_json:
            return
        if self._bar is None:
            self._call.say(words, at_once=True)
        else:
            self._bar.console.print(self._call.redacted(words), markup=False, highlight=False)

    def tell(self, counts: Counts, *, inherited: bool, error: dict[str, Any] | None = None) -> None:
        """Say what was done.

        Args:
            inherited: Whether inherited documents were checked.
            error: Why it did not go on: ``code``, ``message``, ``remedy``.
        """
        call = self._call
        if call.as_json:
            call.answer(_data(counts, inherited, error))
            return
        parts = [call.count("sync.sum.synced", counts.synced)]
        for name in _SUMS:
            number = getattr(counts, name)
            if number:
                parts.append(call.count(f"sync.sum.{name}", number))
        call.say(call.text("cli.sentence", text=", ".join(parts)))
        if error is not None:
            call.complain(call.text("sync.stopped", text=call.error_line(error)))


def _data(counts: Counts, inherited: bool, error: dict[str, Any] | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "total": counts.synced + counts.failed,
        "synced": counts.synced,
        "failed": counts.failed,
        "errors": counts.errors,
        "waiting": counts.waiting,
    }
    if inherited:
        data["inherited"] = {
            "proven": counts.proven,
            "recopied": counts.recopied,
            "unverifiable": counts.unverifiable,
        }
    if error is not None:
        data["error"] = error
    return data
