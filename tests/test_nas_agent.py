"""The NAS agent as a real child: what it answers, what it refuses, what it holds open."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from nas_syncd.agent.child import Job
from nas_syncd.agent.nas import NasRole, Root, lane_of
from nas_syncd.agent.process import Agent
from nas_syncd.copier import BLOCK_BYTES
from nas_syncd.errors import (
    MountError,
    NasForeignError,
    NasMissingError,
    NasNotMountedError,
    NasSuspectError,
    PlaceBlockedError,
    SourceMissingError,
    SyncError,
)
from nas_syncd.names import CLAIM_FOLDER, MARKER_NAME
from tests.helpers import FaultyCalls, fail, files_below, no_step, tree_at, version_at
from tests.lab.parts import wait_until

UUID = "11111111-2222-3333-4444-555555555555"
MARKER = json.dumps({"nas": UUID})
PLACE = "2024/01/factures/a.pdf"
TEMPS = ".nas-syncd-tmp/inst/0"
RUN = "a" * 16
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(b"content")
    return folder


@pytest.fixture
def nas(tmp_path):
    folder = tmp_path / "nas"
    folder.mkdir()
    (folder / MARKER_NAME).write_text(MARKER)
    return folder


@pytest.fixture
def agent():
    agent = Agent(
        "nas",
        side="nas",
        timeout_seconds=20,
        workers=2,
        options={"installation": "inst", "run": RUN},
    )
    yield agent
    agent.close()


def copying(nas, uploads, relative="a.pdf", **more):
    path = uploads / relative
    return {
        "root": str(nas),
        "nas": UUID,
        "uploads": str(uploads),
        "relative": relative,
        "version": list(version_at(path)) if path.exists() else None,
        "candidates": [PLACE, "2024/01/factures/a-7.pdf"],
        "temp_folder": TEMPS,
        "temp": f".nas-syncd-{RUN}-0.part",
        **more,
    }


def held_below(agent, folder):
    """What the child has open below *folder*."""
    links = []
    for pid in agent.pids():
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{number}")
            except FileNotFoundError:
                continue
            if target.startswith(str(folder)):
                links.append(target)
    return links


# -- probing ----------------------------------------------------------------------------------


def test_a_probe_tells_what_stands_there_and_writes_nothing(agent, nas):
    facts = agent.call("probe", root=str(nas), nas=UUID, write=False)

    assert facts["nas"] == UUID
    assert 0 < facts["free"] <= facts["total"]
    assert facts["real"] == str(nas.resolve())
    assert facts["read_only"] is False
    assert [p.name for p in nas.iterdir()] == [MARKER_NAME]


def test_a_probe_that_writes_leaves_no_file(agent, nas):
    agent.call("probe", root=str(nas), nas=UUID, write=True)

    assert files_below(nas) == {}
    assert (nas / ".nas-syncd-tmp" / "inst").is_dir()


@pytest.mark.parametrize("marker", [None, json.dumps({"nas": "another"})])
def test_a_probe_never_writes_where_the_marker_is_not_ours(agent, nas, marker):
    (nas / MARKER_NAME).unlink()
    if marker:
        (nas / MARKER_NAME).write_text(marker)

    facts = agent.call("probe", root=str(nas), nas=UUID, write=True)

    assert facts["nas"] == (json.loads(marker)["nas"] if marker else None)
    assert [p.name for p in nas.iterdir()] == ([MARKER_NAME] if marker else [])


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_a_path_that_is_no_folder_is_missing_and_is_not_made(agent, tmp_path, kind):
    path = tmp_path / "none"
    if kind == "file":
        path.write_bytes(b"")

    with pytest.raises(NasMissingError):
        agent.call("probe", root=str(path), nas=UUID, write=True)
    assert path.exists() is (kind == "file")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"nas": null}',
        '{"nas": ""}',
        '{"nas": 5}',
        "\xff",
        "[" * 4000,
    ],
)
def test_a_file_that_is_no_marker_of_ours_is_another_nas(agent, nas, text):
    (nas / MARKER_NAME).write_text(text, encoding="latin-1")

    with pytest.raises(NasForeignError):
        agent.call("probe", root=str(nas), nas=UUID, write=True)
    assert [p.name for p in nas.iterdir()] == [MARKER_NAME]


def test_a_marker_that_is_a_link_is_not_followed(agent, nas, tmp_path):
    (nas / MARKER_NAME).rename(tmp_path / "elsewhere")
    (nas / MARKER_NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(NasForeignError):
        agent.call("probe", root=str(nas), nas=UUID)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_a_marker_that_is_no_file_is_none_of_ours_and_blocks_nobody(agent, nas, make):
    (nas / MARKER_NAME).unlink()
    make(nas / MARKER_NAME)

    with pytest.raises(NasForeignError):
        agent.ask("probe", root=str(nas), nas=UUID).result(10)


# -- pairing ------------------------------------------------------------------------------------


def test_adopting_writes_the_marker_whole_and_nothing_else(agent, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()

    facts = agent.call("adopt", root=str(bare), nas=UUID, text=MARKER)

    assert facts["nas"] == UUID
    assert (bare / MARKER_NAME).read_text() == MARKER
    assert [path for path in bare.rglob("*") if path.is_file()] == [bare / MARKER_NAME]


def test_adopting_leaves_the_marker_that_is_there(agent, nas):
    before = (nas / MARKER_NAME).stat()

    facts = agent.call("adopt", root=str(nas), nas="new", text=json.dumps({"nas": "new"}))

    assert facts["nas"] == UUID
    after = (nas / MARKER_NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_adopting_never_makes_the_folder(agent, tmp_path):
    with pytest.raises(NasMissingError):
        agent.call("adopt", root=str(tmp_path / "none"), nas=UUID, text=MARKER)
    assert not (tmp_path / "none").exists()


# -- who it is, before every work ---------------------------------------------------------------

OPS: dict[str, dict[str, Any]] = {
    "test": {},
    "copy": {},
    "find": {"adopt_only": [PLACE], "candidates": []},
    "look": {"folder": "2024/01/factures", "sizes": {"a.pdf": 7}},
    "temps": {},
    "remove": {"paths": [f"{TEMPS}/.nas-syncd-x.part"]},
    "restore": {"temp": f"{TEMPS}/.nas-syncd-x.part", "destination": PLACE, "sha256": "00"},
}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("trouble", ["no marker", "foreign", "other file system"])
def test_nothing_is_done_on_what_is_not_ours(agent, nas, uploads, op, trouble):
    more: dict[str, Any] = {}
    kind: type[SyncError] = NasNotMountedError
    if trouble == "no marker":
        (nas / MARKER_NAME).unlink()
    elif trouble == "foreign":
        (nas / MARKER_NAME).write_text(json.dumps({"nas": "another"}))
        kind = NasForeignError
    else:
        more, kind = {"file_system": "cifs"}, NasSuspectError
    before = sorted(p.name for p in nas.rglob("*"))

    with pytest.raises(kind):
        agent.call(op, **{**copying(nas, uploads), **OPS[op], **more})

    assert sorted(p.name for p in nas.rglob("*")) == before


# -- copying ----------------------------------------------------------------------------------


def test_a_copy_is_answered_with_all_that_a_receipt_needs(agent, nas, uploads):
    answer = agent.call("copy", **copying(nas, uploads))

    assert answer == {
        "destination": PLACE,
        "sha256": hashlib.sha256(b"content").hexdigest(),
        "version": list(version_at(uploads / "a.pdf")),
        "adopted": False,
    }
    assert files_below(nas) == {PLACE: b"content"}


def test_many_copies_at_once_are_all_answered(agent, nas, uploads):
    asked = []
    for number in range(60):
        (uploads / f"{number}").write_bytes(str(number).encode())
        order = copying(
            nas,
            uploads,
            str(number),
            candidates=[f"2024/{number % 3 + 1:02}/autres/{number}"],
            temp_folder=f".nas-syncd-tmp/inst/{number % 2}",
            temp=f".nas-syncd-{RUN}-{number}.part",
        )
        asked.append(agent.ask("copy", **order))

    for number, future in enumerate(asked):
        assert future.result(30)["destination"] == f"2024/{number % 3 + 1:02}/autres/{number}"
    assert len(files_below(nas)) == 60


def test_a_copy_that_fails_tells_why_and_others_go_on(agent, nas, uploads):
    bad = agent.ask("copy", **copying(nas, uploads, "none"))
    good = agent.ask("copy", **copying(nas, uploads))

    with pytest.raises(SourceMissingError):
        bad.result(20)
    assert good.result(20)["destination"] == PLACE


def test_finding_says_where_the_bytes_are_and_writes_nothing(agent, nas, uploads):
    order = copying(nas, uploads, candidates=[], adopt_only=[PLACE])
    assert agent.call("find", **order) == {"destination": None}
    assert files_below(nas) == {}
    agent.call("copy", **copying(nas, uploads))

    assert agent.call("find", **order)["destination"] == PLACE


def test_the_test_writes_reads_and_leaves_no_file(agent, nas):
    assert agent.call("test", root=str(nas), nas=UUID)["seconds"] >= 0
    assert files_below(nas) == {}


# -- keeping house ----------------------------------------------------------------------------


def looking(nas, *names, folder="2024/01/factures"):
    sizes = dict.fromkeys(names, len(b"content"))
    return {"root": str(nas), "nas": UUID, "folder": folder, "sizes": sizes}


def test_looking_tells_what_is_missing(agent, nas, uploads):
    agent.call("copy", **copying(nas, uploads))

    assert agent.call("look", **looking(nas, "a.pdf", "b.pdf"))["missing"] == ["b.pdf"]
    assert agent.call("look", **looking(nas, "A.PDF"))["missing"] == []


@pytest.mark.parametrize("left", [b"", b"conten", b"content!"])
def test_looking_tells_what_has_another_size(agent, nas, uploads, left):
    agent.call("copy", **copying(nas, uploads))
    (nas / PLACE).write_bytes(left)

    assert agent.call("look", **looking(nas, "a.pdf")) == {"missing": [], "damaged": ["a.pdf"]}


@pytest.mark.parametrize("theirs", ["SCAN.pdf", "scan.pdf", "sCaN.pdf"])
def test_looking_takes_no_other_spelling_for_ours(agent, nas, uploads, theirs):
    folder = nas / "2024/01/factures"
    folder.mkdir(parents=True)
    (folder / "Scan.pdf").write_bytes(b"content")
    (folder / theirs).write_bytes(b"another thing, and longer")

    told = agent.call("look", **looking(nas, "Scan.pdf"))

    assert told == {"missing": [], "damaged": []}


def test_looking_sees_the_folder_as_it_is_now(agent, nas, uploads):
    agent.call("copy", **copying(nas, uploads))
    (nas / PLACE).unlink()

    assert agent.call("look", **looking(nas, "a.pdf"))["missing"] == ["a.pdf"]


@pytest.mark.parametrize("instead", [None, "a file", "a link"])
def test_a_folder_that_is_gone_misses_everything(agent, nas, tmp_path, instead):
    if instead == "a file":
        (nas / "2024").write_bytes(b"")
    elif instead:
        (tmp_path / "x" / "01" / "factures").mkdir(parents=True)
        (nas / "2024").symlink_to(tmp_path / "x")

    assert agent.call("look", **looking(nas, "a.pdf"))["missing"] == ["a.pdf"]


def test_temp_files_are_listed_with_their_age_by_the_nas_clock(agent, nas):
    for installation, age in (("inst", 5), ("other", 7200)):
        folder = nas / ".nas-syncd-tmp" / installation / "0"
        folder.mkdir(parents=True)
        path = folder / ".nas-syncd-x.part"
        path.write_bytes(b"12345")
        os.utime(path, (time.time() - age, time.time() - age))
    (nas / ".nas-syncd-tmp" / "inst" / "0" / "stranger.pdf").write_bytes(b"")

    found = {
        path: (age, size)
        for path, age, size in agent.call("temps", root=str(nas), nas=UUID)["temps"]
    }

    assert set(found) == {
        ".nas-syncd-tmp/inst/0/.nas-syncd-x.part",
        ".nas-syncd-tmp/other/0/.nas-syncd-x.part",
    }
    assert 4 < found[".nas-syncd-tmp/inst/0/.nas-syncd-x.part"][0] < 60
    assert 7190 < found[".nas-syncd-tmp/other/0/.nas-syncd-x.part"][0] < 7260
    assert {size for _, size in found.values()} == {5}


def test_a_nas_without_temp_files_is_not_written_to(agent, nas):
    assert agent.call("temps", root=str(nas), nas=UUID)["temps"] == []
    assert [p.name for p in nas.iterdir()] == [MARKER_NAME]


def test_temp_files_are_removed(agent, nas):
    path = nas / TEMPS / ".nas-syncd-x.part"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    paths = [f"{TEMPS}/.nas-syncd-x.part", f"{TEMPS}/.nas-syncd-none.part"]

    assert agent.call("remove", root=str(nas), nas=UUID, paths=paths) == {"removed": 1}
    assert files_below(nas) == {}


@pytest.mark.parametrize(
    "path",
    [
        PLACE,
        MARKER_NAME,
        f"{TEMPS}/stranger.pdf",
        f"{TEMPS}/../../../{PLACE}",
        f"2024/{TEMPS}/.nas-syncd-x.part",
        f".nas-syncd-tmp/../{MARKER_NAME}",
        "/etc/.nas-syncd-x",
    ],
)
def test_nothing_but_a_temp_file_of_ours_is_ever_removed(agent, nas, path):
    for place in (PLACE, f"{TEMPS}/stranger.pdf", f"2024/{TEMPS}/.nas-syncd-x.part"):
        (nas / place).parent.mkdir(parents=True, exist_ok=True)
        (nas / place).write_bytes(b"precious")
    before = files_below(nas)

    with pytest.raises(SyncError, match="not a temp file"):
        agent.call("remove", root=str(nas), nas=UUID, paths=[path])

    assert files_below(nas) == before
    assert (nas / MARKER_NAME).read_text() == MARKER


def test_temp_files_behind_a_link_are_not_removed(agent, nas, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".nas-syncd-x.part").write_bytes(b"precious")
    (nas / ".nas-syncd-tmp").mkdir()
    (nas / ".nas-syncd-tmp" / "inst").symlink_to(tmp_path / "x")

    with pytest.raises(PlaceBlockedError):
        agent.call(
            "remove", root=str(nas), nas=UUID, paths=[".nas-syncd-tmp/inst/.nas-syncd-x.part"]
        )
    assert (tmp_path / "x" / ".nas-syncd-x.part").exists()


@pytest.mark.parametrize(
    ("temp", "there", "outcome"),
    [
        (b"content", None, "placed"),
        (b"content", b"content", "there"),
        (b"content", b"other", "differs"),
        (b"damaged", None, "differs"),
        (None, None, "differs"),
    ],
)
def test_a_forgotten_rename_is_done_again_and_replaces_nothing(agent, nas, temp, there, outcome):
    sha256 = hashlib.sha256(b"content").hexdigest()
    name = f"{TEMPS}/.nas-syncd-x.part"
    for path, content in ((name, temp), (PLACE, there)):
        if content is not None:
            (nas / path).parent.mkdir(parents=True, exist_ok=True)
            (nas / path).write_bytes(content)
    before = files_below(nas)

    answer = agent.call(
        "restore", root=str(nas), nas=UUID, temp=name, destination=PLACE, sha256=sha256
    )

    assert answer == {"outcome": outcome}
    expected = {"placed": {PLACE: b"content"}, "there": {PLACE: b"content"}}
    assert files_below(nas) == expected.get(outcome, before)


# -- what it holds open -------------------------------------------------------------------------


@linux_only
@pytest.mark.parametrize("op", ["probe", "test", "copy", "look", "temps"])
def test_within_a_second_of_idleness_it_holds_nothing_open(agent, nas, uploads, op):
    agent.call(op, **{**copying(nas, uploads), **OPS.get(op, {})})
    answered = time.monotonic()

    wait_until(lambda: not held_below(agent, nas), "closed", seconds=5)

    assert time.monotonic() - answered < 2.0  # a second, on a machine that has time
    assert agent.running


@linux_only
def test_a_batch_that_goes_on_and_on_still_opens_the_root_anew(agent, nas, uploads):
    """Otherwise a mount that changed would never be noticed while there is work."""
    agent.call("copy", **copying(nas, uploads))
    nas.rename(nas.with_name("moved"))
    nas.mkdir()

    with pytest.raises(NasNotMountedError):
        agent.call("copy", **copying(nas, uploads, candidates=["2024/02/x/a.pdf"]))

    assert list(nas.iterdir()) == []


@pytest.mark.root
@pytest.mark.lab
def test_after_an_unmount_not_one_byte_is_written_into_the_bare_folder(agent, tmpfs_mount, uploads):
    share = tmpfs_mount("8m")
    (share.path / MARKER_NAME).write_text(MARKER)
    agent.call("copy", **copying(share.path, uploads))
    wait_until(lambda: not held_below(agent, share.path), "closed", seconds=5)
    share.unmount()

    for op, more in OPS.items():
        with pytest.raises(NasNotMountedError):
            agent.call(op, **{**copying(share.path, uploads), **more})

    assert list(share.path.iterdir()) == []


@pytest.mark.root
@pytest.mark.lab
def test_a_share_that_is_unmounted_in_mid_copy_gives_no_receipt(
    agent, tmpfs_mount, fault_fs, tmp_path
):
    share, uploads = tmpfs_mount("8m"), fault_fs()
    (share.path / MARKER_NAME).write_text(MARKER)
    (uploads.source / "a.pdf").write_bytes(b"content")
    order = copying(share.path, uploads.path)
    uploads.hang("read")
    future = agent.ask("copy", **order)
    uploads.wait_for("read", "hang")

    share.unmount(lazy=True)
    uploads.clear()

    with pytest.raises(NasNotMountedError):
        future.result(20)
    assert list(share.path.iterdir()) == []


@pytest.mark.root
@pytest.mark.lab
def test_a_share_that_comes_back_as_another_mount_in_mid_copy_gives_no_receipt(
    agent, tmpfs_mount, fault_fs
):
    """The same marker on a fresh mount: the bytes went to the old one."""
    share, uploads = tmpfs_mount("8m"), fault_fs()
    (share.path / MARKER_NAME).write_text(MARKER)
    (uploads.source / "a.pdf").write_bytes(b"content")
    order = copying(share.path, uploads.path)
    uploads.hang("read")
    future = agent.ask("copy", **order)
    uploads.wait_for("read", "hang")

    share.unmount(lazy=True)
    share.mount()
    (share.path / MARKER_NAME).write_text(MARKER)
    uploads.clear()

    with pytest.raises(NasNotMountedError):
        future.result(20)
    assert files_below(share.path) == {}


@pytest.mark.root
@pytest.mark.lab
def test_a_full_share_keeps_no_partial_file(agent, tmpfs_mount, uploads):
    share = tmpfs_mount("1m")
    (share.path / MARKER_NAME).write_text(MARKER)
    (uploads / "a.pdf").write_bytes(bytes(3 << 20))

    with pytest.raises(SyncError) as caught:
        agent.call("copy", **copying(share.path, uploads))

    assert caught.value.code == "mount.full"
    assert files_below(share.path) == {}


@pytest.mark.lab
@pytest.mark.parametrize("noreplace", ["honour", "ignore", "refuse"])
def test_whatever_becomes_of_the_flag_nothing_is_replaced(agent, fault_fs, uploads, noreplace):
    """A file of that name appears on the server after its folder was listed."""
    share = fault_fs(noreplace=noreplace)
    (share.source / MARKER_NAME).write_text(MARKER)
    agent.call("copy", **copying(share.path, uploads))  # the folder is listed now
    (share.source / "2024/01/factures/b.pdf").write_bytes(b"a stranger's")
    (uploads / "b.pdf").write_bytes(b"ours")
    places = ["2024/01/factures/b.pdf", "2024/01/factures/b-7.pdf"]

    answer = agent.call("copy", **copying(share.path, uploads, "b.pdf", candidates=places))

    assert (share.source / places[0]).read_bytes() == b"a stranger's"
    assert answer["destination"] == places[1]
    left = [p for p in files_below(share.source) if p.startswith(".nas-syncd")]
    assert left == []


# -- whether a rename may replace ---------------------------------------------------------------


def a_role():
    """In this process, with nobody to answer to."""
    child: Any = SimpleNamespace(handlers={}, wake=lambda: None)
    return NasRole(child, {"installation": "inst", "run": RUN})


def test_it_is_found_out_once_for_all_jobs_whether_a_rename_replaces(nas, monkeypatch):
    tried, may_go_on = [], threading.Event()

    def trial(*_: object) -> bool:
        tried.append(1)
        may_go_on.wait(10)
        return True

    monkeypatch.setattr("nas_syncd.agent.nas.renames_exclusively", trial)
    role = a_role()
    with tree_at(nas) as tree:
        root = Root(tree, str(nas), UUID, "1")
        jobs = [
            threading.Thread(target=role._settle_renaming, args=(root, TEMPS, no_step))
            for _ in range(4)
        ]
        for job in jobs:
            job.start()
        may_go_on.set()
        for job in jobs:
            job.join()

    assert tried == [1]
    assert not tree.claims


def test_a_mount_is_tried_for_its_renames_when_it_is_first_written_to(nas, monkeypatch):
    monkeypatch.setattr("nas_syncd.agent.nas.renames_exclusively", lambda *_: False)
    role = a_role()
    asked = {"root": str(nas), "nas": UUID, "write": True}

    role.probe(Job(1, "probe", asked, "nas"))

    assert list(role._exclusive.values()) == [False]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOMEM, errno.EIO])
def test_claims_that_cannot_be_looked_for_are_not_taken_for_none(nas, number):
    """Another host may rename under a claim, and replace what comes in between."""
    (nas / CLAIM_FOLDER).mkdir()
    role = a_role()
    role.calls = FaultyCalls(fail("lstat", number=number, times=1))
    with tree_at(nas, role.calls) as tree:
        root = Root(tree, str(nas), UUID, "1")
        with pytest.raises(MountError):
            role._settle_renaming(root, TEMPS, no_step)
        assert not tree.claims_known

        role._settle_renaming(root, TEMPS, no_step)
        assert tree.claims


@pytest.mark.parametrize(
    ("op", "size", "lane"),
    [
        ("copy", BLOCK_BYTES, "light"),
        ("copy", BLOCK_BYTES + 1, ""),
        ("copy", None, ""),
        ("find", BLOCK_BYTES, "light"),
        ("find", BLOCK_BYTES + 1, ""),
        ("restore", None, ""),
        ("probe", None, "asking"),
        ("test", None, "asking"),
        ("look", None, "asking"),
    ],
)
def test_how_the_nas_is_waits_for_no_file_and_a_small_file_for_no_large_one(op, size, lane):
    version = None if size is None else [size, 1, 1]

    assert lane_of(Job(1, op, {"version": version}, "nas")) == lane
