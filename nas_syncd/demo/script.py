"""The script: what the backend does when, and when the pretend NAS goes away and comes back."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from nas_syncd.demo.backend import PREFIX, Backend, Row, iso, utc_now
from nas_syncd.demo.samples import Manner, Sample

PIECES = 12
LATEST_SHARE = 0.2
"""What comes late comes at most this share of the script later."""

Action = Callable[[], None]


class Script:
    """Actions with their times, in seconds from the script's beginning."""

    def __init__(self, span_seconds: float) -> None:
        self.span_seconds = span_seconds
        self._queue: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self.add(span_seconds, lambda: None)

    def add(self, at: float, action: Action) -> None:
        heapq.heappush(self._queue, (at, next(self._order), action))

    def play(self, now: float) -> None:
        """Do what is due at *now*."""
        while self._queue and self._queue[0][0] <= now:
            heapq.heappop(self._queue)[2]()

    @property
    def over(self) -> bool:
        return not self._queue

    def late(self, seconds: float) -> float:
        return min(seconds, LATEST_SHARE * self.span_seconds)


class Arrivals:
    """Puts the samples' arrivals into a script. ``begun`` counts what has arrived, in part too."""

    def __init__(
        self,
        backend: Backend,
        samples: Sequence[tuple[Sample, bytes]],
        tell: Callable[[str], None] = lambda _story: None,
    ) -> None:
        self.backend = backend
        self.begun = 0
        self._samples = list(enumerate(samples, start=1))
        self._tell = tell

    def backlog(self) -> None:
        """Let arrive what is there before the daemon starts."""
        for number, (sample, data) in self._samples:
            if sample.at < 0:
                self._begin(sample)
                self.backend.store(sample.upload, data)
                self.backend.insert(_row(number, sample))

    def write(self, script: Script) -> None:
        for number, (sample, data) in self._samples:
            if sample.at >= 0:
                self._arrange(script, number, sample, data)

    def _begin(self, sample: Sample) -> None:
        self.begun += 1
        if sample.story:
            self._tell(sample.story)

    def _arrange(self, script: Script, number: int, sample: Sample, data: bytes) -> None:
        backend = self.backend
        at = sample.at * script.span_seconds
        late = at + script.late(sample.late)

        def store() -> None:
            backend.store(sample.upload, data)

        def insert() -> None:
            backend.insert(_row(number, sample))

        script.add(at, lambda: self._begin(sample))
        if sample.manner is Manner.ROW_LATE:
            script.add(at, store)
            script.add(late, insert)
        elif sample.manner is Manner.FILE_LATE:
            script.add(at, insert)
            script.add(late, store)
        elif sample.manner is Manner.SLOWLY:
            script.add(at, insert)
            self._in_pieces(script, at, late, sample, data)
        else:
            script.add(at, store)
            script.add(at, insert)
        if sample.manner is Manner.METADATA_LATE:
            script.add(late, lambda: backend.complete(number, sample.doc_type, sample.date))

    def _in_pieces(
        self, script: Script, at: float, end: float, sample: Sample, data: bytes
    ) -> None:
        """Write piece by piece into one open file, as a slow upload does."""

        def begin() -> None:
            file = self.backend.open(sample.upload)
            size = -(-len(data) // PIECES)
            for place in range(PIECES):
                piece = data[place * size : (place + 1) * size]
                script.add(at + (end - at) * place / PIECES, partial(_append, file, piece))
            script.add(end, file.close)

        script.add(at, begin)


def _append(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)
    file.flush()


def _row(number: int, sample: Sample) -> Row:
    known = sample.manner is not Manner.METADATA_LATE
    return {
        "id": number,
        "user_id": sample.user_id,
        "file_path": f"{PREFIX}/{sample.upload}",
        "original_name": sample.original_name,
        "doc_type": sample.doc_type if known else None,
        "date": iso(sample.date) if known else None,
        "amount": sample.cents / 100,
        "created_at": utc_now(),
        "processing_status": "completed" if known else "processing",
    }
