"""What went wrong once in the running daemon, and shall not again."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nas_syncd import get_nas_sync_service
from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, RunningDaemon, Stage, alive

Start = Callable[[Stage], RunningDaemon]

WITNESS = """
CREATE TABLE flags (id INTEGER, flag BOOLEAN);
CREATE TRIGGER witness AFTER UPDATE OF synced_to_nas ON documents
BEGIN INSERT INTO flags VALUES (new.id, new.synced_to_nas); END;
"""


def witnessed(stage: Stage) -> Stage:
    """Write down every value that a flag is given."""
    with sqlite3.connect(stage.database) as db:
        db.executescript(WITNESS)
    return stage


def flags(stage: Stage, row: int) -> list[int]:
    return [f for (f,) in stage.sql("SELECT flag FROM flags WHERE id = ? ORDER BY rowid", row)]


def journal(stage: Stage, statement: str, *values: object) -> list[Any]:
    with contextlib.closing(sqlite3.connect(stage.state / "journal.sqlite3", timeout=30)) as db:
        return db.execute(statement, values).fetchall()


def on_share(stage: Stage, share: Any) -> Stage:
    (share.source / ".nas-syncd.json").write_text('{"nas": "11111111-0000"}')
    return stage


def wait_tried(share: Any) -> None:
    """Return when the mount was written to for the first time, so that what comes is a copy's."""

    def tried() -> bool:
        return any(c.op == "unlink" and c.path.endswith("-b.part") for c in share.log())

    wait_until(tried, "the mount was tried")


def slow_flush(share: Any, seconds: float) -> None:
    share.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": seconds}])


def wait_still_alive(
    daemon: RunningDaemon, true: Callable[[], object], what: str, s: float
) -> None:
    """Wait for *what*; a daemon that has ended is told as such, with its last words."""

    def seen() -> bool:
        if daemon.process.poll() is None:
            return bool(true())
        tail = "".join(daemon.text[-30:])
        raise AssertionError(f"the daemon ended ({daemon.process.returncode}):\n{tail}")

    wait_until(seen, what, seconds=s)


# -- what the NAS forgets, what the uploader rewrites -------------------------------------------


def go_away_and_come_back(
    stage: Stage, daemon: RunningDaemon, meanwhile: Callable[[], None]
) -> None:
    """The share is not mounted for a moment."""
    marker = stage.nas / ".nas-syncd.json"
    content = marker.read_bytes()
    marker.unlink()
    row = stage.add("work.pdf", b"work makes the mount be asked")
    daemon.wait_for("mount.changed", state="not_mounted")
    meanwhile()
    marker.write_bytes(content)
    wait_still_alive(daemon, lambda: stage.is_marked(row), "back", 20)


def test_a_temp_file_that_comes_back_while_its_run_lives_is_put_in_its_place(
    stage: Stage, start: Start
) -> None:
    """The NAS lost its power and forgot the rename: the temp file is the only copy."""
    row = stage.add("a.pdf", b"the only copy")
    daemon = start(stage)
    stage.wait_marked(1)
    place = stage.nas / "2024/01/factures/a.pdf"
    [(temp,)] = journal(stage, "SELECT temp FROM document WHERE id = ?", str(row))
    inode = place.stat().st_ino

    def forget() -> None:
        (stage.nas / temp).parent.mkdir(parents=True, exist_ok=True)
        place.rename(stage.nas / temp)

    go_away_and_come_back(stage, daemon, forget)

    daemon.wait_for("temp.restored", seconds=15)
    assert place.stat().st_ino == inode  # that very file, not a second copy
    assert stage.is_marked(row)
    assert stage.verdict().perfect
    assert daemon.count("document.vanished") == 0


@pytest.mark.lab
@pytest.mark.parametrize("watch", ["native", "poll"])
def test_a_source_rewritten_while_its_copy_is_flushed_is_filed_anew(
    tmp_path: Path, fault_fs, start: Start, watch: str
) -> None:
    share = fault_fs()
    settings = {"NAS_SYNCD_WATCH": watch, "NAS_SYNCD_SCAN_SECONDS": 1}
    stage = on_share(witnessed(Stage(tmp_path / "world", nas=share.path, **settings)), share)
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching=watch)
    wait_tried(share)
    slow_flush(share, 2.0)
    row = stage.add("a.pdf", b"the first version")
    share.wait_for("fsync", "delay", seconds=15)

    (stage.uploads / "a.pdf").write_bytes(b"the second version, which is longer")
    share.clear()

    def filed() -> bool:
        contents = [p.read_bytes() for p in share.source.rglob("*.pdf")]
        return b"the second version, which is longer" in contents and stage.is_marked(row)

    wait_still_alive(daemon, filed, "the new version filed and marked", 15)
    told = flags(stage, row)
    assert told[-1] == 1
    assert told in ([1], [1, 0, 1])  # never marked for the first and left so
    [(digest,)] = journal(stage, "SELECT digest FROM document WHERE id = ?", str(row))
    wanted = hashlib.sha256(b"the second version, which is longer").hexdigest()
    assert digest == wanted
    first = [p for p in share.source.rglob("*.pdf") if p.read_bytes() == b"the first version"]
    assert len(first) == (told == [1, 0, 1])  # once marked it stays on the NAS


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("watch", ["native", "poll"])
def test_a_name_that_is_not_utf8_does_not_end_the_daemon(
    tmp_path: Path, start: Start, watch: str
) -> None:
    stage = Stage(tmp_path / "world", NAS_SYNCD_WATCH=watch, NAS_SYNCD_SCAN_SECONDS=1).pair()
    (Path(os.fsdecode(os.fsencode(stage.uploads) + b"/caf\xe9.pdf"))).write_bytes(b"before")
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching=watch)
    folder = os.fsencode(stage.uploads) + b"/\xe9t\xe9"
    os.mkdir(folder)
    for name in (b"/th\xe9.pdf", b"/\xff.pdf"):
        Path(os.fsdecode(folder + name)).write_bytes(b"after")
    rows = [stage.add("ordinary.pdf", b"x")]
    wait_still_alive(daemon, lambda: stage.is_marked(rows[0]), "marked", 15)
    # The scan that sees all of these comes once more, now that nothing else is there to do.
    rows.append(stage.add("second.pdf", b"y"))
    wait_still_alive(daemon, lambda: stage.is_marked(rows[1]), "marked", 15)
    assert daemon.stop() == 0
    assert "Traceback" not in "".join(daemon.text)


# -- the journal and the table ------------------------------------------------------------------


@pytest.fixture
def inside(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[sa.engine.Engine]:
    """The backend's own process, on the same stage as the daemon."""
    backend_environment(stage, monkeypatch)
    monkeypatch.chdir(tmp_path)
    engine = sa.create_engine(f"sqlite:///{stage.database}", connect_args={"timeout": 30})
    yield engine
    engine.dispose()


def backend_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_MOUNT_PATH", str(stage.nas))
    monkeypatch.setenv("UPLOAD_DIR", str(stage.uploads))
    for name in ("DB_UPLOAD_DIR", "STATE_DIR", "MIN_FREE_SPACE"):
        monkeypatch.setenv(f"NAS_SYNCD_{name}", str(stage.settings[f"NAS_SYNCD_{name}"]))


def test_daemon_and_backend_that_do_the_same_work_at_once_do_not_disturb_each_other(
    stage: Stage, start: Start, inside: sa.engine.Engine
) -> None:
    stage.add_many(300, folders=5)

    def go(_number: int) -> list[dict[str, Any]]:
        with Session(inside) as db:
            return [get_nas_sync_service(db).sync_all_pending(1) for _ in range(3)]

    daemon = start(stage)
    daemon.wait_for("daemon.started")
    with ThreadPoolExecutor(2) as threads:
        answers = [answer for all_of_one in threads.map(go, range(2)) for answer in all_of_one]

    wait_still_alive(daemon, lambda: stage.marked() == 300, "all marked", 30)
    assert len(answers) == 6
    assert [a for a in answers if a["failed"] or a["errors"]] == []
    assert all(a["total"] == a["synced"] + a["failed"] for a in answers)
    assert daemon.count("journal.unusable") == 0
    wait_until(lambda: unproven(stage) == 0, "all proven", seconds=10)
    with Session(inside) as db:
        stats = get_nas_sync_service(db).get_sync_stats()
    assert (stats["synced"], stats["inherited"]) == (300, 0)
    assert stage.verdict().perfect


def unproven(stage: Stage) -> int:
    query = "SELECT count(*) FROM document WHERE state != 'synced'"
    return int(journal(stage, query)[0][0])


def test_a_mark_that_the_journal_could_not_take_down_is_taken_down_when_it_can(
    stage: Stage, start: Start
) -> None:
    daemon = start(stage)
    daemon.wait_for("mount.changed", state="ok")
    with contextlib.closing(
        sqlite3.connect(stage.state / "journal.sqlite3", timeout=10, isolation_level=None)
    ) as other:
        other.execute(
            "CREATE TRIGGER refuses BEFORE UPDATE ON document WHEN new.state = 'synced'"
            " BEGIN SELECT RAISE(ABORT, 'not now'); END"
        )
        stage.add_many(3)
        daemon.wait_for("journal.unusable")
        wait_still_alive(daemon, lambda: stage.marked() == 3, "all marked", 30)
        other.execute("DROP TRIGGER refuses")

    wait_still_alive(daemon, lambda: unproven(stage) == 0, "all proven", 20)


def test_a_mark_of_a_process_that_was_killed_at_that_moment_is_taken_down_by_the_daemon(
    stage: Stage, start: Start
) -> None:
    """The backend's own process, with which it shares the state directory."""
    stage.settings["NAS_SYNCD_SCAN_SECONDS"] = "1"
    daemon = start(stage)
    stage.add_many(3)
    wait_still_alive(daemon, lambda: stage.marked() == 3 and unproven(stage) == 0, "proven", 30)
    with contextlib.closing(sqlite3.connect(stage.state / "journal.sqlite3", timeout=30)) as db, db:
        db.execute("UPDATE document SET state = 'marking', holder = 'dead:1'")

    wait_still_alive(daemon, lambda: unproven(stage) == 0, "all proven again", 20)


@pytest.mark.slow
@pytest.mark.lab
def test_a_journal_that_is_locked_for_long_with_copies_in_flight_ends_nothing(
    tmp_path: Path, fault_fs, start: Start
) -> None:
    share = fault_fs()
    stage = on_share(Stage(tmp_path / "world", nas=share.path), share)
    daemon = start(stage)
    daemon.wait_for("mount.changed", state="ok")
    wait_tried(share)
    slow_flush(share, 1.0)
    stage.add_many(40)
    share.wait_for("fsync", "delay", seconds=15)

    with contextlib.closing(
        sqlite3.connect(stage.state / "journal.sqlite3", timeout=30, isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(24)  # longer than a journal waits for its turn, and once more
        other.execute("ROLLBACK")
    share.clear()

    wait_still_alive(daemon, lambda: stage.marked() == 40, "all marked", 30)
    assert daemon.count("journal.unusable") >= 1
    wait_until(lambda: stage.verdict().perfect, f"perfect: {stage.verdict()}", seconds=10)


@pytest.mark.lab
def test_a_table_that_is_renamed_while_copies_fly_is_waited_for(
    tmp_path: Path, fault_fs, start: Start
) -> None:
    share = fault_fs()
    stage = on_share(Stage(tmp_path / "world", nas=share.path), share)
    daemon = start(stage)
    daemon.wait_for("mount.changed", state="ok")
    wait_tried(share)
    slow_flush(share, 1.0)
    stage.add_many(40)
    share.wait_for("fsync", "delay", seconds=15)

    stage.sql("ALTER TABLE documents RENAME TO elsewhere")
    daemon.wait_for("database.unavailable")
    share.clear()
    wait_until(lambda: len(list(share.source.rglob("*.pdf"))) >= 1, "a copy has landed")
    stage.sql("ALTER TABLE elsewhere RENAME TO documents")

    wait_still_alive(daemon, lambda: stage.marked() == 40, "all marked", 30)
    assert stage.verdict().perfect


LIVING = textwrap.dedent(
    """
    import datetime, sys, types
    import sqlalchemy as sa
    from sqlalchemy.orm import Session
    from nas_syncd import get_nas_sync_service

    with Session(sa.create_engine("sqlite:///" + sys.argv[1])) as db:
        given = types.SimpleNamespace(id=1, file_path="/app/uploads/a.pdf", doc_type="invoice",
                                      date=datetime.date(2024, 1, 15), created_at=None)
        print(get_nas_sync_service(db).sync_file(given), flush=True)
        sys.stdin.read()
    """
)


@pytest.mark.lab
def test_a_backend_that_met_a_hang_keeps_no_document_from_the_daemon(
    tmp_path: Path, fault_fs, start: Start
) -> None:
    share = fault_fs()
    stage = on_share(Stage(tmp_path / "world", nas=share.path), share)
    row = stage.add("a.pdf", b"met a hang")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("NAS_")}
    environ |= {
        "NAS_MOUNT_PATH": str(share.path),
        "UPLOAD_DIR": str(stage.uploads),
        "NAS_SYNCD_DB_UPLOAD_DIR": BACKEND_DIR,
        "NAS_SYNCD_STATE_DIR": str(stage.state),
        "NAS_SYNCD_MIN_FREE_SPACE": "0",
        "NAS_SYNCD_NAS_TIMEOUT_SECONDS": "2",
    }
    share.hang("fsync")
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, str(stage.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=tmp_path,
    ) as backend:
        assert backend.stdout is not None
        answer = backend.stdout.readline()
        assert answer.startswith("(False"), answer
        share.clear()
        daemon = start(stage)

        wait_still_alive(daemon, lambda: stage.is_marked(row), "marked by the daemon", 20)
        assert backend.poll() is None
        backend.communicate("", timeout=20)
    daemon.wait_for("document.synced", document_id=str(row), seconds=5)
    wait_until(lambda: stage.verdict().perfect, "nothing is left over", seconds=10)


# -- the folder and the pairing -----------------------------------------------------------------


@pytest.mark.lab
def test_an_upload_folder_that_was_away_for_a_moment_holds_nothing_up(
    tmp_path: Path, fault_fs, start: Start
) -> None:
    share = fault_fs()
    stage = on_share(Stage(tmp_path / "world", nas=share.path), share)
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching="native")
    slow_flush(share, 0.3)
    stage.add_many(80, folders=3)
    stage.wait_marked(5)
    away = stage.root / "away"

    stage.uploads.rename(away)
    time.sleep(1.5)  # so long is it away
    away.rename(stage.uploads)
    back = time.monotonic()
    share.clear()

    wait_still_alive(daemon, lambda: stage.marked() == 80, "all marked", 30)
    print(f"from the return to the last mark: {time.monotonic() - back:.1f} s")
    assert time.monotonic() - back < 15
    assert stage.verdict().perfect


def test_another_pairing_by_another_process_is_noticed_without_a_restart(
    stage: Stage, start: Start
) -> None:
    daemon = start(stage)
    daemon.wait_for("mount.changed", state="ok")
    stage.add("a.pdf", b"on the old one")
    stage.wait_marked(1)
    (stage.nas / ".nas-syncd.json").write_text(json.dumps({"nas": "22222222-0000"}))
    row = stage.add("b.pdf", b"on the new one")
    daemon.wait_for("mount.changed", state="foreign")
    assert not stage.is_marked(row)
    command = ["--env-file", str(stage.env_file), "adopt", "--new-nas", "--yes"]

    adopted = subprocess.run(
        [sys.executable, "-m", "nas_syncd", *command],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=stage.root,
        check=False,
    )

    assert adopted.returncode == 0, adopted.stdout + adopted.stderr
    wait_still_alive(daemon, lambda: stage.is_marked(row), "marked on the new one", 15)
    nas = journal(stage, "SELECT nas FROM document WHERE id = ?", str(row))
    assert nas == [("22222222-0000",)]


# -- many that wait -----------------------------------------------------------------------------


def add_rows(stage: Stage, count: int, prefix: str, **columns: object) -> None:
    """Rows only; files are the caller's business."""
    row = {"doc_type": "invoice", "date": "2024-01-05", "created_at": "2024-01-01", **columns}
    names = ", ".join(row)
    marks = ", ".join("?" * len(row))
    with sqlite3.connect(stage.database, timeout=30) as db:
        db.executemany(
            f"INSERT INTO documents (user_id, file_path, {names}) VALUES (1, ?, {marks})",
            [(f"{BACKEND_DIR}/{prefix}{n}.pdf", *row.values()) for n in range(count)],
        )


def add_unfinished(stage: Stage, count: int) -> None:
    """Files whose metadata has not come yet."""
    for number in range(count):
        (stage.uploads / f"w{number}.pdf").write_bytes(b"waits %d" % number)
    add_rows(stage, count, "w", processing_status="processing", doc_type=None, date=None)


def waiting(stage: Stage) -> int:
    return int(journal(stage, "SELECT count(*) FROM document WHERE state = 'waiting'")[0][0])


def test_thousands_of_missing_files_do_not_starve_a_real_one(stage: Stage, start: Start) -> None:
    add_rows(stage, 5200, "missing")
    row = stage.add("real.pdf", b"here")
    long_ago = time.time() - 3600
    os.utime(stage.uploads / "real.pdf", (long_ago, long_ago))
    begun = time.monotonic()
    daemon = start(stage)

    wait_still_alive(daemon, lambda: stage.is_marked(row), "the real one marked", 30)
    print(f"marked after {time.monotonic() - begun:.1f} s")
    assert time.monotonic() - begun < 15
    assert stage.marked() == 1


@pytest.mark.slow
def test_a_flag_that_goes_back_is_seen_although_thousands_wait(
    tmp_path: Path, start: Start
) -> None:
    """Neither a new row nor a new file tells of it: only the pass over everything finds it."""
    stage = Stage(tmp_path / "world", NAS_SYNCD_SCAN_SECONDS=5).pair()
    row = stage.add("real.pdf", b"here", id=9000)
    daemon = start(stage)
    stage.wait_marked(1)
    add_rows(stage, 5200, "missing")
    stage.sql("UPDATE documents SET id = id - 9000 WHERE id > 9000")  # all are before it
    wait_still_alive(daemon, lambda: waiting(stage) > 5000, "they wait", 40)

    for _ in range(2):  # the first may fall into a pass that has begun already
        stage.sql("UPDATE documents SET synced_to_nas = 0 WHERE id = ?", row)
        wait_still_alive(daemon, lambda: stage.is_marked(row), "marked again", 30)
    assert (stage.nas / "2024/01/factures/real.pdf").read_bytes() == b"here"


def rounds(pid: int) -> int:
    """How often the loop's thread went to sleep."""
    lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary")).split()[1])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_a_daemon_with_much_that_waits_is_idle(stage: Stage, start: Start) -> None:
    add_rows(stage, 60, "missing")
    add_unfinished(stage, 400)
    daemon = start(stage)
    daemon.wait_for("daemon.started")
    wait_still_alive(daemon, lambda: waiting(stage) == 460, "all are known to wait", 20)
    # The first round after the start is not meant: let it come to rest.
    for _ in range(3):
        cpu, turns = cpu_seconds(daemon.process.pid), rounds(daemon.process.pid)
        time.sleep(5)  # how much is used in this time is the point
        cpu, turns = cpu_seconds(daemon.process.pid) - cpu, rounds(daemon.process.pid) - turns
        print(f"in 5 s: {cpu:.2f} s of CPU, {turns} rounds")
        if cpu < 0.25 and turns < 30:
            break

    assert cpu < 0.25
    assert turns < 30  # it need not look more often than a few times a second
    assert alive(daemon.process.pid)


@pytest.mark.slow
def test_metadata_that_comes_for_all_at_once_or_one_by_one_is_seen_soon(
    stage: Stage, start: Start
) -> None:
    add_unfinished(stage, 400)
    daemon = start(stage)
    daemon.wait_for("daemon.started")
    wait_still_alive(daemon, lambda: waiting(stage) == 400, "all are known to wait", 20)
    complete = "UPDATE documents SET processing_status = 'completed', doc_type = 'receipt',"
    for row in (7, 399, 120):
        stage.sql(f"{complete} date = '2023-03-03' WHERE id = ?", row)
        begun = time.monotonic()
        wait_still_alive(daemon, partial(stage.is_marked, row), f"{row} marked", 20)
        print(f"{row}: {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < 6

    stage.sql(f"{complete} date = '2022-02-02' WHERE processing_status = 'processing'")
    begun = time.monotonic()
    wait_still_alive(daemon, lambda: stage.marked() == 400, "all marked", 40)
    print(f"all: {time.monotonic() - begun:.1f} s")
    assert time.monotonic() - begun < 20
    assert stage.verdict().perfect


POSTGRESQL_TABLE = """
CREATE TABLE documents (
    id SERIAL PRIMARY KEY, user_id INTEGER NOT NULL, file_path VARCHAR(500) UNIQUE,
    original_name VARCHAR(255), doc_type VARCHAR(20), date DATE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), processing_status VARCHAR(20),
    synced_to_nas BOOLEAN, synced_at TIMESTAMPTZ
)
"""


@pytest.mark.slow
@pytest.mark.lab
def test_metadata_is_seen_soon_on_postgresql_too_while_many_wait(
    tmp_path: Path, postgresql_database: str, start: Start
) -> None:
    stage = Stage(tmp_path / "world", DATABASE_URL=postgresql_database).pair()
    engine = sa.create_engine(postgresql_database.replace("postgresql:", "postgresql+psycopg:"))

    def run(statement: str, **values: object) -> None:
        with engine.begin() as db:
            db.execute(sa.text(statement), values)

    def marked() -> set[int]:
        with engine.connect() as db:
            found = db.execute(sa.text("SELECT id FROM documents WHERE synced_to_nas"))
            return set(found.scalars())

    def is_marked(row: int) -> bool:
        return row in marked()

    run(POSTGRESQL_TABLE)
    for number in range(100):
        (stage.uploads / f"w{number}.pdf").write_bytes(b"waits %d" % number)
    run(
        "INSERT INTO documents (user_id, file_path, processing_status)"
        " SELECT 1, :folder || '/w' || n || '.pdf', 'processing' FROM generate_series(0, 99) n",
        folder=BACKEND_DIR,
    )
    daemon = start(stage)
    daemon.wait_for("daemon.started")
    wait_still_alive(daemon, lambda: waiting(stage) == 100, "all are known to wait", 20)
    complete = "UPDATE documents SET processing_status = 'completed', date = :d"
    try:
        for row in (7, 99, 50):
            run(f"{complete} WHERE id = :i", i=row, d=dt.date(2023, 3, 3))
            begun = time.monotonic()
            wait_still_alive(daemon, partial(is_marked, row), f"{row} marked", 20)
            print(f"{row}: {time.monotonic() - begun:.1f} s")
            assert time.monotonic() - begun < 6
        run(f"{complete} WHERE processing_status = 'processing'", d=dt.date(2022, 2, 2))
        begun = time.monotonic()
        wait_still_alive(daemon, lambda: len(marked()) == 100, "all marked", 40)
        print(f"all: {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < 20
    finally:
        engine.dispose()
    assert len([p for p in stage.nas.rglob("*.pdf") if p.is_file()]) == 100
