"""From a row's ``file_path`` to the path below the upload folder, and back. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_DRIVE_OR_SCHEME = re.compile(r"^([A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://|\\\\)")
_USUAL_NAME = "uploads"
LONGEST_PATH = 4096
"""In UTF-8 bytes: no system opens a longer one. The paths of many rows go to the child in one
frame, which a few endless ones would burst."""


def relative_path(file_path: str, upload_dir: str, db_upload_dir: str | None) -> str | None:
    """Return the path below the upload folder that *file_path* means; None: it leads outside.

    Understood are paths under *db_upload_dir* or *upload_dir*, and relative ones, with or
    without the folder's own name (or ``uploads``) in front. ``//`` and ``/./`` are evened out.
    Anything with ``..`` in it, another absolute path, ``C:\\x`` or ``file://…`` is outside, and so
    is what is longer than any path can be. Asked several times of each document, so the answer is
    kept for a while.
    """
    if len(file_path) > LONGEST_PATH:  # not kept either
        return None
    return _kept_relative_path(file_path, upload_dir, db_upload_dir)


@lru_cache(maxsize=2048)
def _kept_relative_path(file_path: str, upload_dir: str, db_upload_dir: str | None) -> str | None:
    return _relative_path(file_path, upload_dir, db_upload_dir)


def _relative_path(file_path: str, upload_dir: str, db_upload_dir: str | None) -> str | None:
    if not file_path or "\0" in file_path or _DRIVE_OR_SCHEME.match(file_path):
        return None
    if len(file_path.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        return None
    components = file_path.split("/")
    if ".." in components or components[-1] in {"", "."}:
        return None
    parts = _parts(file_path)
    beginnings = _absolute(upload_dir, db_upload_dir)
    if not file_path.startswith("/"):
        beginnings = _relative(upload_dir, db_upload_dir)
    for beginning in beginnings:
        if len(parts) > len(beginning) and parts[: len(beginning)] == beginning:
            return "/".join(parts[len(beginning) :])
    return None if file_path.startswith("/") else "/".join(parts)


def row_candidates(relative: str, upload_dir: str, db_upload_dir: str | None) -> list[str]:
    """Return the exact strings that a row may hold for the file at *relative*.

    The likeliest come first; each maps back to the same file (or to its name in the other
    Unicode form). No duplicates, and none that a database could not hold (names that are
    not UTF-8 give none at all).
    """
    return list(dict.fromkeys(_candidates(relative, upload_dir, db_upload_dir)))


def likeliest_row(relative: str, upload_dir: str, db_upload_dir: str | None) -> str | None:
    """Return the first of :func:`row_candidates`, without the cost of the others."""
    return next(_candidates(relative, upload_dir, db_upload_dir), None)


def _candidates(relative: str, upload_dir: str, db_upload_dir: str | None) -> Iterator[str]:
    forms = dict.fromkeys(
        (relative, unicodedata.normalize("NFC", relative), unicodedata.normalize("NFD", relative))
    )
    for form in forms:
        for beginning in _beginnings(upload_dir, db_upload_dir):
            candidate = beginning + form
            if _holdable(candidate) and (
                _relative_path(candidate, upload_dir, db_upload_dir) == form
            ):
                yield candidate


@lru_cache(maxsize=8)
def _beginnings(upload_dir: str, db_upload_dir: str | None) -> list[str]:
    folders = [base.rstrip("/") + "/" for base in (db_upload_dir, upload_dir) if base]
    names = ["/".join(parts) + "/" for parts in _relative(upload_dir, db_upload_dir)]
    return [*folders, "", *names, "./", *(f"./{name}" for name in names)]


@lru_cache(maxsize=8)
def _absolute(upload_dir: str, db_upload_dir: str | None) -> list[list[str]]:
    return [_parts(base) for base in (db_upload_dir, upload_dir) if base and base.startswith("/")]


@lru_cache(maxsize=8)
def _relative(upload_dir: str, db_upload_dir: str | None) -> list[list[str]]:
    """Return what may stand before a relative path: the folder as given, or its name."""
    bases = [_parts(base) for base in (db_upload_dir, upload_dir) if base]
    whole = [
        parts
        for parts, base in zip(bases, filter(None, (db_upload_dir, upload_dir)), strict=True)
        if parts and not base.startswith("/")
    ]
    return [*whole, *([parts[-1]] for parts in bases if parts), [_USUAL_NAME]]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _holdable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
