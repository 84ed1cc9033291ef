"""``python -m tests.faults``: try the cases, in parallel, and print what came of them."""

from __future__ import annotations

import argparse
import concurrent.futures as cf
import contextlib
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.faults.groups import FOUND, GROUPS
from tests.faults.lab import Group, Result
from tests.faults.trying import try_case

COLUMNS = (
    "group",
    "tries",
    "survived",
    "broken",
    "what became of them",
    "found before, and mended",
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    groups = [GROUPS[name] for name in options.group or GROUPS]
    if options.list:
        for group in groups:
            for case in group.cases():
                print(f"{group.name}: {case}")
        return 0
    began = time.monotonic()
    results: list[Result] = []
    for group in groups:
        results += _all_of(group, options)
    _print(groups, results, time.monotonic() - began)
    return int(any(result.broken for result in results) or not results)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        epilog="Example: python -m tests.faults --group calls --case 'fsync' --jobs 2",
    )
    parser.add_argument("--group", action="append", choices=list(GROUPS), help="only this one")
    parser.add_argument("--case", default="", help="only cases with this in their name")
    parser.add_argument("--short", action="store_true", help="what `make test` tries")
    parser.add_argument("--list", action="store_true", help="print the cases, try none")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1)
    return parser.parse_args(arguments)


def _all_of(group: Group, options: argparse.Namespace) -> list[Result]:
    why = group.missing()
    if why is not None:
        print(f"{group.name}: left out: {why}", file=sys.stderr)
        return []
    cases = [c for c in (group.short() if options.short else group.cases()) if options.case in c]
    columns = (TextColumn(group.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    results = []
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        cf.ProcessPoolExecutor(max_workers=max(1, options.jobs), mp_context=context) as pool,
    ):
        task = progress.add_task(group.name, total=len(cases))
        for done in cf.as_completed([pool.submit(try_case, group.name, case) for case in cases]):
            result = done.result()
            results.append(result)
            if result.broken:
                progress.print(f"[red]{result.broken}[/] {group.name}: {result.case}")
                progress.print(result.detail, markup=False)
            progress.advance(task)
    return results


def _print(groups: Sequence[Group], results: Sequence[Result], seconds: float) -> None:
    table = Table(title="Fault lab", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("tries", "survived") else "left")
    for group in groups:
        mine = [result for result in results if result.group == group.name]
        if not mine:
            continue
        broken = Counter(result.broken for result in mine if result.broken)
        outcomes = Counter(result.outcome for result in mine).most_common(4)
        table.add_row(
            f"{group.name}\n{group.about}",
            str(len(mine)),
            str(len(mine) - broken.total()),
            ", ".join(f"{count} {kind}" for kind, count in broken.items()) or "none",
            "\n".join(f"{count} {outcome}" for outcome, count in outcomes),
            "\n".join(FOUND.get(group.name, ("nothing",))),
        )
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(table)
    broken_in_all = sum(result.broken is not None for result in results)
    distinct = len({(result.group, result.case) for result in results})
    print(f"{distinct} distinct cases, {broken_in_all} broken, {seconds:.0f} s")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
