"""The operations pages: what they quote is what is said, and every trouble has its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas_syncd import errors
from nas_syncd.cli.app import app
from nas_syncd.messages import LANGUAGES, REMEDIES, TEXTS, explain
from nas_syncd.models import MountState, Reason
from tests.docs_examples import EXAMPLE

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "operations").glob("*.md"))
QUOTE = re.compile(r"^`([a-z_.]+)`:\n\n> (.+)\n>\n> (.+)$", re.MULTILINE)
QUOTED = [
    (page.stem, *quote)
    for page in PAGES
    for quote in QUOTE.findall(page.read_text(encoding="utf-8"))
]
OWN_AFFAIR = {"mount.error", "mount.ok", "mount.unknown"}
"""Families that are always told by one of their members, and states that are no trouble."""


@pytest.mark.parametrize(("page", "code", "french", "english"), QUOTED)
def test_a_page_quotes_word_for_word_what_is_said(page, code, french, english):
    reason = Reason(code, EXAMPLE.get(code, {}))
    assert (french, english) == (explain(reason, "fr"), explain(reason, "en")), page


def test_nothing_that_looks_like_a_quotation_escapes_the_comparison():
    lines = sum(page.read_text().count("\n> ") for page in PAGES)
    assert lines == 2 * len(QUOTED) > 60


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_trouble_that_has_a_remedy_has_its_page(language):
    quoted = {code for _, code, _, _ in QUOTED}
    families = ("mount.", "uploads.", "database.", "journal.", "source.", "place.", "refuse.")
    troubles = {code for code in REMEDIES[language] if code.startswith((*families, "problem."))}
    troubles |= {f"mount.{state}" for state in MountState if f"mount.{state}" in TEXTS[language]}
    troubles |= {code for code in errors.BY_CODE if code.startswith(families)}
    covered = quoted | OWN_AFFAIR | {"source.refused", "place.busy"}
    assert troubles - covered == set()


def test_every_page_is_reached_from_the_index_and_every_link_leads_somewhere():
    index = (DOCS / "operations.md").read_text()
    linked = set(re.findall(r"\]\(operations/([a-z-]+)\.md\)", index))
    assert linked == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_a_title_and_names_only_commands_that_exist(page):
    text = page.read_text()
    assert re.match(r"# [A-Z]", text)
    commands = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    commands |= {group.name for group in app.registered_groups if group.name}
    named = set(re.findall(r"`nas-syncd ([a-z]+)\b", text))
    assert named <= commands


def test_the_log_page_tells_of_every_option_of_the_command():
    text = (DOCS / "operations/reading-the-log.md").read_text()
    for option in ("-f", "--document", "--level", "--since", "-n", "--json"):
        assert f" {option}" in text
