"""Who copies: ours, what the backend does today, and the tools that people know.

Each gets the same files, already in the page cache, an empty folder on the target, and a fresh
database. What is timed is from "all is there" to its own end; for ours, to the last row marked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.daemon import BenchmarkError, Daemon, new_stage, stage_for
from benchmarks.limits import drop_cache
from benchmarks.processes import used
from benchmarks.workloads import BACKEND_DIR, MIB, Data, Paper, commit_rows

PATIENCE_SECONDS = 3600.0
BARE_THREADS = 16
"""So many small copies the NAS agent makes at once, by default."""


@dataclass(frozen=True)
class Case:
    """One copying of everything."""

    data: Data
    nas: Path
    """An empty folder on the target."""
    work: Path
    """An empty folder on the local disk."""


@dataclass(frozen=True)
class Timed:
    """How long it took, and what it cost."""

    seconds: float
    cpu_seconds: float
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """Somebody who copies."""

    name: str
    about: str
    run: Callable[[Case], Timed]
    program: str = ""
    package: str = ""

    def missing(self) -> str | None:
        if not self.program or shutil.which(self.program):
            return None
        return f"{self.program} is not installed: make bench-lab (Debian package {self.package})"


# -- ours -------------------------------------------------------------------------------------


def ours(case: Case) -> Timed:
    """The daemon runs and is idle, the files are there, the rows are committed at once."""
    stage = stage_for(case.data, case.work / "stage", case.nas)
    with Daemon(stage) as daemon:
        daemon.wait_ready()
        before = used(daemon.pid).cpu_seconds
        commit_rows(stage.database, case.data.papers)
        began = time.monotonic()
        seconds = daemon.wait_all_marked() - began
        return Timed(seconds, used(daemon.pid).cpu_seconds - before)


def ours_started(case: Case) -> Timed:
    """Files and rows are there, then the daemon is started: its start counts."""
    stage = stage_for(case.data, case.work / "stage", case.nas)
    commit_rows(stage.database, case.data.papers)
    began = time.monotonic()
    with Daemon(stage) as daemon:
        seconds = daemon.wait_all_marked() - began
        return Timed(seconds, used(daemon.pid).cpu_seconds)


# -- the backend's way ------------------------------------------------------------------------


def plain_loop(case: Case) -> Timed:
    """``copy2`` for each document, then its row is marked: nothing is flushed or looked at."""
    stage = new_stage(case.work / "stage", case.nas)
    commit_rows(stage.database, case.data.papers)
    with _Cost() as cost:
        db = sqlite3.connect(stage.database, timeout=30)
        rows = db.execute("SELECT id, file_path FROM documents ORDER BY id").fetchall()
        places = {f"{BACKEND_DIR}/{one.name}": one.place for one in case.data.papers}
        for row_id, file_path in rows:
            target = case.nas / places[file_path]
            target.parent.mkdir(parents=True, exist_ok=True)
            copy2(case.data.folder / target.name, target)
            db.execute(
                "UPDATE documents SET synced_to_nas = 1, synced_at = datetime() WHERE id = ?",
                (row_id,),
            )
            db.commit()
        db.close()
    return cost.timed


def copy2(source: Path, target: Path) -> None:
    """``shutil.copy2``, which changes the mode last: where there are no modes, all else is done."""
    try:
        shutil.copy2(source, target)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise


# -- the floor --------------------------------------------------------------------------------


def bare_copy(case: Case) -> Timed:
    """What a verified copy costs at least: as many threads as ours write, flush, read back, compare
    and rename. No rows, no journal, no watching, no child, and nobody looks whose NAS it is."""
    papers: queue.SimpleQueue[Paper] = queue.SimpleQueue()
    for paper in case.data.papers:
        papers.put(paper)
    with _Cost() as cost, ThreadPoolExecutor(BARE_THREADS) as pool:
        for done in [pool.submit(_copy_all, case, papers) for _ in range(BARE_THREADS)]:
            done.result()
    return cost.timed


def _copy_all(case: Case, papers: queue.SimpleQueue[Paper]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            _copy(case, papers.get_nowait())


def _copy(case: Case, paper: Paper) -> None:
    place = case.nas / paper.place
    place.parent.mkdir(parents=True, exist_ok=True)
    temp = case.nas / f".{paper.name}.part"
    with (case.data.folder / paper.name).open("rb") as source:
        fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            wrote = _digest(lambda: source.read(MIB), lambda block: os.write(fd, block))
            os.fsync(fd)
            drop_cache(fd)
            os.lseek(fd, 0, os.SEEK_SET)
            stored = _digest(lambda: os.read(fd, MIB))
        finally:
            os.close(fd)
    if stored != wrote:
        raise BenchmarkError(f"{place} holds other bytes")
    temp.rename(place)


def _digest(
    read: Callable[[], bytes], write: Callable[[bytes], object] = lambda _block: None
) -> bytes:
    hasher = hashlib.sha256()
    while block := read():
        hasher.update(block)
        write(block)
    return hasher.digest()


# -- tools ------------------------------------------------------------------------------------


def command(*words: str) -> Callable[[Case], Timed]:
    """Run a command line; ``SRC`` and ``DST`` stand for the folders."""
    return commands(words)


def commands(*lines: Sequence[str]) -> Callable[[Case], Timed]:
    """Run several, one after the other."""

    def run(case: Case) -> Timed:
        source = case.data.folder
        folders = {"SRC": f"{source}/", "SRC.": f"{source}/.", "DST": f"{case.nas}/"}
        with _Cost() as cost:
            for words in lines:
                _run([folders.get(word, word) for word in words])
        return cost.timed

    return run


def _run(words: list[str]) -> None:
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().partition("\n")[0][-200:]
        raise BenchmarkError(f"{' '.join(words[:3])} gave {done.returncode}: {told}")


class _Cost:
    """Takes the time, and the processor's time of this process and of those it waited for."""

    timed: Timed

    def __enter__(self) -> _Cost:
        self._cpu = _cpu()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self.timed = Timed(seconds, _cpu() - self._cpu)


def _cpu() -> float:
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


RCLONE = ("rclone", "--config", "", "copy", "--transfers", "8", "SRC", "DST")
CHECK = ("rclone", "--config", "", "check", "--download", "SRC", "DST")

CONTENDERS = {
    one.name: one
    for one in (
        Contender("ours", "the daemon, running and idle", ours),
        Contender("ours from start", "its start included", ours_started),
        Contender("bare copy", "verified, nothing is kept or marked", bare_copy),
        Contender("plain loop", "copy2, UPDATE, commit", plain_loop),
        Contender("cp -r", "flushes nothing", command("cp", "-r", "SRC.", "DST"), "cp"),
        Contender(
            "rsync -a", "flushes nothing", command("rsync", "-a", "SRC", "DST"), "rsync", "rsync"
        ),
        Contender(
            "rsync -a --fsync",
            "flushes, reads nothing back",
            command("rsync", "-a", "--fsync", "SRC", "DST"),
            "rsync",
            "rsync",
        ),
        Contender("rclone copy", "eight at once", command(*RCLONE), "rclone", "rclone"),
        Contender(
            "rclone copy+check",
            "and reads both sides again",
            commands(RCLONE, CHECK),
            "rclone",
            "rclone",
        ),
    )
}
