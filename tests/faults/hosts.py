"""Two daemons, two services: on one state directory, or on one database and one NAS.

Each case ends with every document in one file of its own, no flag that went back and forth, and
processes that have come to rest.
"""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.crashes import grow_old, left_behind
from tests.faults.lab import DirtyError, LiedError, LostError, StuckError
from tests.lab import parts
from tests.lab.mounts import FaultFS
from tests.stage import RunningDaemon, Stage

DOCUMENTS = 200
SECONDS = 90.0
DEAD_CLAIM_SECONDS = 3.0
"""Nobody who lives holds a claim for so long; ten minutes would be waited otherwise."""
IDLE_SECONDS = 3.0
IDLE_SHARE = 0.2
"""The part of one core that both daemons together may use when all is done."""
PLAIN = "plain folder"
MODES = (PLAIN, "honour", "ignore", "refuse")
"""A folder of this host, or a mount that obeys, ignores, refuses the rename that never replaces."""
PAIRS = ("two daemons", "two daemons, one is killed", "two services", "daemon and service")
ONE_STATE = "one state directory: the second daemon is refused"
AFTER_KILL = "one state directory: the second daemon may when the first was killed"
WITNESS = (
    "CREATE TABLE flags (id INTEGER, flag BOOLEAN)",
    "CREATE TRIGGER witness AFTER UPDATE OF synced_to_nas ON documents"
    " BEGIN INSERT INTO flags VALUES (new.id, new.synced_to_nas); END",
)
SERVICE = """
import sys, sqlalchemy as sa
from sqlalchemy.orm import Session
from nas_syncd import get_nas_sync_service
print("ready", flush=True)
sys.stdin.readline()
with Session(sa.create_engine(sys.argv[1])) as session:
    done = get_nas_sync_service(session).sync_all_pending(1)
print(done, flush=True)
sys.exit(done["failed"])
"""


class Hosts:
    name = "hosts"
    about = "two daemons or services on one state directory, or on one database and NAS"

    def missing(self) -> str | None:
        return None if sys.platform == "linux" else "for Linux"

    def cases(self) -> Sequence[str]:
        return [ONE_STATE, AFTER_KILL, *(f"{pair}: {mode}" for pair in PAIRS for mode in MODES)]

    def short(self) -> Sequence[str]:
        return []  # each starts daemons, for ten seconds; test_journal.py tries the lock

    def run(self, case: str, folder: Path) -> str:
        if case == ONE_STATE:
            return refused(Stage(folder / "world").pair())
        if case == AFTER_KILL:
            return after_kill(Stage(folder / "world").pair())
        pair, _, mode = case.partition(": ")
        with nas_in(folder, mode) as nas:
            stage = Stage(folder / "world", nas).pair()
            stage.add_many(DOCUMENTS, folders=2)
            stage.sql("UPDATE documents SET date = '2024-01-05'")  # all of them in one folder
            for statement in WITNESS:
                stage.sql(statement)
            return {
                PAIRS[0]: two_daemons,
                PAIRS[1]: one_is_killed,
                PAIRS[2]: two_services,
                PAIRS[3]: daemon_and_service,
            }[pair](stage)


@contextlib.contextmanager
def nas_in(folder: Path, mode: str) -> Iterator[Path]:
    if mode == PLAIN:
        yield folder / "nas"
        return
    path, source = folder / "nas", folder / "source"
    path.mkdir()
    source.mkdir()
    share = FaultFS(path, source, ("--noreplace", mode, "--subtype", "faultfs"))
    try:
        share.mount()
        yield path
    finally:
        share.tear_down()


def elsewhere(stage: Stage) -> Stage:
    """Return another installation on the same database, uploads and NAS."""
    other = copy.copy(stage)
    other.root = stage.root / "other"
    other.root.mkdir()
    other.state = other.root / "state"
    other.settings = {**stage.settings, "NAS_SYNCD_STATE_DIR": other.state}
    return other


# -- one state directory --------------------------------------------------------------------------


def refused(stage: Stage) -> str:
    with RunningDaemon(stage) as first:
        first.wait_for("daemon.started")
        with RunningDaemon(stage) as second:
            code = second.process.wait(60)
            second._reader.join(10)
        said = "".join(second.text)
        if code == 0 or str(first.process.pid) not in said:
            raise StuckError(f"exit code {code}, {first.process.pid} has it: {said[-500:]}")
        row = stage.add("a.pdf", b"content")
        parts.wait_until(lambda: stage.is_marked(row), "the first one works", 30)
    return f"refused with {code}, the pid is named"


def after_kill(stage: Stage) -> str:
    with RunningDaemon(stage) as first:
        first.wait_for("daemon.started")
        first.kill()
    with RunningDaemon(stage) as second:
        second.wait_for("daemon.started")
        row = stage.add("a.pdf", b"content")
        parts.wait_until(lambda: stage.is_marked(row), "marked", 30)
    return "takes over"


# -- one database, one NAS ------------------------------------------------------------------------


def two_daemons(stage: Stage) -> str:
    with RunningDaemon(stage) as one, RunningDaemon(elsewhere(stage)) as other:
        _all_marked(stage)
        _judge(stage)
        _at_rest(one, other)
        _judge(stage)
        each = [daemon.count("document.synced") for daemon in (one, other)]
    return "shared between them" if all(each) else "one was quicker"


def one_is_killed(stage: Stage) -> str:
    one, other = RunningDaemon(stage), RunningDaemon(elsewhere(stage))
    with one, other:
        parts.wait_until(lambda: stage.marked() >= DOCUMENTS // 4, "a quarter", SECONDS)
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait(10)
        _all_marked(stage)
        with RunningDaemon(stage) as again:  # what it had in hand is its own to clear away
            again.wait_for("daemon.started")
            parts.wait_until(lambda: _is_tidy(stage), "all in order", 30)
            _at_rest(again, other)
        _judge(stage)
    return "the other goes on"


def two_services(stage: Stage) -> str:
    with _service(stage) as one, _service(elsewhere(stage)) as other:
        for process in (one, other):
            _line(process)
        for process in (one, other):
            _go(process)
        ends = [process.communicate(timeout=SECONDS) for process in (one, other)]
        codes = [one.returncode, other.returncode]
    _all_marked(stage)
    _judge(stage)
    if codes != [0, 0]:
        raise StuckError(f"{codes}: {ends}")
    return "both report success"


def daemon_and_service(stage: Stage) -> str:
    with _service(elsewhere(stage)) as service:
        _line(service)
        with RunningDaemon(stage) as daemon:
            parts.wait_until(lambda: stage.marked() > 0, "the daemon works", SECONDS)
            _go(service)
            said, _ = service.communicate(timeout=SECONDS)
            _all_marked(stage)
            _judge(stage)
            _at_rest(daemon)
        _judge(stage)
    if service.returncode != 0:
        raise StuckError(said)
    return "the service reports success"


def _service(stage: Stage) -> subprocess.Popen[str]:
    environment = {key: str(value) for key, value in stage.settings.items()}
    environment |= {"NAS_MOUNT_PATH": str(stage.nas), "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, f"sqlite:///{stage.database}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


# -- judging --------------------------------------------------------------------------------------


def _all_marked(stage: Stage) -> None:
    def all_of_them() -> bool:
        grow_old(stage.nas, DEAD_CLAIM_SECONDS)
        return stage.marked() == DOCUMENTS

    try:
        parts.wait_until(all_of_them, "all marked", SECONDS)
    except TimeoutError as error:
        raise StuckError(f"{stage.marked()} of {DOCUMENTS} marked") from error


def _is_tidy(stage: Stage) -> bool:
    verdict = stage.verdict()
    return len(verdict.safe) == verdict.total and not left_behind(verdict)


def _judge(stage: Stage) -> None:
    verdict = stage.verdict()
    if verdict.lying:
        raise LiedError(str(verdict.lying[:5]))
    if verdict.foreign:
        raise DirtyError(f"nobody's, or doubled: {verdict.foreign[:5]}")
    files = [path for path in stage.nas.rglob("*.pdf") if path.is_file()]
    if len(files) != DOCUMENTS:
        raise LostError(f"{len(files)} files for {DOCUMENTS} documents")
    flapped = stage.sql("SELECT id FROM flags GROUP BY id HAVING count(*) > 1 OR min(flag) = 0")
    if flapped:
        raise LiedError(f"flags that were set more than once: {flapped[:5]}")


def _at_rest(*daemons: RunningDaemon) -> None:
    """Raise when they go on working at nothing."""
    parts.wait_until(lambda: _share(daemons) < IDLE_SHARE, "at rest", 30)


def _share(daemons: Sequence[RunningDaemon]) -> float:
    pids = [pid for daemon in daemons for pid in (daemon.process.pid, *daemon.children())]
    before = _ticks(pids)
    time.sleep(IDLE_SECONDS)  # what is measured is what happens in this time
    return (_ticks(pids) - before) / os.sysconf("SC_CLK_TCK") / IDLE_SECONDS


def _ticks(pids: Sequence[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total


GROUP = Hosts()
