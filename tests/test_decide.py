"""The next step for a document. What it must never be, whatever the world looks like."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from nas_syncd.decide import decide, valid_receipt
from nas_syncd.messages import LANGUAGES, TEXTS, explain
from nas_syncd.models import (
    Copy,
    Intent,
    Mark,
    MountState,
    Policy,
    Reason,
    Refuse,
    Rest,
    Source,
    SourceKind,
    SourceVersion,
    State,
    Unmark,
    Wait,
)
from nas_syncd.routing import DEFAULT_FOLDERS
from tests.helpers import NOW, VERSION, a_document, a_receipt, a_view, an_entry

POLICY = Policy(folders=DEFAULT_FOLDERS)
OTHER = replace(VERSION, mtime_ns=2_000)
NAS = "nas-1"


def a_source(kind=SourceKind.FILE, version=VERSION, settled=True, relative="7.pdf"):
    return Source(relative, kind, version if kind is SourceKind.FILE else None, settled)


def step(document=None, source=None, entry=None, mount=None, nas=NAS, now=NOW, **more):
    return decide(
        document or a_document(),
        source or a_source(),
        entry,
        mount or a_view(),
        nas,
        POLICY,
        now,
        **more,
    )


# -- every combination ------------------------------------------------------------------------


def usually(value, *others):
    """Mostly the ordinary, so that every kind of decision comes up often."""
    return st.sampled_from([value] * 4 + list(others))


TIMES = st.integers(-(10**9), 10**9).map(lambda s: NOW + dt.timedelta(seconds=s))
INTENT = Intent("r" * 16, NAS, ".nas-syncd-tmp/i/0/x.part", ("a", "b"), NOW)


@st.composite
def cases(draw, copied=False):
    """A document, and a world around it that may have changed in any way since.

    *copied*: there is a receipt, if perhaps not the right one.
    """
    document = a_document(
        draw(usually("7", "8")),
        file_path=draw(usually("/app/uploads/7.pdf", "/app/uploads/new.pdf", "../etc/passwd")),
        doc_type=draw(usually("invoice", None, "Receipt", "?")),
        date=draw(usually(dt.date(2024, 1, 15), None, dt.date(1999, 12, 31))),
        created_at=draw(usually(NOW, None)),
        processing_status=draw(usually("completed", None, "", "pending", "PROCESSING", "error")),
        synced=draw(st.booleans()),
    )
    kind = draw(usually(SourceKind.FILE, *SourceKind))
    version = draw(usually(VERSION, OTHER, SourceVersion(0, 0, 0)))
    return {
        "document": document,
        "source": Source(
            None if kind is SourceKind.OUTSIDE else draw(usually("7.pdf", "u/7.pdf", None)),
            kind,
            version if kind is SourceKind.FILE else None,
            draw(st.booleans()),
        ),
        "entry": draw(entries(document, copied) if copied else st.none() | entries(document)),
        "mount": a_view(draw(usually(MountState.OK, *MountState))),
        "nas": draw(usually(NAS, None, "nas-2")),
        "now": draw(TIMES | st.just(NOW)),
        "manual": draw(st.booleans()),
    }


def entries(document, copied=False):
    known = st.sampled_from([document] * 3 + [a_document("7"), a_document("8")])
    receipts = st.builds(
        lambda document, nas, version: a_receipt(document, nas, version=version),
        known,
        usually(NAS, "nas-2"),
        usually(VERSION, OTHER),
    )
    return st.builds(
        lambda document, state, **more: an_entry(document, state, **more),
        known,
        st.sampled_from([State.COPIED, State.MARKING, State.SYNCED] if copied else State),
        reason=st.none() | st.just(Reason("copy.verify")),
        since=TIMES,
        first_seen=TIMES,
        attempts=st.integers(0, 50),
        next_attempt=st.none() | TIMES,
        receipt=receipts if copied else st.none() | receipts,
        intent=st.none() | st.just(INTENT),
    )


CASES = cases()
COPIED_CASES = cases(copied=True)
MANY = settings(max_examples=250)


@pytest.mark.parametrize("kind", [Copy, Mark, Unmark, Wait, Refuse, Rest])
def test_the_cases_below_bring_every_kind_of_decision(kind):
    quick = settings(max_examples=2000, phases=[Phase.generate], database=None)

    cases = COPIED_CASES if kind in (Mark, Unmark) else CASES
    assert find(cases, lambda case: isinstance(step(**case), kind), settings=quick)


@given(CASES)
def test_there_is_always_a_decision_and_its_reason_has_words_in_both_languages(case):
    decision = step(**case)

    if isinstance(decision, Wait | Refuse | Rest | Unmark):
        for language in LANGUAGES:
            assert decision.reason.code in TEXTS[language]
            assert not re.search(r"[{}]|\?", explain(decision.reason, language))


@given(CASES)
@MANY
def test_nothing_is_copied_that_is_no_settled_file_or_to_a_mount_that_is_not_ours(case):
    decision = step(**case)
    if not isinstance(decision, Copy):
        return

    assert case["mount"].usable
    assert case["source"].kind is SourceKind.FILE
    assert case["source"].relative is not None
    assert case["source"].settled or case["manual"]
    assert not case["document"].synced
    assert len(decision.candidates) == 3
    assert all(place.startswith(decision.filed_as + "/") for place in decision.candidates)


@given(COPIED_CASES)
@MANY
def test_nothing_is_marked_without_a_receipt_that_binds_all_of_it(case):
    decision = step(**case)
    if not isinstance(decision, Mark):
        return
    document, entry, receipt = case["document"], case["entry"], decision.receipt

    assert entry.receipt is receipt
    assert receipt == valid_receipt(document, entry, case["nas"])
    assert (receipt.id, receipt.file_path) == (document.id, document.file_path)
    assert receipt.nas == case["nas"] is not None
    assert entry.file_path == document.file_path
    if not document.synced:
        assert entry.state is State.COPIED, "a used receipt sets no flag again"
        gone = case["source"].kind is SourceKind.MISSING
        assert gone or case["source"].version == receipt.version


@given(CASES)
def test_a_flag_that_is_true_is_neither_copied_nor_waited_for(case):
    decision = step(**{**case, "document": replace(case["document"], synced=True)})

    assert isinstance(decision, Rest | Mark | Unmark)


@given(COPIED_CASES)
def test_a_flag_is_only_taken_back_when_our_own_receipt_says_it_lies(case):
    decision = step(**case)
    if not isinstance(decision, Unmark):
        return

    receipt = valid_receipt(case["document"], case["entry"], case["nas"])
    assert receipt is not None
    assert case["source"].version != receipt.version
    assert case["source"].kind is SourceKind.FILE


@given(CASES)
def test_whatever_the_clock_does_nothing_waits_longer_than_its_maximum(case):
    decision = step(**case)
    if not isinstance(decision, Wait) or decision.until is None:
        return
    longest = {
        "wait.no_file": 3600,
        "source.unreadable": 3600,
        "wait.metadata": POLICY.metadata_wait_seconds,
        "wait.settling": POLICY.settle_seconds,
        "wait.backoff": 1.25 * POLICY.problem_retry_seconds,
    }[decision.reason.code]

    assert case["now"] < decision.until <= case["now"] + dt.timedelta(seconds=longest)


@given(CASES)
def test_a_person_who_asks_waits_neither_for_settling_nor_for_backoff(case):
    decision = step(**{**case, "manual": True})

    if isinstance(decision, Wait):
        assert decision.reason.code not in ("wait.settling", "wait.backoff")


@given(CASES)
def test_the_same_question_has_the_same_answer(case):
    assert step(**case) == step(**case)


# -- one by one -------------------------------------------------------------------------------


def test_a_settled_file_and_a_mount_make_a_copy():
    decision = step()

    assert decision == Copy(
        ("2024/01/factures/7.pdf", "2024/01/factures/7-7.pdf", "2024/01/factures/7-7-{sha12}.pdf"),
        "2024/01/factures",
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (SourceKind.LINK, "refuse.link"),
        (SourceKind.DIRECTORY, "refuse.directory"),
        (SourceKind.SPECIAL, "refuse.special"),
        (SourceKind.OUTSIDE, "refuse.outside"),
    ],
)
def test_what_is_no_file_is_refused(kind, code):
    decision = step(source=a_source(kind))

    assert isinstance(decision, Refuse)
    assert decision.reason.code == code


def test_a_file_without_a_place_below_the_folder_is_refused_whatever_was_seen():
    decision = step(source=a_source(relative=None))

    assert isinstance(decision, Refuse)
    assert decision.reason.code == "refuse.outside"


def test_a_row_without_any_date_is_refused_not_crashed_on():
    decision = step(a_document(date=None, created_at=None))

    assert decision == Refuse(Reason("refuse.unfilable"))


@pytest.mark.parametrize("status", ["pending", "processing", "PENDING", " Processing "])
def test_metadata_is_waited_for_from_our_first_sight(status):
    document = a_document(processing_status=status)
    seen = NOW - dt.timedelta(seconds=3000)

    first = step(document)
    later = step(document, entry=an_entry(document, State.WAITING, first_seen=seen))

    assert isinstance(first, Wait)
    assert isinstance(later, Wait)
    assert first.until == NOW + dt.timedelta(seconds=3600)
    assert later.until == NOW + dt.timedelta(seconds=600)


def test_after_the_longest_wait_it_is_filed_with_what_there_is():
    document = a_document(processing_status="pending", doc_type=None)
    entry = an_entry(document, State.WAITING, first_seen=NOW - dt.timedelta(seconds=3600))

    decision = step(document, entry=entry)

    assert isinstance(decision, Copy)
    assert decision.filed_as == "2024/01/autres"


def test_a_first_sight_in_the_future_is_a_clock_that_jumped():
    document = a_document(processing_status="pending")
    entry = an_entry(document, State.WAITING, first_seen=NOW + dt.timedelta(days=400))

    decision = step(document, entry=entry)

    assert isinstance(decision, Wait)
    assert decision.until == NOW + dt.timedelta(seconds=3600)


@pytest.mark.parametrize(("state", "limit"), [(State.FAILED, 3600), (State.PROBLEM, 86_400)])
def test_a_backoff_beyond_its_longest_is_a_clock_that_jumped(state, limit):
    document = a_document()

    def decide_after(seconds):
        until = NOW + dt.timedelta(seconds=seconds)
        return step(document, entry=an_entry(document, state, attempts=3, next_attempt=until))

    assert isinstance(decide_after(1), Wait)
    assert isinstance(decide_after(limit * 1.25), Wait)
    assert isinstance(decide_after(limit * 1.25 + 1), Copy)
    assert isinstance(decide_after(0), Copy)


@pytest.mark.parametrize("state", sorted(set(State) - {State.COPIED}))
def test_a_flag_that_went_back_is_never_set_from_an_old_receipt(state):
    document = a_document()
    entry = an_entry(document, state, receipt=a_receipt(document))

    assert isinstance(step(document, entry=entry), Copy)


def test_a_fresh_receipt_marks_even_when_the_source_was_deleted_or_the_nas_is_away():
    document = a_document()
    entry = an_entry(document, State.COPIED, receipt=a_receipt(document))
    away = a_view(MountState.HUNG)

    assert isinstance(step(document, entry=entry), Mark)
    assert isinstance(step(document, a_source(SourceKind.MISSING), entry, away), Mark)
    assert isinstance(step(document, a_source(version=OTHER), entry), Copy)


@pytest.mark.parametrize(
    "change",
    [{"nas": "nas-2"}, {"id": "8"}, {"file_path": "/app/uploads/other.pdf"}],
    ids=["another NAS", "another id", "another file"],
)
def test_a_receipt_that_differs_in_anything_is_none(change):
    document = a_document()
    entry = an_entry(document, State.COPIED, receipt=replace(a_receipt(document), **change))

    assert valid_receipt(document, entry, NAS) is None
    assert isinstance(step(document, entry=entry), Copy)


def test_an_id_that_was_used_again_begins_with_nothing():
    old = a_document(file_path="/app/uploads/old.pdf")
    entry = an_entry(
        old,
        State.COPIED,
        receipt=a_receipt(old),
        next_attempt=NOW + dt.timedelta(seconds=60),
        attempts=5,
    )

    assert isinstance(step(a_document(), entry=entry), Copy)
    assert isinstance(step(a_document(synced=True), entry=entry), Rest)


def test_a_changed_source_takes_the_flag_back_first():
    document = a_document(synced=True)
    entry = an_entry(document, State.SYNCED, receipt=a_receipt(document))

    decision = step(document, a_source(version=OTHER), entry)

    assert isinstance(decision, Unmark)
    assert decision.reason.code == "unmark.source_changed"


@pytest.mark.parametrize("state", [State.COPIED, State.MARKING])
def test_a_mark_that_arrived_but_was_not_noted_is_noted(state):
    document = a_document(synced=True)
    entry = an_entry(document, state, receipt=a_receipt(document))

    assert isinstance(step(document, entry=entry), Mark)


def test_a_document_whose_date_changed_since_stays_and_says_so():
    document = a_document(synced=True, doc_type="receipt")
    entry = an_entry(document, State.SYNCED, receipt=a_receipt(document))

    decision = step(document, entry=entry)

    assert isinstance(decision, Rest)
    assert decision.reason == Reason(
        "rest.moved_since",
        {
            "destination": "2024/01/factures/7.pdf",
            "filed": "2024/01/factures",
            "now": "2024/01/tickets",
        },
    )


@pytest.mark.parametrize("filed_as", ["2024/01/factures", ""], ids=["filed there", "not known"])
def test_a_document_that_is_where_it_belongs_is_safe_and_says_where(filed_as):
    document = a_document(synced=True)
    entry = an_entry(document, State.SYNCED, receipt=a_receipt(document, filed_as=filed_as))

    decision = step(document, entry=entry)

    assert isinstance(decision, Rest)
    assert decision.reason == Reason("rest.synced", {"destination": "2024/01/factures/7.pdf"})


def test_a_flag_of_somebody_else_is_inherited():
    document = a_document(synced=True)

    for entry in (None, an_entry(document, State.SYNCED, receipt=a_receipt(document, "nas-2"))):
        decision = step(document, entry=entry)
        assert isinstance(decision, Rest)
        assert decision.reason.code == "rest.synced_elsewhere"


def test_a_mount_that_is_away_is_told_with_its_state():
    decision = step(mount=a_view(MountState.NOT_MOUNTED))

    assert decision == Wait(Reason("wait.mount", {"state": "not_mounted"}), None)


def test_an_upload_folder_that_cannot_be_asked_is_waited_for():
    assert step(source=a_source(SourceKind.UNKNOWN)) == Wait(Reason("wait.uploads"), None)


LATER = NOW + dt.timedelta(seconds=100)


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (
            {"source": a_source(SourceKind.LINK)},
            Reason("refuse.link", {"path": "/app/uploads/7.pdf"}),
        ),
        ({"source": a_source(SourceKind.MISSING)}, Reason("wait.no_file", {"path": "7.pdf"})),
        (
            {"source": a_source(SourceKind.UNREADABLE)},
            Reason("source.unreadable", {"path": "7.pdf"}),
        ),
        ({"source": a_source(settled=False)}, Reason("wait.settling", {"path": "7.pdf"})),
        (
            {"document": a_document(processing_status=" Pending ")},
            Reason("wait.metadata", {"status": "pending", "until": "2024-06-01T13:00:00+00:00"}),
        ),
        (
            {
                "entry": an_entry(
                    a_document(),
                    State.FAILED,
                    attempts=3,
                    next_attempt=LATER,
                    reason=Reason("copy.verify"),
                )
            },
            Reason(
                "wait.backoff",
                {"attempts": 3, "until": LATER.isoformat(), "error": "copy.verify"},
            ),
        ),
        (
            {"entry": an_entry(a_document(), State.FAILED, attempts=1, next_attempt=LATER)},
            Reason("wait.backoff", {"attempts": 1, "until": LATER.isoformat(), "error": ""}),
        ),
    ],
)
def test_a_reason_holds_what_one_has_to_know(world, reason):
    assert step(**world).reason == reason


def test_what_is_told_of_a_marked_document_names_its_place():
    document = a_document(synced=True)
    receipt = a_receipt(document)
    entry = an_entry(document, State.SYNCED, receipt=receipt)
    place = {"destination": receipt.destination}

    assert step(document, entry=entry) == Rest(Reason("rest.synced", place))
    assert step(document, a_source(version=OTHER), entry=entry) == Unmark(
        Reason("unmark.source_changed", place)
    )


@pytest.mark.parametrize(
    ("missing_for", "asked_again_in"),
    [(0, 30), (100, 30), (400, 100), (14_400, 3600), (10**6, 3600)],
)
def test_the_longer_a_file_is_missing_the_less_often_it_is_asked_about(missing_for, asked_again_in):
    since = NOW - dt.timedelta(seconds=missing_for)
    entry = an_entry(a_document(), State.WAITING, since=since, reason=Reason("wait.no_file"))

    decision = step(source=a_source(SourceKind.MISSING), entry=entry)

    assert decision.until == NOW + dt.timedelta(seconds=asked_again_in)


def test_a_file_that_settles_is_asked_about_when_it_should_have():
    assert step(source=a_source(settled=False)).until == NOW + dt.timedelta(
        seconds=POLICY.settle_seconds
    )
