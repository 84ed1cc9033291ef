"""A TCP proxy that makes the way long, and knows who waited for whom.

Every byte is handed on a fixed time after it came, in each direction, however many are on the way:
a delay, no narrow pipe. Where it is SMB that passes, the proxy notes each exchange; and how many
of them had to be made one after the other is the number of round trips that nobody can hide.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

CHUNK = 1 << 18
ON_THE_WAY = 256
"""So many chunks may be on the way in one direction: then the sender has to wait."""
PENDING = 0x103
Way = queue.Queue[tuple[float, bytes]]
"""What is on the way in one direction, and when each piece arrives."""
Note = Callable[[bytes, float], None]
COMMANDS = (
    *("negotiate", "session_setup", "logoff", "tree_connect", "tree_disconnect", "create"),
    *("close", "flush", "read", "write", "lock", "ioctl", "cancel", "echo", "query_directory"),
    *("change_notify", "query_info", "set_info", "oplock_break"),
)


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, in the client's time. Commands that travel together are one."""

    sent: float
    answered: float
    commands: tuple[str, ...]


def longest_chain(exchanges: Iterable[Exchange]) -> int:
    """Return the greatest number of exchanges of which each was sent only after the answer to the
    one before it had arrived."""
    count, free = 0, float("-inf")
    for one in sorted(exchanges, key=lambda exchange: exchange.answered):
        if one.sent >= free:
            count += 1
            free = one.answered
    return count


class Frames:
    """Cuts one direction of a connection into SMB's frames: four bytes of length, then so many."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._data += data
        while len(self._data) >= 4:
            length = int.from_bytes(self._data[1:4], "big")
            if len(self._data) < 4 + length:
                return
            yield bytes(self._data[4 : 4 + length])
            del self._data[: 4 + length]


def messages(frame: bytes) -> Iterator[tuple[int, int, str]]:
    """Return message id, status and command of each SMB2 message in *frame*."""
    at = 0
    while frame[at : at + 4] == b"\xfeSMB" and len(frame) >= at + 64:
        status = int.from_bytes(frame[at + 8 : at + 12], "little")
        command = int.from_bytes(frame[at + 12 : at + 14], "little")
        following = int.from_bytes(frame[at + 20 : at + 24], "little")
        message = int.from_bytes(frame[at + 24 : at + 32], "little")
        yield message, status, COMMANDS[command] if command < len(COMMANDS) else str(command)
        if not following:
            return
        at += following


@dataclass
class Witness:
    """Notes the exchanges of one connection."""

    delay_seconds: float
    exchanges: collections.deque[Exchange]
    _open: dict[int, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    _requests: Frames = field(default_factory=Frames)
    _answers: Frames = field(default_factory=Frames)

    def asked(self, data: bytes, now: float) -> None:
        for frame in self._requests.feed(data):
            found = list(messages(frame))
            if found:
                self._open[found[0][0]] = (now, tuple(command for _, _, command in found))

    def answered(self, data: bytes, now: float) -> None:
        for frame in self._answers.feed(data):
            for message, status, _ in itertools.islice(messages(frame), 1):
                if status != PENDING and message in self._open:
                    sent, commands = self._open.pop(message)
                    self.exchanges.append(Exchange(sent, now + self.delay_seconds, commands))


class Proxy:
    """Listens on a free port of 127.0.0.1. A context manager."""

    def __init__(self, port: int, *, round_trip_seconds: float, smb: bool = False) -> None:
        self._target = ("127.0.0.1", port)
        self.delay_seconds = round_trip_seconds / 2
        self._smb = smb
        self.exchanges: collections.deque[Exchange] = collections.deque()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            witness = Witness(self.delay_seconds, self.exchanges)
            self._start(client, server, witness.asked)
            self._start(server, client, witness.answered)

    def _start(self, source: socket.socket, sink: socket.socket, note: Note) -> None:
        way: Way = queue.Queue(ON_THE_WAY)
        seen = note if self._smb else None
        threading.Thread(target=self._take, args=(source, way, seen), daemon=True).start()
        threading.Thread(target=self._give, args=(way, sink), daemon=True).start()

    def _take(self, source: socket.socket, way: Way, note: Note | None) -> None:
        data = b"."
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            now = time.monotonic()
            if note is not None:
                note(data, now)
            way.put((now + self.delay_seconds, data))

    def _give(self, way: Way, sink: socket.socket) -> None:
        while True:
            due, data = way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return  # the other side has gone
