"""`make bench`: measures side by side, on this machine at this moment, and prints ratios."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import commands
from benchmarks.daemon import BenchmarkError
from benchmarks.reports import as_json, keep, show


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    options.given = given
    console = Console(width=None if sys.stdout.isatty() else 140)
    say = Console(stderr=True, width=130)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all it started ends with it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        reports = options.measure(options, lambda line: say.print(line, style="dim", markup=False))
    except BenchmarkError as error:
        console.print(f"Nothing can be said: {error}", style="red", markup=False)
        return 1
    if options.json:
        options.json.write_text(as_json(reports))
    missed = set()
    for report in reports:
        show(report, console)
        missed.add(keep(report, options.out))
    for remedy in filter(None, missed):
        console.print(remedy, markup=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog='Example: make bench BENCH_ARGS="throughput --workload small --rounds 5"',
    )
    subs = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    for name, command in commands.COMMANDS.items():
        sub = subs.add_parser(name, help=command.help, description=command.help)
        sub.add_argument("--rounds", type=int, default=command.rounds)
        sub.add_argument("--out", type=Path, default=Path("build/bench"), help="for the files")
        sub.add_argument("--json", type=Path, help="everything measured, into this file as well")
        sub.add_argument(
            "--where", type=Path, default=Path(tempfile.gettempdir()), help="the disk to work on"
        )
        sub.add_argument("--patience", type=float, default=3000.0, help="s, for a second kernel")
        sub.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
        command.add_options(sub)
        sub.set_defaults(measure=command.measure)
    return parser


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
