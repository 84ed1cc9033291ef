"""The measuring tool's own parts: what it makes of values, and the long way it lays."""

from __future__ import annotations

import builtins
import math
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import reports
from benchmarks.calls import on_the_nas
from benchmarks.figures import Spread, in_turn, percentile, ratios, short, spread
from benchmarks.proxy import Exchange, Frames, Proxy, longest_chain, messages
from benchmarks.reports import Goal, Report
from benchmarks.workloads import KIB, MIB, WORKLOADS, Workload, make

HUNDRED = range(1, 101)


# -- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, wanted: int) -> None:
    assert percentile(reversed(HUNDRED), share) == wanted


@pytest.mark.parametrize(
    ("values", "share", "wanted"), [([7.0], 0.99, 7.0), ([1.0, 2.0], 0.0, 1.0)]
)
def test_a_percentile_of_few_values_is_one_of_them(
    values: list[float], share: float, wanted: float
) -> None:
    assert percentile(values, share) == wanted


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


def test_a_spread_keeps_the_ends() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert str(spread([3.0, 1.0, 2.0])) == "2.00 (1.00 to 3.00)"
    assert str(spread([3.0])) == "3.00"


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_ratios_compare_round_by_round() -> None:
    """A round in which the whole machine was slow changes no ratio."""
    assert ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == Spread(2.0, 2.0, 2.0)


def test_every_other_round_goes_backward() -> None:
    assert in_turn(["a", "b"], 0) == ["a", "b"]
    assert in_turn(["a", "b"], 1) == ["b", "a"]


@pytest.mark.parametrize(
    ("value", "shown"), [(12345.6, "12,346"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.012")]
)
def test_a_figure_shows_no_more_than_was_measured(value: float, shown: str) -> None:
    assert short(value) == shown


# -- workloads --------------------------------------------------------------------------------


def test_a_workload_is_the_same_each_time(tmp_path: Path) -> None:
    year = Workload("year", 30, 2 * MIB, smallest=20 * KIB)

    data = make(Workload("few", 3, 10, months=1), tmp_path / "few")

    assert year.sizes() == year.sizes()
    assert all(20 * KIB <= size <= 2 * MIB for size in year.sizes())
    assert {paper.place.rpartition("/")[0] for paper in data.papers} == {"2024/01/factures"}
    assert sorted(path.stat().st_size for path in data.folder.iterdir()) == [10, 10, 10]


def test_one_big_file_is_scaled_by_its_size_and_many_by_their_number() -> None:
    assert WORKLOADS["huge"].scaled(0.5).sizes() == [2 << 30]
    assert WORKLOADS["small"].scaled(0.01).sizes() == [100 * KIB] * 20


# -- the proxy --------------------------------------------------------------------------------


def exchanges(*times: tuple[float, float]) -> list[Exchange]:
    return [Exchange(sent, answered, ("read",)) for sent, answered in times]


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ((), 0),
        (((0, 1), (1, 2), (2, 3)), 3),  # each waits for the one before
        (((0, 3), (1, 4), (2, 5)), 1),  # all on the way at once
        (((0, 10), (0, 2), (2, 4), (4, 6)), 3),  # beside a long one
        (((4, 6), (0, 2), (2, 4)), 3),  # whatever their order
    ],
)
def test_the_chain_counts_those_that_waited_for_one_another(
    times: tuple[tuple[float, float], ...], wanted: int
) -> None:
    assert longest_chain(exchanges(*times)) == wanted


def smb(command: int, message: int, following: int = 0) -> bytes:
    head = b"\xfeSMB" + bytes(8) + command.to_bytes(2, "little") + bytes(6)
    return (head + following.to_bytes(4, "little") + message.to_bytes(8, "little")).ljust(64, b"\0")


def test_commands_that_travel_together_are_read_from_their_frame() -> None:
    frame = smb(5, 7, following=64) + smb(6, 8)

    assert [(m, c) for m, _, c in messages(frame)] == [(7, "create"), (8, "close")]


def test_frames_are_found_however_they_are_cut() -> None:
    frames = Frames()
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in (b"first", b"", b"third"))

    found = [frame for byte in stream for frame in frames.feed(bytes([byte]))]

    assert found == [b"first", b"", b"third"]


def test_what_is_no_smb_says_nothing() -> None:
    assert list(messages(b"\xfdSMB" + bytes(60))) == []
    assert list(messages(b"")) == []


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def test_the_proxy_delays_each_round_trip_but_not_one_after_the_other(echo: int) -> None:
    with (
        Proxy(echo, round_trip_seconds=0.1) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for number in range(30):
            client.sendall(bytes([number]))
        got = b""
        while len(got) < 30:
            got += client.recv(100)
        took = time.monotonic() - began

    assert got == bytes(range(30))
    assert 0.1 <= took < 1.5  # 30 round trips in turn would take 3 s


def test_the_proxy_hands_on_an_end(echo: int) -> None:
    with (
        Proxy(echo, round_trip_seconds=0.01) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        client.sendall(b"all")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(100) == b"all"
        assert client.recv(100) == b""


# -- reports ----------------------------------------------------------------------------------


@pytest.fixture
def report() -> Report:
    return Report(
        "sample",
        "A sample",
        ["", "seconds"],
        rows=[["ours", "1.00"], ["a|b", "2.00"]],
        notes=["a note"],
        goals=[Goal("speed", "at least", 1.4, 1.5), Goal("p50", "under", 60.0, 60.0)],
        bars={"ours": Spread(1.0, 0.9, 1.1)},
        values={"ours": [1.0]},
    )


def test_a_goal_says_what_was_seen(report: Report) -> None:
    assert [str(goal) for goal in report.goals] == [
        "reached: speed at least 1.4, seen 1.50",
        "NOT reached: p50 under 60, seen 60.0",
    ]


def test_a_report_comes_through_json_unchanged(report: Report) -> None:
    assert reports.from_json(reports.as_json([report])) == [report]


def test_markdown_has_the_table_and_what_was_aimed_at(report: Report) -> None:
    text = reports.markdown(report)

    assert "| ours | 1.00 |" in text
    assert "| a\\|b | 2.00 |" in text
    assert "- NOT reached: p50 under 60, seen 60.0" in text


def test_without_matplotlib_there_is_a_remedy_and_everything_else(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def none_of_it(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", none_of_it)

    told = reports.keep(report, tmp_path / "out")

    assert told is not None
    assert "[bench]" in told
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sample.md", "sample.json"}


# -- system calls -----------------------------------------------------------------------------


def test_a_call_that_another_thread_cut_in_two_is_put_together() -> None:
    text = (
        "7 read(4</m/nas/a>,  <unfinished ...>\n"
        '8 read(5</else>, "x", 1) = 1\n'
        '7 <... read resumed>"a \\"b\\" c"..., 4096) = 47\n'
        '9 openat(AT_FDCWD</>, "/m/nas/a", O_RDONLY) = 4</m/nas/a>\n'
    )

    assert on_the_nas(text, "/m/nas", "/m/uploads") == [
        ("read", '4<NAS/a>, "…", 4096 = 47'),
        ("openat", 'AT_FDCWD</>, "NAS/a", O_RDONLY = 4<NAS/a>'),
    ]
