"""Clients of the API, in a process of their own: `python -m benchmarks.askers PORT SECONDS`.

Each of them asks every path so many times a second over a connection that stays open, as a
page and a monitoring do. The latencies are printed as JSON when standard input ends.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

CLIENTS = 8
PER_SECOND = 5
PATHS = ("/sync/status", "/metrics")


class Asker(threading.Thread):
    """One client. An answer that is not 200 is counted as an error."""

    def __init__(self, port: int, ended: threading.Event, offset: float) -> None:
        super().__init__(daemon=True)
        self.address = ("127.0.0.1", port)
        self.ended = ended
        self.offset = offset
        self.seconds: dict[str, list[float]] = {path: [] for path in PATHS}
        self.errors = 0

    def run(self) -> None:
        connection = socket.create_connection(self.address, timeout=30)
        began = time.monotonic() + self.offset
        turn = 0
        while not self.ended.wait(max(0.0, began + turn / PER_SECOND - time.monotonic())):
            turn += 1
            for path in PATHS:
                asked = time.monotonic()
                try:
                    status = ask(connection, path)
                except OSError:
                    connection.close()
                    self.errors += 1
                    connection = socket.create_connection(self.address, timeout=30)
                    continue
                self.seconds[path].append(time.monotonic() - asked)
                self.errors += status != b"200"
        connection.close()


def ask(connection: socket.socket, path: str) -> bytes:
    """Return the status of one answer, read to its end. A plain client costs the machine that is
    measured as little as can be."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    lengths = [int(value) for name, _, value in lines if name.lower() == b"content-length"]
    rest = lengths[0] - len(body)
    while rest > 0:
        rest -= len(_some(connection))
    return head.split(b" ")[1]


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the daemon has closed the connection")
    return data


def main(port: int) -> None:
    ended = threading.Event()
    askers = [Asker(port, ended, n / PER_SECOND / CLIENTS) for n in range(CLIENTS)]
    for asker in askers:
        asker.start()
    sys.stdin.read()
    ended.set()
    for asker in askers:
        asker.join()
    told = {path: sorted(s for a in askers for s in a.seconds[path]) for path in PATHS}
    print(json.dumps({"seconds": told, "errors": sum(a.errors for a in askers)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
