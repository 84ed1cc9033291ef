"""One system call for an answer: its head and its body leave together.

uvicorn writes them one after the other, and asyncio hands each write to the kernel at once. On
a machine that copies at the same time the second call is a third of what an answer costs.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Gathered:
    """A transport that keeps what is written until the loop's turn ends. For the rest it is the
    transport that was given; its flow control is that transport's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def abort(self) -> None:
        self._parts.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
