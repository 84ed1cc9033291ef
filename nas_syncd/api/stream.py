"""Answers that do not end: the events for the page, the log's lines for the command."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator

from starlette.responses import StreamingResponse

from nas_syncd.api.bell import Bell, Ear
from nas_syncd.api.hub import CHUNK_BYTES, SEND_SECONDS, Hub, Render
from nas_syncd.api.problems import ProblemAnswer, Receive, Scope, Send
from nas_syncd.logs import Tap

MOST_LOG_STREAMS = 32
RETRY_MILLISECONDS = 2000
"""When a browser that lost the connection comes again."""

LOG_FIRST = "Nas-Syncd-Log-First"
"""Header: the number of the first line that follows."""

__all__ = ["Bell", "EventStream", "Hub", "LogStream", "Render", "resume_point"]


def resume_point(last_event_id: str | None, after: int | None) -> int | None:
    """Return after which fate to go on: what the browser remembers wins; garbage is nothing."""
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        return int(last_event_id[:18])
    return after


class _Live(StreamingResponse):
    """Sends what :meth:`_take` gives, waits in between, and notices at once when nobody listens."""

    def __init__(self, bell: Bell, media_type: str, send_seconds: float, language: str) -> None:
        super().__init__(_nothing(), media_type=media_type, headers={"Cache-Control": "no-store"})
        self._bell = bell
        self._send_seconds = send_seconds
        self._language = language

    @property
    @abstractmethod
    def _is_full(self) -> bool: ...

    @abstractmethod
    def _take(self, now: float) -> tuple[bytes, float | None] | None:
        """Return what to send and after how long to look again; None: that was all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_full:
            await ProblemAnswer(503, "api.streams_full", self._language)(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        with self._bell.listen() as ear, _ended_by_server(scope, ear):
            watching = asyncio.create_task(_watch(receive, ear))
            try:
                await send(start)
                if not await self._pour(send, ear):
                    _abort(scope)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _pour(self, send: Send, ear: Ear) -> bool:
        """Return False when the client does not read."""
        loop = asyncio.get_running_loop()
        while not ear.ended:
            taken = self._take(loop.time())
            if taken is None:
                break
            data, wait = taken
            if not data:
                await ear.wait(wait)
                continue
            if not await self._sent(send, data, more=True):
                return False
            await asyncio.sleep(0)  # a server that need not wait for the client does not wait
        return await self._sent(send, b"", more=False)

    async def _sent(self, send: Send, data: bytes, *, more: bool) -> bool:
        try:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            return False
        return True


class EventStream(_Live):
    """Server-sent events of *hub*, from now on, or those after fate *after* first."""

    def __init__(self, hub: Hub, language: str, after: int | None = None) -> None:
        super().__init__(hub.bell, "text/event-stream", hub.send_seconds, language)
        self.headers["X-Accel-Buffering"] = "no"
        self._hub = hub
        self._reader = hub.reader(language, after)
        self._greeting = f"retry: {RETRY_MILLISECONDS}\n\n".encode()

    @property
    def _is_full(self) -> bool:
        return self._hub.is_full

    def _take(self, now: float) -> tuple[bytes, float | None] | None:
        greeting, self._greeting = self._greeting, b""
        data, wait = self._reader.take(now)
        return greeting + data, wait


class LogStream(_Live):
    """The log's lines after number *after* (0: all that are kept), and on and on with *follow*."""

    def __init__(
        self, tap: Tap, bell: Bell, after: int = 0, follow: bool = False, language: str = "fr"
    ) -> None:
        super().__init__(bell, "application/x-ndjson", SEND_SECONDS, language)
        self._tap = tap
        first = tap.after(after, most=0).first
        self._sent_to = first - 1
        self._until = None if follow else tap.last
        self.headers[LOG_FIRST] = str(first)

    @property
    def _is_full(self) -> bool:
        return self._bell.ears >= MOST_LOG_STREAMS

    def _take(self, now: float) -> tuple[bytes, float | None] | None:  # noqa: ARG002
        if self._until is not None and self._sent_to >= self._until:
            return None
        batch = self._tap.after(self._sent_to)
        data = b""
        number = batch.first - 1
        for line in batch.lines:
            if len(data) >= CHUNK_BYTES:
                break
            data += line.encode("utf-8", "backslashreplace") + b"\n"
            number += 1
        self._sent_to = number
        return data, None


async def _watch(receive: Receive, ear: Ear) -> None:
    """End the waiting as soon as the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    ear.end()


@contextlib.contextmanager
def _ended_by_server(scope: Scope, ear: Ear) -> Iterator[None]:
    endings: set[Callable[[], None]] = scope.get("nas_syncd.endings", set())
    endings.add(ear.end)
    try:
        yield
    finally:
        endings.discard(ear.end)


def _abort(scope: Scope) -> None:
    abort: Callable[[], None] | None = scope.get("nas_syncd.abort")
    if abort is not None:
        abort()


def _nothing() -> Iterator[bytes]:
    return iter(())
