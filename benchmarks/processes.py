"""What a process and all that come of it have used, as Linux counts it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class Used:
    """Of all processes together; what has ended is no longer in it, unless it was waited for."""

    cpu_seconds: float = 0.0
    switches: float = 0
    """Every time a thread was put on a core: a wake-up, or its turn after another's."""
    read_calls: float = 0
    read_bytes: float = 0
    write_calls: float = 0
    write_bytes: float = 0
    resident: float = 0
    """Bytes that are in memory; what the processes share counts once for each."""
    proportional: float = 0
    """The same, but what is shared is divided among those who share it."""

    def __add__(self, other: Used) -> Used:
        return self._with(other, 1)

    def __sub__(self, other: Used) -> Used:
        return self._with(other, -1)

    def _with(self, other: Used, sign: int) -> Used:
        names = Used.__dataclass_fields__
        return Used(**{one: getattr(self, one) + sign * getattr(other, one) for one in names})


def family(pid: int) -> list[int]:
    """Return *pid* and all that come of it."""
    found = [pid]
    for one in found:
        found += _children(one)
    return found


def used(pid: int) -> Used:
    """Return what *pid* and all that come of it have used so far."""
    total = Used()
    for one in family(pid):
        with contextlib.suppress(*GONE):
            total += used_by(one)
    return total


def wait_until_quiet(pid: int, seconds: float = 60.0) -> None:
    """Return as soon as they have used next to no processor for a second.

    Raises:
        TimeoutError: They never come to rest.
    """
    end = time.monotonic() + seconds
    before = used(pid).cpu_seconds
    while time.monotonic() < end:
        time.sleep(1)  # the point: a second in which nothing is done
        now = used(pid).cpu_seconds
        if now - before <= 2 * TICK_SECONDS:
            return
        before = now
    raise TimeoutError(f"the daemon does not come to rest within {seconds:g} s")


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(*GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*GONE):
                yield from map(int, (task / "children").read_text().split())


def used_by(pid: int) -> Used:
    """
    Raises:
        FileNotFoundError, ProcessLookupError: It has ended.
    """
    process = Path("/proc", str(pid))
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    switches = 0
    for task in (process / "task").iterdir():
        with contextlib.suppress(*GONE):
            told = _told(task / "status")
            switches += told["voluntary_ctxt_switches"] + told["nonvoluntary_ctxt_switches"]
    io = _told(process / "io")
    return Used(
        sum(map(int, fields[11:15])) * TICK_SECONDS,  # its own and that of those it waited for
        switches,
        io["syscr"],
        io["rchar"],
        io["syscw"],
        io["wchar"],
        _told(process / "status")["VmRSS"] << 10,
        _told(process / "smaps_rollup")["Pss"] << 10,
    )


def _told(file: Path) -> dict[str, int]:
    """Return the lines that are a name and a number."""
    pairs = (line.partition(":") for line in file.read_text().splitlines())
    return {
        name: int(rest.split()[0])
        for name, _, rest in pairs
        if rest.split() and rest.split()[0].isdigit()
    }
