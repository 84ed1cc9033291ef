"""One event in the log for each document's fate; the command writes the same as the daemon."""

from __future__ import annotations

from nas_syncd.logs import Logger
from nas_syncd.messages import explain
from nas_syncd.models import Fate, FateKind

QUIET = frozenset({"wait.settling", "wait.backoff", "wait.elsewhere"})
"""Reasons of fates that come and go in a second and that nobody wants to read about."""


def log_fate(log: Logger, fate: Fate, language: str) -> None:
    """Write *fate* down under its stable event name; *language* is for the words in ``text``."""
    document, reason = fate.document, fate.reason
    about: dict[str, object] = {"document_id": document.id, "path": document.file_path}
    if document.original_name:
        about["name"] = document.original_name
    if fate.kind is FateKind.SYNCED and fate.receipt is not None:
        log.info(
            "document.synced",
            **about,
            destination=fate.receipt.destination,
            bytes=fate.receipt.version.size,
            seconds=round(fate.seconds, 3),
            sha256=fate.receipt.sha256,
            adopted=fate.adopted,
        )
        return
    if reason is None or reason.code in QUIET:
        return
    about |= {"code": reason.code, "text": explain(reason, language)}
    if fate.kind in (FateKind.FAILED, FateKind.REFUSED):
        log.warning(f"document.{fate.kind}", **about)
    elif reason.code.startswith("gone."):
        log.warning("document.gone", **about)
    elif fate.kind is FateKind.WAITING:
        log.debug("document.waiting", **about)
