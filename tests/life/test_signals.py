"""What the service manager hears, and what signals do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from nas_syncd.sdnotify import Notifier
from tests.lab.parts import wait_until
from tests.stage import RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(20)
        yield end


def test_the_protocol_is_spoken_on_a_path_and_on_an_abstract_address(manager, tmp_path) -> None:
    with closing(Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})) as plain:
        plain.ready()
    assert manager.recv(100) == b"READY=1"

    with ExitStack() as closes:
        abstract = closes.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        name = f"nas-syncd-test-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.settimeout(5)
        environment = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "2000000"}
        notifier = closes.enter_context(closing(Notifier(environment)))
        notifier.reloading()
        first, second = abstract.recv(200).split(b"\n")
        notifier.status("two\nlines")
        assert abstract.recv(100) == b"STATUS=two lines"
        notifier.ping()
        assert abstract.recv(100) == b"WATCHDOG=1"

    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=")
    assert notifier.watchdog_seconds == 2.0


def test_without_a_manager_nothing_is_sent_and_nothing_raised(tmp_path) -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_seconds is None
    nobody = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1"}
    with closing(Notifier(nobody)) as gone:
        gone.ready()
    other = Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    assert other.watchdog_seconds is None


def test_the_manager_hears_ready_status_watchdog_and_stopping(
    stage: Stage, manager: socket.socket, tmp_path: Path
) -> None:
    stage.add("a.pdf", b"a")
    process = subprocess.Popen(
        [sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file), "run"],
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"},
        stderr=subprocess.DEVNULL,
    )
    try:
        heard: list[bytes] = []
        while not (b"WATCHDOG=1" in heard and any(b"STATUS=On the NAS" in h for h in heard)):
            heard.append(manager.recv(500))
        assert heard[0] == b"READY=1"
        process.send_signal(signal.SIGHUP)
        while not heard[-1].startswith(b"RELOADING=1"):
            heard.append(manager.recv(500))
        while heard[-1] != b"READY=1":
            heard.append(manager.recv(500))
        process.send_signal(signal.SIGTERM)
        while heard[-1] != b"STOPPING=1":
            heard.append(manager.recv(500))
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)


def test_under_a_manager_without_a_journal_the_log_is_a_file_and_nothing_else(
    stage: Stage, tmp_path: Path
) -> None:
    """As launchd starts it: what we print there can never be rotated."""
    log = tmp_path / "logs/nas-syncd.log"
    log.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file), "run"],
        env={**os.environ, "LOGS_DIRECTORY": str(log.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: log.exists() and '"mount.changed"' in log.read_text(), "it runs", 20)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=15)
        assert (process.returncode, printed) == (0, b"")
        assert '"daemon.stopped"' in log.read_text()
    finally:
        process.kill()
        process.wait(10)


def test_a_reload_takes_the_new_patience_and_refuses_what_is_wrong(
    stage: Stage, start: Start
) -> None:
    daemon = start(stage)
    daemon.wait_for("mount.changed", state="ok")
    stage.settings["NAS_SYNCD_SETTLE_SECONDS"] = 1
    stage.settings["UPLOAD_DIR"] = stage.root / "elsewhere"
    assert stage.env_file.exists()
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_for("daemon.reloaded")["needs_restart"] == ["upload_dir"]

    stage.settings["NAS_SYNCD_WORKERS"] = "many"
    assert stage.env_file.exists()
    daemon.process.send_signal(signal.SIGHUP)
    assert "NAS_SYNCD_WORKERS" in daemon.wait_for("daemon.reload_refused")["text"]
    assert daemon.stop() == 0


@pytest.mark.lab
def test_the_second_signal_ends_it_at_once(tmp_path: Path, fault_fs, start: Start) -> None:
    """The first one lets the file in flight finish, which a slow NAS makes long."""
    share = fault_fs()
    stage = Stage(tmp_path / "world", nas=share.path)
    (share.source / ".nas-syncd.json").write_text('{"nas": "11111111-0000"}')
    share.rules([{"op": "write", "path": "*.part", "do": "delay", "seconds": 8}])
    row = stage.add("a.pdf", b"a" * 1000)
    daemon = start(stage)
    share.wait_for("write", "delay", seconds=20)

    daemon.process.send_signal(signal.SIGINT)
    daemon.wait_for("daemon.stopping")
    again = time.monotonic()
    daemon.process.send_signal(signal.SIGINT)
    daemon.process.wait(10)

    assert time.monotonic() - again < 4
    assert not stage.is_marked(row)
    share.clear()
