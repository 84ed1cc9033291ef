"""What a flow has in hand, and what it hears of it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from nas_syncd.agent.wire import Message
from nas_syncd.errors import SyncError
from nas_syncd.models import Copy, Document, Receipt, Source


@dataclass(slots=True)
class Work:
    """One document on its way to the NAS."""

    document: Document
    source: Source
    decision: Copy
    places: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    temp: str = ""
    answer: Future[Message] | None = None
    """Comes from the NAS agent; its progress is asked for by it."""
    begun: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    """Monotonic: when the NAS agent was asked."""
    among: int = 0
    """How many were in flight then, this one included."""


@dataclass(frozen=True, slots=True)
class Marking:
    """A document whose receipt is kept and whose flag is to be set."""

    document: Document
    receipt: Receipt
    adopted: bool
    begun: float
    """Monotonic."""
    noted: bool = False
    """Whether the journal says already that its flag is being set."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Inbox: the upload folder has answered."""

    documents: list[Document]
    sources: dict[str, Source]
    resets: int
    """Of the flow when it asked: what was let go of since is not decided."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Inbox: the NAS agent has answered."""

    work: Work
    result: Message | None
    error: SyncError | None
