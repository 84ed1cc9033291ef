"""The stage: a live panel on a terminal, plain lines otherwise, nothing but JSON when asked."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas_syncd.demo.check import Findings, Verdict
from nas_syncd.demo.scene import LINES, Line, Scene, Tone
from nas_syncd.messages import visible

BAR_WIDTH = 32
DIGEST_SHOWN = 12
_SIGNS = {Tone.STORY: "»", Tone.GOOD: "✓", Tone.WAITING: "…", Tone.BAD: "✗", Tone.PLAIN: " "}
_STYLES = {
    Tone.STORY: "bold cyan",
    Tone.GOOD: "green",
    Tone.WAITING: "yellow",
    Tone.BAD: "bold red",
    Tone.PLAIN: "",
}


class Show:
    """Shows a scene. With ``as_json`` the audience's lines go to standard error."""

    def __init__(self, scene: Scene, *, as_json: bool = False) -> None:
        self.scene = scene
        self.as_json = as_json
        self.console = Console(
            file=sys.stderr if as_json else sys.stdout, highlight=False, markup=False, emoji=False
        )
        self._live: Live | None = None
        """The panel; None before and after the play, and where it cannot be."""

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(_panel(self.scene), console=self.console, auto_refresh=False)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self.refresh()
            self._live.stop()
            self._live = None

    def refresh(self) -> None:
        """Bring what has changed before the audience."""
        fresh, self.scene.fresh = self.scene.fresh, []
        if self._live:
            self._live.update(_panel(self.scene), refresh=True)
            return
        for line in fresh:
            self._print(line)

    def say(self, words: str, tone: Tone = Tone.PLAIN) -> None:
        """Print one line; above the panel where there is one."""
        self._print(Line(tone, words))

    def complain(self, words: str) -> None:
        """Write the one line that says why there is no demo."""
        sys.stdout.flush()
        sys.stderr.write(f"{visible(words)}\n")

    def findings(self, findings: Findings) -> None:
        """Print the table of the final check."""
        if self.console.is_terminal:
            self.console.print(_table(findings, self.scene))
        else:
            for verdict in findings.verdicts:
                self._print(Line(_tone(verdict), _row(verdict, self.scene)))
        for path in findings.strangers:
            self.say(self.scene.text("demo.stranger", path=path), Tone.BAD)

    def answer(self, result: dict[str, object]) -> None:
        """Print the result for programs."""
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
        sys.stdout.flush()

    def _print(self, line: Line) -> None:
        words = Text(f"{_SIGNS[line.tone]} {visible(line.words)}", style=_STYLES[line.tone])
        self.console.print(words, soft_wrap=True)


def _panel(scene: Scene) -> Panel:
    facts = Table.grid(padding=(0, 2))
    present = scene.nas == "ok"
    facts.add_row(
        scene.text("demo.label.nas"),
        Text(f"● {scene.nas_text()}", style=_STYLES[Tone.GOOD if present else Tone.BAD]),
    )
    bar = Table.grid(padding=(0, 2))
    count = scene.text("demo.count", safe=scene.safe, total=scene.total, begun=scene.begun)
    bar.add_row(ProgressBar(total=scene.total, completed=scene.safe, width=BAR_WIDTH), count)
    facts.add_row(scene.text("demo.label.documents"), bar)
    blank = [Text("")] * (LINES - len(scene.lines))
    story = Text(scene.story, style=_STYLES[Tone.STORY])
    body = Group(story, Text(""), facts, Text(""), *map(_short, scene.lines), *blank)
    return Panel(body, title=scene.text("demo.title"), border_style="blue")


def _short(line: Line) -> Text:
    words = f"{_SIGNS[line.tone]} {visible(line.words)}"
    return Text(words, style=_STYLES[line.tone], no_wrap=True, overflow="ellipsis")


def _table(findings: Findings, scene: Scene) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("", width=1)
    table.add_column(scene.text("demo.table.document"), max_width=34)
    table.add_column(scene.text("demo.table.place"), overflow="fold")
    table.add_column("SHA-256", no_wrap=True)
    table.add_column(scene.text("demo.table.verdict"))
    for verdict in findings.verdicts:
        tone = _tone(verdict)
        cells = (_SIGNS[tone], _label(verdict), verdict.place or "—", *_last_cells(verdict, scene))
        style = "" if tone is Tone.GOOD else _STYLES[tone]
        table.add_row(*(Text(visible(cell), style=style) for cell in cells))
    return table


def _row(verdict: Verdict, scene: Scene) -> str:
    digest, words = _last_cells(verdict, scene)
    return f"{digest}  {words:<8}  {verdict.place or '—'}  ({_label(verdict)})"


def _last_cells(verdict: Verdict, scene: Scene) -> tuple[str, str]:
    words = scene.text(f"demo.verdict.{verdict.fault or 'ok'}")
    return verdict.sha256[:DIGEST_SHOWN], words


def _label(verdict: Verdict) -> str:
    return f"{verdict.id} {verdict.name}"


def _tone(verdict: Verdict) -> Tone:
    if verdict.fault is None:
        return Tone.GOOD
    return Tone.WAITING if verdict.fault == "unmarked" else Tone.BAD
