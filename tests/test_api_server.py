"""The server: its doors, its bounds, its end. Real sockets, real uvicorn, hostile clients."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from nas_syncd import localsocket
from nas_syncd.api.protocol import Limits
from nas_syncd.api.server import ApiServer
from nas_syncd.localsocket import bind_local, connect_local
from nas_syncd.logs import configure_logging, shutdown_logging
from nas_syncd.messages import explain
from tests.api_shell import PATIENCE, Played, Stream, ask, ended, read, request, serving

QUICK = Limits(head_seconds=0.3, keep_alive_seconds=0.6, send_seconds=0.5)
SOON = 0.05


@pytest.fixture
def place(tmp_path):
    return tmp_path / "api.sock"


def wait_until(holds, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)
    return True


def ask_local(path, target="/sync/status"):
    with contextlib.closing(connect_local(path, PATIENCE)) as connection:
        return ask(connection, "GET", target)


# -- doors ----------------------------------------------------------------------------------


def test_both_doors_serve_the_same_application(place):
    urls: list[tuple[str, ...]] = []
    with serving(local=place, on_ready=urls.append) as served:
        assert served.server.wait_ready(5)
        assert served.ask().json["trusted"] is True
        assert ask_local(place).json["trusted"] is True
        assert urls == [(f"unix:{place}", f"http://127.0.0.1:{served.port}")]
        assert served.server.urls == urls[0]
    assert served.server.urls == ()
    assert served.troubles == []


def test_without_a_port_there_is_the_local_door_alone(place):
    with serving(local=place, port=None) as served:
        assert served.server.wait_ready(5)
        assert served.server.urls == (f"unix:{place}",)
        assert ask_local(place).status == 200


def test_a_port_that_is_taken_is_told_once_and_taken_as_soon_as_it_is_free(place):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        urls: list[tuple[str, ...]] = []
        with serving(local=place, port=port, retry_seconds=SOON, on_ready=urls.append) as served:
            wait_until(lambda: served.troubles)
            assert ask_local(place).status == 200, "the local door does not wait for it"
            assert not served.server.wait_ready(4 * SOON)
            holder.close()
            assert served.server.wait_ready(PATIENCE)
            assert served.ask().status == 200
            (trouble,) = served.troubles
    assert trouble.code == "api.port_taken"
    assert trouble.params["host"] == "127.0.0.1"
    assert trouble.params["port"] == port
    assert "NAS_SYNCD_API_PORT" in explain(trouble, "en")
    assert str(port) in explain(trouble, "fr")
    assert urls == [(f"unix:{place}",), (f"unix:{place}", f"http://127.0.0.1:{port}")]


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "x" * 80, "a..b"])
def test_an_address_that_is_not_ours_is_told_and_stops_nothing(place, host):
    with serving(local=place, host=host, retry_seconds=SOON) as served:
        wait_until(lambda: served.troubles)
        assert ask_local(place).status == 200
    assert [trouble.code for trouble in served.troubles] == ["api.port_failed"]


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this computer")
@pytest.mark.parametrize("host", ["localhost", "::"])
def test_localhost_and_everything_are_both_families(host):
    with serving(host=host, token="sixteen letters.") as served:
        assert served.server.wait_ready(5)
        port = int(served.server.urls[0].rpartition(":")[2])
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), PATIENCE) as connection:
                assert ask(connection, "GET", "/healthz").status == 200


def test_a_callback_that_fails_stops_nothing():
    def fail(_):
        raise ValueError("on purpose")

    told = io.StringIO()
    configure_logging("info", "json", stream=told)
    try:
        with serving(on_ready=fail) as served:
            assert served.server.wait_ready(5)
            assert served.ask().status == 200
    finally:
        shutdown_logging()
    assert "on purpose" in told.getvalue()


def test_nothing_turns_while_nobody_asks():
    with serving() as served:
        assert served.server.wait_ready(5)
        served.ask()
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.05


# -- the local socket -----------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_socket_has_its_rights_whatever_the_umask(place, umask):
    before = os.umask(umask)
    try:
        listener = bind_local(place)
    finally:
        os.umask(before)
    with contextlib.closing(listener):
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        assert [entry.name for entry in place.parent.iterdir()] == [place.name]


def test_nobody_can_connect_before_the_rights_are_right(place, monkeypatch):
    """While the file is there with other rights, nobody listens behind it."""
    seen = []
    chmod = os.chmod

    def look(path, mode):
        with pytest.raises(ConnectionRefusedError):
            connect_local(path)
        seen.append(os.path.exists(place))
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", look)
    bind_local(place).close()
    assert seen == [False]


def test_a_dead_daemons_socket_is_replaced(place):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place))
    dead.close()
    with pytest.raises(ConnectionRefusedError):
        connect_local(place)
    with serving(local=place, port=None) as served:
        assert served.server.wait_ready(5)
        assert ask_local(place).status == 200
    assert list(place.parent.iterdir()) == []


def test_a_living_daemons_socket_is_left_alone_until_it_goes(place):
    with serving(local=place, port=None) as first:
        assert first.server.wait_ready(5)
        with serving(local=place, port=None, retry_seconds=SOON) as second:
            wait_until(lambda: second.troubles)
            assert second.troubles[0].code == "api.socket_taken"
            ask_local(place)
            assert (len(first.app.seen), len(second.app.seen)) == (1, 0)
            assert first.server.stop(PATIENCE)
            assert second.server.wait_ready(PATIENCE)
            ask_local(place)
            assert len(second.app.seen) == 1


def test_a_busy_daemon_is_a_living_one(place, monkeypatch):
    """Its queue is full; it will come to it."""
    monkeypatch.setattr(localsocket, "ALIVE_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        listener = bind_local(place)
        stack.callback(listener.close)
        listener.socket.listen(0)
        for _ in range(2):
            waiting = socket.socket(socket.AF_UNIX)
            stack.callback(waiting.close)
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(place))
        with pytest.raises(OSError, match="in use"):
            bind_local(place)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_replaced(place, kind):
    if kind == "file":
        place.write_text("mine")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(place.parent / "elsewhere")
    with serving(local=place, port=None, retry_seconds=SOON) as served:
        wait_until(lambda: served.troubles)
    assert [trouble.code for trouble in served.troubles] == ["api.socket_failed"]
    assert [entry.name for entry in place.parent.iterdir()] == [place.name]
    assert kind != "file" or place.read_text() == "mine"


def test_a_folder_that_comes_later_is_no_trouble_for_long(tmp_path):
    place = tmp_path / "later" / "api.sock"
    with serving(local=place, port=None, retry_seconds=SOON) as served:
        wait_until(lambda: served.troubles)
        place.parent.mkdir()
        assert served.server.wait_ready(PATIENCE)
        assert ask_local(place).status == 200


def test_a_file_that_is_somebody_elses_by_now_stays(place):
    ours = bind_local(place)
    place.unlink()
    with contextlib.closing(bind_local(place)):
        ours.close()
        connect_local(place).close()
    assert not place.exists()


def long_place(tmp_path):
    folder = tmp_path
    while len(os.fsencode(folder)) < 300:
        folder = folder / ("é" * 20)
    folder.mkdir(parents=True)
    return folder / "api.sock"


@pytest.mark.parametrize("way", ["descriptor", "link"])
def test_a_path_of_any_length_is_served_and_found(tmp_path, monkeypatch, way):
    if way == "link":
        monkeypatch.setattr(localsocket, "_DESCRIPTORS", str(tmp_path / "nowhere"))
    place = long_place(tmp_path)
    here = os.getcwd()
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with serving(local=place, port=None) as served:
        assert served.server.wait_ready(5)
        assert ask_local(place).status == 200
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        monkeypatch.chdir(place.parent.parent)
        assert ask_local(os.path.relpath(place)).status == 200
        monkeypatch.chdir(here)
    assert list(place.parent.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        connect_local(place)
    if descriptors:  # of others, some may be closed by now
        assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_the_longest_path_that_fits_as_it_is_works_like_the_first_that_does_not(tmp_path):
    for length in range(98, 112):
        place = tmp_path / ("s" * (length - len(os.fsencode(tmp_path)) - 1))
        with contextlib.closing(bind_local(place)):
            connect_local(place).close()


def test_the_way_to_the_socket_needs_the_standard_library_only():
    script = (
        "import sys; before = set(sys.modules); import nas_syncd.localsocket;"
        "print([m for m in set(sys.modules) - before"
        " if m.partition('.')[0] not in sys.stdlib_module_names])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(json.loads(told.stdout.replace("'", '"'))) == {"nas_syncd", "nas_syncd.localsocket"}


# -- bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: local", b"\r\n\r\n", b"POST / HTTP/1.1\r\nA: b\r\n"],
)
def test_who_does_not_get_on_with_his_request_is_shown_out(sent):
    with serving(limits=QUICK) as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(sent)
            begun = time.monotonic()
            assert ended(connection)
            assert time.monotonic() - begun < 5
    assert served.app.seen == []


def test_a_head_that_trickles_gains_nothing():
    with serving(limits=QUICK) as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            begun = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - begun < PATIENCE:
                    connection.sendall(b"A: b\r\n")
                    time.sleep(SOON)
            assert time.monotonic() - begun < 5


def test_a_body_that_trickles_after_the_answer_gains_nothing():
    """A refusal does not wait for the body; the body must not hold the connection either."""
    with serving(limits=QUICK, token="sixteen letters.") as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            head = request("POST", "/sync/test", [("Transfer-Encoding", "chunked")])
            connection.sendall(head)
            assert read(connection).status == 401
            begun = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - begun < PATIENCE:
                    connection.sendall(b"1\r\nx\r\n")
                    time.sleep(SOON)
            assert time.monotonic() - begun < 5


def test_a_connection_is_kept_for_the_next_request_and_not_for_ever():
    with serving(limits=QUICK) as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            for _ in range(3):
                assert ask(connection, "GET", "/sync/status").status == 200
                time.sleep(QUICK.keep_alive_seconds / 2)
            assert ended(connection)


def test_requests_that_come_together_are_all_answered():
    with serving(limits=QUICK) as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(request() * 3)
            answers = connection.makefile("rb")
            for _ in range(3):
                assert answers.readline().startswith(b"HTTP/1.1 200")
                length = 0
                while (line := answers.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                answers.read(length)
            answers.close()
            assert ended(connection)
    assert len(served.app.seen) == 3


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"HELO\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\nC\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 40_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_so(sent):
    with serving(limits=QUICK, language="en") as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(sent)
            answer = read(connection)
            assert (answer.status, answer.json["code"]) == (400, "api.bad_request")
            assert answer.header("X-Content-Type-Options") == "nosniff"
            assert ended(connection)
        assert served.ask().status == 200
    assert served.app.seen == [("GET", "/sync/status")]


@pytest.mark.parametrize("after_start", [False, True])
def test_a_body_that_turns_into_nonsense_harms_nobody_else(after_start):
    with serving(limits=QUICK) as served:
        served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            target = "/sync/events" if after_start else "/sync/test"
            head = request("GET" if after_start else "POST", target)
            chunked = head.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(chunked + b"3\r\nabc\r\n")
            if after_start:
                connection.sendall(b"0\r\n\r\n")
                assert connection.recv(10)
            connection.sendall(b"nonsense\r\n\r\n\x00\r\n\r\n")
            assert ended(connection) if not after_start else True
        assert served.ask().status == 200


def test_when_every_place_is_at_work_a_new_one_is_told_so_and_the_local_door_is_open(place):
    limits = Limits(connections=3)
    with (
        serving(limits=limits, local=place, language="en") as served,
        contextlib.ExitStack() as held,
    ):
        assert served.server.wait_ready(5)
        waiting = []
        for _ in range(3):
            connection = held.enter_context(contextlib.closing(served.connect()))
            connection.sendall(request(target="/sync/wait"))
            assert served.app.entered.acquire(timeout=PATIENCE)
            waiting.append(connection)
        for method in ("GET", "POST"):
            answer = served.ask(method, "/sync/test", body=b"x" * 50_000)
            assert (answer.status, answer.json["code"]) == (503, "api.busy")
            assert answer.header("Connection") == "close"
        assert ask_local(place).status == 200
        served.app.release.set()
        assert [read(connection).status for connection in waiting] == [200, 200, 200]
        assert served.ask().status == 200


def test_who_does_nothing_gives_way_the_longest_first():
    with serving(limits=Limits(connections=3)) as served, contextlib.ExitStack() as held:
        assert served.server.wait_ready(5)
        idle = [held.enter_context(contextlib.closing(served.connect())) for _ in range(2)]
        kept = held.enter_context(contextlib.closing(served.connect()))
        assert ask(kept, "GET", "/sync/status").status == 200
        assert served.ask().status == 200
        assert ended(idle[0])
        assert ask(kept, "GET", "/sync/status").status == 200
        assert ask(idle[1], "GET", "/sync/status").status == 200


def test_a_flood_of_idle_connections_locks_nobody_out():
    with serving(limits=Limits(connections=16)) as served, contextlib.ExitStack() as held:
        assert served.server.wait_ready(5)
        for _ in range(100):
            held.enter_context(contextlib.closing(served.connect()))
        for _ in range(20):
            held.enter_context(contextlib.closing(served.connect()))
            assert served.ask().status == 200


def test_who_does_not_read_a_large_answer_is_cut_off():
    with serving(limits=QUICK) as served:
        assert served.server.wait_ready(5)
        with contextlib.closing(served.connect(buffer=4096)) as connection:
            connection.sendall(request(target="/sync/large"))
            assert served.app.entered.acquire(timeout=PATIENCE)
            wait_until(lambda: not connections(served))
            received = 0
            with contextlib.suppress(ConnectionError):
                while data := connection.recv(2**20):
                    received += len(data)
            assert received < 20_000_000


def connections(served):
    return served.server._outside.state.connections


# -- the end --------------------------------------------------------------------------------


def test_a_request_under_way_is_still_answered():
    with serving() as served:
        assert served.server.wait_ready(5)
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(request(target="/sync/wait"))
            assert served.app.entered.acquire(timeout=PATIENCE)
            threading.Timer(0.2, served.app.release.set).start()
            assert served.server.stop(PATIENCE)
            assert read(connection).json == {"waited": True}
            assert ended(connection)


def test_the_end_comes_in_time_whatever_the_clients_do():
    """Streams that are not read, answers not fetched, halves of requests, idlers."""
    with serving() as served, contextlib.ExitStack() as held:
        assert served.server.wait_ready(5)

        def open_with(data, buffer=None):
            connection = held.enter_context(contextlib.closing(served.connect(buffer=buffer)))
            connection.sendall(data)
            return connection

        for _ in range(5):
            open_with(request(target="/sync/events"), 4096)
            open_with(request(target="/sync/large"), 4096)
            open_with(request(target="/sync/log?follow=1"))
            open_with(b"GET / HT")
            open_with(request("POST", "/sync/test", [("Content-Length", "50")]) + b"half")
            open_with(request(target="/sync/wait"))
            open_with(b"")
        for _ in range(10):
            assert served.app.entered.acquire(timeout=PATIENCE)
        wait_until(lambda: served.app.hub.streams == 5)
        for _ in range(2000):
            served.app.hub.publish("fate", lambda _: {"fill": "x" * 2000})
        begun = time.monotonic()
        assert served.server.stop(3)
        assert time.monotonic() - begun < 3
        assert "api" not in [thread.name for thread in threading.enumerate()]


def test_a_server_without_clients_ends_at_once():
    with serving() as served:
        assert served.server.wait_ready(5)
        begun = time.monotonic()
        assert served.server.stop(PATIENCE)
        assert served.server.stop(PATIENCE), "again"
        assert time.monotonic() - begun < 1


def test_streams_alone_do_not_delay_the_end():
    with serving() as served, contextlib.closing(served.connect()) as connection:
        stream = Stream(connection)
        begun = time.monotonic()
        assert served.server.stop(PATIENCE)
        assert time.monotonic() - begun < 0.9
        while fields := stream.next():
            assert fields == {"retry": "2000"}
        assert stream.response.isclosed(), "a proper end, not a torn one"


def test_a_server_that_was_never_started_is_stopped_already():
    assert ApiServer(Played(), port=0).stop(0)


def test_it_can_be_stopped_before_it_is_ready():
    for _ in range(20):
        server = ApiServer(Played(), port=0)
        server.start()
        assert server.stop(PATIENCE)


def test_a_blocked_application_is_left_behind_and_said_so(place):
    with serving(local=place) as served, contextlib.closing(served.connect()) as connection:
        assert served.server.wait_ready(5)
        connection.sendall(request(target="/sync/block"))
        assert served.app.entered.acquire(timeout=PATIENCE)
        begun = time.monotonic()
        assert not served.server.stop(0.3)
        assert time.monotonic() - begun < 2
        assert not place.exists()


SCRIPT = """
import sys, socket, time
from nas_syncd.api.server import ApiServer
from nas_syncd.logs import configure_logging

async def app(scope, receive, send):
    if scope["path"] == "/block":
        print("blocked", flush=True)
        time.sleep(60)
    raise ValueError("on purpose")

if "log" in sys.argv:
    configure_logging("info", "json", stream=open("log.json", "w"))
server = ApiServer(app, port=0)
server.start()
assert server.wait_ready(10)
address = ("127.0.0.1", int(server.urls[0].rpartition(":")[2]))
upgrade = b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\n"
for sent in (b"nonsense\\r\\n\\r\\n", upgrade + b"Connection: Upgrade, close\\r\\n\\r\\n"):
    with socket.create_connection(address) as client:
        client.sendall(sent)
        while client.recv(1000):
            pass
if "block" in sys.argv:
    client = socket.create_connection(address)
    client.sendall(b"GET /block HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    time.sleep(0.3)
if "stop" in sys.argv:
    print(server.stop(1), flush=True)
"""


@pytest.mark.parametrize("words", [["stop"], [], ["block", "stop"], ["block"]])
def test_the_interpreter_can_always_end_and_nothing_is_printed(words, tmp_path):
    begun = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, "log", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert time.monotonic() - begun < PATIENCE
    if words == ["stop"]:
        assert told.stdout == "True\n"
    events = [
        json.loads(line)["event"] for line in (tmp_path / "log.json").read_text().splitlines()
    ]
    assert (
        set(events) == {"api.error", "api.stop_late"}
        if words == ["block", "stop"]
        else {"api.error"}
    )
