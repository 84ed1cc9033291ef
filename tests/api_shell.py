"""What the tests of the HTTP shell share: an application of their own, and a client that is rude.

The server and its guard are the real ones; only the application behind them is the tests'.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nas_syncd.api.server import ApiServer
from nas_syncd.api.stream import Bell, EventStream, Hub, LogStream, resume_point
from nas_syncd.logs import Tap
from nas_syncd.models import Reason

PATIENCE = 15.0


@dataclass
class Played:
    """The application of the tests, and what it saw."""

    hub: Hub = field(default_factory=Hub)
    tap: Tap = field(default_factory=Tap)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of what came through."""
    release: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        bell = Bell()
        self.tap.listen(bell.ring)

        async def answer(request: Request) -> Response:
            body = await request.body()
            told = {"trusted": request.scope["nas_syncd.trusted"], "bytes": len(body)}
            return JSONResponse(told, headers={"Access-Control-Allow-Origin": "*", "Server": "x"})

        async def wait(request: Request) -> Response:
            self.entered.release()
            while not self.release.is_set():
                await asyncio.sleep(0.01)
            return JSONResponse({"waited": True})

        async def block(request: Request) -> Response:
            self.entered.release()
            self.release.wait(PATIENCE)
            return JSONResponse({})

        async def fail(request: Request) -> Response:
            raise ValueError("on purpose")

        async def meant(request: Request) -> Response:
            return Response(b"meant", 500)

        async def torn(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                yield b"half"
                raise ValueError("on purpose")

            return StreamingResponse(pieces())

        async def large(request: Request) -> Response:
            self.entered.release()
            return Response(b"x" * 20_000_000)

        async def kept(request: Request) -> Response:
            return Response(b"", headers={"Cache-Control": "no-cache"})

        async def events(request: Request) -> Response:
            after = request.query_params.get("after")
            point = resume_point(
                request.headers.get("last-event-id"), int(after) if after is not None else None
            )
            return EventStream(self.hub, request.query_params.get("lang", "fr"), point)

        async def lines(request: Request) -> Response:
            asked = request.query_params
            return LogStream(self.tap, bell, int(asked.get("after", 0)), "follow" in asked)

        routes = [Route(path, answer) for path in ("/", "/page/app.js", "/healthz", "/readyz")]
        routes += [
            Route("/sync/status", answer),
            Route("/sync/test", answer, methods=["POST"]),
            Route("/sync/wait", wait),
            Route("/sync/block", block),
            Route("/sync/fail", fail),
            Route("/sync/meant", meant),
            Route("/sync/torn", torn),
            Route("/sync/large", large),
            Route("/sync/kept", kept),
            Route("/sync/events", events),
            Route("/sync/log", lines),
        ]
        self._inner = Starlette(routes=routes)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append((scope["method"], scope["path"]))
        await self._inner(scope, receive, send)


@dataclass
class Served:
    """A running server."""

    server: ApiServer
    app: Played
    troubles: list[Reason]

    @property
    def port(self) -> int:
        assert self.server.wait_ready(PATIENCE)
        (url, *_) = [url for url in self.server.urls if url.startswith("http://127.")]
        return int(url.rpartition(":")[2])

    def connect(self, *, buffer: int | None = None) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def ask(self, method: str = "GET", target: str = "/sync/status", **more: Any) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            return ask(connection, method, target, **more)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, name
        return found[0] if found else None


def request(
    method: str = "GET",
    target: str = "/sync/status",
    headers: Iterable[tuple[str, str | bytes]] = (),
    body: bytes = b"",
    host: str | None = "localhost",
    version: str = "1.1",
) -> bytes:
    """Return a request byte for byte, as no decent client would write it."""
    given: list[tuple[str, str | bytes]] = [("Host", host)] if host is not None else []
    given.extend(headers)
    if body and not any(name.lower() == "transfer-encoding" for name, _ in given):
        given.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/{version}".encode()]
    for name, value in given:
        lines.append(
            name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def ask(connection: socket.socket, method: str, target: str, **more: Any) -> Answer:
    connection.sendall(request(method, target, **more))
    return read(connection, method)


def read(connection: socket.socket, method: str = "GET") -> Answer:
    """Return the next answer as the standard library's client understands it."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        response.close()


def ended(connection: socket.socket) -> bool:
    """Wait until the server has hung up."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@contextlib.contextmanager
def serving(
    app: Played | None = None, *, local: Path | None = None, **more: Any
) -> Iterator[Served]:
    """Run the server, by default on a port of its own that the system chooses."""
    app = app if app is not None else Played()
    troubles: list[Reason] = []
    more.setdefault("port", 0)
    server = ApiServer(
        app,
        local=[local] if local is not None else [],
        hub=app.hub,
        on_trouble=troubles.append,
        **more,
    )
    server.start()
    try:
        yield Served(server, app, troubles)
    finally:
        app.release.set()
        assert server.stop(PATIENCE)


class Stream:
    """A client of server-sent events."""

    def __init__(
        self, connection: socket.socket, target: str = "/sync/events", **more: Any
    ) -> None:
        self.connection = connection
        connection.sendall(request("GET", target, **more))
        self.response = http.client.HTTPResponse(connection)
        self.response.begin()
        self.status = self.response.status

    def next(self) -> dict[str, Any]:
        """Return the next event's fields, comments as ``{"": …}``; empty at the end."""
        fields: dict[str, Any] = {}
        while line := self.response.readline():
            words = line.decode().rstrip("\n")
            if not words:
                break
            name, _, value = words.partition(":")
            fields[name] = value.strip()
        if "data" in fields:
            fields["data"] = json.loads(fields["data"])
        return fields

    def next_of(self, kind: str) -> dict[str, Any]:
        while (found := self.next()) and found.get("event") != kind:
            pass
        return found

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@contextlib.contextmanager
def listening(served: Served, target: str = "/sync/events", **more: Any) -> Iterator[Stream]:
    stream = Stream(served.connect(), target, **more)
    try:
        yield stream
    finally:
        stream.close()
