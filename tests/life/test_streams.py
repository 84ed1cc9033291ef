"""Two hundred clients of the event stream that come and go, many of them badly: nobody notices."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import statistics
import struct
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.http_client import Client, free_port
from tests.lab.parts import need_linux, wait_until
from tests.stage import RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]

CLIENTS = 200
STALLED = 50
FICKLE = 50
LEAVES_AFTER = 3000
"""Bytes."""
STALLED_BUFFER = 4096
RESET = struct.pack("ii", 1, 0)
WAVES = 4
DOCUMENTS = 200
"""In each of the waves."""
SINGLE = 30
LONG_NAME = "n" * 1500
"""So that what happens in one wave does not fit into the buffers of who does not read."""
STALLED_HOLDS = 300_000
"""Bytes: more than the buffers of both ends, so that the stalled ones did stall."""
LEAK_KIB = 4 * 1024
"""What a wave after the first may cost for good: 200 more of the last fates, which are kept for who
comes again, weigh about half of it; some hundred visits nothing. What leaks does so in each wave;
only one of them need be below this, for the allocator takes what it takes when it likes."""
CLIENT_KIB = 400
"""What one of 200 may cost while it is there."""


class Crowd:
    """Some read all they get, some nothing at all; some leave in the middle and come again."""

    def __init__(self, port: int, after: int) -> None:
        """
        Args:
            after: Of the stalled ones: the fate after which they want to know everything.
        """
        self._port = port
        self._leaving = threading.Event()
        self.visits = 0
        self.lost = 0
        """Connections that the daemon has ended although they were read."""
        self._selector = selectors.DefaultSelector()
        self._read: dict[socket.socket, int] = {}
        self.stalled = [self._connect(after) for _ in range(STALLED)]
        self.fickle = {self._join() for _ in range(FICKLE)}
        self.steady = {self._join() for _ in range(CLIENTS - STALLED - FICKLE)}
        self._reader = threading.Thread(target=self._listen)

    def _connect(self, after: int | None = None) -> socket.socket:
        one = socket.socket()
        if after is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER)
        one.connect(("127.0.0.1", self._port))
        query = "" if after is None else f"?after={after}"
        one.sendall(f"GET /sync/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return one

    def _join(self) -> socket.socket:
        one = self._connect()
        self._read[one] = 0
        self._selector.register(one, selectors.EVENT_READ)
        return one

    def _listen(self) -> None:
        while not self._leaving.is_set():
            for key, _ in self._selector.select(0.05):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                self._hear(one)

    def _hear(self, one: socket.socket) -> None:
        data = one.recv(65536)
        self._read[one] += len(data)
        self.lost += not data
        if not data or (one in self.fickle and self._read[one] > LEAVES_AFTER):
            self._selector.unregister(one)
            self._leave(one)
            if one in self.fickle:
                self.fickle.remove(one)
                self.fickle.add(self._join())

    def _leave(self, one: socket.socket) -> None:
        self.visits += 1
        if self.visits % 2:  # without a word
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.close()

    @property
    def least_read(self) -> int:
        """Return how much each of the steady ones has read at least."""
        return min(self._read[one] for one in self.steady)

    @contextlib.contextmanager
    def here(self) -> Iterator[Crowd]:
        """All of them are there; at the end all of them leave at once."""
        self._reader.start()
        try:
            yield self
        finally:
            self._leaving.set()
            self._reader.join()
            self._selector.close()
            for one in (*self.stalled, *self.fickle, *self.steady):
                self._leave(one)


class Watched:
    """The daemon, as the system sees it and as it sees itself."""

    def __init__(self, stage: Stage, daemon: RunningDaemon) -> None:
        self.stage = stage
        self.daemon = daemon
        self.port = int(str(stage.settings["NAS_SYNCD_API_PORT"]))
        self.ask = Client(stage.state / "daemon.sock").wait()
        Client(self.port).wait()
        self._proc = Path(f"/proc/{daemon.process.pid}")

    def memory(self) -> int:
        """Return what is resident, in KiB."""
        status = (self._proc / "status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def descriptors(self) -> int:
        return len(os.listdir(self._proc / "fd"))

    def streams(self) -> int:
        text = self.ask.get("/metrics").body.decode()
        return int(float(text.partition("\nnas_syncd_event_streams ")[2].split()[0]))

    @contextlib.contextmanager
    def crowded(self, after: int) -> Iterator[Crowd]:
        with Crowd(self.port, after).here() as crowd:
            wait_until(lambda: self.streams() > CLIENTS - FICKLE, "the crowd")
            yield crowd
        wait_until(lambda: self.streams() == 0, "all gone")

    def upload_singly(self, name: str) -> list[float]:
        """Upload documents one after another; return the daemon's own ``seconds`` for each."""
        events = []
        for number in range(SINGLE):
            row = self.stage.row(f"{name}-{number}.pdf")
            told = len(self.daemon.events)
            (self.stage.uploads / f"{name}-{number}.pdf").write_bytes(os.urandom(50_000))
            events.append(self.daemon.wait_for("document.synced", since=told, document_id=str(row)))
        return [float(event["seconds"]) for event in events]

    def upload_many(self, name: str) -> None:
        wanted = self.stage.marked() + DOCUMENTS
        for number in range(DOCUMENTS):
            self.stage.add(f"{name}-{number}.pdf", os.urandom(3000), original_name=LONG_NAME)
        self.stage.wait_marked(wanted, seconds=60)

    def oldest_fate(self) -> int:
        return min(int(fate["seq"]) for fate in self.ask.get("/sync/now").data["recent"])


@pytest.mark.slow
def test_two_hundred_streams_that_come_and_go_cost_no_memory_and_delay_no_copy(
    stage: Stage, start: Callable[..., RunningDaemon]
) -> None:
    need_linux()
    stage.settings["NAS_SYNCD_API_PORT"] = free_port()
    daemon = start(stage, cold=True)  # a fork's memory grows by what it shared at first
    daemon.wait_for("uploads.changed", watching="native")
    watched = Watched(stage, daemon)
    alone = watched.upload_singly("alone")
    after = watched.oldest_fate()
    descriptors, at_first = watched.descriptors(), watched.memory()
    resident, most = [], 0

    for wave in range(WAVES):
        with watched.crowded(after) as crowd:
            watched.upload_many(f"wave{wave}")
            wait_until(lambda: crowd.least_read > STALLED_HOLDS, "what is told", seconds=20)
            most = max(most, watched.memory())
        resident.append(watched.memory())
        print(f"wave {wave + 1}: {crowd.visits} visits, {resident[-1]} KiB")
        assert crowd.lost == 0, "only who does not read is ever cut off"
    with watched.crowded(after):
        beside = watched.upload_singly("beside")

    print(f"resident: {at_first} KiB without clients, at most {most} KiB")
    for name, took in (("alone", alone), ("beside 200 streams", beside)):
        median, longest = 1000 * statistics.median(took), 1000 * max(took)
        print(f"copied and marked, {name}: median {median:.0f} ms, at most {longest:.0f} ms")
    assert min(after - before for before, after in pairwise(resident)) < LEAK_KIB
    assert most - at_first < CLIENTS * CLIENT_KIB
    wait_until(lambda: watched.descriptors() <= descriptors, "every descriptor closed")
    # No benchmark: what waited for a client that does not read would wait for many seconds.
    assert statistics.median(beside) < 5 * statistics.median(alone) + 0.2
    assert max(beside) < 5
    assert stage.verdict().perfect
    assert daemon.stop() == 0
    assert "Traceback" not in "".join(daemon.text)
