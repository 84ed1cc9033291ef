"""A decision in words and as data; for ``explain`` and ``sync --dry-run``."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nas_syncd.cli.call import Call
from nas_syncd.errors import UnfilableError
from nas_syncd.messages import explain
from nas_syncd.models import (
    Copy,
    Decision,
    Document,
    Mark,
    Reason,
    Refuse,
    Rest,
    Unmark,
    Wait,
)
from nas_syncd.names import SHA_PLACE
from nas_syncd.routing import candidates_for
from nas_syncd.site import Site

_SHA_SHOWN = "<sha256>"


def decision_data(
    call: Call, site: Site, document: Document, decision: Decision | None
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
        "text": explain(reason, call.language) if reason else call.text(f"plan.{name}"),
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
