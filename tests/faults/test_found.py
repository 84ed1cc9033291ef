"""What the lab has found, each in a test of its own."""

from __future__ import annotations

import errno
import os

import pytest

from nas_syncd import upkeep as upkeep_module
from nas_syncd.agent.marker import read_marker
from nas_syncd.names import CLAIM_FOLDER
from nas_syncd.nasfs import STALE_CLAIM_SECONDS
from tests.faults import lies
from tests.faults.kinds import AskedFor, Kept, Paired, Restored, Small
from tests.faults.lives import DAY
from tests.faults.strikes import Fault
from tests.helpers import FaultyCalls, World, fail, no_step


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_marker_that_was_read_counts_although_its_close_fails(tmp_path, number):
    """It was told as "unexpected error" and counted as the document's failure."""
    world = World(tmp_path / "world")
    calls = FaultyCalls(fail("close", number=number))
    root = os.open(world.nas, os.O_RDONLY)
    try:
        assert read_marker(root, no_step, calls) == world.uuid
    finally:
        os.close(root)


def test_a_test_file_whose_close_fails_is_removed(tmp_path):
    with AskedFor(tmp_path) as life:
        life.calls.fault = Fault("test: _write_test.close", 1, "EIO")
        life.act()
        assert life.code() == "mount.down"
        assert life.verdict.temps == []


def test_a_marker_that_is_written_in_parts_is_whole(tmp_path):
    """Half a marker is no marker: the NAS was another one from then on, to everybody."""
    with Paired(tmp_path) as life:
        life.calls.fault = Fault("adopt: write_all.write", 1, "SHORT")
        life.act()
        assert life.calls.struck
        life.get_well()


def test_a_claim_that_could_not_be_given_back_is_removed_when_it_is_old(tmp_path):
    with Small(tmp_path, claims=True) as life:
        life.calls.fault = Fault("copy: _rename_claimed.unlink(claim)", 1, "EIO")
        life.act()
        life.keep_house()
        assert [temp.rpartition("/")[0] for temp in life.verdict.temps] == [CLAIM_FOLDER]

        life.time_goes_by(6 * STALE_CLAIM_SECONDS + 60)
        life.restart()
        life.turn()

        assert life.verdict.perfect


@pytest.mark.parametrize(
    ("site", "error"), [("temps: existing.listdir", "EIO"), ("remove: unlink", "EBUSY")]
)
def test_a_cleaning_that_was_interrupted_is_done_again(tmp_path, site, error, monkeypatch):
    monkeypatch.setattr(upkeep_module, "FOREIGN_TEMP_SECONDS", 0.0)
    site = site.replace(": unlink", ": remove.unlink(temp file)")
    with Kept(tmp_path) as life:
        life.calls.fault = Fault(site, 3 if "temps" in site else 1, error)
        life.act()
        assert life.calls.struck
        life.time_goes_by(DAY)
        life.turn()

        assert life.verdict.perfect


@pytest.mark.parametrize(
    "case",
    [
        "small/exclusive: after close: cut in half #4 once",
        "blocks/claims: after close: one byte more #4 always",
        "small/exclusive: rename: is lost #2 once",
        "small/claims: rename: loses the file always",
        "power/exclusive: the file is empty",
        "power/claims: half of the file is left, and we start again",
    ],
)
def test_no_flag_stands_on_what_the_nas_has_cut_or_lost_afterwards(tmp_path, case):
    """A file cut after its close, a rename that never was, and what a loss of power leaves under
    the right name."""
    assert lies.GROUP.run(case, tmp_path)


def test_a_marker_that_could_not_be_written_leaves_nothing_for_good(tmp_path):
    """Its temp file lay beside it, where nobody looks for temp files."""
    with Paired(tmp_path) as life:
        life.calls.fault = Fault("adopt: write_all.write", 1, "EIO", "all")
        life.act()
        assert life.troubles
        life.get_well()


def test_a_place_that_is_taken_and_not_listed_does_not_keep_a_flag_up_for_ever(
    tmp_path, monkeypatch
):
    """Seen over the kernel's cifs: a NAS loses power and forgets the rename; the kernel remembers,
    lists nothing there and says "exists" to every rename, until the share is mounted anew."""
    with Restored(tmp_path) as life:
        life.calls.fault = Fault(
            "restore: rename_into_place.rename_exclusive(sick.pdf)", 1, "EEXIST"
        )
        monkeypatch.setattr(life.calls, "_is_struck", lambda fault, site, *_: site == fault.site)
        life.act()
        for _ in range(2):
            life.time_goes_by(60)
            life.again()
        assert life.calls.struck
        assert life.world.flags(life.ids["sick.pdf"]) == [True, False, True]
        assert len(life.verdict.safe) == life.verdict.total
        life.restart()  # the temp file that the NAS had brought back goes with the next start
        life.again()
        assert life.is_well()
