"""Frames between parent and child: four bytes of length, then JSON.

JSON keeps file names that are not UTF-8: the surrogates of ``os.fsdecode`` are written as
``\\udcXX`` escapes and come back as they were.
"""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]

LENGTH_BYTES = 4
LARGEST_FRAME_BYTES = 64 << 20

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def pack(message: Message) -> bytes:
    """Return *message* as one frame."""
    body = _encode(message).encode("ascii")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Unpacker:
    """Turns a stream of bytes back into messages, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that *data* completes.

        Raises:
            ValueError: The stream is not ours (a length beyond any frame, or no JSON).
        """
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            length = int.from_bytes(buffer[start : start + LENGTH_BYTES], "big")
            if length > LARGEST_FRAME_BYTES:
                raise ValueError(f"frame of {length} bytes")
            end = start + LENGTH_BYTES + length
            if len(buffer) < end:
                break
            messages.append(json.loads(buffer[start + LENGTH_BYTES : end]))
            start = end
        if start:
            del buffer[:start]
        return messages
