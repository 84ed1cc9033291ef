"""From the daemon's threads into the event loop: however often it rings, one call wakes all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


class Ear:
    """What one coroutine waits with. Belongs to the loop's thread."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()
        self.ended = False
        """The waiting is over for good."""

    def hear(self) -> None:
        self._heard.set()

    def end(self) -> None:
        self.ended = True
        self._heard.set()

    async def wait(self, seconds: float | None) -> None:
        """Return when it rang since the last time, when it has ended, or after *seconds*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        self._heard.clear()


class Bell:
    """
    Rung from any thread, heard in one event loop, at most every *seconds*.

    However many listen, at most one call into the loop is under way.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds
        self._lock = threading.RLock()  # a signal handler may log, and so ring
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ears: set[Ear] = set()
        self._rung = False
        self._told_at = float("-inf")

    @property
    def ears(self) -> int:
        """How many listen now."""
        return len(self._ears)

    def ring(self) -> None:
        """Wake who listens. Never blocks, never raises; costs next to nothing when nobody does."""
        with self._lock:
            if self._rung or not self._ears or self._loop is None:
                return
            self._rung = True
            try:
                self._loop.call_soon_threadsafe(self._soon)
            except RuntimeError:  # the loop has ended
                self._rung = False

    @contextlib.contextmanager
    def listen(self) -> Iterator[Ear]:
        """
        Give the running loop's coroutine an ear for as long as the context lasts.

        Raises:
            RuntimeError: Somebody listens in another loop that is still alive.
        """
        loop, ear = asyncio.get_running_loop(), Ear()
        with self._lock:
            self._settle_in(loop)
            self._ears.add(ear)
        try:
            yield ear
        finally:
            with self._lock:
                self._ears.discard(ear)

    def end(self) -> None:
        """End every waiting. From any thread."""
        with self._lock:
            loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._end)

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None and self._ears and not self._loop.is_closed():
            raise RuntimeError("a bell rings in one event loop at a time")
        self._ears.clear()
        self._loop, self._rung, self._told_at = loop, False, float("-inf")

    def _soon(self) -> None:
        loop = asyncio.get_running_loop()
        early = self._told_at + self._seconds - loop.time()
        if early > 0:
            loop.call_later(early, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        self._told_at = asyncio.get_running_loop().time()
        with self._lock:
            self._rung = False
            ears = list(self._ears)
        for ear in ears:
            ear.hear()

    def _end(self) -> None:
        for ear in list(self._ears):
            ear.end()
