"""One document's story: row, file, NAS, decision, journal, history, and what happens next."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.outcome import decision_data
from nas_syncd.cli.outlook import Outlook
from nas_syncd.decide import valid_receipt
from nas_syncd.messages import TEXTS, bytes_text, explain, time_text, visible
from nas_syncd.models import (
    Copy,
    Decision,
    Document,
    Entry,
    Reason,
    Refuse,
    Rest,
    Source,
    State,
    Wait,
)
from nas_syncd.report import reason_as_json

SHOWN_HISTORY = 12


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

    def data(self, call: Call, now: Outlook) -> dict[str, Any]:
        """Return it for programs."""
        document = self.document
        decided = decision_data(call, now.site, document, self.decision)
        if self.decision is None and self.entry is not None:
            decided["text"] = call.text(f"journal.{self.entry.state}")
        return {
            "id": document.id,
            "name": document.original_name,
            "row": self._row() if self.known else None,
            "file": self._file(now),
            "decision": decided,
            "receipt": self._receipt(now),
            "journal": self._journal(),
            "next": self._next(call, now),
            "history": [
                {**line, "detail": json.loads(line["detail"] or "{}")} for line in self.history
            ],
        }

    def _row(self) -> dict[str, Any]:
        document = self.document
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

    def _file(self, now: Outlook) -> dict[str, Any]:
        relative, version = self.source.relative, self.source.version
        folder = now.site.plan.upload_dir
        modified = dt.datetime.fromtimestamp(version.mtime_ns / 1e9, dt.UTC) if version else None
        return {
            "path": f"{folder}/{relative}" if relative else None,
            "kind": str(self.source.kind),
            "size": version.size if version else None,
            "modified": _iso(modified),
        }

    def _receipt(self, now: Outlook) -> dict[str, Any] | None:
        """The proof, and whether it counts for this row on the NAS that is known now."""
        receipt = self.entry.receipt if self.entry else None
        if receipt is None:
            return None
        return {
            "destination": receipt.destination,
            "sha256": receipt.sha256,
            "size": receipt.version.size,
            "nas": receipt.nas,
            "received_at": _iso(receipt.received_at),
            "valid": valid_receipt(self.document, self.entry, now.site.nas) is not None,
        }

    def _journal(self) -> dict[str, Any] | None:
        entry = self.entry
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

    def _next(self, call: Call, now: Outlook) -> str:
        """Say what happens next, and when."""
        if self.decision is None:
            return call.text("next.database")
        if isinstance(self.decision, Rest):
            inherited = self.decision.reason.code == "rest.synced_elsewhere"
            return call.text("next.inherited" if inherited else "next.nothing")
        if self.entry is not None and self.entry.state is State.COPYING and now.daemon is not None:
            return call.text("next.copying")
        if now.daemon is None:
            return call.text("next.no_daemon", id=self.document.id)
        if isinstance(self.decision, Refuse):
            return call.text("next.refused")
        if isinstance(self.decision, Wait):
            if self.decision.until is None:
                return call.text("next.when_back")
            return call.text("next.until", until=self.decision.until)
        return call.text("next.copy" if isinstance(self.decision, Copy) else "next.mark")


def tell_story(call: Call, story: Story, told: dict[str, Any], data: dict[str, Any]) -> None:
    """Show it to a person: the decision first, then everything that led to it."""
    document = story.document
    name = call.name(document.id, document.original_name)
    decided = told["decision"]
    words = call.text("status.document", name=name, text=decided["text"])
    screen.headline(call, words, good=isinstance(story.decision, Rest | Copy))
    rows = [("next", told["next"])]
    rows += _about_row(call, story, told["row"])
    rows += _about_file(call, told["file"])
    rows += _about_nas(call, data["mount"])
    rows += _about_place(call, story, told)
    rows += _about_journal(call, story)
    screen.facts(call, [(call.text(f"label.{label}"), value) for label, value in rows])
    if story.history:
        call.say(call.text("explain.history"))
        for line in reversed(story.history[:SHOWN_HISTORY]):
            call.say(f"  {_event(call, line)}")


def _about_row(call: Call, story: Story, row: dict[str, Any] | None) -> list[tuple[str, str]]:
    if row is None:
        known = "explain.row_gone" if story.decision else "explain.row_unknown"
        return [("row", call.text(known))]
    flag = call.text("explain.marked" if row["synced_to_nas"] else "explain.not_marked")
    shown = [f"{name}={visible(str(value))}" for name, value in row.items() if value is not None]
    shown = [part for part in shown if not part.startswith("synced_to_nas=")]
    return [("row", f"{flag} · {' · '.join(shown)}")]


def _about_file(call: Call, file: dict[str, Any]) -> list[tuple[str, str]]:
    kind = file["kind"]
    words = call.text(f"source.kind.{kind}")
    if file["size"] is not None:
        words = f"{words}, {bytes_text(file['size'], call.language)}"
    return [("file", f"{visible(file['path'] or '?')} ({words})")]


def _about_nas(call: Call, mount: dict[str, Any]) -> list[tuple[str, str]]:
    reason = mount["reason"]
    if reason is None:
        return [("nas", call.text("mount.ok", path=mount["path"]))]
    return [("nas", explain(Reason(reason["code"], reason["params"]), call.language))]


def _about_place(call: Call, story: Story, told: dict[str, Any]) -> list[tuple[str, str]]:
    decided, receipt = told["decision"], told["receipt"]
    rows = []
    if receipt is not None:
        words = call.text("explain.receipt" if receipt["valid"] else "explain.old_receipt")
        place = visible(receipt["destination"])
        at = time_text(dt.datetime.fromisoformat(receipt["received_at"]), call.language)
        rows.append(("receipt", f"{place} ({words}, {at}, SHA-256 {receipt['sha256']})"))
    elif decided["candidates"] and story.known:
        first, *others = decided["candidates"]
        rows.append(("destination", visible(first)))
        rows.append(("otherwise", visible(" · ".join(others))))
    return rows


def _about_journal(call: Call, story: Story) -> list[tuple[str, str]]:
    entry = story.entry
    if entry is None:
        return [("journal", call.text("explain.never_seen"))]
    words = [call.text(f"journal.{entry.state}"), time_text(entry.since, call.language)]
    if entry.attempts:
        words.append(call.count("explain.attempts", entry.attempts))
    if entry.reason is not None:
        words.append(explain(entry.reason, call.language))
    rows = [("journal", " · ".join(words))]
    if entry.next_attempt is not None:
        rows.append(("next_attempt", time_text(entry.next_attempt, call.language)))
    return rows


def _event(call: Call, line: dict[str, Any]) -> str:
    """Return one line of the history."""
    at = time_text(dt.datetime.fromisoformat(line["at"]), call.language)
    became = call.text(f"journal.{line['became']}")
    code = line["code"]
    if code is None or code not in TEXTS[call.language]:
        return f"{at}  {became}"
    return f"{at}  {became} – {call.text(code)}"


def _iso(moment: dt.datetime | dt.date | None) -> str | None:
    return moment.isoformat() if moment is not None else None
