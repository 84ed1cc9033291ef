"""Every system call on the NAS that one document costs, one by one, as strace saw it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.daemon import BenchmarkError, Daemon, stage_for
from benchmarks.idle import NAS_AGENT
from benchmarks.processes import family
from benchmarks.reports import Report
from benchmarks.targets import Target
from benchmarks.workloads import KIB, Workload, commit_rows, make
from tests.lab import parts

Say = Callable[[str], None]
CLOSED_SECONDS = 2.5
"""After so long it has closed the root again."""
# PID, then the call; -y writes a descriptor's path behind it. strace cuts what takes long in two.
LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>.*)$")
CONTENT = re.compile(r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?')
CUT, RESUMED = " <unfinished ...>", re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>")


def calls(target: Target, work: Path, say: Say) -> Report:
    """Follow the NAS agent while one document comes alone into a folder that is there.

    Raises:
        BenchmarkError: There is no strace.
    """
    if not shutil.which("strace"):
        raise BenchmarkError("strace is not installed: make lab (Debian package strace)")
    nas = target.fresh()
    say("calls: one document")
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
        data = make(Workload("one", 2, 100 * KIB, months=1), Path(folder, "uploads"))
        stage = stage_for(data, Path(folder, "stage"), nas)
        log = Path(folder, "strace")
        with Daemon(stage) as daemon:
            daemon.wait_ready()
            commit_rows(stage.database, data.papers[:1])
            daemon.wait_all_marked()
            time.sleep(CLOSED_SECONDS)
            tracer = _trace(_agent(daemon), log)
            try:
                commit_rows(stage.database, data.papers[1:])
                daemon.wait_all_marked()
                time.sleep(CLOSED_SECONDS)
            finally:
                parts.end(tracer)
        seen = on_the_nas(log.read_text(), str(nas), str(data.folder))
    target.clear(nas)
    return _report(target, seen)


def _agent(daemon: Daemon) -> int:
    for pid in family(daemon.pid):
        if NAS_AGENT in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise BenchmarkError("the daemon has no NAS agent")


def _trace(pid: int, log: Path) -> subprocess.Popen[bytes]:
    command = ["strace", "-f", "-y", "-s", "64", "-e", "trace=%file,%desc", "-o", str(log)]
    tracer = subprocess.Popen(
        [*command, "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    tracer.stderr.readline()  # "Process … attached"
    return tracer


def on_the_nas(text: str, nas: str, uploads: str) -> list[tuple[str, str]]:
    """Return call and arguments of each line of strace that is about the NAS or the upload; paths
    are written as ``NAS`` and ``UPLOADS``."""
    found = []
    for line in _whole(text):
        match = LINE.match(line)
        if match and (nas in line or uploads in line):
            told = f"{match['arguments']} = {match['result']}"
            told = told.replace(nas, "NAS").replace(uploads, "UPLOADS")
            if match["call"] in ("read", "write"):
                told = CONTENT.sub('"…"', told)
            found.append((match["call"], told))
    return found


def _whole(text: str) -> list[str]:
    """Put together what was cut in two because another thread called meanwhile."""
    begun: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        resumed = RESUMED.match(line)
        if line.endswith(CUT):
            begun[line.split()[0]] = line.removesuffix(CUT)
        elif resumed:
            lines.append(begun.pop(resumed["pid"], "") + line[resumed.end() :])
        else:
            lines.append(line)
    return lines


def _report(target: Target, seen: list[tuple[str, str]]) -> Report:
    report = Report(
        f"calls-{target.name.replace(' ', '-')}",
        f"System calls of the NAS agent for one document of 100 KiB alone, to {target.name}",
        ["call", "on"],
        rows=[[call, told] for call, told in seen],
        left=2,
    )
    counted = Counter(call for call, _ in seen)
    each = ", ".join(f"{call} {count}" for call, count in counted.most_common())
    report.notes = [f"{len(seen)} calls: {each}."]
    report.values = {"calls": dict(counted)}
    return report
