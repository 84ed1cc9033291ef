"""Following the log through rotations: no line is lost, none is repeated, whoever writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from nas_syncd.cli.logs import chain as chain_module
from nas_syncd.cli.logs.chain import LONGEST_LINE, Chain, Gap, NotALogError, Piece
from nas_syncd.logs.file import MOST_BYTES, LogFile
from tests.lab.parts import wait_until
from tests.stage import Stage

WRITER = """
import sys
from pathlib import Path
from nas_syncd.logs.file import LogFile
path, who, lines, most, old, filling = sys.argv[1:]
log = LogFile(Path(path), int(most), int(old))
number = 0
for go in sys.stdin:
    for _ in range(int(lines)):
        number += 1
        log.write(f'{{"event": "e", "level": "info", "who": "{who}", "number": {number}, '
                  f'"filling": "{"x" * int(filling)}"}}')
    print(log.lost, flush=True)
"""


class Writer:
    """A process that writes as fast as it can, each time it is told to."""

    def __init__(
        self, path: Path, who: str, lines: int, most_bytes: int, old_files: int, filling: int = 60
    ) -> None:
        numbers = map(str, (lines, most_bytes, old_files, filling))
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), who, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def done(self) -> None:
        """Wait until it has written; nothing may have been lost on its side."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "0\n"

    def end(self) -> None:
        self._process.communicate(timeout=20)


class Reader:
    """Follows a log in a thread of its own, and counts what it finds."""

    def __init__(self, path: Path) -> None:
        self._chain = Chain(path)
        self._stop = threading.Event()
        self.found: list[Piece] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with closing(self._chain):
            while not self._stop.wait(0.001):
                self.found += self._chain.read(to_the_end=False)

    def has(self, count: int) -> bool:
        return len(self.found) >= count

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def numbers(self) -> dict[str, list[int]]:
        by_writer: dict[str, list[int]] = defaultdict(list)
        for piece in self.found:
            assert isinstance(piece, bytes), piece
            record = json.loads(piece)
            by_writer[record["who"]].append(record["number"])
        return by_writer


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path / "log")
    yield made
    made.stop()


def rotations(path: Path) -> int:
    return len(list(path.parent.glob(f"{path.name}.*")))


def lines_of(pieces: Iterator[Piece]) -> list[bytes]:
    return [piece if isinstance(piece, bytes) else b"?" for piece in pieces]


def test_no_line_is_lost_or_repeated_while_one_process_rotates_at_full_speed(reader, tmp_path):
    """Eight times eighty rotations, each of them within a millisecond or so."""
    log, lines = tmp_path / "log", 80 * 25
    writer = Writer(log, "a", lines, most_bytes=25 * 120, old_files=95)
    for round_ in range(1, 9):
        writer.go()
        writer.done()
        wait_until(partial(reader.has, round_ * lines), "all lines")
    writer.end()
    reader.stop()
    assert rotations(log) == 95
    assert reader.numbers() == {"a": list(range(1, 8 * lines + 1))}


def test_two_processes_that_share_a_log_lose_nothing_to_one_anothers_rotations(reader, tmp_path):
    log, lines = tmp_path / "log", 40 * 25
    writers = [Writer(log, who, lines, 25 * 120, old_files=95) for who in "ab"]
    for round_ in range(1, 6):
        for writer in writers:
            writer.go()
        for writer in writers:
            writer.done()
        wait_until(partial(reader.has, round_ * 2 * lines), "all lines")
    for writer in writers:
        writer.end()
    reader.stop()
    for who, numbers in reader.numbers().items():
        assert Counter(numbers) == Counter(range(1, 5 * lines + 1)), who


@pytest.mark.slow
def test_logs_f_follows_ten_rotations_of_the_real_size_at_full_speed(tmp_path):
    """`nas-syncd logs -f` as a process, and a writer that does not wait for it."""
    stage = Stage(tmp_path / "stage")
    log = stage.root / "nas-syncd.log"
    stage.settings["NAS_SYNCD_LOG_FILE"] = log
    filling = 600
    lines = 11 * MOST_BYTES // (filling + 80)
    following = subprocess.Popen(
        [
            *(sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file)),
            *("logs", "-f", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    LogFile(log).write('{"event": "begin", "who": "-", "number": 0}')
    assert following.stdout is not None
    assert b"begin" in following.stdout.readline()
    writer = Writer(log, "a", lines, MOST_BYTES, old_files=5, filling=filling)
    writer.go()
    numbers = [json.loads(following.stdout.readline())["number"] for _ in range(lines)]
    writer.done()
    writer.end()
    following.send_signal(2)
    _, complaints = following.communicate(timeout=20)
    assert rotations(log) == 5
    assert os.stat(log).st_size + 5 * MOST_BYTES < lines * (filling + 80)  # ten rotations and more
    assert numbers == list(range(1, lines + 1))
    assert complaints.strip() == b""


def test_who_reads_the_history_first_meets_what_is_rotated_meanwhile(tmp_path):
    log = LogFile(tmp_path / "log", most_bytes=1000, old_files=9)
    for number in range(50):
        log.write(f"{number:04d} {'x' * 95}")
    with closing(Chain(tmp_path / "log")) as chain:
        pieces = chain.read(to_the_end=False)
        found = [next(pieces) for _ in range(5)]
        for number in range(50, 120):
            log.write(f"{number:04d} {'x' * 95}")
            if number % 5 == 0:
                found.append(next(pieces))
        found += pieces
    log.close()
    assert [int(str(piece)[2:6]) for piece in found] == list(range(120))


def test_the_last_lines_are_taken_from_as_many_files_as_it_needs(tmp_path):
    log = LogFile(tmp_path / "log", most_bytes=1000, old_files=9)
    for number in range(50):
        log.write(f"{number:04d} {'x' * 95}")
    with closing(Chain(tmp_path / "log")) as chain:
        last = chain.tail(23, lambda _piece: True, to_the_end=False)
        assert [int(str(piece)[2:6]) for piece in last] == list(range(27, 50))
        log.write("0050")
        assert lines_of(chain.read(to_the_end=False)) == [b"0050"]
    log.close()


def test_files_that_went_by_unseen_are_told_of(tmp_path):
    path = tmp_path / "log"
    log = LogFile(path, most_bytes=200, old_files=2)
    log.write("first".ljust(195))
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=False)) == [b"first".ljust(195)]
        for number in range(20):
            log.write(f"{number:04d} {'x' * 95}")
            os.utime(path, ns=(2**61, 2**61 + number))  # later than the first, whatever the clock
        found = list(chain.read(to_the_end=False))
    log.close()
    assert found[0] == Gap()
    assert Gap() not in found[1:]
    assert [int(str(piece)[2:6]) for piece in found[1:]] == [17, 18, 19]


def test_a_file_that_is_emptied_in_place_is_read_from_its_start(tmp_path):
    path = tmp_path / "log"
    path.write_text("one\ntwo\n")
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=False)) == [b"one", b"two"]
        path.write_text("3\n")
        list(chain.read(to_the_end=False))  # notices
        assert lines_of(chain.read(to_the_end=False)) == [b"3"]


def test_a_log_that_somebody_moved_elsewhere_is_followed_at_its_path(tmp_path):
    path = tmp_path / "log"
    path.write_text("one\n")
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=False)) == [b"one"]
        path.rename(tmp_path / "log-20240115")
        assert lines_of(chain.read(to_the_end=False)) == []
        path.write_text("two\n")
        assert lines_of(chain.read(to_the_end=False)) == [b"two"]


def test_what_another_process_still_writes_into_a_rotated_file_is_read(tmp_path):
    path = tmp_path / "log"
    with path.open("a") as late, closing(Chain(path)) as chain:
        path.rename(tmp_path / "log.1")
        path.write_text("new\n")
        assert lines_of(chain.read(to_the_end=False)) == [b"new"]
        late.write("la")
        late.flush()
        assert lines_of(chain.read(to_the_end=False)) == []
        late.write("te\n")
        late.flush()
        assert lines_of(chain.read(to_the_end=False)) == [b"late"]


def test_half_a_line_waits_for_its_end_and_is_shown_where_nothing_more_comes(tmp_path):
    path = tmp_path / "log"
    path.write_text("whole\nha")
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=False)) == [b"whole"]
        with path.open("a") as file:
            file.write("lf\nand a")
        assert lines_of(chain.read(to_the_end=False)) == [b"half"]
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=True)) == [b"whole", b"half", b"and a"]


def test_an_endless_line_takes_no_memory_and_leaves_the_others_alone(tmp_path, monkeypatch):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.write(b"before\n")
        for _ in range(3):
            file.write(b"x" * LONGEST_LINE)
        file.write(b"\nafter\n" + b"y" * (LONGEST_LINE + 1))
    with closing(Chain(path)) as chain:
        assert list(chain.read(to_the_end=True)) == [
            b"before",
            Gap(3 * LONGEST_LINE + 1),
            b"after",
            Gap(LONGEST_LINE + 1),
        ]


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(tmp_path, kind):
    path = tmp_path / "log"
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    with pytest.raises(NotALogError):
        Chain(path)


def test_a_log_that_becomes_a_fifo_ends_there_and_goes_on_with_the_next_file(tmp_path):
    path = tmp_path / "log"
    path.write_text("one\n")
    with closing(Chain(path)) as chain:
        assert lines_of(chain.read(to_the_end=False)) == [b"one"]
        path.unlink()
        os.mkfifo(path)
        assert lines_of(chain.read(to_the_end=False)) == []
        path.unlink()
        path.write_text("two\n")
        assert lines_of(chain.read(to_the_end=False)) == [b"two"]


def test_no_more_files_are_held_open_than_promised(tmp_path, monkeypatch):
    monkeypatch.setattr(chain_module, "MOST_HELD", 5)
    path = tmp_path / "log"
    log = LogFile(path, most_bytes=100, old_files=90)
    log.write(f"{0:04d} {'x' * 95}")
    with closing(Chain(path)) as chain:
        for number in range(1, 40):
            log.write(f"{number:04d} {'x' * 95}")
        chain.advance()
        assert len(chain.held) == 5
        found = list(chain.read(to_the_end=False))
        found += chain.read(to_the_end=False)
    log.close()
    assert [int(str(piece)[2:6]) for piece in found] == list(range(40))
