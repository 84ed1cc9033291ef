"""Clients of the API, in a process of their own: `python -m benchmarks.askers PORT SECONDS`.

Each of them asks every path so many times a second over a connection that stays open, as a
page and a monitoring do. The latencies are printed as JSON when standard input ends.
"""

from __future__ import annotations

import http.client
import json
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
        self.port = port
        self.ended = ended
        self.offset = offset
        self.seconds: dict[str, list[float]] = {path: [] for path in PATHS}
        self.errors = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        began = time.monotonic() + self.offset
        turn = 0
        while not self.ended.wait(max(0.0, began + turn / PER_SECOND - time.monotonic())):
            turn += 1
            for path in PATHS:
                asked = time.monotonic()
                try:
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    self.errors += 1
                    continue
                self.seconds[path].append(time.monotonic() - asked)
                self.errors += answer.status != 200
        connection.close()


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
