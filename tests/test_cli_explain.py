"""``nas-syncd explain``: the whole decision, by id and by path, with whatever is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli_desk import Desk, make_desk


@pytest.fixture
def desk(tmp_path, capsys):
    yield from (made.adopted() for made in make_desk(tmp_path, capsys))


def told(desk: Desk, wanted: object) -> Any:
    (only,) = desk("explain", str(wanted), "--json").data["documents"]
    return only


def test_a_document_that_is_to_be_copied(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc", doc_type="PAYSLIP")
    only = told(desk, row)
    assert only["name"] == "my a.pdf"
    assert only["row"]["file_path"] == "/app/uploads/a.pdf"
    assert only["row"]["synced_to_nas"] is False
    assert only["file"] == {
        **only["file"],
        "path": f"{desk.stage.uploads}/a.pdf",
        "kind": "file",
        "size": 3,
    }
    place = f"{desk.stage.nas}/2024/01/salaires"
    assert only["decision"]["decision"] == "copy"
    assert only["decision"]["destination"] == f"{place}/a.pdf"
    assert only["decision"]["candidates"] == [
        f"{place}/a.pdf",
        f"{place}/a-{row}.pdf",
        f"{place}/a-{row}-<sha256>.pdf",
    ]
    assert only["journal"] is None
    assert only["receipt"] is None
    shown = desk("explain", str(row)).out
    assert shown.startswith(f"Document {row} (my a.pdf): to be copied\n")
    assert f"nas-syncd sync {row}" in shown.splitlines()[1]


def test_a_document_that_is_safe_shows_its_proof_and_its_history(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc")
    desk("sync")
    only = told(desk, row)
    assert only["decision"]["reason"] == "rest.synced"
    assert only["receipt"]["valid"] is True
    assert only["receipt"]["destination"] == "2024/01/factures/a.pdf"
    assert only["receipt"]["sha256"].startswith("ba7816bf")
    assert only["journal"]["state"] == "synced"
    assert [line["became"] for line in only["history"]] == ["synced", "copied"]
    assert only["history"][0]["detail"]["destination"] == "2024/01/factures/a.pdf"
    shown = desk("explain", str(row)).out
    assert only["receipt"]["sha256"] in shown
    assert "Next: Nothing to do." in shown


def test_what_was_filed_elsewhere_than_it_would_be_now_says_so(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc", doc_type=None)
    desk("sync")
    desk.stage.sql("UPDATE documents SET doc_type = 'invoice' WHERE id = ?", row)
    shown = desk("explain", str(row)).out
    assert "Filed as 2024/01/autres, would now be 2024/01/factures" in shown


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ({"processing_status": "processing"}, "analysis is not finished (status: processing)"),
        ({"date": None, "created_at": None}, "neither a date nor a creation date"),
        ({"file_path": "/etc/passwd"}, "leads outside the upload folder: /etc/passwd"),
        ({"file_path": "/app/uploads/../x.pdf"}, "leads outside the upload folder"),
        ({"file_path": "/app/uploads/lost.pdf"}, "file has not arrived yet: lost.pdf"),
    ],
)
def test_why_a_document_waits_or_is_refused(desk: Desk, prepare, words):
    row = desk.stage.add("a.pdf", b"abc", **prepare)
    said = desk("explain", str(row))
    assert said.code == 0
    assert words in said.out.splitlines()[0]


def test_a_link_is_told_and_not_followed(desk: Desk, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (desk.stage.uploads / "l.pdf").symlink_to(tmp_path / "secret.txt")
    only = told(desk, desk.stage.row("l.pdf"))
    assert only["file"]["kind"] == "link"
    assert only["file"]["size"] is None
    assert only["decision"]["reason"] == "refuse.link"


@pytest.mark.parametrize(
    "wanted",
    ["sub/a.pdf", "/app/uploads/sub/a.pdf", "{uploads}/sub/a.pdf", "uploads/sub/a.pdf"],
)
def test_a_path_finds_every_row_for_the_file(desk: Desk, wanted):
    first = desk.stage.add("sub/a.pdf", b"abc")
    second = desk.stage.row("sub/a.pdf")
    said = desk("explain", wanted.format(uploads=desk.stage.uploads), "--json")
    assert said.code == 0
    assert [one["id"] for one in said.data["documents"]] == [str(first), str(second)]


def test_a_path_below_the_working_folder_is_understood(desk: Desk, monkeypatch):
    row = desk.stage.add("sub/a.pdf", b"abc")
    monkeypatch.chdir(desk.stage.uploads / "sub")
    assert told(desk, "a.pdf")["id"] == str(row)


def test_a_file_without_a_row_says_so_and_where_it_was_looked_for(desk: Desk):
    (desk.stage.uploads / "orphan.pdf").write_bytes(b"x")
    said = desk("explain", "orphan.pdf")
    assert said.code == 0
    assert said.out.startswith("The file has no row in the database yet: orphan.pdf\n")
    assert "“/app/uploads/orphan.pdf”" in said.out


@pytest.mark.parametrize("wanted", ["4711", "never.pdf", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_document_ends_with_1(desk: Desk, wanted):
    said = desk("explain", wanted, "--json")
    assert said.code == 1
    assert said.data["error"]["code"] == "document.unknown"
    assert said.data["documents"] == []


def test_a_row_without_a_file_is_no_document(desk: Desk):
    desk.stage.sql("INSERT INTO documents (id, user_id) VALUES (5, 1)")
    said = desk("explain", "5", "--json")
    assert said.code == 1
    assert said.data["error"]["code"] == "document.no_file"


def test_without_the_database_the_journal_still_speaks(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc")
    desk("sync")
    desk.stage.database.rename(desk.stage.root / "away")
    said = desk("explain", str(row), "--json")
    assert said.code == 75
    assert said.data["error"]["code"] == "database.unavailable"
    (only,) = said.data["documents"]
    assert only["row"] is None
    assert only["receipt"]["destination"] == "2024/01/factures/a.pdf"
    assert only["file"]["kind"] == "file"
    assert only["decision"]["decision"] == "none"
    plain = desk("explain", str(row))
    assert f"Document {row}: copied, verified and marked" in plain.out
    assert "database does not answer" in plain.err


def test_a_row_that_was_deleted_is_remembered(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc")
    desk("sync")
    desk.stage.sql("DELETE FROM documents")
    only = told(desk, row)
    assert only["decision"]["reason"] == "rest.missing_row"
    assert only["row"] is None
    assert "no longer in the database" in desk("explain", str(row)).out


def test_without_the_nas_it_tells_everything_else(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc")
    (desk.stage.nas / ".nas-syncd.json").unlink()
    said = desk("explain", str(row), "--json")
    assert said.code == 0
    assert said.data["mount"]["state"] == "not_mounted"
    (only,) = said.data["documents"]
    assert only["decision"]["reason"] == "wait.mount"
    assert only["decision"]["destination"].endswith("/2024/01/factures/a.pdf")
    assert "not mounted" in desk("explain", str(row)).out


def test_an_inherited_document_says_how_to_check_it(desk: Desk):
    row = desk.stage.add("a.pdf", b"abc")
    desk.flag(row)
    shown = desk("explain", str(row)).out
    assert "inherited, not verified" in shown
    assert "sync --inherited" in shown
