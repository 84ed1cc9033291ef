"""Is every document safe? An independent checker: it shares no code with the program.

Given the database, the upload folder and the NAS folder it works out by itself where each document
must be (the rule is written down here a second time, on purpose) and compares bytes. It may be
told what stood on the NAS before (:func:`snapshot`), and where our journal lies: then it also
knows where a collision put a document, and that nothing foreign was changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = {"receipt": "tickets", "invoice": "factures", "payslip": "salaires"}
MARKER = ".nas-syncd.json"


@dataclass
class Verdict:
    """What was found; empty lists are good."""

    total: int = 0
    safe: list[int] = field(default_factory=list)
    unmarked: list[int] = field(default_factory=list)
    lying: list[str] = field(default_factory=list)
    """Marked, and not there, or with other bytes."""
    foreign: list[str] = field(default_factory=list)
    """On the NAS, nobody's, and not there before."""
    early: list[str] = field(default_factory=list)
    """A whole copy of a document that is not marked: fine, but not at the end."""
    doubled: list[str] = field(default_factory=list)
    """A document's bytes that nobody owns, beside the copy that somebody does."""
    partial: list[str] = field(default_factory=list)
    """The beginning of a document, under a name that is no temp file's."""
    changed: list[str] = field(default_factory=list)
    """Stood there before, and does not any more, or with other bytes."""
    temps: list[str] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        return len(self.safe) == self.total and self.honest and not (self.early or self.temps)

    @property
    def honest(self) -> bool:
        """Whether nothing is lost, wrong or left about, finished or not."""
        wrong = (self.lying, self.foreign, self.doubled, self.partial, self.changed)
        return not any(wrong)


@dataclass(frozen=True)
class Row:
    """One document, as the backend has it."""

    id: int
    file_path: str
    doc_type: str | None
    date: str
    flag: bool
    source: Path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(nas: Path) -> dict[str, str]:
    """Return every file on the NAS, ours left out, with its digest: for ``before``."""
    return {path: digest(nas / path) for path in files_of(nas) if not is_ours(path)}


def files_of(nas: Path) -> set[str]:
    """Return every file on the NAS but the marker, and every link."""
    found = {str(p.relative_to(nas)) for p in nas.rglob("*") if p.is_file() or p.is_symlink()}
    return found - {MARKER}


def is_ours(path: str) -> bool:
    return Path(path).name.startswith(".nas-syncd")


def examine(
    database: Path,
    uploads: Path,
    nas: Path,
    backend_dir: str = "/app/uploads",
    *,
    before: Mapping[str, str] | None = None,
    state: Path | None = None,
) -> Verdict:
    """Return the verdict. Names must be harmless ones (no collision with what SMB refuses).

    Args:
        before: What :func:`snapshot` gave before the documents came.
        state: Our state directory: a document may be where its journal says.
    """
    known = before or {}
    rows = list(rows_of(database, uploads, backend_dir))
    places = places_in(state) if state else {}
    verdict = Verdict(total=len(rows))
    files = files_of(nas)
    verdict.changed = sorted(
        path for path, was in known.items() if path not in files or digest(nas / path) != was
    )
    verdict.temps = sorted(filter(is_ours, files))
    left = files - set(verdict.temps)
    for row in rows:
        if not row.flag:
            verdict.unmarked.append(row.id)
            continue
        place = find_place(row, left, nas, places.get((str(row.id), row.file_path)))
        if place is None:
            verdict.lying.append(f"{row.id}: {row.file_path}")
        else:
            left.discard(place)
            verdict.safe.append(row.id)
    judge_strangers(verdict, rows, sorted(left - known.keys()), nas)
    return verdict


def rows_of(database: Path, uploads: Path, backend_dir: str) -> Iterator[Row]:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as db:
        rows = db.execute(
            "SELECT id, file_path, doc_type, date, created_at, synced_to_nas FROM documents"
            " WHERE coalesce(file_path, '') != '' ORDER BY id"
        ).fetchall()
    for row_id, file_path, doc_type, date, created_at, flag in rows:
        source = uploads / file_path.removeprefix(backend_dir + "/")
        yield Row(row_id, file_path, doc_type, date or created_at, bool(flag), source)


def places_in(state: Path) -> dict[tuple[str, str], str]:
    """Return where our journal says that each document is, by id and path."""
    journal = state / "journal.sqlite3"
    with contextlib.closing(sqlite3.connect(journal, timeout=30)) as db:
        return {
            (row_id, file_path): place
            for row_id, file_path, place in db.execute(
                "SELECT id, file_path, destination FROM document WHERE destination IS NOT NULL"
            )
        }


def find_place(row: Row, left: set[str], nas: Path, told: str | None = None) -> str | None:
    """Return the place that holds the source's bytes and is nobody else's: where the journal
    says that it is, or one of the rule's."""
    wanted = digest(row.source)
    for place in (*([told] if told else []), *rule_of(row, wanted)):
        if place in left and digest(nas / place) == wanted:
            return place
    return None


def rule_of(row: Row, wanted: str) -> list[str]:
    """Return the three places of the rule, in order."""
    folder = f"{row.date[:4]}/{row.date[5:7]}/{FOLDERS.get((row.doc_type or '').lower(), 'autres')}"
    stem, suffix = row.source.stem, row.source.suffix
    names = (
        row.source.name,
        f"{stem}-{row.id}{suffix}",
        f"{stem}-{row.id}-{wanted[:12]}{suffix}",
    )
    return [f"{folder}/{name}" for name in names]


def judge_strangers(verdict: Verdict, rows: list[Row], strangers: list[str], nas: Path) -> None:
    """Say of each file that no marked document owns what it is."""
    contents = {row: row.source.read_bytes() for row in rows if strangers and row.source.is_file()}
    awaited = {row for row in contents if not row.flag}
    for path in strangers:
        found = None if (nas / path).is_symlink() else (nas / path).read_bytes()
        same = [row for row, content in contents.items() if content == found]
        arrived = [
            row for row in same if row in awaited and path in rule_of(row, digest(row.source))
        ]
        if arrived:
            awaited.remove(arrived[0])
            verdict.early.append(path)
        elif same:
            verdict.doubled.append(path)
        elif found is not None and any(whole.startswith(found) for whole in contents.values()):
            verdict.partial.append(path)
        else:
            verdict.foreign.append(path)
