"""The demo: its folder, its papers, its script, its independent check, and the whole of it."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_syncd.demo import run_demo
from nas_syncd.demo.backend import Backend
from nas_syncd.demo.check import Findings, check
from nas_syncd.demo.place import DEFAULT_NAME, MARKER, FolderError, Place, claim
from nas_syncd.demo.process import adopt, environment, write_config
from nas_syncd.demo.samples import AWAY_FROM, HOSTILE_NAME, SAMPLES, Manner, Paper, Sample
from nas_syncd.demo.scene import Scene, Tone
from nas_syncd.demo.script import Arrivals, Script
from nas_syncd.messages import demo_en, demo_fr

HERE = Path(__file__).parent.parent
NOBODYS = {"NAS_MOUNT_PATH": "/elsewhere", "NAS_SYNCD_WORKERS": "not a number"}
"""What a user may have set; none of it may reach the demo's daemon."""


@contextlib.contextmanager
def claimed(folder: Path | None) -> Iterator[Place]:
    place = claim(folder)
    try:
        yield place
    finally:
        place.close()


# -- the folder -----------------------------------------------------------------------------


def test_a_folder_with_something_else_in_it_is_refused_and_stays_as_it_is(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")

    with pytest.raises(FolderError) as refused:
        claim(tmp_path)

    assert refused.value.code == "demo.folder.foreign"
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a folder to somebody else")
def test_a_demo_folder_of_somebody_else_is_not_cleared(tmp_path):
    """Who owns it may put a link to a folder of ours in its place while it is cleared."""
    theirs = tmp_path / "demo"
    claim(theirs).close()
    (theirs / "uploads/kept.txt").write_text("still there")
    os.chown(theirs, 65534, 65534)

    with pytest.raises(FolderError) as refused:
        claim(theirs)

    assert refused.value.code == "demo.folder.foreign"
    assert (theirs / "uploads/kept.txt").exists()


def test_a_former_demo_is_cleared_but_what_it_did_not_make_stays(tmp_path):
    with claimed(tmp_path / "demo") as former:
        (former.nas / "2025").mkdir()
        (former.folder / "notes.txt").write_text("mine")

    with claimed(tmp_path / "demo") as place:
        assert list(place.nas.iterdir()) == []
        assert (place.folder / "notes.txt").read_text() == "mine"
        place.clear()

    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["notes.txt"]


def test_a_link_in_a_demo_folder_is_removed_and_not_followed(tmp_path):
    target = tmp_path / "real-nas"
    target.mkdir()
    (target / "archive.pdf").write_bytes(b"kept")
    with claimed(tmp_path / "demo") as former:
        former.nas.rmdir()
        former.nas.symlink_to(target)

    with claimed(tmp_path / "demo") as place:
        assert not place.nas.is_symlink()

    assert (target / "archive.pdf").read_bytes() == b"kept"


def test_a_folder_that_is_a_link_is_nobodys_demo(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "real")

    with pytest.raises(FolderError):
        claim(tmp_path / "demo")


def test_a_running_demos_folder_is_not_taken_from_it(tmp_path):
    with claimed(tmp_path / "demo") as running:
        (running.nas / "document").touch()

        with pytest.raises(FolderError) as refused:
            claim(tmp_path / "demo")

        assert refused.value.code == "demo.folder.busy"
        assert (running.nas / "document").exists()


def test_without_a_wish_the_folder_is_here_and_a_fresh_temporary_one_where_that_is_taken(
    tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with claimed(None) as first, claimed(None) as second:
        assert first.folder == tmp_path / "here" / DEFAULT_NAME
        assert second.folder.parent == tmp_path

    foreign = tmp_path / "here" / DEFAULT_NAME
    with claimed(foreign) as place:
        place.clear()
    assert not foreign.exists()
    foreign.mkdir()
    (foreign / "precious.txt").write_text("mine")
    with claimed(None) as third:
        assert third.folder.parent == tmp_path
    assert [path.name for path in foreign.iterdir()] == ["precious.txt"]


def test_the_marker_alone_does_not_say_ours_when_it_says_something_else(tmp_path):
    (tmp_path / MARKER).write_text("something else")
    (tmp_path / "nas").mkdir()

    with pytest.raises(FolderError):
        claim(tmp_path)


# -- the papers -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Sample, bytes]]:
    papers = pytest.importorskip("nas_syncd.demo.papers")
    return [(sample, papers.draw(number, sample)) for number, sample in enumerate(SAMPLES, 1)]


def test_the_papers_are_real_pdfs_and_jpegs_and_no_two_are_equal(drawn):
    heads = {sample.paper: data[:4] for sample, data in drawn}

    assert heads.pop(Paper.TICKET)[:3] == b"\xff\xd8\xff"
    assert set(heads.values()) == {b"%PDF"}
    assert len({hashlib.sha256(data).digest() for _, data in drawn}) == len(drawn)


def test_the_papers_are_small_and_big(drawn):
    sizes = sorted(len(data) for _, data in drawn)

    assert sizes[0] < 2_000
    assert sizes[-1] > 2_900_000


def test_the_samples_hold_every_case_that_the_demo_promises():
    assert {sample.manner for sample in SAMPLES} == set(Manner)
    assert {sample.paper for sample in SAMPLES} == set(Paper)
    assert {"u1/scan.pdf", "u2/scan.pdf", HOSTILE_NAME} <= {sample.upload for sample in SAMPLES}
    assert len({sample.date.month for sample in SAMPLES if sample.date}) >= 4
    assert any(AWAY_FROM < sample.at < AWAY_FROM + 0.11 for sample in SAMPLES)


@pytest.mark.parametrize("module", ["fpdf", "PIL"])
def test_without_the_libraries_one_line_says_how_to_get_them(module, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "nas_syncd.demo.papers", raising=False)
    monkeypatch.delattr("nas_syncd.demo.papers", raising=False)

    code = run_demo(seconds=8, folder=tmp_path / "demo", keep=False, language="en")

    said = capsys.readouterr().err.splitlines()
    assert code == 78
    assert len(said) == 1
    assert "-m pip install fpdf2 pillow" in said[0]
    assert not (tmp_path / "demo").exists()


# -- the script -----------------------------------------------------------------------------


@pytest.fixture
def backend(tmp_path) -> Iterator[Backend]:
    (tmp_path / "uploads").mkdir()
    found = Backend(tmp_path / "documents.db", tmp_path / "uploads")
    yield found
    found.close()


def sample(manner: Manner, *, at: float = 0.5) -> Sample:
    invoice = next(one for one in SAMPLES if one.paper is Paper.INVOICE)
    return dataclasses.replace(invoice, at=at, manner=manner, late=1.0, upload="one.pdf")


def played(backend: Backend, one: Sample) -> Script:
    script = Script(10.0)
    Arrivals(backend, [(one, bytes(range(256)))]).write(script)
    script.play(5.1)
    return script


def test_a_row_can_come_after_its_file(backend, tmp_path):
    script = played(backend, sample(Manner.ROW_LATE))
    assert ((tmp_path / "uploads/one.pdf").exists(), list(backend.rows)) == (True, [])

    script.play(10.0)
    assert (script.over, list(backend.rows)) == (True, [1])


def test_a_file_can_come_after_its_row(backend, tmp_path):
    script = played(backend, sample(Manner.FILE_LATE))
    assert ((tmp_path / "uploads/one.pdf").exists(), list(backend.rows)) == (False, [1])

    script.play(10.0)
    assert (tmp_path / "uploads/one.pdf").read_bytes() == bytes(range(256))


def test_type_and_date_can_come_late(backend):
    script = played(backend, sample(Manner.METADATA_LATE))
    waiting = dict(backend.rows[1])

    script.play(10.0)

    columns = ("processing_status", "doc_type", "date")
    assert tuple(waiting[column] for column in columns) == ("processing", None, None)
    known = tuple(backend.rows[1][column] for column in columns)
    assert known == ("completed", "invoice", "2025-01-14")


def test_a_slow_file_grows_and_is_whole_in_the_end(backend, tmp_path):
    upload = tmp_path / "uploads/one.pdf"
    script = played(backend, sample(Manner.SLOWLY))
    first = upload.stat().st_size

    script.play(5.5)
    assert 0 < first < upload.stat().st_size < 256

    script.play(10.0)
    assert upload.read_bytes() == bytes(range(256))


# -- the environment ------------------------------------------------------------------------


def test_nothing_that_the_user_has_set_reaches_the_daemon(tmp_path, monkeypatch):
    for name, value in {**NOBODYS, "DATABASE_URL": "x", "NOTIFY_SOCKET": "@x"}.items():
        monkeypatch.setenv(name, value)

    with claimed(tmp_path / "demo") as place:
        handed_on = environment(place)

    assert not [name for name in handed_on if name.startswith(("NAS_", "DATABASE", "NOTIFY"))]
    inside = {handed_on["HOME"], handed_on["TMPDIR"]}
    assert all(Path(path).is_relative_to(tmp_path / "demo") for path in inside)


# -- the check ------------------------------------------------------------------------------


class Filed:
    """A finished demo as it must look, made by hand: what the check is put to."""

    NAMES = ("a.pdf", "u1/scan.pdf", "u2/scan.pdf", HOSTILE_NAME, "CON.pdf")
    PLACES = (
        "2025/03/factures/a.pdf",
        "2025/03/factures/scan-2.pdf",
        "2025/03/factures/scan.pdf",
        "2025/03/factures/Facture _août__ 50% _payé__.pdf~0123abcd",
        "2025/03/factures/_CON~0123abcd.pdf",
    )

    def __init__(self, folder: Path) -> None:
        self.nas, self.uploads = folder / "nas", folder / "uploads"
        self.database = folder / "documents.db"
        self.uploads.mkdir()
        self.backend = Backend(self.database, self.uploads)
        self.digests: dict[int, str] = {}
        places = [place.replace(".pdf~0123abcd", "~0123abcd.pdf") for place in self.PLACES]
        for number, (name, place) in enumerate(zip(self.NAMES, places, strict=True), 1):
            self._file(number, name, place)
        (self.nas / ".nas-syncd.json").write_text("{}")
        (self.nas / ".nas-syncd-tmp").mkdir()

    def _file(self, number: int, name: str, place: str) -> None:
        data = f"document {number}".encode()
        self.digests[number] = hashlib.sha256(data).hexdigest()
        self.backend.store(name, data)
        row = {
            "id": number,
            "user_id": 1,
            "file_path": f"/app/uploads/{name}",
            "original_name": name,
            "doc_type": "INVOICE",
            "date": "2025-03-09",
            "created_at": "2026-01-01 10:00:00",
        }
        self.backend.insert(row)
        self.sql(f"UPDATE documents SET synced_to_nas = 1, synced_at = 'now' WHERE id = {number}")
        path = self.nas / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def sql(self, statement: str) -> None:
        self.backend._connection.execute(statement)

    def check(self) -> Findings:
        rows, digests = self.backend.rows, self.digests
        return check(self.database, self.uploads, self.nas, rows, digests)

    def faults(self) -> dict[int, str]:
        return {one.id: one.fault for one in self.check().verdicts if one.fault}


@pytest.fixture
def filed(tmp_path) -> Iterator[Filed]:
    made = Filed(tmp_path)
    yield made
    made.backend.close()


def test_what_is_right_is_found_right(filed):
    findings = filed.check()

    assert findings.right, findings
    assert findings.safe == len(Filed.NAMES)


def test_one_changed_byte_on_the_nas_is_found(filed):
    (filed.nas / "2025/03/factures/a.pdf").write_bytes(b"documenT 1")

    assert filed.faults() == {1: "damaged"}
    assert filed.check().strangers == ()


def test_a_damaged_twin_is_not_taken_for_the_other(filed):
    (filed.nas / "2025/03/factures/scan.pdf").write_bytes(b"")

    assert filed.faults() == {3: "damaged"}


def test_a_file_in_the_wrong_place_is_a_stranger_and_its_document_missing(filed):
    (filed.nas / "2025/03/autres").mkdir()
    old = filed.nas / "2025/03/factures/a.pdf"
    old.rename(filed.nas / "2025/03/autres/a.pdf")

    assert filed.faults() == {1: "missing"}
    assert filed.check().strangers == ("2025/03/autres/a.pdf",)


def test_twins_with_the_same_bytes_need_two_files(filed):
    data = (filed.nas / "2025/03/factures/scan.pdf").read_bytes()
    filed.backend.store("u1/scan.pdf", data)
    filed.digests[2] = filed.digests[3]
    (filed.nas / "2025/03/factures/scan-2.pdf").unlink()

    assert list(filed.faults().values()) == ["missing"]


def test_a_document_that_is_there_and_not_marked_is_not_safe(filed):
    filed.sql("UPDATE documents SET synced_to_nas = 0 WHERE id = 1")

    assert filed.faults() == {1: "unmarked"}
    assert not filed.check().damaged


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE documents SET doc_type = 'other' WHERE id = 1", "row"),
        ("UPDATE documents SET synced_at = NULL WHERE id = 1", "unmarked"),
        ("DELETE FROM documents WHERE id = 1", "gone"),
    ],
)
def test_a_row_that_is_not_what_the_backend_wrote_is_found(filed, statement, fault):
    filed.sql(statement)

    assert filed.faults() == {1: fault}


@pytest.mark.parametrize("content", [b"", None])
def test_an_upload_that_was_touched_is_found(filed, content):
    source = filed.uploads / "a.pdf"
    source.unlink() if content is None else source.write_bytes(content)

    assert filed.faults() == {1: "source"}


@pytest.mark.parametrize(
    "left", [".nas-syncd-tmp/1.part", "2025/03/factures/copy.pdf", ".nas-syncd-claims/x"]
)
def test_whatever_else_is_left_on_the_nas_is_found(filed, left):
    path = filed.nas / left
    path.parent.mkdir(exist_ok=True)
    path.touch()

    findings = filed.check()
    assert findings.strangers == (left,)
    assert not findings.right


def test_a_hostile_name_that_went_to_the_nas_as_it_is_does_not_count(filed):
    for number in (4, 5):
        bad = filed.nas / "2025/03/factures" / Filed.NAMES[number - 1]
        good = filed.nas / filed.check().verdicts[number - 1].place
        good.rename(bad)

    assert filed.faults() == {4: "missing", 5: "missing"}


# -- the scene and the words ----------------------------------------------------------------


def test_the_daemons_events_become_lines_and_the_same_waiting_is_told_once():
    scene = Scene("en")
    waiting = {"event": "document.waiting", "document_id": "7", "name": "a.pdf", "code": "new.x"}
    for event in (
        {**waiting, "text": "It waits. Do nothing."},
        {**waiting, "text": "It waits. Do nothing."},
        {"event": "mount.changed", "state": "not_mounted", "text": "Gone. Mount it."},
        {"event": "document.synced", "name": "a\x1b.pdf", "destination": "d", "bytes": 2048},
        {"event": "daemon.started"},
    ):
        scene.take(event)

    assert [line.tone for line in scene.lines] == [Tone.WAITING, Tone.BAD, Tone.GOOD]
    assert scene.lines[0].words == "a.pdf: It waits"
    assert scene.lines[1].words == "NAS: not mounted (bare folder)"
    assert "\x1b" not in scene.lines[2].words


def test_both_languages_say_the_same_things_about_the_same_values():
    blanks = {
        language: {key: set(re.findall(r"\{(\w+)\}", words)) for key, words in texts.items()}
        for language, texts in (("fr", demo_fr.TEXTS), ("en", demo_en.TEXTS))
    }

    assert blanks["fr"] == blanks["en"]


def test_every_text_that_the_demo_asks_for_is_there():
    folder = HERE / "nas_syncd" / "demo"
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    asked = set(re.findall(r'"(demo(?:\.\w+)+)"', sources))

    assert len(asked) > 20
    assert asked - demo_en.TEXTS.keys() == set()


# -- the whole ------------------------------------------------------------------------------


def snapshot(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def is_running(folder: Path) -> bool:
    """Whether somebody, a daemon that was left behind included, holds the demo's lock."""
    marker = os.open(folder / MARKER, os.O_RDWR)
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(marker)
    return False


def test_adopting_the_pretend_nas_works_and_the_users_settings_do_not_get_in(tmp_path, monkeypatch):
    for name, value in NOBODYS.items():
        monkeypatch.setenv(name, value)

    with claimed(tmp_path / "démo $x") as place:
        write_config(place, "en")
        code, said = adopt(place)

        assert code == 0, said
        assert "nas" in json.loads((place.nas / ".nas-syncd.json").read_text())


@pytest.mark.slow
def test_the_demo_ends_well_and_writes_nothing_outside_its_folder(tmp_path, drawn):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / ".env").write_text("NAS_SYNCD_WORKERS=not a number\n")
    env = {**os.environ, **NOBODYS, "PYTHONPATH": str(HERE), "HOME": str(home)}

    done = subprocess.run(
        [sys.executable, "-m", "nas_syncd", "demo", "--seconds", "12", "--keep"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        timeout=110,
        check=False,
    )

    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    folder = tmp_path / DEFAULT_NAME
    filed = [path for path in (folder / "nas").rglob("*") if path.is_file()]
    assert len(filed) == len(SAMPLES) + 1, said  # and the marker
    assert demo_fr.TEXTS["demo.story.away"] in said
    assert "✗ NAS" in said  # the daemon noticed that it was away
    outside = {path for path in snapshot(tmp_path) if not path.startswith(DEFAULT_NAME)}
    assert outside == {".env", "home"}
    assert not is_running(folder)


@pytest.mark.slow
def test_a_file_that_is_damaged_before_the_final_check_makes_the_demo_fail(tmp_path, drawn, capsys):
    def damage(folder: Path) -> None:
        victim = next((folder / "nas").rglob("edf-mai.pdf"))
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)

    code = run_demo(
        seconds=8, folder=tmp_path / "demo", keep=False, language="en", before_check=damage
    )

    said = capsys.readouterr().out
    assert code == 1, said
    assert [line for line in said.splitlines() if "DAMAGED ON THE NAS" in line]
    assert (tmp_path / "demo" / "nas").is_dir()  # what went wrong stays to be looked at


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_daemon_and_tells_what_is_safe(tmp_path, drawn, number):
    folder = tmp_path / "demo"
    script = f"""
import sys
from pathlib import Path
from nas_syncd.demo import run_demo
sys.exit(run_demo(seconds=60, folder=Path({str(folder)!r}), keep=False,
                  language="en", as_json=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as demo:
        assert demo.stderr is not None
        assert demo.stdout is not None
        line = next(line for line in demo.stderr if line.startswith("✓") and "→" in line)
        demo.send_signal(number)
        result = json.loads(demo.stdout.read())

    assert demo.returncode == 130, line
    assert (result["ok"], result["interrupted"], result["faults"]) == (False, True, [])
    assert 0 < result["safe"] < len(SAMPLES)
    assert not is_running(folder)
