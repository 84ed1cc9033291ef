"""The calls of the contract, key by key and type by type, asked of the real daemon."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.http_client import Client, free_port
from tests.lab.parts import wait_until
from tests.stage import RunningDaemon, Stage

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
}
RUN = {"total": int, "synced": int, "failed": int, "errors": list}
OUTCOME = {"success": bool, "message": str}


def check(data: dict[str, object], shape: dict[str, type]) -> None:
    """Every key is there and has exactly its type; further keys may be there."""
    assert {name: type(data.get(name, ...)) for name in shape} == shape


@pytest.fixture(params=["fr", "en"])
def stage(request, tmp_path) -> Stage:
    return Stage(tmp_path, NAS_SYNCD_LANGUAGE=request.param, NAS_SYNCD_API_PORT=free_port()).pair()


@contextmanager
def serving(stage: Stage) -> Iterator[Client]:
    with RunningDaemon(stage) as daemon:
        yield Client(int(str(stage.settings["NAS_SYNCD_API_PORT"]))).wait()
        assert daemon.process.poll() is None, "".join(daemon.text)
        assert daemon.stop() == 0
        assert "Traceback" not in "".join(daemon.text)


def words(stage: Stage, fr: str, en: str) -> str:
    return fr if stage.settings["NAS_SYNCD_LANGUAGE"] == "fr" else en


def test_the_five_calls_answer_with_exactly_their_keys_and_types(stage: Stage):
    for number in range(3):
        stage.add(f"{number}.pdf", os.urandom(3000))
    with serving(stage) as ask:
        stage.wait_marked(3)
        missing = stage.row("nowhere.pdf", original_name="facture mai.pdf")
        waiting = stage.add("late.pdf", b"x", processing_status="processing")

        status = ask.get("/sync/status")
        assert (status.status, status.headers["content-type"]) == (200, "application/json")
        wait_until(lambda: ask.get("/sync/status").data["total_documents"] == 5, "both rows")
        data = ask.get("/sync/status").data
        check(data, STATUS)
        assert (data["total_documents"], data["synced"], data["pending"]) == (5, 3, 2)
        assert data["sync_percentage"] == 60.0
        assert data["nas_configured"] is True
        last = dt.datetime.fromisoformat(data["last_sync"])
        assert last.tzinfo is None
        assert abs((dt.datetime.now(dt.UTC).replace(tzinfo=None) - last).total_seconds()) < 60

        data = ask.get("/sync/config").data
        check(data, CONFIG)
        assert data["host"] == "SMB Mount"
        assert data["path"] == str(stage.nas)
        assert all(value for name, value in data.items() if name in CONFIG)

        data = ask.post("/sync/test").data
        check(data, OUTCOME)
        said = words(
            stage, "Montage NAS accessible en lecture/écriture", "NAS mount can be read and"
        )
        assert data["success"] is True
        assert data["message"].startswith(said)

        data = ask.post("/sync/run").data
        check(data, RUN)
        assert (data["total"], data["synced"], data["failed"]) == (1, 0, 1)
        assert data["waiting"] == 1
        assert data["errors"][0].startswith(f"Document {missing}")
        assert "facture mai.pdf" in data["errors"][0]

        stage.sql("UPDATE documents SET processing_status = 'completed' WHERE id = ?", waiting)
        answer = ask.post(f"/sync/document/{waiting}")
        check(answer.data, OUTCOME)
        place = f"{stage.nas}/2024/01/factures/late.pdf"
        assert answer.data == {
            "success": True,
            "message": words(stage, f"Synchronisé vers {place}", f"Synced to {place}"),
            "reason": None,
        }
        assert stage.is_marked(waiting)
        assert ask.get("/sync/status").data["synced"] == 4, "what we marked shows at once"


def test_without_documents_the_status_is_zero_and_null(stage: Stage):
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        data = ask.get("/sync/status").data
        check(data, {**STATUS, "last_sync": type(None)})
        assert (data["total_documents"], data["sync_percentage"]) == (0, 0.0)


def test_percentages_have_one_decimal_and_users_are_told_apart(stage: Stage):
    stage.add("a.pdf", b"a", user_id=1)
    stage.row("b.pdf", user_id=1)
    stage.row("c.pdf", user_id=2)
    with serving(stage) as ask:
        stage.wait_marked(1)
        assert ask.get("/sync/status").data["sync_percentage"] == 33.3
        mine = ask.get("/sync/status?user_id=1").data
        check(mine, STATUS)
        assert (mine["total_documents"], mine["synced"], mine["sync_percentage"]) == (2, 1, 50.0)
        other = ask.get("/sync/status?user_id=2").data
        assert (other["total_documents"], other["synced"], other["last_sync"]) == (1, 0, None)
        result = ask.post("/sync/run?user_id=2").data
        assert (result["total"], result["failed"], len(result["errors"])) == (1, 1, 1)
        assert ask.post("/sync/run?user_id=3").data["total"] == 0
        missing = ask.post("/sync/document/2").data
        assert (missing["success"], missing["reason"]["code"]) == (False, "source.missing")


def test_an_unknown_document_is_404_and_one_without_a_file_400(stage: Stage):
    manual = stage.row("x", file_path=None)
    with serving(stage) as ask:
        unknown = ask.post("/sync/document/999")
        assert (unknown.status, unknown.data["code"]) == (404, "document.unknown")
        assert ask.post("/sync/document/not-a-key").status == 404
        without = ask.post(f"/sync/document/{manual}")
        assert (without.status, without.data["code"]) == (400, "document.no_file")
        assert isinstance(without.data["detail"], str)


def test_without_a_usable_nas_run_and_document_are_400_with_the_reason(stage: Stage):
    row = stage.add("a.pdf", b"a")
    (stage.nas / ".nas-syncd.json").unlink()
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/config").data["state"] == "not_mounted", "a look")
        status = ask.get("/sync/status").data
        check(status, {**STATUS, "last_sync": type(None), "reason": str})
        assert status["nas_configured"] is False
        for call in ("/sync/run", f"/sync/document/{row}", "/sync/runs"):
            said = ask.post(call)
            assert (said.status, said.data["code"]) == (400, "mount.not_mounted"), call
            assert said.data["detail"].startswith(status["reason"][:30])
        tested = ask.post("/sync/test")
        assert (tested.status, tested.data["success"]) == (200, False)
        check(tested.data, OUTCOME)
        config = ask.get("/sync/config").data
        check(config, CONFIG)
        assert (config["configured"], config["nas_path"]) == (False, True)


def test_a_language_can_be_asked_for(stage: Stage):
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        french = "Montage NAS accessible en lecture/écriture"
        assert ask.post("/sync/test?lang=fr").data["message"] == french
        assert ask.post("/sync/test?lang=en").data["message"].startswith("NAS mount can be")
        refused = ask.get("/sync/status?lang=de")
        assert (refused.status, refused.data["code"]) == (422, "api.invalid")


def test_what_the_backend_changes_shows_within_a_second(tmp_path):
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()
    stage.add_many(20)
    with serving(stage) as ask:
        stage.wait_marked(20)
        assert ask.get("/sync/status").data["synced"] == 20
        stage.row("new.pdf")
        changed = time.monotonic()
        wait_until(lambda: ask.get("/sync/status").data["total_documents"] == 21, "it", seconds=5)
        assert time.monotonic() - changed < 1.3  # a second, and the polling of this test


def test_all_safe_is_never_said_while_one_waits(tmp_path):
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()
    stage.add("safe.pdf", b"safe")
    stage.add("waits.pdf", b"waits", processing_status="pending")
    with serving(stage) as ask:
        stage.wait_marked(1)
        wait_until(lambda: ask.get("/sync/status").data["synced"] == 1, "the first")
        for number in range(3):
            stage.add(f"{number}.pdf", b"%d" % number)
            until = time.monotonic() + 1.0
            told = []
            while time.monotonic() < until:
                told.append(ask.get("/sync/status").data)
                told.append(ask.get("/sync/now").data["status"])
            assert min(one["pending"] for one in told) >= 1, told
            assert told[-1]["synced"] == number + 2


def test_the_run_answers_with_the_true_counts_while_the_daemon_copies_the_same(tmp_path):
    """Runs, single documents and the daemon at once: each is copied once, every sum is right."""
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()
    stage.nas.joinpath(".nas-syncd.json").rename(tmp_path / "marker")
    stage.add_many(300, folders=5)
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/config").data["state"] == "not_mounted", "no marker")
        (tmp_path / "marker").rename(stage.nas / ".nas-syncd.json")
        results: list[dict[str, object]] = []
        threads = [
            threading.Thread(target=lambda: results.append(ask.post("/sync/run").data))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 3
        for result in results:
            check(result, RUN)
            assert result["failed"] == 0, result
            assert result["total"] == result["synced"]
        assert max(int(str(result["total"])) for result in results) >= 250
        assert ask.get("/sync/status").data["synced"] == 300
    verdict = stage.verdict()
    assert verdict.perfect, verdict
    assert len(list(stage.nas.rglob("*.pdf"))) == 300


def test_beside_runs_no_document_goes_its_way_twice(tmp_path):
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()
    stage.add_many(500, folders=5)
    with RunningDaemon(stage) as daemon:
        ask = Client(int(str(stage.settings["NAS_SYNCD_API_PORT"]))).wait()
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        for _ in range(2):
            assert ask.post("/sync/run?wait=false").status == 202
        inherited = 0
        while stage.marked() < 500:
            inherited = max(inherited, ask.get("/sync/status").data["inherited"])
        assert daemon.stop() == 0
        assert daemon.count("document.synced") == 500
        assert inherited == 0
    assert stage.verdict().perfect


def test_not_waiting_answers_202_with_where_to_look(tmp_path):
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=free_port()).pair()
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        stage.row("missing.pdf")
        begun = ask.post("/sync/run?wait=false")
        assert begun.status == 202
        url = begun.headers["location"]
        assert re.fullmatch(r"/sync/runs/[0-9a-f]{12}", url)
        assert begun.data["url"] == url
        wait_until(lambda: ask.get(url).data["state"] == "done", "the end")
        done = ask.get(url).data
        check(done, RUN)
        assert (done["total"], done["failed"], done["done"]) == (1, 1, 1)
        assert [one["ending"] for one in done["ended"]] == ["failed"]
        assert ask.get(f"{url}?after={done['next']}").data["ended"] == []
        assert ask.get("/sync/runs/000000000000").status == 404


def test_while_the_nas_hangs_all_that_is_known_is_told_in_50_ms(tmp_path, fault_fs):
    nas = fault_fs()
    stage = Stage(
        tmp_path,
        nas=nas.path,
        NAS_SYNCD_API_PORT=free_port(),
        NAS_SYNCD_NAS_TIMEOUT_SECONDS=3,
    ).pair()
    row = stage.add("a.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        ask = Client(int(str(stage.settings["NAS_SYNCD_API_PORT"]))).wait()
        stage.wait_marked(1)
        nas.rules([{"op": "*", "path": "*", "do": "hang"}])
        late = stage.add("b.pdf", b"b")
        calls = ("/sync/status", "/sync/config", "/sync/now", "/readyz", "/metrics", "/healthz")
        times: dict[str, list[float]] = {call: [] for call in calls}
        until = time.monotonic() + 6
        while time.monotonic() < until:
            for call in calls:
                began = time.monotonic()
                ask.get(call)
                times[call].append(time.monotonic() - began)
            time.sleep(0.02)
        medians = {call: sorted(took)[len(took) // 2] for call, took in times.items()}
        assert max(medians.values()) < 0.05, medians
        assert ask.get("/sync/config").data["state"] == "hung"
        began = time.monotonic()
        assert ask.post("/sync/run").data["code"] == "mount.hung"
        assert ask.post(f"/sync/document/{late}").status == 400
        assert ask.post("/sync/test").data["success"] is False
        assert time.monotonic() - began < 7, "with a deadline, each of them"
        nas.clear()
        stage.wait_marked(2)
        assert ask.post(f"/sync/document/{row}").data["success"] is True
        assert daemon.stop() == 0


def test_the_same_application_answers_on_the_socket_of_the_state_directory(tmp_path):
    stage = Stage(tmp_path).pair()  # port 0: no HTTP over the network
    row = stage.add("a.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        ask = Client(stage.state / "daemon.sock").wait()
        stage.wait_marked(1)
        check(ask.get("/sync/status").data, STATUS)
        told = ask.get(f"/sync/documents/{row}").data
        assert told["documents"][0]["receipt"]["valid"] is True
        assert (stage.state / "daemon.sock").stat().st_mode & 0o777 == 0o660
        ready = daemon.wait_for("api.ready")
        assert ready["urls"] == [f"unix:{stage.state}/daemon.sock"]
        assert daemon.stop() == 0
    assert not (stage.state / "daemon.sock").exists()


def test_no_answer_holds_a_secret(tmp_path):
    stage = Stage(
        tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/backend.sqlite",
        NAS_SYNCD_API_TOKEN="a-token-that-nobody-may-see",
        NAS_SYNCD_NOTIFY_URLS="json://user:pass-word-9@example.org",
        NAS_SYNCD_API_PORT=free_port(),
    ).pair()
    row = stage.add("a.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        ask = Client(stage.state / "daemon.sock").wait()
        stage.wait_marked(1)
        calls = ["/openapi.json", "/metrics", "/sync/now", "/sync/config", f"/sync/documents/{row}"]
        said = b"".join(ask.get(call).body for call in calls) + ask.get("/sync/log").body
        assert len(said) > 5000
        assert b"a-token-that" not in said
        assert b"pass-word-9" not in said
        outside = Client(int(str(stage.settings["NAS_SYNCD_API_PORT"]))).wait()
        assert outside.get("/sync/status").status == 401
        told = json.dumps(outside.get("/readyz").data)
        assert str(tmp_path) not in told
        assert daemon.stop() == 0
