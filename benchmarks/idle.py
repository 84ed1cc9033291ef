"""What the daemon costs while there is nothing to do."""

from __future__ import annotations

import dataclasses
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.api import fault_fs
from benchmarks.daemon import Daemon, stage_for
from benchmarks.figures import short
from benchmarks.processes import Used, family, used, used_by
from benchmarks.reports import Goal, Report
from benchmarks.workloads import KIB, MIB, Workload, commit_rows, make
from tests.http_client import free_port
from tests.lab.mounts import FaultFS
from tests.lab.parts import wait_until

Say = Callable[[str], None]
HOUR = 3600.0
AGED_SECONDS = 180.0
NAS_AGENT = b"from nas_syncd.agent import nas;"


def idle(documents: int, minutes: float, work: Path, say: Say) -> Report:
    """Let it see *documents* to safety and look at them again; then watch it do nothing.

    The NAS is a FUSE file system that notes every call that reaches it.
    """
    seconds = minutes * 60
    with (
        tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder,
        fault_fs() as nas,
    ):
        data = make(Workload("idle", documents, 10 * KIB), Path(folder, "uploads"))
        port = free_port()
        stage = stage_for(data, Path(folder, "stage"), nas.path, NAS_SYNCD_API_PORT=port)
        with Daemon(stage) as daemon:
            daemon.wait_ready()
            commit_rows(stage.database, data.papers)
            daemon.wait_all_marked()
            say("idle: waiting for the second look")
            wait_until(lambda: _none_young(stage.state), "looked at again", AGED_SECONDS)
            time.sleep(5)  # the root is closed within a second, the next round is quiet
            before, calls = _each(daemon.pid), _calls(nas)
            began = time.monotonic()
            say(f"idle: {minutes:g} minutes of nothing")
            time.sleep(seconds)
            took = time.monotonic() - began
            after, later = _each(daemon.pid), _calls(nas)
            together = used(daemon.pid)
    return _report(documents, took, before, after, later - calls, together)


def _none_young(state: Path) -> bool:
    with closing(sqlite3.connect(state / "journal.sqlite3", timeout=30)) as db:
        return db.execute("SELECT 1 FROM document WHERE young LIMIT 1").fetchone() is None


def _each(pid: int) -> dict[str, Used]:
    """Return what each of the processes has used, by what it is for."""
    found: dict[str, Used] = {}
    for one in family(pid):
        line = Path(f"/proc/{one}/cmdline").read_bytes()
        name = "the daemon itself"
        if one != pid:
            name = "its NAS agent" if NAS_AGENT in line else "its other children"
        found[name] = found.get(name, Used()) + used_by(one)
    return found


def _calls(nas: FaultFS) -> Counter[str]:
    return Counter(call.op for call in nas.log())


def _report(
    documents: int,
    took: float,
    before: dict[str, Used],
    after: dict[str, Used],
    calls: Counter[str],
    together: Used,
) -> Report:
    report = Report(
        "idle",
        f"Nothing to do for {took / 60:.1f} minutes, {documents:,} documents safe, API on",
        ["", "% of a core", "wake-ups/s", "resident MiB", "its share MiB"],
    )
    total = Used()
    for name, now in after.items():
        spent = now - before.get(name, Used())
        total += spent
        report.rows.append(_row(name, spent, now, took))
    report.rows.append(_row("together", total, together, took))
    asked = sum(calls.values())
    each = ", ".join(f"{op} {count}" for op, count in calls.most_common())
    report.notes = [
        f"Calls that reached the NAS: {asked}{f' ({each})' if each else ''};"
        f" scaled to an hour: {asked * HOUR / took:.0f}. A look once an hour is not in it.",
        f"Everywhere else, scaled to an hour: {short(total.write_calls * HOUR / took)} write calls"
        f" of {short(total.write_bytes * HOUR / took / MIB)} MiB,"
        f" {short(total.read_calls * HOUR / took)} read calls"
        f" of {short(total.read_bytes * HOUR / took / MIB)} MiB.",
        "A wake-up is a context switch of any thread, voluntary or not (/proc/PID/task/*/status).",
    ]
    report.goals = [
        Goal("% of a core", "under", 0.2, 100 * total.cpu_seconds / took),
        Goal("wake-ups a second", "at most", 2.0, total.switches / took),
        Goal("calls to the NAS", "at most", 0.0, float(asked)),
    ]
    report.values = {"seconds": took, "used": dataclasses.asdict(total), "nas": dict(calls)}
    return report


def _row(name: str, spent: Used, now: Used, took: float) -> list[str]:
    return [
        name,
        f"{100 * spent.cpu_seconds / took:.3f}",
        f"{spent.switches / took:.2f}",
        short(now.resident / MIB),
        short(now.proportional / MIB),
    ]
