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
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    scoped_session,
    sessionmaker,
)

from nas_syncd import NASSyncService, get_nas_sync_service, report
from nas_syncd.errors import ConfigurationError
from tests.helpers import files_below
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


# -- the session ------------------------------------------------------------------------------


def test_no_transaction_stays_open_while_the_nas_is_asked(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x")
    service = get_nas_sync_service(backend)
    for ask in (service.test_connection, service.get_sync_stats, service.sync_all_pending):
        assert backend.get(Document, row) is not None
        assert backend.in_transaction()

        ask()

        assert not backend.in_transaction(), ask


def test_an_asynchronous_session_is_refused_and_told_why(stage: Stage, backend: Session) -> None:
    given: list[Any] = [AsyncSession(), async_scoped_session(async_sessionmaker(), lambda: 1)]
    for db in given:
        with pytest.raises(ConfigurationError, match=f"{type(db).__name__}.*moteur synchrone"):
            get_nas_sync_service(db)


def test_a_scoped_session_is_taken_for_the_session_it_stands_for(
    stage: Stage, backend: Session
) -> None:
    row = stage.add("abc.pdf", b"x")
    scoped = scoped_session(sessionmaker(backend.get_bind()))

    good, message = get_nas_sync_service(scoped).sync_file(scoped.get(Document, row))  # type: ignore[arg-type]

    assert good, message
    assert stage.is_marked(row)
    scoped.remove()


@pytest.mark.parametrize("block", ["begin", "begin_nested"])
def test_within_a_transaction_of_the_callers_the_commit_is_the_callers(
    stage: Stage, backend: Session, block: str
) -> None:
    """To commit there would make the caller's next statement fail."""
    row, other = stage.add("abc.pdf", b"x"), stage.add("def.pdf", b"y")
    with getattr(backend, block)():
        service = get_nas_sync_service(backend)
        document = backend.get(Document, row)

        good, message = service.sync_file(document)
        result = service.sync_all_pending()

        assert good, message
        assert (result["total"], result["synced"]) == (1, 1)
        changed = backend.get(Document, other)
        assert changed is not None
        changed.original_name = "renamed"
        assert stage.marked() == 0  # nobody else sees it yet
    backend.commit()

    assert stage.marked() == 2
    assert stage.sql("SELECT original_name FROM documents WHERE id = ?", other) == [("renamed",)]


def test_a_mark_that_the_caller_rolls_back_is_made_again(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x")
    with backend.begin() as transaction:
        assert get_nas_sync_service(backend).sync_file(backend.get(Document, row))[0]
        transaction.rollback()
    assert not stage.is_marked(row)

    result = get_nas_sync_service(backend).sync_all_pending()

    assert (result["total"], result["synced"], result["errors"]) == (1, 1, [])
    assert stage.is_marked(row)
    assert files_below(stage.nas) == {"2024/01/factures/abc.pdf": b"x"}


def test_a_row_that_was_only_added_gets_its_key_first(stage: Stage, backend: Session) -> None:
    (stage.uploads / "new.pdf").write_bytes(b"x")
    document = Document(
        user_id=1,
        file_path="/app/uploads/new.pdf",
        doc_type="invoice",
        created_at=dt.datetime(2024, 1, 16),  # noqa: DTZ001 - as a backend has it
    )
    backend.add(document)

    good, message = get_nas_sync_service(backend).sync_file(document)

    assert good, message
    assert stage.is_marked(document.id)


def test_what_has_no_id_or_no_row_any_more_is_not_copied(stage: Stage, backend: Session) -> None:
    row = stage.add("abc.pdf", b"x")
    document = backend.get(Document, row)
    backend.commit()  # it is read again when it is looked at
    stage.sql("DELETE FROM documents")
    service = get_nas_sync_service(backend)

    for given in (document, SimpleNamespace(file_path="/app/uploads/abc.pdf")):
        good, message = service.sync_file(given)
        assert not good
        assert message

    assert files_below(stage.nas) == {}
    assert service.is_configured()
    assert service.get_sync_stats()["total_documents"] == 0


# -- one of several users -----------------------------------------------------------------------


def test_a_user_is_told_only_of_his_own_troubles(stage: Stage, backend: Session) -> None:
    stage.add("a1.pdf", b"x", user_id=1)
    stage.add("a2.pdf", None, user_id=1)
    stage.add("b1.pdf", b"y", user_id=2, processing_status="processing")
    (stage.uploads / "folder").mkdir()
    stage.row("folder", user_id=2)
    stage.add("c1.pdf", b"z", user_id=3, synced_to_nas=1)
    service = get_nas_sync_service(backend)
    service.sync_all_pending()

    found = {
        user: [service.get_sync_stats(user)[key] for key in ("waiting", "problems", "inherited")]
        for user in (None, 1, 2, 3, 4)
    }

    assert found == {
        None: [2, 1, 1],
        1: [1, 0, 0],
        2: [1, 1, 0],
        3: [0, 0, 1],
        4: [0, 0, 0],
    }


def test_many_troubles_are_counted_page_by_page(
    stage: Stage, backend: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PAGE", 2)
    for number in range(7):
        stage.add(f"{number}.pdf", None, user_id=int(number > 5))
        (stage.uploads / f"folder {number}").mkdir()
        stage.row(f"folder {number}", user_id=int(number > 4))
    service = get_nas_sync_service(backend)
    service.sync_all_pending()
    stage.add("new.pdf", b"x", user_id=2)
    stats = [service.get_sync_stats(user) for user in (0, 1, 2)]

    assert [one["waiting"] for one in stats] == [6, 1, 0]
    assert [one["problems"] for one in stats] == [5, 2, 0]


def test_where_nobody_has_inherited_documents_they_are_not_looked_at_one_by_one(
    stage: Stage, backend: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PAGE", 1)
    for number in range(6):
        stage.add(f"{number}.pdf", b"x")
    service = get_nas_sync_service(backend)
    service.sync_all_pending()
    asked: list[str] = []
    sa.event.listen(
        backend.get_bind(), "before_cursor_execute", lambda *given: asked.append(given[2])
    )

    stats = service.get_sync_stats(1)

    assert (stats["synced"], stats["inherited"]) == (6, 0)
    assert len(asked) <= 2, asked


# -- a NAS that goes away -----------------------------------------------------------------------


def test_a_nas_that_goes_away_in_a_run_is_told_once_and_the_counts_stay_true(
    stage: Stage, backend: Session
) -> None:
    stage.add_many(900, size=20)

    def pull_the_plug() -> None:
        stage.wait_marked(1)
        (stage.nas / ".nas-syncd.json").unlink()

    puller = threading.Thread(target=pull_the_plug)
    puller.start()
    result = get_nas_sync_service(backend).sync_all_pending()
    puller.join()

    assert result["total"] == result["synced"] + result["failed"] == 900
    assert result["synced"] == stage.marked() < 900
    assert len(result["errors"]) <= 201
    assert sum(not line.startswith("Document ") for line in result["errors"]) == 1


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
