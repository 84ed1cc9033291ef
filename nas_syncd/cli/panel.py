"""The picture that ``status --watch`` keeps up to date on a terminal of any size."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas_syncd.cli.call import Call
from nas_syncd.cli.picture import Data, Picture
from nas_syncd.cli.remote import why
from nas_syncd.cli.status import facts, no_row_lines, problem_lines, sentence
from nas_syncd.messages import bytes_text, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BAR_WIDTH = 40
MOST_FLYING = 8
_MARKS = {"synced": ("✓", "green"), "failed": ("✗", "red"), "refused": ("✗", "red")}
_PLAIN_MARKS = {"✓": "+", "✗": "x", "·": "-"}


def panel(call: Call, picture: Picture, console: Console) -> RenderableType:
    """Return it, no higher than the terminal: what matters most comes first."""
    parts: list[RenderableType] = [_headline(call, picture), _totals(call, picture), Text("")]
    parts.append(_facts(call, picture))
    rest = console.height - 1 - sum(_height(console, part) for part in parts)
    for title, lines in _sections(call, picture, console):
        rest -= 2
        shown = lines[: max(0, rest)]
        if not shown:
            break
        rest -= len(shown)
        parts += [Text(""), Text(call.text(title), style="bold"), *shown]
    return Group(*parts)


def _height(console: Console, part: RenderableType) -> int:
    return len(console.render_lines(part, pad=False))


def _headline(call: Call, picture: Picture) -> Text:
    words, good = sentence(call, picture)
    return Text(call.redacted(words), style="bold green" if good else "bold yellow")


def _totals(call: Call, picture: Picture) -> RenderableType:
    """The bar: what is marked, of all."""
    total, synced = picture.data["total_documents"], picture.data["synced"]
    if not total:
        return Text("")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(max_width=BAR_WIDTH)
    grid.add_column()
    share = call.text("status.percent", share=picture.data["sync_percentage"])
    bar = ProgressBar(total=total, completed=synced, width=BAR_WIDTH)
    grid.add_row(bar, Text(f"{synced} / {total} · {share}"))
    return Padding(grid, (1, 0, 0, 0))


def _facts(call: Call, picture: Picture) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    told_by_the_bar = 3 if picture.data["total_documents"] else 0
    for label, value in facts(call, picture)[told_by_the_bar:]:
        grid.add_row(Text(label, style="bold"), Text(call.redacted(value)))
    return grid


def _sections(
    call: Call, picture: Picture, console: Console
) -> list[tuple[str, list[RenderableType]]]:
    """Return titles with their lines, one line of the terminal each."""
    problems: list[RenderableType] = [_line(call, line) for line in problem_lines(call, picture)]
    no_row: list[RenderableType] = [_line(call, line) for line in no_row_lines(call, picture)]
    flying = [_flying(call, one) for one in picture.data["in_flight"][:MOST_FLYING]]
    fates: list[RenderableType] = [_fate(call, one, console) for one in picture.fates]
    sections = [
        ("watch.problems", problems),
        ("watch.in_flight", flying),
        ("watch.no_row", no_row),
        ("watch.fates", fates),
    ]
    return [(title, lines) for title, lines in sections if lines]


def _line(call: Call, words: str) -> Text:
    return Text(f"  {call.redacted(words)}", no_wrap=True, overflow="ellipsis")


def _flying(call: Call, flying: Data) -> RenderableType:
    done, total = flying.get("done") or 0, flying.get("total") or 0
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(width=BAR_WIDTH // 2)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    sizes = f"{bytes_text(done, call.language)} / {bytes_text(total, call.language)}"
    name = call.redacted(call.name(str(flying["id"]), flying.get("name")))
    bar = ProgressBar(total=total or 1, completed=done, width=BAR_WIDTH // 2)
    grid.add_row("", bar, Text(sizes), Text(name))
    return grid


def _fate(call: Call, fate: Data, console: Console) -> Text:
    mark, style = _MARKS.get(fate["kind"], ("·", ""))
    if console.encoding.lower() not in ("utf-8", "utf8"):
        mark = _PLAIN_MARKS[mark]
    at = dt.datetime.fromisoformat(fate["at"]).astimezone().strftime("%H:%M:%S")
    name = call.name(fate["id"], fate["name"])
    what: Any = fate["destination"] or why(fate["reason"]) or ""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"  {at} ", style="dim").append(f"{mark} ", style=style)
    return line.append(call.redacted(f"{name} – {visible(str(what))}"))
