"""What to do with one document, now. Pure: models in, a decision out.

The daemon's loop acts on it, ``explain`` prints it, ``sync --dry-run`` lists it. It is asked again
and again; whatever was missed, crashed or lost, the next asking finds the next step.
"""

from __future__ import annotations

import datetime as dt

from nas_syncd.errors import UnfilableError
from nas_syncd.models import (
    Copy,
    Decision,
    Document,
    Entry,
    Mark,
    MountView,
    Policy,
    Reason,
    Receipt,
    Refuse,
    Rest,
    Source,
    SourceKind,
    State,
    Unmark,
    Wait,
)
from nas_syncd.routing import candidates_for, folder_path

UNFINISHED = frozenset({"pending", "processing"})

_VOUCHED = frozenset({State.COPIED, State.MARKING, State.SYNCED})
_LONGEST_MISSING_SECONDS = 3600.0

_REFUSED = {
    SourceKind.OUTSIDE: "refuse.outside",
    SourceKind.LINK: "refuse.link",
    SourceKind.DIRECTORY: "refuse.directory",
    SourceKind.SPECIAL: "refuse.special",
}


def decide(
    document: Document,
    source: Source,
    entry: Entry | None,
    mount: MountView,
    nas: str | None,
    policy: Policy,
    now: dt.datetime,
    *,
    manual: bool = False,
) -> Decision:
    """Return the next step for *document*.

    Args:
        entry: The journal's row, None when there is none.
        nas: The UUID of the NAS that this installation belongs to, None before the first one.
        manual: A person asked: settling and backoff are not waited for.
    """
    if entry is not None and entry.file_path != document.file_path:
        entry = None  # the id was used again: what we know is about another document
    receipt = valid_receipt(document, entry, nas)
    if document.synced:
        return _when_marked(document, source, entry, receipt, policy)
    return (
        _refuse_source(document, source)
        or _mark(source, entry, receipt)
        or _wait_for_source(source, entry, policy, now)
        or _wait_for_metadata(document, entry, policy, now)
        or _wait_after_failure(entry, policy, now, manual)
        or _wait_for_settling(source, policy, now, manual)
        or _copy(document, mount, policy)
    )


def valid_receipt(document: Document, entry: Entry | None, nas: str | None) -> Receipt | None:
    """Return the entry's receipt if it binds this very document and this NAS."""
    receipt = entry.receipt if entry else None
    if receipt is None or nas is None:
        return None
    bound = (receipt.id, receipt.file_path, receipt.nas)
    return receipt if bound == (document.id, document.file_path, nas) else None


def _when_marked(
    document: Document,
    source: Source,
    entry: Entry | None,
    receipt: Receipt | None,
    policy: Policy,
) -> Decision:
    if receipt is None or entry is None or entry.state not in _VOUCHED:
        return Rest(Reason("rest.synced_elsewhere"))
    if source.kind is SourceKind.FILE and source.version != receipt.version:
        return Unmark(Reason("unmark.source_changed", {"destination": receipt.destination}))
    if entry.state in (State.COPIED, State.MARKING):
        return Mark(receipt)  # marked, and we were interrupted before we wrote it down
    try:
        filed_now = folder_path(document, policy.folders)
    except UnfilableError:
        filed_now = receipt.filed_as
    if receipt.filed_as and filed_now != receipt.filed_as:
        return Rest(
            Reason(
                "rest.moved_since",
                {
                    "destination": receipt.destination,
                    "filed": receipt.filed_as,
                    "now": filed_now,
                },
            )
        )
    return Rest(Reason("rest.synced", {"destination": receipt.destination}))


def _refuse_source(document: Document, source: Source) -> Decision | None:
    code = _REFUSED.get(source.kind)
    if code is None and source.relative is None:
        code = "refuse.outside"
    return Refuse(Reason(code, {"path": document.file_path})) if code else None


def _mark(source: Source, entry: Entry | None, receipt: Receipt | None) -> Decision | None:
    """Only a receipt that was never used: a flag that went back wants the NAS read again."""
    if entry is None or receipt is None or entry.state is not State.COPIED:
        return None
    gone = source.kind is SourceKind.MISSING
    return Mark(receipt) if gone or source.version == receipt.version else None


def _wait_for_source(
    source: Source, entry: Entry | None, policy: Policy, now: dt.datetime
) -> Decision | None:
    """Its arrival is heard of; asked about is it the less often the longer it has been missing."""
    path = {"path": source.relative}
    if source.kind is SourceKind.UNKNOWN:
        return Wait(Reason("wait.uploads"), None)
    lasting = (now - entry.since).total_seconds() if entry and entry.reason else 0.0
    pause = min(max(lasting / 4, policy.scan_seconds), _LONGEST_MISSING_SECONDS)
    until = now + dt.timedelta(seconds=pause)
    if source.kind is SourceKind.MISSING:
        return Wait(Reason("wait.no_file", path), until)
    if source.kind is SourceKind.UNREADABLE:
        return Wait(Reason("source.unreadable", path), until)
    return None


def _wait_for_metadata(
    document: Document, entry: Entry | None, policy: Policy, now: dt.datetime
) -> Decision | None:
    status = (document.processing_status or "").strip().casefold()
    if status not in UNFINISHED:
        return None
    first_seen = min(entry.first_seen, now) if entry else now
    until = first_seen + dt.timedelta(seconds=policy.metadata_wait_seconds)
    if now >= until:
        return None
    params = {"status": status, "until": until.isoformat(timespec="seconds")}
    return Wait(Reason("wait.metadata", params), until)


def _wait_after_failure(
    entry: Entry | None, policy: Policy, now: dt.datetime, manual: bool
) -> Decision | None:
    if manual or entry is None or entry.next_attempt is None:
        return None
    if entry.state not in (State.FAILED, State.PROBLEM):
        return None
    problem = entry.state is State.PROBLEM
    limit = policy.problem_retry_seconds if problem else policy.retry_limit_seconds
    longest = now + dt.timedelta(seconds=limit * 1.25)
    if entry.next_attempt <= now or entry.next_attempt > longest:  # beyond: the clock jumped
        return None
    params: dict[str, object] = {
        "attempts": entry.attempts,
        "until": entry.next_attempt.isoformat(timespec="seconds"),
        "error": entry.reason.code if entry.reason else "",
    }
    return Wait(Reason("wait.backoff", params), entry.next_attempt)


def _wait_for_settling(
    source: Source, policy: Policy, now: dt.datetime, manual: bool
) -> Decision | None:
    if source.settled or manual:
        return None
    until = now + dt.timedelta(seconds=policy.settle_seconds)
    return Wait(Reason("wait.settling", {"path": source.relative}), until)


def _copy(document: Document, mount: MountView, policy: Policy) -> Decision:
    try:
        filed_as = folder_path(document, policy.folders)
        candidates = candidates_for(document, policy.folders)
    except UnfilableError:
        return Refuse(Reason("refuse.unfilable"))
    if not mount.usable:
        return Wait(Reason("wait.mount", {"state": mount.trouble}), None)
    return Copy(candidates, filed_as)
