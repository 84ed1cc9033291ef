"""Is every document safe? An independent checker: it shares no code with the program.

Given the database, the upload folder and the NAS folder it works out by itself where each document
must be (the rule is written down here a second time, on purpose) and compares bytes.
"""

from __future__ import annotations

import hashlib
import sqlite3
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
    """On the NAS, and nobody's."""
    temps: list[str] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        return len(self.safe) == self.total and not (self.lying or self.foreign or self.temps)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def examine(database: Path, uploads: Path, nas: Path, backend_dir: str = "/app/uploads") -> Verdict:
    """Return the verdict. Names must be harmless ones (no collision with what SMB refuses)."""
    with sqlite3.connect(database) as db:
        rows = db.execute(
            "SELECT id, file_path, doc_type, date, created_at, synced_to_nas FROM documents"
            " WHERE coalesce(file_path, '') != '' ORDER BY id"
        ).fetchall()
    verdict = Verdict(total=len(rows))
    files = {str(p.relative_to(nas)) for p in nas.rglob("*") if p.is_file()}
    files.discard(MARKER)
    verdict.temps = sorted(f for f in files if Path(f).name.startswith(".nas-syncd"))
    left = files - set(verdict.temps)
    for row_id, file_path, doc_type, date, created_at, flag in rows:
        if not flag:
            verdict.unmarked.append(row_id)
            continue
        source = uploads / file_path.removeprefix(backend_dir + "/")
        place = find_place(row_id, source, doc_type, date or created_at, left, nas)
        if place is None:
            verdict.lying.append(f"{row_id}: {file_path}")
        else:
            left.discard(place)
            verdict.safe.append(row_id)
    verdict.foreign = sorted(left)
    return verdict


def find_place(
    row_id: int, source: Path, doc_type: str | None, date: str, left: set[str], nas: Path
) -> str | None:
    """Return the place of the rule that holds the source's bytes and is nobody else's."""
    wanted = digest(source)
    folder = f"{date[:4]}/{date[5:7]}/{FOLDERS.get((doc_type or '').lower(), 'autres')}"
    stem, suffix = source.stem, source.suffix
    for name in (
        source.name,
        f"{stem}-{row_id}{suffix}",
        f"{stem}-{row_id}-{wanted[:12]}{suffix}",
    ):
        place = f"{folder}/{name}"
        if place in left and digest(nas / place) == wanted:
            return place
    return None
