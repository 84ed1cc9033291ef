"""What many rows cost: a thousand and a million documents, all safe, or all still to be copied."""

from __future__ import annotations

import functools
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.daemon import BenchmarkError, Daemon, new_stage
from benchmarks.figures import short
from benchmarks.processes import used, wait_until_quiet
from benchmarks.reports import Goal, Report
from benchmarks.targets import Target
from benchmarks.workloads import BACKEND_DIR, HOUR, KIB, MIB, TYPES
from tests.lab.parts import wait_until
from tests.stage import Stage

Say = Callable[[str], None]
FOLDERS = 200
SIZE = KIB
COPYING_SECONDS = 60.0
PATIENCE_SECONDS = 600.0
SAMPLE_SECONDS = 0.5
RECONCILED_SECONDS = 30.0
"""After so long the journal was compared with the table as well."""
SEED = "seed"
CLONED = ("file_path", "relative", "name", "destination", "filed_as", "temp", "path", "key")


@dataclass
class Synced:
    """With so many documents that are all safe."""

    count: int
    ready_seconds: float
    """From the start of the process to "ready" to the service manager, the NAS and the uploads
    looked at."""
    resident: float
    """Bytes, of all its processes, when it has come to rest."""
    peak: float


@dataclass
class Pending:
    """With so many documents that are all to be copied."""

    count: int
    first_seconds: float
    """From the start of the process to the first document in its place."""
    per_second: float
    """Marked, from then on, for a minute at most."""
    peak: float


def rows(target: Target, counts: Sequence[int], work: Path, say: Say) -> Report:
    """Measure with each of *counts* rows, which must ascend."""
    synced: list[Synced] = []
    pending: list[Pending] = []
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
        uploads = Path(folder, "uploads")
        uploads.mkdir()
        there = 0
        for count in counts:
            say(f"rows: writing the files of {count:,} documents")
            _write(uploads, there, count)
            there = count
            say(f"rows: {count:,} of them safe")
            with _stage(target, folder, uploads) as stage:
                synced.append(_synced(stage, count))
            say(f"rows: {count:,} of them pending")
            with _stage(target, folder, uploads) as stage:
                pending.append(_pending(stage, count))
        say("rows: taking it all away")
    return _report(target, synced, pending)


def name_of(number: int) -> str:
    return f"d{number % FOLDERS:03d}/{number:07d}-5e0c4f2a9d.pdf"


def _write(uploads: Path, first: int, end: int) -> None:
    for number in range(FOLDERS):
        (uploads / f"d{number:03d}").mkdir(exist_ok=True)
    content = bytes(SIZE - 16)
    for number in range(first, end):
        (uploads / name_of(number)).write_bytes(b"%016d" % number + content)


@contextmanager
def _stage(target: Target, folder: str, uploads: Path) -> Iterator[Stage]:
    nas = target.fresh()
    root = Path(folder, "stage")
    stage = new_stage(root, nas, UPLOAD_DIR=uploads)
    stage.uploads = uploads
    try:
        yield stage
    finally:
        target.clear(nas)
        shutil.rmtree(root)


def _insert(stage: Stage, count: int, *, flag: bool) -> None:
    """The backend's rows, in one transaction."""
    with closing(sqlite3.connect(stage.database, timeout=30)) as db, db:
        db.executemany(
            "INSERT INTO documents (id, user_id, file_path, doc_type, date, created_at,"
            " processing_status, synced_to_nas) VALUES"
            " (?, 1, ?, ?, ?, '2024-01-16 10:00:00', 'completed', ?)",
            (
                (n + 1, f"{BACKEND_DIR}/{name_of(n)}", TYPES[n // 12 % 4], _date(n), flag)
                for n in range(count)
            ),
        )


def _date(number: int) -> str:
    return f"2024-{number % 12 + 1:02d}-15"


# -- all safe ---------------------------------------------------------------------------------


def _synced(stage: Stage, count: int) -> Synced:
    _make_receipts(stage, count)
    with _service_manager(stage) as (address, ready):
        began = time.monotonic()
        with Daemon(stage, NOTIFY_SOCKET=address) as daemon, _peak(daemon) as peak:
            ready()
            daemon.wait_for("mount.changed", state="ok")
            daemon.wait_for("uploads.changed", watching="native")
            took = time.monotonic() - began
            time.sleep(RECONCILED_SECONDS)
            wait_until_quiet(daemon.pid, PATIENCE_SECONDS)
            if any(one["event"] == "document.synced" for one in daemon.events()):
                raise BenchmarkError("what was to be safe already has been copied")
            return Synced(count, took, used(daemon.pid).resident, peak())


def _make_receipts(stage: Stage, count: int) -> None:
    """Let the daemon make one document safe, then write its entry into the journal *count* times,
    as if it had done the same with all of them."""
    (stage.uploads / f"{SEED}.pdf").write_bytes(bytes(SIZE))
    seed = stage.row(f"{SEED}.pdf", id=count + 1)
    with Daemon(stage) as daemon:
        daemon.wait_all_marked(HOUR)
    (stage.uploads / f"{SEED}.pdf").unlink()
    stage.sql("DELETE FROM documents WHERE id = ?", seed)
    _insert(stage, count, flag=True)
    with closing(sqlite3.connect(stage.state / "journal.sqlite3", timeout=30)) as journal, journal:
        for table in ("document", "place"):
            _clone(journal, table, count, stage.uploads)
            journal.execute(f"DELETE FROM {table} WHERE id = ?", (str(seed),))
        journal.execute("UPDATE document SET young = 0")


def _clone(journal: sqlite3.Connection, table: str, count: int, uploads: Path) -> None:
    stats = {"mtime_ns": "st_mtime_ns", "inode": "st_ino"}
    values = {"id": "CAST(n + 1 AS TEXT)", **{name: f"{name}_of(n)" for name in stats}}
    values |= {name: f"replace({name}, '{SEED}.pdf', name_of(n))" for name in CLONED}
    names = [row[1] for row in journal.execute(f"PRAGMA table_info({table})")]
    journal.create_function("name_of", 1, name_of, deterministic=True)
    for name, attribute in stats.items():
        look = functools.partial(_stat, uploads, attribute)
        journal.create_function(f"{name}_of", 1, look)
    journal.execute(
        f"INSERT INTO {table} ({', '.join(names)}) WITH RECURSIVE numbers(n) AS"
        f" (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"
        f" SELECT {', '.join(values.get(name, name) for name in names)}"
        f" FROM numbers, (SELECT * FROM {table} WHERE id = '{count + 1}')"
    )


def _stat(uploads: Path, attribute: str, number: int) -> int:
    return int(getattr((uploads / name_of(number)).stat(), attribute))


@contextmanager
def _service_manager(stage: Stage) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the address of a stand-in for it, and what returns when the daemon says READY=1."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        address = f"{folder}/notify"
        manager.bind(address)
        manager.settimeout(PATIENCE_SECONDS)

        def ready() -> None:
            try:
                while b"READY=1" not in manager.recv(4096):
                    pass
            except TimeoutError:
                raise BenchmarkError(f"the daemon never says it is ready: {stage.log}") from None

        yield address, ready


# -- all pending ------------------------------------------------------------------------------


def _pending(stage: Stage, count: int) -> Pending:
    _insert(stage, count, flag=False)
    began = time.monotonic()
    with Daemon(stage) as daemon, _peak(daemon) as peak:
        wait_until(lambda: _any_file(stage.nas), "the first document is copied", PATIENCE_SECONDS)
        first = time.monotonic()
        while stage.marked() < count and time.monotonic() < first + COPYING_SECONDS:
            daemon.check()
            time.sleep(0.05 if count <= 10_000 else 1.0)  # counting keeps the daemon waiting
        marked, took = stage.marked(), time.monotonic() - first
        return Pending(count, first - began, marked / took, peak())


def _any_file(nas: Path) -> bool:
    return any(next(year.glob("*/*/*.pdf"), None) for year in nas.glob("2*"))


@contextmanager
def _peak(daemon: Daemon) -> Iterator[Callable[[], float]]:
    """Look at the memory twice a second; the callable returns the most that was seen."""
    most, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            most[0] = max(most[0], used(daemon.pid).resident)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        thread.join(5)


# -- what is told -----------------------------------------------------------------------------


def _report(target: Target, synced: list[Synced], pending: list[Pending]) -> Report:
    report = Report(
        f"rows-{target.name.replace(' ', '-')}",
        f"Many rows, files of 1 KiB, to {target.name}",
        [
            "rows",
            *("all safe: ready s", "memory MiB", "its peak MiB"),
            *("all pending: first copy s", "documents/s", "its peak MiB"),
        ],
    )
    for safe, waiting in zip(synced, pending, strict=True):
        memory = (short(safe.resident / MIB), short(safe.peak / MIB))
        copying = (short(waiting.per_second), short(waiting.peak / MIB))
        row = [short(safe.ready_seconds), *memory, short(waiting.first_seconds), *copying]
        report.rows.append([f"{safe.count:,}", *row])
    few, many = synced[0], synced[-1]
    less, more = pending[0], pending[-1]
    report.goals = [
        Goal(f"{many.count:,} safe: ready, s", "under", 2.0, many.ready_seconds),
        Goal(
            f"{many.count:,} safe: memory over that with {few.count:,}, MiB",
            *("at most", 15.0, (many.resident - few.resident) / MIB),
        ),
        Goal(f"{more.count:,} pending: first copy, s", "at most", 2.0, more.first_seconds),
        Goal(
            f"{more.count:,} pending: documents/s, with {less.count:,} = 1",
            *("at least", 1.0, more.per_second / less.per_second),
        ),
        Goal(
            f"{more.count:,} pending: peak of memory over that with {less.count:,}, MiB",
            *("at most", 15.0, (more.peak - less.peak) / MIB),
        ),
    ]
    report.notes = [
        "Memory: resident, of all its processes; at rest, half a minute after the start.",
        f"documents/s: from the first copy on, for {COPYING_SECONDS:g} s at most.",
    ]
    report.values = {
        "synced": [asdict(one) for one in synced],
        "pending": [asdict(one) for one in pending],
    }
    return report
