"""The router inside a backend of its own: its application, its users, its sessions, a real socket.

What must hold with FastAPI 0.110.2, SQLAlchemy 2.0.25 and pydantic 2.7.1: `make test-lowest` runs
this file with FastAPI 0.110.0, pydantic 2.7.0 and SQLAlchemy 2.0.25, `make test` with the newest
of each, and both are part of ``.ci/run``.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Security
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from nas_syncd.api import sync_router
from nas_syncd.service.sites import close_all
from tests.documents_backend import Backend
from tests.lab.parts import wait_until
from tests.stage import Stage

CALLS = [
    ("GET", "/sync/status"),
    ("GET", "/sync/config"),
    ("POST", "/sync/test"),
    ("POST", "/sync/run"),
    ("POST", "/sync/document/1"),
]
STATUS = {
    "total_documents": int,
    "synced": int,
    "pending": int,
    "sync_percentage": float,
    "last_sync": str,
    "nas_configured": bool,
    "inherited": int,
    "waiting": int,
    "problems": int,
    "reason": type(None),
}
CONFIG = {
    "configured": bool,
    "nas_host": bool,
    "nas_user": bool,
    "nas_path": bool,
    "host": str,
    "path": str,
    "path_exists": bool,
    "path_writable": bool,
    "state": str,
    "reason": type(None),
}
OUTCOME = {"success": bool, "message": str}
RUN = {"total": int, "synced": int, "failed": int, "errors": list, "waiting": int}


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None]
    file_path: Mapped[str | None]
    original_name: Mapped[str | None]
    doc_type: Mapped[str | None]
    date: Mapped[dt.date | None]
    created_at: Mapped[dt.datetime]
    processing_status: Mapped[str | None]
    synced_to_nas: Mapped[bool | None]
    synced_at: Mapped[dt.datetime | None]


def shape_of(body: dict[str, Any]) -> dict[str, type]:
    return {key: type(value) for key, value in body.items()}


# -- a backend ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _sites_end_with_the_test() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path / "world").pair()
    settle(stage, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return stage


def settle(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_MOUNT_PATH", str(stage.nas))
    monkeypatch.setenv("UPLOAD_DIR", str(stage.uploads))
    for name in ("DB_UPLOAD_DIR", "STATE_DIR", "MIN_FREE_SPACE"):
        monkeypatch.setenv(f"NAS_SYNCD_{name}", str(stage.settings[f"NAS_SYNCD_{name}"]))


class Sessions:
    """What a backend has in its ``database.py``."""

    def __init__(self, url: str) -> None:
        arguments = {"check_same_thread": False} if url.startswith("sqlite") else {}
        self.engine = sa.create_engine(url, connect_args=arguments)
        self.make = sessionmaker(self.engine, autoflush=False)

    def get_db(self) -> Iterator[Session]:
        db = self.make()
        try:
            yield db
        finally:
            db.close()


@pytest.fixture
def sessions(stage: Stage) -> Iterator[Sessions]:
    sessions = Sessions(f"sqlite:///{stage.database}")
    Base.metadata.create_all(sessions.engine)
    with sessions.make() as db:
        db.add_all([User(id=1, email="ada@example.org"), User(id=2, email="bob@example.org")])
        db.commit()
    yield sessions
    sessions.engine.dispose()


oauth2 = OAuth2PasswordBearer(tokenUrl="token")


def users_of(sessions: Sessions) -> Callable[..., int]:
    """The backend's own authentication: a token gives a user, by way of two sub-dependencies."""

    session = Depends(sessions.get_db)

    def current_user(token: str = Depends(oauth2), db: Session = session) -> User:
        user = db.scalar(sa.select(User).where(User.email == token))
        if user is None:
            raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})
        return user

    found = Depends(current_user)

    def current_user_id(user: User = found) -> int:
        return user.id

    return current_user_id


@contextmanager
def serving(*routers: APIRouter) -> Iterator[httpx.Client]:
    """The backend on a port of its own, and somebody who asks it."""
    app = FastAPI()
    for router in routers:
        app.include_router(router)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the backend")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


def as_user(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}@example.org"}


# -- the contract -------------------------------------------------------------------------------

FRENCH = {
    "test": "Montage NAS accessible en lecture/écriture",
    "document": "Synchronisé vers {path}",
    "missing": "Document 3: my ghi.pdf: Le fichier n’est pas dans le dossier des documents",
    "unknown": "Document inconnu\u00a0: 99",
    "no_file": "Ce document n’a pas de fichier\u00a0: 4",
}
ENGLISH = {
    "test": "NAS mount can be read and written",
    "document": "Synced to {path}",
    "missing": "Document 3: my ghi.pdf: The file is not in the upload folder",
    "unknown": "Unknown document: 99",
    "no_file": "This document has no file: 4",
}


@pytest.mark.parametrize(
    ("setting", "query", "words"),
    [
        (None, "", FRENCH),
        ("en", "", ENGLISH),
        ("en", "?lang=fr", FRENCH),
        (None, "?lang=xx", FRENCH),
    ],
)
def test_the_five_calls_answer_as_the_contract_says(
    stage: Stage,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    query: str,
    words: dict[str, str],
) -> None:
    if setting:
        monkeypatch.setenv("NAS_SYNCD_LANGUAGE", setting)
    stage.add("abc.pdf", b"invoice")
    stage.add("def.pdf", b"second")
    stage.add("ghi.pdf", None)
    stage.row("none.pdf", file_path=None)
    stage.add("jkl.pdf", b"waits", processing_status="processing")
    place = f"{stage.nas}/2024/01/factures/abc.pdf"

    with serving(sync_router(get_db=sessions.get_db)) as client:
        before = client.get(f"/sync/status{query}").json()
        config = client.get(f"/sync/config{query}").json()
        test = client.post(f"/sync/test{query}").json()
        document = client.post(f"/sync/document/1{query}").json()
        run = client.post(f"/sync/run{query}").json()
        after = client.get(f"/sync/status{query}").json()
        unknown = client.post(f"/sync/document/99{query}")
        no_file = client.post(f"/sync/document/4{query}")

    assert shape_of(before) == {**STATUS, "last_sync": type(None)}
    assert before["total_documents"] == before["pending"] == 4
    assert before["sync_percentage"] == 0.0
    assert shape_of(config) == CONFIG
    assert config == {
        **dict.fromkeys(("configured", "nas_host", "nas_user", "nas_path"), True),
        **dict.fromkeys(("path_exists", "path_writable"), True),
        "host": "SMB Mount",
        "path": str(stage.nas),
        "state": "ok",
        "reason": None,
    }
    assert test == {"success": True, "message": words["test"]}
    assert document == {"success": True, "message": words["document"].format(path=place)}
    assert Path(place).read_bytes() == b"invoice"
    assert shape_of(run) == RUN
    assert (run["total"], run["synced"], run["failed"], run["waiting"]) == (2, 1, 1, 1)
    assert run["errors"][0].startswith(words["missing"])
    assert shape_of(after) == STATUS
    assert (after["synced"], after["pending"], after["sync_percentage"]) == (2, 2, 50.0)
    assert dt.datetime.fromisoformat(after["last_sync"]).tzinfo is None
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": words["unknown"], "code": "document.unknown"},
    )
    assert (no_file.status_code, no_file.json()) == (
        400,
        {"detail": words["no_file"], "code": "document.no_file"},
    )
    assert stage.is_marked(1)


def test_no_documents_are_none_and_not_an_error(stage: Stage, sessions: Sessions) -> None:
    with serving(sync_router(get_db=sessions.get_db)) as client:
        status = client.get("/sync/status").json()
        run = client.post("/sync/run").json()

    assert shape_of(status) == {**STATUS, "last_sync": type(None)}
    assert (status["total_documents"], status["sync_percentage"]) == (0, 0.0)
    assert run == {"total": 0, "synced": 0, "failed": 0, "errors": [], "waiting": 0}


def test_the_application_describes_the_calls_and_their_errors(sessions: Sessions) -> None:
    router = sync_router(sessions.get_db, users_of(sessions), prefix="/nas", tags=["archive"])
    with serving(router) as client:
        openapi = client.get("/openapi.json").json()

    paths = {path: item for path, item in openapi["paths"].items() if path.startswith("/nas")}
    methods = {(m.upper(), p.replace("/nas", "/sync")) for p, item in paths.items() for m in item}
    assert methods == {(m, p.replace("/1", "/{id}")) for m, p in CALLS}
    operations = [operation for item in paths.values() for operation in item.values()]
    for operation in operations:
        assert operation["tags"] == ["archive"]
        assert operation["description"]
        assert operation["security"] == [{"OAuth2PasswordBearer": []}]
        for number, answer in operation["responses"].items():
            shape = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert (shape == "Problem") == (number in ("400", "403", "404", "500", "503")), number
    assert len({operation["operationId"] for operation in operations}) == 5
    document = paths["/nas/document/{id}"]["post"]["responses"]
    assert set(document) == {"200", "400", "403", "404", "422", "500", "503"}


# -- whose documents ----------------------------------------------------------------------------


def two_users(stage: Stage) -> None:
    stage.add("a1.pdf", b"ada", user_id=1)
    stage.add("a2.pdf", None, user_id=1)
    stage.add("b1.pdf", b"bob", user_id=2)
    stage.row("b2.pdf", file_path=None, user_id=2)


def test_without_users_the_query_narrows_status_and_run(stage: Stage, sessions: Sessions) -> None:
    two_users(stage)
    with serving(sync_router(sessions.get_db)) as client:
        everybody = client.get("/sync/status").json()
        bob = client.get("/sync/status?user_id=2").json()
        nobody = client.get("/sync/status?user_id=").json()
        run = client.post("/sync/run?user_id=2").json()
        other = client.post("/sync/document/1").json()

    assert [one["total_documents"] for one in (everybody, bob, nobody)] == [3, 1, 0]
    assert (run["total"], run["synced"], run["errors"]) == (1, 1, [])
    assert other["success"] is True


def test_with_users_everybody_sees_and_copies_his_own(stage: Stage, sessions: Sessions) -> None:
    two_users(stage)
    router = sync_router(get_db=sessions.get_db, get_user_id=users_of(sessions))
    with serving(router) as client:
        openapi = client.get("/openapi.json").json()
        run = client.post("/sync/run?user_id=2", headers=as_user("ada")).json()
        ada = client.get("/sync/status?user_id=2", headers=as_user("ada")).json()
        bob = client.get("/sync/status", headers=as_user("bob")).json()

    assert "user_id" not in json.dumps(openapi)
    assert (run["total"], run["synced"], run["failed"]) == (2, 1, 1)
    assert not stage.is_marked(3)
    counts = ("total_documents", "synced", "waiting", "problems", "inherited")
    assert [ada[key] for key in counts] == [2, 1, 1, 0, 0]
    assert [bob[key] for key in counts] == [1, 0, 0, 0, 0]


def test_another_users_document_is_as_if_it_did_not_exist(stage: Stage, sessions: Sessions) -> None:
    two_users(stage)
    router = sync_router(get_db=sessions.get_db, get_user_id=users_of(sessions))
    with serving(router) as client:
        answers = {
            number: client.post(f"/sync/document/{number}", headers=as_user("ada"))
            for number in (3, 4, 99)
        }
        own = client.post("/sync/document/1", headers=as_user("ada"))
        no_file = client.post("/sync/document/4", headers=as_user("bob"))

    for number, answer in answers.items():
        assert answer.status_code == 404
        assert answer.json() == {
            "detail": f"Document inconnu\u00a0: {number}",
            "code": "document.unknown",
        }
    assert not stage.is_marked(3)
    assert own.json()["success"] is True
    assert no_file.status_code == 400


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_what_the_backends_own_dependency_raises_passes_through(
    stage: Stage, sessions: Sessions, method: str, path: str
) -> None:
    stage.add("abc.pdf", b"x")
    router = sync_router(get_db=sessions.get_db, get_user_id=users_of(sessions))
    with serving(router) as client:
        none = client.request(method, path)
        wrong = client.request(method, path, headers=as_user("eve"))

    assert (none.status_code, none.json()) == (401, {"detail": "Not authenticated"})
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Who are you?"})
    assert wrong.headers["WWW-Authenticate"] == "Bearer"
    assert not stage.is_marked(1)


@pytest.mark.parametrize("nobody", [None, ""])
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_nobody_is_refused_and_never_taken_for_everybody(
    stage: Stage, sessions: Sessions, method: str, path: str, nobody: str | None
) -> None:
    stage.add("abc.pdf", b"x")
    with serving(sync_router(sessions.get_db, lambda: nobody)) as client:
        answer = client.request(method, path)

    assert answer.status_code == 403
    assert answer.json()["code"] == "backend.no_user"
    assert not stage.is_marked(1)


class Number(enum.IntEnum):
    ADA = 1


@pytest.mark.parametrize("ada", [1, "1", Number.ADA])
def test_a_users_id_may_come_in_any_form(stage: Stage, sessions: Sessions, ada: object) -> None:
    two_users(stage)
    with serving(sync_router(sessions.get_db, lambda: ada)) as client:
        status = client.get("/sync/status").json()
        own = client.post("/sync/document/1").json()
        other = client.post("/sync/document/3")

    assert status["total_documents"] == 2
    assert own["success"] is True
    assert other.status_code == 404


@pytest.mark.parametrize("kind", ["CHAR(32)", "VARCHAR(36)"])
def test_a_uuid_is_compared_as_the_table_holds_it(
    stage: Stage, sessions: Sessions, kind: str
) -> None:
    ada, bob = uuid.uuid4(), uuid.uuid4()
    stage.sql("DROP TABLE documents")
    backend = Backend(f"sqlite:///{stage.database}")
    backend.create(user_id=kind)
    for number, user in enumerate((ada, bob), start=1):
        (stage.uploads / f"{number}.pdf").write_bytes(b"x")
        backend.add(number, user_id=user.hex if kind == "CHAR(32)" else str(user))
    backend.engine.dispose()
    with serving(sync_router(sessions.get_db, lambda: ada)) as client:
        status = client.get("/sync/status").json()
        own = client.post("/sync/document/1")
        other = client.post("/sync/document/2")

    assert status["total_documents"] == 1
    assert own.json()["success"] is True, own.json()
    assert other.status_code == 404


def test_a_whole_user_in_place_of_an_id_is_told_to_the_developer(
    stage: Stage, sessions: Sessions
) -> None:
    stage.add("abc.pdf", b"x")
    user = User(id=1, email="ada@example.org")
    with serving(sync_router(sessions.get_db, lambda: user)) as client:
        answer = client.post("/sync/run")

    assert answer.status_code == 500
    assert "get_user_id" in answer.json()["detail"]
    assert "User" in answer.json()["detail"]
    assert not stage.is_marked(1)


# -- dependencies of every kind -----------------------------------------------------------------


GIVEN_USER = Header(None, alias="X-User")


class HeaderUser:
    """A dependency that is an object."""

    def __init__(self, header: str) -> None:
        self.header = header

    def __call__(self, x_user: str | None = GIVEN_USER) -> str | None:
        return x_user


async def async_user(x_user: Annotated[str | None, Header()] = None) -> AsyncIterator[str | None]:
    yield x_user


async def coroutine_user(x_user: Annotated[str | None, Header()] = None) -> str | None:
    return x_user


AliasedUser = Annotated[str | None, Depends(coroutine_user)]


@pytest.mark.parametrize(
    "get_user_id",
    [
        HeaderUser("x-user"),
        async_user,
        coroutine_user,
        Depends(coroutine_user),
        Security(coroutine_user, scopes=["sync"]),
        AliasedUser,
    ],
    ids=["object", "async generator", "coroutine", "Depends", "Security", "Annotated"],
)
def test_users_may_come_from_any_kind_of_dependency(
    stage: Stage, sessions: Sessions, get_user_id: Any
) -> None:
    two_users(stage)
    with serving(sync_router(sessions.get_db, get_user_id)) as client:
        bob = client.get("/sync/status", headers={"X-User": "2"}).json()
        nobody = client.get("/sync/status")

    assert bob["total_documents"] == 1
    assert nobody.status_code == 403


@pytest.mark.parametrize("how", ["async generator", "function", "transaction", "savepoint"])
def test_sessions_may_come_from_any_kind_of_dependency(
    stage: Stage, sessions: Sessions, how: str
) -> None:
    """Also from a transaction that ends with the request: its commit is the backend's."""
    stage.add("abc.pdf", b"x")
    stage.add("def.pdf", b"y")
    ended: list[str] = []

    async def by_async_generator() -> AsyncIterator[Session]:
        with sessions.make() as db:
            yield db

    def by_function() -> Session:
        return sessions.make()

    def by_transaction() -> Iterator[Session]:
        with sessions.make.begin() as db:
            yield db
        ended.append("committed")

    def by_savepoint() -> Iterator[Session]:
        with sessions.make() as db:
            with db.begin_nested():
                yield db
            db.commit()
        ended.append("committed")

    kinds: dict[str, Any] = {
        "async generator": by_async_generator,
        "function": by_function,
        "transaction": by_transaction,
        "savepoint": by_savepoint,
    }
    with serving(sync_router(kinds[how])) as client:
        one = client.post("/sync/document/1")
        run = client.post("/sync/run")
        status = client.get("/sync/status")
        wait_until(lambda: len(ended) >= 3 or how not in ("transaction", "savepoint"), "the end")

    assert one.json() == {
        "success": True,
        "message": f"Synchronisé vers {stage.nas}/2024/01/factures/abc.pdf",
    }
    assert (run.json()["total"], run.json()["synced"]) == (1, 1)
    assert status.json()["synced"] == 2
    assert stage.marked() == 2


def test_overridden_dependencies_are_obeyed(stage: Stage, sessions: Sessions) -> None:
    """As the backend's own tests do it."""
    two_users(stage)

    def never() -> int:
        raise AssertionError("it was overridden")

    app = FastAPI()
    app.include_router(sync_router(sessions.get_db, never), prefix="/api")
    app.dependency_overrides[never] = lambda: 2

    import asyncio

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
            return await client.get("/api/sync/status")

    assert asyncio.run(ask()).json()["total_documents"] == 1


def test_other_names_for_table_and_columns_need_no_model(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.sql("ALTER TABLE documents RENAME TO papers")
    stage.sql("ALTER TABLE papers RENAME COLUMN synced_to_nas TO archived")
    stage.sql("ALTER TABLE papers RENAME COLUMN user_id TO owner")
    stage.sql("INSERT INTO papers (id, owner, file_path, date, created_at) VALUES"
              " (1, 7, '/app/uploads/a.pdf', '2024-01-15', '2024-01-16 10:00:00'),"
              " (2, 8, '/app/uploads/b.pdf', '2024-01-15', '2024-01-16 10:00:00')")  # fmt: skip
    (stage.uploads / "a.pdf").write_bytes(b"x")
    monkeypatch.setenv("NAS_SYNCD_DB_TABLE", "papers")
    monkeypatch.setenv("NAS_SYNCD_DB_COLUMNS", "synced_to_nas=archived,user_id=owner")
    with serving(sync_router(sessions.get_db, lambda: 7)) as client:
        own = client.post("/sync/document/1").json()
        other = client.post("/sync/document/2")
        status = client.get("/sync/status").json()

    assert own["success"] is True, own
    assert other.status_code == 404
    assert (status["total_documents"], status["synced"]) == (1, 1)
    assert stage.sql("SELECT archived FROM papers ORDER BY id") == [(1,), (None,)]


# -- when something is wrong --------------------------------------------------------------------


def test_without_the_nas_work_is_refused_with_the_reason(stage: Stage, sessions: Sessions) -> None:
    stage.add("abc.pdf", b"x")
    (stage.nas / ".nas-syncd.json").unlink()
    with serving(sync_router(sessions.get_db)) as client:
        answers = [client.post("/sync/run"), client.post("/sync/document/1")]
        unknown = client.post("/sync/document/99")
        test = client.post("/sync/test")
        config = client.get("/sync/config").json()
        status = client.get("/sync/status").json()

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["code"] == "mount.not_mounted"
        assert answer.json()["detail"] == status["reason"] == config["reason"]
    assert unknown.status_code == 404
    assert (test.status_code, test.json()["success"]) == (200, False)
    assert (status["nas_configured"], config["configured"]) == (False, False)
    assert list(stage.nas.iterdir()) == []
    assert not stage.is_marked(1)


def test_a_nas_that_is_not_set_is_named(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_MOUNT_PATH", "")
    with serving(sync_router(sessions.get_db)) as client:
        config = client.get("/sync/config").json()
        run = client.post("/sync/run")

    assert (config["nas_path"], config["path"], config["configured"]) == (False, "", False)
    assert (run.status_code, run.json()["code"]) == (400, "mount.unconfigured")
    assert "NAS_MOUNT_PATH" in run.json()["detail"]


def test_a_database_that_is_away_is_503_and_comes_back(stage: Stage, sessions: Sessions) -> None:
    stage.add("abc.pdf", b"x")
    hidden = stage.database.with_suffix(".away")
    with serving(sync_router(sessions.get_db)) as client:
        sessions.engine.dispose()
        stage.database.rename(hidden)
        stage.database.mkdir()  # nothing can make a database of it
        answers = [
            client.request(method, path)
            for method, path in CALLS
            if path not in ("/sync/config", "/sync/test")
        ]
        config = client.get("/sync/config")
        stage.database.rmdir()
        hidden.rename(stage.database)
        back = client.post("/sync/run")

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "database.unavailable"
        assert set(answer.json()) == {"detail", "code"}
    assert config.status_code == 200
    assert back.json()["synced"] == 1


def test_a_wrong_setting_is_one_line_and_keeps_the_backend_alive(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_SYNCD_WORKERS", "many")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h/d")
    with serving(sync_router(sessions.get_db)) as client:
        answers = [client.request(method, path) for method, path in CALLS]
        hello = client.get("/hello")
        monkeypatch.delenv("NAS_SYNCD_WORKERS")
        mended = client.get("/sync/status")

    for answer in answers:
        assert answer.status_code == 500
        assert answer.json()["code"] == "configuration.invalid"
        assert answer.json()["detail"].startswith("NAS_SYNCD_WORKERS = «\u00a0many")
        assert "\n" not in answer.json()["detail"]
        assert "hunter2" not in answer.text
    assert hello.json() == "hello"
    assert mended.status_code == 200


def test_a_table_that_does_not_fit_is_named(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_SYNCD_DB_TABLE", "papers")
    with serving(sync_router(sessions.get_db)) as client:
        answer = client.get("/sync/status")

    assert (answer.status_code, answer.json()["code"]) == (500, "configuration.no_table")
    assert "papers" in answer.json()["detail"]


@pytest.mark.parametrize("method_and_path", CALLS)
def test_an_asynchronous_session_is_refused_in_clear_words(
    stage: Stage, method_and_path: tuple[str, str]
) -> None:
    async def get_db() -> AsyncIterator[AsyncSession]:
        async with AsyncSession() as db:
            yield db

    with serving(sync_router(get_db)) as client:
        answer = client.request(*method_and_path)

    assert answer.status_code == 500
    assert "AsyncSession" in answer.json()["detail"]
    assert "synchrone" in answer.json()["detail"]


def test_a_state_directory_that_cannot_be_used_is_told(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage.root / "file").write_text("in the way")
    monkeypatch.setenv("NAS_SYNCD_STATE_DIR", str(stage.root / "file" / "state"))
    with serving(sync_router(sessions.get_db)) as client:
        answer = client.get("/sync/status")

    assert (answer.status_code, answer.json()["code"]) == (500, "journal.error")


def test_the_session_of_a_refused_request_can_still_be_committed(
    stage: Stage, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend's dependency commits at the end, as many do."""
    monkeypatch.setenv("NAS_SYNCD_DB_TABLE", "papers")
    seen: list[str] = []

    def get_db() -> Iterator[Session]:
        db = sessions.make()
        try:
            yield db
            db.add(User(email="new@example.org"))
            db.commit()
            seen.append("committed")
        except BaseException as error:
            seen.append(repr(error))
            raise
        finally:
            db.close()

    with serving(sync_router(get_db)) as client:
        assert client.get("/sync/status").status_code == 500
        wait_until(lambda: seen, "the end of the request")

    assert seen == ["committed"]


# -- the lab ------------------------------------------------------------------------------------


@pytest.mark.lab
def test_while_the_nas_hangs_everything_answers_and_the_backend_stays_alive(
    tmp_path: Path, fault_fs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who reload the page do not take the backend's threads away from everybody else."""
    share = fault_fs()
    stage = Stage(tmp_path / "world", nas=share.path)
    (share.source / ".nas-syncd.json").write_text('{"nas": "11111111-0000"}')
    settle(stage, monkeypatch)
    monkeypatch.setenv("NAS_SYNCD_NAS_TIMEOUT_SECONDS", "3")
    stage.add("abc.pdf", b"x")
    stage.add("def.pdf", b"y")
    sessions = Sessions(f"sqlite:///{stage.database}")
    took: dict[str, float] = {}
    answers: dict[str, httpx.Response] = {}

    with serving(sync_router(sessions.get_db)) as client:
        assert client.post("/sync/document/1").json()["success"] is True
        share.hang("*")

        def ask(name: str, method: str, path: str) -> None:
            began = time.monotonic()
            answers[name] = client.request(method, path)
            took[name] = time.monotonic() - began

        asked = [(f"reader {n}", "GET", CALLS[n % 2][1]) for n in range(12)]
        asked += [(path, method, path) for method, path in CALLS[2:4]]
        asked.append(("/sync/document/2", "POST", "/sync/document/2"))
        threads = [threading.Thread(target=ask, args=one) for one in asked]
        for thread in threads:
            thread.start()
        ask("hello", "GET", "/hello")
        for thread in threads:
            thread.join(40)
        again = time.monotonic()
        status = client.get("/sync/status").json()
        again = time.monotonic() - again
        share.clear()
        wait_until(lambda: client.get("/sync/status").json()["nas_configured"], "the NAS", 30)
        back = client.post("/sync/run").json()
    sessions.engine.dispose()

    assert took["hello"] < 4
    assert max(took.values()) < 10, took
    for path in ("/sync/run", "/sync/document/2"):
        assert (answers[path].status_code, answers[path].json()["code"]) == (400, "mount.hung")
    assert answers["/sync/test"].json()["success"] is False
    assert (status["nas_configured"], status["synced"]) == (False, 1)
    assert again < 6
    assert (back["synced"], back["failed"]) == (1, 0)


@pytest.mark.lab
def test_on_postgresql_with_uuid_users(
    stage: Stage, postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = uuid.uuid4(), uuid.uuid4()
    backend = Backend(postgresql_database)
    backend.create(user_id="UUID", synced_at="TIMESTAMPTZ NULL")
    for number, user in ((1, ada), (2, ada), (3, bob)):
        (stage.uploads / f"{number}.pdf").write_bytes(b"%d" % number)
        backend.add(number, user_id=str(user), doc_type="invoice")
    backend.add(4, user_id=str(bob), file_path=None)
    sessions = Sessions(str(backend.engine.url))
    with serving(sync_router(sessions.get_db, lambda: ada)) as client:
        one = client.post("/sync/document/1")
        others = [client.post(f"/sync/document/{n}") for n in (3, 4, 99, "x")]
        run = client.post("/sync/run").json()
        status = client.get("/sync/status").json()
        idle = backend.engine.connect()
        with idle:
            open_ = idle.scalar(
                sa.text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'")
            )
    flags = [backend.flag(number) for number in (1, 2, 3)]
    sessions.engine.dispose()
    backend.engine.dispose()

    assert one.json()["success"] is True, one.json()
    assert [other.status_code for other in others] == [404] * 4
    assert (run["total"], run["synced"]) == (1, 1)
    assert (status["total_documents"], status["synced"], status["inherited"]) == (2, 2, 0)
    assert flags == [True, True, False]
    assert open_ == 0


@pytest.mark.lab
def test_postgresql_that_is_away_is_503_and_comes_back(
    stage: Stage, postgresql: Any, postgresql_database: str
) -> None:
    backend = Backend(postgresql_database)
    backend.create()
    (stage.uploads / "1.pdf").write_bytes(b"x")
    backend.add(1)
    sessions = Sessions(str(backend.engine.url))
    with serving(sync_router(sessions.get_db)) as client:
        before = client.get("/sync/status")
        backend.engine.dispose()
        postgresql.stop()
        try:
            away = [client.get("/sync/status"), client.post("/sync/run")]
        finally:
            postgresql.start()
        back = client.post("/sync/run")
    sessions.engine.dispose()

    assert before.status_code == 200
    assert [one.status_code for one in away] == [503, 503]
    assert back.json()["synced"] == 1


# -- loading ------------------------------------------------------------------------------------


def test_the_package_is_cheap_and_the_router_needs_no_server() -> None:
    """A backend need not have what only the daemon's API needs."""
    program = (
        "import sys, nas_syncd.api\n"
        "heavy = {'fastapi', 'pydantic', 'sqlalchemy', 'structlog'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from nas_syncd.api import sync_router\n"
        "assert callable(sync_router)\n"
        "daemon = {'uvicorn', 'prometheus_client', 'typer', 'nas_syncd.desk', 'nas_syncd.daemon'}\n"
        "assert not daemon & set(sys.modules), daemon & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr


def test_the_package_has_no_other_names() -> None:
    import nas_syncd.api

    with pytest.raises(AttributeError, match="nothing"):
        nas_syncd.api.nothing  # noqa: B018
