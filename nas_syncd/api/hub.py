"""What the daemon's threads tell, kept once for however many clients listen.

There is one ring of events, and for what is only a present state one slot. A client has nothing
but a position in the ring: a thousand of them, reading or not, weigh next to nothing, and none of
them can hold up who publishes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Final

from nas_syncd.api.bell import Bell
from nas_syncd.logs import get_logger

RING_EVENTS = 4096
MOST_STREAMS = 256
FLUSH_SECONDS = 0.1
SHOW_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 20.0
CHUNK_BYTES = 16 * 1024

HEARTBEAT = b":\n\n"

Render = Callable[[str], Mapping[str, object]]
"""Language → plain data. Pure: called in the server's thread, once per language at most."""

log = get_logger(__name__)


class _Event:
    """One event: rendered when the first client needs it, once for each language."""

    __slots__ = ("_made", "_render", "kind", "number", "seq")

    def __init__(self, kind: str, number: int, render: Render, seq: int | None) -> None:
        self.kind: Final = kind
        self.number: Final = number
        self.seq: Final = seq
        self._render = render
        self._made: dict[str, bytes] = {}

    def as_bytes(self, language: str) -> bytes:
        made = self._made.get(language)
        if made is None:
            made = self._made[language] = self._rendered(language)
        return made

    def _rendered(self, language: str) -> bytes:
        try:
            return event_bytes(self.kind, self._render(language), self.seq)
        except Exception as error:  # one event that cannot be told ends no stream
            log.error("api.error", exc_info=error, kind=self.kind)
            return b""


def event_bytes(kind: str, data: Mapping[str, object], seq: int | None = None) -> bytes:
    """Return one server-sent event. JSON in ASCII: no name can break its line."""
    head = f"id: {seq}\n" if seq is not None else ""
    words = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"{head}event: {kind}\ndata: {words}\n\n".encode()


class Hub:
    """
    Thread-safe where it says so; everything else belongs to the server's thread.

    Args:
        ring: How many events are kept.
        most_streams: How many clients may listen at the same time.
        flush_seconds: New events go out together, at most this often.
        show_seconds: The same for what is only shown.
        send_seconds: A client that does not read for so long is cut off.
    """

    def __init__(
        self,
        *,
        ring: int = RING_EVENTS,
        most_streams: int = MOST_STREAMS,
        flush_seconds: float = FLUSH_SECONDS,
        show_seconds: float = SHOW_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self.bell = Bell(flush_seconds)
        self.alive: Callable[[], bool] = lambda: True
        """Whether who publishes still works; without it there is no heartbeat, and a client that
        hears nothing any more does not take the silence for peace."""
        self.show_seconds = show_seconds
        self.heartbeat_seconds = heartbeat_seconds
        self.send_seconds = send_seconds
        self._most_streams = most_streams
        self._lock = threading.RLock()
        self._ring: list[_Event | None] = [None] * ring
        self._end = 0
        """How many events there ever were: the number of the next one."""
        self._first_seq: int | None = None
        self._last_seq = 0
        self._slots: dict[str, _Event] = {}
        self._shown = 0
        self._stopped = False

    # -- from any thread ---------------------------------------------------------------------

    def publish(self, kind: str, render: Render, seq: int | None = None) -> None:
        """
        Tell an event to everybody who listens, now or (with *seq*, rising) after a break.

        Never blocks, however many listen and however slowly they read.
        """
        with self._lock:
            self._ring[self._end % len(self._ring)] = _Event(kind, self._end, render, seq)
            self._end += 1
            if seq is not None:
                self._last_seq = seq
                self._first_seq = seq if self._first_seq is None else self._first_seq
        self.bell.ring()

    def show(self, kind: str, render: Render) -> None:
        """Replace what is shown under *kind*; who connects later gets the newest, too."""
        with self._lock:
            self._shown += 1
            self._slots[kind] = _Event(kind, self._shown, render, None)
        self.bell.ring()

    def stop(self) -> None:
        """End all streams, for good."""
        self._stopped = True
        self.bell.end()

    @property
    def streams(self) -> int:
        """How many clients listen now."""
        return self.bell.ears

    # -- from the server's thread ------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """No further stream may begin."""
        return self._stopped or self.streams >= self._most_streams

    def reader(self, language: str, after: int | None) -> Reader:
        """Return a reader of what comes from now on, or of what came after fate *after*."""
        with self._lock:
            position, missed = self._place(after)
        return Reader(self, language, position, missed)

    def _place(self, after: int | None) -> tuple[int, int | None]:
        """Return where to begin, and how many were missed; None: none."""
        if after is None or after == self._last_seq:
            return self._end, None
        first = self._first_seq
        if first is None or after > self._last_seq or 0 < after < first - 1:
            return self._end, 0  # another life of the daemon: how many, nobody knows
        position, oldest = self._end, max(self._end - len(self._ring), 0)
        following = self._last_seq + 1
        while position > oldest:
            event = self._ring[(position - 1) % len(self._ring)]
            seq = event.seq if event is not None else None
            if seq is not None and seq <= after:
                return position, None
            following = seq if seq is not None else following
            position -= 1
        if oldest > 0 and following > after + 1:
            return self._end, following - after - 1
        return position, None

    def pieces(self, position: int, language: str) -> tuple[bytes, int, int]:
        """Return at most about a chunk of events, the new position, and how many are lost."""
        end, size = self._end, len(self._ring)
        if end - position > size:
            return b"", end, end - position
        made: list[bytes] = []
        length = 0
        while position < end and length < CHUNK_BYTES:
            event = self._ring[position % size]
            if event is None or event.number != position:  # overtaken while we were at it
                return b"".join(made), self._end, self._end - position
            made.append(event.as_bytes(language))
            length += len(made[-1])
            position += 1
        return b"".join(made), position, 0

    def slots(self) -> list[tuple[str, int]]:
        with self._lock:
            return [(kind, event.number) for kind, event in self._slots.items()]

    def shown(self, kind: str, language: str) -> tuple[bytes, int]:
        event = self._slots[kind]
        return event.as_bytes(language), event.number


class Reader:
    """One client's place: a position, and what it was shown last."""

    def __init__(self, hub: Hub, language: str, position: int, missed: int | None) -> None:
        self._hub = hub
        self._language = language
        self._position = position
        self._missed = missed
        self._seen: dict[str, int] = {}
        self._show_at = float("-inf")
        self._beat_at: float | None = None

    def take(self, now: float) -> tuple[bytes, float]:
        """Return what is to be sent now (perhaps nothing), and after how long to look again."""
        data = self._news() + self._states(now)
        if self._beat_at is None or data:
            self._beat_at = now + self._hub.heartbeat_seconds
        elif now >= self._beat_at:
            self._beat_at = now + self._hub.heartbeat_seconds
            data = HEARTBEAT if self._hub.alive() else b""
        wait = self._beat_at - now
        if self._unseen():
            wait = min(wait, self._show_at - now)
        return data, max(wait, 0.0)

    def _news(self) -> bytes:
        data, self._position, lost = self._hub.pieces(self._position, self._language)
        missed, self._missed = self._missed, None
        if lost:
            missed = (missed or 0) + lost
        if missed is None:
            return data
        self._seen.clear()  # what it shows is old now: all of it anew
        self._show_at = float("-inf")
        return data + event_bytes("missed", {"events": missed})

    def _states(self, now: float) -> bytes:
        if now < self._show_at:
            return b""
        data = b""
        for kind in self._unseen():
            made, self._seen[kind] = self._hub.shown(kind, self._language)
            data += made
        if data:
            self._show_at = now + self._hub.show_seconds
        return data

    def _unseen(self) -> list[str]:
        return [kind for kind, number in self._hub.slots() if self._seen.get(kind) != number]
