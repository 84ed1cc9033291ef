"""``NASSyncService`` inside a backend: its own model, its own session, its own threads."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from nas_syncd import NASSyncService, get_nas_sync_service
from nas_syncd.errors import ConfigurationError
from tests.stage import Stage


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    file_path: Mapped[str | None]
    original_name: Mapped[str | None]
    doc_type: Mapped[str | None]
    date: Mapped[dt.date | None]
    created_at: Mapped[dt.datetime]
    processing_status: Mapped[str | None]
    synced_to_nas: Mapped[bool | None]
    synced_at: Mapped[dt.datetime | None]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "world").pair()


@pytest.fixture
def backend(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    environment(stage, monkeypatch)
    monkeypatch.chdir(tmp_path)
    engine = sa.create_engine(f"sqlite:///{stage.database}")
    with Session(engine) as session:
        yield session
    engine.dispose()


def environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_MOUNT_PATH", str(stage.nas))
    monkeypatch.setenv("NAS_LOCAL_PATH", "/the/path/of/the/host")
    monkeypatch.setenv("UPLOAD_DIR", str(stage.uploads))
    for name in ("DB_UPLOAD_DIR", "STATE_DIR", "MIN_FREE_SPACE"):
        monkeypatch.setenv(f"NAS_SYNCD_{name}", str(stage.settings[f"NAS_SYNCD_{name}"]))


def test_the_example_of_the_contract_works_line_by_line(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"invoice")
    stage.add("def.pdf", b"second")
    stage.add("ghi.pdf", None)
    stage.add("jkl.pdf", b"waits", processing_status="processing")
    sync_service = get_nas_sync_service(backend)

    assert isinstance(sync_service, NASSyncService)
    assert sync_service.nas_mount_path == str(stage.nas)
    assert sync_service.is_configured() is True
    config = sync_service.get_config_status()
    assert config["configured"] is True
    assert config["path"] == str(stage.nas)
    assert sync_service.test_connection() == (True, "Montage NAS accessible en lecture/écriture")
    document = backend.get(Document, row)
    assert document is not None
    place = f"{stage.nas}/2024/01/factures/abc.pdf"
    assert sync_service._get_doc_type_folder("PAYSLIP") == "salaires"
    assert sync_service._get_destination_path(document) == place
    assert sync_service.sync_file(document) == (True, f"Synchronisé vers {place}")
    assert document.synced_to_nas is True
    assert document.synced_at is not None
    assert not backend.in_transaction()
    assert Path(place).read_bytes() == b"invoice"
    result = sync_service.sync_all_pending(1)
    assert result["total"] == 2
    assert (result["synced"], result["failed"], result["waiting"]) == (1, 1, 1)
    assert result["errors"][0].startswith("Document 3: ")
    assert "my ghi.pdf" in result["errors"][0]
    stats = sync_service.get_sync_stats(1)
    assert (stats["total_documents"], stats["synced"], stats["pending"]) == (4, 2, 2)
    assert stats["sync_percentage"] == 50.0
    assert stats["inherited"] == 0
    assert stage.is_marked(row)


def test_any_object_with_the_columns_will_do(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x")
    given = SimpleNamespace(
        id=row,
        file_path="/app/uploads/abc.pdf",
        doc_type="receipt",
        date=None,
        created_at=dt.datetime(2024, 5, 6),  # noqa: DTZ001 - as a backend has it
        synced_to_nas=False,
    )

    good, message = get_nas_sync_service(backend).sync_file(given)

    assert good, message
    assert message.endswith("/2024/05/tickets/abc.pdf")
    assert given.synced_to_nas is True
    assert given.synced_at.tzinfo is None


def test_what_the_caller_has_not_committed_stays_his(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x")
    other = stage.row("other.pdf")
    changed = backend.get(Document, other)
    assert changed is not None
    changed.original_name = "renamed"
    document = backend.get(Document, row)

    good, message = get_nas_sync_service(backend).sync_file(document)

    assert good, message
    assert stage.sql("SELECT original_name FROM documents WHERE id = ?", other) == [("renamed",)]


def test_without_a_path_nothing_is_configured_and_it_says_so(
    backend: Session, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_MOUNT_PATH", "")
    row = stage.add("abc.pdf", b"x")
    service = get_nas_sync_service(backend)

    assert service.is_configured() is False
    good, message = service.sync_file(backend.get(Document, row))
    assert not good
    assert "NAS_MOUNT_PATH" in message


def test_a_share_that_is_not_mounted_fails_with_the_remedy(backend: Session, stage: Stage) -> None:
    (stage.nas / ".nas-syncd.json").unlink()
    row = stage.add("abc.pdf", b"x")
    service = get_nas_sync_service(backend)

    good, message = service.sync_file(backend.get(Document, row))

    assert not good
    assert "mont" in message
    assert list(stage.nas.iterdir()) == []
    result = service.sync_all_pending(None)
    assert (result["total"], result["synced"], result["failed"]) == (1, 0, 1)


def test_a_wrong_setting_raises_and_does_not_exit(
    backend: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_SYNCD_WORKERS", "many")
    with pytest.raises(ConfigurationError, match="NAS_SYNCD_WORKERS"):
        get_nas_sync_service(backend)


def test_an_inherited_flag_is_proven_by_reading(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x", synced_to_nas=1)
    place = stage.nas / "2024/01/factures/abc.pdf"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    before = (place.stat().st_mtime_ns, place.stat().st_ino)
    service = get_nas_sync_service(backend)
    assert service.get_sync_stats()["inherited"] == 1

    good, message = service.sync_file(backend.get(Document, row))

    assert good, message
    assert (place.stat().st_mtime_ns, place.stat().st_ino) == before
    assert service.get_sync_stats()["inherited"] == 0


PROGRAM = textwrap.dedent(
    """
    import sys, threading, time, types
    import sqlalchemy as sa
    from sqlalchemy.orm import Session
    from nas_syncd import get_nas_sync_service

    engine = sa.create_engine("sqlite:///" + sys.argv[1], pool_size=60)
    results = []

    def work():
        with Session(engine) as db:
            given = types.SimpleNamespace(id=1, file_path="/app/uploads/abc.pdf",
                                          doc_type=None, date=None, created_at=None)
            started = time.monotonic()
            good, message = get_nas_sync_service(db).sync_file(given)
            results.append((good, time.monotonic() - started, message))

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 50 and not any(good for good, _, _ in results), results
    print(max(seconds for _, seconds, _ in results))
    """
)


@pytest.mark.lab
def test_fifty_threads_return_in_time_while_the_nas_hangs_and_the_process_ends(
    tmp_path: Path, fault_fs
) -> None:
    share = fault_fs()
    stage = Stage(tmp_path / "world", nas=share.path)
    (share.source / ".nas-syncd.json").write_text('{"nas": "11111111-0000"}')
    stage.add("abc.pdf", b"x")
    share.hang("*")
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("NAS_")},
        "NAS_MOUNT_PATH": str(share.path),
        "UPLOAD_DIR": str(stage.uploads),
        "NAS_SYNCD_STATE_DIR": str(stage.state),
        "NAS_SYNCD_NAS_TIMEOUT_SECONDS": "3",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(stage.database)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=40,
        cwd=tmp_path,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 10
    assert not [t for t in threading.enumerate() if t.name.startswith("agent") and not t.daemon]
