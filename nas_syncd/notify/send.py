"""The child that sends one message with Apprise, and ends.

Reads one JSON object from standard input (``url``, ``title``, ``body``, ``type``; with ``check``
nothing is sent, only the address is judged) and answers with one: ``sent`` and ``detail``. The
address never stands in an argument, where everybody on the machine could read it, nor in an answer.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from typing import Any
from urllib.parse import unquote

NOT_INSTALLED = "apprise is not installed"
NOT_UNDERSTOOD = "apprise does not know this kind of address, or a part of it is missing"
SHORTEST_SECRET = 4
LONGEST_SECONDS = 120


class _Last(logging.Handler):
    """Apprise says by its log alone why a message was not taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.words = record.getMessage()


def send(order: dict[str, Any]) -> dict[str, Any]:
    """Return ``sent`` and, where it is false, ``detail`` without a part of the address."""
    try:
        import apprise
    except ImportError:
        return {"sent": False, "detail": NOT_INSTALLED}
    last = _Last()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [last], False
    url = str(order["url"])
    target = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if target is None:
        return {"sent": False, "detail": NOT_UNDERSTOOD}
    if order.get("check"):
        return {"sent": True, "detail": ""}
    try:
        # The object's own call: Apprise's works in thread pools and event loops.
        sent = target.notify(body=order["body"], title=order["title"], notify_type=order["type"])
    except Exception as error:  # noqa: BLE001 - a hundred services, each with errors of its own
        return {"sent": False, "detail": harmless(f"{type(error).__name__}: {error}", url)}
    return {"sent": bool(sent), "detail": "" if sent else harmless(last.words or "refused", url)}


def harmless(words: str, url: str) -> str:
    """Return *words* without any part of *url* but its scheme: each of them may be a secret."""
    scheme, _, rest = url.partition("://")
    words = words.replace(url, f"{scheme}://…")
    raw = re.split(r"[/:@?&=#,;+\s]+", rest)
    for part in sorted({*raw, *map(unquote, raw)}, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            words = words.replace(part, "…")
    return words[:500]


def main() -> int:
    signal.alarm(LONGEST_SECONDS)  # should nobody be left who could end us
    answers = os.dup(1)
    os.dup2(2, 1)  # what a service's library prints is no answer
    answer = send(json.load(sys.stdin))
    os.write(answers, json.dumps(answer).encode())
    return 0 if answer["sent"] else 1
