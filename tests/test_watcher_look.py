"""Looks into the upload folder: what stands there, without opening or following anything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_syncd.agent import tree
from nas_syncd.models import Source, SourceKind
from nas_syncd.watcher import (
    UploadFolder,
    UploadsDeniedError,
    UploadsHungError,
    UploadsMissingError,
    UploadsState,
)


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(uploads: Path) -> Iterator[UploadFolder]:
    folder = UploadFolder(str(uploads), timeout_seconds=20.0)
    yield folder
    folder.close()


def look(folder: UploadFolder, path: str) -> Source:
    return folder.look([path]).result(30)[path]


def kinds(folder: UploadFolder, *paths: str) -> list[SourceKind]:
    found = folder.look(paths).result(30)
    return [found[path].kind for path in paths]


def test_the_child_spells_the_kinds_as_the_models_do():
    spelled = {
        tree.FILE,
        tree.MISSING,
        tree.LINK,
        tree.DIRECTORY,
        tree.SPECIAL,
        tree.OUTSIDE,
        tree.UNREADABLE,
        tree.UNKNOWN,
    }

    assert spelled == set(SourceKind)


def test_a_file_comes_with_its_version(folder, uploads):
    (uploads / "2024").mkdir()
    file = uploads / "2024" / "a.pdf"
    file.write_bytes(b"12345")

    source = look(folder, "2024/a.pdf")

    assert (source.relative, source.kind, source.settled) == ("2024/a.pdf", SourceKind.FILE, False)
    assert source.version is not None
    assert source.version.size == 5
    assert source.version.mtime_ns == file.stat().st_mtime_ns
    assert source.version.inode == file.stat().st_ino


def test_a_link_anywhere_below_the_root_is_a_link(folder, uploads, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"s")
    (uploads / "file").symlink_to(outside / "secret")
    (uploads / "folder").symlink_to(outside)
    (uploads / "dangling").symlink_to("nowhere")
    (uploads / "a.pdf").write_bytes(b"1")
    (uploads / "inside").symlink_to("a.pdf")

    found = kinds(folder, "file", "folder/secret", "folder/none/x", "dangling", "inside")

    assert set(found) == {SourceKind.LINK}


def test_what_is_no_file_is_told_and_never_opened(folder, uploads):
    os.mkfifo(uploads / "fifo")
    (uploads / "sub").mkdir()
    (uploads / "a.pdf").write_bytes(b"1")

    found = kinds(folder, "fifo", "sub", "a.pdf/b", "none/b", "none", "x" * 300)

    missing = SourceKind.MISSING
    special, directory = SourceKind.SPECIAL, SourceKind.DIRECTORY
    assert found == [special, directory, missing, missing, missing, missing]


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc/passwd", "", ".", "a//b", "a/", "a\0b"])
def test_what_leads_outside_is_outside(folder, path):
    assert look(folder, path).kind is SourceKind.OUTSIDE


def test_the_root_itself_may_be_a_link(uploads, tmp_path):
    (uploads / "a.pdf").write_bytes(b"1")
    (tmp_path / "link").symlink_to(uploads)
    folder = UploadFolder(str(tmp_path / "link"), timeout_seconds=20.0)

    assert look(folder, "a.pdf").kind is SourceKind.FILE
    folder.close()


def test_many_folders_do_not_use_up_the_descriptors(folder, uploads):
    paths = [f"{number}/sub/a.pdf" for number in range(1500)]
    for path in paths:
        (uploads / path).parent.mkdir(parents=True)
        (uploads / path).touch()

    found = folder.look(paths).result(30)

    assert {source.kind for source in found.values()} == {SourceKind.FILE}


def test_a_path_of_endless_depth_is_no_trouble(folder):
    assert look(folder, "/".join(["d"] * 2000)).kind is SourceKind.UNREADABLE


def test_five_hundred_looks_are_quick(folder, uploads):
    paths = [f"{number % 50}/{number}.pdf" for number in range(500)]
    for number in range(50):
        (uploads / str(number)).mkdir()
    for path in paths:
        (uploads / path).touch()
    look(folder, "0/0.pdf")
    began = time.monotonic()

    folder.look(paths).result(30)

    assert time.monotonic() - began < 1.0


def test_nothing_asked_nothing_done(folder):
    assert folder.look([]).result(0) == {}
    assert folder.agent.pids() == []


def test_a_missing_folder_is_named_and_its_return_seen(folder, uploads):
    uploads.rmdir()
    with pytest.raises(UploadsMissingError) as caught:
        look(folder, "a.pdf")

    assert caught.value.params["path"] == str(uploads)
    view = folder.view
    assert view.state is UploadsState.MISSING
    assert view.reason is not None
    assert view.reason.code == "uploads.missing"

    uploads.mkdir()
    assert look(folder, "a.pdf").kind is SourceKind.MISSING
    view = folder.view
    assert view.state is UploadsState.OK
    assert view.reason is None


def test_a_file_in_the_place_of_the_folder_counts_as_missing(folder, uploads):
    uploads.rmdir()
    uploads.write_bytes(b"")

    with pytest.raises(UploadsMissingError):
        look(folder, "a.pdf")


@pytest.mark.skipif(os.geteuid() == 0, reason="root is refused nothing")
def test_a_folder_that_refuses_us_is_denied(folder, uploads):
    uploads.chmod(0)

    with pytest.raises(UploadsDeniedError):
        look(folder, "a.pdf")
    uploads.chmod(0o700)


def test_a_folder_that_hangs_is_told_within_the_deadline(uploads):
    folder = UploadFolder(str(uploads), timeout_seconds=2.0)
    look(folder, "a.pdf")
    os.kill(folder.agent.pids()[0], signal.SIGSTOP)
    began = time.monotonic()

    with pytest.raises(UploadsHungError):
        look(folder, "a.pdf")

    assert time.monotonic() - began < 8.0
    assert folder.view.state is UploadsState.HUNG
    folder.close()


def test_after_the_end_a_look_is_answered_all_the_same(folder, uploads):
    folder.close()

    assert folder.look(["a.pdf"]).exception(1) is not None
