"""The log as a person reads it: a sentence for every event, in one line that fits."""

from __future__ import annotations

import ast
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nas_syncd
from nas_syncd.logs.face import Face, Look, columns, middle_out, unbroken, wrapped
from nas_syncd.logs.told import Tone, has_sentence, tell
from nas_syncd.messages import LANGUAGES, TEXTS

PACKAGE = Path(nas_syncd.__file__).parent
NOW = dt.datetime.now(dt.UTC).isoformat()
SYNCED = {
    "timestamp": NOW,
    "level": "info",
    "event": "document.synced",
    "logger": "nas_syncd.daemon",
    "document_id": "42",
    "path": "/app/uploads/9f1c2e4a-6a1b-4f0e-9d53-2f1f0d9b7c11.pdf",
    "name": "facture électricité janvier 2024.pdf",
    "destination": "2024/01/factures/9f1c2e4a-6a1b-4f0e-9d53-2f1f0d9b7c11.pdf",
    "bytes": 1_258_291,
    "seconds": 0.0814,
    "sha256": "0" * 64,
    "adopted": False,
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def logged_events() -> set[str]:
    """Every event name that the program's code hands to one of our loggers."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and node.args and _is_logging(node.func)):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and re.fullmatch(r"\w+\.\w+", str(first.value)):
                found.add(str(first.value))
    return found


def _is_logging(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id == "log"
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("debug", "info", "warning", "error", "exception")
        and isinstance(function.value, ast.Name)
        and function.value.id in ("log", "_log")
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_that_is_logged_at_info_or_above_has_a_sentence(language):
    events = logged_events()
    assert len(events) > 20
    untold = {event for event in events if f"log.{event}" not in TEXTS[language]}
    assert untold <= {"upkeep.interrupted"}  # for debugging only


def test_the_usual_line_in_both_languages():
    told = tell(SYNCED, "fr")
    assert (told.sign, told.tone) == ("✓", Tone.GOOD)
    assert told.sentence == (
        "facture électricité janvier 2024.pdf (42) → "
        "2024/01/factures/9f1c2e4a-6a1b-4f0e-9d53-2f1f0d9b7c11.pdf (1,2 Mio en 82 ms)"
    )
    assert told.rest == ()
    assert tell(SYNCED, "en").aside == "1.2 MiB in 82 ms"
    assert tell({**SYNCED, "adopted": True}, "en").aside == "1.2 MiB, was there already"
    assert tell({**SYNCED, "name": None}, "en").words.startswith("9f1c2e4a")


def test_what_no_sentence_tells_is_left_as_keys_and_values():
    told = tell({**SYNCED, "attempts": 3, "why": "a b"}, "fr")
    assert told.rest == (("attempts", "3"), ("why", '"a b"'))
    unknown = tell({"event": "new.event", "level": "warning", "text": "It rains.", "n": 1}, "fr")
    assert (unknown.words, unknown.rest) == ("It rains.", (("event", "new.event"), ("n", "1")))
    assert not has_sentence({"event": "new.event", "text": "It rains."})


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            {"event": "document.failed", "document_id": 7, "name": "a.pdf", "text": "Denied."},
            "a.pdf (7): Denied.",
        ),
        (
            {"event": "document.waiting", "document_id": 7, "code": "wait.mount", "text": "…"},
            "Document 7: waits for the NAS",
        ),
        ({"event": "mount.changed", "state": "full", "text": "No space."}, "No space."),
        (
            {"event": "mount.changed", "state": "ok", "path": "/mnt/nas", "source": "//n/f"},
            "The NAS is ready: /mnt/nas (//n/f)",
        ),
        (
            {"event": "uploads.changed", "state": "ok", "path": "/u", "watching": "poll"},
            "Looking through the upload folder again and again: /u",
        ),
        ({"event": "daemon.stopping", "in_flight": 0}, "Stopping"),
        (
            {"event": "daemon.stopping", "in_flight": 2},
            "Stopping; 2 being copied are finished first",
        ),
        ({"event": "daemon.stopped", "abandoned": 0}, "nas-syncd has stopped"),
        (
            {"event": "api.ready", "urls": ["unix:/s", "http://127.0.0.1:8377"]},
            "Page and API: http://127.0.0.1:8377",
        ),
        (
            {"event": "database.unavailable", "detail": "refused", "remedy": "Start it."},
            "The database does not answer: refused. Start it",
        ),
        ({"event": "log.foreign", "logger": "systemd", "message": "Started."}, "systemd: Started."),
    ],
)
def test_an_event_is_told_in_words(record, words):
    assert tell(record, "en").words == words


# -- looks -------------------------------------------------------------------------------------


def bare(lines: list[str]) -> list[str]:
    return [ANSI.sub("", line) for line in lines]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_documents_fate_is_one_line_of_a_terminal(width):
    (line,) = bare(Face(Look("fr", width, colour=True)).lines(SYNCED))
    assert columns(line) <= width
    assert "(42) → 2024/01/factures/9f" in line
    assert line.count("…") <= 2


def test_only_what_there_is_room_for_is_left_out():
    short = {**SYNCED, "name": "a.pdf", "destination": "2024/01/factures/a.pdf"}
    (line,) = bare(Face(Look("fr", 80)).lines(short))
    assert line.endswith("✓ a.pdf (42) → 2024/01/factures/a.pdf  1,2 Mio en 82 ms")
    (line,) = bare(Face(Look("fr", 62)).lines(short))
    assert line.endswith("✓ a.pdf (42) → 2024/01/factures/a.pdf  1,2 Mio")


def test_a_long_sentence_goes_on_below_itself():
    record = {
        "event": "mount.changed",
        "level": "warning",
        "timestamp": NOW,
        "text": "Le NAS ne répond pas : rien depuis 30 s. " * 3,
    }
    first, *more = bare(Face(Look("fr", 80, colour=True)).lines(record))
    assert first[8:12] == "  ! "
    assert more
    assert all(line.startswith(" " * 12) and not line[12].isspace() for line in more)
    assert all(columns(line) <= 80 for line in [first, *more])
    assert not any(line.strip().startswith(":") for line in more)


def test_the_day_stands_above_the_first_line_of_each_other_day():
    face = Face(Look("fr", 80))
    at = [{**SYNCED, "timestamp": f"2024-01-{day}T12:00:00Z"} for day in (14, 14, 15)]
    lines = [line for record in [*at, SYNCED] for line in face.lines(record)]
    assert lines[0] == "── 14/01/2024 ──"
    assert lines[3] == "── 15/01/2024 ──"
    assert sum(line.startswith("──") for line in lines) == 3


def test_without_a_terminal_nothing_is_shortened_and_nothing_coloured():
    (line,) = Face(Look("fr")).lines(SYNCED)
    assert "\x1b" not in line
    assert str(SYNCED["destination"]) in line
    assert line.endswith("1,2 Mio en 82 ms")


def test_ascii_is_enough_where_there_is_nothing_else():
    lines = Face(Look("fr", signs=False)).lines({**SYNCED, "name": "a.pdf"})
    assert "+ a.pdf (42) > 2024" in lines[0]
    assert lines[0].isascii()


def test_a_traceback_stands_below_its_line():
    record = {
        "event": "api.error",
        "level": "error",
        "exception": "Traceback:\n  \x1b[2J\nError: x",
    }
    lines = bare(Face(Look("en")).lines(record))
    assert lines[1:] == ["    Traceback:", "      \\x1b[2J", "    Error: x"]


def test_wide_characters_take_two_columns():
    assert columns("発票.pdf") == 8
    assert columns("e\u0301") == 1
    assert columns(middle_out("発票" * 30, 20)) <= 20
    lines = wrapped([("発票" * 30, "")], 41)
    assert all(sum(columns(piece) for piece, _ in line) <= 41 for line in lines)


def test_french_punctuation_does_not_begin_a_line():
    assert unbroken("NAS : « adopt » ; fin") == ["NAS :", "« adopt » ;", "fin"]


# -- whatever a file holds -----------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("timestamp", "level", "document_id", "name", "path", "destination", "bytes", "seconds"),
        *("adopted", "code", "text", "state", "urls", "in_flight", "remedy", "exception", "kind"),
        *("language", "since", "watching", "message", "error", "said"),
    ]
)


@given(
    event=st.sampled_from(sorted(key[4:] for key in TEXTS["en"] if key.startswith("log."))) | JSON,
    values=st.dictionaries(KEYS | st.text(max_size=6), JSON, max_size=8),
    width=st.none() | st.integers(-5, 300),
    language=st.sampled_from(["fr", "en"]),
)
def test_whatever_a_record_holds_its_lines_are_harmless(event, values, width, language):
    record: dict[str, Any] = {**values, "event": event}
    for line in Face(Look(language, width, colour=False)).lines(record):
        assert line.isprintable() or not ANSI.search(line)
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", line)
        line.encode()


def test_a_forged_record_steers_no_terminal():
    hostile = "a\n\x1b[2J\x9b31m\u2028\u202e\udce9\x00"
    record = dict.fromkeys(SYNCED, hostile) | {"event": "document.synced", hostile: hostile}
    shown = "".join(Face(Look("fr", 80, colour=False)).lines(record))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e\udce9]", shown)
