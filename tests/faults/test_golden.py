"""The golden table: complete, as it is written by the program, and fit for a worried person."""

from __future__ import annotations

import re

import pytest

from nas_syncd.errors import BY_CODE
from nas_syncd.messages import LANGUAGES, REMEDIES, TEXTS
from tests.faults import calls, golden
from tests.faults.kinds import KINDS

CODES = golden.codes_in(golden.table())
NOTHING_LOST = {
    "fr": re.compile("rien n’est perdu|l’original est intact", re.IGNORECASE),
    "en": re.compile("nothing is lost|the original is unharmed", re.IGNORECASE),
}
WHAT_TO_DO = {
    "fr": re.compile(
        "vérifiez|libérez|montez|renommez|donnez|rangez|réglages|rien à faire|sera refaite"
        "|essai suit|en disent plus|copié de nouveau"
    ),
    "en": re.compile(
        "check|free some|mount|rename|give the file|move|settings|nothing to do|made again"
        "|attempt follows|say more|copied again"
    ),
}


def test_every_case_has_its_line_and_every_line_its_case():
    wanted = {golden.key_of(calls.case_from(case)[2]) for case in calls.GROUP.cases()}
    assert wanted == golden.table().keys()


def test_the_file_is_as_it_would_be_written():
    assert golden.rendered(golden.table()) == golden.OUTCOMES.read_text(encoding="utf-8")


@pytest.mark.parametrize("claims", [False, True], ids=["exclusive", "claims"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_call_that_is_made_is_tried(kind, claims, tmp_path):
    assert calls.calls_in(kind, claims, tmp_path) == calls.calls_made()[kind, claims]


def test_no_document_is_blamed_for_what_is_nobodys_fault():
    for (call, how, error), outcomes in golden.table().items():
        if error in golden.NOBODYS_FAULT:
            assert {one.whose for one in outcomes} <= {"mount", "nobody"}, (call, how, error)


def test_nothing_is_told_as_an_unexpected_error():
    assert "internal" not in CODES
    assert set(CODES) <= BY_CODE.keys() | {"unmark.not_found", "unmark.vanished"}


@pytest.mark.parametrize("code", CODES)
def test_every_message_says_what_happened_that_nothing_is_lost_and_what_to_do(code):
    for language, said in zip(LANGUAGES, golden.spoken(code), strict=True):
        happened, _, cure = said.partition(". ")
        assert code in TEXTS[language]
        assert len(happened) > 15
        assert code in REMEDIES[language]
        assert NOTHING_LOST[language].search(cure), said
        assert WHAT_TO_DO[language].search(cure.lower()), said
        assert "OSError" not in said
