"""SHA-256, for a large file in a thread of its own. Standard library only.

``hashlib`` gives the interpreter's lock away while it works, so that a block is hashed while the
next one is read and written: on two cores a file of 4 GiB costs the time of its writing, flushing
and reading only (docs/performance.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Iterator
from typing import Protocol

HASH = "sha256"
ASIDE_BYTES = 8 << 20
"""From this size on a thread is worth its start."""
AHEAD = 2
"""So many blocks wait to be hashed at most: they are memory."""
ALIVE_SECONDS = 1.0


class Hasher(Protocol):
    def update(self, block: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@contextlib.contextmanager
def hashing(size: int) -> Iterator[Hasher]:
    """Give a hasher for about *size* bytes. Its thread, if it has one, is gone at the end."""
    aside = _aside() if size >= ASIDE_BYTES else None
    if aside is None:
        yield hashlib.new(HASH)
        return
    try:
        yield aside
    finally:
        aside.close()


def _aside() -> _Aside | None:
    try:
        return _Aside()
    except RuntimeError:  # this host has no thread to give: then it takes a little longer
        return None


class _Aside:
    """Hashes in its own thread what it is given: all of it, or there is no digest."""

    def __init__(self) -> None:
        self._hasher = hashlib.new(HASH)
        self._blocks: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._trouble: BaseException | None = None
        self._complete = False
        self._thread = threading.Thread(target=self._work, name="hasher", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                self._hasher.update(block)
            self._complete = True
        except BaseException as trouble:  # noqa: BLE001 - for who asks for the digest
            self._trouble = trouble

    def update(self, block: bytes, /) -> None:
        """
        Raises:
            RuntimeError: What came before could not be hashed.
        """
        if not self._put(block):
            raise self._failure()

    def hexdigest(self) -> str:
        """
        Raises:
            RuntimeError: Not everything could be hashed.
        """
        self.close()
        if not self._complete:
            raise self._failure()
        return self._hasher.hexdigest()

    def close(self) -> None:
        if not self._complete and self._put(None):
            self._thread.join()

    def _put(self, block: bytes | None) -> bool:
        """Hand *block* over; False when nobody takes it any more."""
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._blocks.put(block, timeout=ALIVE_SECONDS)
                return True
        return False

    def _failure(self) -> RuntimeError:
        error = RuntimeError(f"not hashed to the end: {self._trouble!r}")
        error.__cause__ = self._trouble
        return error
