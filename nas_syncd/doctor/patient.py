"""What the doctor is given, and what one room finds out for another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nas_syncd.errors import ConfigurationError
from nas_syncd.journal.reading import Memory
from nas_syncd.settings import Settings

T = TypeVar("T")

LONGEST_SECONDS = 60.0
"""A system call on the NAS or in the upload folder is waited for so long at most."""
USUAL_SECONDS = 30.0
STATE_SECONDS = 20.0
_CONTAINER_SIGNS = ("/.dockerenv", "/run/.containerenv")


class ServiceState(Protocol):
    """How the service manager sees us."""

    @property
    def manager(self) -> str | None: ...
    @property
    def scope(self) -> str | None: ...
    @property
    def installed(self) -> bool: ...
    @property
    def running(self) -> bool: ...
    @property
    def since(self) -> object: ...
    @property
    def detail(self) -> str | None: ...


def learned(what: Future[T | None], seconds: float) -> T | None:
    """Return what another room has found out; None when it has not, within *seconds*."""
    try:
        return what.result(seconds)
    except TimeoutError:
        return None


def _nothing() -> None:
    return None


@dataclass
class Patient:
    """One installation on one host. Rooms read it from threads of their own."""

    language: str
    settings: Settings | None
    """What can be used of them: refused values are their defaults. None: there are none."""
    refused: list[ConfigurationError] = field(default_factory=list)
    env_file: Path | None = None
    """The settings file that was asked for."""
    probe_seconds: int | None = None
    """Watch the upload folder for so long, while somebody puts a file there."""
    ask_daemon: Callable[[], Mapping[str, Any] | None] = _nothing
    """Returns what the running daemon says of itself; None: none answers.
    Raises PermissionError: we may not ask."""
    ask_service: Callable[[], ServiceState | None] = _nothing
    tell: Callable[[str], None] = lambda _words: None
    """Says something to the person while the doctor is at work."""
    state_answers: Future[bool | None] = field(default_factory=Future)
    """Whether the state directory may be touched: a dead share would hold us up."""
    memory: Future[Memory | None] = field(default_factory=Future)
    """What the journal remembers; None: nothing could be learned."""
    database_clock: Future[float | None] = field(default_factory=Future)
    """Seconds by which the database server's clock is ahead of ours."""
    nas_clock: Future[float | None] = field(default_factory=Future)

    def daemon(self) -> Mapping[str, Any] | None:
        """Return what the running daemon says of itself; None: none answers, or it cannot be
        asked without touching a state directory that hangs.

        Raises:
            PermissionError: We may not ask.
        """
        if self.settings is not None and not learned(self.state_answers, STATE_SECONDS):
            return None
        return self.ask_daemon()

    @property
    def seconds(self) -> float:
        """The deadline of a single system call."""
        wanted = self.settings.nas_timeout_seconds if self.settings else USUAL_SECONDS
        return min(wanted, LONGEST_SECONDS)

    @property
    def in_container(self) -> bool:
        return any(os.path.exists(sign) for sign in _CONTAINER_SIGNS)
