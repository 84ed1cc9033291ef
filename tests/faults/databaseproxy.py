"""Between a client and PostgreSQL: lets the first COMMIT through and loses the answer to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

COMMIT = b"COMMIT\0"
"""As the simple query protocol has it."""


class CommitEater:
    """Listens on ``port`` until :meth:`close`; forwards everything but one answer."""

    def __init__(self, server_port: int, on_lost: Callable[[], None]) -> None:
        """
        Args:
            on_lost: Called once, when the commit is done and its answer thrown away; the
                connection is cut when it returns.
        """
        self._server_port = server_port
        self._on_lost = on_lost
        self._armed = True
        self._eating: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        threading.Thread(target=target, args=args, daemon=True, name="commit-eater").start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port), 5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                self._spawn(self._to_server, client, server)
                self._spawn(self._to_client, server, client)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._armed and COMMIT in data:
                    self._armed = False
                    self._eating = server
                server.sendall(data)
        _cut(server)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._eating is server:
                    self._on_lost()
                    break
                client.sendall(data)
        _cut(client)
        _cut(server)


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
