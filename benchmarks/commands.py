"""The measurements by name, each with its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import api, targets
from benchmarks.contenders import CONTENDERS
from benchmarks.daemon import BenchmarkError
from benchmarks.reports import Report
from benchmarks.throughput import Say, throughput
from benchmarks.workloads import WORKLOADS

Options = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """One measurement."""

    help: str
    measure: Callable[[Options, Say], list[Report]]
    add_options: Callable[[argparse.ArgumentParser], None]
    rounds: int = 3


def names(text: str, known: Iterable[str]) -> list[str]:
    """Return comma-separated names, each checked.

    Raises:
        BenchmarkError: One is not known.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    known = list(known)
    for name in found:
        if name not in known:
            raise BenchmarkError(f"there is no {name}: {', '.join(known)}")
    return found


# -- throughput -------------------------------------------------------------------------------


def _throughput_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", choices=("local",), default="local")
    parser.add_argument("--workload", default="small,quick", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the documents")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="all by default")


def _throughput(options: Options, say: Say) -> list[Report]:
    racing = names(options.contenders, CONTENDERS)
    chosen = [WORKLOADS[name] for name in names(options.workload, WORKLOADS)]
    with _target(options) as target:
        return [
            throughput(
                target, one.scaled(options.scale), racing, options.rounds, options.where, say
            )
            for one in chosen
        ]


def _target(options: Options) -> AbstractContextManager[targets.Target]:
    return targets.local(options.where)


# -- api --------------------------------------------------------------------------------------


def _api_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=5000)


def _api(options: Options, say: Say) -> list[Report]:
    return [api.api(options.documents, options.rounds, say)]


COMMANDS = {
    "throughput": Command(
        "how long it takes until everything is copied", _throughput, _throughput_options
    ),
    "api": Command(
        "whether asking delays the copying, and the other way round", _api, _api_options
    ),
}
