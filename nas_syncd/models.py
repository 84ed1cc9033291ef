"""The nouns of nas-syncd: frozen dataclasses, no I/O, no clock.

Times are aware UTC ``datetime``s unless a name says otherwise (``_ns``, ``_seconds``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Scope:
    """Which table of which database a document belongs to.

    ``database`` is the database's address without user, password and driver
    (``postgresql://host:5432/name``, ``sqlite:////abs/path.db``): a receipt of one database
    never counts for another, although ids are the same.
    """

    database: str
    table: str


@dataclass(frozen=True, slots=True)
class Document:
    """One row of the backend's ``documents`` table that has a file."""

    id: str
    """The primary key as text (``str()`` of the database's value)."""
    file_path: str
    """The path as the backend sees it, untouched; never empty."""
    user_id: str | None = None
    original_name: str | None = None
    doc_type: str | None = None
    """As in the row, in any letter case."""
    date: dt.date | None = None
    created_at: dt.datetime | None = None
    """Aware UTC."""
    processing_status: str | None = None
    synced: bool = False
    """NULL counts as false."""
    synced_at: dt.datetime | None = None

    @property
    def label(self) -> str:
        """What a person reads: the name they gave it beside the id."""
        return f"{self.id} ({self.original_name})" if self.original_name else self.id


class SourceKind(StrEnum):
    """What stands at a document's place in the upload folder."""

    FILE = "file"
    MISSING = "missing"
    LINK = "link"
    DIRECTORY = "directory"
    SPECIAL = "special"
    OUTSIDE = "outside"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    """The upload folder could not be asked."""


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """What tells one version of an uploaded file from another without reading it."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Source:
    """A document's file in the upload folder, as last looked at."""

    relative: str | None
    """Below the upload folder, ``/``-separated; None when ``file_path`` leads outside."""
    kind: SourceKind
    version: SourceVersion | None = None
    """Only for FILE."""
    settled: bool = False
    """Nobody is writing to it any more, as far as can be known."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that one version of one document was verified on one NAS.

    Binds every fact that must still be true for the row to be marked.
    """

    scope: Scope
    id: str
    file_path: str
    version: SourceVersion
    sha256: str
    nas: str
    """The UUID of the NAS's marker."""
    destination: str
    """Relative to the NAS's root, ``/``-separated, the name actually used."""
    received_at: dt.datetime
    filed_as: str = ""
    """The folder the rule of section 3 gave then (``2024/01/factures``)."""


class State(StrEnum):
    """Where a document stands in the journal."""

    WAITING = "waiting"
    """For its file, its metadata, its settling."""
    COPYING = "copying"
    """An agent may be at work; an intent is open."""
    COPIED = "copied"
    """A receipt is there, the row is not marked yet."""
    MARKING = "marking"
    """The mark was sent; whether it arrived is not known yet."""
    SYNCED = "synced"
    """Marked, with a receipt."""
    FAILED = "failed"
    """The last attempt failed; there is a next one."""
    PROBLEM = "problem"
    """Failed so often, or refused, that a person should look."""
    GONE = "gone"
    """The row was deleted or points to another file; what was filed stays on the NAS."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a stable code with what fills the message's blanks."""

    code: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """A copy that was begun: what may, even late, appear on the NAS."""

    run: str
    """The run (one start of one process) that began it."""
    nas: str
    temp: str
    """Relative to the NAS's root."""
    candidates: tuple[str, ...]
    begun_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """The journal's row for one document."""

    scope: Scope
    id: str
    file_path: str
    state: State
    reason: Reason | None
    since: dt.datetime
    """When this state with this reason began."""
    first_seen: dt.datetime
    attempts: int = 0
    next_attempt: dt.datetime | None = None
    receipt: Receipt | None = None
    intent: Intent | None = None
    young: bool = False
    """The receipt still wants its second look (a NAS that loses power may forget a rename)."""
    holder: str | None = None
    """The flow that has it in hand now; only while that flow lives does it keep others off."""


class MountState(StrEnum):
    """What the NAS is to us now."""

    UNKNOWN = "unknown"
    """Not looked at yet."""
    OK = "ok"
    UNCONFIGURED = "unconfigured"
    MISSING = "missing"
    NOT_MOUNTED = "not_mounted"
    FOREIGN = "foreign"
    SUSPECT = "suspect"
    DENIED = "denied"
    READ_ONLY = "read_only"
    FULL = "full"
    HUNG = "hung"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class MountView:
    """The mount as last looked at. ``reason`` is None exactly when ``state`` is OK."""

    state: MountState
    path: str
    """The configured path; empty when there is none."""
    reason: Reason | None
    since: dt.datetime
    checked_at: dt.datetime | None = None
    nas: str | None = None
    """The marker's UUID, when it could be read."""
    file_system: str | None = None
    source: str | None = None
    """What is mounted there (``//nas/finance``)."""
    free_bytes: int | None = None
    total_bytes: int | None = None

    @property
    def usable(self) -> bool:
        return self.state is MountState.OK

    @property
    def trouble(self) -> str:
        """The state, or the closer word for it that there are texts for (``mount.<word>``)."""
        privacy = self.reason is not None and self.reason.code == "mount.privacy"
        return "privacy" if privacy else str(self.state)


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient we are. All durations in seconds."""

    folders: Mapping[str, str]
    """doc_type in lower case → folder; the key ``other`` is used for everything unknown."""
    settle_seconds: float = 2.0
    metadata_wait_seconds: float = 3600.0
    scan_seconds: float = 30.0
    retry_first_seconds: float = 5.0
    retry_limit_seconds: float = 3600.0
    problem_after_attempts: int = 8
    problem_retry_seconds: float = 86_400.0
    missing_problem_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Which NAS this installation belongs to."""

    nas: str
    """The UUID in the marker."""
    file_system: str
    source: str


# -- what decide() answers ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy it to the first of *candidates* that is free or already holds its bytes."""

    candidates: tuple[str, ...]
    """Relative to the NAS's root, in the order to try; the last may hold ``{sha12}``."""
    filed_as: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The receipt holds; set the flag."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Unmark:
    """The flag says more than we can vouch for; take it back first."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Wait:
    reason: Reason
    until: dt.datetime | None
    """When to ask again at the latest; None: when something changes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: Reason


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do: it is safe, or it is not ours to touch."""

    reason: Reason


Decision = Copy | Mark | Unmark | Wait | Refuse | Rest


class FateKind(StrEnum):
    """How one go at one document ended."""

    SYNCED = "synced"
    WAITING = "waiting"
    FAILED = "failed"
    REFUSED = "refused"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one document in one go: logged once, counted once, told to who asked."""

    document: Document
    kind: FateKind
    reason: Reason | None = None
    receipt: Receipt | None = None
    adopted: bool = False
    """The bytes were on the NAS already; nothing was written."""
    seconds: float = 0.0
