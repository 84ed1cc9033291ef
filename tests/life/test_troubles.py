"""The NAS comes and goes, hangs, fills up; the daemon is killed: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.parts import wait_until
from tests.stage import RunningDaemon, Stage, all_gone

Start = Callable[[Stage], RunningDaemon]


def files_below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.mark.root
@pytest.mark.lab
def test_nothing_is_written_into_the_bare_folder_of_an_unmounted_share(
    tmp_path: Path, tmpfs_mount, start: Start
) -> None:
    share = tmpfs_mount("64m")
    stage = Stage(tmp_path / "world", nas=share.path).pair()
    stage.add("a.pdf", b"before")
    daemon = start(stage)
    stage.wait_marked(1)
    wait_until(lambda: daemon.is_idle_below(share.path), "nothing held open", seconds=5)

    marker = (share.path / ".nas-syncd.json").read_bytes()
    share.unmount()
    row = stage.add("b.pdf", b"while away")
    daemon.wait_for("mount.changed", state="not_mounted")
    assert list(share.path.iterdir()) == []
    assert not stage.is_marked(row)

    share.mount()  # a fresh tmpfs: it is the same NAS by its marker
    (share.path / ".nas-syncd.json").write_bytes(marker)
    back = time.monotonic()
    wait_until(lambda: stage.is_marked(row), "marked after the return", seconds=15)
    print(f"back to marked: {time.monotonic() - back:.1f} s")
    assert (share.path / "2024/01/factures/b.pdf").read_bytes() == b"while away"


@pytest.mark.root
@pytest.mark.lab
def test_an_idle_daemon_lets_the_share_be_unmounted(
    tmp_path: Path, tmpfs_mount, start: Start
) -> None:
    share = tmpfs_mount("64m")
    stage = Stage(tmp_path / "world", nas=share.path).pair()
    stage.add_many(20)
    start(stage)
    stage.wait_marked(20)
    done = time.monotonic()

    def unmounted() -> bool:
        try:
            share.unmount()
        except RuntimeError:
            return False
        return True

    wait_until(unmounted, "unmounted", seconds=10)
    assert time.monotonic() - done < 5


@pytest.mark.root
@pytest.mark.lab
def test_a_full_share_keeps_no_partial_file_and_goes_on_when_space_is_freed(
    tmp_path: Path, tmpfs_mount, start: Start
) -> None:
    share = tmpfs_mount("1m")
    stage = Stage(tmp_path / "world", nas=share.path).pair()
    ballast = share.path / "ballast"
    ballast.write_bytes(bytes(500_000))
    row = stage.add("big.pdf", os.urandom(700_000))
    daemon = start(stage)

    daemon.wait_for("mount.changed", state="full")
    assert not stage.is_marked(row)
    wait_until(
        lambda: (
            files_below(share.path) == [ballast, share.path / ".nas-syncd.json"]
            or set(files_below(share.path)) == {ballast, share.path / ".nas-syncd.json"}
        ),
        "no partial file",
        seconds=10,
    )

    ballast.unlink()
    wait_until(lambda: stage.is_marked(row), "marked once there is room", seconds=20)
    assert stage.verdict().perfect


@pytest.mark.lab
def test_a_hung_nas_blocks_nothing_else(tmp_path: Path, fault_fs, start: Start) -> None:
    share = fault_fs()
    stage = Stage(tmp_path / "world", nas=share.path, NAS_SYNCD_NAS_TIMEOUT_SECONDS=2)
    (share.source / ".nas-syncd.json").write_text('{"nas": "11111111-0000"}')
    stage.add("a.pdf", b"a")
    daemon = start(stage)
    stage.wait_marked(1)

    share.hang("*")
    row = stage.add("b.pdf", b"b")
    daemon.wait_for("mount.changed", state="hung")
    stage.sql("UPDATE documents SET date = '2022-02-02' WHERE id = ?", row)  # it still listens
    children = daemon.children()
    stopped = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - stopped < 10

    again = start(stage)  # at once: nothing is locked
    again.wait_for("mount.changed", state="hung")
    share.clear()
    wait_until(lambda: stage.is_marked(row), "marked when the hang ends", seconds=30)
    wait_until(all_gone(children), "the children left behind have ended", seconds=10)
    assert (share.source / "2022/02/factures/b.pdf").read_bytes() == b"b"
    again.stop()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_killed_again_and_again_it_loses_and_doubles_nothing(stage: Stage, start: Start) -> None:
    """kill -9 of the daemon, or of its agent, at random moments over a backlog."""
    stage.add_many(500, size=20_000, folders=7)
    random.seed(5)
    pids: list[int] = []
    kills = 0
    while kills < 30:
        daemon = start(stage)
        daemon.wait_for("daemon.started")
        time.sleep(random.uniform(0.0, 0.35))  # a random moment is the point
        pids += daemon.children()
        if kills % 3 == 2 and daemon.children():
            os.kill(random.choice(daemon.children()), signal.SIGKILL)
            kills += 1
            time.sleep(random.uniform(0.0, 0.2))
        daemon.kill()
        kills += 1
        if stage.marked() > 450:  # the backlog must outlast the kills: the backend asks again
            stage.sql("UPDATE documents SET synced_to_nas = NULL WHERE id % 2")
    print(f"{kills} kills, {stage.marked()} marked by then")
    last = start(stage)
    last.wait_for("daemon.started")
    stage.wait_marked(500, seconds=60)
    wait_until(lambda: not stage.verdict().temps, "temp files resolved", seconds=15)

    verdict = stage.verdict()
    assert verdict.perfect, verdict
    pids += last.children()
    assert last.stop() == 0
    wait_until(all_gone(pids), "no agent left running", seconds=10)


def test_two_daemons_on_one_state_directory_are_one_too_many(stage: Stage, start: Start) -> None:
    first = start(stage)
    first.wait_for("daemon.started")
    second = start(stage)

    assert second.process.wait(15) not in (0, None)
    assert str(first.process.pid) in "".join(second.text)


def test_a_lost_state_directory_makes_flags_inherited_and_nothing_is_copied_twice(
    stage: Stage, start: Start
) -> None:
    stage.add_many(5)
    daemon = start(stage)
    stage.wait_marked(5)
    daemon.stop()
    for path in sorted(stage.state.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    stage.sql("UPDATE documents SET synced_to_nas = 0")
    again = start(stage)
    stage.wait_marked(5)

    assert stage.verdict().perfect
    wait_until(lambda: again.count("document.synced") == 5, "all told")
    assert all(e["adopted"] for e in again.events if e["event"] == "document.synced")
