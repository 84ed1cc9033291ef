"""Pairing with a NAS: what stands at the path, what adopting it would mean, and doing it.

Nothing is decided here about who may: the command asks the person first. An existing marker is
kept, whoever wrote it; a marker is only ever written where there is none.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nas_syncd.agent.wire import Message
from nas_syncd.errors import NasNotConfiguredError, NasNotMountedError, SyncError, Whose
from nas_syncd.models import Identity
from nas_syncd.mount import mount_error
from nas_syncd.site import Site

MARKER_FORMAT = 1
ABOUT = (
    "Ce fichier permet à nas-syncd de reconnaître ce NAS : ne le supprimez pas. / "
    "nas-syncd recognises this NAS by this file: do not delete it."
)


class Meaning(StrEnum):
    """What adopting would mean."""

    KNOWN = "known"
    """It is our NAS already; nothing is written."""
    FIRST = "first"
    """No NAS is known and there is no marker: one is written."""
    JOIN = "join"
    """No NAS is known; another installation has written the marker, which is taken as it is."""
    CHANGED = "changed"
    """Our marker, on another kind of file system: a person has to say that this is meant."""
    OTHER = "other"
    """A NAS is known, and another one's marker stands here."""
    BARE = "bare"
    """A NAS is known, and no marker stands here: usually its share is not mounted."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at the configured path."""

    path: str
    nas: str | None
    """The marker's UUID, None without a marker."""
    mount: tuple[str, ...]
    """Id, mount point, file system and source, as the system names them."""
    network: bool
    free_bytes: int
    total_bytes: int
    known: Identity | None

    @property
    def file_system(self) -> str:
        return self.mount[2]

    @property
    def source(self) -> str:
        return self.mount[3]

    @property
    def meaning(self) -> Meaning:
        if self.known is None:
            return Meaning.FIRST if self.nas is None else Meaning.JOIN
        if self.nas is None:
            return Meaning.BARE
        if self.nas != self.known.nas:
            return Meaning.OTHER
        same = not self.file_system or self.file_system == self.known.file_system
        return Meaning.KNOWN if same else Meaning.CHANGED

    @property
    def is_another(self) -> bool:
        """Whether a NAS is known already and this would take its place."""
        return self.meaning in (Meaning.OTHER, Meaning.BARE)


def look(site: Site) -> Found:
    """Ask what stands at the path. Writes nothing.

    Raises:
        MountError: No path is set, it is missing, refused or does not answer.
    """
    facts = _ask(site, "probe", nas=None)
    return Found(
        path=site.plan.nas_path,
        nas=facts["nas"],
        mount=tuple(facts["mount"]),
        network=bool(facts["network"]),
        free_bytes=int(facts["free"]),
        total_bytes=int(facts["total"]),
        known=site.journal.identity(),
    )


def adopt(site: Site, found: Found, version: str) -> Identity:
    """Take the NAS that was *found* as ours, and remember it. Idempotent.

    Raises:
        MountError: The marker could not be written, or something else stands there by now.
    """
    nas = found.nas or str(uuid.uuid4())
    facts = _ask(site, "adopt", nas=nas, text=marker_text(nas, version, site.now()))
    if tuple(facts["mount"]) != found.mount or facts["nas"] != nas:
        detail = "changed while it was looked at"
        raise NasNotMountedError(detail, path=found.path, paired=found.known is not None)
    site.guard.pin(facts)
    return Identity(nas, found.file_system, found.source)


def marker_text(nas: str, version: str, now: dt.datetime) -> str:
    """Return what is written into the marker: JSON, well below the agent's limit."""
    marker = {
        "nas": nas,
        "format": MARKER_FORMAT,
        "created": now.isoformat(timespec="seconds"),
        "by": f"nas-syncd {version}",
        "about": ABOUT,
    }
    return json.dumps(marker, ensure_ascii=False, indent=2) + "\n"


def _ask(site: Site, op: str, **args: Any) -> Message:
    if not site.plan.nas_path:
        raise NasNotConfiguredError(path="")
    try:
        return site.agent.call(op, root=site.plan.nas_path, **args)
    except SyncError as error:
        if error.whose is not Whose.MOUNT:
            raise
        site.guard.trouble(error)
        raise mount_error(site.guard.view) from error
