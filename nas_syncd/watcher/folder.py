"""The upload folder as the parent sees it: where it stands, what arrives, what lies in it.

Everything that touches the folder happens in the ``uploads`` child (the folder may lie on a dead
NFS, too). What comes from here are hints; the truth is asked for with :meth:`UploadFolder.look`.

No thread of its own: the daemon calls :meth:`UploadFolder.tick`, and answers arrive in the child's
thread. The command and the service use :meth:`UploadFolder.look` alone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from nas_syncd.agent.process import Agent, AgentHungError
from nas_syncd.agent.wire import Message
from nas_syncd.errors import UploadsError
from nas_syncd.models import Reason, Source
from nas_syncd.watcher.view import (
    Batch,
    UploadsHungError,
    UploadsState,
    UploadsView,
    Watching,
    essence,
    hint_of,
    meant,
    source_of,
)

CPU_SHARE = 0.003
POLL_CPU_SHARE = 0.02
POLL_SECONDS = 2.0
LOST_SHARE_FACTOR = 10.0
"""A scan because events were lost may use this much more CPU than the periodic ones."""
CHECK_SECONDS = 15.0
"""A folder that is watched tells most of what happens to it; each question wakes a child."""
AWAY_CHECK_SECONDS = 1.0
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 60.0
QUEUE_LIMIT = 65_536
WORKERS = 2

_log = logging.getLogger(__name__)


class UploadFolder:
    """Asks the child, keeps the view, and decides when to look again. Thread-safe."""

    def __init__(
        self,
        root: str,
        *,
        timeout_seconds: float,
        watch: str | None = None,
        scan_seconds: float = 30.0,
        on_hints: Callable[[Batch], None] | None = None,
        on_view: Callable[[UploadsView], None] | None = None,
        on_wake: Callable[[], None] | None = None,
        cpu_share: float = CPU_SHARE,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """
        Args:
            root: The upload folder; may be missing, may be a link.
            timeout_seconds: The longest a single system call on it may take.
            watch: ``auto``, ``native``, ``poll``; None: only :meth:`look` is used.
            scan_seconds: The interval of full scans, stretched to keep to *cpu_share*.
            on_hints: Gets at most 500 hints at a time, and calls the batch's ``taken`` when it is
                done with them. Called in the child's thread: short.
            on_view: Called when state, reason, watching or warning changed; any thread.
            on_wake: Called when :meth:`tick` is due sooner than it said; any thread.
            cpu_share: The part of one core that periodic scans may use.
            queue_limit: Events that may wait in the child before they count as lost.
        """
        self._root = root
        self._scan_seconds = scan_seconds
        self._cpu_share = cpu_share
        self._on_hints = on_hints
        self._on_view = on_view
        self._on_wake = on_wake
        self._agent = Agent(
            "uploads",
            side="uploads",
            timeout_seconds=timeout_seconds,
            workers=WORKERS,
            on_event=self._hear,
            options={"root": root, "watch": watch, "queue_limit": queue_limit},
        )
        self._lock = threading.RLock()
        self._view = UploadsView(UploadsState.UNKNOWN, root, _now())
        self._started = False
        self._closed = False
        self._asking = False
        self._scan_wanted = False
        self._was_stuck = False
        self._promised = 0.0
        self._scan_at = self._soonest_scan = self._check_at = 0.0
        self._backoff = FIRST_RETRY_SECONDS

    # -- for everybody ------------------------------------------------------------------

    @property
    def view(self) -> UploadsView:
        return self._view

    @property
    def agent(self) -> Agent:
        """The child, for status and tests."""
        return self._agent

    def look(self, relatives: Collection[str]) -> Future[dict[str, Source]]:
        """Look at each path; links and what leads outside are told, nothing is opened.

        The future raises :class:`UploadsError` (or a subclass that says more) when the folder
        as a whole cannot be asked. It is answered within the deadline, at once while a child
        that hangs has not ended. Callbacks run in the child's thread.
        """
        answer: Future[dict[str, Source]] = Future()
        answer.set_running_or_notify_cancel()
        paths = list(relatives)
        if not paths:
            answer.set_result({})
            return answer
        if self._agent.stuck:
            answer.set_exception(UploadsHungError(path=self._root))
            return answer

        def done(future: Future[Message]) -> None:
            error = self._note(future)
            self._go_on()
            if error is not None:
                answer.set_exception(error)
                return
            looks = future.result()["looks"]
            answer.set_result({p: source_of(p, look) for p, look in zip(paths, looks, strict=True)})

        try:
            asked = self._agent.ask("look", paths=paths)
        except RuntimeError:  # closed
            answer.set_exception(UploadsError("closed", path=self._root))
        else:
            asked.add_done_callback(done)
        return answer

    def close(self) -> None:
        """End the child. Waits a second at most, whatever the folder does."""
        with self._lock:
            self._closed = True
        self._agent.close()

    # -- for the daemon -----------------------------------------------------------------

    def start(self) -> None:
        """Let :meth:`tick` watch and scan from now on."""
        with self._lock:
            self._started = True
            self._scan_wanted = True

    def rescan(self) -> None:
        """Ask for a scan as soon as the CPU budget allows."""
        with self._lock:
            self._scan_wanted = True
        self._go_on()

    def tick(self, now: float) -> float:
        """Ask what is due; return when to call again at the latest (monotonic seconds)."""
        due = self._advance(now)
        with self._lock:
            self._promised = due
        return due

    def _advance(self, now: float) -> float:
        with self._lock:
            if not self._started or self._closed:
                return now + 3600.0
            if self._asking:
                return now + CHECK_SECONDS
            if self._agent.stuck:
                self._was_stuck = True
                return now + AWAY_CHECK_SECONDS
            if self._was_stuck:  # the hang is over
                self._was_stuck, self._check_at = False, now
            op = self._due_op(now)
            if op is None:
                return self._next_due()
            self._asking = True
            if op == "scan":
                self._scan_wanted = False
            future = self._agent.ask(op)
        future.add_done_callback(self._checked if op == "check" else self._scanned)
        return now + CHECK_SECONDS

    def _due_op(self, now: float) -> str | None:
        if self._view.state is not UploadsState.OK:
            return "check" if now >= self._check_at else None
        if not self._agent.running:  # it ended while idle: its watch is gone with it
            return "scan"
        if now >= self._scan_at or (self._scan_wanted and now >= self._soonest_scan):
            return "scan"
        return "check" if now >= self._check_at else None

    def _next_due(self) -> float:
        if self._view.state is not UploadsState.OK:
            return self._check_at
        scan = min(self._scan_at, self._soonest_scan) if self._scan_wanted else self._scan_at
        return min(scan, self._check_at)

    # -- answers ------------------------------------------------------------------------

    def _checked(self, future: Future[Message]) -> None:
        with self._lock:
            self._asking = False
        if self._note(future) is None:
            answer = future.result()
            self._show(watching=answer["watching"])
            with self._lock:
                self._scan_wanted |= bool(answer["fresh"])
        self._go_on()

    def _scanned(self, future: Future[Message]) -> None:
        with self._lock:
            self._asking = False
        if self._note(future) is None:
            answer = future.result()
            self._plan(answer["cpu_seconds"], answer["watching"])
            self._show(watching=answer["watching"], scanned_at=_now(), files=answer["files"])
        self._go_on()

    def _plan(self, cpu_seconds: float, watching: Watching) -> None:
        """Set the next scan, so that scans keep to their part of a core."""
        share, interval = self._cpu_share, self._scan_seconds
        if watching != "native":
            share, interval = max(share, POLL_CPU_SHARE), min(interval, POLL_SECONDS)
        now = time.monotonic()
        with self._lock:
            self._scan_at = now + max(interval, cpu_seconds / share)
            self._soonest_scan = now + cpu_seconds / (share * LOST_SHARE_FACTOR)

    def _note(self, future: Future[Message]) -> UploadsError | None:
        """Take from an answer how the folder is; return the error it means, if any."""
        caught = future.exception()
        now = time.monotonic()
        if caught is None:
            with self._lock:
                if self._view.state is not UploadsState.OK:
                    self._scan_wanted, self._soonest_scan = True, 0.0
                self._backoff = FIRST_RETRY_SECONDS
                self._check_at = now + CHECK_SECONDS
            self._show(state=UploadsState.OK, reason=None)
            return None
        state, delay = self._judge(caught)
        stopped = self._closed and state is UploadsState.ERROR
        error = meant(caught, state, self._root)
        with self._lock:
            self._check_at = now + delay
        if not stopped:
            self._show(state=state, reason=Reason(error.code, error.params))
        return error

    def _judge(self, error: BaseException) -> tuple[UploadsState, float]:
        """Return what an error says of the folder, and when to try again."""
        if isinstance(error, AgentHungError):
            return UploadsState.HUNG, self._back_off()
        if isinstance(error, UploadsError):
            state = UploadsState(str(error.params.get("state", UploadsState.ERROR)))
            return state, AWAY_CHECK_SECONDS
        return UploadsState.ERROR, self._back_off()

    def _back_off(self) -> float:
        with self._lock:
            delay = self._backoff
            self._backoff = min(LAST_RETRY_SECONDS, delay * 2)
        return delay

    # -- what the child says unasked ----------------------------------------------------

    def _hear(self, message: Message) -> None:
        event = message.get("event")
        if event == "seen":
            self._hand_over(message)
        elif event == "lost":
            self.rescan()
        elif event == "fallback":
            self._warn(message)

    def _hand_over(self, message: Message) -> None:
        by = message["by"]

        def taken() -> None:
            if by == "scan":
                with contextlib.suppress(RuntimeError):  # closed meanwhile
                    self._agent.ask("ack", scan=message["scan"])

        batch = Batch((hint_of(entry, by) for entry in message["entries"]), taken)
        try:
            if self._on_hints:
                self._on_hints(batch)
            else:
                taken()
        except Exception:  # noqa: BLE001 - a hint lost is found by a scan; a dead thread is not
            _log.exception("uploads.hints_failed")
            with self._lock:
                self._scan_wanted = True
            taken()

    def _warn(self, message: Message) -> None:
        why = message["why"]
        code = {"limit": "uploads.watch_limit", "deaf": "uploads.deaf"}
        params = {"path": self._root, "detail": message["detail"], "limit": message["limit"]}
        self._show(warning=Reason(code.get(why, "uploads.watch_failed"), params))

    # -- the view -----------------------------------------------------------------------

    def _show(self, **changes: Any) -> None:
        """Change the view; tell of it when more than the time of the last scan changed."""
        with self._lock:
            before = self._view
            if changes.get("state", before.state) is not before.state:
                changes["since"] = _now()
            if changes.get("watching") == "native" and before.warning is not None:
                changes["warning"] = (
                    None if before.warning.code != "uploads.deaf" else (before.warning)
                )
            self._view = after = replace(before, **changes)
        news = essence(before) != essence(after)
        if news and self._on_view and not self._closed:
            self._on_view(after)

    def _go_on(self) -> None:
        """Do at once what is due, and let the daemon know when its plan has changed."""
        if self._closed or not self._started:
            return
        due = self._advance(time.monotonic())
        if due < self._promised and self._on_wake:
            self._on_wake()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
