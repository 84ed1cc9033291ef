"""Live streams: nobody who listens, however badly, costs anything or holds anybody up."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import selectors
import threading
import time
import tracemalloc

import pytest

from nas_syncd.api.bell import Bell
from nas_syncd.api.stream import Hub, resume_point
from nas_syncd.localsocket import connect_local
from nas_syncd.logs import configure_logging, shutdown_logging
from tests.api_shell import PATIENCE, Played, Stream, ended, listening, read, request, serving


@pytest.fixture
def hub():
    return Hub(flush_seconds=0.02, show_seconds=0.1, heartbeat_seconds=30)


@pytest.fixture
def served(hub):
    with serving(Played(hub)) as served:
        yield served


def fate(hub, seq, **more):
    hub.publish("fate", lambda language: {"n": seq, "in": language, **more}, seq)


def wait_until(holds, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)


# -- what comes -----------------------------------------------------------------------------


def test_every_fate_comes_with_its_number_in_order(served, hub):
    fate(hub, 1)
    with listening(served) as stream:
        assert stream.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert stream.response.getheader("Cache-Control") == "no-store"
        assert stream.next() == {"retry": "2000"}
        for seq in range(2, 300):
            fate(hub, seq)
        for seq in range(2, 300):
            assert stream.next() == {
                "id": str(seq),
                "event": "fate",
                "data": {"n": seq, "in": "fr"},
            }


def test_a_change_of_the_mount_comes_between_the_fates_and_has_no_number(served, hub):
    with listening(served) as stream:
        stream.next()
        fate(hub, 1)
        hub.publish("mount", lambda _: {"state": "ok"})
        fate(hub, 2)
        kinds = [(event.get("event"), event.get("id")) for event in (stream.next() for _ in "abc")]
    assert kinds == [("fate", "1"), ("mount", None), ("fate", "2")]


def test_each_language_is_rendered_once_for_all_and_only_when_somebody_listens(served, hub):
    rendered = []

    def render(language):
        rendered.append(language)
        return {"in": language}

    hub.publish("fate", render, 1)
    with contextlib.ExitStack() as held:
        targets = ["/sync/events?lang=fr", "/sync/events?lang=en"] * 5
        streams = [held.enter_context(listening(served, target)) for target in targets]
        assert rendered == []
        hub.publish("fate", render, 2)
        got = [stream.next_of("fate")["data"]["in"] for stream in streams]
    assert got == ["fr", "en"] * 5
    assert sorted(rendered) == ["en", "fr"]


def test_the_state_comes_at_once_and_then_only_the_newest(served, hub):
    rendered = []

    def show(number):
        def render(language):
            rendered.append(number)
            return {"n": number}

        hub.show("now", render)

    show(1)
    with listening(served) as stream:
        stream.next()
        assert stream.next() == {"event": "now", "data": {"n": 1}}
        begun = time.monotonic()
        last = 1
        while time.monotonic() - begun < 0.5:
            last += 1
            show(last)
            time.sleep(0.001)
        got = [1]
        while got[-1] != last:
            got.append(stream.next()["data"]["n"])
        elapsed = time.monotonic() - begun
    assert got == sorted(got)
    assert len(got) - 1 <= elapsed / 0.1 + 1
    assert len(rendered) == len(got)


def test_events_go_out_together(hub):
    hub = Hub(flush_seconds=0.2)
    with serving(Played(hub)) as served, contextlib.closing(served.connect()) as connection:
        stream = Stream(connection)
        stream.next()
        fate(hub, 1)
        assert stream.next()["id"] == "1"
        for seq in range(2, 50):
            fate(hub, seq)
        data = b""
        chunks = 0
        while b"id: 49\n" not in data:
            data += connection.recv(2**20)
            chunks += 1
        assert chunks <= 3
        stream.close()


def test_the_heart_beats_while_nothing_happens():
    hub = Hub(heartbeat_seconds=0.1)
    with serving(Played(hub)) as served, listening(served) as stream:
        assert [stream.next() for _ in range(4)] == [{"retry": "2000"}, *[{"": ""}] * 3]


def test_no_name_breaks_an_event(served, hub):
    hostile = 'a\n\ndata: b\r\u2028\udce9"\x00é'
    with listening(served) as stream:
        fate(hub, 1, name=hostile)
        fate(hub, 2)
        assert stream.next_of("fate")["data"]["name"] == hostile
        assert stream.next()["id"] == "2"


def test_an_event_that_cannot_be_told_is_logged_and_ends_nothing(served, hub):
    def fail(language):
        raise KeyError("on purpose")

    told = io.StringIO()
    configure_logging("info", "json", stream=told)
    try:
        with listening(served) as stream:
            hub.publish("fate", fail, 1)
            hub.publish("fate", lambda _: {"n": float("nan")}, 2)
            fate(hub, 3)
            assert stream.next_of("fate")["id"] == "3"
    finally:
        shutdown_logging()
    assert [json.loads(line)["event"] for line in told.getvalue().splitlines()] == ["api.error"] * 2


# -- going on after a break -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "after", "point"),
    [
        (None, None, None),
        (None, 7, 7),
        ("12", 7, 12),
        ("0", None, 0),
        ("", 7, 7),
        ("x", None, None),
        ("-1", None, None),
        ("²", 3, 3),
        ("9" * 5000, None, int("9" * 18)),
    ],
)
def test_what_the_browser_remembers_wins_and_garbage_is_nothing(header, after, point):
    assert resume_point(header, after) == point


@pytest.mark.parametrize("by_header", [True, False])
def test_the_fates_of_the_break_come_first(served, hub, by_header):
    for seq in range(1, 6):
        fate(hub, seq)
        hub.publish("mount", lambda _: {"state": "ok"})
    headers = [("Last-Event-ID", "3")] if by_header else []
    target = "/sync/events" if by_header else "/sync/events?after=3"
    with listening(served, target, headers=headers) as stream:
        stream.next()
        kinds = [stream.next().get("id") for _ in range(5)]
    assert kinds == [None, "4", None, "5", None], "with what came between"


def test_who_knows_the_newest_gets_only_what_comes(served, hub):
    fate(hub, 41)
    with listening(served, "/sync/events?after=41") as stream:
        fate(hub, 42)
        assert stream.next_of("fate")["id"] == "42"


def test_from_the_beginning_is_all_that_is_kept(served, hub):
    for seq in range(1, 4):
        fate(hub, seq)
    with listening(served, "/sync/events?after=0") as stream:
        assert [stream.next_of("fate")["id"] for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize(("first", "after"), [(1, 500), (1000, 500)])
def test_a_number_of_another_life_says_that_something_may_be_missing(served, hub, first, after):
    hub.show("now", lambda _: {"now": True})
    fate(hub, first)
    with listening(served, f"/sync/events?after={after}") as stream:
        stream.next()
        assert stream.next() == {"event": "missed", "data": {"events": 0}}
        assert stream.next()["event"] == "now"
        fate(hub, first + 1)
        assert stream.next()["id"] == str(first + 1)


def test_what_is_not_kept_any_more_is_counted():
    hub = Hub(ring=10)
    for seq in range(1, 101):
        fate(hub, seq)
    with serving(Played(hub)) as served:
        with listening(served, "/sync/events?after=50") as stream:
            stream.next()
            assert stream.next() == {"event": "missed", "data": {"events": 40}}
            fate(hub, 101)
            assert stream.next()["id"] == "101"
        with listening(served, "/sync/events?after=91") as stream:
            assert stream.next_of("fate")["id"] == "92"


def test_a_reader_that_was_overtaken_is_told_and_shown_everything_anew():
    hub = Hub(ring=64, flush_seconds=0)
    hub.show("now", lambda _: {"now": True})
    with serving(Played(hub)) as served, contextlib.closing(served.connect(buffer=4096)) as slow:
        stream = Stream(slow)
        stream.next()
        assert stream.next()["event"] == "now"
        for seq in range(1, 2001):
            fate(hub, seq, fill="x" * 5000)
            if seq % 50 == 0:
                time.sleep(0.01)
        missed = stream.next_of("missed")
        assert 0 < missed["data"]["events"] < 2000
        assert stream.next()["event"] == "now"
        fate(hub, 2001)
        assert stream.next_of("fate")["data"]["n"] <= 2001
        stream.close()


# -- who comes and goes ---------------------------------------------------------------------


def test_who_goes_is_noticed_at_once_also_in_silence(served, hub):
    with listening(served), listening(served):
        wait_until(lambda: hub.streams == 2)
    begun = time.monotonic()
    wait_until(lambda: hub.streams == 0)
    assert time.monotonic() - begun < 2


def test_too_many_are_told_so():
    hub = Hub(most_streams=2)
    with serving(Played(hub), language="en") as served:
        with listening(served), listening(served):
            wait_until(lambda: hub.streams == 2)
            answer = served.ask(target="/sync/events?lang=en")
            assert (answer.status, answer.json["code"]) == (503, "api.streams_full")
        wait_until(lambda: hub.streams == 0)
        with listening(served) as stream:
            assert stream.status == 200


def test_who_does_not_read_is_cut_off():
    hub = Hub(send_seconds=0.3, flush_seconds=0)
    with serving(Played(hub)) as served, contextlib.ExitStack() as held:
        for _ in range(5):
            connection = held.enter_context(contextlib.closing(served.connect(buffer=4096)))
            connection.sendall(request(target="/sync/events"))
        wait_until(lambda: hub.streams == 5)
        begun = time.monotonic()
        while hub.streams and time.monotonic() - begun < PATIENCE:
            hub.publish("fate", lambda _: {"fill": "x" * 10_000})
            time.sleep(0.001)
        assert hub.streams == 0
        assert served.ask().status == 200


def test_a_stopped_hub_ends_its_streams_and_begins_no_other(served, hub):
    with listening(served) as stream:
        wait_until(lambda: hub.streams == 1)
        hub.stop()
        assert stream.next() == {"retry": "2000"}
        assert stream.next() == {}
        assert stream.response.isclosed()
    assert served.ask(target="/sync/events").status == 503
    hub.publish("fate", lambda _: {}, 1)


def test_publishing_costs_the_same_whether_two_hundred_stalled_readers_listen_or_nobody():
    hub = Hub(send_seconds=60)

    def durations(number):
        for seq in range(number):
            begun = time.thread_time()
            fate(hub, seq + 1, fill="x" * 2000)
            yield time.thread_time() - begun

    with serving(Played(hub)) as served, contextlib.ExitStack() as held:
        for _ in range(200):
            connection = held.enter_context(contextlib.closing(served.connect(buffer=4096)))
            connection.sendall(request(target="/sync/events"))
        wait_until(lambda: hub.streams == 200)
        assert sorted(durations(5000))[4950] < 0.001


class Crowd:
    """Two hundred clients: every fourth one reads all it gets, the others nothing."""

    def __init__(self, served, hub):
        self.connections = [served.connect(buffer=4096) for _ in range(200)]
        for connection in self.connections:
            connection.sendall(request(target="/sync/events"))
        wait_until(lambda: hub.streams == 200)
        self._leaving = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with selectors.DefaultSelector() as selector:
            for connection in self.connections[::4]:
                selector.register(connection, selectors.EVENT_READ, connection)
            while not self._leaving.is_set():
                for key, _ in selector.select(0.05):
                    key.data.recv(65536)

    def leave(self):
        self._leaving.set()
        self._reader.join()
        for connection in self.connections:
            connection.close()


@contextlib.contextmanager
def counted_memory():
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def test_two_hundred_clients_come_and_go_most_of_them_stalled_and_memory_stays_flat():
    hub = Hub(ring=256, send_seconds=60, flush_seconds=0.01)

    def publish(number):
        for _ in range(number):
            hub.publish("fate", lambda _: {"fill": "x" * 4000})
            time.sleep(0.001)
        return tracemalloc.get_traced_memory()[0]

    with serving(Played(hub)) as served, counted_memory():
        with listening(served) as stream:
            empty = publish(300)
            stream.next_of("fate")
        for _ in range(3):
            crowd = Crowd(served, hub)
            full = max(publish(300) for _ in range(4))
            crowd.leave()
            wait_until(lambda: hub.streams == 0)
            assert full - empty < 200 * 100_000, "a buffer each, whatever was published"
        gc.collect()
        assert publish(0) - empty < 2_500_000, "the ring's own, and nothing else"


# -- the bell -------------------------------------------------------------------------------


def test_a_bell_that_nobody_hears_may_be_rung():
    bell = Bell()
    bell.ring()
    bell.end()
    assert bell.ears == 0


def test_a_hub_outlives_its_server():
    hub = Hub()
    with serving(Played(hub)) as served, listening(served):
        wait_until(lambda: hub.streams == 1)
    for seq in range(1, 100):
        fate(hub, seq)
    assert hub.streams == 0


def test_many_threads_publish_and_nothing_is_lost(hub):
    hub = Hub(ring=10_000)
    with serving(Played(hub)) as served, listening(served) as stream:
        stream.next()

        def work(name):
            for number in range(500):
                hub.publish("fate", lambda _, n=number: {"by": name, "n": n})

        threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        got = [stream.next()["data"] for _ in range(3000)]
        for thread in threads:
            thread.join()
    for name in range(6):
        assert [event["n"] for event in got if event["by"] == name] == list(range(500))


# -- the log --------------------------------------------------------------------------------


def lines_of(answer):
    return answer.body.decode().splitlines()


def test_the_logs_last_lines_come_as_they_are(served):
    for number in range(1, 4):
        served.app.tap.add(f'{{"n":{number}}}')
    answer = served.ask(target="/sync/log?after=1")
    assert lines_of(answer) == ['{"n":2}', '{"n":3}']
    assert answer.header("Nas-Syncd-Log-First") == "2"
    assert answer.header("Content-Type").startswith("application/x-ndjson")
    assert lines_of(served.ask(target="/sync/log")) == ['{"n":1}', '{"n":2}', '{"n":3}']
    assert lines_of(served.ask(target="/sync/log?after=3")) == []


def test_all_two_thousand_lines_come_however_long_they_are(served):
    for number in range(2500):
        served.app.tap.add(f"{number} " + "x" * 1000)
    answer = served.ask(target="/sync/log?after=400")
    assert [int(line.split()[0]) for line in lines_of(answer)] == list(range(500, 2500))
    assert answer.header("Nas-Syncd-Log-First") == "501"


def test_the_log_is_followed(tmp_path):
    place = tmp_path / "api.sock"
    app = Played()
    with serving(app, local=place) as served:
        assert served.server.wait_ready(5)
        app.tap.add("before")
        with contextlib.closing(connect_local(place, PATIENCE)) as connection:
            connection.sendall(request(target="/sync/log?follow=1", version="1.0"))
            lines = connection.makefile("rb")
            while lines.readline().strip():
                pass
            assert lines.readline() == b"before\n"
            for number in range(50):
                app.tap.add(f"line {number}")
                if number % 10 == 0:
                    time.sleep(0.02)
            assert [lines.readline() for _ in range(50)] == [
                f"line {number}\n".encode() for number in range(50)
            ]
            assert served.server.stop(PATIENCE)
            assert lines.read() == b"", "the end of the server is the end of the log"
            lines.close()


def test_a_log_that_is_followed_in_silence_is_let_go(served):
    with contextlib.closing(served.connect()) as connection:
        connection.sendall(request(target="/sync/log?follow=1"))
        assert connection.recv(10)
        assert len(served.server._outside.state.tasks) == 1
    wait_until(lambda: not served.server._outside.state.tasks)


def test_too_many_followers_are_told_so(served):
    with contextlib.ExitStack() as held:
        for _ in range(32):
            connection = held.enter_context(contextlib.closing(served.connect()))
            connection.sendall(request(target="/sync/log?follow=1"))
            assert connection.recv(10)
        answer = served.ask(target="/sync/log")
        assert (answer.status, answer.json["code"]) == (503, "api.streams_full")


def test_the_head_of_a_stream_has_no_body(served):
    with contextlib.closing(served.connect()) as connection:
        connection.sendall(request("HEAD", "/sync/events", [("Connection", "close")]))
        answer = read(connection, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert ended(connection)
