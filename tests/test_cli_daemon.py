"""The command with a daemon that runs: it hands its work over, and shows the same."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas_syncd import __version__
from nas_syncd.cli import remote
from nas_syncd.cli.remote import GoneError, Remote, error_from_detail, is_older, knock
from nas_syncd.localsocket import bind_local
from nas_syncd.messages import remedy
from tests.cli_desk import Desk, Said, make_desk, on_a_terminal
from tests.lab.parts import wait_until
from tests.stage import RunningDaemon

AWAY = {"DATABASE_URL": "sqlite:////nowhere/at/all.sqlite"}
"""With it nothing can be done by ourselves: what is told comes from the daemon."""
VOLATILE = ("checked_at", "since", "free_bytes")


@pytest.fixture
def desk(tmp_path, capsys):
    yield from (made.adopted() for made in make_desk(tmp_path, capsys))


@contextmanager
def running(desk: Desk) -> Iterator[RunningDaemon]:
    with RunningDaemon(desk.stage) as daemon:
        daemon.wait_for("api.ready")
        wait_until(lambda: desk.stage.state.joinpath("daemon.sock").exists(), "the socket")
        yield daemon
        if daemon.process.poll() is None:
            assert daemon.stop() == 0


def alone(desk: Desk, *arguments: str) -> Said:
    """Call it as if the daemon had no socket."""
    path = desk.stage.state / "daemon.sock"
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        return desk(*arguments)
    finally:
        aside.rename(path)


def uploads_are_ok(desk: Desk) -> bool:
    uploads = alone(desk, "status", "--json").data["uploads"]
    return uploads is not None and uploads["state"] == "ok"


def keys(data: Any) -> Any:
    """The names in *data*, however deep."""
    if isinstance(data, dict):
        return {name: keys(value) for name, value in data.items() if name != "params"}
    return None


def steady(data: Any) -> Any:
    """*data* without what is another one each time."""
    if isinstance(data, dict):
        return {name: steady(value) for name, value in data.items() if name not in VOLATILE}
    return [steady(one) for one in data] if isinstance(data, list) else data


# -- asking -----------------------------------------------------------------------------------


def test_status_is_the_daemons_and_the_same_as_our_own(desk: Desk):
    for number in range(3):
        desk.stage.add(f"{number}.pdf", b"x%d" % number, user_id=number)
    desk.stage.add("w.pdf", b"w", processing_status="pending")
    (desk.stage.root / "elsewhere").write_text("secret")
    (desk.stage.uploads / "l.pdf").symlink_to(desk.stage.root / "elsewhere")
    link = desk.stage.row("l.pdf")
    with running(desk) as daemon:
        desk.stage.wait_marked(3)
        daemon.wait_for("document.refused")
        wait_until(lambda: uploads_are_ok(desk), "what it wrote down last", seconds=20)
        told = desk("status", "--json", **AWAY)
        assert told.code == 0
        assert told.data["daemon"] == daemon.process.pid
        assert (told.data["synced"], told.data["pending"], told.data["problems"]) == (3, 2, 1)

        ours = alone(desk, "status", "--json").data
        assert keys(told.data) == keys(ours)
        assert steady(told.data) == steady(ours)
        assert desk("status", "--json", "--user", "2", **AWAY).data["total_documents"] == 1

        shown = desk("status", **AWAY).out
        assert f"Document {link} (my l.pdf): This is a link, not a file" in shown
        ago = r"(checked|Last copy:) (\d+ s|\d+ min.*?) ago"
        assert re.sub(ago, "", shown) == re.sub(ago, "", alone(desk, "status").out)


def test_status_keeps_its_keys_when_the_daemon_has_lost_nas_or_database(desk: Desk):
    desk.stage.add("a.pdf", b"a")
    (desk.stage.nas / ".nas-syncd.json").rename(desk.stage.root / "marker")
    with running(desk) as daemon:
        daemon.wait_for("mount.changed", state="not_mounted")
        told = desk("status", "--json")
        assert told.code == 69
        assert told.data["mount"]["reason"]["code"] == "mount.not_mounted"
        assert keys(told.data) == keys(alone(desk, "status", "--json").data)
        assert told.data["reason"] in desk("status").out.splitlines()[0]
        test = desk("test", "--json")
        assert (test.code, test.data["success"]) == (69, False)
        assert test.data["error"]["code"] == "mount.not_mounted"
        assert test.data["error"]["remedy"] in test.data["message"]
        sync = desk("sync", "--json")
        assert (sync.code, sync.data["error"]["code"]) == (69, "mount.not_mounted")
        assert sync.data == alone(desk, "sync", "--json").data
        assert desk("sync").err == alone(desk, "sync").err

        (desk.stage.root / "marker").rename(desk.stage.nas / ".nas-syncd.json")
        desk.stage.wait_marked(1)
        desk.stage.database.rename(desk.stage.root / "away")
        daemon.wait_for("database.unavailable")
        told = desk("status", "--json")
        assert told.code == 75
        assert told.data["error"]["code"] == "database.unavailable"
        assert told.data["total_documents"] is None
        assert keys(told.data) == keys(alone(desk, "status", "--json").data)
        assert desk("status").out.startswith("The database does not answer")
        (desk.stage.root / "away").rename(desk.stage.database)


def test_explain_is_the_daemons_and_the_same_as_our_own(desk: Desk, monkeypatch):
    row = desk.stage.add("sub/a.pdf", b"a")
    (desk.stage.uploads / "orphan.pdf").write_bytes(b"x")
    desk.stage.sql("INSERT INTO documents (id, user_id) VALUES (50, 1)")
    with running(desk):
        desk.stage.wait_marked(1)
        monkeypatch.chdir(desk.stage.uploads / "sub")
        for wanted in (str(row), "a.pdf", "sub/a.pdf", "../orphan.pdf", "50", "4711", "never.pdf"):
            told = desk("explain", wanted, "--json", **AWAY)
            ours = alone(desk, "explain", wanted, "--json")
            assert told.code == ours.code, wanted
            told.data.pop("searched"), ours.data.pop("searched")
            found = [one["id"] for one in told.data["documents"]]
            assert found == [one["id"] for one in ours.data["documents"]], wanted
            assert steady(told.data["documents"]) == steady(ours.data["documents"])
            assert told.data.get("error") == ours.data.get("error")
        assert desk("explain", str(row), **AWAY).out == alone(desk, "explain", str(row)).out
        french = desk("explain", str(row), NAS_SYNCD_LANGUAGE="fr", **AWAY).out
        assert french.startswith(f"Document {row} (my sub/a.pdf)\xa0: Copié")


def test_test_and_config_are_the_daemons(desk: Desk):
    with running(desk):
        said = desk("test", "--json", NAS_SYNCD_LANGUAGE="fr", **AWAY)
        assert said.code == 0
        assert said.data["message"] == "Montage NAS accessible en lecture/écriture"
        told, ours = desk("config", "--json").data, alone(desk, "config", "--json").data
        assert told == ours
        assert told["settings"]["NAS_SYNCD_WORKERS"]["value"] == "4"


def test_a_daemon_with_other_paths_is_not_asked(desk: Desk):
    other = desk.stage.root / "other"
    other.mkdir()
    with running(desk):
        told = desk("config", "--json", NAS_LOCAL_PATH=other).data
        assert told["path"] == str(other)
        assert told["configured"] is False


# -- syncing ----------------------------------------------------------------------------------


def test_sync_is_the_daemons_work_with_the_same_lines_and_exit_code(desk: Desk):
    good = desk.stage.add("a.pdf", b"a")
    lost = desk.stage.row("lost.pdf")
    waits = desk.stage.add("w.pdf", b"w", processing_status="pending")
    with running(desk):
        said = desk("sync", str(good), str(lost), str(waits), "4711", **AWAY)
        assert said.code == 1
        place = desk.stage.nas / "2024/01/factures/a.pdf"
        assert said.out.splitlines()[0] == "Document 4711: Unknown document"
        assert f"Document {good}: my a.pdf: Synced to {place}\n" in said.out
        assert f"Document {lost}: my lost.pdf: The file is not in the upload folder" in said.out
        assert f"Document {waits}: my w.pdf: The document's analysis is not" in said.out
        assert said.out.endswith("1 document safe, 2 failed, 1 waiting.\n")
        assert desk.stage.is_marked(good)

        told = desk("sync", "--all", "--json", **AWAY)
        assert told.data == alone(desk, "sync", "--all", "--json").data
        assert (told.data["failed"], told.data["waiting"], told.code) == (1, 1, 1)
        assert desk("sync", "--user", "7", "--json", **AWAY).data["total"] == 0


def test_sync_checks_inherited_documents_through_the_daemon(desk: Desk):
    rows = [desk.stage.add(f"{n}.pdf", f"paper {n}".encode()) for n in range(4)]
    assert desk("sync").code == 0
    (desk.stage.nas / "2024/01/factures/2.pdf").write_bytes(b"rotten!")
    desk.delete_state()
    (desk.stage.uploads / "3.pdf").unlink()
    with running(desk):
        said = desk("sync", "--inherited", "--json", **AWAY)
        assert said.data["inherited"] == {"proven": 2, "recopied": 1, "unverifiable": 1}
        assert (said.data["synced"], said.data["failed"], said.code) == (3, 0, 1)
        assert said.data["errors"][0].startswith(f"Document {rows[3]}: my 3.pdf: Cannot be")


def test_a_run_of_thousands_is_counted_to_its_end_and_a_terminal_gets_a_bar(desk: Desk):
    with running(desk):
        desk.stage.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2300)"
            " INSERT INTO documents (user_id, file_path, date)"
            " SELECT 1, '/app/uploads/lost/' || i || '.pdf', '2024-01-01' FROM n"
        )
        said = desk("sync", "--json", **AWAY)
        assert (said.data["failed"], len(said.data["errors"])) == (2300, 2300)
        desk.stage.sql("DELETE FROM documents")
        desk.stage.add("a.pdf", b"a")
        code, shown = on_a_terminal(desk.stage, "sync")
        assert code == 0
        assert "━" in shown
        assert "0 documents safe." in shown or "1 document safe." in shown


def test_a_dry_run_is_our_own(desk: Desk):
    row = desk.stage.add("w.pdf", b"w", processing_status="pending")
    with running(desk):
        said = desk("sync", "--dry-run", "--json")
        assert said.data["plan"][0]["id"] == str(row)
        assert desk("sync", "--dry-run", **AWAY).code == 75


def test_ctrl_c_leaves_the_work_to_the_daemon(desk: Desk, fault_fs):
    nas = fault_fs()
    desk.stage.settings["NAS_LOCAL_PATH"] = nas.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    with running(desk):
        nas.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": 3.0}])
        rows = [str(desk.stage.add(f"{n}.pdf", b"%d" % n)) for n in range(3)]
        process = desk.start("sync", "4711", *rows, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == "Document 4711: Unknown document\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "The daemon goes on by itself" in out
        assert "Traceback" not in err
        nas.clear()
        desk.stage.wait_marked(3)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_daemon_that_ends_leaves_undone_is_done_by_ourselves(desk: Desk, fault_fs, how):
    nas = fault_fs()
    desk.stage.settings["NAS_LOCAL_PATH"] = nas.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    with running(desk) as daemon:
        nas.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": 0.5}])
        for number in range(60):
            desk.stage.add(f"{number}.pdf", b"%d" % number)
        process = desk.start("sync", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "Synced to" in first
        assert desk.stage.marked() < 60
        daemon.process.send_signal(how)
        daemon.process.wait(20)
        nas.clear()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "The daemon has ended: this command sees to the rest" in out
        assert desk.stage.marked() == 60


# -- the log ----------------------------------------------------------------------------------


def test_the_daemons_log_is_read_where_there_is_no_file(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    with running(desk) as daemon:
        daemon.wait_for("document.synced")
        said = desk("logs")
        assert said.code == 0
        assert f"✓ my a.pdf ({row}) → 2024/01/factures/a.pdf" in said.out
        only = [
            json.loads(line)
            for line in desk("logs", "--json", "--document", str(row)).out.splitlines()
        ]
        assert {one["document_id"] for one in only} == {str(row)}
        assert desk("logs", "--level", "error").out == ""


def test_the_log_is_followed_also_into_the_daemons_next_life(desk: Desk):
    with running(desk):
        process = desk.start("logs", "-f", "--json", stdout=subprocess.PIPE)
        events: list[dict[str, Any]] = []
        reader = threading.Thread(target=read_events, args=(process, events))
        reader.start()
        row = desk.stage.add("a.pdf", b"a")
        wait_until(lambda: synced(events) == [str(row)], "the first document", seconds=30)
    with running(desk) as daemon:
        second = desk.stage.add("b.pdf", b"b")
        wait_until(lambda: synced(events) == [str(row), str(second)], "the second", seconds=30)
        started = [one["pid"] for one in events if one["event"] == "daemon.started"]
        assert len(started) == 2
        assert started[-1] == daemon.process.pid
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    reader.join(20)
    assert process.stdout is not None
    process.stdout.close()


def read_events(process: subprocess.Popen[str], events: list[dict[str, Any]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        events.append(json.loads(line))


def synced(events: list[dict[str, Any]]) -> list[str]:
    return [one["document_id"] for one in events if one["event"] == "document.synced"]


# -- whom to ask ------------------------------------------------------------------------------


def test_a_socket_that_nobody_answers_is_left_alone(desk: Desk):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(desk.stage.state / "daemon.sock"))
    dead.close()
    row = desk.stage.add("a.pdf", b"a")
    assert desk("status", "--json").data["daemon"] is None
    assert desk("sync", str(row)).code == 0
    assert desk("explain", str(row)).code == 0
    assert desk("test").code == 0


NOW = {
    "version": __version__,
    "pid": 7,
    "language": "en",
    "mount": {"path": "/nas"},
    "uploads": {"path": "/up"},
    "database": {"ok": True},
}


@contextmanager
def answering(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """Somebody who listens at *path* and says what *answer* makes of a request."""
    listener = bind_local(path)
    listener.socket.settimeout(0.2)
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            try:
                connection = listener.socket.accept()[0]
            except TimeoutError:
                continue
            with connection:
                request = connection.recv(65536)
                if request:
                    connection.sendall(answer(request))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(20)
        listener.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "answer",
    [
        http(json.dumps({**NOW, "version": "0.0.1"}).encode()),
        http(json.dumps({"version": __version__}).encode()),
        http(b"[]"),
        http(b"no json"),
        http(b'{"detail": "Nothing here", "code": "api.not_found"}', "404 Not Found"),
        http(b"", "500 Oops"),
        http(b"{", "200 OK")[:-1],
        b"",
        b"\x00\xff garbage\r\n\r\n",
    ],
    ids=["older", "other", "list", "garbage", "404", "500", "cut short", "nothing", "no http"],
)
def test_who_answers_otherwise_than_our_daemon_is_nobody(tmp_path, answer):
    with answering(tmp_path / "s", lambda _request: answer):
        assert knock(tmp_path / "s", "en") is None


def test_a_daemon_that_hangs_is_left_alone_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "KNOCK_SECONDS", 0.3)
    listener = bind_local(tmp_path / "s")
    try:
        assert knock(tmp_path / "s", "en") is None
    finally:
        listener.close()


def test_a_question_carries_its_parameters_and_the_language(tmp_path):
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request.split(b"\r\n")[0])
        return http(json.dumps(NOW).encode())

    with answering(tmp_path / "s", answer):
        daemon = Remote(tmp_path / "s", "fr", {})
        daemon.post("/sync/runs", id=["1", "a/b ü&"], everything=None, user_id=None)
        daemon.get("/sync/explain", wanted="/x y")
    assert asked == [
        b"POST /sync/runs?id=1&id=a%2Fb%20%C3%BC%26&lang=fr HTTP/1.1",
        b"GET /sync/explain?wanted=%2Fx%20y&lang=fr HTTP/1.1",
    ]


def test_a_stream_that_breaks_off_says_so(tmp_path):
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n9\r\ntw"
    with answering(tmp_path / "s", lambda _request: cut):
        lines = Remote(tmp_path / "s", "en", {}).lines("/sync/log")
        assert next(lines) == "one"
        with pytest.raises(GoneError):
            list(lines)


@pytest.mark.parametrize(
    ("version", "older"),
    [("0.0.9", True), (__version__, False), (f"{__version__}.1", False), ("99.0", False)],
)
def test_versions_are_compared_as_numbers(version, older):
    assert is_older(version) is older


def test_a_detail_is_parted_from_its_remedy():
    told = error_from_detail("mount.hung", "It hangs", "en")
    assert told == {"code": "mount.hung", "message": "It hangs", "remedy": None}
    cure = remedy("mount.hung", "en")
    told = error_from_detail("mount.hung", f"It hangs. {cure}", "en")
    assert (told["message"], told["remedy"]) == ("It hangs", cure)


# -- other users ------------------------------------------------------------------------------

AS_ANOTHER = """
import importlib, os, pkgutil, sys
import rich.table, rich.text, rich.live
import encodings.idna, encodings.latin_1, encodings.utf_8_sig
import nas_syncd.cli
for one in pkgutil.iter_modules(nas_syncd.cli.__path__):
    importlib.import_module(f"nas_syncd.cli.{one.name}")
os.setgroups([int(group) for group in sys.argv[1].split(",") if group])
os.setgid(65534)
os.setuid(65534)
os.chdir("/")
sys.exit(nas_syncd.cli.main(sys.argv[2:]))
"""
GROUP = 54321


@pytest.fixture
def service(tmp_path_factory, capsys, monkeypatch):
    """A service with a runtime directory of its own, as systemd makes it."""
    folder = Path(f"/tmp/nas-syncd-{os.getpid()}-{tmp_path_factory.getbasetemp().name}-run")
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def as_another(service: Path, desk: Desk, *arguments: str, groups: str = "") -> Said:
    """Call it as a user who may not read the settings."""
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, groups, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "RUNTIME_DIRECTORY": str(service),
            "HOME": "/nonexistent",
            "PATH": os.environ["PATH"],
            "NAS_SYNCD_LANGUAGE": "en",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_without_settings_of_our_own_the_systems_service_is_asked(desk: Desk, service):
    row = desk.stage.add("a.pdf", b"a")
    with running(desk):
        desk.stage.wait_marked(1)
        desk.stage.settings = {
            "NAS_SYNCD_STATE_DIR": desk.stage.root / "other",
            "NAS_SYNCD_LANGUAGE": "en",
        }
        assert desk("status", "--json").data["synced"] == 1
        assert desk("explain", str(row)).out.startswith(f"Document {row} (my a.pdf)")
        assert desk("sync", str(row)).out.endswith("1 document safe.\n")
        said = desk("config", "--json").data
        assert (said["path"], said["settings"]) == (str(desk.stage.nas), {})
        assert "The settings are the service’s" in desk("config").out
        assert "✓ my a.pdf" in desk("logs").out
        assert not (desk.stage.root / "other").exists()
    assert desk("status").code == 78


@pytest.mark.root
def test_a_member_of_the_services_group_has_status_sync_explain_and_the_log(desk: Desk, service):
    row = desk.stage.add("a.pdf", b"a")
    with running(desk):
        wait_until(lambda: (service / "daemon.sock").exists(), "the second socket")
        os.chown(service / "daemon.sock", -1, GROUP)
        desk.stage.wait_marked(1)
        theirs = private_settings(desk)
        told = as_another(service, desk, *theirs, "status", "--json", groups=str(GROUP))
        assert told.code == 0, told.err
        assert told.data["synced"] == 1
        assert as_another(service, desk, "status", groups=str(GROUP)).code == 0
        said = as_another(service, desk, "sync", str(row), groups=str(GROUP))
        assert (said.code, said.err) == (0, "")
        assert said.out.endswith("1 document safe.\n")
        said = as_another(service, desk, "explain", str(row), groups=str(GROUP))
        assert said.out.startswith(f"Document {row} (my a.pdf)")
        assert as_another(service, desk, "test", groups=str(GROUP)).code == 0
        assert "✓ my a.pdf" in as_another(service, desk, "logs", groups=str(GROUP)).out


@pytest.mark.root
def test_who_is_not_in_the_group_is_told_how_to_become_a_member(desk: Desk, service):
    with running(desk):
        wait_until(lambda: (service / "daemon.sock").exists(), "the second socket")
        os.chown(service / "daemon.sock", -1, GROUP)
        theirs = private_settings(desk)
        said = as_another(service, desk, *theirs, "status")
        assert said.code == 78
        assert "usermod -aG nas-syncd" in said.err
        assert str(service / "daemon.sock") in said.err
        Path(theirs[1]).chmod(0o644)  # they may be read, but what they lead to may not be used
        said = as_another(service, desk, *theirs, "status", "--json")
        assert (said.code, said.data["error"]["code"]) == (78, "cli.daemon_forbidden")
        assert str(desk.stage.state) in said.data["error"]["message"]
        Path(theirs[1]).chmod(0o600)
    said = as_another(service, desk, *theirs, "status", "--json")
    assert said.code == 78
    assert said.data["error"]["code"] == "cli.daemon_needed"
    assert theirs[1] in said.data["error"]["message"]


def private_settings(desk: Desk) -> tuple[str, str]:
    """Settings that only their owner may read, where everybody sees that they are there."""
    path = Path(os.environ["RUNTIME_DIRECTORY"]) / "config.env"
    path.write_bytes(desk.stage.env_file.read_bytes())
    path.chmod(0o600)
    return "--env-file", str(path)
