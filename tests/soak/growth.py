"""Does the daemon grow? Its figures at the quiet points of one long life, and their bounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The daemon and its children, all in all, at one quiet point."""

    rss: float
    pss: float
    descriptors: float
    threads: float
    journal: float
    """Bytes of the journal."""
    per_document: float
    """The same for each document that there ever was."""
    wal: float
    """Bytes of the journal's write-ahead log."""


BOUNDS: dict[str, tuple[float, float]] = {
    # Python returns memory to the system in arenas, and the children are new ones after a hang.
    "rss": (1.15, 8 * MIB),
    "pss": (1.15, 8 * MIB),
    # A child that was left behind in a dead mount has its pipes until it has been reaped.
    "descriptors": (1.0, 8),
    # Workers of the API and of the database's pool are made when they are first wanted.
    "threads": (1.0, 6),
    # The history and the receipts of each document are kept: it may grow, by so much for each.
    "per_document": (1.25, 1024),
    # SQLite begins it anew after 1000 pages, when nobody is reading.
    "wal": (1.0, 8 * MIB),
}
"""What the last third of a life may have: factor and allowance over what the first third had."""
JOURNAL_PER_DOCUMENT = 12 * 1024
"""Bytes, at the most, once there are a hundred documents."""
ENOUGH = 6
"""Fewer samples say nothing of growth."""


def measure(pid: int, state: Path, documents: int) -> Sample:
    pids = [pid, *descendants(pid)]
    journal = state / "journal.sqlite3"
    size = journal.stat().st_size
    wal = journal.with_name(f"{journal.name}-wal")
    return Sample(
        rss=sum(_memory(one, "Rss") for one in pids),
        pss=sum(_memory(one, "Pss") for one in pids),
        descriptors=sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in pids),
        threads=sum(len(list(Path(f"/proc/{one}/task").iterdir())) for one in pids),
        journal=size,
        per_document=size / max(1, documents),
        wal=wal.stat().st_size if wal.exists() else 0,
    )


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def _memory(pid: int, which: str) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition(f"\n{which}:")[2].split()[0]) * 1024


def compared(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return each figure's median in the first and in the last third of *samples*."""
    third = max(1, len(samples) // 3)

    def median(name: str, some: Sequence[Sample]) -> float:
        return statistics.median(float(getattr(sample, name)) for sample in some)

    names = [field.name for field in fields(Sample)]
    return {name: (median(name, samples[:third]), median(name, samples[-third:])) for name in names}


def grown(samples: Sequence[Sample]) -> list[str]:
    """Return what has grown beyond its bound; nothing when there are too few samples."""
    if len(samples) < ENOUGH:
        return []
    found = []
    for name, (before, after) in compared(samples).items():
        if name in BOUNDS:
            factor, allowance = BOUNDS[name]
            if after > before * factor + allowance:
                found.append(f"{name}: {before:.0f} -> {after:.0f}")
    last = samples[-1]
    if last.journal > 100 * JOURNAL_PER_DOCUMENT and last.per_document > JOURNAL_PER_DOCUMENT:
        found.append(f"journal: {last.per_document:.0f} bytes for each document")
    return found
