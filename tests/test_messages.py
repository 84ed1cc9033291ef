"""What people read: complete in both languages, and readable whatever it is given."""

from __future__ import annotations

import datetime as dt
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd import errors, messages
from nas_syncd.messages import explain, harmless_json, remedy, render_error, text
from nas_syncd.models import MountState, Reason, SourceKind

NOW = dt.datetime(2024, 1, 15, 14, 30, tzinfo=dt.UTC)
CURED = ("mount.", "uploads.", "database.", "source.", "place.")
BLANK = re.compile(r"\{(\w*)\}")


def blanks(template: str) -> set[str]:
    return set(BLANK.findall(template))


@pytest.mark.parametrize("catalogue", [messages.TEXTS, messages.REMEDIES])
def test_both_languages_have_the_same_keys_and_blanks(catalogue):
    assert {key: blanks(words) for key, words in catalogue["fr"].items()} == {
        key: blanks(words) for key, words in catalogue["en"].items()
    }


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("catalogue", [messages.TEXTS, messages.REMEDIES])
def test_every_template_is_well_formed(catalogue, language):
    for key, words in catalogue[language].items():
        bare = BLANK.sub("", words)
        assert words.strip() == words, key
        assert not re.search(r"[{}\n]", bare), key
        assert bare.count("[[") == bare.count("]]"), key


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("code", sorted(errors.BY_CODE))
def test_every_error_has_a_text_in_both_languages(code, language):
    assert code in messages.TEXTS[language]


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("code", [c for c in sorted(errors.BY_CODE) if c.startswith(CURED)])
def test_every_trouble_with_the_outside_has_a_remedy_in_both_languages(code, language):
    assert (remedy(code, language) or "").endswith(".")


@pytest.mark.parametrize("state", list(MountState))
def test_every_state_of_the_mount_has_words(state):
    assert text(f"mount.{state}", "fr") in text("wait.mount", "fr", state=state)


@pytest.mark.parametrize(
    "kind", [SourceKind.LINK, SourceKind.DIRECTORY, SourceKind.SPECIAL, SourceKind.OUTSIDE]
)
def test_every_refused_kind_of_file_has_words(kind):
    assert f"refuse.{kind}" in messages.TEXTS["fr"]
    assert messages.TEXTS["en"][f"kind.{kind}"] in text("source.refused", "en", kind=kind)


def test_the_texts_of_the_contract_are_word_for_word():
    assert text("test.ok", "fr") == "Montage NAS accessible en lecture/écriture"
    assert text("sync.done", "fr", path="/app/nas_backup/2024/01/factures/abc.pdf") == (
        "Synchronisé vers /app/nas_backup/2024/01/factures/abc.pdf"
    )
    denied = text("mount.denied", "fr")
    assert denied.startswith("Permission refusée")
    assert text("document.line", "fr", id=42, text=denied).startswith(
        "Document 42: Permission refusée"
    )
    named = text("document.line_named", "fr", id=42, name="facture.pdf", text=denied)
    assert named.startswith("Document 42: facture.pdf: Permission refusée")


@pytest.mark.parametrize(
    ("code", "happened", "cure"),
    [
        ("mount.unconfigured", "NAS non configuré", "NAS_MOUNT_PATH"),
        ("mount.missing", "n’existe pas", "Montez le partage"),
        ("mount.denied", "Permission refusée", "droits SMB"),
        ("mount.full", "Plus d’espace", "Libérez de l’espace"),
    ],
)
def test_the_four_fixed_troubles_say_what_happened_and_what_to_do(code, happened, cure):
    assert happened in text(code, "fr")
    assert cure in (remedy(code, "fr") or "")


@pytest.mark.parametrize(("language", "usual"), [("fr", "pas monté"), ("en", "not mounted")])
def test_not_mounted_names_the_usual_cause_before_it_speaks_of_pairing(language, usual):
    cure = remedy("mount.not_mounted", language) or ""
    assert 0 <= cure.index(usual) < cure.index("nas-syncd adopt")
    assert ".nas-syncd" not in cure
    assert "--new-nas" not in cure


@pytest.mark.parametrize(
    ("code", "confirmed_by"),
    [("mount.foreign", "adopt --new-nas"), ("mount.suspect", "nas-syncd adopt")],
)
def test_another_nas_is_shown_beside_the_expected_one(code, confirmed_by):
    words = explain(Reason(code, {"path": "/mnt/nas", "expected": "cifs", "found": "ext4"}), "en")
    assert "cifs" in words
    assert "ext4" in words
    assert words.lower().index("check") < words.index(confirmed_by)


def test_the_cause_behind_a_wait_brings_its_own_words_and_remedy():
    waiting = explain(Reason("wait.mount", {"state": "full", "free": 1024}), "en")
    assert "No space left on the NAS: 1 KiB free" in waiting
    assert waiting.endswith("Free some space on the NAS; synchronisation then goes on by itself.")

    failed = Reason("wait.backoff", {"attempts": 3, "error": "copy.verify", "path": "a.pdf"})
    assert "What the NAS gave back differs from the original: a.pdf" in explain(failed, "en")


def test_an_error_is_rendered_with_its_parameters_its_detail_and_its_remedy():
    assert render_error(errors.NasFullError(free=0, needed=3 * 2**30), "en") == (
        "No space left on the NAS: 0 B free, 3 GiB needed. Nothing is lost, the documents wait. "
        "Free some space on the NAS; synchronisation then goes on by itself."
    )
    assert "no route" in render_error(errors.NasDownError("no route"), "en")
    assert "internal" not in render_error(errors.SyncError(), "en")
    wrong = errors.ConfigurationError("NAS_SYNCD_WORKERS = '0': a whole number", name="x")
    assert "NAS_SYNCD_WORKERS = '0': a whole number" in render_error(wrong, "en")


@pytest.mark.parametrize("code", ["mount.error", "mount.down", "document.error"])
def test_a_trouble_of_many_causes_names_the_one(code):
    """A reason from the journal has the errno only, an error its words, in which it stands."""
    assert "(EBUSY)" in text(code, "fr", errno="EBUSY", path="/mnt/nas")
    error = errors.BY_CODE[code]("Device busy (EBUSY): a", errno="EBUSY", path="a")
    assert render_error(error, "en").count("EBUSY") == 1


def test_parameters_may_have_any_name():
    assert "boom" in render_error(errors.SyncError("boom", code=1, language="x", params=2), "en")
    assert explain(Reason("rest.synced", {"code": 1, "language": 2, "destination": "a"}), "en")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_an_unknown_code_is_readable_and_shows_itself(language):
    assert "mount.invented" in text("mount.invented", language, detail="x")
    assert remedy("mount.invented", language) is None


def test_an_unknown_language_is_french():
    assert text("test.ok", "de") == text("test.ok", "fr")
    assert messages.language_of("en_GB.UTF-8") == "en"
    assert messages.language_of(None) == "fr"


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("key", sorted(messages.TEXTS["fr"]))
def test_no_text_needs_its_parameters(key, language):
    assert text(key, language)
    assert "{" not in text(key, language)
    assert "[[" not in text(key, language)


def test_a_missing_blank_is_a_question_mark_and_an_optional_one_is_left_out():
    assert text("rest.moved_since", "en", filed="autres").startswith(
        "Filed as autres, would now be ?"
    )
    assert text("rest.synced", "en") == "Copied, verified and marked"


@given(st.text(), st.sampled_from(messages.LANGUAGES))
def test_a_hostile_name_stays_in_its_line(name, language):
    line = text("document.line_named", language, id=1, name=name, text=name)
    assert line.isprintable() or not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", line)
    line.encode()


def test_a_name_that_is_no_text_is_shown_escaped():
    assert text("sync.done", "en", path="a\udce9\n\x1b[31m{path}[[x]]") == (
        r"Synced to a\xe9\n\x1b[31m{path}[[x]]"
    )


@pytest.mark.parametrize(
    ("count", "french", "english"),
    [
        (0, "0 o", "0 B"),
        (1023, "1023 o", "1023 B"),
        (1024, "1 Kio", "1 KiB"),
        (1.5 * 2**30, "1,5 Gio", "1.5 GiB"),
        (2**20 - 1, "1 Mio", "1 MiB"),
        (5 * 2**50, "5120 Tio", "5120 TiB"),
        (float("nan"), "?", "?"),
    ],
)
def test_sizes_read_as_in_the_language(count, french, english):
    assert messages.bytes_text(count, "fr") == french
    assert messages.bytes_text(count, "en") == english


@pytest.mark.parametrize(
    ("seconds", "english"),
    [
        (0, "0 s"),
        (0.34, "0.3 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (7200, "2 h"),
        (3605, "1 h"),
        (273_600, "3 d 4 h"),
        (-5, "0 s"),
        (float("inf"), "?"),
    ],
)
def test_durations_have_two_units_at_most(seconds, english):
    assert messages.duration_text(seconds, "en") == english


def test_moments_read_as_in_the_language():
    earlier = NOW - dt.timedelta(minutes=5)
    assert messages.since_text(earlier, NOW, "fr") == "depuis 5 min"
    assert messages.since_text(earlier, NOW, "en") == "for 5 min"
    assert messages.ago_text(earlier, NOW, "fr") == "il y a 5 min"
    assert messages.ago_text(NOW, earlier, "en") == "0 s ago"
    assert messages.time_text(NOW, "fr", dt.UTC) == "15/01/2024 14:30:00 UTC"
    assert messages.time_text(NOW.replace(tzinfo=None), "en", dt.UTC) == "2024-01-15 14:30:00 UTC"
    assert messages.time_text(dt.datetime.max.replace(tzinfo=dt.UTC), "fr")


@pytest.mark.parametrize("until", [NOW, NOW.isoformat()])
def test_a_time_parameter_is_shown_as_a_time_also_when_it_comes_from_the_journal(until):
    assert messages.time_text(NOW, "fr") in text("wait.metadata", "fr", until=until)


@given(
    st.sampled_from(sorted(messages.TEXTS["fr"])),
    st.dictionaries(
        st.sampled_from(["path", "error", "state", "kind", "until", "free", "seconds", "id"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.sampled_from(sorted(messages.TEXTS["fr"]))
        | st.lists(st.text())
        | st.datetimes(),
    ),
)
def test_no_parameter_whatever_breaks_a_text(key, params):
    assert explain(Reason(key, params), "fr")


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_json_made_harmless_means_the_same_and_steers_nothing(value):
    words = harmless_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(words) == value
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", words
    )
