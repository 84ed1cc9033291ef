"""The measurements by name, each with its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import api, calls, cifs, gvfs, idle, latency, requests, rows, targets
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
    _target_options(parser)
    parser.add_argument("--workload", default="small,quick", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the documents")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="all by default")


def _target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", choices=("local", "gvfs", "cifs"), default="local")
    parser.add_argument("--round-trip", type=float, default=0.0, help="ms on the way to the NAS")


def _throughput(options: Options, say: Say) -> list[Report]:
    if options.target == "cifs" and not options.inside:
        return _booted(options, say)
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
    away = f" {options.round_trip:g} ms" if options.round_trip else ""
    if options.target == "gvfs":
        return gvfs.gvfs(f"gvfs{away}", options.round_trip)
    if options.target == "cifs":
        return cifs.cifs(f"cifs{away}", options.round_trip)
    return targets.local(options.where)


def _booted(options: Options, say: Say) -> list[Report]:
    say("This one runs in a second kernel, which says nothing until it is done.")
    return cifs.boot(options.given, options.patience)


# -- requests ---------------------------------------------------------------------------------


def _requests_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", default="few", help=f"one of {', '.join(WORKLOADS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the documents")
    everybody = [name for name in CONTENDERS if name != "ours from start"]
    parser.add_argument("--contenders", default=",".join(everybody), help="all by default")


def _requests(options: Options, say: Say) -> list[Report]:
    if not options.inside:
        return _booted(options, say)
    racing = names(options.contenders, CONTENDERS)
    chosen = [WORKLOADS[name] for name in names(options.workload, WORKLOADS)]
    return [
        requests.requests(one.scaled(options.scale), racing, options.where, say) for one in chosen
    ]


# -- calls ------------------------------------------------------------------------------------


def _calls(options: Options, say: Say) -> list[Report]:
    with _target(options) as target:
        return [calls.calls(target, options.where, say)]


# -- latency ----------------------------------------------------------------------------------


def _latency_options(parser: argparse.ArgumentParser) -> None:
    _target_options(parser)
    parser.add_argument("--documents", type=int, default=100, help="that come one by one")
    parser.add_argument("--rate", type=int, default=1000, help="of the burst, a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the burst")
    parser.add_argument("--only", choices=("singles", "burst"), help="both by default")


def _latency(options: Options, say: Say) -> list[Report]:
    if options.target == "cifs" and not options.inside:
        return _booted(options, say)
    reports = []
    with _target(options) as target:
        if options.only != "burst":
            reports.append(latency.latency(target, options.documents, options.where, say))
        if options.only != "singles":
            reports.append(
                latency.burst(
                    target, options.rate, options.seconds, options.rounds, options.where, say
                )
            )
    return reports


# -- rows -------------------------------------------------------------------------------------


def _rows_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--counts", default="1000,10000,100000,1000000", help="of rows, ascending")


def _rows(options: Options, say: Say) -> list[Report]:
    counts = [int(count) for count in options.counts.split(",")]
    with targets.local(options.where) as target:
        return [rows.rows(target, counts, options.where, say)]


# -- idle -------------------------------------------------------------------------------------


def _idle_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=1000, help="that are safe already")
    parser.add_argument("--minutes", type=float, default=5.0)


def _idle(options: Options, say: Say) -> list[Report]:
    return [idle.idle(options.documents, options.minutes, options.where, say)]


# -- api --------------------------------------------------------------------------------------


def _api_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=5000)


def _api(options: Options, say: Say) -> list[Report]:
    return [api.api(options.documents, options.rounds, say)]


COMMANDS = {
    "throughput": Command(
        "how long it takes until everything is copied", _throughput, _throughput_options
    ),
    "requests": Command(
        "how many SMB requests a document costs, and how many wait for one another",
        _requests,
        _requests_options,
        rounds=1,
    ),
    "calls": Command(
        "every system call on the NAS that one document costs", _calls, _target_options, rounds=1
    ),
    "latency": Command(
        "how soon a document is safe, alone and in a burst", _latency, _latency_options
    ),
    "rows": Command("what many rows cost, all safe or all pending", _rows, _rows_options, rounds=1),
    "idle": Command("what it costs while there is nothing to do", _idle, _idle_options, rounds=1),
    "api": Command(
        "whether asking delays the copying, and the other way round", _api, _api_options
    ),
}
