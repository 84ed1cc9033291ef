"""Every naughty string as a file's name, as ``original_name`` and as ``doc_type``: one real run.

A document is filed under a name that every SMB server can hold, below the rule's own folders, or
it is refused with a reason; and whatever is said of it steers no terminal and forges no line.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

from tests.hostile.naughty import LOG_INJECTION, NAMES, PATHS, RAW_NAMES, TERMINAL, TEXTS
from tests.hostile.scene import (
    client,
    command,
    documents,
    everything_said,
    on_the_nas,
    same_place,
    smb_refuses,
    steering,
    stuck,
)
from tests.lab.parts import wait_until
from tests.oracle import digest
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

Start = Callable[[Stage], RunningDaemon]
FOLDERS = {"tickets", "factures", "salaires", "autres"}
OUR_OWN = (".nas-syncd", "._", "{sha12}")
"""What stands for something of our own or of macOS's on the NAS: there the name is another one."""


def upload_all(stage: Stage) -> dict[int, str]:
    """Upload every string in every part; return the string of each row."""
    rows: list[tuple[str, str, str]] = []
    strings = []

    def add(relative: str, original_name: str, doc_type: str, string: str) -> None:
        path = stage.uploads / relative
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{len(rows)}: {relative}".encode("utf-8", "surrogatepass"))
        rows.append((f"{BACKEND_DIR}/{relative}", original_name, doc_type))
        strings.append(string)

    for name in NAMES:
        add(f"name/{name}", name, "invoice", name)
    for number, text in enumerate(TEXTS):
        add(f"text/original{number}.pdf", text, "receipt", text)
        add(f"text/type{number}.pdf", "a name", text, text)
    for raw in RAW_NAMES:
        with open(bytes(stage.uploads) + b"/name/" + raw, "wb") as file:
            file.write(raw)
    with sqlite3.connect(stage.database) as db:
        db.executemany(
            "INSERT INTO documents (file_path, original_name, doc_type, date, created_at)"
            " VALUES (?, ?, ?, '2024-01-15', '2024-01-16 10:00:00')",
            rows,
        )
    return dict(enumerate(strings, 1))


def wrongly_filed(stage: Stage) -> list[str]:
    """Compare the NAS with the uploads by content, which no two documents here share."""
    wrong = []
    files = {digest(path): path for path in on_the_nas(stage.nas)}
    places = [same_place(str(path.relative_to(stage.nas))) for path in files.values()]
    if len(set(places)) != len(places) or len(files) != len(on_the_nas(stage.nas)):
        wrong.append("two documents in one place")
    flagged = stage.sql("SELECT id, file_path, doc_type FROM documents WHERE synced_to_nas")
    for id_, file_path, doc_type in flagged:
        source = stage.uploads / file_path.removeprefix(f"{BACKEND_DIR}/")
        path = files.pop(digest(source), None)
        if path is None:
            wrong.append(f"{id_}: marked and not on the NAS: {file_path!r}")
            continue
        year, month, folder, name = path.relative_to(stage.nas).parts
        known = {"receipt": "tickets", "invoice": "factures", "payslip": "salaires"}
        if (year, month, folder) != ("2024", "01", known.get(doc_type, "autres")):
            wrong.append(f"{id_}: in {path.parent}: {doc_type!r}")
        if smb_refuses(name):
            wrong.append(f"{id_}: SMB refuses {name!r}: {smb_refuses(name)}")
        plain = unicodedata.normalize("NFC", source.name)
        kept = same_place(name).startswith(same_place(plain.rpartition(".")[0] or plain))
        ours = plain.lower().startswith(OUR_OWN)
        if not (smb_refuses(plain) or len(plain) > 200 or ours or kept):
            wrong.append(f"{id_}: a harmless name was changed: {source.name!r} -> {name!r}")
    return wrong + [f"nobody's: {path}" for path in files.values()]


def test_every_naughty_string_is_filed_or_refused_and_harms_nobody(
    stage: Stage, start: Start
) -> None:
    strings = upload_all(stage)
    daemon = start(stage)
    wait_until(
        lambda: stage.marked() == len(strings) or daemon.process.poll() is not None,
        "all of them marked",
        seconds=60,
    )
    lines = documents(stage)

    assert set(lines) == {str(id_) for id_ in strings}
    assert [strings[int(line["id"])] for line in stuck(lines)] == []
    assert wrongly_filed(stage) == []
    assert stage.verdict().temps == []
    worst = [str(NAMES.index(name) + 1) for name in (*TERMINAL, *LOG_INJECTION)]
    said = everything_said(stage, *worst)
    assert {where: found for where, text in said.items() if (found := steering(text))} == {}
    assert "\x1b" not in "".join(daemon.text)
    assert daemon.stop() == 0
    assert [event for event in daemon.events if event["level"] in ("error", "critical")] == []
    synced = [event for event in daemon.events if event["event"] == "document.synced"]
    assert len(synced) == len(strings), "a forged line, or one that is missing"
    assert sorted(path.name for path in stage.root.iterdir()) == [
        "backend.sqlite",
        "config.env",
        "nas",
        "state",
        "uploads",
    ]


def test_every_naughty_string_may_be_asked_about(stage: Stage, start: Start) -> None:
    """As an id and as a path: an answer or a refusal in words, never an error of ours."""
    daemon = start(stage)
    daemon.wait_for("api.ready")
    ask = client(stage)
    wrong = []
    for text in (*NAMES, *PATHS[:-1]):
        word = quote(text, safe="", errors="surrogatepass")
        for path in (f"/sync/explain?wanted={word}", f"/sync/documents?user_id={word}"):
            said = ask.get(path)
            if said.status not in (200, 404, 422) or steering(said.body.decode()):
                wrong.append((text, path, said.status))

    assert wrong == []
    for words in (("explain", "--", "\x9b2J\u202e"), ("logs", "--since", "\x1b[2J10m")):
        told = command(stage, *words)
        assert told.code in (1, 2)
        assert "Traceback" not in told.err
        assert steering(told.out + told.err) == set()
    assert daemon.stop() == 0
    assert daemon.count("api.error") == 0
