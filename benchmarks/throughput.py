"""How long it takes until everything is copied: all contenders in turn, on the same files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Case, Contender, Timed
from benchmarks.daemon import BenchmarkError
from benchmarks.figures import in_turn, ratios, short, spread
from benchmarks.limits import Limits, measure
from benchmarks.reports import Goal, Report
from benchmarks.targets import Target
from benchmarks.workloads import WORKLOADS, Data, Workload, amount, make

Say = Callable[[str], None]
LARGE_BYTES = 1 << 20
OURS = "ours"
GOALS: dict[tuple[str, str], dict[str, float]] = {
    ("local", "small"): {"rsync -a --fsync": 1.4, "plain loop": 2.0},
    ("local", "quick"): {"rsync -a --fsync": 1.2, "plain loop": 2.0},
    ("local", "tiny"): {"rsync -a --fsync": 1.2, "plain loop": 2.0},
    ("local", "huge"): {"limit": 0.9},
    ("cifs 10 ms", "few"): {"plain loop": 2.0, "rclone copy+check": 1.0},
    ("gvfs 10 ms", "few"): {"plain loop": 4.0},
}


@dataclass
class Rounds:
    """Everything that was timed with one workload."""

    data: Data
    timed: dict[str, list[Timed]] = field(default_factory=dict)
    limits: list[Limits] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def seconds(self, name: str) -> list[float]:
        if name == "limit":
            return [one.seconds for one in self.limits]
        return [one.seconds for one in self.timed[name]]


def throughput(
    target: Target, workload: Workload, names: Sequence[str], rounds: int, work: Path, say: Say
) -> Report:
    """Let each contender copy the workload, *rounds* times, and tell how they compare.

    Small files are deleted at the very end only: for five minutes ext4 looks at each inode that
    was deleted before it gives a new one (``recently_deleted``, fs/ext4/ialloc.c), and after ten
    thousand of them that was half of the processor's time of everybody [seen].

    Args:
        work: On the disk of the upload folder and the database.
    """
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-", dir=work) as folder:
        seen = Rounds(make(workload, Path(folder, "uploads")))
        large = seen.data.bytes > LARGE_BYTES * len(seen.data.papers)
        racing = _able(names, seen)
        for number in range(rounds):
            for name in in_turn(["limit", *racing], number):
                if name not in seen.left_out:
                    where = f"{workload.title} to {target.name}"
                    say(f"{where}, round {number + 1} of {rounds}: {name}")
                    nas = target.fresh()
                    _one(name, target, seen, nas, Path(folder, f"work-{nas.name}"))
                    if large:
                        target.clear(nas)
    return _report(target, workload, rounds, seen)


def _able(names: Sequence[str], seen: Rounds) -> list[str]:
    for name in names:
        reason = CONTENDERS[name].missing()
        if reason:
            seen.left_out[name] = reason
        else:
            seen.timed[name] = []
    return list(seen.timed)


def _one(name: str, target: Target, seen: Rounds, nas: Path, work: Path) -> None:
    work.mkdir()
    os.sync()  # what another has left to be written is not this one's
    try:
        if name == "limit":
            seen.limits.append(measure(seen.data, nas))
        else:
            seen.timed[name].append(CONTENDERS[name].run(Case(seen.data, nas, work)))
        check(CONTENDERS.get(name), target, nas, seen.data)
    except BenchmarkError as error:
        if name not in seen.timed or name.startswith(OURS):
            raise
        seen.left_out[name] = str(error)  # others may still be compared
        del seen.timed[name]
    finally:
        os.sync()


def check(contender: Contender | None, target: Target, nas: Path, data: Data) -> None:
    """
    Raises:
        BenchmarkError: Not every document is there in full: its time would say nothing.
    """
    wanted = {paper.name: paper.size for paper in data.papers}
    if target.stored(nas) != wanted:
        who = contender.name if contender else "the raw writing"
        raise BenchmarkError(f"{who} has not stored every document in full on {target.name}")


def _report(target: Target, workload: Workload, rounds: int, seen: Rounds) -> Report:
    report = Report(
        f"throughput-{target.name.replace(' ', '-')}-{workload.name}",
        f"{workload.title} ({amount(seen.data.bytes)}) to {target.name}, {rounds} rounds",
        ["", "seconds", "documents/s", "MiB/s", "CPU seconds", "times ours"],
        unit="seconds: median, lowest to highest",
    )
    for name in [*seen.timed, "limit"]:
        report.rows.append(_row(name, seen))
        shown = f"{name}: {CONTENDERS[name].about}" if name in CONTENDERS else "write, flush, read"
        report.bars[shown] = spread(seen.seconds(name))
    for number, limits in enumerate(seen.limits):
        report.notes.append(f"Machine's limits, round {number + 1}: {limits}")
    report.notes += [f"Left out: {name}: {why}" for name, why in seen.left_out.items()]
    report.goals = _goals(target, workload, seen)
    report.values = {name: [asdict(one) for one in found] for name, found in seen.timed.items()}
    report.values["limits"] = [asdict(one) for one in seen.limits]
    return report


def _row(name: str, seen: Rounds) -> list[str]:
    took = seen.seconds(name)
    middle = spread(took).median
    cpu = spread(one.cpu_seconds for one in seen.timed[name]) if name in seen.timed else ""
    compared = ratios(took, seen.seconds(OURS)) if OURS in seen.timed else ""
    return [
        name if name != "limit" else "write + fsync + read back",
        str(spread(took)),
        short(len(seen.data.papers) / middle),
        short(seen.data.bytes / middle / (1 << 20)),
        str(cpu),
        str(compared),
    ]


def _goals(target: Target, workload: Workload, seen: Rounds) -> list[Goal]:
    if OURS not in seen.timed or workload != WORKLOADS.get(workload.name):
        return []  # for fewer or more documents nothing was aimed at
    wanted = GOALS.get((target.name, workload.name), {})
    return [
        Goal(f"speed compared with {name}", "at least", factor, _factor(name, seen))
        for name, factor in wanted.items()
        if name == "limit" or name in seen.timed
    ]


def _factor(name: str, seen: Rounds) -> float:
    return ratios(seen.seconds(name), seen.seconds(OURS)).median
