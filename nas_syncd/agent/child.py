"""The child's side: read requests, work on several at a time, say how it goes.

The main thread does nothing but read, so that the end of the parent is always noticed. A job
counts its steps; while jobs are at work a heartbeat tells the parent, twice a second, on which
side each of them is and how many steps it has done. The parent judges by that what is
slow and what hangs. When nothing is to do, nothing wakes up.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas_syncd.agent.wire import Message, Unpacker, pack
from nas_syncd.errors import SyncError

BEAT_SECONDS = 0.5
PR_SET_PDEATHSIG = 1


class Job:
    """One request at work. ``side`` and ``steps`` are read by the heartbeat at any time."""

    __slots__ = ("args", "done_bytes", "id", "op", "side", "steps", "total_bytes", "waiting")

    def __init__(self, id: int, op: str, args: Message, side: str) -> None:  # noqa: A002 - field's name
        self.id = id
        self.op = op
        self.args = args
        self.side = side
        self.steps = 0
        self.done_bytes = 0
        self.total_bytes = 0
        self.waiting = False
        """It waits for another job, not for a system call: that one is judged."""

    def step(self, side: str) -> None:
        """Say that a system call on *side* (``nas`` or ``uploads``) comes next."""
        self.side = side
        self.steps += 1


class Later:
    """Returned by a handler whose answer comes later through :meth:`Child.answer`."""


LATER = Later()
Handler = Callable[[Job], Message | Later]


class Child:
    """Runs handlers for requests that arrive on a pipe. Ends with its parent."""

    def __init__(
        self,
        *,
        side: str,
        workers: int,
        lanes: Mapping[str, int] | None = None,
        reader: int = 0,
        writer: int = 1,
    ) -> None:
        """
        Args:
            workers: Jobs at work at once.
            lanes: As many more of those that :attr:`lane_of` puts there, and that wait for no
                others.
        """
        self.side = side
        self._workers = workers
        self._lanes = {lane: (queue.SimpleQueue[Job](), n) for lane, n in (lanes or {}).items()}
        self._reader = reader
        self._writer = writer
        self._write_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._active: dict[int, Job] = {}
        self._busy = threading.Condition()
        self.handlers: dict[str, Handler] = {}
        self.lane_of: Callable[[Job], str] = lambda _job: ""
        self.on_idle: Callable[[], float | None] | None = None
        """Called by the heartbeat; returns in how many seconds it wants to be called again."""

    def send(self, *messages: Message) -> None:
        """Write a frame for each. From any thread. Ends the process when the parent is gone."""
        frames = memoryview(b"".join(map(pack, messages)))
        try:
            with self._write_lock:
                while frames:
                    frames = frames[os.write(self._writer, frames) :]
        except OSError:
            os._exit(0)

    def answer(self, job: Job, result: Message) -> None:
        self.answer_all([(job, result)])

    def answer_all(self, answers: Sequence[tuple[Job, Message]]) -> None:
        with self._busy:
            for job, _ in answers:
                self._active.pop(job.id, None)
        self.send(*({"id": job.id, "ok": result} for job, result in answers))

    def fail(self, job: Job, error: SyncError) -> None:
        with self._busy:
            self._active.pop(job.id, None)
        self.send({"id": job.id, **describe(error)})

    def serve(self) -> None:
        """Work until the parent closes the pipe, then end the process at once."""
        for lane, (jobs, count) in {"worker": (self._jobs, self._workers), **self._lanes}.items():
            for number in range(count):
                threading.Thread(
                    target=self._work, args=(jobs,), name=f"{lane}-{number}", daemon=True
                ).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        unpacker = Unpacker()
        while data := os.read(self._reader, 1 << 16):
            for message in unpacker.feed(data):
                self._accept(message)
        os._exit(0)

    def wake(self) -> None:
        """Let the heartbeat look at ``on_idle`` again."""
        with self._busy:
            self._busy.notify()

    def _accept(self, message: Message) -> None:
        job = Job(int(message["id"]), str(message["op"]), message.get("args") or {}, self.side)
        with self._busy:
            self._active[job.id] = job
            self._busy.notify()
        jobs, _ = self._lanes.get(self.lane_of(job), (self._jobs, 0))
        jobs.put(job)

    def _work(self, jobs: queue.SimpleQueue[Job]) -> None:
        while True:
            job = jobs.get()
            job.steps += 1
            try:
                result = self.handlers[job.op](job)
            except SyncError as error:
                self.fail(job, error)
            except Exception as error:  # noqa: BLE001 - the parent must hear of every job
                self.fail(job, internal_error(error))
            else:
                if not isinstance(result, Later):
                    self.answer(job, result)

    def _beat(self) -> None:
        while True:
            idle = self.on_idle() if self.on_idle else None
            with self._busy:
                if not self._active:
                    self._busy.wait(idle)
                beat = self._snapshot()
            if beat:
                time.sleep(BEAT_SECONDS)
                with self._busy:
                    beat = self._snapshot()
                if beat:
                    self.send({"beat": beat})

    def _snapshot(self) -> list[list[Any]]:
        for job in self._active.values():
            job.steps += job.waiting
        return [[j.id, j.side, j.steps, j.done_bytes, j.total_bytes] for j in self._active.values()]


def internal_error(error: Exception) -> SyncError:
    """Wrap what should not happen, with the place where it did."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return SyncError(f"{type(error).__name__}: {error} at {place}")


def describe(error: SyncError) -> Message:
    """Return *error* as the part of a frame that :func:`error_from` understands."""
    cause = error.__cause__
    name = errno.errorcode.get(cause.errno or 0, "") if isinstance(cause, OSError) else ""
    params = {k: v for k, v in error.params.items() if isinstance(v, str | int | float | None)}
    if name:
        params.setdefault("errno", name)
    return {"error": error.code, "detail": error.detail, "params": params}


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end us with the thread that started us; leave if it is too late."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.SIG_IGN)
