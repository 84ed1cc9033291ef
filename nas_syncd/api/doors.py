"""Where the API listens: an address and port, and files of local sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from nas_syncd.localsocket import LocalListener, bind_local
from nas_syncd.models import Reason

BACKLOG = 128
_LOCALHOST = ("127.0.0.1", "::1")

Place = tuple[socket.AddressFamily, tuple[Any, ...]]


class Listening(Protocol):
    """A door: :meth:`open` may be tried again and again, :meth:`close` undoes it."""

    @property
    def urls(self) -> list[str]: ...

    async def open(self) -> Sequence[socket.socket]:
        """
        Return the sockets that listen now.

        Raises:
            OSError: It cannot be opened now; :meth:`trouble` says it in our words.
        """

    def trouble(self, error: OSError) -> Reason: ...

    def close(self) -> None: ...


class TcpDoor:
    """An address and port. ``localhost`` is both of its addresses, ``::`` is IPv4 as well."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host.strip().removeprefix("[").removesuffix("]")
        self._port = port
        self._sockets: list[socket.socket] = []

    @property
    def urls(self) -> list[str]:
        found = []
        for listening in self._sockets:
            with contextlib.suppress(OSError):
                host, port = listening.getsockname()[:2]
                found.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        return found

    async def open(self) -> Sequence[socket.socket]:
        port = self._port
        try:
            for place in await _places(self._host, port):
                self._add(place, port)
                port = self._sockets[0].getsockname()[1]  # the same for all, also a chosen one
        except BaseException:
            self.close()
            raise
        return self._sockets

    def _add(self, place: Place, port: int) -> None:
        try:
            self._sockets.append(_bound(place, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE and self._port != 0
            if taken or not self._sockets:
                raise

    def trouble(self, error: OSError) -> Reason:
        codes = {
            errno.EADDRINUSE: "api.port_taken",
            errno.EACCES: "api.port_denied",
            errno.EPERM: "api.port_denied",
        }
        code = codes.get(error.errno or 0, "api.port_failed")
        return Reason(code, {"host": self._host, "port": self._port, "detail": _words(error)})

    def close(self) -> None:
        sockets, self._sockets = self._sockets, []
        for listening in sockets:
            listening.close()


class LocalDoor:
    """A Unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener: LocalListener | None = None

    @property
    def urls(self) -> list[str]:
        return [f"unix:{self._path}"] if self._listener is not None else []

    async def open(self) -> Sequence[socket.socket]:
        self._listener = bind_local(self._path)
        self._listener.socket.setblocking(False)
        return [self._listener.socket]

    def trouble(self, error: OSError) -> Reason:
        code = "api.socket_taken" if error.errno == errno.EADDRINUSE else "api.socket_failed"
        return Reason(code, {"path": str(self._path), "detail": _words(error)})

    def close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def _bound(place: Place, port: int) -> socket.socket:
    family, address = place
    # With the protocol named asyncio sets TCP_NODELAY; without it every answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        listening.bind((address[0], port, *address[2:]))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


async def _places(host: str, port: int) -> list[Place]:
    if host.lower().removesuffix(".") == "localhost":
        return [place for address in _LOCALHOST for place in _looked_up(address, port, True)]
    try:
        return _looked_up(host, port, True)
    except socket.gaierror:
        return await _asked_for(host, port)


def _looked_up(host: str, port: int, literal: bool) -> list[Place]:
    flags = socket.AI_PASSIVE | (socket.AI_NUMERICHOST if literal else 0)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # a name that no name server could know
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    return [(family, address) for family, _, _, _, address in found]


async def _asked_for(host: str, port: int) -> list[Place]:
    """Ask the name servers in a thread that nobody waits for, should they not answer."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Place]] = loop.create_future()

    def settle(found: list[Place] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: list[Place] | OSError
        try:
            found = _looked_up(host, port, False)
        except OSError as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name="api-name", daemon=True).start()
    return await answer


def _words(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)
