"""A lab that cannot fail is worth nothing: the program is broken on purpose, and it notices."""

from __future__ import annotations

import contextlib
import os

import pytest

from nas_syncd import copier, flow
from nas_syncd.agent import nas as agent
from nas_syncd.copier import Copier
from nas_syncd.errors import SyncError
from nas_syncd.upkeep import Upkeep
from tests.faults import calls, lies
from tests.faults.golden import ToldError
from tests.faults.lab import BrokenError, DirtyError, LiedError, LostError, StuckError
from tests.faults.strikes import Fault

FLUSH = "small/exclusive: copy: _flush.fsync"


def renames_over(tree, temps, temp, folder, name, step):
    os.rename(temp, name, src_dir_fd=temps.fd, dst_dir_fd=folder.fd)


def test_a_copier_that_does_not_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(Copier, "_check_whole", lambda *_: None)
    monkeypatch.setattr(Copier, "_read_back", lambda self, *_: self.streamed)
    stream = Copier._stream

    def streaming(self, *args):
        self.streamed = stream(self, *args)
        return self.streamed

    monkeypatch.setattr(Copier, "_stream", streaming)
    with pytest.raises(LiedError):
        lies.GROUP.run("blocks/exclusive: write: flips the first bit #2 once", tmp_path)


def test_a_copier_that_renames_although_the_flush_failed(tmp_path, monkeypatch):
    flush = Copier._flush

    def careless(self, target, flush_bytes):
        with contextlib.suppress(OSError):
            return flush(self, target, flush_bytes)
        return flush_bytes

    monkeypatch.setattr(Copier, "_flush", careless)
    with pytest.raises(ToldError):
        calls.GROUP.run(f"{FLUSH}: EIO once", tmp_path)


def test_a_copier_that_replaces(tmp_path, monkeypatch):
    monkeypatch.setattr(copier, "rename_into_place", renames_over)
    with pytest.raises(LostError):
        lies.GROUP.run("collision/exclusive: listdir: is empty always", tmp_path)


def test_a_copier_that_leaves_its_temp_files(tmp_path, monkeypatch):
    monkeypatch.setattr(Copier, "_remove", lambda *_: None)
    monkeypatch.setattr(Copier, "_remove_stale", lambda _self: None)
    monkeypatch.setattr(Upkeep, "_is_dead", lambda *_: False)  # which would clear away after it
    with pytest.raises(DirtyError):
        calls.GROUP.run(f"{FLUSH}: ENOSPC once", tmp_path)


def test_a_copier_that_leaves_half_a_file_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(copier, "rename_into_place", renames_over)
    place, write = Copier._place, Copier._write

    def early(self, temps, temp, source, version):
        try:
            return write(self, temps, temp, source, version)
        except SyncError:
            place(self, temps, temp, "0" * 64, source, version)
            raise

    monkeypatch.setattr(Copier, "_write", early)
    monkeypatch.setattr(Copier, "_check_whole", lambda *_: None)
    with pytest.raises(DirtyError):
        calls.GROUP.run("blocks/exclusive: copy: write_all.write #3: EIO once", tmp_path)


def test_an_agent_that_answers_before_it_has_copied(tmp_path, monkeypatch):
    """The flag is set without the bytes: a receipt for nothing."""

    def order(self, job):
        args = job.args
        return {
            "destination": args["candidates"][0],
            "sha256": "0" * 64,
            "version": args["version"],
            "adopted": False,
        }

    monkeypatch.setattr(agent.NasRole, "copy", order)
    with pytest.raises(LiedError):
        lies.GROUP.run("small/exclusive: fsync: does nothing once", tmp_path)


def test_a_flow_that_blames_the_document_for_the_nas(tmp_path, monkeypatch):
    monkeypatch.setattr(flow.Flow, "_is_its_own", lambda *_: True)
    with pytest.raises((StuckError, ToldError)):
        calls.GROUP.run(f"{FLUSH}: EIO all", tmp_path)


def test_a_flow_that_tells_no_fate(tmp_path, monkeypatch):
    monkeypatch.setattr(
        flow.Flow, "_failed", lambda self, work, _error: self._active.discard(work.document.id)
    )
    with pytest.raises(StuckError):
        calls.GROUP.run(f"{FLUSH}: EIO once", tmp_path)


def test_a_site_that_nothing_comes_by(tmp_path):
    with pytest.raises(BrokenError, match="never called"):
        calls.outcome_of("adopted", False, Fault("copy: write_all.write", 1, "EIO"), tmp_path)
