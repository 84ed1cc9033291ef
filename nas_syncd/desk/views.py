"""How things look in an answer: models in, JSON out, in the language that was asked for. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nas_syncd.inherited import is_inherited
from nas_syncd.messages import explain
from nas_syncd.messages.asdata import reason_data
from nas_syncd.models import Document, Entry, Fate, FateKind, Identity, MountView, Reason, State

Json = dict[str, Any]

OPEN_STATES = {
    State.WAITING: "waiting",
    State.COPYING: "copying",
    State.COPIED: "copying",
    State.MARKING: "copying",
    State.FAILED: "failed",
    State.PROBLEM: "problem",
}
"""What a document that is not marked is called by its state in the journal; else: pending."""


def mount_json(view: MountView, known: Identity | None, language: str) -> Json:
    """Return the mount; while it cannot be used, the share that *known* says should be there:
    what stands at the path then is the disk below it."""
    source = view.source if view.usable or known is None else known.source
    return {
        "state": str(view.state),
        "usable": view.usable,
        "path": view.path,
        "source": source or None,
        "file_system": view.file_system,
        "since": iso(view.since),
        "checked_at": iso(view.checked_at),
        "free_bytes": view.free_bytes,
        "total_bytes": view.total_bytes,
        "nas": view.nas,
        "reason": reason_data(view.reason, language),
    }


def fate_json(seq: int, at: dt.datetime, fate: Fate, language: str) -> Json:
    receipt = fate.receipt if fate.kind is FateKind.SYNCED else None
    return {
        "seq": seq,
        "at": iso(at),
        "id": fate.document.id,
        "name": fate.document.original_name,
        "kind": str(fate.kind),
        "reason": reason_data(fate.reason, language),
        "destination": receipt.destination if receipt else None,
        "bytes": receipt.version.size if receipt else None,
        "seconds": round(fate.seconds, 3) if receipt else None,
        "sha256": receipt.sha256 if receipt else None,
        "adopted": fate.adopted,
    }


def state_of(document: Document, entry: Entry | None, nas: str | None) -> str:
    """Return what the lists call *document*'s state."""
    if document.synced:
        return "inherited" if is_inherited(document, entry, nas) else "safe"
    if entry is None or entry.file_path != document.file_path:
        return "pending"
    return OPEN_STATES.get(entry.state, "pending")


def line_json(document: Document, entry: Entry | None, nas: str | None, language: str) -> Json:
    """Return one document as a line of a list."""
    state = state_of(document, entry, nas)
    known = entry if entry and entry.file_path == document.file_path else None
    told = known if known and state not in ("safe", "inherited", "pending") else None
    receipt = known.receipt if known and state == "safe" else None
    return {
        "id": document.id,
        "name": document.original_name,
        "file_path": document.file_path,
        "user_id": document.user_id,
        "doc_type": document.doc_type,
        "date": document.date.isoformat() if document.date else None,
        "state": state,
        "since": iso(told.since) if told else None,
        "reason": reason_data(told.reason, language) if told else None,
        "attempts": told.attempts if told else 0,
        "next_attempt": iso(told.next_attempt) if told else None,
        "destination": receipt.destination if receipt else None,
        "synced_at": iso(document.synced_at) if document.synced else None,
    }


def why(reason: Reason | None, language: str) -> str | None:
    return explain(reason, language) if reason else None


def iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
