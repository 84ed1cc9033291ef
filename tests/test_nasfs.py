"""System calls on the NAS: what their errors mean, folders, and the rename that never replaces."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from nas_syncd.errors import (
    DocumentError,
    MountError,
    NameRefusedError,
    NasDeniedError,
    NasDownError,
    NasFullError,
    NasReadOnlyError,
    PlaceBlockedError,
    PlaceBusyError,
    PlaceDeniedError,
)
from nas_syncd.names import CLAIM_FOLDER
from nas_syncd.nasfs import (
    RENAME_RETRY_SECONDS,
    STALE_CLAIM_SECONDS,
    Calls,
    nas_error,
    rename_into_place,
    renames_exclusively,
    sync_folder,
)
from tests.helpers import FaultyCalls, fail, files_below, nfd, no_step, open_descriptors, tree_at

FOLDER = "2024/01/factures"
MODES = pytest.mark.parametrize("claims", [False, True], ids=["exclusive rename", "claims"])


@pytest.fixture
def nas(tmp_path):
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


def temp_in(tree, name=".nas-syncd-t.part", content=b"new"):
    """A finished temp file, as the copier leaves it for the rename."""
    folder = tree.folder(".nas-syncd-tmp", no_step, own=True)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=folder.fd)
    os.write(fd, content)
    os.close(fd)
    return folder


def claims_on(nas):
    folder = nas / CLAIM_FOLDER
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "in_a_place", "in_our_folder"),
    [
        ("ENOSPC", NasFullError, NasFullError),
        ("EDQUOT", NasFullError, NasFullError),
        ("EROFS", NasReadOnlyError, NasReadOnlyError),
        ("EACCES", PlaceDeniedError, NasDeniedError),
        ("EPERM", PlaceDeniedError, NasDeniedError),
        ("ENOTDIR", PlaceBlockedError, PlaceBlockedError),
        ("ELOOP", PlaceBlockedError, PlaceBlockedError),
        ("EILSEQ", NameRefusedError, MountError),
        ("ENAMETOOLONG", NameRefusedError, MountError),
        ("EINVAL", NameRefusedError, MountError),
        ("EBUSY", PlaceBusyError, MountError),
        ("ETXTBSY", PlaceBusyError, MountError),
        ("EINTR", MountError, MountError),
        ("EMFILE", MountError, MountError),
        ("EIO", NasDownError, NasDownError),
        ("EHOSTDOWN", NasDownError, NasDownError),
        ("ESTALE", NasDownError, NasDownError),
        ("ENOTCONN", NasDownError, NasDownError),
        ("ETIMEDOUT", NasDownError, NasDownError),
        ("ENXIO", NasDownError, NasDownError),
        ("ENOENT", NasDownError, NasDownError),
        ("EMLINK", DocumentError, MountError),
    ],
)
def test_an_errno_says_whose_trouble_it_is(name, in_a_place, in_our_folder):
    error = OSError(getattr(errno, name), "text")

    assert type(nas_error(error, "p")) is in_a_place
    assert type(nas_error(error, "p", own=True)) is in_our_folder
    assert nas_error(error, "p").params == {"path": "p", "errno": name}


def test_every_errno_is_the_mounts_or_the_documents():
    for number in errno.errorcode:
        assert isinstance(nas_error(OSError(number, "x"), "p"), MountError | DocumentError)


def test_an_error_without_a_number_is_still_one():
    assert isinstance(nas_error(OSError("odd"), "p"), DocumentError)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_folder_that_cannot_be_flushed_is_forgiven(number, nas):
    calls = FaultyCalls(fail("fsync", number=number))
    with tree_at(nas, calls) as tree:
        sync_folder(tree.root, tree.calls)
    assert "fsync" in calls.log


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EHOSTDOWN])
def test_a_folder_whose_flush_fails_is_not(number, nas):
    with (
        tree_at(nas, FaultyCalls(fail("fsync", number=number))) as tree,
        pytest.raises(OSError, match=os.strerror(number)),
    ):
        sync_folder(tree.root, tree.calls)


# -- the tree -----------------------------------------------------------------------------------


def test_a_folder_is_made_once_and_listed_once(nas):
    (nas / FOLDER).mkdir(parents=True)
    (nas / FOLDER / "a.pdf").write_bytes(b"")
    calls = FaultyCalls()
    with tree_at(nas, calls) as tree:
        folder = tree.folder(FOLDER, no_step)
        made = list(calls.log)
        assert tree.folder(FOLDER, no_step) is folder

    assert list(folder.names) == ["a.pdf"]
    assert made.count("listdir") == 1
    assert calls.log == made


def test_what_is_to_be_closed_soon_is_locked_while_it_is_open(tmp_path):
    """That is what makes cifs do so. No lock is worth an error."""
    path = tmp_path / "t.part"
    calls = Calls()
    fd = calls.open(str(path), os.O_RDWR | os.O_CREAT)
    calls.close_soon(fd)

    try_lock = (
        "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    other = subprocess.run([sys.executable, "-c", try_lock, str(path)], stderr=subprocess.PIPE)
    assert b"BlockingIOError" in other.stderr
    calls.close(fd)
    reading = calls.open(str(path), os.O_RDONLY)
    calls.close_soon(reading)  # cannot be locked for writing
    calls.close(reading)


def test_no_hint_is_worth_an_error():
    reader, writer = os.pipe()
    try:
        Calls().write_behind(writer, 0, 1 << 20)  # a pipe takes no such hint
    finally:
        os.close(reader)
        os.close(writer)


def test_nobody_looks_in_a_folder_that_was_made_a_moment_ago(nas):
    calls = FaultyCalls()
    with tree_at(nas, calls) as tree:
        tree.folder(FOLDER, no_step)

    look, make = ["open", "listdir"], ["mkdir", "fsync", "open"]
    assert [op for op in calls.log if op != "close"] == look + 3 * make


def test_a_folder_that_another_makes_at_the_same_moment_is_used_and_listed(nas):
    class Calls(FaultyCalls):
        def mkdir(self, name, *, dir_fd):
            super().mkdir(name, dir_fd=dir_fd)
            if name == "2024":
                (nas / FOLDER).mkdir(parents=True)
                (nas / FOLDER / "theirs.pdf").write_bytes(b"")

    with tree_at(nas, Calls()) as tree:
        assert list(tree.folder(FOLDER, no_step).names) == ["theirs.pdf"]


def test_our_own_folders_are_not_looked_for_in_another_case(nas):
    calls = FaultyCalls()
    with tree_at(nas, calls) as tree:
        tree.folder(".nas-syncd-tmp/inst/1", no_step, own=True)

    assert "listdir" not in calls.log


def test_folders_of_the_same_place_are_used_not_doubled(nas):
    (nas / "2024" / "01" / "Factures").mkdir(parents=True)
    (nas / nfd("É")).mkdir()
    with tree_at(nas) as tree:
        assert tree.folder(FOLDER, no_step).path == "2024/01/Factures"
        assert tree.folder("É".casefold(), no_step).path == nfd("É")

    assert [p.name for p in (nas / "2024" / "01").iterdir()] == ["Factures"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_folder_in_a_folders_place_is_told_and_not_followed(nas, tmp_path, kind):
    (tmp_path / "elsewhere").mkdir()
    place = nas / "2024"
    if kind == "file":
        place.write_bytes(b"")
    else:
        place.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "none"))

    with tree_at(nas) as tree, pytest.raises(PlaceBlockedError):
        tree.folder(FOLDER, no_step)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_looking_makes_nothing(nas):
    with tree_at(nas) as tree:
        assert tree.existing(FOLDER, no_step) is None

    assert list(nas.iterdir()) == []


def test_a_file_where_a_folder_was_means_that_the_folder_is_not_there(nas):
    (nas / "2024").write_bytes(b"")
    with tree_at(nas) as tree:
        assert tree.existing(FOLDER, no_step) is None


def test_descriptors_live_until_the_last_user_has_left(nas):
    before = open_descriptors()
    with tree_at(nas) as tree:
        folder = tree.folder(FOLDER, no_step)
        tree.close()
        assert tree.busy
        os.fstat(folder.fd)

    assert open_descriptors() == before


def after(times, op):
    """Calls of this kind fail with EIO, all but the first so many."""
    left = [times]

    def strike(_number: int, called: str) -> OSError | None:
        left[0] -= called == op
        return OSError(errno.EIO, "x") if called == op and left[0] < 0 else None

    return strike


@pytest.mark.parametrize(("op", "most"), [("open", 3), ("listdir", 1), ("mkdir", 3), ("fsync", 3)])
def test_no_descriptor_is_lost_when_a_folder_cannot_be_had(nas, op, most):
    before = open_descriptors()
    for times in range(most):
        with tree_at(nas, FaultyCalls(after(times, op))) as tree, pytest.raises(NasDownError):
            tree.folder(f"{times}/b/c", no_step)

    assert open_descriptors() == before


def test_a_folder_that_many_want_at_once_is_one(nas):
    got = []
    with tree_at(nas) as tree:
        threads = [
            threading.Thread(target=lambda: got.append(tree.folder(FOLDER, no_step)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len({id(folder) for folder in got}) == 1


# -- renaming ---------------------------------------------------------------------------------


@MODES
def test_a_free_name_is_taken(nas, claims):
    with tree_at(nas, claims=claims) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}
    assert claims_on(nas) == []


@MODES
def test_a_name_that_is_taken_is_never_replaced_even_if_it_came_a_moment_ago(nas, claims):
    with tree_at(nas, claims=claims) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        (nas / FOLDER / "a.pdf").write_bytes(b"a stranger's")
        with pytest.raises(FileExistsError):
            rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert (nas / FOLDER / "a.pdf").read_bytes() == b"a stranger's"
    assert claims_on(nas) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_where_no_rename_is_exclusive_a_claim_is_made(nas, number):
    calls = FaultyCalls(fail("rename_exclusive", number=number))
    with tree_at(nas, calls) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)
        assert tree.claims

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}


def test_two_who_find_out_at_once_that_no_rename_is_exclusive_both_go_on(nas):
    """The other one has told the tree while this one's call was on its way."""

    def strike(_number: int, op: str) -> OSError | None:
        if op != "rename_exclusive":
            return None
        tree.claims = True
        return OSError(errno.EINVAL, "x")

    with tree_at(nas, FaultyCalls(strike)) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}


@pytest.mark.parametrize("busy", range(len(RENAME_RETRY_SECONDS) + 1))
def test_a_rename_that_returns_has_renamed(nas, busy):
    """Busy some times, then told that the mount cannot do it exclusively, whenever that is."""

    def strike(_number: int, op: str) -> OSError | None:
        if op != "rename_exclusive":
            return None
        busy_now = calls.log.count(op) <= busy
        return OSError(errno.EBUSY if busy_now else errno.EINVAL, "x")

    calls = FaultyCalls(strike)
    with tree_at(nas, calls) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        try:
            rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)
        except OSError:
            assert not (nas / FOLDER / "a.pdf").exists()
        else:
            assert (nas / FOLDER / "a.pdf").read_bytes() == b"new"


@MODES
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.ETXTBSY])
def test_a_file_that_is_still_open_somewhere_is_tried_again(nas, claims, number):
    calls = FaultyCalls(fail("rename_exclusive", "rename", number=number, times=3))
    with tree_at(nas, calls, claims=claims) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}


@MODES
def test_a_file_that_stays_open_is_an_error_in_the_end(nas, claims):
    calls = FaultyCalls(fail("rename_exclusive", "rename", number=errno.EBUSY))
    with tree_at(nas, calls, claims=claims) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        with pytest.raises(OSError, match="busy"):
            rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert claims_on(nas) == []


def claim_for(nas):
    """Leave a claim on ``a.pdf`` as a program that was killed would."""
    with tree_at(nas, FaultyCalls(fail("unlink", number=errno.EIO)), claims=True) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)
    (nas / FOLDER / "a.pdf").unlink()
    (claim,) = claims_on(nas)
    return nas / CLAIM_FOLDER / claim


@pytest.mark.parametrize("name", ["a.pdf", "A.PDF"])
def test_a_place_that_another_installation_claims_is_left_alone(nas, name):
    claim = claim_for(nas)
    with tree_at(nas, claims=True) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        with pytest.raises(PlaceBusyError):
            rename_into_place(tree, temps, ".nas-syncd-t.part", folder, name, no_step)

    assert claim.exists()
    assert not (nas / FOLDER / name).exists()


def test_a_claim_that_another_gives_back_in_a_moment_is_waited_for(nas):
    claim = claim_for(nas)

    class Waits(Calls):
        """While it waits, the other one is done."""

        def sleep(self, seconds):
            assert seconds < 1
            claim.unlink(missing_ok=True)

    with tree_at(nas, Waits(), claims=True) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}


def test_a_claim_that_nobody_gave_back_goes_stale(nas):
    claim = claim_for(nas)
    old = time.time() - STALE_CLAIM_SECONDS - 60
    os.utime(claim, (old, old))
    with tree_at(nas, claims=True) as tree:
        temps, folder = temp_in(tree), tree.folder(FOLDER, no_step)
        with pytest.raises(PlaceBusyError):
            rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)
        rename_into_place(tree, temps, ".nas-syncd-t.part", folder, "a.pdf", no_step)

    assert files_below(nas) == {f"{FOLDER}/a.pdf": b"new"}


def test_looking_under_a_claim_sees_all_names_whoever_else_looks(nas):
    """Listings of one descriptor share its position: two at once would each see a part."""
    place = nas / FOLDER
    place.mkdir(parents=True)
    replaced = []
    with tree_at(nas, claims=True) as tree:
        folder = tree.folder(FOLDER, no_step)
        for number in range(40):
            (place / f"taken-{number}").write_bytes(b"a stranger's")

        def go(worker: int) -> None:
            for number in range(40):
                temp = f".nas-syncd-{worker}-{number}.part"
                temps = temp_in(tree, temp)
                try:
                    rename_into_place(tree, temps, temp, folder, f"taken-{number}", no_step)
                    replaced.append(number)
                except (FileExistsError, PlaceBusyError):
                    os.unlink(temp, dir_fd=temps.fd)

        threads = [threading.Thread(target=go, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert replaced == []
    assert {p.read_bytes() for p in place.iterdir()} == {b"a stranger's"}


def test_two_who_want_one_name_at_once_never_both_get_it(nas):
    """Two installations, each with its own root; with claims, as where no rename is exclusive."""
    for claims in (False, True):
        for number in range(25):
            name, barrier = f"{claims}-{number}", threading.Barrier(2)
            won: list[int] = []

            def go(worker, name=name, barrier=barrier, won=won, claims=claims):
                with tree_at(nas, claims=claims) as tree:
                    temp = f".nas-syncd-{worker}.part"
                    temps = temp_in(tree, temp, str(worker).encode())
                    folder = tree.folder(FOLDER, no_step)
                    barrier.wait()
                    try:
                        rename_into_place(tree, temps, temp, folder, name, no_step)
                        won.append(worker)
                    except (FileExistsError, PlaceBusyError):
                        os.unlink(temp, dir_fd=temps.fd)

            threads = [threading.Thread(target=go, args=(worker,)) for worker in (1, 2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert len(won) == 1
            assert (nas / FOLDER / name).read_bytes() == str(won[0]).encode()


# -- the probe of the rename --------------------------------------------------------------------


class Ignoring(Calls):
    """A FUSE file system that takes the flag and replaces all the same."""

    def rename_exclusive(self, source, source_fd, target, target_fd):
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (Calls(), True),
        (Ignoring(), False),
        (FaultyCalls(fail("rename_exclusive", number=errno.EINVAL)), False),
        (FaultyCalls(fail("rename_exclusive", number=errno.ENOSYS)), False),
    ],
    ids=["honoured", "ignored", "refused", "unknown"],
)
def test_it_is_found_out_whether_a_rename_refuses_to_replace(nas, calls, expected):
    with tree_at(nas, calls) as tree:
        folder = tree.folder(".nas-syncd-tmp", no_step, own=True)
        assert renames_exclusively(tree, folder, "x", no_step) is expected

    assert files_below(nas) == {}


@pytest.mark.parametrize("op", ["open", "rename_exclusive"])
def test_a_probe_that_fails_for_another_reason_says_so_and_leaves_nothing(nas, op):
    with tree_at(nas, FaultyCalls()) as tree:
        folder = tree.folder(".nas-syncd-tmp", no_step, own=True)
        tree.calls = FaultyCalls(fail(op, number=errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            renames_exclusively(tree, folder, "x", no_step)

    assert files_below(nas) == {}


@pytest.mark.parametrize("number", [errno.EIO, errno.EBUSY, errno.EACCES])
def test_a_probes_file_that_cannot_be_removed_spoils_no_answer(nas, number):
    """Whether the rename is exclusive is known by then; what stays goes with the next start."""
    with tree_at(nas, FaultyCalls()) as tree:
        folder = tree.folder(".nas-syncd-tmp", no_step, own=True)
        tree.calls = calls = FaultyCalls(fail("unlink", number=number, times=1))
        assert renames_exclusively(tree, folder, "x", no_step) is True

    assert calls.log.count("unlink") == 2
    assert list(files_below(nas)) == [".nas-syncd-tmp/.nas-syncd-x-a.part"]


@pytest.mark.parametrize("name", ["EACCES", "EBUSY", "EINVAL", "EIO"])
def test_a_claim_that_cannot_be_made_is_not_the_places_trouble(nas, name):
    """Claims lie in a folder of our own: no right on the document's folder is missing."""
    with tree_at(nas, FaultyCalls(), claims=True) as tree:
        temps = tree.folder(".nas-syncd-tmp", no_step, own=True)
        (nas / ".nas-syncd-tmp" / "t").write_bytes(b"x")
        folder = tree.folder(FOLDER, no_step)
        tree.folder(CLAIM_FOLDER, no_step, own=True)
        tree.calls = FaultyCalls(fail("open", number=getattr(errno, name)))
        with pytest.raises(MountError) as caught:
            rename_into_place(tree, temps, "t", folder, "a.pdf", no_step)

    assert str(caught.value.params["path"]).startswith(CLAIM_FOLDER)
