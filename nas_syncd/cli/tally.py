"""What ``sync`` has done so far: counted, shown while it goes on, and told at the end."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.errors import SyncError
from nas_syncd.fates import log_fate
from nas_syncd.inherited import Checked, Verdict
from nas_syncd.logs import get_logger
from nas_syncd.manual import Ended, Ending
from nas_syncd.messages import bytes_text, explain, render_error
from nas_syncd.models import Document, Fate, Reason
from nas_syncd.site import Site

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FEW = 20
"""Up to so many documents each one has its line on a terminal, too."""

_log = get_logger("nas_syncd.sync")


class Summary:
    """Counts and tells; with a bar while it is open, on a terminal."""

    def __init__(self, call: Call, site: Site, expected: int) -> None:
        """
        Args:
            expected: How many documents there are to look at, for the bar.
        """
        self.synced = self.failed = self.waiting = 0
        self.proven = self.recopied = self.unverifiable = 0
        self.errors: list[str] = []
        self._inherited = False
        self._call = call
        self._site = site
        self._expected = expected
        self._seen = 0
        self._open = ExitStack()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if not self._call.as_json:
            self._bar = self._open.enter_context(screen.progress_bar())
        if self._bar is not None:
            words = self._call.text("sync.bar")
            self._task = self._bar.add_task(words, total=self._expected, detail="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        self._bar = None

    # -- what happens -----------------------------------------------------------------------

    def ended(self, ended: Ended) -> None:
        """Count one document's ending; the flow calls it."""
        self._seen += 1
        document, reason = ended.document, ended.reason
        match ended.ending:
            case Ending.SAFE:
                self.synced += 1
                self._line(document, self._where(ended.fate), routine=True)
            case Ending.FAILED:
                self._fail(document, reason or Reason("internal"))
            case Ending.WAITING:
                self.waiting += 1
                self._line(document, self._explained(reason), routine=True)
            case Ending.INHERITED | Ending.GONE:
                self._line(document, self._explained(reason), routine=True)

    def checked(self, checked: Checked) -> None:
        """Count one inherited document's verdict."""
        self._inherited = True
        document = checked.document
        if checked.verdict is Verdict.RECOPY:
            self.recopied += 1
            self._line(document, self._explained(checked.reason))
            return
        self._seen += 1
        if checked.verdict is Verdict.PROVEN and checked.receipt is not None:
            self.proven += 1
            self.synced += 1
            path = self._full(checked.receipt.destination)
            self._line(document, self._call.text("sync.proven", path=path), routine=True)
            return
        self.unverifiable += 1
        why = self._explained(checked.reason)
        words = self._call.text("sync.unverifiable", text=why)
        self.errors.append(self._words(document.id, document.original_name, words))
        self._line(document, words)

    def refuse(self, document_id: str, code: str) -> None:
        """Count an id that no copy can be made for."""
        self.failed += 1
        words = self._words(document_id, None, self._call.text(code))
        self.errors.append(words)
        self._show(words, routine=False)

    def log(self, fate: Fate) -> None:
        """Write a fate to the log, as the daemon does."""
        log_fate(_log, fate, self._call.language)

    def tick(self) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._seen, detail=self._big_files())

    def interrupted(self) -> None:
        """Say that what flies may land."""
        if not self._call.as_json:
            self._show(self._call.text("sync.finishing"), routine=False)

    # -- the end ----------------------------------------------------------------------------

    def tell(self, stopped: SyncError | None) -> None:
        """Say what was done; *stopped* is why it did not go on."""
        if self._call.as_json:
            self._call.answer(self._data(stopped))
            return
        call = self._call
        parts = [call.count("sync.sum.synced", self.synced)]
        for name in ("failed", "waiting", "recopied", "unverifiable"):
            number = getattr(self, name)
            if number:
                parts.append(call.count(f"sync.sum.{name}", number))
        call.say(call.text("cli.sentence", text=", ".join(parts)))
        if stopped is not None:
            call.complain(call.text("sync.stopped", text=render_error(stopped, call.language)))

    def _data(self, stopped: SyncError | None) -> dict[str, Any]:
        data: dict[str, Any] = {
            "total": self.synced + self.failed,
            "synced": self.synced,
            "failed": self.failed,
            "errors": self.errors,
            "waiting": self.waiting,
        }
        if self._inherited:
            data["inherited"] = {
                "proven": self.proven,
                "recopied": self.recopied,
                "unverifiable": self.unverifiable,
            }
        if stopped is not None:
            data["error"] = self._call.error_data(stopped)
        return data

    # -- lines ------------------------------------------------------------------------------

    def _fail(self, document: Document, reason: Reason) -> None:
        self.failed += 1
        words = self._words(document.id, document.original_name, self._explained(reason))
        self.errors.append(words)
        self._show(words, routine=False)

    def _line(self, document: Document, words: str, *, routine: bool = False) -> None:
        self._show(self._words(document.id, document.original_name, words), routine=routine)

    def _words(self, document_id: str, name: str | None, words: str) -> str:
        key = "document.line_named" if name else "document.line"
        return self._call.text(key, id=document_id, name=name, text=words)

    def _show(self, words: str, *, routine: bool) -> None:
        """Write a line; routine ones of many documents would drown the rest on a terminal."""
        if self._call.as_json:
            return
        if self._bar is None:
            self._call.say(words)
        elif not routine or self._expected <= FEW:
            self._bar.console.print(self._call.redacted(words), markup=False, highlight=False)

    def _explained(self, reason: Reason | None) -> str:
        return explain(reason, self._call.language) if reason else "?"

    def _where(self, fate: Fate) -> str:
        if fate.receipt is not None:
            return self._call.text("sync.done", path=self._full(fate.receipt.destination))
        return self._call.text("sync.already", text=self._explained(fate.reason))

    def _full(self, destination: str) -> str:
        return f"{self._site.plan.nas_path.rstrip('/')}/{destination}"

    def _big_files(self) -> str:
        """Return how far the big files are, all of them together."""
        big = [
            progress
            for _, op, progress in self._site.agent.progress()
            if op == "copy" and progress.total_bytes >= 2 * screen.BIG_BYTES
        ]
        if not big:
            return ""
        done = sum(progress.done_bytes for progress in big) / 2
        total = sum(progress.total_bytes for progress in big) / 2
        language = self._call.language
        return f"{bytes_text(done, language)} / {bytes_text(total, language)}"
