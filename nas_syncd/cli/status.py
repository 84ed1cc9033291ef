"""``nas-syncd status``: how many documents are safe, what waits, what is wrong, and why."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit
from nas_syncd.cli.picture import Picture, picture_of
from nas_syncd.cli.reach import Reached, reach
from nas_syncd.cli.remote import GoneError, why
from nas_syncd.messages import ago_text, bytes_text, since_text, visible

_SIZED = ("ok", "full")
"""States of the mount in which its free space is known."""


def show_status(call: Call, user: str | None) -> int:
    """Show how things stand; return 0, 69 without the NAS, 75 without the database.

    Raises:
        ConfigurationError: A setting is wrong, or ``DATABASE_URL`` is empty.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The state directory cannot be used.
    """
    picture = _picture(call, reach(call, "database_url"), user)
    if call.as_json:
        call.answer(picture.data)
    else:
        _tell(call, picture)
    if picture.error is not None:
        return Exit.LATER
    return Exit.DONE if picture.usable else Exit.NAS


def _picture(call: Call, reached: Reached, user: str | None) -> Picture:
    if reached.daemon is not None:
        try:
            return picture_of(call, reached.daemon, user)
        except GoneError:
            pass  # it is just ending: we look ourselves
    from nas_syncd.cli.ourselves import by_ourselves

    with by_ourselves(call, reached.ours) as ourselves:
        return ourselves.picture(user)


# -- for a person ------------------------------------------------------------------------------


def _tell(call: Call, picture: Picture) -> None:
    words, good = sentence(call, picture)
    screen.headline(call, words, good=good)
    screen.facts(call, facts(call, picture))
    for line in problem_lines(call, picture):
        call.say(line)
    for flying in picture.data["in_flight"]:
        call.say(_flying(call, flying))
    for line in no_row_lines(call, picture):
        call.say(line)


def sentence(call: Call, picture: Picture) -> tuple[str, bool]:
    """Return the one sentence that matters most, and whether all is well."""
    data, error = picture.data, picture.error
    if error is not None:
        return call.error_line(error), False
    pending = data["pending"]
    if not picture.usable:
        reason = data["reason"] or call.text("mount.unknown")
        return (f"{reason} {call.count('status.wait', pending)}" if pending else reason), False
    if not data["total_documents"]:
        return call.text("status.none"), True
    if pending:
        params = {"synced": data["synced"], "total": data["total_documents"]}
        return call.count("status.pending", pending, **params), True
    if data["inherited"]:
        return call.count("status.inherited", data["inherited"]), False
    return call.count("status.all_safe", data["total_documents"]), not data["problems"]


def facts(call: Call, picture: Picture) -> list[tuple[str, str]]:
    """Return what is known beside the sentence, as labels and values."""
    data, now = picture.data, dt.datetime.now(dt.UTC)

    def shown(name: str) -> str:
        return "?" if data[name] is None else str(data[name])

    share = data["sync_percentage"]
    percent = "" if share is None else f" ({call.text('status.percent', share=share)})"
    rows = [
        ("documents", shown("total_documents")),
        ("synced", shown("synced") + percent),
        ("pending", shown("pending")),
        ("last_sync", "?" if share is None else _moment(call, data["last_sync"], now)),
    ]
    for name in ("waiting", "problems", "inherited"):
        if data[name]:
            rows.append((name, f"{data[name]} – {call.text(f'status.hint.{name}')}"))
    rows.append(("nas", _mount(call, data, now)))
    uploads = data["uploads"]
    if uploads and (about := uploads["reason"] or uploads["warning"]):
        rows.append(("uploads", why(about) or ""))
    running = call.text("status.daemon", pid=data["daemon"])
    rows.append(
        ("daemon", running if data["daemon"] is not None else call.text("status.no_daemon"))
    )
    return [(call.text(f"label.{name}"), value) for name, value in rows]


def problem_lines(call: Call, picture: Picture) -> list[str]:
    """Return a line for each of the first documents that a person should look at."""
    return [call.text("status.document", name=name, text=text) for name, text in picture.problems]


def no_row_lines(call: Call, picture: Picture) -> list[str]:
    """Return a line for each file that no row names."""
    return [
        call.text("status.no_row", path=file["path"], seconds=file["seconds"])
        for file in picture.data["no_row"]
    ]


def _mount(call: Call, data: dict[str, Any], now: dt.datetime) -> str:
    mount = data["mount"]
    parts = [visible(mount["path"]) or call.text("status.no_path")]
    parts.append(call.text(f"state.{mount['state']}"))
    if not data["nas_configured"] and data["daemon"] is not None:
        parts.append(since_text(dt.datetime.fromisoformat(mount["since"]), now, call.language))
    if mount["free_bytes"] is not None and mount["state"] in _SIZED:
        parts.append(call.text("status.free", left=bytes_text(mount["free_bytes"], call.language)))
    if mount["checked_at"] is not None:
        ago = ago_text(dt.datetime.fromisoformat(mount["checked_at"]), now, call.language)
        parts.append(call.text("status.checked", ago=ago))
    return ", ".join(parts)


def _moment(call: Call, last_sync: str | None, now: dt.datetime) -> str:
    if last_sync is None:
        return "–"
    moment = dt.datetime.fromisoformat(last_sync).replace(tzinfo=dt.UTC)
    return ago_text(moment, now, call.language)


def _flying(call: Call, flying: dict[str, Any]) -> str:
    name = call.name(str(flying["id"]), flying.get("name"))
    done, total = flying.get("done") or 0, flying.get("total") or 0
    if total < screen.BIG_BYTES:
        return call.text("status.flying", name=name)
    parts = {"done": bytes_text(done, call.language), "total": bytes_text(total, call.language)}
    return call.text("status.flying_big", name=name, **parts)
