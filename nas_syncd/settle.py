"""When is an uploaded file complete? Pure: no clock, no disk.

``complete`` means: its writer was seen to close it, or it is old, or it has not changed for the
settling time. In any case the source is checked again after the copy; this only
spares copies that would be thrown away.

Times are monotonic seconds that the caller hands in.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas_syncd.models import SourceVersion

REMEMBERED = 100_000


@dataclass(slots=True)
class _Record:
    version: SourceVersion
    at: float
    """From when on this version counts as complete."""


class Settling:
    """Remembers, for each path, since when its present version stands.

    Memory is bounded: the oldest path is dropped, which only makes it settle later. Not
    thread-safe.
    """

    def __init__(self, settle_seconds: float, remembered: int = REMEMBERED) -> None:
        self.settle_seconds = settle_seconds
        self._remembered = remembered
        self._records: dict[str, _Record] = {}

    def observe(
        self,
        relative: str,
        version: SourceVersion,
        closed: bool,
        now: float,
        age_seconds: float | None = None,
    ) -> None:
        """Take note that *version* stands at *relative*.

        Args:
            relative: Path below the upload folder.
            version: As just looked at.
            closed: The look followed upon a close by its writer.
            now: Monotonic seconds.
            age_seconds: The wall clock's time less the file's mtime; None when not known. A
                negative age (mtime in the future) says nothing.
        """
        at = now if closed else now + self.settle_seconds
        if age_seconds is not None and age_seconds >= 0:
            at = min(at, now + max(0.0, self.settle_seconds - age_seconds))
        record = self._records.get(relative)
        if record is not None and record.version == version:
            at = min(at, record.at)
            if at == record.at:
                return
            record.at = at
        else:
            self._records.pop(relative, None)
            self._records[relative] = _Record(version, at)
        self._keep_small()

    def settled(self, relative: str, version: SourceVersion, now: float) -> bool:
        """Whether *version* is the one observed last and counts as complete."""
        at = self.settles_at(relative, version)
        return at is not None and at <= now

    def settles_at(self, relative: str, version: SourceVersion) -> float | None:
        """Return when *version* counts as complete; None when another one, or none, was seen."""
        record = self._records.get(relative)
        return record.at if record is not None and record.version == version else None

    def forget(self, relative: str) -> None:
        """Drop what is known of *relative*."""
        self._records.pop(relative, None)

    def __len__(self) -> int:
        return len(self._records)

    def _keep_small(self) -> None:
        while len(self._records) > self._remembered:
            self._records.pop(next(iter(self._records)))
