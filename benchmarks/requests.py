"""What copying one document costs the NAS: SMB requests, and how many wait for one another.

*Requests*: every SMB2 command that the kernel's cifs has sent (its own counter, ``SMBs`` in
``/proc/fs/cifs/Stats``), from before the first document until nothing more comes, divided by the
number of documents. For ours that includes opening the root, the marker before and after, the
claims, temp folders, and the second look a minute later.

*Chain*: the greatest number of exchanges of which each was sent only after the answer to the one
before it had arrived, seen by a proxy on the way to the server that makes a round trip 10 ms long.
Commands that travel in one frame are one exchange. For all documents at once it is divided by
their number; that is how many round trips a document costs when the work is spread as far as the
contender spreads it. Echoes are left out.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cifs
from benchmarks.contenders import CONTENDERS, Case
from benchmarks.daemon import Daemon, stage_for
from benchmarks.figures import short
from benchmarks.proxy import Exchange, Proxy, longest_chain
from benchmarks.reports import Goal, Report
from benchmarks.targets import Target
from benchmarks.throughput import check
from benchmarks.workloads import WORKLOADS, Paper, Workload, commit_rows, make
from tests.lab.parts import wait_until
from tests.stage import Stage

Say = Callable[[str], None]
DEFERRED_SECONDS = 2.5
"""The kernel closes files up to a second later than it was told to."""
SECOND_LOOK_SECONDS = 180.0
MOST_REQUESTS = 12.0
ROUND_TRIP_MS = 10.0
OURS = "ours"
KINDS = {
    "Creates": "create",
    "Closes": "close",
    "Flushes": "flush",
    "Reads": "read",
    "Writes": "write",
    "QueryInfos": "query",
    "SetInfos": "set",
    "QueryDirectories": "list",
    "IOCTLs": "ioctl",
    "Locks": "lock",
    "OplockBreaks": "break",
}
"""The kernel's names of its counters, and ours."""


@dataclass
class Counted:
    """One contender's."""

    requests: float = 0.0
    """For each document."""
    kinds: dict[str, float] = field(default_factory=dict)
    chain: float = 0.0
    alone: int = 0
    """The chain of one document that comes alone."""
    one_by_one: list[str] = field(default_factory=list)
    """Its exchanges, in the order in which they were sent."""
    notes: list[str] = field(default_factory=list)


def requests(workload: Workload, names: Sequence[str], work: Path, say: Say) -> Report:
    """Count for each contender. Runs inside the second kernel."""
    seen: dict[str, Counted] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
        data = make(workload, Path(folder, "uploads"))
        one = make(workload.scaled(1 / workload.count), Path(folder, "one"))
        two = make(workload.scaled(2 / workload.count), Path(folder, "two"))
        for name in names:
            reason = CONTENDERS[name].missing()
            if reason:
                left_out[name] = reason
            else:
                seen[name] = Counted()
        with cifs.cifs("cifs") as target:
            for name, counted in seen.items():
                say(f"requests: {name}")
                with _workplace(folder) as place:
                    _count(name, Case(data, target.fresh(), place), target, counted)
        with cifs.watched("cifs", ROUND_TRIP_MS) as (target, proxy):
            for name, counted in seen.items():
                say(f"chain: {name}")
                with _workplace(folder) as place:
                    _chains(name, Case(data, target.fresh(), place), target, proxy, counted)
                with _workplace(folder) as place:
                    lone = Case(two if name == OURS else one, target.fresh(), place)
                    _alone(name, lone, target, proxy, counted)
    return _report(workload, seen, left_out)


@contextmanager
def _workplace(folder: str) -> Iterator[Path]:
    path = Path(folder, "work")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def _count(name: str, case: Case, target: Target, counted: Counted) -> None:
    if name == OURS:
        _count_ours(case, counted)
    else:
        before = _settled()
        CONTENDERS[name].run(case)
        _note(counted, before, _settled(), len(case.data.papers))
    check(CONTENDERS[name], target, case.nas, case.data)
    target.clear(case.nas)


def _count_ours(case: Case, counted: Counted) -> None:
    stage = stage_for(case.data, case.work / "stage", case.nas)
    before = _settled()
    with Daemon(stage) as daemon:
        daemon.wait_ready()
        ready = _settled()
        commit_rows(stage.database, case.data.papers)
        daemon.wait_all_marked()
        marked = _settled()
        _wait_for_second_look(stage)
        looked = _settled()
    after = _settled()
    count = len(case.data.papers)
    _note(counted, ready, looked, count)
    start, copying, second, end = (
        later["SMBs"] - earlier["SMBs"]
        for earlier, later in itertools.pairwise((before, ready, marked, looked, after))
    )
    counted.notes.append(
        f"ours: {copying / count:.2f} until all were marked, {second / count:.2f} for the second"
        f" look; beside that, once: {start} at its start, {end} at its end"
    )


def _wait_for_second_look(stage: Stage) -> None:
    def none_young() -> bool:
        with closing(sqlite3.connect(stage.state / "journal.sqlite3", timeout=30)) as db:
            return db.execute("SELECT 1 FROM document WHERE young LIMIT 1").fetchone() is None

    wait_until(none_young, "every document was looked at again", SECOND_LOOK_SECONDS)


def _settled() -> dict[str, int]:
    """Return the counters once what the kernel has put off is done."""
    time.sleep(DEFERRED_SECONDS)
    return cifs.counted()


def _note(counted: Counted, before: dict[str, int], after: dict[str, int], count: int) -> None:
    each = {kind: (after[kind] - before.get(kind, 0)) / count for kind in after}
    counted.requests = each.pop("SMBs")
    counted.kinds = {kind: value for kind, value in each.items() if value}


def _chains(name: str, case: Case, target: Target, proxy: Proxy, counted: Counted) -> None:
    if name == OURS:
        with _idle_daemon(case) as (stage, daemon):
            seen = _exchanges(proxy, functools.partial(_copy, stage, daemon, case.data.papers))
    else:
        seen = _exchanges(proxy, lambda: CONTENDERS[name].run(case))
    counted.chain = longest_chain(seen) / len(case.data.papers)
    target.clear(case.nas)


def _alone(name: str, case: Case, target: Target, proxy: Proxy, counted: Counted) -> None:
    """One document into a folder that is there already; ours is its second one."""
    if name == OURS:
        with _idle_daemon(case) as (stage, daemon):
            for paper in case.data.papers:
                seen = _exchanges(proxy, functools.partial(_copy, stage, daemon, (paper,)))
    else:
        (target.behind / case.nas.name / case.data.papers[0].place).parent.mkdir(parents=True)
        seen = _exchanges(proxy, lambda: CONTENDERS[name].run(case))
    counted.alone = longest_chain(seen)
    counted.one_by_one = ["+".join(one.commands) for one in seen]
    target.clear(case.nas)


def _copy(stage: Stage, daemon: Daemon, papers: tuple[Paper, ...]) -> None:
    commit_rows(stage.database, papers)
    daemon.wait_all_marked()


@contextmanager
def _idle_daemon(case: Case) -> Iterator[tuple[Stage, Daemon]]:
    stage = stage_for(case.data, case.work / "stage", case.nas)
    with Daemon(stage) as daemon:
        daemon.wait_ready()
        yield stage, daemon


def _exchanges(proxy: Proxy, work: Callable[[], object]) -> list[Exchange]:
    """Return what passed from the beginning of *work* until nothing more came."""
    time.sleep(DEFERRED_SECONDS)
    proxy.exchanges.clear()
    work()
    time.sleep(DEFERRED_SECONDS)
    return sorted(filter(_is_work, list(proxy.exchanges)), key=lambda one: one.sent)


def _is_work(exchange: Exchange) -> bool:
    return exchange.commands != ("echo",)


def _report(workload: Workload, seen: dict[str, Counted], left_out: dict[str, str]) -> Report:
    kinds = [kind for kind in KINDS if any(kind in one.kinds for one in seen.values())]
    report = Report(
        "requests",
        f"SMB requests for each document on the kernel's cifs, {workload.title} in one folder",
        ["", "requests", "chain for each", "chain of one", *(KINDS[kind] for kind in kinds)],
    )
    for name, one in seen.items():
        cells = [short(one.requests), short(one.chain), str(one.alone)]
        report.rows.append([name, *cells, *(short(one.kinds.get(kind, 0.0)) for kind in kinds)])
        report.notes += one.notes
        report.values[name] = vars(one)
    report.notes.append(
        "Chain: the most exchanges of which each was sent only after the answer to the one before"
        f" had come, on a way of {ROUND_TRIP_MS:g} ms; commands in one frame are one exchange."
    )
    if OURS in seen:
        told = ", ".join(seen[OURS].one_by_one)
        report.notes.append(f"ours, one document alone into a folder that is there: {told}.")
    report.notes += [f"Left out: {name}: {why}" for name, why in left_out.items()]
    if OURS in seen and workload == WORKLOADS.get(workload.name):
        what = "ours, SMB requests for each document"
        report.goals = [Goal(what, "at most", MOST_REQUESTS, seen[OURS].requests)]
    return report
