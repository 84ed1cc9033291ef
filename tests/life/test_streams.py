"""Two hundred clients of the event stream that come and go, many of them badly: nobody notices."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
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
DOCUMENTS = 200
"""In each of three waves."""
SINGLE = 30
LONG_NAME = "n" * 1500
"""So that what happens in one wave does not fit into the buffers of who does not read."""


class Crowd:
    """Some read all they get, some nothing at all; some leave in the middle and come again."""

    def __init__(self, port: int, after: int) -> None:
        """
        Args:
            after: Of the stalled ones: the fate after which they want to know everything.
        """
        self._port = port
        self._leaving = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._read: dict[socket.socket, int] = {}
        self.stalled = [self._connect(after) for _ in range(STALLED)]
        self.fickle = {self._join() for _ in range(FICKLE)}
        self.steady = {self._join() for _ in range(CLIENTS - STALLED - FICKLE)}
        self.visits = 0
        self.lost = 0
        """Connections of those who read that the daemon has ended."""
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

    def single_seconds(self, name: str) -> list[float]:
        """Upload documents one after another; return what each took, from its close to its mark."""
        took = []
        for number in range(SINGLE):
            row = self.stage.row(f"{name}-{number}.pdf")
            told = len(self.daemon.events)
            path = self.stage.uploads / f"{name}-{number}.pdf"
            path.write_bytes(os.urandom(50_000))
            closed = time.monotonic()
            self.daemon.wait_for("document.synced", since=told, document_id=str(row))
            took.append(time.monotonic() - closed)
        return took


@pytest.mark.slow
def test_two_hundred_streams_that_come_and_go_cost_no_memory_and_delay_no_copy(
    stage: Stage, start: Start
) -> None:
    need_linux()
    stage.settings["NAS_SYNCD_API_PORT"] = free_port()
    first = stage.add("first.pdf", b"first")
    daemon = start(stage)
    watched = Watched(stage, daemon)
    daemon.wait_for("document.synced", document_id=str(first))
    began = time.monotonic()
    alone = watched.single_seconds("alone")
    print(f"\n{time.monotonic()-began:.1f} s")
    oldest = min(fate["seq"] for fate in watched.ask.get("/sync/now").data["recent"])
    descriptors, memory = watched.descriptors(), [watched.memory()]
    print(descriptors, memory)

    for wave in range(3):
        began = time.monotonic()
        before = stage.marked()
        with watched.crowded(oldest) as crowd:
            there = time.monotonic()
            for number in range(DOCUMENTS):
                stage.add(f"{wave}-{number}.pdf", os.urandom(3000), original_name=LONG_NAME)
            added = time.monotonic()
            stage.wait_marked(before + DOCUMENTS)
            peak = watched.memory()
            marked = time.monotonic()
            time.sleep(0.3)
        memory.append(watched.memory())
        print(f"wave {wave}: {there-began:.1f} {added-there:.1f} {marked-added:.1f} {time.monotonic()-marked:.1f} s; read {crowd.least_read} lost {crowd.lost} visits {crowd.visits}; RSS peak {peak} after {memory[-1]}; fds {watched.descriptors()}")
    began = time.monotonic()
    with watched.crowded(oldest) as crowd:
        beside = watched.single_seconds("beside")
        print(f"{time.monotonic()-began:.1f} s, streams {watched.streams()}")
    for what, took in (("alone", alone), ("beside", beside)):
        print(what, f"median {1000*statistics.median(took):.0f} max {1000*max(took):.0f} ms")
    def own(name): return [e["seconds"] for e in daemon.events if e["event"]=="document.synced" and name in e["path"]]
    for what in ("alone", "beside"):
        print(what, f"own median {1000*statistics.median(own(what)):.0f} max {1000*max(own(what)):.0f} ms")
    print(watched.descriptors(), watched.memory())
    assert stage.verdict().perfect
    print([e for e in daemon.events if e["event"]=="document.synced"][-1])
    print({e["event"] for e in daemon.events})
