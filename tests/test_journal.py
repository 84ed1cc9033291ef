"""Our own memory: what may follow what, what lasts, who is alive. Real files and processes."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas_syncd import upkeep
from nas_syncd.errors import JournalError, StateDirectoryBusyError
from nas_syncd.journal import DaemonLock, Journal, Runs, Tally, store
from nas_syncd.journal import runs as runs_module
from nas_syncd.journal.schema import VERSIONS, statements
from nas_syncd.journal.store import FILE_NAME, LEGAL
from nas_syncd.messages import explain
from nas_syncd.models import Identity, Intent, Reason, Scope, SourceVersion, State
from tests.helpers import SCOPE, Clock, a_document, a_receipt, open_descriptors

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENT = a_document("7")
REASON = Reason("copy.verify", {"path": "a", "n": 3})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path, clock):
    journal = Journal(tmp_path / "state", now=clock)
    yield journal
    journal.close()


def an_intent(run="r" * 16, nas="nas-1", temp=".nas-syncd-tmp/i/0/t.part", at=None):
    return Intent(run, nas, temp, ("2024/01/factures/7.pdf", "b"), at or Clock().time)


def bring_to(journal, document, state):
    """Go a legal way to *state*."""
    if state is State.COPYING:
        journal.begin([(document, "7.pdf", an_intent())], SCOPE)
    elif state in (State.COPIED, State.MARKING, State.SYNCED):
        journal.receive([(document, "7.pdf", a_receipt(document), "t.part")])
        if state is not State.COPIED:
            journal.note(SCOPE, document, state)
    else:
        journal.note(SCOPE, document, state, REASON)


def in_another_process(code, *arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )


def say(process, word=""):
    """Read a line of its output."""
    line = process.stdout.readline().strip()
    assert line, f"it ended with {process.wait(10)}"
    return line


# -- states -----------------------------------------------------------------------------------

NOTED = sorted(set(State) - {State.COPYING})


@pytest.mark.parametrize(("was", "state"), list(itertools.product(sorted(State), NOTED)))
def test_only_legal_moves_are_made_and_the_others_change_nothing(journal, was, state):
    bring_to(journal, DOCUMENT, was)
    before = journal.entry(SCOPE, "7")
    told = len(journal.history(SCOPE, "7"))

    if state in LEGAL[was]:
        journal.note(SCOPE, DOCUMENT, state, REASON)
        assert journal.entry(SCOPE, "7").state is state
    else:
        with pytest.raises(JournalError, match="cannot become"):
            journal.note(SCOPE, DOCUMENT, state, REASON)
        assert journal.entry(SCOPE, "7") == before
        assert len(journal.history(SCOPE, "7")) == told


def test_no_way_leads_to_synced_but_through_a_receipt():
    receipts = {State.COPIED, State.MARKING, State.SYNCED}

    assert {was for was in State if State.SYNCED in LEGAL[was]} == receipts
    assert {was for was in State if State.MARKING in LEGAL[was]} <= receipts
    assert set(LEGAL) == set(State)


@pytest.mark.parametrize("state", sorted(State))
def test_no_state_is_a_dead_end(journal, state):
    for number, then in enumerate([State.WAITING, State.FAILED, State.PROBLEM, State.GONE]):
        document = a_document(str(number))
        bring_to(journal, document, state)
        journal.note(SCOPE, document, then, REASON)
        assert journal.entry(SCOPE, document.id).state is then

    bring_to(journal, DOCUMENT, state)
    journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), None)])
    assert journal.entry(SCOPE, "7").state is State.COPIED


def test_one_illegal_move_among_many_undoes_them_all(journal):
    other = a_document("8")
    bring_to(journal, DOCUMENT, State.COPIED)

    with pytest.raises(JournalError):
        journal.note_all(
            SCOPE,
            [
                (DOCUMENT, State.SYNCED, None, None),
                (other, State.WAITING, None, None),
                (other, State.SYNCED, None, None),
            ],
        )

    assert journal.entry(SCOPE, "7").state is State.COPIED


def test_a_receipt_whose_flag_is_set_at_once_is_kept_as_marking(journal):
    receipt = a_receipt(DOCUMENT)
    bring_to(journal, DOCUMENT, State.COPYING)

    assert journal.receive([(DOCUMENT, "7.pdf", receipt, "t.part")], marking=True) == set()

    known = journal.entry(SCOPE, "7")
    assert (known.state, known.receipt, known.intent) == (State.MARKING, receipt, None)
    assert journal.tally(SCOPE, receipt.nas).unmarked == 1
    journal.note(SCOPE, DOCUMENT, State.SYNCED)
    assert [row["became"] for row in journal.history(SCOPE, "7")] == ["synced", "copied"]


def test_two_documents_of_one_call_do_not_get_the_same_place(journal):
    other = a_document("8")
    first = a_receipt(DOCUMENT)
    second = replace(a_receipt(other), destination=first.destination)

    refused = journal.receive([(DOCUMENT, "7.pdf", first, None), (other, "8.pdf", second, None)])

    assert refused == {"8"}
    assert journal.entry(SCOPE, "8").state is State.WAITING


def test_since_is_when_this_state_with_this_reason_began(journal, clock):
    began = clock.time
    journal.note(SCOPE, DOCUMENT, State.WAITING, Reason("wait.no_file"))
    clock.pass_by(60)
    journal.note(SCOPE, DOCUMENT, State.WAITING, Reason("wait.no_file"))
    same = journal.entry(SCOPE, "7")
    clock.pass_by(60)
    journal.note(SCOPE, DOCUMENT, State.WAITING, Reason("wait.settling"))
    other = journal.entry(SCOPE, "7")

    assert (same.since, same.first_seen) == (began, began)
    assert (other.since, other.first_seen) == (began + dt.timedelta(seconds=120), began)
    assert [row["code"] for row in journal.history(SCOPE, "7")] == ["wait.settling", "wait.no_file"]


def test_reasons_come_back_with_what_fills_their_blanks(journal):
    reason = Reason("x", {"name": "é\udce9\n", "n": 3, "none": None, "when": Clock().time})
    journal.note(SCOPE, DOCUMENT, State.WAITING, reason)

    back = journal.entry(SCOPE, "7").reason
    assert back.code == "x"
    assert back.params == {**reason.params, "when": str(Clock().time)}


def test_attempts_are_counted_kept_and_cleared(journal, clock):
    until = clock.time + dt.timedelta(seconds=9)
    for _ in range(3):
        journal.note(SCOPE, DOCUMENT, State.FAILED, REASON, failed=True, next_attempt=until)
    journal.note(SCOPE, DOCUMENT, State.WAITING, Reason("wait.mount"))
    assert journal.entry(SCOPE, "7").attempts == 3

    journal.note(SCOPE, DOCUMENT, State.FAILED, REASON, next_attempt=until)
    assert journal.entry(SCOPE, "7").next_attempt == until
    journal.retry_now(SCOPE, ["7"])
    entry = journal.entry(SCOPE, "7")
    assert (entry.attempts, entry.next_attempt) == (0, None)


# -- receipts ---------------------------------------------------------------------------------


def test_the_temp_file_of_a_receipt_is_remembered_while_it_is_young(journal):
    assert journal.temp_of(SCOPE, "7") is None
    journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), "t.part")])

    assert journal.temp_of(SCOPE, "7") == "t.part"
    assert journal.temp_of(SCOPE, "8") is None


def test_a_receipt_comes_back_as_it_was(journal):
    receipt = a_receipt(DOCUMENT)
    journal.receive([(DOCUMENT, "7.pdf", receipt, "t.part")])

    entry = journal.entry(SCOPE, "7")
    assert entry.receipt == receipt
    assert entry.state is State.COPIED
    assert entry.young
    assert entry.intent is None


@pytest.mark.parametrize("number", [2**62, -1, 0])
def test_versions_of_any_size_are_kept(journal, number):
    version = SourceVersion(abs(number), number, abs(number))
    journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT, version=version), None)])

    assert journal.entry(SCOPE, "7").receipt.version == version


def transactions(journal, act):
    """What *act* has SQLite write: (whether it is flushed before the call returns, its SQL)."""
    found, flushed = [], False
    for said in asked(journal, act):
        if said.startswith("PRAGMA synchronous="):
            flushed = said == "PRAGMA synchronous=FULL"
        elif said.startswith("BEGIN"):
            found.append((flushed, ""))
        elif found:
            found[-1] = (flushed, f"{found[-1][1]}{said}\n")
    return [(flushed, said) for flushed, said in found if "COMMIT" in said]


@pytest.mark.parametrize(
    ("flushed", "act"),
    [
        (True, lambda j: j.begin([(DOCUMENT, "7.pdf", an_intent())], SCOPE)),
        (True, lambda j: j.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), None)])),
        (True, lambda j: j.forget_receipt(SCOPE, DOCUMENT, REASON)),
        (True, lambda j: j.remember_identity(Identity("nas-1", "cifs", "//nas/x"))),
        (True, lambda j: j.put("a", 1, durable=True)),
        (False, lambda j: j.put("a", 1)),
        (False, lambda j: j.note(SCOPE, DOCUMENT, State.WAITING)),
        (False, lambda j: j.retry_now(SCOPE, ["7"])),
    ],
    ids=[
        *("intents", "receipts", "receipts that count no more", "which NAS is ours", "what must"),
        *("what need not", "states", "wishes"),
    ],
)
def test_what_may_not_be_lost_with_the_power_is_flushed_and_nothing_else(journal, flushed, act):
    assert [one for one, _ in transactions(journal, lambda: act(journal))] == [flushed]


def test_the_installations_name_is_flushed_before_anything_bears_it(tmp_path, monkeypatch):
    real = Journal._connect
    said: list[str] = []

    def listening(journal, path):
        db = real(journal, path)
        db.set_trace_callback(said.append)
        return db

    monkeypatch.setattr(Journal, "_connect", listening)
    Journal(tmp_path).close()

    written = next(at for at, sql in enumerate(said) if sql.startswith("INSERT OR IGNORE"))
    assert [sql for sql in said[:written] if "synchronous" in sql][-1] == "PRAGMA synchronous=FULL"


def test_a_receipt_survives_the_death_of_the_process(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "from tests.helpers import *\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "document = a_document('7')\n"
        "journal.receive([(document, '7.pdf', a_receipt(document), 't.part')])\n"
        "print('kept', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "kept"
        process.kill()

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.entries(SCOPE, ["7"])["7"].receipt == a_receipt(DOCUMENT)


def test_a_receipt_that_is_forgotten_leaves_the_place_to_its_document(journal):
    bring_to(journal, DOCUMENT, State.SYNCED)

    journal.forget_receipt(SCOPE, DOCUMENT, Reason("unmark.vanished"))

    entry = journal.entry(SCOPE, "7")
    assert (entry.state, entry.young) == (State.WAITING, False)
    assert State.SYNCED not in LEGAL[entry.state]
    owners = journal.owners("nas-1", ["2024/01/factures/7.pdf"])
    assert [owner.id for owner in owners.values()] == ["7"]
    assert journal.versions(SCOPE, "nas-1", ["7.pdf"]) == {}


def test_only_what_is_marked_on_this_nas_counts_as_known_version(journal):
    bring_to(journal, DOCUMENT, State.COPIED)
    assert journal.versions(SCOPE, "nas-1", ["7.pdf"]) == {}
    journal.note(SCOPE, DOCUMENT, State.SYNCED)

    assert journal.versions(SCOPE, "nas-1", ["7.pdf", "8.pdf"]) == {
        "7.pdf": a_receipt(DOCUMENT).version
    }
    assert journal.versions(SCOPE, "nas-2", ["7.pdf"]) == {}
    assert journal.versions(SCOPE, None, ["7.pdf"]) == {}
    assert journal.versions(Scope("other", "documents"), "nas-1", ["7.pdf"]) == {}


def test_a_marked_version_is_known_also_of_a_name_that_is_not_utf_8(journal):
    """Else the table would be asked about its file at every scan."""
    name = os.fsdecode(b"caf\xe9.pdf")
    journal.receive([(DOCUMENT, name, a_receipt(DOCUMENT), None)])
    journal.note(SCOPE, DOCUMENT, State.SYNCED)

    assert journal.versions(SCOPE, "nas-1", [name]) == {name: a_receipt(DOCUMENT).version}


# -- ids, scopes and places -----------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(State))
def test_an_id_that_is_used_again_starts_over(journal, clock, state):
    bring_to(journal, DOCUMENT, state)
    clock.pass_by(100)
    again = a_document("7", file_path="/app/uploads/new.pdf")

    journal.note(SCOPE, again, State.WAITING, Reason("wait.no_file"))

    entry = journal.entry(SCOPE, "7")
    assert entry.file_path == "/app/uploads/new.pdf"
    assert entry.first_seen == clock.time
    assert (entry.receipt, entry.intent, entry.attempts) == (None, None, 0)
    replaced = journal.history(SCOPE, "7")[1]
    assert replaced["code"] == "gone.replaced"
    assert json.loads(replaced["detail"])["file_path"] == DOCUMENT.file_path


def test_what_the_old_one_filed_stays_its_own(journal):
    bring_to(journal, DOCUMENT, State.SYNCED)
    journal.note(SCOPE, a_document("7", file_path="/app/uploads/new.pdf"), State.WAITING)

    (owner,) = journal.owners("nas-1", ["2024/01/factures/7.pdf"]).values()
    assert owner == (SCOPE, "7", DOCUMENT.file_path)


def test_documents_of_two_databases_have_nothing_to_do_with_each_other(journal):
    elsewhere = Scope("postgresql://h:5432/x", "documents")
    bring_to(journal, DOCUMENT, State.SYNCED)

    assert journal.entry(elsewhere, "7") is None
    assert journal.tally(elsewhere, "nas-1").proven == 0
    assert journal.tally(SCOPE, "nas-1").proven == 1
    assert journal.tally(SCOPE, "nas-2").proven == 0


def test_each_document_is_counted_where_it_stands(journal):
    assert journal.tally(SCOPE, "nas-1") == Tally(0, 0, 0, 0, 0, 0)

    for number, state in enumerate(State):
        bring_to(journal, a_document(str(number)), state)

    assert journal.tally(SCOPE, "nas-1") == Tally(
        proven=1, waiting=1, copying=1, unmarked=2, failed=1, problems=1
    )


def test_a_place_is_found_in_any_case_and_composition(journal):
    receipt = a_receipt(DOCUMENT, destination="2024/01/factures/Été.PDF")
    journal.receive([(DOCUMENT, "7.pdf", receipt, None)])

    assert journal.owners("nas-1", ["2024/01/Factures/e\u0301te\u0301.pdf"])
    assert not journal.owners("nas-2", ["2024/01/factures/Été.PDF"])


def test_a_place_belongs_to_one_document(journal):
    """Two programs may have verified the same file at once: the first one's receipt counts."""
    other = a_document("8")
    receipt = a_receipt(DOCUMENT)
    assert journal.receive([(DOCUMENT, "7.pdf", receipt, None)]) == set()
    theirs = a_receipt(other, destination=receipt.destination.upper())
    journal.begin([(other, "8.pdf", an_intent())], SCOPE)

    assert journal.receive([(other, "8.pdf", theirs, None)]) == {"8"}

    entry = journal.entry(SCOPE, "8")
    assert (entry.state, entry.receipt, entry.intent) == (State.WAITING, None, None)
    for language in ("en", "fr"):
        assert theirs.destination in explain(entry.reason, language)
    (owner,) = journal.owners("nas-1", [receipt.destination]).values()
    assert owner.id == "7"


def test_a_document_may_receive_its_own_place_again(journal):
    bring_to(journal, DOCUMENT, State.SYNCED)
    fresh = a_receipt(DOCUMENT, sha256="cd" * 32)

    assert journal.receive([(DOCUMENT, "7.pdf", fresh, None)]) == set()
    assert journal.entry(SCOPE, "7").receipt == fresh


@pytest.mark.parametrize("count", [0, 1, 401, 1000])
def test_any_number_of_documents_can_be_asked_for(journal, count):
    documents = [a_document(str(n)) for n in range(count)]
    journal.note_all(SCOPE, [(d, State.WAITING, None, None) for d in documents])

    assert len(journal.entries(SCOPE, [d.id for d in documents] + ["none"])) == count


def test_pages_by_state_are_complete_and_end(journal):
    documents = [a_document(str(n)) for n in range(25)]
    journal.note_all(SCOPE, [(d, State.FAILED, None, None) for d in documents])
    seen, after = [], ""
    while page := journal.in_states(SCOPE, [State.FAILED], after, 10):
        seen += [entry.id for entry in page]
        after = page[-1].id

    assert sorted(seen) == sorted(d.id for d in documents)
    assert len(seen) == 25


# -- young receipts and temp files ----------------------------------------------------------------


def test_young_receipts_are_found_until_their_second_look(journal, clock):
    receipt = a_receipt(DOCUMENT, received_at=clock.time)
    journal.receive([(DOCUMENT, "7.pdf", receipt, "t.part")])
    later = clock.time + dt.timedelta(seconds=1)

    assert journal.young("nas-1", clock.time, 10) == []
    assert [e.id for e in journal.young("nas-1", later, 10)] == ["7"]
    assert journal.young("nas-2", later, 10) == []
    journal.grown_up(SCOPE, ["7"])
    assert journal.young("nas-1", later, 10) == []
    assert journal.by_temp("t.part") is None


def test_a_temp_files_document_is_known_and_whether_it_has_a_receipt(journal):
    intent = an_intent(temp="begun.part")
    journal.begin([(DOCUMENT, "7.pdf", intent)], SCOPE)
    begun = journal.by_temp("begun.part")
    journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), "begun.part")])
    received = journal.by_temp("begun.part")

    assert begun is not None
    assert received is not None
    assert (begun[0].id, begun[1]) == ("7", False)
    assert (received[0].id, received[1]) == ("7", True)
    assert journal.by_temp("another.part") is None


def test_a_new_goes_temp_file_is_not_taken_for_that_of_the_receipt(journal):
    """What has a receipt may be the document itself, which a NAS brought back under that name."""
    journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), "old.part")])
    journal.forget_receipt(SCOPE, DOCUMENT, REASON)
    journal.begin([(DOCUMENT, "7.pdf", an_intent(temp="new.part"))], SCOPE)

    assert [journal.by_temp(temp)[1] for temp in ("old.part", "new.part")] == [True, False]


# -- begin ------------------------------------------------------------------------------------


def test_an_intent_is_kept_until_it_is_resolved(journal):
    intent = an_intent()
    assert journal.begin([(DOCUMENT, "7.pdf", intent)], SCOPE) == {"7"}
    assert journal.entry(SCOPE, "7").intent == intent

    journal.note(SCOPE, DOCUMENT, State.WAITING, REASON, keep_intent=True)
    assert journal.entry(SCOPE, "7").intent == intent
    journal.note(SCOPE, DOCUMENT, State.WAITING, REASON)
    assert journal.entry(SCOPE, "7").intent is None


def theirs_in_hand(journal, state=State.COPYING):
    """Another flow has begun to copy the document; return its intent."""
    intent = an_intent("t" * 16)
    journal.begin([(DOCUMENT, "7.pdf", intent)], SCOPE, holder="their flow")
    if state is not State.COPYING:
        journal.receive([(DOCUMENT, "7.pdf", a_receipt(DOCUMENT), None)])
        journal.note(SCOPE, DOCUMENT, state, holder="their flow")
    return intent


def test_what_another_living_flow_has_in_hand_is_left_to_it(journal):
    theirs, other = theirs_in_hand(journal), a_document("8")
    journal.alive = lambda holder: holder == "their flow"
    works = [(DOCUMENT, "7.pdf", an_intent()), (other, "8.pdf", an_intent())]

    assert journal.begin(works, SCOPE, holder="mine") == {"8"}
    assert journal.entry(SCOPE, "7").intent == theirs
    moves = [(DOCUMENT, State.WAITING, REASON, None), (other, State.WAITING, REASON, None)]
    assert journal.note_all(SCOPE, moves, holder="mine") == {"8"}
    assert journal.entry(SCOPE, "7").state is State.COPYING


def test_what_a_dead_flow_had_in_hand_is_taken_over(journal):
    theirs_in_hand(journal)
    mine = an_intent("m" * 16)

    assert journal.begin([(DOCUMENT, "7.pdf", mine)], SCOPE, holder="mine") == {"7"}
    assert journal.entry(SCOPE, "7").intent == mine


def test_what_a_flow_lets_go_is_free_and_its_intent_is_still_known(journal):
    intent = theirs_in_hand(journal)
    journal.alive = lambda _holder: True
    journal.let_go("their flow")

    assert journal.entry(SCOPE, "7").intent == intent
    assert journal.begin([(DOCUMENT, "7.pdf", an_intent())], SCOPE, holder="mine") == {"7"}


def test_what_is_noted_is_let_go_but_not_what_is_about_to_be_marked(journal):
    theirs_in_hand(journal, State.MARKING)
    journal.alive = lambda _holder: True
    mine = [(DOCUMENT, "7.pdf", an_intent())]

    assert journal.begin(mine, SCOPE, holder="mine") == set()
    journal.note(SCOPE, DOCUMENT, State.SYNCED, holder="their flow")
    assert journal.begin(mine, SCOPE, holder="mine") == {"7"}


def test_what_is_noted_for_many_counts_no_attempt_and_gives_intents_up(journal):
    journal.begin([(DOCUMENT, "7.pdf", an_intent())], SCOPE)
    journal.note_all(SCOPE, [(DOCUMENT, State.WAITING, REASON, None)])

    entry = journal.entry(SCOPE, "7")
    assert (entry.attempts, entry.intent) == (0, None)


def test_a_flow_may_begin_again_what_it_has_begun(journal):
    theirs_in_hand(journal)
    journal.alive = lambda _holder: True
    again = [(DOCUMENT, "7.pdf", an_intent())]

    assert journal.begin(again, SCOPE, holder="their flow") == {"7"}


@pytest.mark.parametrize("state", [State.COPIED, State.MARKING, State.SYNCED])
def test_what_somebody_brought_further_since_it_was_decided_on_is_not_begun(journal, state):
    """They have verified it, and have let it go, between our reading and our beginning."""
    journal.note(SCOPE, DOCUMENT, State.WAITING, REASON)
    decided_on = {"7": journal.entry(SCOPE, "7")}
    theirs_in_hand(journal, state)
    work = [(DOCUMENT, "7.pdf", an_intent())]

    assert journal.begin(work, SCOPE, holder="mine", decided_on=decided_on) == set()
    as_it_is = {"7": journal.entry(SCOPE, "7")}
    assert journal.begin(work, SCOPE, holder="mine", decided_on=as_it_is) == {"7"}


# -- the file ---------------------------------------------------------------------------------


def test_it_is_all_there_after_opening_it_again(tmp_path):
    with contextlib.closing(Journal(tmp_path)) as journal:
        bring_to(journal, DOCUMENT, State.SYNCED)
        journal.remember_identity(Identity("nas-1", "cifs", "//nas/x"))
        journal.put("live", {"pid": 4})
        installation = journal.installation

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.entries(SCOPE, ["7"])["7"].receipt == a_receipt(DOCUMENT)
        assert journal.identity() == Identity("nas-1", "cifs", "//nas/x")
        assert journal.get("live") == {"pid": 4}
        assert journal.get("nothing") is None
        assert journal.installation == installation


def test_each_installation_has_a_name_of_its_own(tmp_path):
    with (
        contextlib.closing(Journal(tmp_path / "one")) as one,
        contextlib.closing(Journal(tmp_path / "two")) as two,
    ):
        assert all(name.isalnum() for name in (one.installation, two.installation))
        assert one.installation != two.installation


def test_who_only_reads_keeps_nobody_from_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
    with (
        contextlib.closing(Journal(tmp_path)) as journal,
        contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchall()
        journal.put("a", 1)
        assert journal.get("a") == 1


def refused(journal_folder):
    with pytest.raises(JournalError) as caught:
        Journal(journal_folder)
    return caught  # and with it all that was at hand


def test_a_journal_that_cannot_be_opened_leaves_no_descriptor_open(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
    for folder in ("later", "locked"):
        (tmp_path / folder).mkdir()
    before = open_descriptors()
    with contextlib.closing(sqlite3.connect(tmp_path / "later" / FILE_NAME)) as db:
        db.execute(f"PRAGMA user_version={len(VERSIONS) + 1}")
    kept = [refused(tmp_path / "later")]
    with contextlib.closing(sqlite3.connect(tmp_path / "locked" / FILE_NAME)) as db:
        db.execute("BEGIN EXCLUSIVE")
        kept.append(refused(tmp_path / "locked"))

    assert open_descriptors() == before  # not before: SQLite keeps them while the file is locked
    del kept


def test_a_journal_that_is_closed_leaves_no_descriptor_open(tmp_path):
    before = open_descriptors()
    journal = Journal(tmp_path)
    journal.put("a", 1)
    journal.close()

    assert open_descriptors() == before


def test_nobody_else_may_read_it(tmp_path):
    with contextlib.closing(Journal(tmp_path / "a" / "state")):
        assert (tmp_path / "a" / "state").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "a" / "state" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_journal_of_a_later_version_is_refused_and_left_as_it_is(tmp_path):
    Journal(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute(f"PRAGMA user_version={len(VERSIONS) + 1}")

    with pytest.raises(JournalError, match="version"):
        Journal(tmp_path)

    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(VERSIONS) + 1,)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(JournalError) as caught:
        Journal(tmp_path / "file" / "state")
    assert caught.value.params["path"] == str(tmp_path / "file" / "state")


def test_a_migration_that_was_interrupted_is_done_at_the_next_start(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN")
        db.execute("CREATE TABLE meta (x)")  # and the power is gone: never committed

    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.put("a", 1)
        assert journal.get("a") == 1


# -- several processes --------------------------------------------------------------------------

WRITER = (
    "import sys\n"
    "from pathlib import Path\n"
    "from nas_syncd.journal import Journal\n"
    "from nas_syncd.models import State\n"
    "from tests.helpers import *\n"
    "journal = Journal(Path(sys.argv[1]))\n"
    "print('ready', flush=True)\n"
    "sys.stdin.readline()\n"
    "for number in range(150):\n"
    "    document = a_document(f'{sys.argv[2]}-{number}')\n"
    "    journal.note(SCOPE, document, State.WAITING)\n"
    "    where = f'{sys.argv[2]}/{number}'\n"
    "    receipt = a_receipt(document, destination=where)\n"
    "    journal.receive([(document, where, receipt, None)])\n"
    "    journal.note(SCOPE, document, State.SYNCED)\n"
    "print('done', flush=True)\n"
)


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    with (
        in_another_process(WRITER, tmp_path, "one") as one,
        in_another_process(WRITER, tmp_path, "two") as two,
    ):
        for process in (one, two):
            assert say(process) == "ready"
        for process in (one, two):
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in (one, two):
            assert say(process) == "done"

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert journal.tally(SCOPE, "nas-1").proven == 300


def test_a_forked_child_writes_with_a_connection_of_its_own(tmp_path):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.put('before', 1)\n"
        "parents = journal._db\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for n in range(50): journal.put('child', n)\n"
        "    os._exit(0 if journal.get('before') == 1 and journal._db is not parents else 1)\n"
        "assert journal._db is parents\n"
        "for n in range(50): journal.put('parent', n)\n"
        "print(os.waitpid(child, 0)[1], flush=True)\n"
    )
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "0"

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert (journal.get("parent"), journal.get("child")) == (49, 49)


def test_a_child_that_is_forked_while_another_thread_writes_can_write_itself(tmp_path):
    code = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "begun, forking = threading.Event(), threading.Event()\n"
        "os.register_at_fork(before=forking.set)\n"
        "def write():\n"
        "    with journal._transaction() as db:\n"
        "        db.execute(\"INSERT INTO meta VALUES ('parent', '1')\")\n"
        "        begun.set()\n"
        "        forking.wait()\n"
        "        for n in range(1000):\n"
        "            db.execute(\"UPDATE meta SET value = '2' WHERE key = 'parent'\")\n"
        "writing = threading.Thread(target=write)\n"
        "writing.start()\n"
        "begun.wait()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(5)\n"
        "    journal.put('child', 1)\n"
        "    os._exit(0)\n"
        "writing.join()\n"
        "print(os.waitpid(child, 0)[1], flush=True)\n"
    )
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "0"

    with contextlib.closing(Journal(tmp_path)) as journal:
        assert (journal.get("parent"), journal.get("child")) == (2, 1)


def test_what_a_forked_child_writes_outlives_its_parents_closing(tmp_path):
    """Who closes last takes SQLite's log away: the child must have locks of its own to be seen."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.put('parent', 1)\n"
        "closed, close = os.pipe()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.read(closed, 1)\n"
        "    journal.put('child', 1, durable=True)\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    os._exit(0)\n"
        "journal.close()\n"
        "os.write(close, b'x')\n"
        "os.waitpid(child, 0)\n"
    )
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "written"

        with contextlib.closing(Journal(tmp_path)) as journal:
            assert (journal.get("parent"), journal.get("child")) == (1, 1)


def test_a_child_that_is_forked_while_others_use_sqlite_is_not_held_up(tmp_path):
    """What SQLite's own locks in memory were at the fork, they are in the child for ever."""
    code = (
        "import os, sqlite3, sys, threading\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "theirs, ended = sys.argv[2], threading.Event()\n"
        "def use():\n"
        "    while not ended.is_set():\n"
        "        db = sqlite3.connect(theirs)\n"
        "        db.execute('SELECT count(*) FROM sqlite_master').fetchall()\n"
        "        db.close()\n"
        "threads = [threading.Thread(target=use) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "held_up = 0\n"
        "for _ in range(20):\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    impatient = threading.Timer(5, os.kill, (child, 9))\n"
        "    impatient.start()\n"
        "    held_up += bool(os.waitpid(child, 0)[1])\n"
        "    impatient.cancel()\n"
        "    if held_up: break\n"
        "ended.set()\n"
        "print(held_up, flush=True)\n"
    )
    with in_another_process(code, tmp_path / "state", tmp_path / "theirs.sqlite") as process:
        assert say(process) == "0"


def test_after_a_fork_each_thread_of_the_parent_writes_as_before(tmp_path):
    code = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import Journal\n"
        "signal.alarm(5)\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(2):\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    thread = threading.Thread(target=journal.put, args=('thread', number))\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "print(journal.get('thread'), flush=True)\n"
    )
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "1"


def test_a_forked_child_opens_no_journal_that_was_closed_before(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from nas_syncd.journal import Journal\n"
        "Journal(folder := pathlib.Path(sys.argv[1])).close()\n"
        "for path in folder.iterdir(): path.unlink()\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(len(list(folder.iterdir())))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
    )
    with in_another_process(code, tmp_path / "state") as process:
        assert say(process) == "0"


# -- runs ---------------------------------------------------------------------------------------

RUN = (
    "import os, sys\n"
    "from pathlib import Path\n"
    "from nas_syncd.journal import Runs, DaemonLock\n"
    "folder = Path(sys.argv[1])\n"
    "runs = Runs(folder)\n"
    "lock = DaemonLock(folder)\n"
    "if len(sys.argv) > 2: lock.acquire()\n"
    "print(runs.mine, os.getpid(), flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def runs(tmp_path):
    runs = Runs(tmp_path)
    yield runs
    runs.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_is_alive_until_its_process_has_ended_however(tmp_path, runs, number):
    with in_another_process(RUN, tmp_path) as process:
        theirs = say(process).split()[0]
        assert runs.alive(theirs)
        assert runs.alive(runs.mine)

        process.send_signal(number)
        process.wait(10)

    assert not runs.alive(theirs)


def test_an_unknown_run_is_dead(runs):
    assert not runs.alive("f" * 16)


def test_tidying_removes_the_dead_and_keeps_the_living(tmp_path, runs):
    with in_another_process(RUN, tmp_path) as one, in_another_process(RUN, tmp_path) as two:
        dead, living = say(one).split()[0], say(two).split()[0]
        one.kill()
        one.wait(10)

        runs.tidy()

        left = {path.name for path in (tmp_path / "runs").iterdir()}
        assert left == {living, runs.mine}
        assert runs.alive(living)
        two.kill()
    assert dead not in left


def test_a_run_that_was_closed_leaves_nothing(tmp_path):
    runs = Runs(tmp_path)
    runs.close()
    runs.close()

    assert list((tmp_path / "runs").iterdir()) == []


def test_a_forked_worker_does_not_keep_its_parents_run_alive(tmp_path, runs):
    code = RUN.replace(
        "sys.stdin.read()",
        "if os.fork() == 0:\n    print('child', flush=True)\n    sys.stdin.read()\n"
        "    print('end', flush=True)\n    os._exit(0)\nsys.stdin.read()",
    )
    with in_another_process(code, tmp_path) as process:
        theirs = say(process).split()[0]
        assert say(process) == "child"
        process.kill()
        process.wait(10)

        assert not runs.alive(theirs)
        process.stdin.close()
        assert say(process) == "end"


def test_runs_and_locks_leave_no_descriptor_open_and_are_private(tmp_path):
    before = open_descriptors()
    runs, lock = Runs(tmp_path), DaemonLock(tmp_path)
    lock.acquire()
    files = [tmp_path / "daemon.lock", tmp_path / "runs" / runs.mine]

    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert (tmp_path / "runs").stat().st_mode & 0o777 == 0o700
    assert [file.read_text() for file in files] == [f"{os.getpid()}\n"] * 2
    assert DaemonLock(tmp_path).holder() == os.getpid()
    assert runs.alive(runs.mine)
    assert not runs.alive("0" * 16)
    assert open_descriptors() == before + 2
    with pytest.raises(StateDirectoryBusyError):
        DaemonLock(tmp_path).acquire()
    assert open_descriptors() == before + 2

    for _ in range(2):  # the second time there is nothing to do
        lock.release()
        runs.close()
    assert open_descriptors() == before


def test_runs_begin_where_there_were_some_and_say_where_they_cannot(tmp_path):
    Runs(tmp_path).close()
    Runs(tmp_path).close()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "runs").touch()

    with pytest.raises(JournalError) as caught:
        Runs(tmp_path / "x")

    assert caught.value.params["path"] == str(tmp_path / "x" / "runs")


def test_a_run_has_a_name_by_which_its_temp_files_are_known(runs):
    """Else those of a dead run would stay on the NAS for ever."""
    name = f".nas-syncd-{runs.mine}-1.part"

    assert upkeep._TEMP.findall(name) == [runs.mine]


def test_a_run_that_is_about_to_begin_is_not_tidied_away(tmp_path, runs):
    (tmp_path / "runs" / ".new-0123456789abcdef").touch()

    runs.tidy()

    assert (tmp_path / "runs" / ".new-0123456789abcdef").exists()


# -- the daemon's lock ----------------------------------------------------------------------------


def test_a_lock_file_holds_nothing_of_who_had_it_before(tmp_path):
    (tmp_path / "daemon.lock").write_text("123456789012345\n")
    lock = DaemonLock(tmp_path)

    lock.acquire()

    assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_second_daemon_is_told_the_pid_of_the_first(tmp_path):
    lock = DaemonLock(tmp_path)
    assert lock.holder() is None
    with in_another_process(RUN, tmp_path, "lock") as process:
        pid = say(process).split()[1]

        with pytest.raises(StateDirectoryBusyError) as caught:
            lock.acquire()
        assert caught.value.params["pid"] == pid
        assert lock.holder() == int(pid)
        process.kill()
        process.wait(10)

    assert lock.holder() is None
    lock.acquire()
    assert lock.holder() == os.getpid()
    lock.release()
    assert lock.holder() is None


@contextlib.contextmanager
def locked_by_one_who_wrote(tmp_path, content):
    """Somebody has the daemon's lock."""
    with (tmp_path / "daemon.lock").open("w+b") as file:
        file.write(content)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n", b"12\n4\n"])
def test_a_daemon_that_has_not_said_its_pid_is_one_all_the_same(tmp_path, content):
    with locked_by_one_who_wrote(tmp_path, content):
        assert DaemonLock(tmp_path).holder() == 0
        with pytest.raises(StateDirectoryBusyError) as caught:
            DaemonLock(tmp_path).acquire()

    assert caught.value.params == {"pid": "?", "path": str(tmp_path)}


def test_a_lock_that_is_given_back_meanwhile_is_taken(tmp_path, monkeypatch):
    with locked_by_one_who_wrote(tmp_path, b"") as theirs:
        monkeypatch.setattr(runs_module, "time", SimpleNamespace(sleep=lambda _: theirs.close()))
        lock = DaemonLock(tmp_path)
        lock.acquire()

    assert lock.holder() == os.getpid()
    lock.release()


def test_a_daemon_that_must_not_start_is_told_so_within_a_second(tmp_path, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(runs_module, "time", SimpleNamespace(sleep=slept.append))
    with (
        locked_by_one_who_wrote(tmp_path, b"4\n"),
        pytest.raises(StateDirectoryBusyError),
    ):
        DaemonLock(tmp_path).acquire()

    assert 0 < sum(slept) < 1


def test_asking_who_the_daemon_is_does_not_keep_one_from_starting(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nas_syncd.journal import DaemonLock\n"
        "lock = DaemonLock(Path(sys.argv[1]))\n"
        "print('asking', flush=True)\n"
        "while True: lock.holder()\n"
    )
    (tmp_path / "daemon.lock").touch()
    with in_another_process(code, tmp_path) as process:
        assert say(process) == "asking"
        try:
            for _ in range(20):
                lock = DaemonLock(tmp_path)
                lock.acquire()
                lock.release()
        finally:
            process.kill()


def test_history_keeps_what_was_filed(journal):
    bring_to(journal, DOCUMENT, State.COPIED)
    journal.note(SCOPE, DOCUMENT, State.SYNCED)

    detail = json.loads(journal.history(SCOPE, "7")[0]["detail"])
    assert detail["destination"] == "2024/01/factures/7.pdf"
    assert detail["sha256"] == "ab" * 32


# -- counting and pages -------------------------------------------------------------------------

MANY = 200_000


def filled(journal, number):
    """Bring *number* documents in at once: one in a hundred is open, the others are safe."""
    with journal._transaction() as db:
        db.execute(
            "WITH RECURSIVE number (n) AS"
            " (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :number),"
            " one AS (SELECT n, CASE WHEN n % 100 THEN 'synced' WHEN n / 100 % 3 = 0 THEN 'waiting'"
            " WHEN n / 100 % 3 = 1 THEN 'failed' ELSE 'problem' END AS state FROM number)"
            " INSERT INTO document (db, tbl, id, file_path, state, since, first_seen, nas)"
            " SELECT :db, :tbl, printf('%07d', n), '/a', state, :at, :at,"
            " CASE state WHEN 'synced' THEN 'nas-1' END FROM one",
            {
                "number": number,
                "db": SCOPE.database,
                "tbl": SCOPE.table,
                "at": "2024-01-01T00:00:00.000000+00:00",
            },
        )


def plan(journal, statement, *values):
    rows = journal._rows(f"EXPLAIN QUERY PLAN {statement}", values)
    return [row["detail"] for row in rows]


def asked(journal, question):
    """The statements that *question* has SQLite run."""
    said: list[str] = []
    journal._db.set_trace_callback(said.append)
    question()
    journal._db.set_trace_callback(None)
    return said


def by_hand(journal):
    """The tally, counted row by row."""
    rows = journal._rows(
        "SELECT state, coalesce(nas, '') AS nas, count(*) AS n FROM document"
        " WHERE db = ? AND tbl = ? GROUP BY 1, 2",
        (SCOPE.database, SCOPE.table),
    )
    return {(row["state"], row["nas"]): row["n"] for row in rows}


def kept(journal):
    rows = journal._rows(
        "SELECT state, nas, documents FROM tally WHERE db = ? AND tbl = ? AND documents <> 0",
        (SCOPE.database, SCOPE.table),
    )
    return {(row["state"], row["nas"]): row["documents"] for row in rows}


def test_the_tally_is_kept_whatever_happens_to_documents(journal):
    chance = random.Random(5)
    documents = [a_document(str(number)) for number in range(25)]
    for step in range(400):
        document = chance.choice(documents)
        entry = journal.entry(SCOPE, document.id)
        possible = LEGAL[entry.state] if entry else {State.WAITING, State.COPYING, State.COPIED}
        state = chance.choice(sorted(possible))
        if state is State.COPIED:
            nas, place = f"nas-{chance.randrange(3)}", f"2024/{document.id}/{step}"
            receipt = replace(a_receipt(document, destination=place), nas=nas)
            journal.receive([(document, "a", receipt, None)])
        elif state is State.COPYING:
            journal.begin([(document, "a", an_intent())], SCOPE)
        elif chance.random() < 0.1:  # its row names another file: it starts over
            other = replace(document, file_path=f"/app/uploads/{step}.pdf")
            journal.note(SCOPE, other, State.WAITING)
            documents[int(document.id)] = other
        else:
            journal.note(SCOPE, document, state)

    assert kept(journal) == by_hand(journal)
    assert len(kept(journal)) > 8
    for states in ([], [State.WAITING], list(State), [State.SYNCED, State.FAILED]):
        counted = sum(n for (state, _), n in by_hand(journal).items() if state in states)
        assert journal.count_in_states(SCOPE, states) == counted


def test_a_transaction_that_is_undone_undoes_the_tally(journal):
    bring_to(journal, DOCUMENT, State.WAITING)
    moves = [(a_document("8"), State.WAITING, None, None), (DOCUMENT, State.SYNCED, None, None)]

    with pytest.raises(JournalError, match="cannot become"):
        journal.note_all(SCOPE, moves)

    assert kept(journal) == by_hand(journal) == {("waiting", ""): 1}


def test_a_journal_of_the_first_version_is_counted_once_and_for_all(tmp_path, clock):
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        for statement in statements(VERSIONS[0]):
            db.execute(statement)
        db.execute("PRAGMA user_version=1")
        at = clock.time.isoformat()
        for id_, state, nas in [("1", "synced", "n"), ("2", "synced", "n"), ("3", "failed", None)]:
            db.execute(
                "INSERT INTO document (db, tbl, id, file_path, state, since, first_seen, nas)"
                " VALUES (?, ?, ?, '/a', ?, ?, ?, ?)",
                (SCOPE.database, SCOPE.table, id_, state, at, at, nas),
            )
        db.commit()

    with contextlib.closing(Journal(tmp_path, now=clock)) as journal:
        assert journal.tally(SCOPE, "n").proven == 2
        assert journal.tally(SCOPE, "n").failed == 1
        journal.note(SCOPE, a_document("4"), State.WAITING)
        assert kept(journal) == by_hand(journal)


def test_two_databases_are_counted_apart(journal):
    journal.note(SCOPE, DOCUMENT, State.WAITING)
    journal.note(Scope("sqlite:////y.db", "documents"), DOCUMENT, State.WAITING)

    assert journal.count_in_states(SCOPE, {State.WAITING}) == 1
    assert journal.tally(SCOPE, None).waiting == 1


def test_with_many_documents_counting_and_paging_use_their_indexes(journal):
    filled(journal, MANY)
    assert journal.tally(SCOPE, "nas-1").proven == MANY * 99 // 100
    assert kept(journal) == by_hand(journal)

    for states in ([State.PROBLEM], [State.FAILED, State.PROBLEM], [State.SYNCED, State.GONE]):
        (said,) = asked(journal, lambda: journal.in_states(SCOPE, states, "0100000", 50))  # noqa: B023
        steps = plan(journal, said)
        searches = [step for step in steps if step.startswith(("SEARCH", "SCAN"))]
        index = "USING INDEX document_page (db=? AND tbl=? AND state=? AND id>?)"
        assert [step.partition(" ")[2] for step in searches] == [f"document {index}"] * len(states)
        assert not any("TEMP B-TREE" in step for step in steps)
    for question in (
        lambda: journal.tally(SCOPE, "nas-1"),
        lambda: journal.count_in_states(SCOPE, {State.FAILED, State.PROBLEM}),
    ):
        (said,) = asked(journal, question)
        (step,) = plan(journal, said)
        assert step.startswith("SEARCH tally USING PRIMARY KEY (db=? AND tbl=?")


def test_a_page_of_several_states_is_by_id_and_goes_on_where_it_ended(journal):
    filled(journal, 3000)
    wanted = [State.PROBLEM, State.WAITING, State.PROBLEM]

    pages, after = [], ""
    while page := journal.in_states(SCOPE, wanted, after, 7):
        pages.append([entry.id for entry in page])
        after = page[-1].id

    ids = [f"{number:07d}" for number in range(0, 3000, 100) if number // 100 % 3 != 1]
    assert [id_ for page in pages for id_ in page] == ids
    assert {len(page) for page in pages[:-1]} == {7}
    assert journal.in_states(SCOPE, []) == []
