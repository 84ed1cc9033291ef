"""``python -m tests.soak``: an hour in a daemon's life, and a table of what it was like."""

# ruff: noqa: T201 - it prints: that is what it is for

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.lab import BrokenError
from tests.soak.growth import BOUNDS, compared
from tests.soak.life import Soak


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    print(f"Seed {options.seed}, {options.minutes:g} minutes, {options.database}.", flush=True)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(folder, options.database, options.seed)
    try:
        soak.live(options.minutes * 60, options.quiet, lambda line: print(line, flush=True))
    except BrokenError as broken:
        print(f"{broken.kind} (seed {options.seed}): {broken}\nKept: {folder}", file=sys.stderr)
        return 1
    finally:
        _print(soak, time.monotonic() - began)
        soak.close()
    shutil.rmtree(folder)
    return int(bool(soak.account.broken))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog="Example: python -m tests.soak --minutes 10 --database postgresql --seed 7",
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="default: 60")
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds between quiet points")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    return parser.parse_args(arguments)


def _print(soak: Soak, seconds: float) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    account = soak.account
    console.print(_counts("What people did", soak.people.done))
    console.print(_counts("What went wrong around it", soak.troubles.done))
    if account.samples:
        console.print(_growth(soak))
    print(
        f"{soak.people.ever} documents in {seconds:.0f} s; the oracle asked {account.oracle} times,"
        f" all safe; at most {account.longest_quiet:.0f} s after the last trouble's end."
    )
    for line in account.broken:
        print(f"Grown beyond its bound: {line}")


def _counts(title: str, counts: Counter[str]) -> Table:
    table = Table("event", "times", title=title, title_justify="left")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count))
    return table


def _growth(soak: Soak) -> Table:
    table = Table("figure", "first third", "last third", "bound", title="One daemon's long life")
    for name, (before, after) in compared(soak.account.samples).items():
        factor, allowance = BOUNDS.get(name, (0.0, 0.0))
        bound = f"{before * factor + allowance:,.0f}" if name in BOUNDS else ""
        table.add_row(name.replace("_", " "), f"{before:,.0f}", f"{after:,.0f}", bound)
    return table


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
