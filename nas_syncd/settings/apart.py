"""The upload folder, the NAS and the state directory must not contain one another.

The NAS and the upload folder are compared by their names alone, for a look at either may hang.
The state directory is ours and local: its symbolic links are followed, but never into the NAS, nor
into any other network mount, which may hang as well.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nas_syncd.mounttable import find_mount, read_mount_table
from nas_syncd.settings.values import NotAllowedError

MOST_LINKS = 40
CASELESS = sys.platform == "darwin"
"""macOS's own file systems ignore letter case."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with the name of the setting that gave it."""

    name: str
    path: str

    @classmethod
    def of(cls, name: str, path: str | Path | None) -> Place:
        return cls(name, str(path) if path else "")


def check_apart(nas: Place, uploads: Place, state: Place, log_file: Place) -> None:
    """
    Refuse folders within one another, and a log file on the NAS or among the uploads.

    An empty path is in nobody's way.

    Raises:
        NotAllowedError: ``settings.overlap`` or ``settings.log_file_inside``.
    """
    far = [place for place in (nas, uploads) if place.path]
    for one, other in ((uploads, nas), (state, nas), (state, uploads)):
        if one.path and other.path and (_inside(one.path, other) or _inside(other.path, one)):
            raise _overlap(one, other)
    real = _followed(state, far)
    for place in far:
        if _inside(place.path, Place(state.name, real)):
            raise _overlap(state, place)
        if log_file.path and _inside(log_file.path, place):
            raise NotAllowedError(
                "settings.log_file_inside",
                name=log_file.name,
                given=log_file.path,
                other=place.name,
                other_given=place.path,
            )


def _followed(state: Place, forbidden: list[Place]) -> str:
    """Return the state directory without links; refused before one leads to *forbidden*."""
    done, to_do, links = PurePosixPath("/"), list(PurePosixPath(state.path).parts[1:]), 0
    mounts = read_mount_table()
    while to_do:
        part = to_do.pop(0)
        step = done.parent if part == ".." else done / part
        for place in forbidden:
            if _inside(str(step), place):
                raise _overlap(state, place)
        mount = find_mount(mounts, str(step))
        if mount is not None and mount.network:
            return str(step.joinpath(*to_do))
        target = _link(step) if links < MOST_LINKS else None
        if target is None:
            done = step
            continue
        links += 1
        parts = PurePosixPath(target).parts
        if target.startswith("/"):
            done, parts = PurePosixPath("/"), parts[1:]
        to_do[:0] = parts
    return str(done)


def _link(path: PurePosixPath) -> str | None:
    try:
        return os.readlink(path)
    except OSError:  # no link, or not there yet
        return None


def _inside(path: str, place: Place) -> bool:
    return PurePosixPath(_comparable(path)).is_relative_to(_comparable(place.path))


def _comparable(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold() if CASELESS else path


def _overlap(one: Place, other: Place) -> NotAllowedError:
    return NotAllowedError(
        "settings.overlap",
        name=one.name,
        given=one.path,
        other=other.name,
        other_given=other.path,
    )
