"""One soak: acts and troubles by chance, quiet points, and the judgement at each of them."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.backends import Backend, Postgres, Sqlite
from tests.faults.lab import BrokenError, DirtyError, LiedError, StuckError
from tests.lab.mounts import FaultFS
from tests.oracle import Verdict
from tests.soak.growth import Sample, grown, measure
from tests.soak.household import Household
from tests.soak.troubles import DAY, Troubles
from tests.stage import Stage

DEADLY_PART = 1 / 3
"""Of the time. After it the daemon itself is let live, so that its growth can be seen."""
QUIET_SECONDS = 90.0
"""At the latest so long after the troubles have ended all is safe."""
BACKOFF_SECONDS = 15.0
"""What has failed may wait for its next attempt, up to a day: after this a day passes."""


@dataclass
class Account:
    """What the soak has seen."""

    seed: int
    oracle: int = 0
    """How often the oracle was asked, and all was well."""
    longest_quiet: float = 0.0
    """The longest that it took after the troubles' end until all was safe."""
    samples: list[Sample] = field(default_factory=list)
    """Of the daemon's one long life."""
    broken: list[str] = field(default_factory=list)
    """What has grown beyond its bound."""


class Soak:
    def __init__(self, folder: Path, database: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.account = Account(seed)
        self._cleanup = contextlib.ExitStack()
        self.nas = FaultFS(folder / "nas", folder / "behind", ("--subtype", "faultfs"))
        self.nas.path.mkdir(parents=True)
        self.nas.source.mkdir()
        self._cleanup.callback(self.nas.tear_down)
        self.nas.mount()
        self.stage = Stage(
            folder / "world",
            nas=self.nas.path,
            NAS_SYNCD_NAS_TIMEOUT_SECONDS="3",
            NAS_SYNCD_SCAN_SECONDS="5",
            NAS_SYNCD_STATE_DIR=folder / "state",
            NAS_SYNCD_LOG_FORMAT="json",
            NAS_SYNCD_LOG_FILE=folder / "nas-syncd.log",
        )
        self.stage.state = folder / "state"
        self.stage.pair()
        self.backend = self._backend(folder, database)
        self._cleanup.callback(self.backend.close)
        self.stage.settings["DATABASE_URL"] = self.backend.url
        self.people = Household(self.stage, self.backend, self.chance)
        self.troubles = Troubles(self.stage, self.backend, self.nas, self.chance)
        self._cleanup.callback(self.troubles.close)

    def _backend(self, folder: Path, database: str) -> Backend:
        if database == "postgresql":
            return Postgres()
        return Sqlite(folder / "database", own_disk=False)

    def close(self) -> None:
        self._cleanup.close()

    # -- living -----------------------------------------------------------------------------

    def live(
        self, seconds: float, quiet_every: float, told: Callable[[str], None] = lambda _line: None
    ) -> Account:
        """
        Raises:
            BrokenError: A promise was broken.
        """
        began = time.monotonic()
        next_quiet = began + quiet_every
        while (now := time.monotonic()) < began + seconds:
            deadly = now < began + seconds * DEADLY_PART
            self._one(deadly=deadly)
            if time.monotonic() >= next_quiet:
                self.be_quiet(sample=not deadly)
                told(self._line(time.monotonic() - began))
                next_quiet = time.monotonic() + quiet_every
        self.be_quiet(sample=True)
        self.account.broken = grown(self.account.samples)
        return self.account

    def _one(self, *, deadly: bool) -> None:
        """An act, and perhaps a trouble that begins or ends; then a moment passes."""
        self.people.act()
        dice = self.chance.random()
        if dice < 0.12:
            self.troubles.begin(deadly=deadly)
        elif dice < 0.24:
            self.troubles.end()
        if self.troubles.daemon.process.poll() not in (None, -9, -15, 0):
            raise BrokenError("the daemon has ended:\n" + "".join(self.troubles.daemon.text[-40:]))
        time.sleep(self.chance.expovariate(10))

    def be_quiet(self, *, sample: bool) -> None:
        """Everything is mended and finished; by and by all is safe, and nothing is left over."""
        self.people.finish_all()
        self.troubles.end_all()
        began = time.monotonic()
        verdict = self._settled(began)
        self.account.oracle += 1
        self.account.longest_quiet = max(self.account.longest_quiet, time.monotonic() - began)
        if verdict.total != len(self.people.documents):
            raise BrokenError(f"{verdict.total} rows, {len(self.people.documents)} documents")
        if sample:
            pid = self.troubles.daemon.process.pid
            self.account.samples.append(measure(pid, self.stage.state, self.people.ever))

    def _settled(self, began: float) -> Verdict:
        jumped = False
        while True:
            verdict = self.people.verdict(self.nas.source)
            if verdict.perfect:
                return verdict
            lasting = time.monotonic() - began
            if lasting > BACKOFF_SECONDS and not jumped:
                self.troubles.jump(DAY + 3600)
                jumped = True
            if lasting > QUIET_SECONDS:
                raise self._what_is_wrong(verdict)
            time.sleep(0.5)

    def _what_is_wrong(self, verdict: Verdict) -> BrokenError:
        log = "".join(self.troubles.daemon.text[-5:])
        text = f"{QUIET_SECONDS:.0f} s after all troubles have ended: {verdict}\n{log}"
        if verdict.lying:
            return LiedError(text)
        return StuckError(text) if verdict.unmarked or verdict.early else DirtyError(text)

    def _line(self, seconds: float) -> str:
        people, account = self.people, self.account
        last = account.samples[-1] if account.samples else None
        memory = f", PSS {last.pss / (1 << 20):.0f} MiB" if last else ""
        return (
            f"{seconds:5.0f} s: {people.ever} documents so far, {len(people.documents)} now, all"
            f" safe; {sum(self.troubles.done.values())} troubles{memory}"
        )
