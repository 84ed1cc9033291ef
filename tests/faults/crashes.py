"""SIGKILL of the parent, of the NAS agent, of both, before every system call of a document's way.

The agent always dies with its parent, so that "both" is tried at the agent's own calls.

A case is named by who dies, by the call before which it happens, by what the call is about, and by
its number among those: ``small: agent dies before agent fsync temp 2``. The calls were recorded
(``python -m tests.faults.crashes`` does it anew, into ``crashes.txt``); a case whose call never
comes is an error, for it would prove nothing. Afterwards a second life begins on what was left,
with the daemon's parts for it, and the oracle must be content.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nas_syncd.documents import DocumentsTable
from nas_syncd.flow import Flow
from nas_syncd.journal import Journal
from nas_syncd.models import State
from nas_syncd.site import Site
from nas_syncd.upkeep import Upkeep
from tests.faults import tracing
from tests.faults.lab import DirtyError, LiedError, LostError, StuckError
from tests.helpers import World
from tests.oracle import Verdict, examine

RECORDED = Path(__file__).with_name("crashes.txt")
RECORDINGS = 4
FIRST_LIFE_SECONDS = 20.0
SECOND_LIFE_SECONDS = 15.0
DARK_SECONDS = 0.3
CLAIMS = ".nas-syncd-claims"
PLACE = "2024/01/factures/a.pdf"
FOREIGN = b"somebody else's"
SMALL = b"a small document " * 100
BLOCKS = bytes(range(256)) * (10 << 10)
"""Two and a half of the copier's blocks."""


def _first(world: World) -> None:
    world.add("a.pdf", SMALL)


def _small(world: World) -> None:
    """The journal is there already."""
    _first(world)
    Journal(world.state).close()


def _blocks(world: World) -> None:
    world.add("a.pdf", BLOCKS)
    Journal(world.state).close()


def _taken(world: World) -> None:
    """Another's file stands in its place."""
    _small(world)
    _plant(world, FOREIGN)


def _there(world: World) -> None:
    """It was filed once, and nobody knows."""
    _small(world)
    _plant(world, SMALL)


def _claimed(world: World) -> None:
    """Where no rename is exclusive, names are claimed."""
    _small(world)
    (world.nas / CLAIMS).mkdir()


def _claimed_taken(world: World) -> None:
    _claimed(world)
    _plant(world, FOREIGN)


def _plant(world: World, content: bytes) -> None:
    place = world.nas / PLACE
    place.parent.mkdir(parents=True)
    place.write_bytes(content)


SCENARIOS: dict[str, Callable[[World], None]] = {
    "first": _first,
    "small": _small,
    "blocks": _blocks,
    "taken": _taken,
    "there": _there,
    "claimed": _claimed,
    "claimed-taken": _claimed_taken,
}


# -- lives --------------------------------------------------------------------------------------


def first_life(world: World) -> None:
    """Bring the documents to the NAS; what dies meanwhile is asked again."""
    site, table = world.site(), world.table()
    flow = world.flow(site, table)
    end = time.monotonic() + FIRST_LIFE_SECONDS
    while (left := _unfinished(site, table)) and time.monotonic() < end:
        _offer(site, flow, left)
        flow.step(0.2)
        if dark(world).exists():  # the NAS is gone, and will not be back in this life
            flow.drain(time.monotonic() + DARK_SECONDS)
            break
    world.close()


def second_life(world: World, done: Callable[[], bool]) -> None:
    """What the daemon does after its start, until *done* or until it has had time enough."""
    site, table = world.site(), world.table()
    flow = world.flow(site, table)
    upkeep = Upkeep(site, table, flow.inbox, lambda _ids: None)
    end = time.monotonic() + SECOND_LIFE_SECONDS
    try:
        while not done() and time.monotonic() < end:
            _offer(site, flow, _unfinished(site, table))
            upkeep.tick()
            for answer in flow.step(0.02)[1]:
                if answer is not None:
                    answer()
    finally:
        flow.let_go()
        world.close()


def dark(world: World) -> Path:
    """Return the file that says that the NAS has lost its power."""
    return world.root / "dark"


def _unfinished(site: Site, table: DocumentsTable) -> list[str]:
    """Rows without a flag, and receipts that are not known to be marked."""
    received = site.journal.in_states(table.scope, [State.COPIED, State.MARKING])
    pending = table.pending(None, 100).documents
    return sorted({d.id for d in pending} | {entry.id for entry in received})


def _offer(site: Site, flow: Flow, ids: list[str]) -> None:
    if not site.guard.view.usable:
        site.guard.check().result(10)
    flow.offer(flow.table.get(ids).values())


# -- judging ------------------------------------------------------------------------------------


def verdict_of(world: World) -> Verdict:
    return examine(world.database, world.uploads, world.nas)


def planted_by(world: World, scenario: str) -> dict[str, bytes]:
    """Return what stood on the NAS that is nobody's document."""
    return {PLACE: FOREIGN} if scenario.endswith("taken") else {}


def judge_crash(world: World, planted: dict[str, bytes]) -> None:
    """At the moment of the crash: nothing that stood there is touched, no flag lies."""
    _judge_planted(world, planted)
    if lying := verdict_of(world).lying:
        raise LiedError(f"after the crash: {lying}")


def judge_end(world: World, planted: dict[str, bytes]) -> None:
    verdict = verdict_of(world)
    _judge_planted(world, planted)
    if verdict.lying:
        raise LiedError(str(verdict.lying))
    if verdict.unmarked:
        raise StuckError(f"not safe: {verdict.unmarked}")
    if set(verdict.foreign) != set(planted) or left_behind(verdict):
        raise DirtyError(f"{verdict.foreign}, {verdict.temps}")


def is_well(world: World, planted: dict[str, bytes]) -> bool:
    verdict = verdict_of(world)
    return (
        len(verdict.safe) == verdict.total
        and not left_behind(verdict)
        and set(verdict.foreign) == set(planted)
    )


def left_behind(verdict: Verdict) -> list[str]:
    """Return what is nobody's. A claim is none of it: an old one is taken over, or removed."""
    return [temp for temp in verdict.temps if not temp.startswith(f"{CLAIMS}/")]


def grow_old(nas: Path, seconds: float = 0.0) -> None:
    """Let claims that have stood for *seconds* be hours old: who held them is dead."""
    now = time.time()
    for claim in (nas / CLAIMS).glob("*"):
        with contextlib.suppress(FileNotFoundError):  # given back this very moment
            if now - claim.stat().st_mtime >= seconds:
                os.utime(claim, (now - 7200, now - 7200))


def _judge_planted(world: World, planted: dict[str, bytes]) -> None:
    for place, content in planted.items():
        path = world.nas / place
        if not path.is_file() or path.read_bytes() != content:
            raise LostError(f"somebody else's {place} is gone or changed")


# -- calls --------------------------------------------------------------------------------------


def subject(world: World, path: str) -> str | None:
    """Return what a call is about, by the path that it touches; None: nothing of ours."""
    path = path.removesuffix(" (deleted)")
    if path.startswith("pipe:"):
        return "pipe"
    if not path.startswith(f"{world.root}/"):
        return None
    top, _, rest = path[len(str(world.root)) + 1 :].partition("/")
    if top == "state":
        return "run" if rest.startswith("runs") else rest.replace("journal.sqlite3", "journal")
    if top != "nas":
        return {"uploads": "upload"}.get(top, top.replace("backend.sqlite", "database"))
    if rest.startswith(".nas-syncd-tmp"):
        return "temp" if rest.endswith(".part") else "temp-folder"
    if rest.startswith(".nas-syncd-claims"):
        return "claim" if "/" in rest else "claim-folder"
    if rest == ".nas-syncd.json":
        return "marker"
    return "place" if rest.endswith(".pdf") else "folder" if rest else "root"


THOROUGH = ("small",)
"""Here also the calls that change nothing are tried."""
Key = tuple[str, str, str]
"""Who makes the call, its name, what it is about."""


def key_of(world: World, call: tracing.Call) -> Key | None:
    about = subject(world, call.path)
    return (call.who, call.name, about) if about else None


def record(scenario: str) -> Counter[Key]:
    """Return how often each call comes in a life that nothing disturbs."""
    seen: Counter[Key] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder).resolve())
        SCENARIOS[scenario](world)

        def count(_traced: tracing.Traced, call: tracing.Call) -> None:
            if key := key_of(world, call):
                seen[key] += 1

        names = frozenset(tracing.NAMES.values()) if scenario in THOROUGH else tracing.CHANGING
        if tracing.follow(lambda: first_life(world), count, names).status != 0:
            raise RuntimeError(f"{scenario}: the life that nothing disturbs has failed")
        judge_end(world, planted_by(world, scenario))
        world.close()
    return seen


def record_all() -> None:
    """Write down what comes every time: threads and batches make some calls more or fewer."""
    lines = [f"# python -m tests.faults.crashes; SQLite {sqlite3.sqlite_version}"]
    for scenario in SCENARIOS:
        often = record(scenario)
        for _ in range(RECORDINGS - 1):
            often &= record(scenario)
        lines += [f"{scenario} {' '.join(key)} {often[key]}" for key in sorted(often)]
    RECORDED.write_text("\n".join(lines) + "\n")


def recorded() -> list[tuple[str, Key, int]]:
    rows = []
    for line in RECORDED.read_text().splitlines():
        if not line.startswith("#"):
            scenario, who, name, about, times = line.split()
            rows.append((scenario, (who, name, about), int(times)))
    return rows


# -- the group ----------------------------------------------------------------------------------


class Crashes:
    name = "crashes"
    about = "killed before every system call, then a second life"

    def missing(self) -> str | None:
        return tracing.missing()

    def cases(self) -> Sequence[str]:
        return [
            f"{scenario}: {victim} dies before {' '.join(key)} {number}"
            for scenario, key, times in recorded()
            for victim in (key[0], *(("both",) if key[0] == "agent" else ()))
            for number in range(1, times + 1)
        ]

    def short(self) -> Sequence[str]:
        return [
            "first: parent dies before parent fdatasync journal-wal 1",
            "small: agent dies before agent fsync temp 1",
            "small: agent dies before agent renameat2 temp 1",
            "claimed-taken: both dies before agent write pipe 1",
            "there: parent dies before parent fdatasync database 1",
        ]

    def run(self, case: str, folder: Path) -> str:
        scenario, _, rest = case.partition(": ")
        victim, _, call = rest.partition(" dies before ")
        who, name, about, number = call.split()
        folder = folder.resolve()
        world = World(folder)
        SCENARIOS[scenario](world)
        struck = strike(world, victim, (who, name, about), int(number))
        planted = planted_by(world, scenario)
        judge_crash(world, planted)
        flagged = world.flags("1")
        if struck.status == 0 and victim == "agent":
            outcome = "went on by itself"
        else:
            outcome = "safe before the second life" if flagged else "safe in the second life"
        world.clock.pass_by(7200)
        grow_old(world.nas)
        second_life(world, lambda: is_well(world, planted))
        judge_end(world, planted)
        if world.flags("1") != [True]:
            raise LiedError(f"the flag went {world.flags('1')}")
        return outcome


def strike(world: World, victim: str, key: Key, number: int) -> tracing.Traced:
    """Live the first life; kill *victim* before the *number*-th such call.

    Raises:
        RuntimeError: The call never came.
    """
    left = [number]

    def before(traced: tracing.Traced, call: tracing.Call) -> None:
        if key_of(world, call) == key:
            left[0] -= 1
            if left[0] == 0:
                traced.kill(victim)

    traced = tracing.follow(lambda: first_life(world), before, frozenset({key[1]}))
    if left[0] > 0:
        raise RuntimeError(f"{key} came {number - left[0]} times only: record the calls anew")
    return traced


GROUP = Crashes()

if __name__ == "__main__":
    why = tracing.missing()
    sys.exit(why) if why else record_all()
