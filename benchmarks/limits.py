"""What the machine itself can do on the target: the most that anybody could reach."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import MIB, Data, amount

BLOCK = bytes(os.urandom(MIB)) * 4
HASHED = 256 * MIB


@dataclass(frozen=True)
class Limits:
    """One round's, over files of the workload's own number and sizes, one after the other."""

    write_seconds: float
    """Creating, writing and flushing each."""
    read_seconds: float
    """Reading each back, its pages dropped from the cache before."""
    hash_seconds: float
    """SHA-256 of as many bytes, on one core."""
    bytes: int

    @property
    def seconds(self) -> float:
        """Write, flush, read back."""
        return self.write_seconds + self.read_seconds

    def __str__(self) -> str:
        parts = (
            ("write + fsync", self.write_seconds),
            ("read back", self.read_seconds),
            ("SHA-256", self.hash_seconds),
        )
        return ", ".join(
            f"{name} {seconds:.2f} s ({amount(self.bytes / seconds)}/s)" for name, seconds in parts
        )


def measure(data: Data, nas: Path) -> Limits:
    """Write the workload's sizes into *nas*, from memory, and read them back."""
    write = read = 0.0
    for paper in data.papers:
        path = nas / paper.name
        began = time.perf_counter()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            _write(fd, paper.size)
            os.fsync(fd)
            written = time.perf_counter()
            drop_cache(fd)
            _read(fd)
        finally:
            os.close(fd)
        write += written - began
        read += time.perf_counter() - written
    return Limits(write, read, _hash_seconds() * data.bytes / HASHED, data.bytes)


def drop_cache(fd: int) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _write(fd: int, size: int) -> None:
    view = memoryview(BLOCK)
    left = size
    while left:
        left -= os.write(fd, view[: min(left, len(view))])


def _read(fd: int) -> None:
    place = bytearray(len(BLOCK))
    os.lseek(fd, 0, os.SEEK_SET)
    while os.readv(fd, [place]):
        pass


def _hash_seconds() -> float:
    began = time.perf_counter()
    digest = hashlib.sha256()
    for _ in range(HASHED // len(BLOCK)):
        digest.update(BLOCK)
    return time.perf_counter() - began
