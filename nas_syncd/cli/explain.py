"""``nas-syncd explain``: the whole decision about one document, or about one file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nas_syncd import report
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.cli.outlook import Outlook, outlook, quick_table
from nas_syncd.cli.story import Story, tell_story
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError, UploadsError
from nas_syncd.flow import Flow
from nas_syncd.messages import render_error
from nas_syncd.models import Decision, Document, Reason, Rest, Source, SourceKind
from nas_syncd.settings import Settings
from nas_syncd.watcher import relative_path, row_candidates


@dataclass(slots=True)
class Hits:
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


def explain_document(call: Call, wanted: str) -> int:
    """Tell all that is known; return 1 for an unknown document, 75 without the database.

    Raises:
        ConfigurationError: A setting is wrong, or ``DATABASE_URL`` or ``UPLOAD_DIR`` is empty.
        JournalError: The state directory cannot be used.
    """
    settings = call.settings()
    call.require(settings, "database_url", "upload_dir")
    with _table(settings) as table, outlook(settings) as now:
        hits = _hits(table, now, settings, wanted)
        sources = _look(now, hits)
        stories = [_story(table, now, hits, sources, one) for one in hits.documents]
        code, data = _result(call, now, hits, sources, stories, wanted)
        if call.as_json:
            call.answer(data)
        else:
            _tell(call, hits, stories, data)
        return code


@contextmanager
def _table(settings: Settings) -> Iterator[DocumentsTable]:
    table = quick_table(settings)
    try:
        yield table
    finally:
        table.close()


# -- finding -----------------------------------------------------------------------------------


def _hits(table: DocumentsTable, now: Outlook, settings: Settings, wanted: str) -> Hits:
    """Look for a row with this id, then for rows with this path; without the database, for what
    the journal remembers."""
    hits = Hits()
    try:
        row = table.get([wanted]).get(wanted)
        if row is not None:
            hits.documents = [row]
        elif table.row_exists(wanted):
            hits.without_file = True
        else:
            hits.relative = _relative(settings, wanted)
            beyond = settings.upload_dir, settings.db_upload_dir or None
            candidates = row_candidates(hits.relative, *beyond) if hits.relative else []
            hits.searched = list(dict.fromkeys([wanted, *candidates]))
            hits.documents = table.find(hits.searched)
    except DatabaseUnavailableError as error:
        hits.error = error
    if not hits.documents and not hits.without_file:
        entry = now.site.journal.entry(table.scope, wanted)
        if entry is not None:
            hits.documents, hits.remembered = [Document(entry.id, entry.file_path)], True
            hits.relative = None
    return hits


def _relative(settings: Settings, wanted: str) -> str | None:
    """Return the path below the upload folder that a person may have meant."""
    folder = settings.upload_dir.rstrip("/") + "/"
    here = os.path.abspath(wanted)
    if here.startswith(folder):
        return here[len(folder) :]
    return relative_path(wanted, settings.upload_dir, settings.db_upload_dir or None)


def _look(now: Outlook, hits: Hits) -> dict[str, Source]:
    """Look at the files, as long as the deadline allows."""
    relatives = {now.site.relative(document) for document in hits.documents} | {hits.relative}
    wanted = [relative for relative in relatives if relative]
    try:
        return now.site.uploads.look(wanted).result()
    except UploadsError:
        return {}


def _story(
    table: DocumentsTable,
    now: Outlook,
    hits: Hits,
    sources: dict[str, Source],
    document: Document,
) -> Story:
    journal, scope = now.site.journal, table.scope
    entry = journal.entry(scope, document.id)
    now.site.guard.view = now.view  # as the daemon sees it, where one runs
    source, decision = Flow(now.site, table).decide_for(document, sources, entry)
    decided: Decision | None = decision
    if hits.remembered:
        decided = None if hits.error else Rest(Reason("rest.missing_row"))
    history = journal.history(scope, document.id)
    return Story(document, source, entry, decided, history, known=not hits.remembered)


# -- telling -----------------------------------------------------------------------------------


def _result(
    call: Call,
    now: Outlook,
    hits: Hits,
    sources: dict[str, Source],
    stories: list[Story],
    wanted: str,
) -> tuple[Exit, dict[str, Any]]:
    view = now.view
    data: dict[str, Any] = {
        "documents": [story.data(call, now) for story in stories],
        "mount": report.view_as_json(view),
        "daemon": now.daemon,
        "searched": hits.searched,
    }
    if hits.error is not None:
        data["error"] = call.error_data(hits.error)
        return Exit.LATER, data
    if stories:
        return Exit.DONE, data
    if hits.without_file:
        data["error"] = _said(call, "document.no_file", id=wanted)
        return Exit.FAILED, data
    file = sources.get(hits.relative or "")
    if file is not None and file.kind is not SourceKind.MISSING:
        data["no_row"] = call.text("wait.row", path=hits.relative)
        return Exit.DONE, data
    data["error"] = _said(call, "document.unknown", id=wanted)
    return Exit.FAILED, data


def _said(call: Call, code: str, **params: object) -> dict[str, Any]:
    return {"code": code, "message": call.text(code, **params), "remedy": None}


def _tell(call: Call, hits: Hits, stories: list[Story], data: dict[str, Any]) -> None:
    if hits.error is not None:
        call.complain(render_error(hits.error, call.language))
    elif "error" in data:
        call.complain(data["error"]["message"])
    if "no_row" in data:
        call.say(data["no_row"])
    if not stories and hits.searched and hits.error is None:
        call.say(call.text("explain.searched"))
        for path in hits.searched:
            call.say(f"  {call.text('cli.quoted', text=path)}")
    for number, (story, told) in enumerate(zip(stories, data["documents"], strict=True)):
        if number:
            call.say()
        tell_story(call, story, told, data)
