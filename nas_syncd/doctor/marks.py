"""Who else sets the flag: the backend's old sync, or another nas-syncd."""

from __future__ import annotations

import datetime as dt

from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import Patient, learned
from nas_syncd.documents.checkup import Checkup
from nas_syncd.documents.shape import Shape
from nas_syncd.errors import JournalError
from nas_syncd.journal import reading
from nas_syncd.models import Document, Entry

NEWEST = 1000
"""So many of the newest marks are looked at."""
SHOWN = 5
CHECK = "database.marks"
MEMORY_SECONDS = 30.0
LENIENCE = dt.timedelta(seconds=5)


def look_at_marks(patient: Patient, checkup: Checkup, shape: Shape, notes: Notes) -> None:
    """Look for marks that are younger than our first deed, and of which our journal knows nothing.

    Raises:
        SyncError: The database does not answer.
    """
    memory = learned(patient.memory, MEMORY_SECONDS)
    if memory is None or memory.first_at is None:
        notes.skipped(CHECK, "no_journal")
        return
    began = memory.first_at + LENIENCE
    young = [
        document
        for document in checkup.newest_marks(shape, NEWEST)
        if document.synced_at is not None and document.synced_at > began
    ]
    try:
        ours = reading.entries(memory.folder, checkup.scope, [one.id for one in young])
    except JournalError:
        notes.skipped(CHECK, "no_journal")
        return
    foreign = [one for one in young if not _vouched(one, ours.get(one.id))]
    if not foreign:
        notes.ok(CHECK, "database.marks", looked_at=len(young))
        return
    newest = max(one.synced_at for one in foreign if one.synced_at is not None)
    notes.warning(
        CHECK,
        "database.others_mark",
        count=len(foreign),
        ids=[one.id for one in foreign[:SHOWN]],
        at=newest.isoformat(),
    )


def _vouched(document: Document, entry: Entry | None) -> bool:
    """Whether our journal holds a receipt for this very file."""
    receipt = entry.receipt if entry is not None else None
    return receipt is not None and receipt.file_path == document.file_path
