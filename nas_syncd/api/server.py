"""The HTTP server inside the daemon: a thread of its own, an event loop of its own, two doors.

Of uvicorn it takes the protocol, not the server: that one wants signals, ends the process when a
port is taken, and turns ten times a second while nothing happens. This one sleeps until somebody
asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nas_syncd.api.doors import BACKLOG, Listening, LocalDoor, TcpDoor
from nas_syncd.api.guard import Door, Guard, own_hosts
from nas_syncd.api.hub import Hub
from nas_syncd.api.problems import App
from nas_syncd.api.protocol import Limits, Room
from nas_syncd.logs import Repeater, get_logger
from nas_syncd.models import Reason

RETRY_SECONDS = 10.0
STALLED_SECONDS = 1.0
"""How long, at the end, who does not read is waited for."""

log = get_logger(__name__)


class ApiServer:
    """
    Serves *app* until :meth:`stop`. What cannot be opened is told, and tried again and again.

    Args:
        host: An address or a name; ``guard.require_token`` has a say first.
        port: None: no TCP at all; 0: one that the system chooses.
        local: Files of Unix sockets; their folder must be there.
        hosts: Names under which it may be asked, besides this computer's own and *host*.
        hub: Its streams are ended when the server stops.
        on_ready: Called with every URL that is served now, again when one is added.
        on_trouble: Called once for each new trouble, not for each attempt. Like *on_ready* in
            the server's thread; neither may block.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        local: Sequence[Path] = (),
        token: SecretStr | str = "",
        hosts: Iterable[str] = (),
        language: str = "fr",
        hub: Hub | None = None,
        on_ready: Callable[[Sequence[str]], None] | None = None,
        on_trouble: Callable[[Reason], None] | None = None,
        retry_seconds: float = RETRY_SECONDS,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        names = own_hosts(host) | frozenset(hosts)
        outer, inner = (
            Guard(
                app,
                door=door,
                token=token,
                hosts=names,
                language=language,
                body_bytes=limits.body_bytes,
                body_seconds=limits.body_seconds,
            )
            for door in (Door.TCP, Door.LOCAL)
        )
        self._outside = Room(outer, limits, limits.connections, language)
        self._inside = Room(inner, limits, limits.local_connections, language)
        self._doors: dict[Listening, Room] = {LocalDoor(path): self._inside for path in local}
        if port is not None:
            self._doors[TcpDoor(host, port)] = self._outside
        self._hub = hub
        self._on_ready = on_ready
        self._on_trouble = on_trouble
        self._retry_seconds = retry_seconds
        self._urls: tuple[str, ...] = ()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = asyncio.Event()
        self._until = 0.0
        self._errors = Repeater()

    @property
    def urls(self) -> tuple[str, ...]:
        """What is served now: ``http://127.0.0.1:8377``, ``unix:/run/nas-syncd/api.sock``."""
        return self._urls

    def wait_ready(self, seconds: float) -> bool:
        """Return whether all that was asked for is served, after *seconds* at most."""
        return self._ready.wait(seconds)

    def start(self) -> None:
        """Begin, once. Returns at once."""
        loop = self._loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._unhandled)
        # A daemon thread only as the last resort: stop() ends it within its time.
        self._thread = threading.Thread(target=self._run, args=(loop,), name="api", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> bool:
        """
        End within *seconds*, whatever the clients do. Idempotent, never raises.

        Returns whether the thread has ended; it has not when the application blocks it.
        """
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return True
        seconds = max(seconds, 0.0)
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(self._stop_by, time.monotonic() + seconds * 0.9)
        if thread is not threading.current_thread():
            thread.join(seconds)
        if not thread.is_alive():
            return True
        for door in self._doors:  # at least nobody comes any more, and no file stays behind
            door.close()
        log.warning("api.stop_late", seconds=seconds)
        return False

    def _stop_by(self, until: float) -> None:
        self._until = until
        self._stopping.set()

    # -- the thread --------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._serve())
            loop.run_until_complete(loop.shutdown_asyncgens())
        except Exception as error:  # the daemon goes on without us
            log.error("api.error", exc_info=error)
        finally:
            for door in self._doors:
                door.close()
            loop.close()

    async def _serve(self) -> None:
        servers: list[asyncio.Server] = []
        opening = asyncio.create_task(self._open_all(servers))
        await self._stopping.wait()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        for server in servers:
            server.close()
        for door in self._doors:
            door.close()
        await self._see_out()

    async def _open_all(self, servers: list[asyncio.Server]) -> None:
        shut = dict(self._doors)
        told: dict[Listening, Reason] = {}
        while True:
            for door, room in list(shut.items()):
                if await self._open(door, room, servers, told):
                    del shut[door]
            self._tell_ready(all_open=not shut)
            if not shut:
                return
            await asyncio.sleep(self._retry_seconds)

    async def _open(
        self,
        door: Listening,
        room: Room,
        servers: list[asyncio.Server],
        told: dict[Listening, Reason],
    ) -> bool:
        try:
            sockets = await door.open()
        except OSError as error:
            reason = door.trouble(error)
            if told.get(door) != reason:
                told[door] = reason
                self._call(self._on_trouble, reason)
            return False
        loop = asyncio.get_running_loop()
        for listening in sockets:
            servers.append(
                await loop.create_server(room.connection, sock=listening, backlog=BACKLOG)
            )
        return True

    def _tell_ready(self, *, all_open: bool) -> None:
        urls = tuple(url for door in self._doors for url in door.urls)
        if all_open:
            self._ready.set()
        if urls != self._urls:
            self._urls = urls
            self._call(self._on_ready, urls)

    def _call(self, told: Callable[[Any], None] | None, value: object) -> None:
        if told is None:
            return
        try:
            told(value)
        except Exception as error:  # the caller's trouble does not end the server
            log.error("api.error", exc_info=error)

    async def _see_out(self) -> None:
        """Let the requests under way finish while there is time; then end what is left."""
        self._urls = ()
        rooms = (self._outside, self._inside)
        if self._hub is not None:
            self._hub.stop()
        for room in rooms:
            room.close()
        await self._wait_for_requests(min(STALLED_SECONDS, self._left()))
        for room in rooms:
            room.drop_stalled()
        await self._wait_for_requests(self._left() * 0.8)
        for room in rooms:
            room.drop_all()
        for task in self._requests():
            task.cancel()
        await self._wait_for_requests(self._left())
        await asyncio.sleep(0)  # the connections' last words

    def _left(self) -> float:
        return max(self._until - time.monotonic(), 0.0)

    def _requests(self) -> set[asyncio.Task[None]]:
        return self._outside.state.tasks | self._inside.state.tasks

    async def _wait_for_requests(self, seconds: float) -> None:
        requests = self._requests()
        if requests:
            await asyncio.wait(requests, timeout=seconds)

    def _unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what asyncio has nobody to tell, such as that no descriptor is left to accept."""
        error = context.get("exception")
        told = self._errors.should_log(context["message"], dt.datetime.now(dt.UTC))
        if told is not None:
            log.error("api.error", exc_info=error, message=context["message"], count=told.count)
