"""From a row's file_path to the path below the upload folder, and back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd.watcher import paths, relative_path, row_candidates

HERE = "/srv/finance/uploads"
THERE = "/app/uploads"


@pytest.mark.parametrize(
    ("file_path", "relative"),
    [
        ("/app/uploads/a.pdf", "a.pdf"),
        ("/app/uploads/2024/a.pdf", "2024/a.pdf"),
        ("/srv/finance/uploads/a.pdf", "a.pdf"),
        ("//app//uploads/./a.pdf", "a.pdf"),
        ("uploads/a.pdf", "a.pdf"),
        ("./uploads/a.pdf", "a.pdf"),
        ("./a.pdf", "a.pdf"),
        ("a.pdf", "a.pdf"),
        ("sub/a.pdf", "sub/a.pdf"),
        ("uploads", "uploads"),
        ("a..pdf", "a..pdf"),
        (" a.pdf", " a.pdf"),
        ("caf\udce9.pdf", "caf\udce9.pdf"),
        ("\ud800" + "x" * 4093, "\ud800" + "x" * 4093),
    ],
)
def test_a_path_as_the_backend_writes_it_leads_below_the_upload_folder(file_path, relative):
    assert relative_path(file_path, HERE, THERE) == relative


@pytest.mark.parametrize(
    "file_path",
    [
        "",
        "/",
        ".",
        "./",
        "..",
        "../a.pdf",
        "/app/uploads",
        "/app/uploads/",
        "/app/uploads/../secrets",
        "uploads/../../etc/passwd",
        "/app/uploads-old/a.pdf",
        "/etc/passwd",
        "a.pdf/",
        "a\0.pdf",
        "C:\\x.pdf",
        "C:/x.pdf",
        "\\\\nas\\share\\x.pdf",
        "file:///app/uploads/a.pdf",
        "s3://bucket/a.pdf",
        "x" * 4097,
        "💶" * 1025,
    ],
)
def test_what_leads_elsewhere_is_outside(file_path):
    assert relative_path(file_path, HERE, THERE) is None


def test_the_name_of_either_folder_may_stand_in_front():
    assert relative_path("docs/a.pdf", "/srv/docs", "/app/files") == "a.pdf"
    assert relative_path("files/a.pdf", "/srv/docs", "/app/files") == "a.pdf"
    assert relative_path("uploads/a.pdf", "/srv/docs", None) == "a.pdf"


def test_a_relative_database_folder_stands_in_front_as_a_whole():
    assert relative_path("data/uploads/a.pdf", HERE, "./data/uploads") == "a.pdf"


def test_the_candidates_are_every_string_a_row_may_hold():
    assert row_candidates("2024/a.pdf", HERE, THERE) == [
        "/app/uploads/2024/a.pdf",
        "/srv/finance/uploads/2024/a.pdf",
        "2024/a.pdf",
        "uploads/2024/a.pdf",
        "./2024/a.pdf",
        "./uploads/2024/a.pdf",
    ]


def test_both_unicode_forms_are_candidates():
    name = unicodedata.normalize("NFD", "reçu.pdf")

    found = row_candidates(name, HERE, None)

    assert f"{HERE}/{name}" in found
    assert f"{HERE}/reçu.pdf" in found


def test_a_name_that_no_database_can_hold_has_no_candidates():
    assert row_candidates("caf\udce9.pdf", HERE, THERE) == []


NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."}
)


@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from([None, THERE, "/data", "/"]))
def test_every_candidate_leads_back_to_its_file(parts, database_folder):
    relative = "/".join(parts)
    forms = {unicodedata.normalize(form, relative) for form in ("NFC", "NFD")} | {relative}

    candidates = row_candidates(relative, HERE, database_folder)

    assert len(candidates) == len(set(candidates))
    for candidate in candidates:
        assert relative_path(candidate, HERE, database_folder) in forms


def test_an_endless_path_is_not_kept_in_memory():
    before = paths._kept_relative_path.cache_info().currsize

    assert relative_path("data:application/pdf;base64," + "A" * 300_000, HERE, THERE) is None
    assert paths._kept_relative_path.cache_info().currsize == before
    assert relative_path(f"{THERE}/kept.pdf", HERE, THERE) == "kept.pdf"
    assert paths._kept_relative_path.cache_info().currsize > 0
