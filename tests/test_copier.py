"""The copy. Whatever fails, and wherever: the complete document or no trace of it.

The copier runs in this process, on a real folder; :class:`FaultyCalls` lets any of its system
calls fail, before it is done or after (a server whose answer is lost).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from itertools import count
from types import SimpleNamespace

import pytest

from nas_syncd import copier as copier_module
from nas_syncd.copier import (
    BLOCK_BYTES,
    FLUSH_FIRST_BYTES,
    FLUSH_LARGEST_BYTES,
    FLUSH_QUICK_SECONDS,
    FLUSH_SLOW_SECONDS,
    Copier,
)
from nas_syncd.errors import (
    MountError,
    NasDeniedError,
    NasDownError,
    NasFullError,
    NoRoomError,
    PlaceBlockedError,
    PlaceBusyError,
    PlaceDeniedError,
    PlaceTakenError,
    SourceChangedError,
    SourceMissingError,
    SourceRefusedError,
    SourceUnreadableError,
    SyncError,
    UploadsError,
    VerifyError,
)
from nas_syncd.hashing import hashing
from nas_syncd.sourcefile import version_of
from tests.helpers import (
    FaultyCalls,
    an_order,
    copier_for,
    fail,
    files_below,
    nfd,
    no_step,
    open_descriptors,
    tree_at,
    version_at,
)

CONTENT = b"the document's bytes"
SHA = hashlib.sha256(CONTENT).hexdigest()
PLACE = "2024/01/factures/a.pdf"
SECOND = "2024/01/factures/a-7.pdf"
THIRD = f"2024/01/factures/a-7-{SHA[:12]}.pdf"
MODES = pytest.mark.parametrize("claims", [False, True], ids=["exclusive rename", "claims"])


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(CONTENT)
    return folder


@pytest.fixture
def nas(tmp_path):
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


def put(nas, place, content=CONTENT):
    path = nas / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def copy(nas, order, calls=None, *, claims=False):
    with tree_at(nas, calls, claims=claims) as tree:
        return copier_for(tree, order).copy()


def identity(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, path.read_bytes()


# -- the ordinary -----------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 1])
def test_the_bytes_arrive_and_nothing_else(uploads, nas, size, claims):
    content = os.urandom(size)
    (uploads / "a.pdf").write_bytes(content)
    calls = FaultyCalls()

    copied = copy(nas, an_order(uploads), calls, claims=claims)

    assert calls.log.count("read") == max(1, -(-size // BLOCK_BYTES))
    assert files_below(nas) == {PLACE: content}
    assert copied.destination == PLACE
    assert copied.sha256 == hashlib.sha256(content).hexdigest()
    assert copied.version == version_at(uploads / "a.pdf")
    assert not copied.adopted


def test_the_family_can_read_it(uploads, nas):
    umask = os.umask(0o022)
    try:
        copy(nas, an_order(uploads))
    finally:
        os.umask(umask)

    assert (nas / PLACE).stat().st_mode & 0o777 == 0o644
    assert (nas / PLACE).parent.stat().st_mode & 0o777 == 0o755


def test_the_source_is_only_read(uploads, nas):
    before = (identity(uploads / "a.pdf"), uploads.stat().st_mtime_ns)

    copy(nas, an_order(uploads))

    assert (identity(uploads / "a.pdf"), uploads.stat().st_mtime_ns) == before


_LOOKS = ("fstat", "lstat", "seek", "open", "mkdir")


def test_bytes_are_flushed_and_read_back_with_the_cache_dropped_before_the_rename(uploads, nas):
    calls = FaultyCalls()
    copy(nas, an_order(uploads), calls)
    wrote = len(calls.log) - 1 - calls.log[::-1].index("write")

    after = [op for op in calls.log[wrote:] if op not in _LOOKS]

    assert after[:6] == ["write", "fsync", "drop_cache", "read", "close", "rename_exclusive"]


@pytest.mark.parametrize("late", [False, True])
def test_a_close_that_the_kernel_would_put_off_is_hurried_once_all_is_proven(uploads, nas, late):
    class Hurried(FaultyCalls):
        def close_soon(self, fd):
            self.log.append("close_soon")
            super().close_soon(fd)

    calls = Hurried()
    with tree_at(nas, calls) as tree:
        tree.closes_late = late
        copier_for(tree, an_order(uploads)).copy()

    told = "read close_soon close" in " ".join(calls.log)
    assert told is late is ("close_soon" in calls.log)
    assert files_below(nas) == {PLACE: CONTENT}


def test_a_big_file_is_flushed_in_steps_and_its_progress_told(uploads, nas):
    content = os.urandom(FLUSH_FIRST_BYTES + 2 * BLOCK_BYTES)
    (uploads / "a.pdf").write_bytes(content)
    calls, told = FaultyCalls(), []
    with tree_at(nas, calls) as tree:
        Copier(tree, an_order(uploads), no_step, lambda *at: told.append(at)).copy()

    before_the_end = calls.log[: len(calls.log) - 1 - calls.log[::-1].index("write")]
    made_folders = before_the_end.count("mkdir")
    assert before_the_end.count("fsync") > made_folders
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[0] == (BLOCK_BYTES, 2 * len(content))
    assert told[-1] == (2 * len(content), 2 * len(content))
    assert {total for _, total in told} == {2 * len(content)}
    writes = [op for op in calls.log if op in ("write", "fsync")]
    first = FLUSH_FIRST_BYTES // BLOCK_BYTES
    assert writes[-first - 4 :] == ["write"] * first + ["fsync", "write", "write", "fsync"]
    assert (nas / PLACE).read_bytes() == content


def test_a_big_file_is_handed_to_the_disk_while_it_is_written(uploads, nas, monkeypatch):
    """Each part once, none that a flush has written, and its deadline is its own."""
    monkeypatch.setattr(copier_module, "WRITE_BEHIND_BYTES", 2 * BLOCK_BYTES)
    monkeypatch.setattr(copier_module, "FLUSH_FIRST_BYTES", 5 * BLOCK_BYTES)
    content = os.urandom(9 * BLOCK_BYTES)
    (uploads / "a.pdf").write_bytes(content)
    parts: list[tuple[int, int, str]] = []
    told: list[str] = []

    class Behind(FaultyCalls):
        def write_behind(self, fd, offset, length):
            self.log.append("write_behind")
            parts.append((offset // BLOCK_BYTES, length // BLOCK_BYTES, told[-1]))
            super().write_behind(fd, offset, length)

    with tree_at(nas, calls := Behind()) as tree:
        Copier(tree, an_order(uploads), told.append).copy()

    assert parts == [(0, 2, "nas"), (2, 2, "nas"), (5, 2, "nas"), (7, 2, "nas")]
    assert calls.log.count("fsync") - calls.log.count("mkdir") == 2  # else of the folders made
    assert files_below(nas) == {PLACE: content}


@pytest.mark.parametrize("which", [1, 2], ids=["written", "read back"])
def test_whatever_goes_wrong_no_temp_file_is_left(uploads, nas, monkeypatch, which):
    """Also when it is no trouble that anybody thought of."""
    asked = count(1)

    class Broken:
        def update(self, _block):
            raise MemoryError

    @contextlib.contextmanager
    def breaking(size):
        with hashing(size) as hasher:
            yield Broken() if next(asked) == which else hasher

    monkeypatch.setattr(copier_module, "hashing", breaking)

    with pytest.raises(MemoryError):
        copy(nas, an_order(uploads))

    assert files_below(nas) == {}


def test_before_each_call_it_is_told_which_side_is_waited_for(uploads, nas):
    """A copy that hangs is the NAS's trouble or the upload folder's by what was told last."""
    told: list[str] = []
    at_calls: list[str] = []
    calls = FaultyCalls(lambda _number, _op: at_calls.append(told[-1] if told else ""))
    (nas / PLACE).parent.mkdir(parents=True)
    (nas / PLACE).write_bytes(b"x" * len((uploads / "a.pdf").read_bytes()))

    with tree_at(nas, calls) as tree:
        Copier(tree, an_order(uploads), told.append).copy()

    assert at_calls
    assert set(at_calls) == {"nas"}
    assert set(told) == {"nas", "uploads"}


class Told(FaultyCalls):
    """Knows what was told since the call before, and which calls nothing was told of."""

    def __init__(self, fails=lambda _number, _op: None, *, quick=()):
        self.since: list[str] = []
        self.untold: list[tuple[str, ...]] = []

        def strike(number, op):
            if op not in quick:
                if not self.since or self.since[-1] != "nas":
                    self.untold.append((op, *self.log[-3:]))
                self.since.clear()
            return fails(number, op)

        super().__init__(strike)


def copy_telling(nas, order, calls):
    with tree_at(nas, calls) as tree:
        return Copier(tree, order, calls.since.append).copy()


def test_each_call_of_a_copy_has_a_deadline_of_its_own(uploads, nas):
    """It begins with each step: two slow calls in one would look like a NAS that hangs."""
    stale = [f".nas-syncd-tmp/inst/7/.nas-syncd-dead-{number}.part" for number in (1, 2)]
    for path in stale:
        put(nas, path)
    calls = Told(quick=("seek",))

    copy_telling(nas, an_order(uploads, stale=stale, min_free_bytes=1), calls)

    assert {"unlink", "fstatvfs", "mkdir", "fsync", "fstat", "close"} <= set(calls.log)
    assert calls.untold == []


def test_each_call_of_a_comparison_has_a_deadline_of_its_own(uploads, nas):
    put(nas, PLACE, bytes(len(CONTENT)))
    calls = Told(quick=("drop_cache", "close", "seek"))  # which ask the server nothing

    copy_telling(nas, an_order(uploads), calls)

    assert calls.untold == []


def test_each_call_after_a_failure_has_a_deadline_of_its_own(uploads, nas):
    calls = Told(fail("read", number=errno.EIO), quick=("seek",))

    with pytest.raises(NasDownError):
        copy_telling(nas, an_order(uploads), calls)

    assert calls.log[-2:] == ["close", "unlink"]
    assert calls.untold == []


def test_whenever_the_source_is_asked_the_upload_folder_is_what_is_waited_for(
    uploads, nas, monkeypatch
):
    (uploads / "a.pdf").write_bytes(CONTENT * 100_000)
    put(nas, PLACE, bytes(len(CONTENT) * 100_000))  # so that it is compared first
    told: list[str] = []
    at_calls: list[tuple[str, str]] = []

    def watched(name):
        real = getattr(os, name)

        def call(fd, *more):
            if os.readlink(f"/proc/self/fd/{fd}") == str(uploads / "a.pdf"):
                at_calls.append((name, told[-1]))
            return real(fd, *more)

        monkeypatch.setattr(os, name, call)

    watched("read")
    watched("fstat")
    with tree_at(nas) as tree:
        assert Copier(tree, an_order(uploads), told.append).copy().destination == SECOND

    assert set(at_calls) == {("read", "uploads"), ("fstat", "uploads")}


@pytest.mark.parametrize(
    ("free", "least", "error"),
    [
        (FLUSH_FIRST_BYTES - 1, 0, NasFullError),
        (FLUSH_FIRST_BYTES, 0, NoRoomError),
        (3 * FLUSH_FIRST_BYTES - 1, 3 * FLUSH_FIRST_BYTES, NasFullError),
        (3 * FLUSH_FIRST_BYTES, 3 * FLUSH_FIRST_BYTES, NoRoomError),
    ],
)
def test_what_does_not_fit_is_its_own_trouble_unless_nothing_much_would(
    uploads, nas, free, least, error
):
    os.truncate(uploads / "a.pdf", FLUSH_FIRST_BYTES + 1)

    class Little(FaultyCalls):
        def fstatvfs(self, _fd):
            return SimpleNamespace(f_bavail=free, f_frsize=1)

    with pytest.raises(error) as caught, tree_at(nas, Little()) as tree:
        copier_for(tree, an_order(uploads, min_free_bytes=least)).copy()

    assert files_below(nas) == {}
    assert caught.value.params["free"] == free
    assert caught.value.params["needed"] > free
    if error is NoRoomError:
        assert caught.value.params["needed"] == FLUSH_FIRST_BYTES + 1 + least


def test_of_what_is_flushed_on_its_way_the_room_is_looked_for_before(uploads, nas):
    os.truncate(uploads / "a.pdf", FLUSH_FIRST_BYTES)
    calls = SmallNas(FLUSH_FIRST_BYTES - 1)

    with pytest.raises(NasFullError):
        copy(nas, an_order(uploads), calls)

    assert "write" not in calls.log


# -- every step, every errno ------------------------------------------------------------------

ERRNOS = ["ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "ESTALE", "EHOSTDOWN", "EINVAL", "EXDEV"]


def with_a_stranger(nas):
    """A NAS on which somebody else's file lies already, in a folder that we need."""
    put(nas, "2024/theirs", b"a stranger's")
    return nas / "2024/theirs"


def at_step(at, number, *, for_good=False):
    """The call of that number fails (and *for_good* every one after it)."""

    def strike(now: int, _op: str) -> OSError | None:
        struck = now >= at if for_good else now == at
        return OSError(number, os.strerror(number)) if struck else None

    return strike


def steps_of_a_copy(uploads, nas, claims):
    with_a_stranger(nas)
    calls = FaultyCalls()
    copy(nas, an_order(uploads), calls, claims=claims)
    return calls.log


@MODES
@pytest.mark.parametrize("late", [False, True], ids=["not done", "done but told otherwise"])
@pytest.mark.parametrize("name", ERRNOS)
def test_whichever_step_fails_there_is_the_complete_document_or_no_trace(
    uploads, tmp_path, name, late, claims
):
    number = getattr(errno, name)
    (tmp_path / "clean").mkdir()
    steps = steps_of_a_copy(uploads, tmp_path / "clean", claims)
    failed = 0
    before = open_descriptors()
    for at in range(len(steps)):
        nas = tmp_path / f"nas-{at}"
        nas.mkdir()
        stranger = with_a_stranger(nas)
        as_it_was = identity(stranger)
        struck = FaultyCalls(at_step(at, number), late=late)
        error = None
        try:
            copied = copy(nas, an_order(uploads), struck, claims=claims)
        except SyncError as trouble:
            error = trouble
            failed += 1

        told = f"{name} at step {at} ({struck.log[at]})"
        assert identity(stranger) == as_it_was, told
        found = files_below(nas)
        del found["2024/theirs"]
        if steps[at] == "unlink" or (late and steps[at] == "open"):  # a claim that goes stale
            found = {p: c for p, c in found.items() if not p.startswith(".nas-syncd-claims/")}
        assert found in ({}, {PLACE: CONTENT}), told
        if error is None:
            assert found == {copied.destination: CONTENT}, told
    assert failed > 0
    assert open_descriptors() <= before


@MODES
def test_a_nas_that_goes_away_at_any_step_keeps_whole_documents_only(uploads, tmp_path, claims):
    """From that step on nothing works, not even the removing: only our temp files may stay."""
    (tmp_path / "clean").mkdir()
    for at in range(len(steps_of_a_copy(uploads, tmp_path / "clean", claims))):
        nas = tmp_path / f"nas-{at}"
        nas.mkdir()
        with_a_stranger(nas)
        gone = FaultyCalls(at_step(at, errno.EIO, for_good=True))
        try:
            copied = copy(nas, an_order(uploads), gone, claims=claims)
        except SyncError:
            copied = None
        found = {p: c for p, c in files_below(nas).items() if not p.startswith(".nas-syncd-")}
        assert found.pop("2024/theirs") == b"a stranger's"
        assert found in ({}, {PLACE: CONTENT})
        assert copied is None or found

        again = copy(nas, an_order(uploads, stale=[".nas-syncd-tmp/inst/7/.nas-syncd-run-7.part"]))
        assert (nas / again.destination).read_bytes() == CONTENT
        left = [p for p in files_below(nas) if p.startswith(".nas-syncd-tmp")]
        assert left == []


@pytest.mark.parametrize(
    ("op", "name", "kind"),
    [
        ("write", "ENOSPC", NasFullError),
        ("write", "EDQUOT", NasFullError),
        ("fsync", "ENOSPC", NasFullError),
        ("close", "ENOSPC", NasFullError),
        ("close", "EIO", NasDownError),
        ("read", "EIO", NasDownError),
        ("open", "EACCES", NasDeniedError),
        ("rename_exclusive", "EACCES", PlaceDeniedError),
    ],
)
def test_an_error_is_told_as_what_it_means(uploads, nas, op, name, kind):
    with tree_at(nas, FaultyCalls()) as tree:
        order = an_order(uploads)
        tree.folder("2024/01/factures", no_step)
        tree.folder(order.temp_folder, no_step, own=True)
        tree.calls = FaultyCalls(fail(op, number=getattr(errno, name)))
        with pytest.raises(SyncError) as caught:
            copier_for(tree, order).copy()

    assert type(caught.value) is kind
    assert files_below(nas) == {}


@pytest.mark.parametrize("op", ["mkdir", "open", "write", "fsync", "fstat", "read", "close"])
def test_what_is_refused_in_a_folder_of_our_own_is_refused_to_all(uploads, nas, op):
    """A document that is blamed for it would be parked, and the next one, and the next one."""
    (nas / PLACE).parent.mkdir(parents=True)
    with tree_at(nas) as tree:
        tree.folder("2024/01/factures", no_step)
        tree.calls = FaultyCalls(fail(op, number=errno.EACCES))
        with pytest.raises(NasDeniedError):
            copier_for(tree, an_order(uploads)).copy()


def test_a_folder_of_our_own_that_cannot_be_entered_any_more_is_nobodys_fault(uploads, nas):
    stale = ".nas-syncd-tmp/inst/7/.nas-syncd-dead-1.part"

    with pytest.raises(NasDeniedError):
        copy(nas, an_order(uploads, stale=[stale]), FaultyCalls(fail("open", number=errno.EACCES)))


def test_a_nas_that_does_not_say_what_is_free_is_no_documents_fault(uploads, nas):
    with pytest.raises(NasDeniedError) as caught:
        copy(
            nas,
            an_order(uploads, min_free_bytes=1),
            FaultyCalls(fail("fstatvfs", number=errno.EACCES)),
        )

    assert (nas / caught.value.params["path"]).is_dir()
    assert files_below(nas) == {}


def test_short_writes_are_gone_on_with(uploads, nas):
    class Short(FaultyCalls):
        def write(self, fd, data):
            return os.write(fd, data[:3])

    copy(nas, an_order(uploads), Short())

    assert files_below(nas) == {PLACE: CONTENT}


def test_a_write_that_takes_nothing_is_an_error_not_a_loop(uploads, nas):
    class Stuck(FaultyCalls):
        def write(self, fd, data):  # noqa: ARG002 - the signature is the real one's
            return 0

    with pytest.raises(NasDownError):
        copy(nas, an_order(uploads), Stuck())

    assert files_below(nas) == {}


# -- what the NAS gives back --------------------------------------------------------------------


class Corrupting(FaultyCalls):
    """A NAS that stores something else, in one of several ways."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def write(self, fd, data):
        if self.how == "flips a bit":
            os.write(fd, bytes([data[0] ^ 1]) + bytes(data[1:]))
        elif self.how == "drops the end":
            os.write(fd, data[:-1])
        elif self.how == "writes zeros":
            os.write(fd, bytes(len(data)))
        elif self.how == "adds a byte":
            os.write(fd, bytes(data) + b"x")
        elif self.how != "takes nothing":
            return super().write(fd, data)
        return len(data)

    def read(self, fd, size):
        data = super().read(fd, size)
        if data and self.how == "reads a flipped bit":
            return data[:-1] + bytes([data[-1] ^ 128])
        return b"" if self.how == "reads nothing" else data


@pytest.mark.parametrize(
    "how",
    [
        *("flips a bit", "drops the end", "writes zeros", "adds a byte", "takes nothing"),
        *("reads a flipped bit", "reads nothing"),
    ],
)
def test_bytes_that_do_not_come_back_as_they_were_are_never_filed(uploads, nas, how):
    with pytest.raises(VerifyError):
        copy(nas, an_order(uploads), Corrupting(how))

    assert files_below(nas) == {}


def test_what_arrived_with_another_size_is_not_even_read_back(uploads, nas):
    calls = Corrupting("drops the end")

    with pytest.raises(VerifyError):
        copy(nas, an_order(uploads), calls)

    assert "read" not in calls.log


@pytest.fixture
def as_on_a_mac(monkeypatch):
    monkeypatch.setattr(copier_module, "sys", SimpleNamespace(platform="darwin"))


@pytest.mark.usefixtures("as_on_a_mac")
def test_a_mac_reads_back_by_a_fresh_descriptor_before_the_rename(uploads, nas):
    calls = FaultyCalls()
    copy(nas, an_order(uploads), calls)
    wrote = len(calls.log) - 1 - calls.log[::-1].index("write")
    after = [op for op in calls.log[wrote:] if op in ("close", "open", "drop_cache", "read")]

    assert after == ["close", "open", "drop_cache", "read", "read", "close"]
    assert calls.log.index("rename_exclusive") > len(calls.log) - 1 - calls.log[::-1].index("read")
    assert files_below(nas) == {PLACE: CONTENT}


@pytest.mark.usefixtures("as_on_a_mac")
@pytest.mark.parametrize("how", ["flips a bit", "drops the end", "reads a flipped bit"])
def test_a_mac_files_nothing_that_does_not_come_back_as_it_was(uploads, nas, how):
    with pytest.raises(VerifyError):
        copy(nas, an_order(uploads), Corrupting(how))

    assert files_below(nas) == {}


# -- the source -------------------------------------------------------------------------------


class Meanwhile(FaultyCalls):
    """Something happens just before a call of a kind, once (or so many times)."""

    def __init__(self, op, act, times=1):
        self.left = times

        def strike(_number, called):
            if called == op and self.left > 0:
                self.left -= 1
                act()

        super().__init__(strike)


@pytest.mark.parametrize("change", ["grows", "shrinks", "rewritten", "truncated and rewritten"])
def test_a_source_that_changes_during_the_copy_is_not_filed(uploads, nas, change):
    path = uploads / "a.pdf"

    def act():
        if change == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "shrinks":
            os.truncate(path, 3)
        elif change == "rewritten":
            with path.open("r+b") as file:
                file.write(b"T")
            os.utime(path, ns=(1, 1))
        else:
            path.write_bytes(CONTENT.upper())
            os.utime(path, ns=(2, 2))

    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads), Meanwhile("write", act))

    assert files_below(nas) == {}


def test_another_version_than_the_one_decided_on_is_not_copied(uploads, nas):
    decided = version_at(uploads / "a.pdf")
    (uploads / "b").write_bytes(CONTENT)
    os.replace(uploads / "b", uploads / "a.pdf")

    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads, version=decided))

    assert files_below(nas) == {}


def test_a_source_deleted_during_the_copy_is_copied_whole(uploads, nas):
    copy(nas, an_order(uploads), Meanwhile("write", (uploads / "a.pdf").unlink))

    assert files_below(nas) == {PLACE: CONTENT}


@pytest.mark.parametrize(
    ("relative", "kind"), [("none", SourceMissingError), ("../nas/x", SourceRefusedError)]
)
def test_without_a_source_nothing_is_made_on_the_nas(uploads, nas, relative, kind):
    with pytest.raises(kind):
        copy(nas, an_order(uploads, relative))

    assert list(nas.iterdir()) == []


def test_a_source_that_changes_while_it_is_compared_adopts_nothing(uploads, nas):
    put(nas, PLACE)

    def act():
        (uploads / "a.pdf").write_bytes(b"another version....."[: len(CONTENT)])
        os.utime(uploads / "a.pdf", ns=(1, 1))

    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads), Meanwhile("lstat", act))

    assert files_below(nas) == {PLACE: CONTENT}


# -- what stands there already ------------------------------------------------------------------


@pytest.mark.parametrize("place", [PLACE, PLACE.upper(), "2024/01/Factures/A.PDF"])
def test_the_same_bytes_are_adopted_and_not_written(uploads, nas, place):
    if place == PLACE.upper():
        place = "2024/01/factures/A.PDF"
    path = put(nas, place)
    before, calls = identity(path), FaultyCalls()

    copied = copy(nas, an_order(uploads), calls)

    assert copied.adopted
    assert copied.destination == place
    assert copied.sha256 == SHA
    assert identity(path) == before
    assert not {"write", "rename", "rename_exclusive", "mkdir"} & set(calls.log)
    assert files_below(nas) == {place: CONTENT}


def test_adopting_drops_the_cache_before_it_reads(uploads, nas):
    put(nas, PLACE)
    calls = FaultyCalls()
    copy(nas, an_order(uploads), calls)

    assert calls.log.index("drop_cache") < calls.log.index("read")


@MODES
@pytest.mark.parametrize(
    "there", [b"", b"other", CONTENT[:-1] + b"!"], ids=["empty", "shorter", "as long"]
)
def test_other_bytes_stay_and_the_next_name_is_taken(uploads, nas, there, claims):
    stranger = put(nas, PLACE, there)
    before = identity(stranger)

    copied = copy(nas, an_order(uploads), claims=claims)

    assert copied.destination == SECOND
    assert identity(stranger) == before
    assert files_below(nas) == {PLACE: there, SECOND: CONTENT}


def test_the_third_name_holds_the_digest(uploads, nas):
    put(nas, PLACE, b"1")
    put(nas, SECOND, b"2")

    assert copy(nas, an_order(uploads)).destination == THIRD
    assert (nas / THIRD).read_bytes() == CONTENT


def test_a_copy_that_stands_at_a_later_name_is_found(uploads, nas):
    put(nas, PLACE, b"1")
    put(nas, SECOND, CONTENT)

    copied = copy(nas, an_order(uploads))

    assert (copied.destination, copied.adopted) == (SECOND, True)


def test_when_all_names_are_taken_nothing_is_replaced_and_nothing_is_left(uploads, nas):
    for place in (PLACE, SECOND, THIRD):
        put(nas, place, place.encode())
    before = files_below(nas)

    with pytest.raises(PlaceTakenError) as caught:
        copy(nas, an_order(uploads))

    assert caught.value.params["path"] == PLACE
    assert files_below(nas) == before


class Blind(FaultyCalls):
    """A NAS whose listings lag behind: they miss what another client has just put there."""

    def listdir(self, fd):
        return [name for name in super().listdir(fd) if name != "a.pdf"]


@MODES
def test_what_a_listing_misses_is_not_replaced(uploads, nas, claims):
    stranger = put(nas, PLACE, b"somebody else's")
    before = identity(stranger)

    copied = copy(nas, an_order(uploads), Blind(), claims=claims)

    assert identity(stranger) == before
    assert copied.destination == SECOND
    assert files_below(nas) == {PLACE: b"somebody else's", SECOND: CONTENT}


@pytest.mark.parametrize("op", ["write", "fsync", "read"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_nas_that_cannot_do_what_every_copy_needs_is_no_documents_fault(uploads, nas, op, number):
    with pytest.raises(MountError):
        copy(nas, an_order(uploads), FaultyCalls(fail(op, number=number)))

    assert files_below(nas) == {}


def test_a_signal_during_the_rename_costs_nothing(uploads, nas):
    calls = FaultyCalls(fail("rename_exclusive", number=errno.EINTR, times=2))

    assert copy(nas, an_order(uploads), calls).destination == PLACE
    assert files_below(nas) == {PLACE: CONTENT}


@MODES
@pytest.mark.parametrize("there", ["A.pdf", "a.PDF"])
def test_a_name_that_differs_in_case_only_is_the_same_place(uploads, nas, there, claims):
    """Also on a file system where it is another name: the NAS may be moved to one where not."""
    put(nas, f"2024/01/factures/{there}", b"other")

    assert copy(nas, an_order(uploads), claims=claims).destination == SECOND


@MODES
def test_a_name_that_differs_in_composition_only_is_the_same_place(uploads, nas, claims):
    (uploads / "été.pdf").write_bytes(CONTENT)
    put(nas, f"2024/01/factures/{nfd('été.pdf')}", b"other")

    copied = copy(nas, an_order(uploads, "été.pdf"), claims=claims)

    assert copied.destination == "2024/01/factures/été-7.pdf"


@pytest.mark.parametrize("kind", ["folder", "link to the same bytes", "fifo", "dangling link"])
def test_what_is_no_file_is_nobodys_copy(uploads, nas, kind):
    place = nas / PLACE
    place.parent.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.symlink_to(uploads / ("a.pdf" if kind == "link to the same bytes" else "none"))

    copied = copy(nas, an_order(uploads))

    assert copied.destination == SECOND
    assert not copied.adopted


@MODES
@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_appears_just_before_the_rename_is_not_replaced(uploads, nas, same, claims):
    theirs = CONTENT if same else b"somebody else's"
    op = "rename" if claims else "rename_exclusive"
    if claims:
        op = "listdir"

    def act():
        if (nas / "2024/01/factures").is_dir():
            put(nas, PLACE, theirs)

    copied = copy(nas, an_order(uploads), Meanwhile(op, act, times=9), claims=claims)

    assert (nas / PLACE).read_bytes() == theirs
    assert copied.destination == (PLACE if same else SECOND)
    assert copied.adopted is same
    assert not [p for p in files_below(nas) if p.startswith(".nas-syncd")]


def test_a_file_that_vanishes_while_it_is_compared_is_no_trouble(uploads, nas):
    path = put(nas, PLACE)

    copied = copy(nas, an_order(uploads), Meanwhile("lstat", path.unlink))

    assert (nas / copied.destination).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["link to the same bytes", "fifo"])
def test_what_takes_a_files_place_after_the_look_is_neither_followed_nor_waited_for(
    uploads, nas, kind
):
    path = put(nas, PLACE)

    def swap(number, op):
        if op == "open" and calls.log[number - 1] == "lstat" and not path.is_symlink():
            path.unlink()
            if kind == "fifo":
                os.mkfifo(path)
            else:
                path.symlink_to(uploads / "a.pdf")

    calls = FaultyCalls(swap)
    with pytest.raises(PlaceBlockedError if kind == "link to the same bytes" else SyncError):
        find(nas, an_order(uploads, candidates=(), adopt_only=(PLACE,)), calls)


# -- folders under us ---------------------------------------------------------------------------


def test_a_folder_that_is_removed_under_us_is_made_again(uploads, nas):
    folder = nas / "2024/01/factures"

    copied = copy(nas, an_order(uploads), Meanwhile("rename_exclusive", folder.rmdir))

    assert copied.destination == PLACE
    assert files_below(nas) == {PLACE: CONTENT}


def test_a_folder_that_is_removed_again_and_again_is_the_mounts_trouble(uploads, nas):
    folder = nas / "2024/01/factures"

    with pytest.raises(NasDownError):
        copy(nas, an_order(uploads), Meanwhile("rename_exclusive", folder.rmdir, times=9))

    assert files_below(nas) == {}


# -- earlier goes -----------------------------------------------------------------------------


def test_temp_files_of_earlier_goes_are_removed_and_no_others(uploads, nas):
    mine = ".nas-syncd-tmp/inst/7/.nas-syncd-dead-1.part"
    other = ".nas-syncd-tmp/inst/7/.nas-syncd-dead-2.part"
    put(nas, mine)
    put(nas, other)

    copy(nas, an_order(uploads, stale=[mine, ".nas-syncd-tmp/inst/3/.nas-syncd-none.part"]))

    assert set(files_below(nas)) == {PLACE, other}


def test_an_earlier_go_that_came_through_late_is_adopted_where_it_is(uploads, nas):
    earlier = put(nas, "2023/12/autres/a.pdf")
    before = identity(earlier)

    copied = copy(nas, an_order(uploads, adopt_only=["2023/12/autres/a.pdf"]))

    assert copied.destination == "2023/12/autres/a.pdf"
    assert copied.adopted
    assert identity(earlier) == before
    assert files_below(nas) == {"2023/12/autres/a.pdf": CONTENT}


@pytest.mark.parametrize("there", [None, b"other"], ids=["nothing there", "other bytes"])
def test_an_earlier_place_is_never_written_to(uploads, nas, there):
    if there:
        put(nas, "2023/12/autres/a.pdf", there)

    copied = copy(nas, an_order(uploads, adopt_only=["2023/12/autres/a.pdf"]))

    assert copied.destination == PLACE
    assert (nas / "2023").exists() is (there is not None)


# -- only looking -----------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_finding_writes_nothing(uploads, nas, there):
    if there:
        put(nas, PLACE)
    before = files_below(nas)
    calls = FaultyCalls()
    with tree_at(nas, calls) as tree:
        order = an_order(uploads, candidates=(), adopt_only=(PLACE, SECOND))
        found = copier_for(tree, order).find()

    assert (found is not None) is there
    assert files_below(nas) == before
    assert not {"write", "mkdir", "unlink", "rename", "rename_exclusive"} & set(calls.log)


def find(nas, order, calls=None):
    with tree_at(nas, calls) as tree:
        return copier_for(tree, order).find()


def test_finding_is_for_the_version_that_was_decided_on(uploads, nas):
    put(nas, PLACE)
    older = version_at(uploads / "a.pdf")._replace(mtime_ns=1)

    with pytest.raises(SourceChangedError):
        find(nas, an_order(uploads, version=older))


@pytest.mark.parametrize("adopted", [(), (PLACE,), ("2023/12/autres/a.pdf", PLACE, SECOND)])
def test_finding_leaves_no_descriptor_open(uploads, nas, adopted):
    put(nas, PLACE, b"other")
    put(nas, "2023/12/autres/a.pdf", b"other")
    before = open_descriptors()

    assert find(nas, an_order(uploads, adopt_only=adopted)) is None
    assert open_descriptors() == before


def test_a_copy_beside_a_stranger_leaves_no_descriptor_open(uploads, nas):
    put(nas, PLACE, b"other")
    put(nas, "2023/12/autres/a.pdf", b"other")
    before = open_descriptors()

    copied = copy(nas, an_order(uploads, adopt_only=["2023/12/autres/a.pdf", PLACE]))

    assert copied.destination == SECOND
    assert open_descriptors() == before


def test_what_has_another_size_is_not_read(uploads, nas):
    put(nas, PLACE, CONTENT + b"!")
    calls = FaultyCalls()

    assert find(nas, an_order(uploads, candidates=(), adopt_only=(PLACE,)), calls) is None
    assert "read" not in calls.log


def test_what_was_compared_once_is_not_read_again(uploads, nas):
    put(nas, PLACE, bytes(len(CONTENT)))
    once, twice = FaultyCalls(), FaultyCalls()

    find(nas, an_order(uploads, candidates=(), adopt_only=(PLACE,)), once)
    find(nas, an_order(uploads, candidates=(), adopt_only=(PLACE, PLACE)), twice)

    assert once.log.count("read") == twice.log.count("read") > 0


def test_a_name_that_vanished_is_free(uploads, nas):
    path = put(nas, PLACE)

    copied = copy(nas, an_order(uploads), Meanwhile("lstat", path.unlink))

    assert copied.destination == PLACE


def test_what_cannot_be_compared_is_told_and_not_taken_for_another(uploads, nas):
    put(nas, PLACE)

    with pytest.raises(MountError):
        find(nas, an_order(uploads), FaultyCalls(fail("lstat", number=errno.EIO)))


# -- what others promise is looked at all the same -----------------------------------------------


class Cutting(FaultyCalls):
    """A NAS that loses the end of a file in the moment of its *at*, and says nothing."""

    def __init__(self, nas, at):
        super().__init__()
        self._nas, self._at = nas, at

    def close(self, fd):
        super().close(fd)
        self._cut("close", ".part")

    def rename_exclusive(self, *names):
        super().rename_exclusive(*names)
        self._cut("rename", ".pdf")

    def _cut(self, moment, ending):
        if moment == self._at:
            for path in self._nas.rglob(f"*{ending}"):
                os.truncate(path, 3)


@pytest.mark.parametrize("moment", ["close", "rename"])
def test_what_is_cut_after_all_was_well_is_not_vouched_for(uploads, nas, moment):
    with pytest.raises(VerifyError):
        copy(nas, an_order(uploads), Cutting(nas, moment))


def test_a_source_that_ends_before_its_size_is_not_filed(uploads, nas, monkeypatch):
    blocks = iter([CONTENT[:-1], b""])
    monkeypatch.setattr(Copier, "_read_source", lambda _self, _fd, _most: next(blocks))

    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads))

    assert files_below(nas) == {}


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 5]
)
@pytest.mark.parametrize("there", [True, False], ids=["compared", "copied"])
def test_a_file_that_holds_more_than_it_says_is_not_filed(uploads, nas, monkeypatch, size, there):
    """The attributes of a file on a network, or of FUSE, may lag behind its bytes."""
    (uploads / "a.pdf").write_bytes(bytes(size) + b"and more")
    if there:
        put(nas, PLACE, bytes(size))
    before = files_below(nas)

    def lagging(status):
        return version_of(status)._replace(size=size)

    monkeypatch.setattr("nas_syncd.sourcefile.version_of", lagging)
    monkeypatch.setattr(copier_module, "version_of", lagging)

    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads, version=None))

    assert files_below(nas) == before


@pytest.mark.parametrize("there", [True, False], ids=["compared", "copied"])
def test_no_more_is_read_of_a_source_than_it_had_at_first(uploads, nas, monkeypatch, there):
    """It may grow faster than it is read."""
    if there:
        put(nas, PLACE)
    read = []

    def grows(_self, _fd, most):
        read.append(most)
        assert len(read) < 9
        return (2 * CONTENT)[:most]

    monkeypatch.setattr(Copier, "_read_source", grows)
    with pytest.raises(SourceChangedError):
        copy(nas, an_order(uploads))

    assert read == [len(CONTENT) + 1]


@pytest.mark.parametrize(
    ("seconds", "before", "after"),
    [
        (0.0, FLUSH_FIRST_BYTES, 2 * FLUSH_FIRST_BYTES),
        (0.0, FLUSH_LARGEST_BYTES, FLUSH_LARGEST_BYTES),
        (FLUSH_QUICK_SECONDS, FLUSH_FIRST_BYTES, FLUSH_FIRST_BYTES),
        (FLUSH_SLOW_SECONDS, FLUSH_FIRST_BYTES, FLUSH_FIRST_BYTES),
        (FLUSH_SLOW_SECONDS + 1, FLUSH_FIRST_BYTES, FLUSH_FIRST_BYTES // 2),
        (FLUSH_SLOW_SECONDS + 1, BLOCK_BYTES, BLOCK_BYTES),
    ],
)
def test_a_flush_is_made_so_often_that_each_stays_short(
    uploads, nas, monkeypatch, seconds, before, after
):
    now = [1000.0]
    calls = Meanwhile("fsync", lambda: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(copier_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with tree_at(nas, calls) as tree, (nas / "x").open("wb") as file:
        assert copier_for(tree, an_order(uploads))._flush(file.fileno(), before) == after


def test_a_source_that_cannot_be_read_is_nobody_elses_trouble(uploads, nas, monkeypatch):
    source_read = os.read

    def read(fd, size):
        if os.readlink(f"/proc/self/fd/{fd}") == str(uploads / "a.pdf"):
            raise OSError(errno.EIO, "disk")
        return source_read(fd, size)

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(SourceUnreadableError):
        copy(nas, an_order(uploads))

    assert files_below(nas) == {}


@pytest.mark.parametrize("there", [True, False], ids=["compared", "copied"])
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, SourceUnreadableError), (errno.ESTALE, UploadsError)]
)
def test_a_source_that_cannot_be_looked_at_again_is_neither_filed_nor_adopted(
    uploads, nas, monkeypatch, there, number, kind
):
    if there:
        put(nas, PLACE)
    real, looks = os.fstat, count(1)

    def fstat(fd):
        if os.readlink(f"/proc/self/fd/{fd}") == str(uploads / "a.pdf") and next(looks) > 1:
            raise OSError(number, os.strerror(number))
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(kind):
        copy(nas, an_order(uploads))

    assert files_below(nas) == ({PLACE: CONTENT} if there else {})


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, MountError), (errno.EACCES, MountError)])
def test_an_earlier_gos_temp_file_that_cannot_be_removed_stops_the_copy(uploads, nas, number, kind):
    """It may be one that a server still writes to: first it must be gone."""
    mine = ".nas-syncd-tmp/inst/7/.nas-syncd-dead-1.part"
    put(nas, mine)

    with pytest.raises(kind):
        copy(nas, an_order(uploads, stale=[mine]), FaultyCalls(fail("unlink", number=number)))

    assert files_below(nas) == {mine: CONTENT}


@pytest.mark.parametrize(
    ("number", "adopted"), [(errno.EACCES, True), (errno.EINVAL, True), (errno.EIO, False)]
)
def test_what_others_wrote_is_flushed_before_it_is_compared(uploads, nas, number, adopted):
    """A descriptor for reading may not be able to; a flush that fails is no proof."""
    put(nas, PLACE)
    calls = FaultyCalls(fail("fsync", number=number))
    order = an_order(uploads, candidates=(), adopt_only=(PLACE,))

    if adopted:
        assert find(nas, order, calls).destination == PLACE
    else:
        with pytest.raises(MountError):
            find(nas, order, calls)


# -- two at once ------------------------------------------------------------------------------


def race(nas, orders, *, claims):
    """Copy all *orders* at once, each through a root of its own, as two hosts would."""
    barrier, results = threading.Barrier(len(orders)), [None] * len(orders)

    def go(number, order):
        barrier.wait()
        for attempt in count():
            try:
                fresh = order._replace(temp=f".nas-syncd-{number}-{attempt}.part")
                results[number] = copy(nas, fresh, claims=claims)
                return
            except PlaceBusyError:
                assert attempt < 200

    threads = [threading.Thread(target=go, args=item) for item in enumerate(orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert None not in results
    return results


@MODES
def test_two_documents_that_race_for_one_name_both_arrive_whole(uploads, tmp_path, claims):
    contents = {}
    for id_ in ("1", "2", "3"):
        (uploads / f"u{id_}").mkdir()
        contents[id_] = id_.encode() * 1000
        (uploads / f"u{id_}" / "scan.pdf").write_bytes(contents[id_])
    for number in range(8):
        nas = tmp_path / f"race-{number}"
        nas.mkdir()

        results = race(
            nas, [an_order(uploads, f"u{i}/scan.pdf", i) for i in contents], claims=claims
        )

        assert len({r.destination for r in results}) == 3
        found = files_below(nas)
        for id_, result in zip(contents, results, strict=True):
            assert found.pop(result.destination) == contents[id_]
        assert found == {}


@MODES
def test_one_document_that_two_programs_copy_at_once_is_there_once(uploads, tmp_path, claims):
    for number in range(8):
        nas = tmp_path / f"race-{number}"
        nas.mkdir()

        results = race(nas, [an_order(uploads), an_order(uploads)], claims=claims)

        assert {r.destination for r in results} == {PLACE}
        assert sorted(r.adopted for r in results) == [False, True]
        assert files_below(nas) == {PLACE: CONTENT}


# -- free space -------------------------------------------------------------------------------


class SmallNas(FaultyCalls):
    """A NAS that says how much is free, and counts how often it is asked."""

    def __init__(self, free: int) -> None:
        super().__init__()
        self.free = free
        self.asked = 0

    def fstatvfs(self, _fd):
        self.asked += 1
        return SimpleNamespace(f_bavail=self.free, f_frsize=1, f_bsize=1)


def test_what_must_stay_free_stays_free_of_small_documents_too(uploads, nas):
    """Else the NAS fills up to the last byte, one small document after the other."""
    calls = SmallNas(free=1000 + len(CONTENT) - 1)
    with pytest.raises(NasFullError) as caught:
        copy(nas, an_order(uploads, min_free_bytes=1000), calls)
    assert caught.value.params == {"free": calls.free, "needed": 1000 + len(CONTENT)}
    assert files_below(nas) == {}

    calls.free += 1
    assert copy(nas, an_order(uploads, min_free_bytes=1000), calls).destination == PLACE


def test_the_nas_is_asked_once_for_many_small_documents_and_again_when_it_gets_tight(uploads, nas):
    calls = SmallNas(free=1000 + 10 * len(CONTENT))
    with tree_at(nas, calls) as tree:
        for number in range(7):
            (uploads / f"{number}.pdf").write_bytes(CONTENT)
            copier_for(tree, an_order(uploads, f"{number}.pdf", min_free_bytes=1000)).copy()
        assert calls.asked == 1
        for number in range(7, 12):
            (uploads / f"{number}.pdf").write_bytes(CONTENT)
            copier_for(tree, an_order(uploads, f"{number}.pdf", min_free_bytes=1000)).copy()
    assert calls.asked == 2


@pytest.mark.parametrize("size", [100_000, FLUSH_FIRST_BYTES], ids=["small", "big"])
def test_what_was_granted_to_one_is_not_granted_to_the_next(uploads, nas, size):
    os.truncate(uploads / "a.pdf", size)
    (uploads / "b.pdf").write_bytes(CONTENT)
    calls = SmallNas(free=1000 + size + len(CONTENT) - 1)
    with tree_at(nas, calls) as tree:
        copier_for(tree, an_order(uploads, min_free_bytes=1000)).copy()
        calls.free -= size

        with pytest.raises(NasFullError):
            copier_for(tree, an_order(uploads, "b.pdf", "8", min_free_bytes=1000)).copy()


def test_where_nothing_must_stay_free_small_documents_ask_nothing(uploads, nas):
    calls = SmallNas(free=0)
    copy(nas, an_order(uploads), calls)
    assert calls.asked == 0
