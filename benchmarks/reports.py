"""What a measurement has to tell, and how it is shown: a table, Markdown, JSON, a plot."""

from __future__ import annotations

import dataclasses
import json
import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Spread, short

COMPARED = {"at least": operator.ge, "at most": operator.le, "under": operator.lt}
PLOT_REMEDY = "No plot: matplotlib is not installed. Remedy: .venv/bin/pip install '.[bench]'"


@dataclass(frozen=True)
class Goal:
    """What was aimed at, and what was seen."""

    what: str
    how: str
    """One of :data:`COMPARED`."""
    wanted: float
    seen: float

    @property
    def reached(self) -> bool:
        return bool(COMPARED[self.how](self.seen, self.wanted))

    def __str__(self) -> str:
        verdict = "reached" if self.reached else "NOT reached"
        return f"{verdict}: {self.what} {self.how} {self.wanted:g}, seen {short(self.seen)}"


@dataclass
class Report:
    """One table with what belongs to it. Survives a way through JSON."""

    name: str
    """Also the files' name."""
    title: str
    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    bars: dict[str, Spread] = field(default_factory=dict)
    """What the plot shows."""
    unit: str = ""
    """Of the bars."""
    left: int = 1
    """So many columns are text; the others are figures."""
    values: dict[str, Any] = field(default_factory=dict)
    """Whatever was measured, unrounded."""


def as_json(reports: list[Report]) -> str:
    return json.dumps([dataclasses.asdict(report) for report in reports], indent=1)


def from_json(text: str) -> list[Report]:
    reports = []
    for told in json.loads(text):
        told["goals"] = [Goal(**goal) for goal in told["goals"]]
        told["bars"] = {name: Spread(**bar) for name, bar in told["bars"].items()}
        reports.append(Report(**told))
    return reports


def show(report: Report, console: Console) -> None:
    table = Table(title=report.title, title_justify="left")
    for number, heading in enumerate(report.headings):
        table.add_column(heading, justify="right" if number >= report.left else "left")
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    for line in report.notes:
        console.print(line, markup=False, highlight=False)
    for goal in report.goals:
        console.print(str(goal), style="green" if goal.reached else "red", markup=False)


def keep(report: Report, folder: Path) -> str | None:
    """Write Markdown, JSON and the plot into *folder*; return why there is no plot, if so."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{report.name}.md").write_text(markdown(report))
    (folder / f"{report.name}.json").write_text(as_json([report]))
    return plot(report, folder / f"{report.name}.png") if report.bars else None


def markdown(report: Report) -> str:
    lines = [f"## {report.title}", ""]
    figures = len(report.headings) - report.left
    lines += [_line(report.headings), _line(["---"] * report.left + ["--:"] * figures)]
    lines += [_line(row) for row in report.rows]
    lines += ["", *(f"- {line}" for line in [*report.notes, *map(str, report.goals)])]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def plot(report: Report, file: Path) -> str | None:
    """Draw the bars, each with its spread; return why it cannot be done, None when it was."""
    try:
        import matplotlib
    except ImportError:
        return PLOT_REMEDY
    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(report.bars)
    bars = list(report.bars.values())
    low = [bar.median - bar.lowest for bar in bars]
    high = [bar.highest - bar.median for bar in bars]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.45 * len(names)))
    colours = ["#1b7f4d" if name.startswith("ours") else "#8a94a0" for name in names]
    axes.barh(names, [bar.median for bar in bars], xerr=[low, high], color=colours, capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel(report.unit)
    axes.set_title(report.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    return None
