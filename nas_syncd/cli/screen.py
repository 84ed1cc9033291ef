"""Tables and bars on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nas_syncd.cli.call import Call

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

BIG_BYTES = 8 * 2**20
"""From this size on a file's own bytes are shown beside the number of documents."""


def on_terminal() -> bool:
    """Whether a person looks at standard output directly."""
    return sys.stdout.isatty()


def console() -> Console:
    """Return rich's console for standard output, with colours where they are wanted."""
    from rich.console import Console

    from nas_syncd.settings import wants_colour

    return Console(no_color=not wants_colour(), highlight=False, markup=False, emoji=False)


def facts(call: Call, rows: Sequence[tuple[str, str]]) -> None:
    """Show (label, value) pairs below one another."""
    if not on_terminal():
        for label, value in rows:
            call.say(call.text("cli.pair", label=label, value=value))
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label, style="bold"), Text(call.redacted(value)))
    console().print(grid)


def table(call: Call, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows with columns; elsewhere than on a terminal one line each, tabs between."""
    if not on_terminal():
        for row in rows:
            call.say("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        shown.add_column(header, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(call.redacted(cell)) for cell in row))
    console().print(shown)


def headline(call: Call, words: str, *, good: bool) -> None:
    """Show the one sentence that comes first."""
    if not on_terminal():
        call.say(words)
        return
    from rich.text import Text

    console().print(Text(call.redacted(words), style="bold green" if good else "bold yellow"))


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """Give a bar that follows along, None elsewhere than on a terminal."""
    if not on_terminal():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=console(), transient=True, refresh_per_second=5) as bar:
        yield bar
