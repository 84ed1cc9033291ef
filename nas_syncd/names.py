"""File names that every SMB server and Windows can hold. Pure; standard library only.

FACTS, "Names": ``<>:"/\\|?*``, control characters, trailing dots and spaces and the reserved
device names are refused or mangled; a name has at most 255 UTF-8 bytes and 255 UTF-16 units; "the
same place" means equal under NFC and casefold. The NAS agent uses this module too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

OWN_PREFIX = ".nas-syncd"
"""Everything of our own on the NAS begins with it; no document may."""
MARKER_NAME = ".nas-syncd.json"
"""The file at the NAS's root that says which NAS it is."""
TEMP_FOLDER = ".nas-syncd-tmp"
"""Where files are written before they are renamed into place."""
CLAIM_FOLDER = ".nas-syncd-claims"
"""Claims on destinations, where the mount has no atomic rename that never replaces."""

SHA_PLACE = "{sha12}"
"""Stands in the last candidate for the first 12 digits of the content's SHA-256."""
LONGEST_NAME = 255
"""In UTF-8 bytes and in UTF-16 units: what both Linux and SMB servers hold."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED = re.compile(r"^(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])$", re.IGNORECASE)


def fill_sha(candidate: str, sha256: str) -> str:
    """Return *candidate* with the content's digest in its blank."""
    return candidate.replace(SHA_PLACE, sha256[:12])


def place_key(path: str) -> str:
    """Return what two paths share when they are "the same place", whatever the NAS thinks."""
    folded = unicodedata.normalize("NFC", path).casefold()
    return unicodedata.normalize("NFC", folded)


class Names:
    """The names in a folder. Each is found by any name that is "the same place".

    Most are their own place key and kept once: a folder may hold tens of thousands.
    """

    __slots__ = ("_others", "_own_keys")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._own_keys: set[str] = set()
        self._others: dict[str, tuple[str, ...]] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        key = place_key(name)
        if key == name:
            self._own_keys.add(name)
        else:
            self._others[key] = (*self._without(key, name), name)

    def like(self, name: str) -> str | None:
        """Return the name that stands at the place that *name* means, as it is spelt there.

        Where several do, as on a case-sensitive file system, it is *name* itself if it is there.
        """
        key = place_key(name)
        others = self._others.get(key, ())
        if name in others:
            return name
        if key in self._own_keys:
            return key
        return others[-1] if others else None

    def forget(self, name: str) -> None:
        """Nothing of this very name is there any more."""
        key = place_key(name)
        if key == name:
            self._own_keys.discard(name)
        elif left := self._without(key, name):
            self._others[key] = left
        else:
            self._others.pop(key, None)

    def _without(self, key: str, name: str) -> tuple[str, ...]:
        return tuple(one for one in self._others.get(key, ()) if one != name)

    def __iter__(self) -> Iterator[str]:
        yield from self._own_keys
        for names in self._others.values():
            yield from names


def last_component(file_path: str) -> str:
    """Return the file's own name, of a path as the backend wrote it."""
    return PurePosixPath(file_path).name


def safe_tag(text: str) -> str:
    """Return a row's id as a part of a file name: itself when harmless, else a digest of it."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def safe_name(name: str) -> str:
    """Return *name* as every SMB server and Windows can hold it.

    Deterministic. A harmless name only becomes NFC. What had to be replaced leaves a short
    digest of the original, so that two different names never become one.
    """
    name = unicodedata.normalize("NFC", name)
    safe = _FORBIDDEN.sub("_", name).replace(SHA_PLACE, "_sha12_")
    safe = safe.rstrip(". ")
    if not safe.strip("_") or _RESERVED.match(safe.split(".")[0].rstrip()):
        safe = f"_{safe}"
    if place_key(safe).startswith(OWN_PREFIX) or safe.startswith("._"):
        safe = f"_{safe}"
    if safe != name or not _fits(safe):
        safe = _cut(safe, f"~{_digest(name)}")
    return safe


def with_suffix(name: str, suffix: str) -> str:
    """Return *name* with *suffix* before its extension, no longer than the limit.

    What has to be cut off leaves its digest: a long name that already ends like the suffix
    would otherwise give itself again.
    """
    stem, extension = split_name(name)
    whole = f"{stem}{suffix}{extension}"
    return whole if _fits(whole) else _cut(name, f"~{_digest(name)}{suffix}")


def _cut(name: str, suffix: str) -> str:
    stem, extension = split_name(name)
    while stem and not _fits(f"{stem}{suffix}{extension}"):
        stem = stem[:-1]
    return f"{stem}{suffix}{extension}"


def split_name(name: str) -> tuple[str, str]:
    """Split before the extension; a leading dot or an over-long ending is no extension."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension.encode("utf-8", "surrogatepass")) > 32:
        return name, ""
    return stem, dot + extension


def _fits(name: str) -> bool:
    name = name.replace(SHA_PLACE, "0" * 12)
    utf8 = len(name.encode("utf-8", "surrogatepass"))
    utf16 = len(name.encode("utf-16-le", "surrogatepass")) // 2
    return utf8 <= LONGEST_NAME and utf16 <= LONGEST_NAME


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
