"""The mount table: read without touching a mount, and understood as the kernel means it."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd import mounttable
from nas_syncd.mounttable import (
    MountPoint,
    find_mount,
    mount_id,
    mount_of,
    parse_mountinfo,
    read_mount_table,
)

ROOT = "22 1 0:20 / / rw,relatime - ext4 /dev/sda1 rw"
AUTOFS = "40 22 0:35 / /mnt/nas rw,relatime shared:1 - autofs systemd-1 rw,fd=41"
CIFS = "41 40 0:50 / /mnt/nas rw,nosuid shared:2 master:3 - cifs //nas/finance rw,vers=3.1.1"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def table(*lines):
    return parse_mountinfo("\n".join(lines) + "\n")


def test_a_line_is_taken_apart():
    (mount,) = table(CIFS)

    assert mount == MountPoint(
        "41", "/mnt/nas", "cifs", "//nas/finance", ("rw", "nosuid", "rw", "vers=3.1.1"), "/"
    )
    assert mount.network


@pytest.mark.parametrize("file_system", ["ext4", "tmpfs", "autofs", "apfs", "overlay"])
def test_a_local_file_system_is_no_network_mount(file_system):
    assert not MountPoint("1", "/", file_system, "x").network


def test_a_bind_mount_tells_which_folder_it_shows():
    (mount,) = table("50 22 8:1 /srv/my\\040share /app/nas_backup rw - ext4 /dev/sda1 rw")

    assert mount.root == "/srv/my share"


@pytest.mark.parametrize(
    ("escaped", "path"),
    [
        ("/mnt/My\\040NAS", "/mnt/My NAS"),
        ("/mnt/tab\\011x", "/mnt/tab\tx"),
        ("/mnt/line\\012x", "/mnt/line\nx"),
        ("/mnt/back\\134slash", "/mnt/back\\slash"),
        ("/mnt/\\134040", "/mnt/\\040"),
        ("/mnt/hash\\043", "/mnt/hash#"),
        ("/mnt/été", "/mnt/été"),
    ],
)
def test_octal_escapes_are_undone_once(escaped, path):
    (mount,) = table(f"60 22 0:9 / {escaped} rw - tmpfs tmpfs rw")

    assert mount.path == path


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\r", "\x85", "\u2028"])
def test_only_the_kernels_line_end_ends_a_line(odd, tmp_path, monkeypatch):
    file = tmp_path / "mountinfo"
    line = f"60 22 0:9 / /mnt/a{odd}b rw - tmpfs tmpfs rw"
    file.write_bytes(f"{ROOT}\n{line}\n".encode())
    monkeypatch.setattr(mounttable, "MOUNTINFO", str(file))

    assert [mount.path for mount in read_mount_table()] == ["/", f"/mnt/a{odd}b"]


def test_lines_of_another_format_are_passed_over():
    assert table("", "nonsense", "1 2 3 - x", "a b c d e f", ROOT) == table(ROOT)


def test_a_source_that_is_empty_is_no_trouble():
    (mount,) = table("60 22 0:9 / /mnt/x rw - fuse.thing  rw")

    assert (mount.file_system, mount.source) == ("fuse.thing", "")


@given(st.text())
def test_no_text_makes_the_parser_fail(text):
    assert isinstance(parse_mountinfo(text), list)


def test_the_real_line_behind_an_autofs_line_is_taken():
    found = find_mount(table(ROOT, AUTOFS, CIFS), "/mnt/nas/2024")

    assert found is not None
    assert found.file_system == "cifs"


def test_an_autofs_line_alone_is_what_is_mounted():
    found = find_mount(table(ROOT, AUTOFS), "/mnt/nas")

    assert found is not None
    assert found.file_system == "autofs"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mnt/nas", "/mnt/nas"),
        ("/mnt/nas/finance/2024", "/mnt/nas"),
        ("/mnt/nas2", "/"),
        ("/mnt", "/"),
        ("/", "/"),
        ("/mnt/nas/inner/x", "/mnt/nas/inner"),
        ("/mnt/nas/inner2", "/mnt/nas"),
    ],
)
def test_the_longest_mount_point_wins_and_only_whole_names_count(path, expected):
    inner = "70 41 0:60 / /mnt/nas/inner rw - tmpfs tmpfs rw"

    found = find_mount(table(inner, CIFS, ROOT), path)

    assert found is not None
    assert found.path == expected


def test_without_a_table_nothing_is_found():
    assert find_mount([], "/mnt/nas") is None


def test_a_table_that_cannot_be_read_is_empty(monkeypatch, tmp_path):
    monkeypatch.setattr(mounttable, "MOUNTINFO", str(tmp_path / "none"))

    assert read_mount_table() == []


@linux_only
def test_the_real_table_knows_where_an_open_folder_lies(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        mount = mount_of(fd)
        assert mount is not None
        assert mount.id == mount_id(fd)
        assert mount == find_mount(read_mount_table(), str(tmp_path.resolve()))
    finally:
        os.close(fd)


@linux_only
def test_the_real_proc_is_a_mount_of_its_own():
    found = find_mount(read_mount_table(), "/proc/self")

    assert found is not None
    assert found.file_system == "proc"


@linux_only
def test_a_descriptor_that_is_closed_lies_nowhere(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    os.close(fd)

    assert mount_id(fd) is None
    assert mount_of(fd) is None


@pytest.mark.root
@pytest.mark.lab
def test_every_mounting_has_an_id_of_its_own(tmpfs_mount):
    share = tmpfs_mount("1m")
    first = find_mount(read_mount_table(), str(share.path / "x"))
    share.unmount()
    bare = find_mount(read_mount_table(), str(share.path / "x"))
    tmpfs_mount("1m")  # so that the id is not simply the next free one again
    share.mount()
    second = find_mount(read_mount_table(), str(share.path / "x"))

    assert first is not None
    assert bare is not None
    assert second is not None
    assert (first.file_system, first.source) == ("tmpfs", "nas-lab")
    assert bare.path != str(share.path)
    assert first != second
