"""What is known of a document, as data: row, file, decision, receipt, journal, history, next step.

``nas-syncd explain`` prints it, ``GET /sync/documents/{id}`` and ``GET /sync/explain`` answer it.
Nothing is changed by asking; any thread may ask, beside whatever else goes on with the same site.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, field, replace
from typing import Any

from nas_syncd.decide import decide, valid_receipt
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError, UnfilableError, UploadsError
from nas_syncd.messages import explain, text
from nas_syncd.messages.asdata import error_data
from nas_syncd.models import (
    Copy,
    Decision,
    Document,
    Entry,
    Mark,
    MountView,
    Reason,
    Refuse,
    Rest,
    Source,
    SourceKind,
    State,
    Unmark,
    Wait,
)
from nas_syncd.names import SHA_PLACE
from nas_syncd.report import reason_as_json, view_as_json
from nas_syncd.routing import candidates_for
from nas_syncd.site import Site
from nas_syncd.watcher import relative_path, row_candidates

DONE, FAILED, LATER = 0, 1, 75
LOOK_SECONDS = 5.0
_SHA_SHOWN = "<sha256>"


@dataclass(frozen=True, slots=True)
class Told:
    """The answer. ``data`` is what ``explain --json`` prints: ``documents``, ``mount``,
    ``daemon``, ``searched``, and where they apply ``error`` and ``no_row``."""

    exit: int
    """0; 1: there is no such document, or it has no file; 75: the database is away."""
    data: dict[str, Any]
    stories: list[Story]
    """In the order of ``data["documents"]``."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one document."""

    document: Document
    source: Source
    entry: Entry | None
    decision: Decision | None
    """None: without the row nothing can be decided."""
    history: list[dict[str, Any]]
    """The newest first."""
    known: bool
    """The row could be read; else only the journal's memory speaks."""


@dataclass(slots=True)
class _Hits:
    """What the word that was given leads to."""

    documents: list[Document] = field(default_factory=list)
    remembered: bool = False
    """The row was deleted, or the database is away: only the journal knows it."""
    without_file: bool = False
    """There is such a row, and it has no file."""
    relative: str | None = None
    """The path below the upload folder that was meant; None: it was an id."""
    searched: list[str] = field(default_factory=list)
    """What was looked for in ``file_path``."""
    error: DatabaseUnavailableError | None = None


def tell(
    site: Site,
    table: DocumentsTable,
    wanted: str,
    *,
    view: MountView,
    daemon: int | None,
    language: str,
    here: str | None = None,
    look_seconds: float = LOOK_SECONDS,
) -> Told:
    """Tell all that is known of the document, or of the file, that *wanted* names.

    Args:
        wanted: An id, else a path: as in a row, below the upload folder, or on this host.
        view: The mount as last seen; the NAS is not asked.
        daemon: The running daemon's pid, None when none runs: it decides on what comes next.
        here: The folder that a relative path may be below; None: there is none.
        look_seconds: So long the upload folder may take to answer; then the file is unknown.

    Raises:
        JournalError: The state directory cannot be used.
    """
    hits = _hits(site, table, wanted, here)
    sources = _look(site, hits, look_seconds)
    stories = [_story(site, table, hits, sources, one, view) for one in hits.documents]
    teller = _Teller(site, daemon, language)
    data: dict[str, Any] = {
        "documents": [teller.data(story) for story in stories],
        "mount": view_as_json(view),
        "daemon": daemon,
        "searched": hits.searched,
    }
    return Told(_conclude(hits, sources, wanted, language, data), data, stories)


# -- finding -----------------------------------------------------------------------------------


def _hits(site: Site, table: DocumentsTable, wanted: str, here: str | None) -> _Hits:
    """Look for a row with this id, then for rows with this path; without the database, for what
    the journal remembers."""
    hits = _Hits()
    try:
        row = table.get([wanted]).get(wanted)
        if row is not None:
            hits.documents = [row]
        elif table.row_exists(wanted):
            hits.without_file = True
        else:
            hits.searched = [wanted]
            hits.documents = table.find(hits.searched)
            _search_paths(site, table, hits, _relatives(site, wanted, here))
    except DatabaseUnavailableError as error:
        hits.error = error
    if not hits.documents and not hits.without_file:
        entry = site.journal.entry(table.scope, wanted)
        if entry is not None:
            hits.documents, hits.remembered = [Document(entry.id, entry.file_path)], True
            hits.relative = None
    return hits


def _search_paths(site: Site, table: DocumentsTable, hits: _Hits, relatives: list[str]) -> None:
    """Look for rows of each path until there are some; else the first path is what was meant."""
    for relative in relatives:
        hits.relative = hits.relative or relative
        if hits.documents:
            return
        paths = row_candidates(relative, site.plan.upload_dir, site.plan.db_upload_dir)
        hits.searched = list(dict.fromkeys([*hits.searched, *paths]))
        hits.documents = table.find(paths)


def _relatives(site: Site, wanted: str, here: str | None) -> list[str]:
    """Return the paths below the upload folder that may be meant, the likeliest first."""
    folder = site.plan.upload_dir.rstrip("/") + "/"
    whole = os.path.normpath(os.path.join(here or "/", wanted)) if here or wanted[:1] == "/" else ""
    found = [whole[len(folder) :]] if whole.startswith(folder) else []
    plain = relative_path(wanted, site.plan.upload_dir, site.plan.db_upload_dir)
    return list(dict.fromkeys([*found, *([plain] if plain else [])]))


def _look(site: Site, hits: _Hits, seconds: float) -> dict[str, Source]:
    """Look at the files, as long as the deadline allows."""
    relatives = {site.relative(document) for document in hits.documents} | {hits.relative}
    try:
        return site.uploads.look([path for path in relatives if path]).result(seconds)
    except (UploadsError, TimeoutError):
        return {}


def _story(
    site: Site,
    table: DocumentsTable,
    hits: _Hits,
    sources: dict[str, Source],
    document: Document,
    view: MountView,
) -> Story:
    entry = site.journal.entry(table.scope, document.id)
    source = site.source_of(document, sources)
    if source.kind is SourceKind.FILE:
        source = replace(source, settled=True)  # whether somebody still writes is not known here
    decided: Decision | None
    if hits.remembered:
        decided = None if hits.error else Rest(Reason("rest.missing_row"))
    else:
        decided = decide(document, source, entry, view, site.nas, site.policy, site.now())
    history = site.journal.history(table.scope, document.id)
    return Story(document, source, entry, decided, history, known=not hits.remembered)


# -- telling -----------------------------------------------------------------------------------


def _conclude(
    hits: _Hits, sources: dict[str, Source], wanted: str, language: str, data: dict[str, Any]
) -> int:
    """Return the exit code; add to *data* what explains it."""
    if hits.error is not None:
        data["error"] = error_data(hits.error, language)
        return LATER
    if hits.documents:
        return DONE
    if hits.without_file:
        data["error"] = _said("document.no_file", wanted, language)
        return FAILED
    file = sources.get(hits.relative or "")
    if file is not None and file.kind is not SourceKind.MISSING:
        data["no_row"] = text("wait.row", language, path=hits.relative)
        return DONE
    data["error"] = _said("document.unknown", wanted, language)
    return FAILED


def _said(code: str, wanted: str, language: str) -> dict[str, Any]:
    return {"code": code, "message": text(code, language, id=wanted), "remedy": None}


class _Teller:
    """Turns stories into data, for one site and in one language."""

    def __init__(self, site: Site, daemon: int | None, language: str) -> None:
        self._site = site
        self._daemon = daemon
        self._language = language

    def data(self, story: Story) -> dict[str, Any]:
        document, entry = story.document, story.entry
        decided = decision_data(self._site, document, story.decision, self._language)
        if story.decision is None and entry is not None:
            decided["text"] = text(f"journal.{entry.state}", self._language)
        return {
            "id": document.id,
            "name": document.original_name,
            "row": _row(document) if story.known else None,
            "file": self._file(story.source),
            "decision": decided,
            "receipt": self._receipt(story),
            "journal": _journal(entry),
            "next": self._next(story),
            "history": [
                {
                    **line,
                    "detail": json.loads(line["detail"] or "{}"),
                    "text": _event_text(line, self._language),
                }
                for line in story.history
            ],
        }

    def _file(self, source: Source) -> dict[str, Any]:
        relative, version = source.relative, source.version
        modified = dt.datetime.fromtimestamp(version.mtime_ns / 1e9, dt.UTC) if version else None
        return {
            "path": f"{self._site.plan.upload_dir}/{relative}" if relative else None,
            "kind": str(source.kind),
            "size": version.size if version else None,
            "modified": _iso(modified),
        }

    def _receipt(self, story: Story) -> dict[str, Any] | None:
        """The proof, and whether it counts for this row on the NAS that is known now."""
        receipt = story.entry.receipt if story.entry else None
        if receipt is None:
            return None
        valid = valid_receipt(story.document, story.entry, self._site.nas) is not None
        return {
            "destination": receipt.destination,
            "sha256": receipt.sha256,
            "size": receipt.version.size,
            "nas": receipt.nas,
            "received_at": _iso(receipt.received_at),
            "valid": valid,
        }

    def _next(self, story: Story) -> str:
        """Say what happens next, and when."""
        code, params = self._next_code(story)
        return text(code, self._language, **params)

    def _next_code(self, story: Story) -> tuple[str, dict[str, Any]]:
        decision, entry = story.decision, story.entry
        if decision is None:
            return "next.database", {}
        if isinstance(decision, Rest):
            inherited = decision.reason.code == "rest.synced_elsewhere"
            return ("next.inherited" if inherited else "next.nothing"), {}
        if self._daemon is None:
            return "next.no_daemon", {"id": story.document.id}
        if entry is not None and entry.state is State.COPYING:
            return "next.copying", {}
        if isinstance(decision, Refuse):
            return "next.refused", {}
        if isinstance(decision, Wait):
            if decision.until is None:
                return "next.when_back", {}
            return "next.until", {"until": decision.until}
        return ("next.copy" if isinstance(decision, Copy) else "next.mark"), {}


def _row(document: Document) -> dict[str, Any]:
    return {
        "file_path": document.file_path,
        "user_id": document.user_id,
        "doc_type": document.doc_type,
        "date": _iso(document.date),
        "created_at": _iso(document.created_at),
        "processing_status": document.processing_status,
        "synced_to_nas": document.synced,
        "synced_at": _iso(document.synced_at),
    }


def _journal(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "state": str(entry.state),
        "reason": reason_as_json(entry.reason),
        "since": _iso(entry.since),
        "first_seen": _iso(entry.first_seen),
        "attempts": entry.attempts,
        "next_attempt": _iso(entry.next_attempt),
    }


def _iso(moment: dt.datetime | dt.date | None) -> str | None:
    return moment.isoformat() if moment is not None else None


# -- decisions ---------------------------------------------------------------------------------


def decision_data(
    site: Site, document: Document, decision: Decision | None, language: str
) -> dict[str, Any]:
    """Return a decision: ``decision``, ``destination``, ``candidates``, ``reason``, ``text``,
    ``until``. Places are whole paths; without a decision only the places are filled in."""
    places = _places(site, document)
    name, reason, until = _parts(decision)
    settled = isinstance(decision, Rest | Refuse | Unmark)
    destination = places[0] if places and not settled else None
    if isinstance(decision, Mark):
        destination = _full(site, decision.receipt.destination)
    elif reason is not None and "destination" in reason.params:
        destination = _full(site, str(reason.params["destination"]))
    return {
        "decision": name,
        "destination": destination,
        "candidates": places,
        "reason": reason.code if reason else None,
        "text": explain(reason, language) if reason else text(f"plan.{name}", language),
        "until": until.isoformat(timespec="seconds") if until else None,
    }


def _parts(decision: Decision | None) -> tuple[str, Reason | None, dt.datetime | None]:
    match decision:
        case Copy():
            return "copy", None, None
        case Mark():
            return "mark", None, None
        case Wait(reason, until):
            return "wait", reason, until
        case Unmark(reason):
            return "unmark", reason, None
        case Refuse(reason):
            return "refuse", reason, None
        case Rest(reason):
            return "rest", reason, None
        case _:
            return "none", None, None


def _places(site: Site, document: Document) -> list[str]:
    try:
        candidates = candidates_for(document, site.policy.folders)
    except UnfilableError:
        return []
    return [_full(site, place).replace(SHA_PLACE, _SHA_SHOWN) for place in candidates]


def _full(site: Site, destination: str) -> str:
    return f"{site.plan.nas_path.rstrip('/')}/{destination}"


def _event_text(line: dict[str, Any], language: str) -> str | None:
    """Return why it came to that, in words; None where there is nothing to say."""
    if line["code"] is None:
        return None
    detail = json.loads(line["detail"] or "{}")
    blanks = {name: value for name, value in detail.items() if name not in ("code", "language")}
    return text(line["code"], language, **blanks)
