"""`make bench`: runs the measurements and prints what they showed."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.api import Round, fill, hung, percentile, spread
from tests.lab.mounts import FaultFS


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    console = Console()
    quiet: list[Round] = []
    asked: list[Round] = []
    for number in range(given.rounds):
        with console.status(f"round {number + 1} of {given.rounds}"):
            first, second = (False, True) if number % 2 == 0 else (True, False)
            for with_clients in (first, second):
                one = fill(given.documents, asked=with_clients)
                (asked if with_clients else quiet).append(one)
    with console.status("the NAS hangs"), fault_fs() as nas:
        away = hung(nas.path, lambda: nas.rules([{"op": "*", "path": "*", "do": "hang"}]))
        nas.clear()
    _show(console, given.documents, quiet, asked, away)


@contextmanager
def fault_fs() -> Iterator[FaultFS]:
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-") as folder:
        path, source = Path(folder, "nas"), Path(folder, "disk")
        path.mkdir()
        source.mkdir()
        nas = FaultFS(path, source, ("--noreplace", "honour", "--subtype", "faultfs"))
        nas.mount()
        try:
            yield nas
        finally:
            nas.tear_down()


def _show(
    console: Console, documents: int, quiet: list[Round], asked: list[Round], away: Round
) -> None:
    ratios = [a.per_second / q.per_second for q, a in zip(quiet, asked, strict=True)]
    table = Table(title=f"{documents} documents of 20 kB; 8 clients, each path 5 times a second")
    for heading in ("", "without clients", "with clients", "NAS hung"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row(
        "documents a second",
        spread([one.per_second for one in quiet]),
        spread([one.per_second for one in asked]),
        "",
    )
    table.add_row("ratio", "1", spread(ratios), "")
    for path in asked[0].latencies:
        busy = sorted(s for one in asked for s in one.latencies[path])
        hung_ = away.latencies[path]
        for share, name in ((0.5, "median"), (0.99, "p99")):
            table.add_row(
                f"{path}, {name}",
                "",
                f"{1000 * percentile(busy, share):.1f} ms",
                f"{1000 * percentile(hung_, share):.1f} ms",
            )
    errors = sum(one.errors for one in asked)
    table.add_row("answers that were no answer", "", str(errors), str(away.errors))
    console.print(table)


if __name__ == "__main__":
    main()
