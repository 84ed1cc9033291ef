"""The daemon on a real PostgreSQL: late metadata, zoned timestamps, a server that goes away."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]
pytestmark = pytest.mark.lab

TABLE = """
CREATE TYPE doctype AS ENUM ('INVOICE', 'RECEIPT', 'PAYSLIP', 'OTHER');
CREATE TABLE documents (
    id SERIAL PRIMARY KEY, user_id INTEGER NOT NULL, file_path VARCHAR(500) UNIQUE,
    original_name VARCHAR(255), doc_type doctype, date DATE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), processing_status VARCHAR(20),
    synced_to_nas BOOLEAN, synced_at TIMESTAMPTZ, ocr_text TEXT
);
"""
INSERT = sa.text(
    "INSERT INTO documents (user_id, file_path, original_name, processing_status)"
    " VALUES (1, :path, :name, :status) RETURNING id"
)


class Backend:
    def __init__(self, url: str) -> None:
        address = url.replace("postgresql://", "postgresql+psycopg://")
        self.engine = sa.create_engine(address, connect_args={"options": "-c datestyle=ISO"})
        with self.engine.begin() as db:
            for statement in TABLE.split(";\n"):
                if statement.strip():
                    db.execute(sa.text(statement))

    def insert(self, path: str, status: str = "completed") -> int:
        with self.engine.begin() as db:
            values = {"path": path, "name": "scan.pdf", "status": status}
            return int(db.execute(INSERT, values).scalar_one())

    def complete(self, row: int, doc_type: str, date: str) -> None:
        with self.engine.begin() as db:
            db.execute(
                sa.text(
                    "UPDATE documents SET doc_type = CAST(:t AS doctype), date = CAST(:d AS date),"
                    " processing_status = 'completed' WHERE id = :i"
                ),
                {"t": doc_type, "d": date, "i": row},
            )

    def synced_at(self, row: int) -> dt.datetime | None:
        query = sa.text("SELECT synced_at FROM documents WHERE id = :i AND synced_to_nas")
        with self.engine.connect() as db:
            found: dt.datetime | None = db.execute(query, {"i": row}).scalar_one_or_none()
            return found


@pytest.fixture
def backend(postgresql_database: str):
    backend = Backend(postgresql_database)
    yield backend
    backend.engine.dispose()


@pytest.fixture
def stage(tmp_path: Path, postgresql_database: str) -> Stage:
    return Stage(
        tmp_path / "world", DATABASE_URL=postgresql_database, NAS_SYNCD_SCAN_SECONDS=30
    ).pair()


def test_metadata_three_seconds_late_decides_and_the_mark_is_zoned(
    stage: Stage, backend: Backend, start: Start
) -> None:
    daemon = start(stage)
    daemon.wait_for("uploads.changed", watching="native")
    (stage.uploads / "n.pdf").write_bytes(b"payslip")
    time.sleep(0.5)  # the file is there, its row is not: that is the case
    row = backend.insert(f"{BACKEND_DIR}/n.pdf", "pending")
    time.sleep(3)  # the OCR takes this long
    assert backend.synced_at(row) is None
    backend.complete(row, "PAYSLIP", "2023-12-31")
    completed = time.monotonic()

    wait_until(lambda: backend.synced_at(row), "marked", seconds=10)
    print(f"from completion to mark: {time.monotonic() - completed:.2f} s")

    assert time.monotonic() - completed < 8  # far below SCAN_SECONDS; the figure is printed
    moment = backend.synced_at(row)
    assert moment is not None
    assert moment.tzinfo is not None
    assert abs((dt.datetime.now(dt.UTC) - moment).total_seconds()) < 60
    files = [p for p in stage.nas.rglob("*.pdf") if p.is_file()]
    assert files == [stage.nas / "2023/12/salaires/n.pdf"]


def test_the_database_may_be_away_at_the_start_and_go_away_while_copying(
    stage: Stage, backend: Backend, postgresql, start: Start
) -> None:
    paths = [f"{BACKEND_DIR}/f{number}.pdf" for number in range(30)]
    for number in range(30):
        (stage.uploads / f"f{number}.pdf").write_bytes(bytes([number]) * 1000)
    rows = [backend.insert(path) for path in paths[:15]]
    backend.engine.dispose()
    postgresql.stop()
    try:
        daemon = start(stage)
        daemon.wait_for("database.unavailable")
    finally:
        postgresql.start()
    wait_until(lambda: all(backend.synced_at(row) for row in rows), "marked", seconds=30)

    rows += [backend.insert(path) for path in paths[15:]]
    backend.engine.dispose()
    postgresql.stop()
    postgresql.start()

    wait_until(lambda: all(backend.synced_at(row) for row in rows), "all marked", seconds=30)
    assert len([p for p in stage.nas.rglob("*.pdf") if p.is_file()]) == 30


def test_the_password_is_nowhere_to_be_read(stage: Stage, backend: Backend, start: Start) -> None:
    secret = "s3cr3t-Pa55word"
    address = sa.make_url(str(stage.settings["DATABASE_URL"])).set(password=secret)
    stage.settings["DATABASE_URL"] = address.render_as_string(hide_password=False)
    stage.settings["NAS_SYNCD_LOG_LEVEL"] = "debug"
    stage.settings["NAS_SYNCD_LOG_FILE"] = stage.root / "file.log"
    (stage.uploads / "a.pdf").write_bytes(b"a")
    row = backend.insert(f"{BACKEND_DIR}/a.pdf")
    daemon = start(stage)
    wait_until(lambda: backend.synced_at(row), "marked", seconds=20)
    children = daemon.children()
    handed_on = b"".join(
        Path(f"/proc/{pid}/{what}").read_bytes()
        for pid in children
        for what in ("cmdline", "environ")
    )
    daemon.stop()

    written = [p for p in stage.root.rglob("*") if p.is_file() and p.name != "config.env"]
    assert (stage.root / "file.log").stat().st_size > 0
    assert secret.encode() not in handed_on
    assert secret not in "".join(daemon.text)
    assert [p for p in written if secret.encode() in p.read_bytes()] == []
