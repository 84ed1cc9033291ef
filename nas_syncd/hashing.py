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
AHEAD = 4
"""So many blocks wait to be hashed at most: they are memory."""


class Hasher(Protocol):
    def update(self, block: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@contextlib.contextmanager
def hashing(size: int) -> Iterator[Hasher]:
    """Give a hasher for about *size* bytes. Its thread, if it has one, is gone at the end."""
    if size < ASIDE_BYTES:
        yield hashlib.new(HASH)
        return
    aside = _Aside()
    try:
        yield aside
    finally:
        aside.close()


class _Aside:
    """Hashes in its own thread what it is given."""

    def __init__(self) -> None:
        self._hasher = hashlib.new(HASH)
        self._blocks: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="hasher", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self._trouble is None:
                try:
                    self._hasher.update(block)
                except Exception as trouble:  # noqa: BLE001 - for who asks for the digest
                    self._trouble = trouble

    def update(self, block: bytes, /) -> None:
        self._blocks.put(block)

    def hexdigest(self) -> str:
        self.close()
        if self._trouble is not None:
            raise self._trouble
        return self._hasher.hexdigest()

    def close(self) -> None:
        if self._thread.is_alive():
            self._blocks.put(None)
            self._thread.join()
