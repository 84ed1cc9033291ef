"""Where a document goes: the rule, and what no document can make of it."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd.errors import UnfilableError
from nas_syncd.models import Document
from nas_syncd.names import fill_sha, place_key
from nas_syncd.routing import (
    DEFAULT_FOLDERS,
    candidates_for,
    destination_for,
    filing_date,
    folder_for,
    folder_path,
)
from tests.helpers import a_document
from tests.test_names import ANY_NAME, is_holdable

ZONES = st.timezones() | st.just(dt.UTC)
MOMENTS = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=ZONES)  # noqa: DTZ001
PATHS = ANY_NAME | st.builds("/app/uploads/{}".format, ANY_NAME) | st.text("./\\a", max_size=20)
DOCUMENTS = st.builds(
    Document,
    id=st.integers().map(str) | st.uuids().map(str) | st.text(max_size=60),
    file_path=PATHS.filter(bool),
    doc_type=st.none() | st.sampled_from(["invoice", "RECEIPT", "../..", "/etc"]) | st.text(),
    date=st.none() | st.dates(),
    created_at=MOMENTS,
)
DIGESTS = st.binary().map(lambda data: hashlib.sha256(data).hexdigest())


@given(DOCUMENTS)
def test_no_document_leads_out_of_the_nas_or_to_a_name_that_smb_refuses(document):
    for candidate in candidates_for(document):
        year, month, folder, name = fill_sha(candidate, "0" * 64).split("/")
        assert len(year) == 4
        assert year.isdecimal()
        assert 1 <= int(month) <= 12
        assert folder in DEFAULT_FOLDERS.values()
        assert is_holdable(name), name


@given(DOCUMENTS, DIGESTS)
def test_the_three_candidates_are_three_places(document, digest):
    places = {place_key(fill_sha(place, digest)) for place in candidates_for(document)}

    assert len(places) == 3


@given(DOCUMENTS)
def test_the_same_document_always_goes_to_the_same_place(document):
    assert candidates_for(document) == candidates_for(document)
    assert destination_for(document) == candidates_for(document)[0]


@given(DOCUMENTS)
def test_all_candidates_lie_in_the_folder_that_the_rule_gives(document):
    assert {c.rpartition("/")[0] for c in candidates_for(document)} == {folder_path(document)}


@pytest.mark.parametrize(
    ("doc_type", "folder"),
    [
        ("receipt", "tickets"),
        ("invoice", "factures"),
        ("payslip", "salaires"),
        ("other", "autres"),
        ("INVOICE", "factures"),
        (" PaySlip ", "salaires"),
        ("contract", "autres"),
        ("", "autres"),
        (None, "autres"),
    ],
)
def test_the_type_decides_the_folder_in_any_letter_case(doc_type, folder):
    assert folder_for(doc_type) == folder


def test_folders_can_be_set_and_the_unknown_goes_to_others():
    folders = {"invoice": "Rechnungen", "other": "Sonstiges"}

    assert folder_for("Invoice", folders) == "Rechnungen"
    assert folder_for("payslip", folders) == "Sonstiges"
    assert folder_for("payslip", {"invoice": "x"}) == "autres"


def test_the_example_of_the_contract():
    document = a_document(
        "42", file_path="/app/uploads/abc.pdf", doc_type="invoice", date=dt.date(2024, 1, 15)
    )

    assert candidates_for(document) == (
        "2024/01/factures/abc.pdf",
        "2024/01/factures/abc-42.pdf",
        "2024/01/factures/abc-42-{sha12}.pdf",
    )


def test_without_a_date_the_day_of_creation_counts_in_utc():
    late_in_tokyo = dt.datetime(2024, 3, 1, 5, 0, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    document = a_document(date=None, created_at=late_in_tokyo)

    assert filing_date(document) == dt.date(2024, 2, 29)


def test_a_document_without_any_date_cannot_be_filed():
    document = a_document("9", date=None, created_at=None)

    with pytest.raises(UnfilableError) as caught:
        candidates_for(document)
    assert caught.value.params == {"id": "9"}


def test_an_id_that_is_no_file_name_is_a_digest_in_the_suffix():
    one, other = (candidates_for(a_document(i, file_path="a.pdf"))[1] for i in ("a/../b", "a/b"))

    assert one != other
    assert ".." not in one
