"""What is to be sent and was not yet: in order, for each address by itself, also after a restart.

A letter leaves when every address has it, or when it is too old to be of use. A crash
between the sending and its being noted sends it once more: rather twice than never.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_LETTERS = 100
OLDEST = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, in words."""

    number: int
    at: str
    """When it was written: ISO, UTC."""
    title: str
    body: str
    severity: str


def moment_of(text: str) -> dt.datetime:
    """Return the moment that *text* (ISO) names.

    Raises:
        ValueError, TypeError: It names none, or one without a time zone, which would be found out
            only when it is compared.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return moment


def address_key(url: str) -> str:
    """Return what stands for an address where its secrets must not be."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


class Outbox:
    """Thread-safe."""

    def __init__(
        self,
        addresses: Collection[str],
        kept: Mapping[str, Any] | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            addresses: The keys of all addresses; a new one begins with the first letter that
                nobody has yet: the former one may have been wrong.
            kept: What :meth:`as_json` gave before a restart.
            on_change: Called after an address has got a letter, without a lock held.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: *kept* is not that.
        """
        kept = kept or {}
        self._on_change = on_change
        self._news = threading.Condition()
        self._letters = [_recalled(letter) for letter in kept.get("letters", ())]
        self._last = int(kept.get("last", 0))
        before: Mapping[str, int] = kept.get("sent", {})
        first = max(before.values(), default=self._last)
        self._sent = {key: int(before.get(key, first)) for key in addresses}
        self._closed = False
        self._tidy()

    def add(self, letters: Sequence[tuple[str, str, str]], now: dt.datetime) -> int:
        """Put in what is to be sent (title, body, severity); return how many were dropped for it.

        Dropped is what is older than :data:`OLDEST`, and the oldest beyond :data:`MOST_LETTERS`.
        """
        with self._news:
            for title, body, severity in letters:
                self._last += 1
                self._letters.append(Letter(self._last, now.isoformat(), title, body, severity))
            before = len(self._letters)
            self._letters = [one for one in self._letters if now - moment_of(one.at) < OLDEST][
                -MOST_LETTERS:
            ]
            self._news.notify_all()
            return before - len(self._letters)

    def next_for(self, address: str) -> Letter | None:
        """Wait for the next letter of *address*; None: the outbox was closed."""
        with self._news:
            self._news.wait_for(lambda: self._closed or self._first(address) is not None)
            return None if self._closed else self._first(address)

    def done(self, address: str, letter: Letter) -> None:
        """*address* has got *letter*."""
        with self._news:
            self._sent[address] = max(self._sent[address], letter.number)
            self._tidy()
        self._on_change()

    def wait_closed(self, seconds: float) -> bool:
        """Wait so long, or until it is closed; return whether it is."""
        with self._news:
            return self._news.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Let everybody go who waits. What was not sent is sent after the next start."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def as_json(self) -> dict[str, Any]:
        with self._news:
            return {
                "last": self._last,
                "sent": dict(self._sent),
                "letters": [asdict(letter) for letter in self._letters],
            }

    def _first(self, address: str) -> Letter | None:
        return next((one for one in self._letters if one.number > self._sent[address]), None)

    def _tidy(self) -> None:
        everybody = min(self._sent.values(), default=self._last)
        self._letters = [one for one in self._letters if one.number > everybody]


def _recalled(kept: Mapping[str, Any]) -> Letter:
    letter = Letter(**kept)
    moment_of(letter.at)
    return letter
