"""``nas-syncd sync --dry-run``: what would be done, and nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.documents import DocumentsTable
from nas_syncd.flow import Flow
from nas_syncd.manual import PAGE, ManualSync
from nas_syncd.messages import explain
from nas_syncd.models import Document
from nas_syncd.site import Site
from nas_syncd.stories import decision_data
from nas_syncd.wishes import Selection


def show_plan(call: Call, site: Site, table: DocumentsTable, selection: Selection) -> int:
    """Show each document with its decision and its place; writes nothing anywhere.

    Raises:
        DatabaseUnavailableError: The documents cannot be asked for.
    """
    plan: list[dict[str, Any]] = []
    for line in _plan(call, site, table, selection):
        if call.as_json:
            plan.append(line)
        else:
            parts = (call.name(line["id"], line["name"]), line["text"], line["destination"] or "")
            call.say("\t".join(part for part in parts if part))
    missing = [*selection.unknown, *selection.without_file]
    view = site.guard.view
    reason = explain(view.reason, call.language) if view.reason else None
    if call.as_json:
        call.answer({"plan": plan, "unknown": missing, "reason": reason})
    else:
        for document_id in selection.unknown:
            call.complain(call.text("document.unknown", id=document_id))
        for document_id in selection.without_file:
            call.complain(call.text("document.no_file", id=document_id))
        if reason:
            call.complain(reason)
        screen.headline(call, call.text("sync.dry"), good=True)
    if not view.usable:
        return Exit.NAS
    return Exit.FAILED if missing else Exit.DONE


def _plan(
    call: Call, site: Site, table: DocumentsTable, selection: Selection
) -> Iterator[dict[str, Any]]:
    flow = Flow(site, table, manual=True)
    to_check = selection.to_check()
    checked: set[str] = set()
    while group := list(islice(to_check, PAGE)):
        for document in group:
            checked.add(document.id if selection.wish.ids else "")
            yield {
                "id": document.id,
                "name": document.original_name,
                "decision": "check",
                "destination": decision_data(site, document, None, call.language)["destination"],
                "text": call.text("plan.check"),
            }
    others = iter([d for d in selection.named() if d.id not in checked])
    if selection.wants_pending:
        others = ManualSync(site, table, on_end=lambda _ended: None).pending(selection.wish.user)
    while group := list(islice(others, PAGE)):
        yield from _decided(call, site, flow, table, group)


def _decided(
    call: Call, site: Site, flow: Flow, table: DocumentsTable, group: list[Document]
) -> Iterator[dict[str, Any]]:
    relatives = {site.relative(document) for document in group} - {None}
    sources = site.uploads.look([r for r in relatives if r is not None]).result()
    entries = site.journal.entries(table.scope, [document.id for document in group])
    for document in group:
        _, decision = flow.decide_for(document, sources, entries.get(document.id))
        data = decision_data(site, document, decision, call.language)
        yield {
            "id": document.id,
            "name": document.original_name,
            **{key: data[key] for key in ("decision", "destination", "text")},
        }
