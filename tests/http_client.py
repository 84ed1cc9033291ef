"""Asks a running daemon over its real sockets, with nothing between it and us."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_syncd.localsocket import connect_local
from tests.lab.parts import wait_until


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Said:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Client:
    """One new connection for each question: over the Unix socket, or to a port of this host."""

    def __init__(self, where: Path | int, seconds: float = 60) -> None:
        self.where = where
        self.seconds = seconds
        self.headers: dict[str, str] = {}

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Said:
        with self.connected() as connection:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, headers={**self.headers, **given})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, told, answer.read())

    def get(self, path: str, **headers: str) -> Said:
        return self("GET", path, None, **headers)

    def post(self, path: str, **headers: str) -> Said:
        return self("POST", path, None, **headers)

    @contextmanager
    def connected(self) -> Iterator[http.client.HTTPConnection]:
        if isinstance(self.where, int):
            connection = http.client.HTTPConnection("127.0.0.1", self.where, timeout=self.seconds)
        else:
            connection = http.client.HTTPConnection("localhost", timeout=self.seconds)
            connection.sock = connect_local(self.where, self.seconds)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def events(self, path: str = "/sync/events") -> Iterator[Iterator[tuple[str, Any]]]:
        """Give the stream's events, (kind, data), as they come."""
        with self.connected() as connection:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            yield _events(answer)

    def wait(self, seconds: float = 20) -> Client:
        """Wait until somebody answers."""

        def answers() -> bool:
            try:
                return self.get("/healthz").status == 200
            except OSError:
                return False

        wait_until(answers, f"an answer from {self.where}", seconds=seconds)
        return self


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    kind, data = "message", ""
    for raw in answer:
        line = raw.decode().rstrip("\r\n")
        name, _, value = line.partition(":")
        if line == "" and data:
            yield kind, json.loads(data)
            kind, data = "message", ""
        elif name == "event":
            kind = value.strip()
        elif name == "data":
            data += value.strip()
