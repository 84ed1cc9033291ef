"""The lab itself: each part does what the tests that use it rely on."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import parts
from tests.lab.mounts import Ext4Factory, FaultFactory, TmpfsFactory
from tests.lab.samba import Samba

pytestmark = [pytest.mark.lab, pytest.mark.root]

LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE = 1
AT_FDCWD = -100


def rename_noreplace(old: Path, new: Path) -> int:
    """Return 0 or the errno."""
    old_name, new_name = os.fsencode(old), os.fsencode(new)
    done = LIBC.renameat2(AT_FDCWD, old_name, AT_FDCWD, new_name, NOREPLACE)
    return 0 if done == 0 else ctypes.get_errno()


def write_and_flush(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def child(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.DEVNULL
    )


# -- disks ---------------------------------------------------------------------------------


def test_a_small_tmpfs_is_full_when_it_is_full(tmpfs_mount: TmpfsFactory) -> None:
    disk = tmpfs_mount("1m")

    with pytest.raises(OSError, match="No space") as full:
        (disk.path / "big").write_bytes(bytes(2 << 20))

    assert full.value.errno == errno.ENOSPC


def test_a_tmpfs_that_is_unmounted_leaves_the_bare_folder(tmpfs_mount: TmpfsFactory) -> None:
    disk = tmpfs_mount()
    (disk.path / "a").write_bytes(b"1")

    disk.unmount()

    assert disk.path.is_dir()
    assert not list(disk.path.iterdir())
    assert not parts.is_mounted(disk.path)


def test_a_tmpfs_can_become_read_only_and_writable_again(tmpfs_mount: TmpfsFactory) -> None:
    disk = tmpfs_mount()
    disk.remount("ro")
    with pytest.raises(OSError, match="Read-only"):
        (disk.path / "a").write_bytes(b"1")

    disk.remount("rw")

    assert (disk.path / "a").write_bytes(b"1") == 1


def test_an_ext4_keeps_its_files_over_an_unmount(loop_ext4: Ext4Factory) -> None:
    disk = loop_ext4()
    (disk.path / "a").write_bytes(b"kept")
    disk.unmount()
    assert not list(disk.path.iterdir())

    disk.mount()

    assert (disk.path / "a").read_bytes() == b"kept"


def test_an_unmount_that_is_not_lazy_says_when_the_disk_is_held(loop_ext4: Ext4Factory) -> None:
    disk = loop_ext4()

    with (disk.path / "a").open("wb"), pytest.raises(RuntimeError, match="busy"):
        disk.unmount()

    assert parts.is_mounted(disk.path)


def test_power_loss_keeps_what_was_flushed_and_loses_the_rest(loop_ext4: Ext4Factory) -> None:
    disk = loop_ext4()
    write_and_flush(disk.path / "flushed", b"kept")
    folder = os.open(disk.path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    (disk.path / "late").write_bytes(b"lost")

    disk.lose_power()
    disk.unmount()
    disk.mount()

    assert (disk.path / "flushed").read_bytes() == b"kept"
    assert not (disk.path / "late").exists()


# -- the file system that fails ------------------------------------------------------------


def test_without_rules_it_hands_everything_on(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    (fs.path / "2024").mkdir()

    write_and_flush(fs.path / "2024" / "a.pdf", b"hello")

    assert (fs.source / "2024" / "a.pdf").read_bytes() == b"hello"
    fs.wait_for("release")  # the kernel sends it after close has returned
    assert {call.op for call in fs.log()} >= {"mkdir", "create", "write", "fsync", "release"}


def test_a_rule_fails_the_call_it_names_so_many_times(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.rules([{"op": "fsync", "path": "*.pdf", "do": "errno", "errno": "EIO", "times": 1}])
    write_and_flush(fs.path / "other.txt", b"1")

    with pytest.raises(OSError, match="Input/output error"):
        write_and_flush(fs.path / "a.pdf", b"1")

    write_and_flush(fs.path / "a.pdf", b"2")
    assert [call.fault for call in fs.log() if call.op == "fsync"] == [None, "errno", None]


def test_a_hang_survives_sigkill_until_it_is_cleared(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    (fs.source / "a").write_bytes(b"1")
    fs.hang("open")
    stuck = child("import sys; open(sys.argv[1])", fs.path / "a")
    fs.wait_for("open", "hang")

    stuck.send_signal(signal.SIGKILL)
    parts.wait_until(lambda: parts.state_of(stuck.pid) == "D", "the caller is in D state")
    with pytest.raises(subprocess.TimeoutExpired):
        stuck.wait(0.3)
    fs.clear()

    assert stuck.wait(5) == -signal.SIGKILL


def test_a_delay_is_only_slow(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.rules([{"op": "fsync", "do": "delay", "seconds": 0.2}])

    write_and_flush(fs.path / "a", b"slow")

    fs.wait_for("release")
    calls = {call.op: call.time for call in fs.log()}
    assert calls["release"] - calls["fsync"] >= 0.2
    assert (fs.source / "a").read_bytes() == b"slow"


@pytest.mark.parametrize(("mode", "stored"), [("flip", b"heelo"), ("zero", bytes(5))])
def test_corruption_is_reported_as_success(
    fault_fs: FaultFactory, mode: str, stored: bytes
) -> None:
    fs = fault_fs()
    fs.rules([{"op": "write", "do": "corrupt", "mode": mode}])

    write_and_flush(fs.path / "a", b"hello")

    found = (fs.source / "a").read_bytes()
    assert len(found) == 5
    assert found != b"hello"
    assert mode == "flip" or found == stored


def test_a_short_write_takes_only_a_part(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.rules([{"op": "write", "do": "short", "bytes": 3, "times": 1}])
    file = os.open(fs.path / "a", os.O_WRONLY | os.O_CREAT)
    try:
        assert os.write(file, b"hello") == 3
    finally:
        os.close(file)


def test_a_lie_does_nothing_and_reports_success(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    (fs.source / "a").write_bytes(b"1")
    fs.rules([{"op": "rename", "do": "lie"}])

    (fs.path / "a").rename(fs.path / "b")

    assert [path.name for path in fs.source.iterdir()] == ["a"]


def test_a_quota_is_enforced_and_statvfs_agrees(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.rules([{"op": "write", "do": "quota", "bytes": 1 << 20, "errno": "EDQUOT"}])
    free = os.statvfs(fs.path)
    assert free.f_bavail * free.f_frsize == 1 << 20

    with pytest.raises(OSError, match="quota") as full:
        (fs.path / "big").write_bytes(bytes(2 << 20))

    assert full.value.errno == errno.EDQUOT


def test_after_a_crash_the_mount_is_there_and_not_connected(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.rules([{"op": "mkdir", "do": "crash"}])

    with pytest.raises(OSError, match=r"connect|abort") as gone:
        (fs.path / "2024").mkdir()

    assert gone.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    assert parts.is_mounted(fs.path)


@pytest.mark.parametrize(
    ("noreplace", "answer", "stands"),
    [("honour", errno.EEXIST, b"old"), ("refuse", errno.EINVAL, b"old"), ("ignore", 0, b"new")],
)
def test_rename_noreplace_is_what_the_test_asked_for(
    fault_fs: FaultFactory, noreplace: str, answer: int, stands: bytes
) -> None:
    fs = fault_fs(noreplace=noreplace)
    (fs.source / "new").write_bytes(b"new")
    # The kernel itself refuses when it sees the name: hide it until the call is under way.
    fs.rules([{"op": "getattr", "path": "/taken", "do": "errno", "errno": "ENOENT"}])
    (fs.source / "taken").write_bytes(b"old")

    assert rename_noreplace(fs.path / "new", fs.path / "taken") == answer
    assert (fs.source / "taken").read_bytes() == stands


def test_it_can_be_torn_down_while_somebody_hangs(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    fs.hang()
    stuck = child("import os, sys; os.listdir(sys.argv[1])", fs.path)
    fs.wait_for("getattr", "hang")

    fs.tear_down()

    assert not parts.is_mounted(fs.path)
    assert stuck.wait(5) is not None


def test_it_comes_back_with_the_same_files(fault_fs: FaultFactory) -> None:
    fs = fault_fs()
    write_and_flush(fs.path / "a", b"kept")

    fs.unmount()
    bare = list(fs.path.iterdir())
    fs.mount()

    assert bare == []
    assert (fs.path / "a").read_bytes() == b"kept"


# -- Samba ---------------------------------------------------------------------------------


def test_samba_stores_what_smbclient_puts_and_gives_it_back(samba: Samba, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "local").write_bytes(content)
    samba.mkdir("2024")

    samba.put(tmp_path / "local", "2024/Facture d'été 1.pdf")

    assert samba.files() == {"2024/Facture d'été 1.pdf"}
    assert (samba.folder / "2024" / "Facture d'été 1.pdf").read_bytes() == content
    assert samba.get("2024/Facture d'été 1.pdf") == content


def test_a_stopped_samba_does_not_answer_until_it_goes_on(samba: Samba) -> None:
    samba.stop()
    assert samba.smbclient("ls", seconds=1)[0] is None

    samba.cont()

    assert samba.smbclient("ls")[0] == 0


def test_a_killed_samba_refuses_and_comes_back_on_the_same_port(samba: Samba) -> None:
    port = samba.port
    samba.kill()
    status, _ = samba.smbclient("ls", seconds=5)
    assert status not in (0, None)

    samba.start()

    assert samba.port == port
    assert samba.smbclient("ls")[0] == 0
