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

ASKED = ("nobody", "another", "it")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    console = Console()
    rounds: dict[str, list[Round]] = {asked: [] for asked in ASKED}
    for number in range(given.rounds):
        with console.status(f"round {number + 1} of {given.rounds}"):
            for asked in ASKED if number % 2 == 0 else reversed(ASKED):
                rounds[asked].append(fill(given.documents, asked=asked))
    with console.status("the NAS hangs"), fault_fs() as nas:
        away = hung(nas.path, lambda: nas.rules([{"op": "*", "path": "*", "do": "hang"}]))
        nas.clear()
    _show(console, given.documents, rounds, away)


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


def _show(console: Console, documents: int, rounds: dict[str, list[Round]], away: Round) -> None:
    table = Table(
        title=f"{documents} documents of 20 kB; 8 clients ask, each path 5 times a second"
    )
    for heading in ("", "nobody asks", "asking another", "asking it", "asking it, NAS hung"):
        table.add_column(heading, justify="right" if heading else "left")
    speeds = {asked: [one.per_second for one in rounds[asked]] for asked in ASKED}
    table.add_row("documents a second", *(spread(speeds[asked]) for asked in ASKED), "")
    alone = speeds["nobody"]
    ratios = {a: [s / n for s, n in zip(speeds[a], alone, strict=True)] for a in ASKED}
    table.add_row("ratio to nobody", *(spread(ratios[asked]) for asked in ASKED), "")
    for path in away.latencies:
        busy = sorted(s for one in rounds["it"] for s in one.latencies[path])
        for share, name in ((0.5, "median"), (0.99, "p99")):
            shown = (percentile(values, share) for values in (busy, away.latencies[path]))
            table.add_row(f"{path}, {name}", "", "", *(f"{1000 * one:.1f} ms" for one in shown))
    errors = sum(one.errors for one in rounds["it"])
    table.add_row("no proper answer", "", "", str(errors), str(away.errors))
    console.print(table)


if __name__ == "__main__":
    main()
