"""One document's story for a person: from the data that ``nas_syncd.stories`` tells."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.messages import TEXTS, bytes_text, explain, time_text, visible
from nas_syncd.models import Reason

SHOWN_HISTORY = 12
Data = dict[str, Any]


def tell_story(call: Call, story: Data, mount: Data) -> None:
    """Show it: the decision first, then everything that led to it."""
    name = call.name(story["id"], story["name"])
    decided = story["decision"]
    words = call.text("status.document", name=name, text=decided["text"])
    screen.headline(call, words, good=decided["decision"] in ("rest", "copy"))
    rows = [
        ("next", story["next"]),
        ("row", _row(call, story)),
        ("file", _file(call, story["file"])),
        ("nas", _nas(call, mount)),
        *_places(call, story),
        *_journal(call, story["journal"]),
    ]
    screen.facts(call, [(call.text(f"label.{label}"), value) for label, value in rows])
    if story["history"]:
        call.say(call.text("explain.history"))
        for line in reversed(story["history"][:SHOWN_HISTORY]):
            call.say(f"  {_event(call, line)}")


def _row(call: Call, story: Data) -> str:
    row = story["row"]
    if row is None:
        undecided = story["decision"]["decision"] == "none"
        return call.text("explain.row_unknown" if undecided else "explain.row_gone")
    flag = call.text("explain.marked" if row["synced_to_nas"] else "explain.not_marked")
    shown = [
        f"{name}={visible(str(value))}"
        for name, value in row.items()
        if value is not None and name != "synced_to_nas"
    ]
    return f"{flag} · {' · '.join(shown)}"


def _file(call: Call, file: Data) -> str:
    words = call.text(f"source.kind.{file['kind']}")
    if file["size"] is not None:
        words = f"{words}, {bytes_text(file['size'], call.language)}"
    return f"{visible(file['path'] or '?')} ({words})"


def _nas(call: Call, mount: Data) -> str:
    reason = mount["reason"]
    if reason is None:
        return call.text("mount.ok", path=mount["path"])
    return explain(Reason(reason["code"], reason["params"]), call.language)


def _places(call: Call, story: Data) -> list[tuple[str, str]]:
    receipt, candidates = story["receipt"], story["decision"]["candidates"]
    if receipt is not None:
        words = call.text("explain.receipt" if receipt["valid"] else "explain.old_receipt")
        place = visible(receipt["destination"])
        at = _time(call, receipt["received_at"])
        return [("receipt", f"{place} ({words}, {at}, SHA-256 {receipt['sha256']})")]
    if candidates and story["row"] is not None:
        first, *others = candidates
        return [("destination", visible(first)), ("otherwise", visible(" · ".join(others)))]
    return []


def _journal(call: Call, journal: Data | None) -> list[tuple[str, str]]:
    if journal is None:
        return [("journal", call.text("explain.never_seen"))]
    words = [call.text(f"journal.{journal['state']}"), _time(call, journal["since"])]
    if journal["attempts"]:
        words.append(call.count("explain.attempts", journal["attempts"]))
    reason = journal["reason"]
    if reason is not None:
        words.append(explain(Reason(reason["code"], reason["params"]), call.language))
    rows = [("journal", " · ".join(words))]
    if journal["next_attempt"] is not None:
        rows.append(("next_attempt", _time(call, journal["next_attempt"])))
    return rows


def _event(call: Call, line: Data) -> str:
    """Return one line of the history."""
    at = _time(call, line["at"])
    became = call.text(f"journal.{line['became']}")
    code = line["code"]
    if code is None or code not in TEXTS[call.language]:
        return f"{at}  {became}"
    return f"{at}  {became} – {call.text(code)}"


def _time(call: Call, moment: str) -> str:
    return time_text(dt.datetime.fromisoformat(moment), call.language)
