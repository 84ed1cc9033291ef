"""``status --watch``: the picture stays up to date, on a terminal, in a pipe, for a program."""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import termios
import threading
from contextlib import closing
from typing import Any

import pytest
from rich.console import Console

from nas_syncd.cli.call import Call
from nas_syncd.cli.panel import panel
from nas_syncd.cli.picture import Picture
from tests.cli_desk import Desk, command, make_desk
from tests.lab.parts import wait_until
from tests.stage import RunningDaemon

STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def desk(tmp_path, capsys):
    yield from (made.adopted() for made in make_desk(tmp_path, capsys))


class Watcher:
    """``status --watch`` into a pipe; its lines as they come."""

    def __init__(self, desk: Desk, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = desk.start("status", "--watch", *arguments, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    def wait_for(self, words: str) -> None:
        wait_until(lambda: any(words in line for line in self.lines), words, seconds=40)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self._reader.join(20)
        return code


def test_into_a_pipe_goes_a_sentence_at_each_change_and_none_between(desk: Desk):
    watcher = Watcher(desk)
    watcher.wait_for("No document so far")
    desk.stage.add("a.pdf", b"a")
    watcher.wait_for("0 of 1 documents are marked")
    with RunningDaemon(desk.stage) as daemon:
        watcher.wait_for("The one document is safe on the NAS")
        (desk.stage.nas / ".nas-syncd.json").rename(desk.stage.root / "marker")
        desk.stage.add("b.pdf", b"b")
        watcher.wait_for("not mounted")
        (desk.stage.root / "marker").rename(desk.stage.nas / ".nas-syncd.json")
        watcher.wait_for("All 2 documents are safe on the NAS")
        assert daemon.stop() == 0
    assert watcher.end() == 0
    sentences = [line[9:] for line in watcher.lines]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in watcher.lines)
    assert [a for a, b in itertools.pairwise(sentences) if a == b] == []


def test_a_program_gets_one_object_in_a_line_at_each_change(desk: Desk):
    watcher = Watcher(desk, "--json")
    wait_until(lambda: len(watcher.lines) == 1, "the first", seconds=40)
    desk.stage.add("a.pdf", b"a")
    wait_until(lambda: len(watcher.lines) == 2, "the second", seconds=40)
    assert watcher.end(signal.SIGTERM) == 0
    first, second = (json.loads(line) for line in watcher.lines)
    assert (first["total_documents"], second["total_documents"]) == (0, 1)
    assert first.keys() == second.keys()
    assert second["nas_configured"] is True


def test_a_database_that_goes_away_and_comes_back_is_told_and_ends_nothing(desk: Desk):
    watcher = Watcher(desk)
    watcher.wait_for("No document so far")
    desk.stage.database.rename(desk.stage.root / "away")
    watcher.wait_for("The database does not answer")
    (desk.stage.root / "away").rename(desk.stage.database)
    wait_until(lambda: "No document" in watcher.lines[-1], "it is back", seconds=40)
    assert watcher.end() == 0


def test_a_nas_that_is_well_and_idle_is_left_alone(desk: Desk, fault_fs):
    nas = fault_fs()
    desk.stage.settings["NAS_LOCAL_PATH"] = nas.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    watcher = Watcher(desk)
    watcher.wait_for("No document so far")
    before = len(nas.log())
    for number in range(3):
        desk.stage.add(f"{number}.pdf", b"x")
        watcher.wait_for(f"0 of {number + 1} documents")
    assert len(nas.log()) == before
    assert watcher.end() == 0


def test_who_reads_no_more_ends_it(desk: Desk):
    process = desk.start("status", "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    desk.stage.add("a.pdf", b"a")
    assert process.wait(40) == 0
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""


def test_wrong_settings_end_it_as_they_end_status(desk: Desk):
    said = desk("status", "--watch", DATABASE_URL="")
    assert said.code == 78
    assert "DATABASE_URL" in said.err


# -- on a terminal ----------------------------------------------------------------------------


class Terminal:
    """``status --watch`` on a terminal of any size."""

    def __init__(self, desk: Desk, rows: int, columns: int) -> None:
        self.shown = ""
        self._ours, its = os.openpty()
        self.resize(rows, columns)
        environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command(desk.stage, "status", "--watch"),
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=desk.stage.root,
            start_new_session=True,
            env={**environ, "TERM": "xterm-256color"},
        )
        os.close(its)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with closing(os.fdopen(self._ours, "rb", buffering=0)) as terminal:
            while True:
                try:
                    data = terminal.read(65536)
                except OSError:  # the other end was closed
                    return
                if not data:
                    return
                self.shown += data.decode("utf-8", "replace")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def frame(self) -> list[str]:
        """The last picture that was shown whole."""
        frames = self.shown.split("\x1b[H")
        last = frames[-2] if len(frames) > 2 else ""
        return [line.rstrip() for line in STEERING.sub("", last).split("\r\n")]

    def wait_for(self, words: str) -> None:
        wait_until(lambda: any(words in line for line in self.frame), words, seconds=40)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._reader.join(20)
        return code


def test_on_a_terminal_the_picture_stays_up_to_date_and_the_terminal_is_given_back(desk: Desk):
    desk.stage.add("a.pdf", b"a")
    with RunningDaemon(desk.stage) as daemon:
        desk.stage.wait_marked(1)
        terminal = Terminal(desk, 40, 100)
        terminal.wait_for("The one document is safe on the NAS")
        terminal.wait_for("1 / 1 · 100 %")
        terminal.wait_for("✓ 1 (my a.pdf) – 2024/01/factures/a.pdf")
        second = desk.stage.add("b.pdf", b"b")
        terminal.wait_for("All 2 documents are safe")
        terminal.wait_for(f"{second} (my b.pdf)")
        terminal.resize(8, 40)
        wait_until(lambda: 0 < len(terminal.frame) <= 8, "it fits", seconds=40)
        assert max(map(len, terminal.frame)) <= 40
        terminal.wait_for("All 2 documents are safe")
        assert terminal.end() == 0
        assert daemon.stop() == 0
    assert terminal.shown.count("\x1b[?1049h") == terminal.shown.count("\x1b[?1049l") == 1
    after = terminal.shown.partition("\x1b[?1049l")[2]
    assert "All 2 documents are safe on the NAS" in after
    assert "Traceback" not in terminal.shown


def a_picture(**more: Any) -> Picture:
    data = {
        "total_documents": 10,
        "synced": 5,
        "pending": 5,
        "sync_percentage": 50.0,
        "last_sync": None,
        "inherited": 0,
        "nas_configured": True,
        "waiting": 0,
        "problems": 2,
        "reason": None,
        "daemon": 7,
        "mount": {
            "state": "ok",
            "path": "/mnt/nas",
            "since": "2024-01-01T00:00:00+00:00",
            "checked_at": None,
            "free_bytes": 2**40,
        },
        "uploads": None,
        "in_flight": [
            {"id": str(n), "name": f"f{n}\x1b[31m.pdf", "done": 2**20, "total": 2**21}
            for n in range(20)
        ],
        "no_row": [{"path": "orphan.pdf", "seconds": 60}],
        **more,
    }
    fate = {"at": "2024-01-01T00:00:00+00:00", "id": "1", "name": "x", "reason": None}
    fates = [{**fate, "kind": "synced", "destination": "2024/x.pdf"}] * 30
    return Picture(data, [("1 (a)", "why"), ("2 (b)", "why " * 100)], fates)


@pytest.mark.parametrize("height", [3, 8, 12, 24, 60])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_the_picture_fits_into_any_terminal_with_what_matters_first(height, width):
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, highlight=False)
    call = Call("en")
    with console.capture() as captured:
        console.print(panel(call, a_picture(), console))
    plain = STEERING.sub("", captured.get())
    lines = plain.splitlines()
    assert lines[0].startswith("5 of 10")
    assert max(map(len, lines)) <= width
    assert "\x1b[31m.pdf" not in captured.get()
    if width == 80:
        mandatory = 9
        assert len(lines) <= max(height, mandatory)
    if (height, width) == (60, 80):
        titles = ["To be looked at", "Being copied", "Files without a row", "Last documents"]
        assert [line for line in lines if line in titles] == titles
        assert "1 TiB free" in plain
        assert "1 MiB / 2 MiB" in plain


def test_without_documents_and_without_the_database_there_is_a_picture_too():
    for more in ({"total_documents": 0, "synced": 0, "pending": 0}, away()):
        file = io.StringIO()
        console = Console(file=file, width=80, height=30)
        console.print(panel(Call("fr"), a_picture(**more), console))
        assert "/mnt/nas" in file.getvalue()


def away() -> dict[str, Any]:
    error = {"code": "database.unavailable", "message": "weg", "remedy": None}
    names = ("total_documents", "synced", "pending", "sync_percentage", "last_sync", "inherited")
    return {**dict.fromkeys(names), "error": error}


def test_the_help_says_how_it_ends_in_both_languages(desk: Desk, monkeypatch):
    for language, words in (("en", "until Ctrl-C (exit code 0)"), ("fr", "code de sortie 0")):
        monkeypatch.setenv("NAS_SYNCD_LANGUAGE", language)
        shown = " ".join(desk("status", "--help").out.split())
        assert words in shown
        assert "--watch" in shown
