"""A digest is the same, whoever computes it, and no thread stays behind."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from nas_syncd.hashing import AHEAD, ASIDE_BYTES, hashing


def hashers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "hasher"]


@pytest.mark.parametrize("size", [0, ASIDE_BYTES - 1, ASIDE_BYTES, 4 * ASIDE_BYTES])
def test_the_digest_is_that_of_all_blocks_in_their_order(size: int) -> None:
    blocks = [os.urandom(1 << 16) for _ in range(10 * AHEAD)]

    with hashing(size) as hasher:
        for block in blocks:
            hasher.update(block)
        assert len(hashers()) == (size >= ASIDE_BYTES)
        digest = hasher.hexdigest()

    assert digest == hashlib.sha256(b"".join(blocks)).hexdigest()
    assert hashers() == []


def test_a_file_without_bytes_has_a_digest_too() -> None:
    with hashing(ASIDE_BYTES) as hasher:
        hasher.update(b"")
        assert hasher.hexdigest() == hashlib.sha256(b"").hexdigest()


def fail_while_hashing() -> None:
    with hashing(ASIDE_BYTES) as hasher:
        for _ in range(2 * AHEAD):
            hasher.update(bytes(1 << 16))
        raise OSError("gone")


def test_a_copy_that_fails_leaves_no_thread_behind() -> None:
    with pytest.raises(OSError, match="gone"):
        fail_while_hashing()

    assert hashers() == []


@pytest.mark.parametrize("blocks", [1, 3 * AHEAD], ids=["few", "more than wait"])
@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_what_could_not_be_hashed_has_no_digest(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException], blocks: int
) -> None:
    """And nobody waits for ever for room in the queue."""

    def fails(_block: bytes) -> None:
        raise error

    broken = SimpleNamespace(update=fails, hexdigest=lambda: "of nothing")
    monkeypatch.setattr(hashlib, "new", lambda _name: broken)

    with pytest.raises(RuntimeError, match=error.__name__):
        hash_blocks(blocks)

    assert hashers() == []


@pytest.mark.parametrize("blocks", [1, 3 * AHEAD], ids=["few", "more than wait"])
def test_what_was_not_taken_has_no_digest(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    class Torn(queue.Queue[Any]):
        def get(self, *_: Any) -> Any:
            raise MemoryError

    monkeypatch.setattr(queue, "Queue", Torn)

    with pytest.raises(RuntimeError, match="MemoryError"):
        hash_blocks(blocks)

    assert hashers() == []


def hash_blocks(count: int) -> None:
    with hashing(ASIDE_BYTES) as hasher:
        for _ in range(count):
            hasher.update(b"block")
        hasher.hexdigest()


def test_where_no_thread_can_be_had_it_is_hashed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)

    with hashing(ASIDE_BYTES) as hasher:
        hasher.update(b"block")
        assert hasher.hexdigest() == hashlib.sha256(b"block").hexdigest()
