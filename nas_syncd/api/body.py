"""A request's body: read whole, within bounds, before anybody works on it."""

from __future__ import annotations

import asyncio

from nas_syncd.api.problems import Message, Receive, Scope, header_values

MOST_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0
DRAIN_SECONDS = 1.0
DRAIN_BYTES = 1024 * 1024
"""What is read after a refusal, so that the refusal arrives and is not cut off."""


class Body:
    """A request's body, read whole within bounds, then given to the application as one piece."""

    def __init__(self, scope: Scope, receive: Receive, most: int, seconds: float) -> None:
        self._receive = receive
        self._most = most
        self._seconds = seconds
        self._said = header_values(scope, b"content-length")
        self._chunked = bool(header_values(scope, b"transfer-encoding"))
        self._whole: bytes | None = None
        self._given = False

    async def read(self) -> tuple[int, str] | None:
        """Return status and code of a refusal (an empty code: the client has gone), or None."""
        if not self._chunked and all(said.strip(b"0") == b"" for said in self._said):
            return None
        if any(not said.isdigit() for said in self._said):
            return 400, "api.bad_request"
        if any(len(said) > 18 or int(said) > self._most for said in self._said):
            return 413, "api.body_too_large"
        try:
            async with asyncio.timeout(self._seconds):
                return await self._collect()
        except TimeoutError:
            return 408, "api.body_too_slow"

    async def _collect(self) -> tuple[int, str] | None:
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return 400, ""
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._most:
                return 413, "api.body_too_large"
            more = message.get("more_body", False)
        self._whole = b"".join(pieces)
        return None

    async def receive(self) -> Message:
        if self._whole is None or self._given:
            return await self._receive()
        self._given = True
        return {"type": "http.request", "body": self._whole, "more_body": False}


async def drain(receive: Receive) -> None:
    """Read a little more of what is not wanted: closing on unread data would cut the answer off."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return
