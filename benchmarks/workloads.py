"""The documents that are copied: how many, how big, filed where."""

from __future__ import annotations

import math
import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TYPES = ("receipt", "invoice", "payslip", "other")
FOLDERS = {"receipt": "tickets", "invoice": "factures", "payslip": "salaires", "other": "autres"}
BACKEND_DIR = "/app/uploads"
HOUR = 3600.0


@dataclass(frozen=True)
class Workload:
    """Documents of one kind."""

    name: str
    count: int
    size: int
    """Bytes; the largest one where sizes differ."""
    months: int = 12
    """Over so many months of one year they are spread; 1: they all lie in one folder."""
    smallest: int | None = None
    """Where sizes differ: log-normal between this and ``size``."""

    def scaled(self, factor: float) -> Workload:
        """Return fewer or more of them; a single one is made smaller or bigger instead."""
        if self.count == 1:
            return Workload(self.name, 1, max(MIB, int(self.size * factor)), self.months)
        count = max(1, round(self.count * factor))
        return Workload(self.name, count, self.size, self.months, self.smallest)

    @property
    def title(self) -> str:
        if self.smallest is not None:
            return f"{self.count:,} of {amount(self.smallest)} to {amount(self.size)}"
        return f"{self.count:,} x {amount(self.size)}"

    def sizes(self) -> list[int]:
        """The same ones at each call."""
        if self.smallest is None:
            return [self.size] * self.count
        chance = random.Random(2024)
        low, high = math.log(self.smallest), math.log(self.size)
        middle, width = (low + high) / 2, (high - low) / 6
        drawn = (chance.lognormvariate(middle, width) for _ in range(self.count))
        return [min(self.size, max(self.smallest, round(one))) for one in drawn]


WORKLOADS = {
    one.name: one
    for one in (
        Workload("small", 2000, 100 * KIB),
        Workload("tiny", 20_000, 10 * KIB),
        Workload("quick", 5000, 10 * KIB),
        Workload("few", 150, 100 * KIB, months=1),
        Workload("big", 20, 100 * MIB),
        Workload("huge", 1, 4 * GIB),
        Workload("year", 1200, 20 * MIB, smallest=20 * KIB),
    )
}


def amount(size: float) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size:.4g} bytes"


@dataclass(frozen=True)
class Paper:
    """One document, as the backend knows it."""

    name: str
    size: int
    date: str
    doc_type: str

    @property
    def place(self) -> str:
        """Where it is filed."""
        return f"{self.date[:4]}/{self.date[5:7]}/{FOLDERS[self.doc_type]}/{self.name}"


@dataclass(frozen=True)
class Data:
    """The documents of one workload, on a disk."""

    workload: Workload
    folder: Path
    papers: tuple[Paper, ...]

    @property
    def bytes(self) -> int:
        return sum(paper.size for paper in self.papers)


def make(workload: Workload, folder: Path) -> Data:
    """Write the files, an hour old, and flush them."""
    folder.mkdir(parents=True)
    papers = tuple(_papers(workload))
    for paper in papers:
        path = folder / paper.name
        with path.open("wb") as file:
            for block in blocks(paper.size):
                file.write(block)
        then = path.stat().st_mtime - HOUR
        os.utime(path, (then, then))
    os.sync()
    return Data(workload, folder, papers)


def blocks(size: int) -> Iterator[bytes]:
    """Bytes that no server and no disk can make smaller."""
    for start in range(0, size, 4 * MIB):
        yield os.urandom(min(4 * MIB, size - start))


def _papers(workload: Workload) -> Iterator[Paper]:
    for number, size in enumerate(workload.sizes()):
        month = number % workload.months + 1
        kind = TYPES[number // 12 % 4] if workload.months > 1 else "invoice"
        yield Paper(f"{number:06d}-5e0c4f2a9d.pdf", size, f"2024-{month:02d}-15", kind)


def commit_rows(database: Path, papers: tuple[Paper, ...]) -> None:
    """Insert all of them in one transaction."""
    rows = [(f"{BACKEND_DIR}/{one.name}", one.name, one.doc_type, one.date) for one in papers]
    with sqlite3.connect(database, timeout=30) as db:
        db.executemany(
            "INSERT INTO documents (user_id, file_path, original_name, doc_type, date, created_at,"
            " processing_status) VALUES (1, ?, ?, ?, ?, '2024-01-16 10:00:00', 'completed')",
            rows,
        )
    db.close()
