"""A hostile upload folder and hostile rows, all in one real run of the daemon.

Nothing outside the folder is read or written; what is not a plain file below it is never opened;
whatever is not filed has a reason; and the honest documents in between are as safe as ever.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.naughty import PATHS
from tests.hostile.scene import documents, on_the_nas, smb_refuses, steering, stuck
from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]
SECRET = b"what no document may ever hold"
DATES = ["0001-01-01", "9999-12-31"]
NO_DATES = ["0000-00-00", "-0001-01-01", "infinity", "garbage", "", 2024, None]
NO_TIMES = ["0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-12:00", "2024-02-30", None]
"""The first two are beyond the calendar in UTC."""
IDS = [-1, 0, -(2**63), 2**63 - 1]
LEVELS = 4000


@pytest.fixture
def trapped(stage: Stage) -> Iterator[Stage]:
    """The stage with everything in its upload folder that is no document."""
    lay_traps(stage)
    yield stage
    subprocess.run(["rm", "-rf", stage.uploads], check=True)  # too deep for pytest's own hands


def lay_traps(stage: Stage) -> None:
    (stage.root / "secret.txt").write_bytes(SECRET)
    up = stage.uploads
    (up / "link-out").symlink_to("..")
    (up / "link-to-secret.txt").symlink_to("../secret.txt")
    (up / "link-absolute").symlink_to("/etc/passwd")
    (up / "link-loop").symlink_to("link-loop")
    (up / "link-proc").symlink_to("/proc/self")
    (up / "folder.pdf").mkdir()
    os.mkfifo(up / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(up / "socket"))
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # a container may not make devices
            os.mknod(up / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            os.mknod(up / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 99))
    dig(up, LEVELS)


def dig(folder: Path, levels: int) -> None:
    """Make a folder within a folder, *levels* deep: far beyond the longest path."""
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("deep.pdf", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


@contextlib.contextmanager
def restless(folder: Path) -> Iterator[None]:
    """One file grows for ever, another one comes and goes, until the end."""
    over = threading.Event()

    def grow() -> None:
        with open(folder / "growing.pdf", "ab", buffering=0) as file:
            while not over.wait(0.05):
                file.write(b"more")

    def vanish() -> None:
        path = folder / "vanishing.pdf"
        while not over.wait(0.01):
            path.write_bytes(b"here")
            path.unlink()

    threads = [threading.Thread(target=work) for work in (grow, vanish)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_nothing_outside_is_read_and_everything_has_a_reason(trapped: Stage, start: Start) -> None:
    stage, up = trapped, trapped.uploads
    honest = [stage.add(f"honest/{number}.pdf", b"honest %d" % number) for number in range(20)]
    honest.append(stage.add("empty.pdf", b""))
    with open(up / "sparse.pdf", "wb") as file:
        file.truncate(64 << 20)
    honest.append(stage.row("sparse.pdf"))
    os.link(up / "honest/0.pdf", up / "hard-link.pdf")
    honest.append(stage.row("hard-link.pdf"))
    honest += [stage.add(f"ids/{id_}.pdf", b"id %d" % id_, id=id_) for id_ in IDS]
    dated = [(date, created) for date in DATES for created in NO_TIMES]
    undated = [(date, created) for date in NO_DATES for created in NO_TIMES]
    ids = [
        stage.add(f"dates/{n}.pdf", b"dated %d" % n, date=date, created_at=created)
        for n, (date, created) in enumerate((*dated, *undated))
    ]
    honest += ids[: len(dated)]
    refused = {str(stage.row("", file_path=path)): path for path in PATHS}
    refused |= {str(stage.row(name)): name for name in ("device", "disk")}
    refused |= {str(id_): str(id_) for id_ in ids[len(dated) :]}
    growing, _vanishing = stage.row("growing.pdf"), stage.row("vanishing.pdf")
    stage.row("", file_path=f"{BACKEND_DIR}/caf\udce9.pdf".encode("utf-8", "surrogateescape"))

    with restless(up):
        daemon = start(stage)
        wait_until(lambda: all(map(stage.is_marked, honest)), "the honest ones", seconds=40)
        wait_until(lambda: not list(stuck(documents(stage))), "a reason for each", seconds=20)
        lines = documents(stage)

    wrong = {path: lines[id_]["state"] for id_, path in refused.items()}
    assert {path for path, state in wrong.items() if state not in ("problem", "waiting")} == set()
    assert lines[str(growing)]["state"] in ("waiting", "failed", "copying")
    filed = on_the_nas(stage.nas)
    assert len(filed) >= len(honest)
    for path in filed:
        assert SECRET not in path.read_bytes()[:100]
        assert smb_refuses(path.name) is None
        year, month, folder, _ = path.relative_to(stage.nas).parts
        assert 1 <= int(year) <= 9999
        assert 1 <= int(month) <= 12
        assert folder == "factures"
    assert (stage.root / "secret.txt").read_bytes() == SECRET
    assert not steering("".join(daemon.text))
    assert daemon.stop() == 0
    assert [event for event in daemon.events if event["level"] in ("error", "critical")] == []
