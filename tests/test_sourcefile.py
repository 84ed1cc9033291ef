"""Opening an uploaded file: nothing but a regular file below the folder, whatever lies there."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from nas_syncd.errors import (
    DocumentError,
    SourceChangedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnreadableError,
    UploadsError,
)
from nas_syncd.sourcefile import AWAY, kind_of, open_source, source_error, version_of
from tests.helpers import no_step, open_descriptors, version_at


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"outside")
    return folder


@pytest.fixture(autouse=True)
def nothing_stays_open():
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def read(uploads, relative):
    fd, version = open_source(str(uploads), relative, no_step)
    try:
        return os.read(fd, 100), version
    finally:
        os.close(fd)


def test_a_file_is_opened_with_its_version(uploads):
    path = uploads / "u1" / "2024" / "a.pdf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")

    assert read(uploads, "u1/2024/a.pdf") == (b"content", version_at(path))


def test_a_name_that_is_not_utf8_is_opened(uploads):
    name = os.fsdecode(b"caf\xe9.pdf")
    (uploads / name).write_bytes(b"x")

    assert read(uploads, name)[0] == b"x"


def test_the_upload_folder_itself_may_be_a_link(uploads, tmp_path):
    (uploads / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to(uploads)

    assert read(tmp_path / "link", "a")[0] == b"x"


@pytest.mark.parametrize(
    "relative",
    ["", "..", "../secret", "a/../../secret", "/etc/passwd", "./a", "a//b", "a/", "a\0b", "a/."],
)
def test_a_way_out_is_refused_before_anything_is_opened(uploads, relative):
    steps: list[str] = []

    with pytest.raises(SourceRefusedError) as caught:
        open_source(str(uploads), relative, steps.append)

    assert caught.value.params["kind"] == "outside"
    assert steps == []


@pytest.mark.parametrize("target", ["../secret", "other", "/etc/passwd", "nowhere"])
def test_a_link_is_refused_wherever_it_leads(uploads, target):
    (uploads / "other").write_bytes(b"inside")
    (uploads / "a").symlink_to(target)

    with pytest.raises(SourceRefusedError) as caught:
        read(uploads, "a")
    assert caught.value.params["kind"] == "link"


def test_a_link_on_the_way_is_refused(uploads, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"outside")
    (uploads / "sub").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SourceRefusedError) as caught:
        read(uploads, "sub/a")
    assert caught.value.params["kind"] == "link"


def test_a_folder_is_refused(uploads):
    (uploads / "a").mkdir()

    with pytest.raises(SourceRefusedError) as caught:
        read(uploads, "a")
    assert caught.value.params["kind"] == "directory"


def test_a_fifo_is_refused_and_its_writer_never_sees_a_reader(uploads):
    os.mkfifo(uploads / "a")

    with pytest.raises(SourceRefusedError) as caught:
        read(uploads, "a")

    assert caught.value.params["kind"] == "special"
    with pytest.raises(OSError, match="No such device"):  # ENXIO: nobody reads
        os.open(uploads / "a", os.O_WRONLY | os.O_NONBLOCK)


def test_a_socket_is_refused(uploads, monkeypatch):
    monkeypatch.chdir(uploads)  # a socket's address may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a")
        with pytest.raises(SourceRefusedError) as caught:
            read(uploads, "a")
    assert caught.value.params["kind"] == "special"


@pytest.mark.root
def test_a_device_is_refused(uploads):
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a device")
    os.mknod(uploads / "a", stat.S_IFCHR | 0o666, os.makedev(1, 5))

    with pytest.raises(SourceRefusedError) as caught:
        read(uploads, "a")
    assert caught.value.params["kind"] == "special"


@pytest.mark.parametrize("relative", ["none", "no/such/folder", "file/below"])
def test_what_is_not_there_is_missing(uploads, relative):
    (uploads / "file").write_bytes(b"x")

    with pytest.raises(SourceMissingError):
        read(uploads, relative)


def test_a_folder_that_is_not_there_at_all_is_the_uploads_trouble(tmp_path):
    with pytest.raises(UploadsError):
        read(tmp_path / "none", "a")


def test_a_file_that_was_swapped_between_look_and_open_is_not_read(uploads):
    """The look sees a file, the open would get another one: nothing of it is trusted."""
    path = uploads / "a"
    path.write_bytes(b"looked at")
    (uploads / "b").write_bytes(b"put in its place")
    seen: list[str] = []

    def step(side: str) -> None:
        seen.append(side)
        if len(seen) == 3:  # root, look, and now the opening
            os.replace(uploads / "b", path)

    with pytest.raises(SourceChangedError):
        open_source(str(uploads), "a", step)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_takes_the_files_place_after_the_look_is_never_read(uploads, kind):
    path = uploads / "a"
    path.write_bytes(b"looked at")
    seen: list[str] = []

    def step(side: str) -> None:
        seen.append(side)
        if len(seen) == 3:
            path.unlink()
            make = {
                "link": lambda: path.symlink_to("../secret"),
                "fifo": lambda: os.mkfifo(path),
                "folder": path.mkdir,
            }
            make[kind]()

    with pytest.raises((SourceRefusedError, SourceChangedError)):
        open_source(str(uploads), "a", step)


def test_opening_never_waits_for_anybody(uploads):
    """A FIFO in the file's place would block an opening without O_NONBLOCK for ever."""
    path = uploads / "a"
    path.write_bytes(b"x")
    seen: list[str] = []

    def step(side: str) -> None:
        seen.append(side)
        if len(seen) == 3:
            path.unlink()
            os.mkfifo(path)

    def go() -> None:
        with pytest.raises(SourceRefusedError):
            open_source(str(uploads), "a", step)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, SourceMissingError),
        (errno.ELOOP, SourceRefusedError),
        (errno.EACCES, SourceUnreadableError),
        (errno.EIO, SourceUnreadableError),
        *((number, UploadsError) for number in sorted(AWAY)),
    ],
)
def test_an_error_says_whose_trouble_it_is(number, kind):
    error = source_error(OSError(number, os.strerror(number)), "a.pdf")

    assert type(error) is kind
    assert error.params["path"] == "a.pdf"
    assert errno.errorcode[number] in error.detail


def test_every_source_error_but_the_folders_own_is_the_documents():
    for number in errno.errorcode:
        error = source_error(OSError(number, "x"), "a")
        assert isinstance(error, DocumentError if number not in AWAY else UploadsError)


def test_kinds_are_spelled_as_the_models_have_them(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "l").symlink_to("f")

    assert kind_of(os.lstat(tmp_path / "f").st_mode) == "file"
    assert kind_of(os.lstat(tmp_path / "l").st_mode) == "link"
    assert kind_of(os.lstat(tmp_path).st_mode) == "directory"
    assert kind_of(os.lstat("/dev/null").st_mode) == "special"


def test_a_version_changes_with_content_and_with_the_file_itself(tmp_path):
    path = Path(tmp_path / "a")
    path.write_bytes(b"one")
    first = version_of(path.stat())
    os.utime(path, ns=(0, first.mtime_ns + 1))
    touched = version_of(path.stat())
    (tmp_path / "b").write_bytes(b"one")
    os.utime(tmp_path / "b", ns=(0, touched.mtime_ns))
    os.replace(tmp_path / "b", path)
    replaced = version_of(path.stat())

    assert len({first, touched, replaced}) == 3
