"""What the watcher tells: hints, and how the upload folder itself is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from nas_syncd.errors import SyncError, UploadsError
from nas_syncd.models import Reason, Source, SourceKind, SourceVersion

Watching = Literal["native", "poll", "none"]


class UploadsMissingError(UploadsError):
    """The upload folder is not there. Params: ``path``."""

    code = "uploads.missing"


class UploadsDeniedError(UploadsError):
    """The system refuses us the upload folder. Params: ``path``, ``errno``."""

    code = "uploads.denied"


class UploadsHungError(UploadsError):
    """The upload folder does not answer. Params: ``path``."""

    code = "uploads.hung"


class Batch(list["Hint"]):
    """Hints that arrived together. ``taken()`` lets the scan behind them go on: whoever puts
    them off for later says so when they are done with, so that they cannot pile up."""

    def __init__(self, hints: Iterable[Hint], taken: Callable[[], None]) -> None:
        super().__init__(hints)
        self.taken = taken


class UploadsState(StrEnum):
    """What the upload folder is to us now."""

    UNKNOWN = "unknown"
    OK = "ok"
    MISSING = "missing"
    DENIED = "denied"
    HUNG = "hung"
    ERROR = "error"


_ERRORS: dict[UploadsState, type[UploadsError]] = {
    UploadsState.MISSING: UploadsMissingError,
    UploadsState.DENIED: UploadsDeniedError,
    UploadsState.HUNG: UploadsHungError,
    UploadsState.ERROR: UploadsError,
}


@dataclass(frozen=True, slots=True)
class Hint:
    """Something may have happened at *relative*."""

    relative: str
    kind: SourceKind
    version: SourceVersion | None
    """Only for FILE."""
    closed: bool
    """Its writer was seen to close it, just before this look."""
    by: Literal["event", "scan"]


@dataclass(frozen=True, slots=True)
class UploadsView:
    """The upload folder as last looked at. ``reason`` is None while it is OK or UNKNOWN."""

    state: UploadsState
    path: str
    since: dt.datetime
    reason: Reason | None = None
    watching: Watching = "none"
    scanned_at: dt.datetime | None = None
    files: int | None = None
    """Entries the last scan saw."""
    warning: Reason | None = None
    """Why events cannot be had although they were wanted: ``uploads.deaf`` (events do not come;
    suggest ``NAS_SYNCD_WATCH=poll``), ``uploads.watch_limit`` (params ``limit``),
    ``uploads.watch_failed`` (params ``detail``)."""


def essence(view: UploadsView) -> tuple[object, ...]:
    """Return what a person wants to hear of when it changes."""
    return view.state, view.reason, view.watching, view.warning


def meant(error: BaseException, state: UploadsState, path: str) -> UploadsError:
    """Return the error of the folder that the child's (or the machinery's) error means."""
    params: dict[str, object] = {"path": path}
    detail = str(error)
    if isinstance(error, SyncError):
        params |= {k: v for k, v in error.params.items() if k not in {"state", "side", "role"}}
        detail = error.detail
    meant = _ERRORS[state](detail, **params)
    meant.__cause__ = error
    return meant


def source_of(relative: str, look: list[Any]) -> Source:
    """Return a look as it comes from the child (kind, size, mtime_ns, inode)."""
    return Source(relative, SourceKind(look[0]), _version(look))


def hint_of(entry: list[Any], by: Literal["event", "scan"]) -> Hint:
    """Return an entry as it comes from the child (path, a look, closed)."""
    return Hint(entry[0], SourceKind(entry[1]), _version(entry[1:]), entry[5], by)


def _version(look: list[Any]) -> SourceVersion | None:
    return SourceVersion(look[1], look[2], look[3]) if look[0] == SourceKind.FILE else None
