"""Is it really the NAS, and can it be used now?

The guard holds the one view of the mount that everybody in this process shares. It asks the NAS
agent, never the mount; it knows the identity that the journal remembers; and it decides when
asking is worth a try: at once when the mount table changes, with backoff while work waits,
and not at all while a child that was left behind is still stuck in the same mount.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from nas_syncd.agent.process import Agent, AgentDiedError, AgentHungError
from nas_syncd.agent.wire import Message
from nas_syncd.errors import MountError, NasFullError, NasPrivacyError, SyncError
from nas_syncd.models import Identity, MountState, MountView, Reason
from nas_syncd.mounttable import MountPoint, find_mount, read_mount_table

RETRY_FIRST_SECONDS = 1.0
RETRY_LIMIT_SECONDS = 5.0
FULL_RETRY_SECONDS = 60.0
FULL_FIRST_RETRY_SECONDS = 4.0
"""Where the server's free space is no guide (a quota), a full NAS is tried again after this,
doubling to the limit above."""
IDLE_CHECK_SECONDS = 3600.0
"""A NAS that is well may lose its disk, or its server, and the mount table says nothing."""
AWAY_CHECK_SECONDS = 60.0
"""A NAS that cannot be used is asked this often although nothing waits for it."""

_STATES = {f"mount.{state}": state for state in MountState}
_STATES[NasPrivacyError.code] = MountState.DENIED


@dataclass(frozen=True, slots=True)
class Shortage:
    """A copy that found the NAS full: what was free then and what it wanted."""

    free: int | None
    """None: the copy was not told; the next look tells."""
    needed: int
    until: float

    def is_over(self, free: int) -> bool:
        """Whether something was freed since, or so much time has passed that it is worth a try."""
        return time.monotonic() >= self.until or (self.free is not None and free > self.free)


def judge(
    facts: Message, path: str, known: Identity | None, min_free: int, short: Shortage | None
) -> tuple[MountState, Reason | None]:
    """Return what the agent's *facts* mean. Pure.

    Without a memory (a second host, the backend's container) the marker that is found is taken
    as ours; see :meth:`Guard.pin`.
    """
    base: dict[str, object] = {"path": path}
    found, file_system = facts["nas"], facts["mount"][2]
    if found is None:
        return _told(MountState.NOT_MOUNTED, {**base, "paired": known is not None})
    if known is not None and found != known.nas:
        return _told(MountState.FOREIGN, {**base, "expected": known.nas, "found": found})
    if known is not None and file_system and known.file_system != file_system:
        parts = {"expected": known.file_system, "found": file_system}
        return _told(MountState.SUSPECT, {**base, **parts})
    if facts["read_only"]:
        return _told(MountState.READ_ONLY, base)
    free = int(facts["free"])
    needed = max(min_free, short.needed if short else 0)
    if free < needed or (short and not short.is_over(free)):
        return _told(MountState.FULL, {**base, "free": free, "needed": needed})
    return MountState.OK, None


def _told(state: MountState, params: dict[str, object]) -> tuple[MountState, Reason]:
    return state, Reason(f"mount.{state}", params)


class Guard:
    """The mount's state machine. Thread-safe; never blocks on the mount itself."""

    def __init__(
        self,
        agent: Agent,
        path: str,
        *,
        identity: Identity | None,
        min_free_bytes: int = 0,
        remember: Callable[[Identity], None] = lambda _identity: None,
        recall: Callable[[], Identity | None] = lambda: None,
        on_change: Callable[[MountView, MountView], None] = lambda _was, _now: None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        idle_check_seconds: float = IDLE_CHECK_SECONDS,
    ) -> None:
        """
        Args:
            path: The share as this host sees it, absolute and normalised; empty when not set.
            identity: What the journal remembers.
            remember: Called when a first marker is pinned.
            recall: Asked before each look: another process may have paired meanwhile.
            on_change: Called with the old and the new view, in whatever thread noticed.
            idle_check_seconds: A NAS that is well is asked this often although nothing waits.
        """
        self.agent = agent
        self.path = path
        self.identity = identity
        self.min_free_bytes = min_free_bytes
        self._remember = remember
        self._recall = recall
        self._on_change = on_change
        self._now = now
        self._idle_check_seconds = idle_check_seconds
        self._lock = threading.RLock()
        self._checking: Future[MountView] | None = None
        self._short: Shortage | None = None
        self._full_tries, self._full_at = 0, float("-inf")
        self._line = self._mount_line()
        self._hung_on: MountPoint | None = None
        self._due = 0.0
        self._backoff = RETRY_FIRST_SECONDS
        first = MountState.UNKNOWN if path else MountState.UNCONFIGURED
        reason = Reason(f"mount.{first}", {"path": path})
        self.view = MountView(first, path, reason, since=now())
        self._tried = False
        self.epoch = 0
        """Counts the times the mount became usable: a look after a remount is another look."""

    # -- asking -----------------------------------------------------------------------------

    def check(self, *, write: bool = False) -> Future[MountView]:
        """Ask the agent what stands at the path now. One question at a time is on its way.

        The future never raises; while nothing can be learned (no path; a child is stuck in the
        same mount) it gives the view as it is.
        """
        with self._lock:
            if self._checking is not None:
                return self._checking
            answer: Future[MountView] = Future()
            if not self.path or self._hopeless():
                self._schedule()
                answer.set_result(self.view)
                return answer
            self._checking = answer
        try:
            self.identity = self._recall() or self.identity
            nas = self.identity.nas if self.identity else None
            asked = self.agent.ask("probe", root=self.path, nas=nas, write=write)
        except BaseException:
            with self._lock:
                self._checking = None
            answer.set_result(self.view)
            raise
        tried = write and nas is not None
        asked.add_done_callback(lambda done: self._answered(answer, done, tried=tried))
        return answer

    def _hopeless(self) -> bool:
        """A new child would only join the one that is stuck (at most one for each mount)."""
        return (
            self.view.state is MountState.HUNG
            and self.agent.stuck
            and self._mount_line() == self._hung_on
        )

    @property
    def untried(self) -> bool:
        """Whether it is well as far as one can tell without ever having written to it: so it is
        when its marker was met for the first time."""
        return self.view.usable and not self._tried

    def _answered(self, answer: Future[MountView], asked: Future[Message], *, tried: bool) -> None:
        try:
            error = asked.exception()
            if isinstance(error, SyncError):
                self.trouble(error)
            elif error is None:
                self._tried |= tried
                self._learn(asked.result())
        finally:
            with self._lock:
                self._checking = None
            answer.set_result(self.view)

    def _learn(self, facts: Message) -> None:
        with self._lock:
            if self._short and time.monotonic() >= self._short.until:
                self._short = None
            state, reason = judge(facts, self.path, self.identity, self.min_free_bytes, self._short)
            if self.identity is None and state in (MountState.OK, MountState.FULL):
                self.pin(facts)
            if state is MountState.OK:
                self._short = None
            elif self._short and self._short.free is None:
                self._short = replace(self._short, free=int(facts["free"]))
            self._set(
                replace(
                    self.view,
                    state=state,
                    reason=reason,
                    nas=facts["nas"],
                    file_system=facts["mount"][2] or None,
                    source=facts["mount"][3] or None,
                    free_bytes=int(facts["free"]),
                    total_bytes=int(facts["total"]),
                )
            )

    def pin(self, facts: Message) -> None:
        """Take the marker that was found as ours, and remember it."""
        _, _, file_system, source = facts["mount"]
        identity = Identity(facts["nas"], file_system, source)
        self._remember(identity)
        self.identity = identity

    def trouble(self, error: SyncError) -> None:
        """Take note of what an attempt to use the mount met."""
        if isinstance(error, AgentDiedError) and error.params.get("stopped"):
            return
        with self._lock:
            if isinstance(error, AgentHungError | AgentDiedError):
                if error.params.get("side") == "uploads":
                    return
                state = MountState.HUNG if isinstance(error, AgentHungError) else MountState.DOWN
                self._hung_on = self._mount_line()
                reason = Reason(
                    f"mount.{state}",
                    {"path": self.path, "seconds": round(self.agent.timeout_seconds)},
                )
            else:
                state = _STATES.get(error.code, MountState.DOWN)
                params = {"path": self.path, "paired": self.identity is not None}
                reason = Reason(error.code, {**error.params, **params})
            if isinstance(error, NasFullError):
                free = error.params.get("free")
                self._short = Shortage(
                    free=None if free is None else _number(free),
                    needed=_number(error.params.get("needed")),
                    until=time.monotonic() + self._full_pause(),
                )
            self._set(replace(self.view, state=state, reason=reason))

    def _full_pause(self) -> float:
        """The longer, the more often it was found full of late."""
        now = time.monotonic()
        if now - self._full_at > 2 * FULL_RETRY_SECONDS:
            self._full_tries = 0
        pause = min(FULL_FIRST_RETRY_SECONDS * 2.0**self._full_tries, FULL_RETRY_SECONDS)
        self._full_tries, self._full_at = min(self._full_tries + 1, 10), now
        return pause

    def _set(self, view: MountView) -> None:
        was, now = self.view, self._now()
        since = was.since if view.state is was.state else now
        self.view = replace(view, since=since, checked_at=now)
        changed = self.view.state is not was.state
        if changed:
            self._backoff = RETRY_FIRST_SECONDS
            if self.view.usable:
                self.epoch += 1
        self._schedule()
        if changed:
            self._on_change(was, self.view)

    def _schedule(self) -> None:
        if self.view.usable:
            self._due = time.monotonic() + self._idle_check_seconds
        else:
            self._due = time.monotonic() + self._backoff
            self._backoff = min(self._backoff * 2, RETRY_LIMIT_SECONDS)

    @property
    def asking(self) -> bool:
        """Whether a question is on its way; :meth:`check` joins it."""
        return self._checking is not None

    # -- when to ask ------------------------------------------------------------------------

    def due(self, work_waits: bool) -> bool:
        """Say whether :meth:`check` is worth calling now. Looks at the mount table only."""
        line = self._mount_line()
        with self._lock:
            if self._checking is not None:
                return False
            asleep = line is not None and line.file_system == "autofs"
            if line != self._line:
                self._line = line
                if asleep and not work_waits:
                    return False  # looking would mount it again
                self._backoff = RETRY_FIRST_SECONDS
                return True
            if self.view.state is MountState.UNKNOWN:
                return True
            if self.view.usable:
                return (work_waits or not asleep) and time.monotonic() >= self._due
            patience = 0.0 if work_waits else AWAY_CHECK_SECONDS
            return time.monotonic() >= self._due + patience

    def raise_unless_usable(self) -> None:
        """
        Raises:
            MountError: The view is not OK; the error is the one its state stands for.
        """
        if self.view.usable:
            return
        raise mount_error(self.view)

    def _mount_line(self) -> MountPoint | None:
        return find_mount(read_mount_table(), self.path) if self.path else None


def mount_error(view: MountView) -> MountError:
    """Return the error that a view which is not usable stands for."""
    wanted = f"mount.{view.trouble}"
    kinds: list[type[MountError]] = [*MountError.__subclasses__(), NasPrivacyError]
    for kind in kinds:
        if kind.code == wanted:
            return kind("", **dict(view.reason.params if view.reason else {}))
    return MountError("", path=view.path)


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
