"""``nas-syncd adopt``: who is asked, what is written, what is remembered."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
import uuid
from pathlib import Path

import pytest

from nas_syncd.journal import Journal
from nas_syncd.models import Identity
from tests.cli_desk import Desk, make_desk, on_a_terminal

MARKER = ".nas-syncd.json"


@pytest.fixture
def desk(tmp_path, capsys):
    yield from make_desk(tmp_path, capsys)


def marker(desk: Desk) -> dict[str, object]:
    found = json.loads((desk.stage.nas / MARKER).read_text())
    assert isinstance(found, dict)
    return found


def identity(desk: Desk) -> Identity | None:
    journal = Journal(desk.stage.state)
    try:
        return journal.identity()
    finally:
        journal.close()


def remember(desk: Desk, known: Identity) -> None:
    journal = Journal(desk.stage.state)
    journal.remember_identity(known)
    journal.close()


def put_marker(desk: Desk, nas: str) -> bytes:
    path: Path = desk.stage.nas / MARKER
    path.write_text(json.dumps({"nas": nas}))
    return path.read_bytes()


def test_the_marker_says_who_wrote_it_and_not_to_delete_it(desk: Desk):
    said = desk("adopt", "--yes")
    assert said.code == 0
    written = marker(desk)
    assert uuid.UUID(str(written["nas"])).version == 4
    assert written["format"] == 1
    assert dt.datetime.fromisoformat(str(written["created"])).tzinfo is not None
    assert str(written["by"]).startswith("nas-syncd ")
    assert "ne le supprimez pas" in str(written["about"])
    assert "do not delete" in str(written["about"])
    assert str(written["nas"]) in said.out
    known = identity(desk)
    assert known is not None
    assert known.nas == written["nas"]
    assert [path.name for path in desk.stage.nas.iterdir() if path.name != MARKER] == [
        ".nas-syncd-tmp"
    ]


def test_it_shows_path_file_system_source_and_space_before_anything_else(desk: Desk):
    said = desk("adopt", "--yes")
    lines = said.out.splitlines()
    assert lines[0] == f"Path: {desk.stage.nas}"
    assert lines[1].startswith("File system: ")
    assert "no network share" in lines[1]
    assert lines[2].startswith("Source: ")
    assert lines[3].startswith("Free space: ")


def test_a_local_folder_wants_a_yes_and_nobody_can_give_it_without_a_terminal(desk, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said = desk("adopt")
    assert said.code == 2
    assert "--yes" in said.err
    assert list(desk.stage.nas.iterdir()) == []
    assert identity(desk) is None


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("oui\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_person_is_asked_before_a_local_folder_is_adopted(desk: Desk, answer, code):
    ended, shown = on_a_terminal(desk.stage, "adopt", answer=answer)
    assert (ended, "is no network share" in shown) == (code, True)
    assert (desk.stage.nas / MARKER).exists() is (code == 0)


def test_adopting_again_changes_nothing_and_asks_nothing(desk: Desk, monkeypatch):
    desk.adopted()
    before = (desk.stage.nas / MARKER).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    said = desk("adopt")
    assert said.code == 0
    assert "already" in said.out
    assert (desk.stage.nas / MARKER).read_bytes() == before


def test_another_installations_marker_is_kept_and_its_uuid_taken(desk: Desk):
    written = put_marker(desk, "the-other-host")
    assert desk("adopt", "--yes").code == 0
    assert (desk.stage.nas / MARKER).read_bytes() == written
    known = identity(desk)
    assert known is not None
    assert known.nas == "the-other-host"


@pytest.mark.parametrize("there", ["nothing", "another"])
def test_another_nas_than_the_known_one_wants_new_nas_and_first_names_the_usual_cause(desk, there):
    desk.adopted()
    was = identity(desk)
    (desk.stage.nas / MARKER).unlink()
    if there == "another":
        put_marker(desk, "stranger")
    refused = desk("adopt", "--yes")
    assert refused.code == 69
    assert refused.err.index("not mounted") < refused.err.index("--new-nas")
    assert identity(desk) == was
    assert (desk.stage.nas / MARKER).exists() is (there == "another")

    assert desk("adopt", "--yes", "--new-nas").code == 0
    now = identity(desk)
    assert now is not None
    assert was is not None
    assert now.nas == marker(desk)["nas"] != was.nas


def test_new_nas_alone_still_asks(desk: Desk, monkeypatch):
    desk.adopted()
    (desk.stage.nas / MARKER).unlink()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    said = desk("adopt", "--new-nas")
    assert said.code == 2
    assert not (desk.stage.nas / MARKER).exists()


def test_our_marker_on_another_kind_of_file_system_is_confirmed_by_adopt(desk: Desk):
    put_marker(desk, "ours")
    remember(desk, Identity("ours", "cifs", "//nas/finance"))
    assert desk("test").code == 69
    assert desk("adopt", "--yes").code == 0
    known = identity(desk)
    assert known is not None
    assert known.file_system != "cifs"
    assert desk("test").code == 0


def test_a_missing_path_is_not_made(desk: Desk):
    desk.stage.nas.rmdir()
    said = desk("adopt", "--yes")
    assert said.code == 69
    assert "does not exist" in said.err
    assert not desk.stage.nas.exists()


def test_a_file_of_that_name_that_is_no_marker_is_left_alone(desk: Desk):
    (desk.stage.nas / MARKER).write_text("holiday photos")
    assert desk("adopt", "--yes", "--new-nas").code == 69
    assert (desk.stage.nas / MARKER).read_text() == "holiday photos"


def test_a_path_given_by_hand_is_used_and_has_to_be_written_down(desk: Desk, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    said = desk("adopt", "--yes", str(other))
    assert said.code == 0
    assert (other / MARKER).exists()
    assert f"NAS_LOCAL_PATH={other}" in said.out


def test_it_says_how_many_flags_are_not_proven_here_and_how_to_check_them(desk: Desk):
    for name in ("a.pdf", "b.pdf"):
        desk.flag(desk.stage.add(name, b"x"))
    desk.stage.add("c.pdf", b"x")
    said = desk("adopt", "--yes")
    assert "2 documents are marked without proof" in said.out
    assert "sync --inherited" in said.out


def test_it_pairs_without_a_database_and_says_what_it_could_not_count(desk: Desk):
    desk.stage.database.unlink()
    said = desk("adopt", "--yes")
    assert said.code == 0
    assert "could not be counted" in said.err
    assert not desk.stage.database.exists()
    assert desk("adopt", "--yes", DATABASE_URL="").code == 0
