"""The final check: is every document where it must be, byte for byte, and marked?

Shares no code with the engine, on purpose: it reads the database and the two folders by itself,
knows the rule of filing by itself and hashes everything by itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from nas_syncd.demo.backend import PREFIX, Row

_FOLDERS = {"receipt": "tickets", "invoice": "factures", "payslip": "salaires"}
_OURS = ".nas-syncd"
_MARKER = ".nas-syncd.json"
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)$", re.IGNORECASE)
_MARKED = ("synced_to_nas", "synced_at")
"""The two columns that the daemon may write."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one document; ``fault`` is None when all is right."""

    id: int
    name: str
    place: str | None
    """On the NAS, relative to its root."""
    sha256: str
    """Of what the backend uploaded."""
    marked: bool
    fault: str | None
    """``gone``, ``row``, ``source``, ``missing``, ``damaged``, ``unmarked``."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The verdicts, and what lies on the NAS without belonging to a document."""

    verdicts: tuple[Verdict, ...]
    strangers: tuple[str, ...]

    @property
    def right(self) -> bool:
        return not self.strangers and all(verdict.fault is None for verdict in self.verdicts)

    @property
    def safe(self) -> int:
        return sum(verdict.fault is None for verdict in self.verdicts)

    @property
    def damaged(self) -> bool:
        """Something is wrong that waiting longer would not have put right."""
        return any(verdict.fault not in (None, "unmarked") for verdict in self.verdicts)


def check(
    database: Path, uploads: Path, nas: Path, rows: Mapping[int, Row], digests: Mapping[int, str]
) -> Findings:
    """
    Compare what is there with what must be there.

    Args:
        rows: What the backend wrote into the table, by id.
        digests: The SHA-256 of what it uploaded, by id.
    """
    found = _read_rows(database)
    files = {path: _sha256(nas / path) for path in _files(nas)}
    places = _places(found, digests, files)
    verdicts = tuple(
        _judge(number, wrote, found.get(number), digests[number], places.get(number), files)
        for number, wrote in sorted(rows.items())
    )
    strangers = set(files) - set(places.values()) - {_MARKER}
    verdicts = tuple(_with_source(verdict, rows[verdict.id], uploads) for verdict in verdicts)
    return Findings(verdicts, tuple(sorted(strangers)))


def _places(
    found: Mapping[int, Row], digests: Mapping[int, str], files: Mapping[str, str]
) -> dict[int, str]:
    """Give each file to one document at most: first where the bytes are equal, then by name."""
    places: dict[int, str] = {}
    known = {number: row for number, row in found.items() if number in digests}
    for same in (True, False):
        for number, row in known.items():
            digest = digests[number]
            for path in _possible(number, row, digest, files):
                fits = (files[path] == digest) if same else _is_marked(row)
                if number not in places and path not in places.values() and fits:
                    places[number] = path
    return places


def _judge(
    number: int,
    wrote: Row,
    row: Row | None,
    digest: str,
    place: str | None,
    files: Mapping[str, str],
) -> Verdict:
    marked = row is not None and _is_marked(row)
    fault = None
    if row is None:
        fault = "gone"
    elif any(row[column] != value for column, value in wrote.items() if column not in _MARKED):
        fault = "row"
    elif not marked:
        fault = "unmarked"
    elif place is None:
        fault = "missing"
    elif files[place] != digest:
        fault = "damaged"
    return Verdict(number, str(wrote["original_name"]), place, digest, marked, fault)


def _is_marked(row: Row) -> bool:
    return bool(row["synced_to_nas"]) and row["synced_at"] is not None


def _with_source(verdict: Verdict, wrote: Row, uploads: Path) -> Verdict:
    """The upload must still be what was uploaded."""
    source = uploads / str(wrote["file_path"]).removeprefix(f"{PREFIX}/")
    if verdict.fault is not None or _sha256(source) == verdict.sha256:
        return verdict
    return replace(verdict, fault="source")


def _possible(number: int, row: Row, digest: str, files: Iterable[str]) -> list[str]:
    """Return the files where the document may be, the most particular name first."""
    folder = _folder(row)
    stem, extension = os.path.splitext(PurePosixPath(str(row["file_path"])).name)
    names = [f"{stem}-{number}-{digest[:12]}", f"{stem}-{number}", stem]
    if _UNSAFE.search(stem) or extension != extension.rstrip(". ") or _DEVICE.match(stem):
        return [path for path in files if _stands_for(path, folder, stem, extension)]
    wanted = [f"{folder}/{name}{extension}" for name in names]
    there = set(files)
    return [path for path in wanted if path in there]


def _stands_for(path: str, folder: str, stem: str, extension: str) -> bool:
    """Whether *path* is a safe name for a hostile one: same beginning, same ending."""
    where, _, name = path.rpartition("/")
    safe = not _UNSAFE.search(name) and name == name.rstrip(". ")
    safe = safe and not _DEVICE.match(name.split(".")[0])
    beginning = _UNSAFE.split(stem)[0]
    same = name.lstrip("_").startswith(beginning) and name.endswith(extension.rstrip(". "))
    return where == folder and safe and same


def _folder(row: Row) -> str:
    year, month = str(row["date"] or row["created_at"]).split("-")[:2]
    kind = str(row["doc_type"] or "").lower()
    return f"{year}/{month}/{_FOLDERS.get(kind, 'autres')}"


def _read_rows(database: Path) -> dict[int, dict[str, Any]]:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM documents").fetchall()
    return {row["id"]: dict(row) for row in found}


def _files(nas: Path) -> list[str]:
    """Return everything below *nas* but folders, a link or a device included."""
    found = [
        path.relative_to(nas).as_posix()
        for path in nas.rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]
    return sorted(found)


def _sha256(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
