"""Names that every SMB server and Windows can hold."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas_syncd.names import (
    LONGEST_NAME,
    SHA_PLACE,
    Names,
    fill_sha,
    last_component,
    place_key,
    safe_name,
    safe_tag,
    split_name,
    with_suffix,
)

SHA = hashlib.sha256(b"x").hexdigest()
DEVICES = ["CON", "PRN", "AUX", "NUL", "CONIN$", "COM1", "com0", "LPT9", "LPT³"]
ANY_NAME = st.text(st.characters(), max_size=300) | st.text(
    st.sampled_from('ab.-_ ~é\u0301ß😀<>:"/\\|?*\0\n\udce9CONnul1$'), max_size=300
)


def is_holdable(name: str) -> bool:
    """The rules of FACTS, "Names", written down a second time."""
    return (
        name not in ("", ".", "..")
        and not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
        and not name.endswith((".", " "))
        and not re.match(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?$", name, re.IGNORECASE)
        and not name.startswith("._")
        and not place_key(name).startswith(".nas-syncd")
        and len(name.encode("utf-8")) <= 255  # raises for what is not Unicode
        and len(name.encode("utf-16-le")) // 2 <= 255
        and unicodedata.normalize("NFC", name) == name
    )


@given(ANY_NAME)
@example("CON .pdf")
@example("aux.tar.gz")
@example(".nas-ſyncd.json")
@example(".NAS-SYNCD-x.part")
@example("._" + "x" * 300)
@example("é" * 200)
@example("😀" * 130)
@example("x." + "y" * 254)
def test_every_name_becomes_one_that_smb_can_hold(name):
    assert is_holdable(safe_name(name)), safe_name(name)


@given(ANY_NAME)
def test_making_safe_is_deterministic_and_a_safe_name_is_left_alone(name):
    once = safe_name(name)

    assert safe_name(name) == once
    assert safe_name(once) == once


@pytest.mark.parametrize(
    "name", ["scan.pdf", "Facture n° 12 (2024).pdf", "été.jpeg", ".hidden", "a" * 255, "-7.pdf"]
)
def test_a_harmless_name_stays_as_it_is(name):
    assert safe_name(name) == name


@given(ANY_NAME, ANY_NAME)
@example("a:b.pdf", "a?b.pdf")
@example("a", "a.")
@example("con", "_con")
def test_two_names_become_one_only_if_they_are_the_same_place(one, other):
    if safe_name(one) == safe_name(other) and safe_name(one) not in (one, other):
        assert unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ending", ["", ".pdf", " .pdf", ".tar.gz"])
def test_a_device_name_is_never_used_whatever_its_extension(device, ending):
    stem = safe_name(device + ending).split(".")[0].rstrip()

    assert stem.upper() != device.upper()


@pytest.mark.parametrize("ours", [".nas-syncd.json", ".NAS-SYNCD-TMP", ".nas-ſyncd-claims", "._a"])
def test_no_document_takes_a_name_of_ours_or_one_that_fruit_vetoes(ours):
    safe = safe_name(ours)

    assert not place_key(safe).startswith(".nas-syncd")
    assert not safe.startswith("._")


@pytest.mark.parametrize(
    ("one", "other"),
    [("É.pdf", "e\u0301.PDF"), ("STRASSE", "straße"), ("ſ", "S"), ("ΣΑΣ", "σας"), ("\u212b", "å")],
)
def test_the_same_place_is_seen_through_case_and_composition(one, other):
    assert place_key(one) == place_key(other)


@given(st.text())
def test_a_place_key_is_its_own_key(text):
    assert place_key(place_key(text)) == place_key(text)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/app/uploads/a.pdf", "a.pdf"),
        ("a.pdf", "a.pdf"),
        ("x/y//z.pdf", "z.pdf"),
        ("C:\\scans\\a.pdf", "C:\\scans\\a.pdf"),
        ("/app/uploads/..", ".."),
    ],
)
def test_a_documents_name_is_the_last_component_of_its_path(path, name):
    assert last_component(path) == name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.pdf", ("a", ".pdf")),
        ("a.tar.gz", ("a.tar", ".gz")),
        (".hidden", (".hidden", "")),
        ("none", ("none", "")),
        ("a." + "x" * 33, ("a." + "x" * 33, "")),
    ],
)
def test_the_suffix_goes_before_what_is_really_an_extension(name, parts):
    assert split_name(name) == parts


def test_a_name_that_holds_our_blank_for_the_digest_is_not_filled_in():
    safe = safe_name("a{sha12}.pdf")

    assert fill_sha(safe, SHA) == safe
    assert safe != safe_name("a_sha12_.pdf")


@given(ANY_NAME, st.sampled_from(["-7", "-123456", "-" + "k" * 40, f"-7-{SHA_PLACE}"]))
def test_a_suffix_stays_whole_and_the_name_within_the_limit(name, suffix):
    got = fill_sha(with_suffix(safe_name(name), suffix), SHA)

    assert is_holdable(got)
    assert split_name(got)[0].endswith(fill_sha(suffix, SHA))


@pytest.mark.parametrize("tail", ["-7", f"-7-{SHA[:12]}"])
@pytest.mark.parametrize("length", range(LONGEST_NAME - 17, LONGEST_NAME + 1))
def test_a_long_name_that_ends_like_a_suffix_still_gives_three_names(tail, length):
    plain = "a" * (length - len(tail) - 4) + tail + ".pdf"
    names = [plain, with_suffix(plain, "-7"), fill_sha(with_suffix(plain, f"-7-{SHA_PLACE}"), SHA)]

    assert len({place_key(name) for name in names}) == 3
    assert max(map(len, names)) <= LONGEST_NAME


@pytest.mark.parametrize("id_", ["7", "0f8fad5b-d9cb-469f-a165-70867728950e", "a_b-C"])
def test_a_harmless_id_is_its_own_tag(id_):
    assert safe_tag(id_) == id_


@given(st.text())
def test_any_id_gives_a_tag_that_a_name_can_hold(id_):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", safe_tag(id_))


@given(st.text(), st.text())
def test_different_ids_have_different_tags(one, other):
    assert (safe_tag(one) == safe_tag(other)) == (one == other)


# -- the names in a folder --------------------------------------------------------------------


@given(st.lists(st.text(min_size=1), max_size=8), st.text(min_size=1))
@example(["a.pdf"], "A.PDF")
@example(["A.pdf"], "a.pdf")
@example(["a.pdf", "A.pdf"], "A.pdf")
@example(["A.pdf", "a.pdf"], "a.pdf")
@example(["Scan.pdf", "SCAN.pdf"], "Scan.pdf")
@example(["Caf\u00e9.pdf"], "cafe\u0301.pdf")
def test_a_name_is_found_by_any_that_is_the_same_place_and_first_by_itself(there, wanted):
    names = Names(there)

    found = names.like(wanted)

    same = [name for name in there if place_key(name) == place_key(wanted)]
    assert found in same if same else found is None
    if wanted in same:
        assert found == wanted
    assert sorted(names) == sorted(set(there))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True))
@example(["Scan.pdf", "SCAN.pdf", "scan.pdf"])
def test_a_name_that_is_gone_is_forgotten_and_no_other(there):
    names = Names(there)

    names.forget(there[0])

    assert sorted(names) == sorted(there[1:])
    assert names.like(there[0]) in (None, *there[1:])
