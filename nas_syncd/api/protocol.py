"""One HTTP/1.1 connection: uvicorn's own protocol, with bounds that a stranger cannot wear out.

A connection that does not get on with its request, that trickles, or that does not read what it
asked for is closed. When all places are taken, the connection that has been doing nothing for the
longest time gives way; only when every place is at work is a new one turned away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from nas_syncd.api.body import BODY_SECONDS, MOST_BODY_BYTES
from nas_syncd.api.gathered import Gathered
from nas_syncd.api.guard import SECURITY_HEADERS
from nas_syncd.api.problems import App, Receive, Scope, Send, problem_body
from nas_syncd.logs import get_logger

WRITE_BUFFER_BYTES = 16 * 1024
KERNEL_BUFFER_BYTES = 64 * 1024
"""What the system keeps for who does not read: by itself it would go up to megabytes each."""
LEAVE_SECONDS = 1.0
"""How long a refused connection may take to read why."""
MOST_LEAVING = 64

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the connections may take. Durations in seconds."""

    connections: int = 512
    """Through the TCP door."""
    local_connections: int = 128
    head_seconds: float = 10.0
    """From the connection, or a request's first byte, to the end of the request's head."""
    keep_alive_seconds: float = 15.0
    send_seconds: float = 20.0
    """How long a client may not read what was sent."""
    head_bytes: int = 32_768
    body_bytes: int = MOST_BODY_BYTES
    body_seconds: float = BODY_SECONDS


class Room:
    """What the connections of one door share. Belongs to the loop's thread."""

    def __init__(self, app: App, limits: Limits, most: int, language: str) -> None:
        self.limits = limits
        self.most = most
        self.language = language
        self.state = ServerState()
        self.active: set[Connection] = set()
        self.quiet: dict[Connection, None] = {}
        """Those of the active ones that have no request under way, the longest so first."""
        self.leaving: set[Connection] = set()
        self.closing = False
        self.endings: set[Callable[[], None]] = set()
        """What ends the live streams, called when the server stops."""
        self.config = uvicorn.Config(
            app,
            interface="asgi3",
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            forwarded_allow_ips="",
            workers=1,
            date_header=False,
            server_header=False,
            timeout_keep_alive=limits.keep_alive_seconds,  # type: ignore[arg-type] # only waited
            h11_max_incomplete_event_size=limits.head_bytes,
        )
        self.logger = _uvicorns_logger()

    def connection(self) -> Connection:
        return Connection(self)

    def admit(self) -> bool:
        """Make room for one more; False when everybody is at work."""
        if self.closing:
            return False
        if len(self.active) < self.most:
            return True
        if not self.quiet:
            return False
        next(iter(self.quiet)).drop()
        return True

    def forget(self, connection: Connection) -> None:
        self.active.discard(connection)
        self.quiet.pop(connection, None)
        self.leaving.discard(connection)

    # -- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Let nobody in, close who does nothing, end the streams, let the others finish."""
        self.closing = True
        for ending in list(self.endings):
            ending()
        for connection in list(self.active):
            connection.close_when_done()

    def drop_stalled(self) -> None:
        for connection in list(self.active):
            if connection.flow.write_paused:
                connection.drop()

    def drop_all(self) -> None:
        for connection in list(self.state.connections):
            connection.transport.abort()


class Connection(H11Protocol):
    """See the module. The application finds the connection's end in ``nas_syncd.abort``."""

    def __init__(self, room: Room) -> None:
        super().__init__(
            config=room.config,
            server_state=room.state,
            app_state={},
            _loop=asyncio.get_running_loop(),
        )
        self.logger = room.logger
        self.access_log = False
        self._room = room
        self._application: Any = self.app
        self.app = self._serve
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._leaving = False

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["nas_syncd.abort"] = self.transport.abort
        scope["nas_syncd.endings"] = self._room.endings
        await self._application(scope, receive, send)

    # -- coming ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        admitted = self._room.admit()
        super().connection_made(cast(asyncio.Transport, Gathered(transport, self.loop)))
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        with contextlib.suppress(OSError):
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        if not admitted:
            self._refuse(503, "api.busy")
            return
        self._room.active.add(self)
        self._room.quiet[self] = None
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        super().data_received(data)
        if self._leaving or self.transport.is_closing():
            return
        if self._at_work():
            self._stop_head_timer()
            self._room.quiet.pop(self, None)
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_in_time()
        elif not self._at_work():
            self._room.quiet[self] = None
            if self._room.closing:
                self.close_when_done()

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._room.limits.head_seconds, self._close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    # -- writing -----------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_in_time()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write_timer()

    def _abort_in_time(self) -> None:
        if self._write_timer is None:
            seconds = self._room.limits.send_seconds
            self._write_timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # -- going -------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.forget(self)
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says it in two languages
        if self._at_work():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.flow.resume_writing()
            if self.cycle.response_started:
                self.drop()
                return
        self._refuse(400, "api.bad_request")

    def close_when_done(self) -> None:
        """End after the answer that is under way; at once when there is none."""
        if self._at_work():
            self.cycle.keep_alive = False
        else:
            self._close()

    def drop(self) -> None:
        """End now, and make the place free now."""
        self._room.forget(self)
        self.transport.abort()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
            self._abort_in_time()

    def _refuse(self, status: int, code: str) -> None:
        """Say why, hang up, and listen a little longer: a reset would take the words away."""
        room = self._room
        room.forget(self)
        self._leaving = True
        self._stop_head_timer()
        if len(room.leaving) >= MOST_LEAVING:
            self.transport.abort()
            return
        room.leaving.add(self)
        self.flow.resume_reading()
        self.transport.write(_raw_answer(status, code, room.language))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(LEAVE_SECONDS, self.transport.abort)


def _raw_answer(status: int, code: str, language: str) -> bytes:
    body = problem_body(code, language)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
    ]
    words = {400: b"Bad Request", 503: b"Service Unavailable"}
    lines = [b"HTTP/1.1 %d %s" % (status, words[status])]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class _Told(logging.Handler):
    """Takes uvicorn's own errors into our log; nothing of it goes anywhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, asyncio.CancelledError):
            log.error("api.error", exc_info=error, message=record.getMessage().strip())


def _uvicorns_logger() -> logging.Logger:
    """Return a logger that is in no tree, so that no handler of the process hears it."""
    logger = logging.Logger("nas_syncd.api.uvicorn", logging.ERROR)
    logger.addHandler(_Told())
    return logger
