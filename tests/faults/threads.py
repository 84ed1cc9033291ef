"""The real children as threads of this process: a case takes milliseconds, and its faults are near.

Nothing of the program is replaced but the start of a process: the parent's side converses over
real pipes in its own frames; behind them are the real :class:`~nas_syncd.agent.child.Child` and
the real roles. Only the NAS agent's system calls are a test's own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

from nas_syncd.agent import nas as nas_module
from nas_syncd.agent import process
from nas_syncd.agent.child import Child, Handler, Job
from nas_syncd.agent.nas import NasRole
from nas_syncd.agent.uploads import Uploads
from nas_syncd.agent.wire import Message, Unpacker, pack
from nas_syncd.nasfs import Calls


class ThreadChild(Child):
    """The child's side. Ends its threads, not the process, when its parent goes."""

    def __init__(self, side: str, workers: int) -> None:
        self.mine_to_read, self.theirs_to_write = os.pipe()
        self.theirs_to_read, self.mine_to_write = os.pipe()
        super().__init__(
            side=side, workers=workers, reader=self.mine_to_read, writer=self.mine_to_write
        )
        self.ended = False
        self.ending: list[Callable[[], None]] = []

    def send(self, *messages: Message) -> None:
        frames = memoryview(b"".join(map(pack, messages)))
        with self._write_lock:
            if self.ended:
                raise SystemExit
            while frames:
                frames = frames[os.write(self.mine_to_write, frames) :]

    def serve(self) -> None:
        threads = [started(lambda: self._work(self._jobs)) for _ in range(self._workers)]
        started(self._beat)
        unpacker = Unpacker()
        while data := os.read(self.mine_to_read, 1 << 16):
            for message in unpacker.feed(data):
                self._accept(message)
        self._end(threads)

    def _end(self, threads: list[threading.Thread]) -> None:
        self.handlers["end"] = self.on_idle = leave
        for _ in threads:
            self._jobs.put(Job(0, "end", {}, self.side))
        for thread in threads:
            thread.join()
        for end in self.ending:
            end()
        with self._write_lock:
            self.ended = True
            os.close(self.mine_to_read)
            os.close(self.mine_to_write)
        self.wake()


class ThreadRole(NasRole):
    """The real one; its voucher can leave."""

    def _vouch(self) -> None:
        with contextlib.suppress(SystemExit):
            super()._vouch()


def started(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that may leave (:func:`leave`)."""

    def run() -> None:
        with contextlib.suppress(SystemExit):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def leave(*_: object) -> Any:
    """End the thread that calls this."""
    raise SystemExit


class Leaves:
    """Ends the thread that wants to know what is in it."""

    def __iter__(self) -> Iterator[Any]:
        raise SystemExit


class Started:
    """What ``Popen`` is to the parent."""

    pid = 0

    def __init__(self, child: ThreadChild) -> None:
        silent, nobody = os.pipe()
        os.close(nobody)
        self.stdin = os.fdopen(child.theirs_to_write, "wb", 0)
        self.stdout = os.fdopen(child.theirs_to_read, "rb", 0)
        self.stderr = os.fdopen(silent, "rb", 0)
        self._thread = threading.Thread(target=child.serve, daemon=True)
        self._thread.start()

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("threads", timeout or 0)
        return 0

    def kill(self) -> None:
        """Its pipes are closed already: it ends when its jobs have."""


class Threads:
    """Starts children. ``calls`` are the NAS agent's; ``in_job`` knows whose a call is."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.local = threading.local()
        self.roles: list[NasRole] = []

    def start(self, role: str, options: Message) -> Started:
        child = ThreadChild(role, int(options["workers"]))
        if role == "nas":
            self._nas(child, options)
        else:
            Uploads(child, options["root"], options["watch"], options["queue_limit"])
        return Started(child)

    def _nas(self, child: ThreadChild, options: Message) -> None:
        role = ThreadRole(child, options)
        role.calls = self.calls
        child.handlers = {op: self._told(handler) for op, handler in child.handlers.items()}
        child.ending = [
            lambda: role._placed.put(Leaves()),  # type: ignore[arg-type]
            lambda: end_batch(role),
        ]
        self.roles.append(role)

    def _told(self, handler: Handler) -> Handler:
        def told(job: Job) -> Any:
            self.local.job = job
            try:
                return handler(job)
            finally:
                self.local.job = None

        return told

    @property
    def job(self) -> Job | None:
        """The job that this thread works on; None in the voucher's."""
        return getattr(self.local, "job", None)

    def rest(self) -> None:
        """Half a second of idleness: every batch ends."""
        for role in self.roles:
            end_batch(role)


def end_batch(role: NasRole) -> None:
    role._used_at = float("-inf")
    role.idle()


@contextlib.contextmanager
def children_are_threads(calls: Calls) -> Iterator[Threads]:
    """Start no processes meanwhile. A batch ends when the test says so, not by the time of day."""
    threads = Threads(calls)
    before = process.start_child, nas_module.IDLE_SECONDS, nas_module.BATCH_SECONDS
    process.start_child = threads.start  # type: ignore[assignment]
    nas_module.IDLE_SECONDS = nas_module.BATCH_SECONDS = 3600.0
    try:
        yield threads
    finally:
        process.start_child, nas_module.IDLE_SECONDS, nas_module.BATCH_SECONDS = before
