"""The log that stands in a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from nas_syncd.cli.logs.chain import Chain, Piece
from nas_syncd.cli.logs.entries import Entry, Takes, entry_of

FOLLOW_SECONDS = 0.25


class LogInFile:
    """See :class:`~nas_syncd.cli.logs.entries.Source`. A file that is not there yet is empty."""

    def __init__(self, path: Path, *, follow: bool) -> None:
        """
        Args:
            follow: Half a line at the end waits for its other half.

        Raises:
            NotALogError: Something stands there that is no file.
            OSError: It may not be read.
        """
        self._chain = Chain(path)
        self._follow = follow

    def history(self, takes: Takes, most: int | None) -> Iterator[Entry]:
        if most is not None:
            picked = self._chain.tail(
                most, lambda piece: takes(_entry(piece)), to_the_end=not self._follow
            )
            yield from map(_entry, picked)
            return
        for piece in self._chain.read(to_the_end=not self._follow):
            entry = _entry(piece)
            if takes(entry):
                yield entry

    def coming(self) -> Iterator[Entry]:
        while True:
            for piece in self._chain.read(to_the_end=False):
                yield _entry(piece)
            time.sleep(FOLLOW_SECONDS)

    def close(self) -> None:
        self._chain.close()


def _entry(piece: Piece) -> Entry:
    if not isinstance(piece, bytes):
        return Entry(gap=piece)
    return entry_of(piece.decode("utf-8", "backslashreplace"))
