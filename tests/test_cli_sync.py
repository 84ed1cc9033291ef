"""``nas-syncd sync``: what is copied, what is said, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nas_syncd.documents import DocumentsTable
from nas_syncd.journal import Journal
from tests.cli_desk import Desk, make_desk, on_a_terminal
from tests.lab.parts import wait_until
from tests.stage import RunningDaemon

MIB = 2**20


@pytest.fixture
def desk(tmp_path, capsys):
    yield from (made.adopted() for made in make_desk(tmp_path, capsys))


def filed(desk: Desk) -> dict[str, bytes]:
    return {
        str(path.relative_to(desk.stage.nas)): path.read_bytes()
        for path in desk.stage.nas.rglob("*")
        if path.is_file() and path.name != ".nas-syncd.json"
    }


# -- what is copied ---------------------------------------------------------------------------


def test_everything_that_is_not_marked_is_copied_and_each_has_its_line(desk: Desk):
    first = desk.stage.add("a.pdf", b"a")
    second = desk.stage.add("b.pdf", b"b", doc_type="RECEIPT")
    said = desk("sync")
    assert said.code == 0
    place = desk.stage.nas / "2024/01"
    assert f"Document {first}: my a.pdf: Synced to {place}/factures/a.pdf\n" in said.out
    assert f"Document {second}: my b.pdf: Synced to {place}/tickets/b.pdf\n" in said.out
    assert said.out.endswith("2 documents safe.\n")
    assert filed(desk) == {"2024/01/factures/a.pdf": b"a", "2024/01/tickets/b.pdf": b"b"}
    assert desk.stage.marked() == 2


def test_the_summary_has_the_contracts_keys(desk: Desk):
    desk.stage.add("a.pdf", b"a")
    lost = desk.stage.row("lost.pdf")
    waits = desk.stage.add("w.pdf", b"w", processing_status="pending")
    said = desk("sync", "--json", NAS_SYNCD_LANGUAGE="fr")
    assert said.code == 1
    assert said.err == ""
    assert {k: v for k, v in said.data.items() if k != "errors"} == {
        "total": 2,
        "synced": 1,
        "failed": 1,
        "waiting": 1,
    }
    (line,) = said.data["errors"]
    assert line.startswith(f"Document {lost}: my lost.pdf: Le fichier n’est pas")
    assert not desk.stage.is_marked(waits)


def test_only_the_ids_that_were_given_are_copied(desk: Desk):
    wanted = desk.stage.add("a.pdf", b"a")
    desk.stage.add("b.pdf", b"b")
    assert desk("sync", str(wanted), str(wanted)).out.endswith("1 document safe.\n")
    assert list(filed(desk)) == ["2024/01/factures/a.pdf"]


def test_an_unknown_id_and_a_row_without_a_file_are_errors_beside_the_rest(desk: Desk):
    good = desk.stage.add("a.pdf", b"a")
    (empty,) = desk.stage.sql("INSERT INTO documents (user_id) VALUES (1) RETURNING id")[0]
    said = desk("sync", str(good), "4711", str(empty), "no number", "--json")
    assert said.code == 1
    assert (said.data["synced"], said.data["failed"], said.data["total"]) == (1, 3, 4)
    assert said.data["errors"][0] == "Document 4711: Unknown document"
    assert f"Document {empty}: This document has no file" in said.data["errors"]


def test_what_is_proven_already_is_a_success_without_a_second_copy(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    desk("sync")
    before = (desk.stage.nas / "2024/01/factures/a.pdf").stat()
    said = desk("sync", str(row))
    assert said.code == 0
    assert "Already safe" in said.out
    after = (desk.stage.nas / "2024/01/factures/a.pdf").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(filed(desk)) == 1


def test_one_users_documents_only(desk: Desk):
    desk.stage.add("a.pdf", b"a", user_id=1)
    desk.stage.add("b.pdf", b"b", user_id=2)
    assert desk("sync", "--user", "2", "--json").data["synced"] == 1
    assert list(filed(desk)) == ["2024/01/factures/b.pdf"]


def test_ids_and_all_contradict_one_another(desk: Desk):
    said = desk("sync", "1", "--all", "--json")
    assert said.code == 2
    assert said.data["error"]["code"] == "cli.usage"


def test_a_file_that_changed_since_it_was_synced_is_filed_anew_beside_the_old(desk: Desk):
    row = desk.stage.add("a.pdf", b"old")
    desk("sync")
    (desk.stage.uploads / "a.pdf").write_bytes(b"new and longer")
    assert desk("sync", str(row)).code == 0
    assert desk.stage.is_marked(row)
    assert filed(desk) == {
        "2024/01/factures/a.pdf": b"old",
        f"2024/01/factures/a-{row}.pdf": b"new and longer",
    }


def test_an_id_clears_its_backoff(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    blocker = desk.stage.nas / "2024"
    blocker.write_text("in the way")
    assert desk("sync", str(row)).code == 1
    told = desk("explain", str(row), "--json").data["documents"][0]["journal"]
    assert (told["attempts"], told["state"]) == (1, "failed")
    assert told["next_attempt"] is not None
    blocker.unlink()
    assert desk("sync", str(row)).code == 0
    told = desk("explain", str(row), "--json").data["documents"][0]["journal"]
    assert (told["attempts"], told["next_attempt"]) == (0, None)


def test_a_hostile_name_stays_in_its_line_and_brings_no_colour(desk: Desk):
    desk.stage.add("a.pdf", b"a", original_name="x\n\x1b[31m[red]forged: 1 document safe.")
    said = desk("sync")
    assert len(said.out.splitlines()) == 2
    assert "\x1b" not in said.out
    assert "[red]forged" in said.out
    desk.flag(1, False)
    code, shown = on_a_terminal(desk.stage, "sync")
    assert code == 0
    assert "\x1b[31m" not in shown
    assert "[red]forged" in shown


# -- the plan ---------------------------------------------------------------------------------


def test_a_dry_run_tells_decision_and_place_and_writes_nothing(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    waits = desk.stage.add("w.pdf", b"w", processing_status="pending")
    old = desk.stage.add("o.pdf", b"o")
    desk.flag(old)
    said = desk("sync", "--dry-run", "--all", "--inherited", "--json")
    assert said.code == 0
    plan = {line["id"]: line for line in said.data["plan"]}
    assert plan[str(row)]["decision"] == "copy"
    assert plan[str(row)]["destination"] == f"{desk.stage.nas}/2024/01/factures/a.pdf"
    assert plan[str(row)]["name"] == "my a.pdf"
    assert plan[str(waits)]["decision"] == "wait"
    assert plan[str(old)]["decision"] == "check"
    assert filed(desk) == {}
    assert desk.stage.marked() == 1
    assert desk("explain", str(row), "--json").data["documents"][0]["journal"] is None
    assert "Nothing was done" in desk("sync", "--dry-run").out


def test_a_dry_run_without_the_nas_still_tells_the_plan(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    (desk.stage.nas / ".nas-syncd.json").unlink()
    said = desk("sync", str(row), "--dry-run", "--json")
    assert said.code == 69
    assert said.data["plan"][0]["destination"].endswith("/2024/01/factures/a.pdf")
    assert "not mounted" in said.data["reason"]


# -- troubles ---------------------------------------------------------------------------------


def test_without_the_nas_nothing_is_begun_and_it_ends_with_69(desk: Desk):
    desk.stage.add("a.pdf", b"a")
    (desk.stage.nas / ".nas-syncd.json").unlink()
    said = desk("sync", "--json")
    assert said.code == 69
    assert said.data["error"]["code"] == "mount.not_mounted"
    assert filed(desk) == {}


def test_without_the_database_it_ends_with_75_and_makes_none(desk: Desk):
    desk.stage.database.unlink()
    said = desk("sync")
    assert said.code == 75
    assert "database does not answer" in said.err
    assert not desk.stage.database.exists()


def test_without_the_upload_folder_it_ends_with_75_and_no_document_is_blamed(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    desk.stage.uploads.rename(desk.stage.root / "moved")
    said = desk("sync", "--json")
    assert said.code == 75
    assert said.data["error"]["code"] == "uploads.missing"
    assert said.data["failed"] == 0
    (desk.stage.root / "moved").rename(desk.stage.uploads)
    assert desk("sync", str(row)).code == 0


def test_a_mount_that_goes_in_the_middle_ends_it_with_69_and_the_rest_waits(desk: Desk, fault_fs):
    nas = fault_fs()
    desk.stage.settings["NAS_LOCAL_PATH"] = nas.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    desk.stage.add_many(200)
    nas.rules([{"op": "*", "after": 1500, "do": "errno", "errno": "EHOSTDOWN"}])
    said = desk("sync", "--json")
    assert said.code == 69
    assert said.data["failed"] == 0
    assert said.data["error"]["code"].startswith("mount.")
    assert desk.stage.marked() == said.data["synced"]
    assert 0 < said.data["synced"] < 200
    nas.clear()
    assert desk("sync", "--json").data["synced"] == 200 - said.data["synced"]


def test_a_full_nas_leaves_no_part_and_says_so(desk: Desk, tmpfs_mount):
    disk = tmpfs_mount("1m")
    desk.stage.settings["NAS_LOCAL_PATH"] = disk.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    desk.stage.add("big.pdf", os.urandom(2 * MIB))
    said = desk("sync")
    assert said.code == 69
    assert "No space left" in said.err
    assert not [p for p in disk.path.rglob("*") if p.is_file() and p.name != ".nas-syncd.json"]


def test_ctrl_c_ends_it_cleanly_with_130_and_the_rest_is_copied_next_time(desk: Desk):
    for number in range(8):
        desk.stage.add(f"{number}.pdf", os.urandom(32 * MIB))
    process = desk.start(
        "sync", stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    wait_until(lambda: desk.stage.marked() >= 1, "the first one")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "Stopping" in out
    done = desk.stage.marked()
    assert re.search(rf"^{done} documents? safe\.$", out, re.MULTILINE)
    assert desk("sync").code == 0
    assert desk.stage.marked() == 8
    assert sorted(Path(p).name for p in filed(desk)) == [f"{n}.pdf" for n in range(8)]


@pytest.mark.parametrize("before", [True, False], ids=["before the mark", "after the mark"])
def test_ctrl_c_in_the_middle_of_marking_leaves_no_marked_document_untold(
    desk: Desk, monkeypatch, before
):
    for number in range(5):
        desk.stage.add(f"{number}.pdf", b"%d" % number)
    mark = DocumentsTable.mark

    def interrupted(*args: Any) -> Any:
        if before:
            signal.raise_signal(signal.SIGINT)
        done = mark(*args)
        if not before:
            signal.raise_signal(signal.SIGINT)
        monkeypatch.undo()
        return done

    monkeypatch.setattr(DocumentsTable, "mark", interrupted)
    said = desk("sync", "--json")
    assert said.code == 130
    assert desk.stage.marked() > 0
    assert said.data["synced"] == desk.stage.marked()
    assert desk("sync", "--json").code == 0
    assert desk.stage.marked() == 5


def test_a_second_ctrl_c_ends_it_at_once_and_the_handler_is_ours_no_more(desk: Desk, monkeypatch):
    desk.stage.add("a.pdf", b"a")
    handler = signal.getsignal(signal.SIGINT)
    pressed = []

    def twice(*_: Any) -> Any:
        for number in range(2):
            signal.raise_signal(signal.SIGINT)
            pressed.append(number)

    monkeypatch.setattr(DocumentsTable, "mark", twice)
    said = desk("sync", "--json")
    assert (said.code, said.data["synced"]) == (130, 0)
    assert pressed == [0]
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    assert desk("sync", "--json").data["synced"] == 1


def test_a_document_that_a_daemon_has_in_hand_is_waited_for_and_counts_as_a_success(desk, fault_fs):
    nas = fault_fs()
    desk.stage.settings["NAS_LOCAL_PATH"] = nas.path
    assert desk("adopt", "--yes", "--new-nas").code == 0
    row = desk.stage.add("a.pdf", b"a")
    nas.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": 2.0}])
    with RunningDaemon(desk.stage) as daemon:
        nas.wait_for("fsync", "delay", seconds=20)
        said = desk("sync", str(row), "--json")
        nas.clear()
        assert said.code == 0
        assert (said.data["synced"], said.data["failed"]) == (1, 0)
        assert daemon.stop() == 0
    assert len(list(nas.source.rglob("a*.pdf"))) == 1


def test_two_hundred_documents_go_through_page_by_page(desk: Desk):
    desk.stage.add_many(450)
    said = desk("sync", "--json")
    assert (said.code, said.data["synced"]) == (0, 450)
    assert len(filed(desk)) == 450


# -- the log and the bar ----------------------------------------------------------------------


def test_fates_go_to_the_log_file_as_the_daemons_do_and_not_to_the_terminal(desk: Desk, tmp_path):
    desk.stage.add("a.pdf", b"a")
    lost = desk.stage.row("lost.pdf")
    log = {"NAS_SYNCD_LOG_FILE": tmp_path / "nas-syncd.log"}
    said = desk("sync", **log)
    assert "document.failed" not in said.all
    read = desk("logs", "--json", **log).out
    assert '"event": "document.synced"' in read
    assert '"sha256": "' in read
    assert f'"document_id": "{lost}"' in desk("logs", "--json", "--level", "warning", **log).out


def test_a_terminal_gets_a_bar_and_everything_else_plain_lines(desk: Desk):
    desk.stage.add("a.pdf", os.urandom(MIB))
    code, shown = on_a_terminal(desk.stage, "sync")
    assert code == 0
    assert "━" in shown
    assert "1 document safe." in shown
    desk.stage.add("b.pdf", b"b")
    assert "━" not in desk("sync").out


# -- inherited --------------------------------------------------------------------------------


def test_inherited_documents_are_proven_by_reading_and_the_damaged_one_is_copied_again(desk: Desk):
    rows = [desk.stage.add(f"{n}.pdf", f"paper {n}".encode()) for n in range(30)]
    assert desk("sync").code == 0
    desk.delete_state()
    damaged = desk.stage.nas / "2024/01/factures/7.pdf"
    damaged.write_bytes(b"rotten!")
    before = filed(desk)
    assert desk("status", "--json").data["inherited"] == 30

    said = desk("sync", "--inherited", "--json")
    assert said.code == 0
    assert said.data["inherited"] == {"proven": 29, "recopied": 1, "unverifiable": 0}
    assert (said.data["synced"], said.data["failed"]) == (30, 0)
    after = filed(desk)
    assert after.pop(f"2024/01/factures/7-{rows[7]}.pdf") == b"paper 7"
    assert after == before
    assert desk("status", "--json").data["inherited"] == 0
    assert desk.stage.marked() == 30


def test_a_document_filed_under_its_second_name_is_found_there(desk: Desk):
    twin = desk.stage.add("a/x.pdf", b"first")
    other = desk.stage.add("b/x.pdf", b"second")
    assert desk("sync").code == 0
    desk.delete_state()
    said = desk("sync", "--inherited", "--json")
    assert said.data["inherited"]["proven"] == 2
    for row, place in ((twin, "x.pdf"), (other, f"x-{other}.pdf")):
        receipt = desk("explain", str(row), "--json").data["documents"][0]["receipt"]
        assert receipt["destination"] == f"2024/01/factures/{place}"


def test_one_file_on_the_nas_proves_one_document_only(desk: Desk):
    (desk.stage.nas / "2024/01/factures").mkdir(parents=True)
    (desk.stage.nas / "2024/01/factures/x.pdf").write_bytes(b"the same")
    for folder in ("a", "b"):
        desk.flag(desk.stage.add(f"{folder}/x.pdf", b"the same"))
    said = desk("sync", "--inherited", "--json")
    assert said.data["inherited"] == {"proven": 1, "recopied": 1, "unverifiable": 0}
    assert len(filed(desk)) == 2
    assert desk.stage.marked() == 2


def test_without_its_upload_nothing_can_be_compared_and_the_flag_stays(desk: Desk):
    row = desk.stage.row("gone.pdf")
    desk.flag(row)
    said = desk("sync", "--inherited", "--json")
    assert said.code == 1
    assert said.data["inherited"] == {"proven": 0, "recopied": 0, "unverifiable": 1}
    assert (said.data["total"], said.data["failed"]) == (0, 0)
    assert said.data["errors"][0].startswith(f"Document {row}: my gone.pdf: Cannot be verified")
    assert desk.stage.is_marked(row)


def test_an_inherited_document_named_by_its_id_is_checked_as_well(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    desk.flag(row)
    said = desk("sync", str(row))
    assert said.code == 0
    assert filed(desk) == {"2024/01/factures/a.pdf": b"a"}
    assert desk.stage.is_marked(row)


def test_inherited_alone_leaves_pending_documents_to_the_others(desk: Desk):
    pending = desk.stage.add("p.pdf", b"p")
    desk.flag(desk.stage.add("i.pdf", b"i"))
    assert desk("sync", "--inherited").code == 0
    assert not desk.stage.is_marked(pending)
    assert desk("sync", "--inherited", "--all").code == 0
    assert desk.stage.is_marked(pending)


def test_a_nas_that_cannot_be_read_takes_no_flag_back(desk: Desk):
    desk.flag(desk.stage.add("a.pdf", b"a"))
    (desk.stage.nas / ".nas-syncd.json").unlink()
    assert desk("sync", "--inherited").code == 69
    assert desk.stage.marked() == 1


def test_the_journal_is_the_only_thing_that_a_proof_writes(desk: Desk):
    row = desk.stage.add("a.pdf", b"a")
    desk("sync")
    marked_at = desk.stage.sql("SELECT synced_at FROM documents WHERE id = ?", row)
    desk.delete_state()
    assert desk("sync", "--inherited").out.startswith(f"Document {row}: my a.pdf: Verified")
    assert desk.stage.sql("SELECT synced_at FROM documents WHERE id = ?", row) == marked_at
    journal = Journal(desk.stage.state)
    try:
        assert journal.identity() is not None
    finally:
        journal.close()
