"""What goes wrong during a soak: one trouble at a time or several, each for a while."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.faults.backends import Backend, Postgres, held, kill
from tests.lab.mounts import FaultFS
from tests.soak import jumpyclock
from tests.soak.growth import descendants
from tests.stage import RunningDaemon, Stage

DAY = 86_400.0
Trouble = Callable[[], AbstractContextManager[None]]


class SoakedDaemon(RunningDaemon):
    """The daemon, with a time of day that jumps."""

    def __init__(self, stage: Stage, clock: Path) -> None:
        self.program = (jumpyclock.__file__, str(clock))
        super().__init__(stage, cold=True)


def pass_by(seconds: float) -> None:
    """Some time passes: that it does is what is tried."""
    time.sleep(seconds)


def _name(trouble: Trouble) -> str:
    return str(getattr(trouble, "__name__", trouble)).replace("_", " ")


class Troubles:
    """Each trouble is a context manager; a disk, a server or a process has one at a time."""

    def __init__(self, stage: Stage, backend: Backend, nas: FaultFS, chance: random.Random) -> None:
        self.stage = stage
        self.backend = backend
        self.nas = nas
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.clock = stage.root / "clock"
        self.clock.write_text("0")
        self.daemon = self._new_daemon()
        self._now: dict[str, contextlib.ExitStack] = {}

    # -- for the soak -----------------------------------------------------------------------

    def begin(self, *, deadly: bool) -> None:
        """Begin one, where there is none already. *deadly*: the daemon itself may be killed."""
        where = self.chance.choice(("nas", "database", "process", "process"))
        if where in self._now:
            return
        kinds: dict[str, list[Trouble]] = {
            "nas": [self.unmounted, self.hung, self.crashed, self.failing, self.full],
            "database": self._database_troubles(),
            "process": [
                *(self.agent_killed, self.paused, self.agent_paused, self.reloaded),
                *(self.clock_jumped, *(self.killed, self.restarted) * deadly),
            ],
        }
        trouble = self.chance.choice(kinds[where])
        self.done[_name(trouble)] += 1
        self._now[where] = stack = contextlib.ExitStack()
        stack.enter_context(trouble())

    def end(self) -> None:
        """End one of those that are going on, if there is one."""
        if self._now:
            self._now.pop(self.chance.choice(list(self._now))).close()

    def end_all(self) -> None:
        while self._now:
            self.end()

    def jump(self, seconds: float) -> None:
        """The time of day jumps, ahead or back."""
        new = self.clock.with_name("clock.new")
        new.write_text(str(float(self.clock.read_text()) + seconds))
        new.replace(self.clock)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.end_all()
        if self.daemon.process.poll() is None:
            self.daemon.kill()

    # -- the NAS ----------------------------------------------------------------------------

    @contextmanager
    def unmounted(self) -> Iterator[None]:
        self.nas.unmount(lazy=True)
        yield
        self.nas.mount()

    @contextmanager
    def crashed(self) -> Iterator[None]:
        """The mount stays, and gives ENOTCONN."""
        self.nas.crash()
        yield
        self.nas.tear_down()
        self.nas.mount()

    @contextmanager
    def hung(self) -> Iterator[None]:
        self.nas.hang(self.chance.choice(("*", "write", "fsync", "rename", "read")))
        yield
        self.nas.clear()

    @contextmanager
    def failing(self) -> Iterator[None]:
        op = self.chance.choice(("write", "fsync", "rename", "open", "create", "read"))
        number = self.chance.choice(("EIO", "EACCES", "ESTALE", "EHOSTDOWN", "EBUSY"))
        self.nas.rules([{"op": op, "do": "errno", "errno": number, "times": 20}])
        yield
        self.nas.clear()

    @contextmanager
    def full(self) -> Iterator[None]:
        self.nas.rules([{"op": "write", "do": "quota", "bytes": 100_000}])
        yield
        self.nas.clear()

    # -- the database -----------------------------------------------------------------------

    def _database_troubles(self) -> list[Trouble]:
        if isinstance(self.backend, Postgres):
            return [self.server_restarted, self.server_killed, self.connections_cut, self.locked]
        return [self.locked]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """People wait while it lasts, so it is over before the next act."""
        statement = "BEGIN EXCLUSIVE"
        if isinstance(self.backend, Postgres):
            statement = "LOCK TABLE documents IN ACCESS EXCLUSIVE MODE"
        with held(self.backend, statement):
            pass_by(self.chance.uniform(0.5, 8))
        yield

    @contextmanager
    def server_restarted(self) -> Iterator[None]:
        assert isinstance(self.backend, Postgres)
        self.backend.server.stop()
        pass_by(self.chance.uniform(0, 3))
        self.backend.server.start()
        yield

    @contextmanager
    def server_killed(self) -> Iterator[None]:
        assert isinstance(self.backend, Postgres)
        kill(self.backend.server)
        self.backend.server.start()
        yield

    @contextmanager
    def connections_cut(self) -> Iterator[None]:
        assert isinstance(self.backend, Postgres)
        self.backend.cut()
        yield

    # -- the processes ------------------------------------------------------------------------

    @contextmanager
    def killed(self) -> Iterator[None]:
        self.daemon.kill()
        yield
        self.daemon = self._new_daemon()

    @contextmanager
    def restarted(self) -> Iterator[None]:
        self.daemon.process.send_signal(signal.SIGTERM)
        self.daemon.process.wait(30)
        yield
        self.daemon = self._new_daemon()

    @contextmanager
    def reloaded(self) -> Iterator[None]:
        if self.daemon.count("daemon.started"):  # nobody listens before
            self.daemon.process.send_signal(signal.SIGHUP)
        yield

    @contextmanager
    def agent_killed(self) -> Iterator[None]:
        self._signal_a_child(signal.SIGKILL)
        yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Not while it holds a lock of the database: people would wait for it, and it for them."""
        self.daemon.process.send_signal(signal.SIGSTOP)
        while self.backend.in_use():
            self.daemon.process.send_signal(signal.SIGCONT)
            pass_by(self.chance.uniform(0, 0.1))
            self.daemon.process.send_signal(signal.SIGSTOP)
        yield
        self.daemon.process.send_signal(signal.SIGCONT)

    @contextmanager
    def agent_paused(self) -> Iterator[None]:
        child = self._signal_a_child(signal.SIGSTOP)
        yield
        with contextlib.suppress(ProcessLookupError):
            if child is not None:
                os.kill(child, signal.SIGCONT)

    @contextmanager
    def clock_jumped(self) -> Iterator[None]:
        self.jump(self.chance.choice((-DAY, -3600, -60, 60, 3600, DAY)))
        yield

    # -- inside -----------------------------------------------------------------------------

    def _signal_a_child(self, number: int) -> int | None:
        children = descendants(self.daemon.process.pid)
        child = self.chance.choice(children) if children else None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
        return child

    def _new_daemon(self) -> SoakedDaemon:
        return SoakedDaemon(self.stage, self.clock)
