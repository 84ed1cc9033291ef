"""Does asking delay the copying, and does copying delay the answers?

The same daemon copies the same number of documents without and with clients, in turn, several
rounds; then it is asked while the NAS hangs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import in_turn, percentile, spread
from benchmarks.reports import Report
from tests.http_client import Client, free_port
from tests.lab.mounts import FaultFS
from tests.stage import RunningDaemon, Stage

HUNG_SECONDS = 20.0
ASKED = ("nobody", "another", "it")


@dataclass
class Round:
    """One filling of the NAS."""

    documents: int
    seconds: float
    latencies: dict[str, list[float]] = field(default_factory=dict)
    errors: int = 0

    @property
    def per_second(self) -> float:
        return self.documents / self.seconds


def api(documents: int, rounds: int, say: Callable[[str], None]) -> Report:
    """Compare a daemon that is asked with one that is not; then one whose NAS hangs."""
    seen: dict[str, list[Round]] = {asked: [] for asked in ASKED}
    for number in range(rounds):
        for asked in in_turn(ASKED, number):
            say(f"API, round {number + 1} of {rounds}: {asked} is asked")
            seen[asked].append(fill(documents, asked=asked))
    say("API: the NAS hangs")
    with fault_fs() as nas:
        away = hung(nas.path, nas.hang)
        nas.clear()
    return _report(documents, seen, away)


def _report(documents: int, seen: dict[str, list[Round]], away: Round) -> Report:
    report = Report(
        "api",
        f"{documents} documents of 20 kB; 8 clients ask, each path 5 times a second",
        ["", "nobody asks", "asking another", "asking it", "asking it, NAS hung"],
        unit="documents a second",
    )
    speeds = {asked: [one.per_second for one in seen[asked]] for asked in ASKED}
    report.rows.append(["documents a second", *(str(spread(speeds[a])) for a in ASKED), ""])
    ratios = {a: [s / n for s, n in zip(speeds[a], speeds["nobody"], strict=True)] for a in ASKED}
    report.rows.append(["ratio to nobody", *(str(spread(ratios[a])) for a in ASKED), ""])
    for path in away.latencies:
        busy = [s for one in seen["it"] for s in one.latencies[path]]
        for share, name in ((0.5, "median"), (0.99, "p99")):
            shown = (percentile(values, share) for values in (busy, away.latencies[path]))
            cells = (f"{1000 * one:.1f} ms" for one in shown)
            report.rows.append([f"{path}, {name}", "", "", *cells])
    errors = sum(one.errors for one in seen["it"])
    report.rows.append(["no proper answer", "", "", str(errors), str(away.errors)])
    report.bars = {f"{asked} is asked": spread(speeds[asked]) for asked in ASKED}
    report.values = {"per_second": speeds, "errors": errors, "errors_hung": away.errors}
    return report


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


@contextmanager
def askers(port: int) -> Iterator[dict[str, Any]]:
    """Let the clients ask as long as the context lasts; what they saw is in the dict then."""
    told: dict[str, Any] = {}
    command = [sys.executable, "-m", "benchmarks.askers", str(port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield told
        finally:
            out, _ = process.communicate("")
    told.update(json.loads(out))


def fill(documents: int, *, asked: str) -> Round:
    """Let a fresh daemon copy *documents* files of 20 kB.

    Args:
        asked: Whom the clients ask meanwhile: ``nobody``, ``it``, or ``another`` daemon that does
            nothing else: that shows what the clients themselves cost a machine of few cores.
    """
    with world() as (stage, port), world() as (_, another):
        if asked == "nobody":
            return Round(documents, _copy(stage, documents))
        with askers(port if asked == "it" else another) as told:
            seconds = _copy(stage, documents)
        return Round(documents, seconds, told["seconds"], told["errors"])


@contextmanager
def world(**settings: Any) -> Iterator[tuple[Stage, int]]:
    """Give a stage with a daemon that answers at the port."""
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-") as folder:
        port = free_port()
        stage = Stage(Path(folder), NAS_SYNCD_API_PORT=port, **settings).pair()
        with RunningDaemon(stage):
            Client(port).wait()
            yield stage, port


def _copy(stage: Stage, documents: int) -> float:
    stage.add_many(documents, size=20_000, folders=20)
    began = time.monotonic()
    while stage.marked() < documents:
        time.sleep(0.05)  # a database tells nobody
        if time.monotonic() - began > 600:
            raise SystemExit("the daemon does not get on: nothing can be said")
    return time.monotonic() - began


def hung(nas: Path, hang: Callable[[], None]) -> Round:
    """Ask while the NAS hangs. *hang* makes it so."""
    with world(nas=nas, NAS_SYNCD_NAS_TIMEOUT_SECONDS=3) as (stage, port):
        stage.add_many(20)
        stage.wait_marked(20)
        hang()
        stage.add("late.pdf", b"late")
        with askers(port) as told:
            time.sleep(HUNG_SECONDS)  # they ask meanwhile
        return Round(0, HUNG_SECONDS, told["seconds"], told["errors"])
