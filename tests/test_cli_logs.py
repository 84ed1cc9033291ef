"""``nas-syncd logs``: reads what was rotated, follows what comes, shows it safely."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from nas_syncd.cli.logs import lines, moment_of
from nas_syncd.logs.file import LogFile
from tests.cli_desk import Desk, make_desk
from tests.lab.parts import wait_until

NOW = dt.datetime(2024, 6, 1, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def desk(tmp_path, capsys):
    for made in make_desk(tmp_path, capsys):
        made.stage.settings["NAS_SYNCD_LOG_FILE"] = tmp_path / "nas-syncd.log"
        yield made


def log_of(desk: Desk) -> Path:
    return Path(str(desk.stage.settings["NAS_SYNCD_LOG_FILE"]))


def record(event: str, **values: object) -> str:
    base = {"timestamp": "2024-05-01T10:00:00.000Z", "level": "info", "event": event, "logger": "x"}
    return json.dumps({**base, **values})


def write(desk: Desk, *records: str, suffix: str = "") -> None:
    path = Path(f"{log_of(desk)}{suffix}")
    path.write_text("".join(f"{one}\n" for one in records))


def test_rotated_files_come_first_the_oldest_before_the_newer(desk: Desk):
    write(desk, record("c"))
    write(desk, record("b"), suffix=".1")
    write(desk, record("a"), suffix=".2")
    said = desk("logs", "--json")
    assert said.code == 0
    assert [json.loads(line)["event"] for line in said.out.splitlines()] == ["a", "b", "c"]


def test_a_record_is_one_readable_line(desk: Desk):
    write(
        desk,
        record("document.synced", document_id="42", name="my scan.pdf", bytes=10, path="a b.pdf"),
    )
    (line,) = desk("logs").out.splitlines()
    assert "info" in line
    assert "document.synced 42 (my scan.pdf) bytes=10 path='a b.pdf'" in line
    assert "logger" not in line


def test_only_one_document_only_from_a_level_on_only_since(desk: Desk):
    write(
        desk,
        record("a", document_id="42", level="info", timestamp="2024-05-01T10:00:00.000Z"),
        record("b", document_id="42", level="error", timestamp="2024-05-02T10:00:00.000Z"),
        record("c", document_id="4", level="error", timestamp="2024-05-03T10:00:00.000Z"),
        "no record at all",
    )

    def events(*arguments: str) -> list[str]:
        shown = desk("logs", "--json", *arguments).out
        return [json.loads(line)["event"] for line in shown.splitlines()]

    assert events("--document", "42") == ["a", "b"]
    assert events("--level", "WARNING") == ["b", "c"]
    assert events("--since", "2024-05-02T00:00:00Z") == ["b", "c"]
    assert events("--document", "42", "--level", "error") == ["b"]
    assert "no record at all" in desk("logs").out


@pytest.mark.parametrize("arguments", [("--level", "loud"), ("--since", "yesterdayish")])
def test_an_unknown_level_or_time_is_wrong_usage(desk: Desk, arguments):
    said = desk("logs", *arguments)
    assert said.code == 2
    assert arguments[1] in said.err


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - dt.timedelta(seconds=90)),
        ("10m", NOW - dt.timedelta(minutes=10)),
        ("10 min", NOW - dt.timedelta(minutes=10)),
        ("2h", NOW - dt.timedelta(hours=2)),
        ("3d", NOW - dt.timedelta(days=3)),
        ("3j", NOW - dt.timedelta(days=3)),
        ("2024-05-01T10:00:00Z", dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)),
        ("2024-05-01T10:00:00+02:00", dt.datetime(2024, 5, 1, 8, tzinfo=dt.UTC)),
        ("2024-05-01", dt.datetime(2024, 5, 1).astimezone()),
        ("99999999999d", dt.datetime.min.replace(tzinfo=dt.UTC)),
        ("soon", None),
    ],
)
def test_a_time_is_given_as_people_give_it(text, moment):
    assert moment_of(text, NOW) == moment


def test_a_hostile_record_cannot_steer_the_terminal(desk: Desk):
    write(desk, record("a", name="x\x1b[2J\ny", document_id="1\u202e"), "\x1b[31mraw\x07")
    shown = desk("logs").out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 2


def test_without_a_log_file_it_says_where_the_log_is(desk: Desk):
    said = desk("logs", NAS_SYNCD_LOG_FILE="")
    assert said.code == 78
    assert "journalctl -u nas-syncd -f" in said.err
    assert "NAS_SYNCD_LOG_FILE" in said.err
    told = desk("logs", "--json", NAS_SYNCD_LOG_FILE="").data["error"]
    assert told["code"] == "logs.none"
    assert "journalctl" in told["remedy"]


def test_a_log_that_is_not_there_yet_is_empty(desk: Desk):
    said = desk("logs")
    assert (said.code, said.all) == (0, "")


def test_following_loses_no_line_and_repeats_none_while_the_file_is_rotated(tmp_path):
    log = LogFile(tmp_path / "log", most_bytes=2000, old_files=50)
    found: list[str] = []
    stop = threading.Event()

    def read() -> None:
        for line in lines(tmp_path / "log", follow=True):
            found.append(line)
            if stop.is_set() or line == "the end":
                return

    def has(count: int) -> bool:
        return len(found) == count

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        for number in range(100):
            log.write(f"line {number:04d} {'x' * 80}")
            wait_until(partial(has, number + 1), f"line {number}")
        log.write("the end")
        reader.join(10)
    finally:
        stop.set()
        log.close()
    assert [line.split()[1] for line in found[:-1]] == [f"{n:04d}" for n in range(100)]
    assert found[-1] == "the end"


def test_a_line_that_is_only_half_written_waits_for_its_end(tmp_path):
    path = tmp_path / "log"
    path.write_text("whole\nha")
    found: list[str] = []

    def read() -> None:
        for line in lines(path, follow=True):
            found.append(line)
            if line == "half":
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wait_until(lambda: found == ["whole"], "the whole line")
    with path.open("a") as file:
        file.write("lf\n")
    reader.join(10)
    assert found == ["whole", "half"]


def test_ctrl_c_ends_following_with_130(desk: Desk):
    write(desk, record("a"))
    process = desk.start("logs", "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert "a" in process.stdout.readline()
    process.send_signal(2)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
