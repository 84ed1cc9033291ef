"""``status``, ``config`` and ``test``: the same answers as the API's, whatever is away."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from nas_syncd.journal import Journal
from nas_syncd.models import Document, Reason, Scope, State
from tests.cli_desk import Desk, make_desk
from tests.stage import RunningDaemon

STATUS_KEYS: dict[str, type | tuple[type, ...]] = {
    "total_documents": int,
    "synced": int,
    "pending": int,
    "sync_percentage": float,
    "last_sync": (str, type(None)),
    "nas_configured": bool,
}
CONFIG_KEYS: dict[str, type] = {
    "configured": bool,
    "nas_host": bool,
    "nas_user": bool,
    "nas_path": bool,
    "host": str,
    "path": str,
    "path_exists": bool,
    "path_writable": bool,
}
HUNG_LIMIT_SECONDS = 12.0


@pytest.fixture
def desk(tmp_path, capsys):
    yield from make_desk(tmp_path, capsys)


def test_status_gives_the_contracts_keys_and_their_types(desk: Desk):
    desk.adopted()
    desk.stage.add("a.pdf", b"a")
    desk.flag(desk.stage.add("b.pdf", b"b"))
    desk.stage.sql("INSERT INTO documents (user_id) VALUES (1)")
    said = desk("status", "--json")
    assert said.code == 0
    for key, kind in STATUS_KEYS.items():
        assert isinstance(said.data[key], kind), key
    assert said.data["total_documents"] == 2
    assert said.data["pending"] == 1
    assert said.data["sync_percentage"] == 50.0
    assert said.data["inherited"] == 1
    assert said.data["nas_configured"] is True
    assert said.data["reason"] is None
    assert said.data["daemon"] is None


def test_status_of_one_user(desk: Desk):
    desk.adopted()
    desk.stage.add("a.pdf", b"a", user_id=1)
    desk.stage.add("b.pdf", b"b", user_id=2)
    assert desk("status", "--json", "--user", "2").data["total_documents"] == 1


def test_status_begins_with_one_sentence_for_a_person(desk: Desk):
    desk.adopted()
    assert desk("status").out.splitlines()[0] == "No document so far"
    row = desk.stage.add("a.pdf", b"a")
    assert desk("status").out.startswith("0 of 1 documents are marked, 1 is still to be copied\n")
    assert desk("sync", str(row)).code == 0
    shown = desk("status").out
    assert shown.startswith("The one document is safe on the NAS\n")
    assert "Daemon: not running" in shown
    desk.delete_state()
    assert "1 document without proof of ours" in desk("status").out.splitlines()[0]


@pytest.mark.parametrize(
    ("trouble", "state"), [("no marker", "not_mounted"), ("no path", "missing")]
)
def test_without_the_nas_status_says_why_and_what_to_do_and_ends_with_69(desk, trouble, state):
    desk.adopted()
    desk.stage.add("a.pdf", b"a")
    (desk.stage.nas / ".nas-syncd.json").unlink()
    if trouble == "no path":
        (desk.stage.nas / ".nas-syncd-tmp").rename(desk.stage.root / "away")
        desk.stage.nas.rmdir()
    said = desk("status")
    assert said.code == 69
    first = said.out.splitlines()[0]
    assert "1 document waits" in first
    assert "ount" in first.split(":")[-1] or "ount" in first
    told = desk("status", "--json")
    assert told.code == 69
    assert told.data["nas_configured"] is False
    assert told.data["mount"]["state"] == state
    assert told.data["reason"] in first
    assert told.data["total_documents"] == 1


def test_without_the_database_status_keeps_its_keys_and_ends_with_75(desk: Desk):
    desk.adopted()
    desk.stage.database.unlink()
    said = desk("status", "--json")
    assert said.code == 75
    assert set(STATUS_KEYS) <= set(said.data)
    assert said.data["total_documents"] is None
    assert said.data["nas_configured"] is True
    assert said.data["error"]["code"] == "database.unavailable"
    plain = desk("status")
    assert plain.code == 75
    assert plain.out.startswith("The database does not answer")
    assert "ready" in plain.out


def test_problems_are_shown_with_name_and_reason(desk: Desk):
    desk.adopted()
    row = desk.stage.add("a.pdf", b"a")
    journal = Journal(desk.stage.state)
    scope = Scope(f"sqlite:///{desk.stage.database}", "documents")
    document = Document(str(row), "/app/uploads/a.pdf")
    journal.note(scope, document, State.PROBLEM, Reason("refuse.link", {"path": "a.pdf"}))
    journal.close()
    said = desk("status")
    assert "Problems: 1" in said.out
    assert f"Document {row} (my a.pdf): This is a link, not a file: a.pdf" in said.out
    assert desk("status", "--json").data["problems"] == 1


def test_a_running_daemon_is_believed(desk: Desk):
    desk.adopted()
    desk.stage.add("a.pdf", b"a")
    with RunningDaemon(desk.stage) as daemon:
        daemon.wait_for("document.synced")
        seen = time.monotonic()
        told = desk("status", "--json").data
        while told["uploads"] is None and time.monotonic() < seen + 20:
            told = desk("status", "--json").data
        assert told["daemon"] == daemon.process.pid
        assert told["mount"]["state"] == "ok"
        assert told["uploads"]["path"] == str(desk.stage.uploads)
        assert f"Daemon: running (process {daemon.process.pid})" in desk("status").out
        busy = desk("run")
        assert busy.code == 75
        assert str(daemon.process.pid) in busy.err
        assert daemon.stop() == 0
    assert desk("status", "--json").data["daemon"] is None


@pytest.mark.lab
def test_with_the_nas_hung_status_config_and_explain_answer_in_seconds(desk: Desk, fault_fs):
    nas = fault_fs()
    desk.stage.settings |= {"NAS_LOCAL_PATH": nas.path, "NAS_SYNCD_NAS_TIMEOUT_SECONDS": "2"}
    desk.adopted()
    row = desk.stage.add("a.pdf", b"a")
    nas.hang()
    try:
        for arguments in (["status"], ["config"], ["explain", str(row)], ["test"], ["sync"]):
            began = time.monotonic()
            process = desk.start(*arguments, "--json", stdout=subprocess.PIPE)
            out, _ = process.communicate(timeout=60)
            assert time.monotonic() - began < HUNG_LIMIT_SECONDS, arguments
            assert "does not answer" in out, arguments
            assert process.returncode == (0 if arguments[0] in ("config", "explain") else 69)
            if arguments[0] == "status":
                assert json.loads(out)["total_documents"] == 1
    finally:
        nas.clear()
    assert desk("sync").code == 0


# -- config -----------------------------------------------------------------------------------


def test_config_gives_the_contracts_keys_and_every_setting_with_its_origin(desk: Desk):
    desk.adopted()
    said = desk("config", "--json", NAS_SYNCD_API_TOKEN="open sesame")
    assert said.code == 0
    for key, kind in CONFIG_KEYS.items():
        assert isinstance(said.data[key], kind), key
    assert said.data["configured"] is True
    assert said.data["host"] == "SMB Mount"
    assert said.data["path"] == str(desk.stage.nas)
    settings = said.data["settings"]
    file = str(desk.stage.root / "config.env")
    assert settings["NAS_LOCAL_PATH"] == {"value": str(desk.stage.nas), "origin": file}
    assert settings["NAS_SYNCD_WORKERS"] == {"value": "4", "origin": "default"}
    assert "sesame" not in said.all


def test_config_needs_neither_a_database_nor_a_nas(desk: Desk):
    desk.stage.settings = {"NAS_SYNCD_STATE_DIR": desk.stage.state, "NAS_SYNCD_LANGUAGE": "en"}
    said = desk("config")
    assert said.code == 0
    assert said.out.startswith("NAS not configured")
    assert "NAS_SYNCD_WORKERS\t4\tby default" in said.out.splitlines()
    assert desk("config", "--json").data["configured"] is False


# -- test -------------------------------------------------------------------------------------


def test_a_good_test_says_so_in_the_contracts_words(desk: Desk):
    desk.adopted()
    said = desk("test", "--json", NAS_SYNCD_LANGUAGE="fr")
    assert said.code == 0
    assert said.data == {"success": True, "message": "Montage NAS accessible en lecture/écriture"}
    assert desk("test").out == "NAS mount can be read and written\n"
    left = [path for path in desk.stage.nas.rglob("*") if path.is_file()]
    assert [path.name for path in left] == [".nas-syncd.json"]


@pytest.mark.parametrize("trouble", ["not adopted", "no path", "no setting"])
def test_a_bad_test_says_why_and_ends_with_69(desk: Desk, trouble):
    if trouble == "no path":
        desk.stage.nas.rmdir()
    settings = {"NAS_LOCAL_PATH": ""} if trouble == "no setting" else {}
    said = desk("test", "--json", **settings)
    assert said.code == 69
    assert said.data["success"] is False
    assert said.data["message"]
    assert said.data["error"]["remedy"] in said.data["message"]
    assert desk("test", **settings).err.strip() == said.data["message"]


@pytest.mark.root
def test_a_nas_that_is_mounted_read_only_fails_the_test_and_says_so(desk: Desk, tmpfs_mount):
    disk = tmpfs_mount("4m")
    desk.stage.settings["NAS_LOCAL_PATH"] = disk.path
    desk.adopted()
    disk.remount("ro")
    said = desk("test")
    assert said.code == 69
    assert "read-only" in said.err
