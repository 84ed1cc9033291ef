"""Logs: one line for one event, nothing forged, nothing betrayed, nothing raised."""

from __future__ import annotations

import datetime as dt
import errno
import io
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd.errors import JournalError
from nas_syncd.logs import (
    Repeater,
    configure_logging,
    forget_secrets,
    get_logger,
    hide,
    is_journal,
    shutdown_logging,
)
from nas_syncd.logs.file import LogFile

log = get_logger("nas_syncd.tests")
SECRET = "s3cr3t/Pa55 é\"'"
NOW = dt.datetime(2024, 1, 15, 14, 30, tzinfo=dt.UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before():
    yield
    shutdown_logging()
    forget_secrets()


@pytest.fixture
def lines():
    """Configure JSON lines and return a function that gives what was logged so far."""
    stream = io.StringIO()
    configure_logging("debug", "json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def file_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_json_line_begins_with_time_level_and_event(lines):
    log.info(
        "document.synced",
        document_id="42",
        destination="2024/01/factures/a.pdf",
        bytes=10,
        seconds=0.5,
    )
    (line,) = lines()
    assert list(line)[:4] == ["timestamp", "level", "event", "said"]
    when = dt.datetime.fromisoformat(line.pop("timestamp"))
    assert when.utcoffset() == dt.timedelta(0)
    assert abs(dt.datetime.now(dt.UTC) - when) < dt.timedelta(minutes=1)
    assert line == {
        "level": "info",
        "event": "document.synced",
        "said": "Document 42 → 2024/01/factures/a.pdf (10 o en 500 ms)",
        "logger": "nas_syncd.tests",
        "document_id": "42",
        "destination": "2024/01/factures/a.pdf",
        "bytes": 10,
        "seconds": 0.5,
    }


def test_context_is_bound_and_the_logger_it_came_from_stays_as_it_was(lines):
    bound = log.bind(document_id="1")
    bound.warning("document.failed")
    log.error("other.event")
    first, second = lines()
    assert first["document_id"] == "1"
    assert "document_id" not in second


def test_a_logger_made_before_the_configuration_follows_every_change():
    early = get_logger("early")
    first, second = io.StringIO(), io.StringIO()
    configure_logging("warning", "json", stream=first)
    early.info("not.wanted")
    configure_logging("info", "json", stream=second)
    early.info("wanted")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["event"] == "wanted"


def test_until_it_is_configured_the_host_decides(caplog):
    hide(SECRET)
    with caplog.at_level(logging.INFO, logger="nas_syncd.tests"):
        log.debug("not.wanted")
        log.info("document.synced", path="a b\nforged", note=SECRET)
    (record,) = caplog.records
    assert record.name == "nas_syncd.tests"
    assert record.getMessage() == r'document.synced path="a b\nforged" note=***'


# -- which form ------------------------------------------------------------------------------


def test_auto_is_for_a_person_on_a_terminal_and_json_elsewhere():
    terminal, pipe = Terminal(), io.StringIO()
    configure_logging(stream=terminal)
    log.info("one.event", path="a b.pdf", n=1)
    assert terminal.getvalue().endswith('one.event\x1b[2m  path="a b.pdf" n=1\x1b[0m\n')
    configure_logging(stream=pipe)
    log.info("one.event")
    assert json.loads(pipe.getvalue())["event"] == "one.event"


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_what_the_journal_reads_from_a_stream_has_its_level(fmt, monkeypatch, tmp_path):
    monkeypatch.setattr("nas_syncd.logs.journald.SOCKET", tmp_path / "none")
    stream = Terminal()
    configure_logging(fmt=fmt, stream=stream, journald=True)
    log.info("one.event")
    log.error("two.event")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("<6>")
    assert second.startswith("<3>")
    if fmt == "json":
        assert json.loads(first[3:])["event"] == "one.event"
    else:
        assert (first, second) == ("<6>· one.event", "<3>✗ two.event")


@pytest.mark.parametrize(
    ("stream", "colour"), [(Terminal(), False), (io.StringIO(), True)], ids=["NO_COLOR", "pipe"]
)
def test_there_is_no_colour_without_a_terminal_or_where_it_is_not_wanted(stream, colour):
    configure_logging("info", "console", stream=stream, colour=colour)
    log.error("one.event", path="x")
    assert "\x1b" not in stream.getvalue()
    assert "✗ one.event  path=x\n" in stream.getvalue()


def test_every_line_of_a_traceback_for_the_journal_has_its_level():
    stream = io.StringIO()
    configure_logging("info", "console", stream=stream, journald=True)
    try:
        raise ValueError("a\nb")
    except ValueError:
        log.exception("went.wrong")
    written = stream.getvalue().splitlines()
    assert len(written) > 3
    assert all(line.startswith("<3>") for line in written)


def test_the_journal_is_recognised_by_device_and_inode(tmp_path):
    with (tmp_path / "x").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal(stream, f"{status.st_dev}:{status.st_ino}")
        assert not is_journal(stream, "1:2")
    assert not is_journal(io.StringIO(), "1:2")
    assert not is_journal(io.StringIO(), None)


# -- hostile values --------------------------------------------------------------------------

HOSTILE = 'a\n{"event":"forged"}\r\x1b[2J\x9b31m\u2028\u202e\udce9\x00é😀'


@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_hostile_name_neither_forges_a_line_nor_steers_the_terminal(fmt, encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    configure_logging("info", fmt, stream=stream)
    log.info(HOSTILE, path=HOSTILE, deep={HOSTILE: [HOSTILE]}, **{HOSTILE: 1})
    stream.flush()
    written = raw.getvalue().decode(encoding)
    assert written.count("\n") == 1
    assert written.rstrip("\n").isprintable()
    if fmt == "json":
        assert json.loads(written)["path"] == HOSTILE


@given(st.text(), st.sampled_from(["json", "console"]))
def test_any_text_is_one_line(value, fmt):
    stream = io.StringIO()
    configure_logging("info", fmt, stream=stream, colour=False)
    log.info("an.event", value=value)
    written = stream.getvalue()
    assert written.endswith("\n")
    assert len(written.splitlines()) == 1
    written.encode()
    if fmt == "json":
        assert json.loads(written)["value"] == value


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class NastyMapping(dict):
    def items(self):
        raise RuntimeError("no")


def test_values_of_any_type_are_written(lines):
    endless: list[Any] = []
    endless.append(endless)
    log.info(
        "an.event",
        path=Path("/a"),
        raw=b"\xff",
        when=NOW,
        day=NOW.date(),
        number=float("nan"),
        huge=10**5000,
        nasty=Nasty(),
        mapping=NastyMapping(a=1),
        endless=endless,
        error=ValueError("x"),
        long="x" * 100_000,
        keys={1: {2}},
        nothing=None,
    )
    (line,) = lines()
    assert line["path"] == "/a"
    assert line["raw"] == r"\xff"
    assert line["when"] == "2024-01-15T14:30:00Z"
    assert line["number"] == "nan"
    assert "Nasty" in line["nasty"]
    assert line["error"] == "ValueError: x"
    assert len(line["long"]) < 10_000
    assert line["keys"] == {"1": [2]}
    assert line["nothing"] is None


def test_a_value_cannot_take_the_place_of_our_own_keys(lines):
    log.info("an.event", level="fatal", timestamp="never", logger="else", exception="none")
    (line,) = lines()
    assert line["level"] == "info"
    assert line["level_"] == "fatal"
    assert line["timestamp_"] == "never"
    assert "exception" not in line


def test_an_exception_is_one_field(lines):
    try:
        raise ValueError("broken\nin two")
    except ValueError as error:
        log.exception("went.wrong")
        log.warning("as.given", exc_info=error)
    log.error("no.exception", exc_info=True)
    first, second, third = lines()
    assert first["level"] == "error"
    assert "ValueError: broken\nin two" in first["exception"]
    assert second["exception"] == first["exception"]
    assert "exception" not in third


# -- secrets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_secret_is_hidden_wherever_it_stands(fmt, tmp_path):
    stream = io.StringIO()
    hide(SECRET, "87654321")
    configure_logging("info", fmt, tmp_path / "x.log", stream=stream)
    from_url = "s3cr3t%2FPa55%20%C3%A9%22%27"
    log.info(f"event.{SECRET}", a=SECRET, b=[{SECRET: f"x{SECRET}x"}], c=repr({"p": SECRET}))
    log.info("an.event", d=json.dumps(SECRET), e=from_url, f=ValueError(SECRET), g=87654321)
    try:
        raise OSError(SECRET)
    except OSError:
        log.exception("went.wrong")
    logging.getLogger("sqlalchemy.engine").warning("connecting with %s", SECRET)
    everything = stream.getvalue() + (tmp_path / "x.log").read_text()
    for form in ("s3cr3t", "Pa55", "87654321"):
        assert form not in everything
    assert everything.count("***") > 10


def test_the_password_of_an_address_is_hidden_even_when_nobody_told_us(lines):
    log.info("an.event", url="tried postgresql://app:pw@host/db and mysql://u:a@b@h/d")
    (line,) = lines()
    assert ":pw@" not in line["url"]
    assert line["url"] == "tried postgresql://app:***@host/db and mysql://u:***@h/d"


def test_a_very_short_or_empty_secret_does_not_shred_the_log(lines):
    hide("", " ", "a")
    log.info("an.event", path="banana")
    assert lines()[0]["path"] == "banana"


def test_a_longer_secret_is_hidden_whole_although_a_shorter_one_begins_it(lines):
    hide("abcd", "abcdefgh")
    log.info("an.event", value="abcdefgh")
    assert lines()[0]["value"] == "***"


# -- others' records -------------------------------------------------------------------------


def test_what_other_libraries_warn_of_comes_in_the_same_form(lines):
    foreign = logging.getLogger("watchdog.observers")
    foreign.info("too quiet")
    foreign.warning("overflow of %d\nforged", 3)
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("log.foreign", "watchdog.observers")
    assert (line["level"], line["message"]) == ("warning", "overflow of 3\nforged")


def test_a_foreign_record_whose_arguments_do_not_fit_is_written_all_the_same(lines):
    ours = [h for h in logging.getLogger().handlers if type(h).__module__.startswith("nas_syncd")]
    ours[0].handle(logging.LogRecord("x", logging.CRITICAL, "", 1, "no fit %d %d", ("x",), None))
    (line,) = lines()
    assert (line["level"], line["message"]) == ("critical", "no fit %d %d")


def test_others_are_heard_once_and_no_more_after_the_end():
    before = list(logging.getLogger().handlers)
    stream = io.StringIO()
    for _ in range(3):
        configure_logging("info", "json", stream=stream)
    logging.getLogger("watchdog").warning("once")
    assert len(stream.getvalue().splitlines()) == 1
    shutdown_logging()
    assert logging.getLogger().handlers == before


# -- streams and files that fail -------------------------------------------------------------


def test_a_stream_that_is_closed_or_broken_stops_nobody():
    closed = io.StringIO()
    configure_logging("info", "json", stream=closed)
    closed.close()
    log.info("an.event")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as broken:
        configure_logging("info", "json", stream=broken)
        log.info("an.event")
        with pytest.raises(BrokenPipeError):
            broken.close()


def test_the_file_is_always_json_and_appended_to(tmp_path):
    path = tmp_path / "x.log"
    for number in range(2):
        configure_logging("info", "console", path, stream=io.StringIO())
        log.info("an.event", number=number)
        shutdown_logging()
    assert [line["number"] for line in file_lines(path)] == [0, 1]


@pytest.mark.parametrize("kind", ["folder", "no folder", "fifo"])
def test_a_log_file_that_cannot_be_opened_is_refused_and_the_former_one_stays(kind, tmp_path):
    good, bad = tmp_path / "good.log", tmp_path / "bad.log"
    if kind == "folder":
        bad.mkdir()
    elif kind == "fifo":
        os.mkfifo(bad)
    else:
        bad = tmp_path / "nowhere" / "bad.log"
    configure_logging("info", "json", good, stream=io.StringIO())
    with pytest.raises(JournalError) as caught:
        configure_logging("info", "json", bad, stream=io.StringIO())
    assert caught.value.params["path"] == str(bad)
    log.info("still.here")
    assert file_lines(good)[0]["event"] == "still.here"


def test_the_file_is_rotated_and_five_old_ones_are_kept(tmp_path):
    file = LogFile(tmp_path / "x.log", most_bytes=100, old_files=5)
    for number in range(40):
        file.write(f"{number:049d}")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.log", "x.log.1", "x.log.2", "x.log.3", "x.log.4", "x.log.5",
    ]  # fmt: skip
    kept = [tmp_path / "x.log", *(tmp_path / f"x.log.{n}" for n in range(1, 6))]
    assert [path.read_text().split() for path in kept] == [
        [f"{number - 1:049d}", f"{number:049d}"] for number in range(39, 27, -2)
    ]
    assert file.lost == 0


def test_two_processes_rotate_one_file_without_losing_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("nas_syncd.logs.file.LOOK_SECONDS", 0.0)
    path = tmp_path / "x.log"
    one, other = (LogFile(path, most_bytes=1000, old_files=50) for _ in range(2))
    for number in range(400):
        (one if number % 2 else other).write(f"{number:020d}")
    one.close()
    other.close()
    found = [int(word) for file in tmp_path.iterdir() for word in file.read_text().split()]
    assert sorted(found) == list(range(400))
    assert max(file.stat().st_size for file in tmp_path.iterdir()) <= 1000


def test_a_file_that_was_moved_away_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("nas_syncd.logs.file.LOOK_SECONDS", 0.0)
    path = tmp_path / "x.log"
    file = LogFile(path)
    file.write("one")
    path.rename(tmp_path / "moved")
    file.write("two")
    file.close()
    assert (tmp_path / "moved").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_a_rotation_that_fails_loses_no_line(tmp_path):
    for number in range(1, 6):
        (tmp_path / f"x.log.{number}" / "in the way").mkdir(parents=True)
    file = LogFile(tmp_path / "x.log", most_bytes=100)
    for number in range(10):
        file.write(f"{number:049d}")
    file.close()
    assert len((tmp_path / "x.log").read_text().split()) == 10


def test_a_full_disk_is_counted_and_a_torn_line_does_not_spoil_the_next(tmp_path, monkeypatch):
    file = LogFile(tmp_path / "x.log")
    write = os.write
    torn: list[bytes] = []

    def half_then_full(fd, data):
        if torn:
            raise OSError(errno.ENOSPC, "full")
        torn.append(data)
        return write(fd, data[:3])

    monkeypatch.setattr(os, "write", half_then_full)
    file.write("abcdef")
    monkeypatch.setattr(os, "write", write)
    file.write("whole")
    file.close()
    assert file.lost == 1
    assert (tmp_path / "x.log").read_text() == "abc\nwhole\n"


def test_many_threads_write_whole_lines(tmp_path):
    path = tmp_path / "x.log"
    stream = io.StringIO()
    configure_logging("info", "json", path, stream=stream)

    def write_a_hundred(n: int) -> None:
        for i in range(100):
            log.info("an.event", n=n, i=i)

    threads = [threading.Thread(target=write_a_hundred, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {(n, i) for n in range(8) for i in range(100)}
    assert {(line["n"], line["i"]) for line in file_lines(path)} == wanted
    assert {
        (line["n"], line["i"]) for line in map(json.loads, stream.getvalue().splitlines())
    } == wanted


# -- repeated troubles -----------------------------------------------------------------------


def test_a_repeated_trouble_is_told_at_once_then_every_five_minutes_then_when_it_is_over():
    repeater = Repeater()
    told = {}
    for second in range(701):
        said = repeater.should_log("mount", NOW + dt.timedelta(seconds=second))
        if said is not None:
            told[second] = (said.since, said.count, said.first)
    assert told == {0: (NOW, 1, True), 300: (NOW, 301, False), 600: (NOW, 601, False)}
    over = NOW + dt.timedelta(seconds=700)
    assert repeater.clear("mount", over) == dt.timedelta(seconds=700)
    assert repeater.clear("mount", over) is None
    again = repeater.should_log("mount", over)
    assert again is not None
    assert again.first


def test_troubles_do_not_silence_one_another():
    repeater = Repeater()
    assert repeater.should_log(("mount", "hung"), NOW)
    assert repeater.should_log(("mount", "full"), NOW)
    assert not repeater.should_log(("mount", "hung"), NOW)


def test_a_clock_that_is_set_back_silences_nothing():
    repeater = Repeater()
    repeater.should_log("mount", NOW)
    earlier = NOW - dt.timedelta(days=1)
    said = repeater.should_log("mount", earlier)
    assert said is not None
    assert said.since == earlier
    assert repeater.clear("mount", earlier) == dt.timedelta(0)


def test_the_repeater_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr("nas_syncd.logs.repeat.MOST_KEYS", 3)
    repeater = Repeater()
    for key in range(10):
        repeater.should_log(key, NOW)
    assert [key for key in range(10) if repeater.clear(key, NOW) is not None] == [7, 8, 9]


def test_where_the_file_is_enough_nothing_goes_to_standard_error(tmp_path, capsys):
    """launchd keeps what we print for ever, and cannot rotate it."""
    path = tmp_path / "nas-syncd.log"
    configure_logging("info", "json", path, quiet=True)
    get_logger("test").info("something.happened")
    shutdown_logging()

    assert "something.happened" in path.read_text()
    assert capsys.readouterr() == ("", "")
