"""A hostile web site, a name that is bound to another address later, and who visits them."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it may not be installed
    from playwright.sync_api import BrowserContext

SANDBOX = "/sandbox"
READING = (
    "/sync/status",
    "/sync/now",
    "/sync/config",
    "/sync/documents",
    "/sync/documents/1",
    "/sync/explain?wanted=1",
    "/sync/months",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
)
FILES = ("/page/app.js", "/page/style.css")

_ATTEMPTS = Path(__file__).with_name("hostile.js").read_text().rstrip().removesuffix(";")
_EMPTY_PAGE = b"<!doctype html><title>hostile</title><body>"


class Site:
    """Any path is an empty page; :data:`SANDBOX` is one without an origin of its own."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.port = int(self._server.server_address[1])

    @contextlib.contextmanager
    def open(self) -> Iterator[Site]:
        with _serving(self._server):
            yield self


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(_EMPTY_PAGE)))
        if self.path == SANDBOX:
            allowed = "allow-scripts allow-forms allow-popups"
            self.send_header("Content-Security-Policy", f"sandbox {allowed}")
        self.end_headers()
        self.wfile.write(_EMPTY_PAGE)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Rebinding:
    """What a name stands for: a hostile server at first, after :meth:`bind` a port of this host.

    The browser knows one name and one port all the time, as when a name server changes its mind;
    what it sends then is passed on byte for byte.
    """

    def __init__(self) -> None:
        self._target: int | None = None
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer._handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def bind(self, port: int) -> None:
        self._target = port

    @contextlib.contextmanager
    def open(self) -> Iterator[Rebinding]:
        with _serving(self._server):
            yield self

    def _handle(self, client: socket.socket) -> None:
        if self._target is None:
            if client.recv(65536):  # a browser opens connections in advance
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
                client.sendall(head + _EMPTY_PAGE)
            return
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Visitor:
    """A browser's window on one page, and what was answered there on the wire."""

    def __init__(self, context: BrowserContext, url: str, base: str) -> None:
        """
        Args:
            url: The page, wherever it comes from.
            base: Of the daemon, as the page names it.
        """
        self.base = base
        self.page = context.new_page()
        answer = self.page.goto(url)
        assert answer is not None
        self.status = answer.status
        self._asked: dict[str, tuple[str, str]] = {}
        self._answered: dict[str, list[int]] = {}
        # Playwright's own events do not tell of answers that are kept from the page.
        wire = context.new_cdp_session(self.page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", self._note_request)
        wire.on("Network.responseReceivedExtraInfo", self._note_answer)

    def _note_request(self, told: dict[str, Any]) -> None:
        request = told["request"]
        if request["url"].startswith(self.base):
            path = request["url"].removeprefix(self.base)
            self._asked[told["requestId"]] = request["method"], path

    def _note_answer(self, told: dict[str, Any]) -> None:
        self._answered.setdefault(told["requestId"], []).append(told["statusCode"])

    def try_everything(self, *working: str) -> dict[str, str]:
        """Ask for *working* with POST, and for all that can be read; return what was read."""
        wanted = {"base": self.base, "reading": READING, "working": working, "files": FILES}
        read: dict[str, str] = self.page.evaluate(_ATTEMPTS, wanted)
        return read

    def answers(self, method: str, path: str) -> list[int]:
        """Return the statuses with which the daemon answered."""
        return [
            status
            for request, (asked, where) in self._asked.items()
            if (asked, where) == (method, path)
            for status in self._answered.get(request, [])
        ]

    def framed(self) -> list[str]:
        """Return what stands in the page's frames of the daemon's."""
        frames = [one.url for one in self.page.frames if one != self.page.main_frame]
        return [url for url in frames if url.startswith(self.base)]
