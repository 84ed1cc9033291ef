"""``nas-syncd logs``: reads what was rotated, follows what comes, shows it safely."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path

import pytest

from nas_syncd.cli.logs import find
from nas_syncd.cli.logs.wanted import moment_of
from tests.cli_desk import Desk, make_desk

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
        record(
            "document.synced",
            document_id="42",
            name="my scan.pdf",
            bytes=2048,
            seconds=0.08,
            destination="2024/05/factures/a b.pdf",
            sha256="0" * 64,
        ),
    )
    (line,) = desk("logs").out.splitlines()
    at = dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC).astimezone()
    assert line == (
        f"{at:%Y-%m-%d %H:%M:%S} info    ✓ my scan.pdf (42) → 2024/05/factures/a b.pdf"
        "  2 KiB in 80 ms"
    )


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


@pytest.mark.parametrize(
    "arguments", [("--level", "loud"), ("--since", "yesterdayish"), ("--lines", "-3")]
)
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


def test_without_a_log_file_it_says_where_the_log_is(desk: Desk, monkeypatch):
    monkeypatch.setattr(find, "CONTAINER_SIGNS", ())
    monkeypatch.setenv("PATH", "")  # a journal of this machine's own is no affair of the test
    said = desk("logs", NAS_SYNCD_LOG_FILE="")
    assert said.code == 78
    assert "journalctl -u nas-syncd -f" in said.err
    assert "NAS_SYNCD_LOG_FILE" in said.err
    told = desk("logs", "--json", NAS_SYNCD_LOG_FILE="").data["error"]
    assert told["code"] == "logs.none"
    assert "journalctl" in told["remedy"]


def test_a_hundred_lines_are_shown_unless_something_says_how_many(desk: Desk):
    write(desk, *(record(f"e.{number}", document_id=str(number % 2)) for number in range(300)))

    def shown(*arguments: str) -> list[str]:
        return [line.split()[4] for line in desk("logs", *arguments).out.splitlines()]

    assert shown() == [f"e.{number}" for number in range(200, 300)]
    assert shown("-n", "2") == ["e.298", "e.299"]
    assert shown("-n", "2", "--document", "0") == ["e.296", "e.298"]
    assert len(shown("-n", "all")) == len(shown("--since", "2024-01-01")) == 300
    assert len(shown("--document", "1")) == 150
    assert shown("-n", "0") == []
    assert len(desk("logs", "--json").out.splitlines()) == 300


def test_garbage_does_no_harm(desk: Desk):
    deep = "[" * 100_000
    write(desk, record("a"), '{"event": "cut', deep, "\x00\xff", record("b"), '{"event": "half')
    shown = desk("logs").out.splitlines()
    assert [line for line in shown if "cut" in line or "half" in line] == [
        '{"event": "cut',
        '{"event": "half',
    ]
    assert all(len(line) < 700 for line in shown)
    assert "97.7 KiB" in shown[2]
    assert [json.loads(line)["event"] for line in desk("logs", "--json").out.splitlines()] == [
        "a",
        "b",
    ]


def test_a_line_of_ten_megabytes_is_left_out_and_said_so(desk: Desk):
    write(desk, record("a"), record("big", filling="x" * 10_000_000), record("b"))
    shown = desk("logs")
    assert len(shown.out) < 1000
    assert "9.5 MiB" in shown.out
    raw = desk("logs", "--json")
    assert len(raw.out.splitlines()) == 2
    assert "9.5 MiB" in raw.err


def test_json_is_raw_and_still_steers_no_terminal(desk: Desk):
    line = '{"event": "a", "level": "info", "name": "x\x9b31m\u202e\x7f"}'
    log_of(desk).write_text(line + "\n")
    out = desk("logs", "--json").out
    assert out.isprintable() or out.rstrip("\n").isprintable()
    assert json.loads(out) == json.loads(line)


def test_what_stands_at_the_path_and_is_no_file_is_refused(desk: Desk):
    os.mkfifo(log_of(desk))
    said = desk("logs", "-f")
    assert said.code == 75
    assert str(log_of(desk)) in said.err


def test_in_a_container_it_names_the_hosts_command(desk: Desk, tmp_path, monkeypatch):
    sign = tmp_path / ".dockerenv"
    sign.touch()
    monkeypatch.setattr(find, "CONTAINER_SIGNS", (sign,))
    monkeypatch.setattr(find, "SYSTEMD_SIGN", tmp_path / "none")
    monkeypatch.setenv("PATH", "")
    said = desk("logs", NAS_SYNCD_LOG_FILE="")
    assert said.code == 78
    assert "docker compose logs -f nas-syncd" in said.err
    assert "journalctl" not in said.err


def test_launchds_log_is_found_where_no_setting_names_one(desk: Desk, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    log = tmp_path / "Library/Logs/nas-syncd/nas-syncd.log"
    log.parent.mkdir(parents=True)
    log.write_text(record("a") + "\n")
    said = desk("logs", "--json", NAS_SYNCD_LOG_FILE="")
    assert json.loads(said.out)["event"] == "a"


def test_a_log_that_is_not_there_yet_is_empty(desk: Desk):
    said = desk("logs")
    assert (said.code, said.all) == (0, "")


def test_ctrl_c_ends_following_with_130(desk: Desk):
    write(desk, record("a"))
    process = desk.start("logs", "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert "a" in process.stdout.readline()
    process.send_signal(2)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
