"""How soon a document is safe: single ones that come by and by, and a burst."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.contenders import copy2
from benchmarks.daemon import BenchmarkError, Daemon, new_stage
from benchmarks.figures import in_turn, percentile, ratios, short, spread
from benchmarks.reports import Goal, Report
from benchmarks.targets import Target
from benchmarks.workloads import BACKEND_DIR, FOLDERS, KIB
from tests.lab import parts
from tests.stage import Stage

Say = Callable[[str], None]
SHARES = (0.5, 0.95, 0.99)
SIZE = 100 * KIB
BURST_SIZE = 10 * KIB
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.001
BURST_PATIENCE_SECONDS = 600.0
BESIDE, AFTER = "plain loop beside the uploads", "plain loop after the uploads"
LSYNCD = ("lsyncd", "-nodaemon", "-log", "scarce", "-delay", "0", "-rsync")


def latency(target: Target, count: int, work: Path, say: Say) -> Report:
    """Let *count* documents come one by one to each, at random moments."""
    report = Report(
        f"latency-{target.name.replace(' ', '-')}",
        f"From the close of an upload to its mark, {count} x 100 KiB one by one to {target.name}",
        ["", "p50 ms", "p95 ms", "p99 ms", "longest ms"],
        unit="milliseconds: p50, shortest to longest",
    )
    ways = {
        "ours, row before the file": lambda folder: _ours(target, folder, count, row_first=True),
        "ours, row just after the file": lambda folder: _ours(
            target, folder, count, row_first=False
        ),
        "lsyncd, shortest delay": lambda folder: _lsyncd(target, folder, count),
    }
    for name, way in ways.items():
        say(f"latency: {name}")
        if name.startswith("lsyncd") and not shutil.which("lsyncd"):
            report.notes.append(
                f"Left out: {name}: lsyncd is not installed: make bench-lab (Debian package lsyncd)"
            )
            continue
        with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
            took = [1000 * seconds for seconds in way(Path(folder))]
        row = [percentile(took, share) for share in SHARES] + [max(took)]
        report.rows.append([name, *map(short, row)])
        report.bars[name] = spread(took)
        report.values[name] = took
    first = report.values["ours, row before the file"]
    report.goals = [
        Goal("p50 in ms, row before the file", "under", 60.0, percentile(first, 0.5)),
        Goal("p99 in ms, row before the file", "under", 250.0, percentile(first, 0.99)),
    ]
    report.notes.append(
        "ours: to the commit of the mark, verified; the row just after: from the row's commit."
        " lsyncd: to the name in its place, neither flushed nor read back."
    )
    return report


def _ours(target: Target, folder: Path, count: int, *, row_first: bool) -> list[float]:
    nas = target.fresh()
    stage = new_stage(folder / "stage", nas)
    took = []
    try:
        with Daemon(stage) as daemon:
            daemon.wait_ready()
            for number in _arrivals(count):
                began, row = _arrive(stage, f"{number:04d}.pdf", row_first=row_first)
                took.append(_marked(stage, row) - began)
    finally:
        target.clear(nas)
    return took


def _arrivals(count: int) -> Iterator[int]:
    """By and by, in step with no timer of anybody's."""
    chance = random.Random(2024)
    for number in range(count):
        time.sleep(chance.uniform(0.2, 0.7))
        yield number


def _arrive(stage: Stage, name: str, *, row_first: bool) -> tuple[float, int]:
    """Return from when on it could be safe, and the row."""
    content = os.urandom(SIZE)
    if row_first:
        row = stage.row(name)
        _upload(stage.uploads / name, content)
        return time.monotonic(), row
    _upload(stage.uploads / name, content)
    row = stage.row(name)
    return time.monotonic(), row


def _upload(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def _marked(stage: Stage, row: int) -> float:
    """Return when the mark was seen: looked for only after the database's file has changed, for
    who reads keeps who writes waiting."""
    end = time.monotonic() + PATIENCE_SECONDS
    seen = None
    with closing(sqlite3.connect(stage.database, timeout=30)) as db:
        while (now := time.monotonic()) < end:
            stat = os.stat(stage.database)
            if (stat.st_mtime_ns, stat.st_size) != seen:
                seen = (stat.st_mtime_ns, stat.st_size)
                query = "SELECT synced_to_nas FROM documents WHERE id = ?"
                if db.execute(query, (row,)).fetchone()[0]:
                    return now
            time.sleep(LOOK_SECONDS)
    raise BenchmarkError(f"not marked within {PATIENCE_SECONDS:g} s: {stage.log}")


def _lsyncd(target: Target, folder: Path, count: int) -> list[float]:
    nas = target.fresh()
    uploads = folder / "uploads"
    uploads.mkdir()
    log = folder / "lsyncd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*LSYNCD, str(uploads), str(nas)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    took = []
    try:
        _upload(uploads / "first.pdf", b"first")
        parts.wait_until((nas / "first.pdf").exists, f"lsyncd copies: {log.read_text()}", 30)
        for number in _arrivals(count):
            name = f"{number:04d}.pdf"
            _upload(uploads / name, os.urandom(SIZE))
            began = time.monotonic()
            while not (nas / name).exists():  # rsync renames it into its place
                if time.monotonic() - began > PATIENCE_SECONDS:
                    raise BenchmarkError(f"lsyncd does not copy: {log.read_text()[-1000:]}")
                time.sleep(LOOK_SECONDS)
            took.append(time.monotonic() - began)
    finally:
        parts.end(process)
        target.clear(nas)
    return took


# -- the burst --------------------------------------------------------------------------------


def burst(target: Target, rate: int, seconds: float, rounds: int, work: Path, say: Say) -> Report:
    """Upload *rate* a second for *seconds*; when is the last one safe, and with the plain loop?"""
    took: dict[str, list[float]] = {"ours": [], BESIDE: [], AFTER: []}
    uploads: dict[str, list[float]] = {name: [] for name in took}
    for number in range(rounds):
        for name in in_turn(list(took), number):
            say(f"burst, round {number + 1} of {rounds}: {name}")
            with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
                last, sending = _burst(target, Path(folder), name, rate, seconds)
                took[name].append(last)
                uploads[name].append(sending)
    count = round(rate * seconds)
    report = Report(
        f"burst-{target.name.replace(' ', '-')}",
        f"A burst of {count:,} x 10 KiB, {rate:,} a second, to {target.name}, {rounds} rounds",
        ["", "last one safe after s", "times ours", "the uploads alone took s"],
        unit="seconds from the first upload to the last mark",
    )
    for name, found in took.items():
        compared, sent = ratios(found, took["ours"]), spread(uploads[name])
        report.rows.append([name, str(spread(found)), str(compared), str(sent)])
        report.bars[name] = spread(found)
    report.notes.append(
        "The plain loop asks for pending rows, copies and marks each, asks again. Beside uploads"
        " its commits and theirs keep one another waiting, as on any SQLite file with two writers."
    )
    alone = [last - sent for last, sent in zip(took[AFTER], uploads[AFTER], strict=True)]
    report.notes.append(f"The loop that is begun after the uploads works {spread(alone)} s itself.")
    compared_with = {**{name: took[name] for name in (BESIDE, AFTER)}, "the loop's own work": alone}
    report.goals = [
        Goal(f"the last one, {name} = 1", "at most", 1.5, ratios(took["ours"], found).median)
        for name, found in compared_with.items()
    ]
    report.values = {**took, "uploads": uploads}
    return report


def _burst(
    target: Target, folder: Path, name: str, rate: int, seconds: float
) -> tuple[float, float]:
    nas = target.fresh()
    stage = new_stage(folder / "stage", nas)
    count = round(rate * seconds)
    os.sync()
    try:
        if name == AFTER:
            told = _uploading(stage, rate, seconds)
            with _loop(stage, nas, count) as finished:
                last = finished()
        else:
            with _daemon(stage) if name == "ours" else _loop(stage, nas, count) as finished:
                told = _uploading(stage, rate, seconds)
                last = finished()
        if stage.marked() != told["count"] or len(target.stored(nas)) != told["count"]:
            raise BenchmarkError(f"{name} has not stored all of the burst")
    finally:
        os.sync()
        target.clear(nas)
    return last - told["began"], told["ended"] - told["began"]


def _uploading(stage: Stage, rate: int, seconds: float) -> dict[str, float]:
    """Let the burst's own process do its work, to its end."""
    command = [sys.executable, "-m", "benchmarks.burst", str(stage.uploads), str(stage.database)]
    done = subprocess.run(
        [*command, str(rate), str(seconds), str(BURST_SIZE)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        timeout=BURST_PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"the burst could not be uploaded: {done.stderr[-1000:]}")
    return dict(json.loads(done.stdout))


@contextmanager
def _daemon(stage: Stage) -> Iterator[Callable[[], float]]:
    with Daemon(stage) as daemon:
        daemon.wait_ready()
        yield lambda: daemon.wait_all_marked(BURST_PATIENCE_SECONDS)


@contextmanager
def _loop(stage: Stage, nas: Path, count: int) -> Iterator[Callable[[], float]]:
    """What the backend does, in a thread beside the uploads."""
    ended: list[float] = []
    stopping = threading.Event()

    def work() -> None:
        with closing(sqlite3.connect(stage.database, timeout=60)) as db:
            done = 0
            while done < count and not stopping.is_set():
                done += _copy_pending(db, stage, nas)
        ended.append(time.monotonic())

    def finished() -> float:
        thread.join(BURST_PATIENCE_SECONDS)
        if not ended:
            raise BenchmarkError("the plain loop does not come to an end")
        return ended[0]

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield finished
    finally:
        stopping.set()
        thread.join(PATIENCE_SECONDS)


def _copy_pending(db: sqlite3.Connection, stage: Stage, nas: Path) -> int:
    query = "SELECT id, file_path, doc_type, date FROM documents WHERE synced_to_nas IS NOT 1"
    rows = db.execute(query).fetchall()
    for row_id, file_path, doc_type, date in rows:
        name = file_path.removeprefix(f"{BACKEND_DIR}/")
        folder = nas / date[:4] / date[5:7] / FOLDERS[doc_type]
        folder.mkdir(parents=True, exist_ok=True)
        copy2(stage.uploads / name, folder / name)
        db.execute(
            "UPDATE documents SET synced_to_nas = 1, synced_at = datetime() WHERE id = ?",
            (row_id,),
        )
        db.commit()
    if not rows:
        time.sleep(0.01)  # SQLite tells nobody
    return len(rows)
