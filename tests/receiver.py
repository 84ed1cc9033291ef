"""A receiver of notifications and pings on this machine: a real HTTP server, which keeps them."""

from __future__ import annotations

import ctypes
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def enter(network: Path) -> None:
    """Take this thread into another network namespace.

    Raises:
        OSError: Nobody may, or there is no such namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with network.open() as file:
        if libc.setns(file.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns", str(network))


class Receiver:
    """A context manager. ``answer`` is the status it gives; ``held`` keeps every caller waiting."""

    def __init__(self, network: Path | None = None) -> None:
        """
        Args:
            network: The network namespace in which it listens; by default this process's.
        """
        self.messages: list[dict[str, Any]] = []
        self.pings = 0
        self.calls = 0
        self.answer = 200
        self.held = threading.Event()
        self.held.set()
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver._called()
                if receiver.answer == 200:
                    receiver._pinged()
                self._reply()

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver._called()
                if receiver.answer == 200:
                    receiver._told(body)
                self._reply()

            def _reply(self) -> None:
                receiver.held.wait()
                self.send_response(receiver.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The test-suite prints nothing."""

        def listen() -> ThreadingHTTPServer:
            if network is not None:
                enter(network)
            return ThreadingHTTPServer(("127.0.0.1", 0), Handler)

        with ThreadPoolExecutor(1) as of_its_own:  # a socket stays in the network it was made in
            self._server = of_its_own.submit(listen).result()
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def titles(self) -> list[str]:
        return [str(message["title"]) for message in self.messages]

    def url(self, path: str = "") -> str:
        """Return the address as Apprise knows it."""
        return f"json://127.0.0.1:{self.port}/{path}"

    def wait_messages(self, count: int, seconds: float = 40) -> list[dict[str, Any]]:
        """Return the messages when there are so many; fail when they do not come."""
        with self._news:
            arrived = self._news.wait_for(lambda: len(self.messages) >= count, seconds)
        assert arrived, f"{count} messages wanted: {self.titles}"
        return self.messages

    def wait_pings(self, count: int, seconds: float = 40) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.pings >= count, seconds), self.pings

    def wait_calls(self, count: int, seconds: float = 40) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.calls >= count, seconds), self.calls

    def _called(self) -> None:
        with self._news:
            self.calls += 1
            self._news.notify_all()

    def _pinged(self) -> None:
        with self._news:
            self.pings += 1
            self._news.notify_all()

    def _told(self, body: dict[str, Any]) -> None:
        with self._news:
            self.messages.append(body)
            self._news.notify_all()

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
