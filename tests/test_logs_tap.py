"""The log's tap: the last lines, numbered, for who reads along."""

from __future__ import annotations

import io
import json
import threading

import pytest

from nas_syncd.logs import (
    Tap,
    configure_logging,
    forget_secrets,
    get_logger,
    hide,
    shutdown_logging,
)

log = get_logger("nas_syncd.tests")


@pytest.fixture(autouse=True)
def _as_before():
    yield
    shutdown_logging()
    forget_secrets()


def filled(lines: int, kept: int = 2000) -> Tap:
    tap = Tap(kept)
    for number in range(1, lines + 1):
        tap.add(f"line {number}")
    return tap


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_it_gets_what_the_json_format_writes(fmt):
    tap, stream, as_json = Tap(), io.StringIO(), io.StringIO()
    configure_logging("info", fmt, stream=stream, tap=tap)
    hide("hunter22")
    log.info("document.synced", path="a\nb\u2028", secret="hunter22")
    log.debug("not.wanted")
    (line,) = tap.after(0).lines
    assert "\n" not in line
    assert "hunter22" not in line
    assert json.loads(line)["event"] == "document.synced"
    configure_logging("info", "json", stream=as_json, tap=tap)
    log.info("document.synced", path="a\nb\u2028", secret="hunter22")
    assert as_json.getvalue() == tap.after(1).lines[0] + "\n"


def test_without_a_tap_no_line_is_made_for_it(monkeypatch):
    made = []

    def line(record):
        made.append(record)
        return ""

    monkeypatch.setattr("nas_syncd.logs.output.json_line", line)
    configure_logging("info", "console", stream=io.StringIO())
    log.info("document.synced")
    assert made == []
    configure_logging("info", "console", stream=io.StringIO(), tap=Tap())
    log.info("document.synced")
    assert len(made) == 1


def test_lines_are_numbered_from_one_and_come_after_a_number():
    tap = filled(5)
    batch = tap.after(2)
    assert batch.lines == ("line 3", "line 4", "line 5")
    assert (batch.first, batch.last, batch.missed, tap.last) == (3, 5, 0, 5)


def test_no_more_lines_come_than_were_asked_for():
    tap = filled(5)
    batch = tap.after(1, most=2)
    assert batch.lines == ("line 2", "line 3")
    assert tap.after(batch.last, most=2).lines == ("line 4", "line 5")


def test_when_there_is_nothing_new_the_number_stays():
    for tap in (Tap(), filled(5)):
        batch = tap.after(tap.last)
        assert (batch.lines, batch.last) == ((), tap.last)


def test_the_oldest_go_and_are_counted_as_missed():
    tap = filled(10, kept=4)
    batch = tap.after(3)
    assert batch.lines == ("line 7", "line 8", "line 9", "line 10")
    assert (batch.first, batch.missed) == (7, 3)


@pytest.mark.parametrize("seq", [99, -1])
def test_a_number_of_another_life_gives_all_that_is_kept(seq):
    assert len(filled(5).after(seq).lines) == 5


def test_long_lines_do_not_fill_the_memory():
    tap = Tap(lines=1000, characters=10_000)
    for _ in range(100):
        tap.add("x" * 1000)
    assert len(tap.after(0).lines) == 10
    tap.add("x" * 50_000)
    assert [len(line) for line in tap.after(0).lines] == [50_000], "the newest is always there"
    tap.add("short")
    assert tap.after(0).lines == ("short",)


def test_who_listens_is_told_after_the_line_is_there():
    tap, seen = Tap(), []
    tap.listen(lambda: seen.append(tap.last))
    tap.add("a")
    tap.add("b")
    assert seen == [1, 2]


def test_many_threads_lose_nothing():
    tap = Tap(10_000)

    def work(name):
        for number in range(500):
            tap.add(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    got: list[str] = []
    last = 0
    while any(thread.is_alive() for thread in threads) or last < tap.last:
        batch = tap.after(last)
        got += batch.lines
        last = batch.last
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == tap.last == 4000
