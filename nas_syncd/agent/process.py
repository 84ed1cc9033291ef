"""The parent's side of a child: start it, ask it, judge whether it hangs, leave it behind.

One thread belongs to each child: it starts it (the kernel's death signal is bound to the thread
that did), moves the bytes, and watches the deadline. Nothing here waits for a child
that does not answer: past its deadline it is killed and left, and every question that was open
is answered with :class:`AgentHungError`. FACTS: ``subprocess.run(timeout=…)`` on a hung
child never returns; ``Popen`` + ``kill`` + reap later does.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import selectors
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_syncd.agent.wire import Message, Unpacker, pack
from nas_syncd.errors import SyncError, Whose, error_from

READ_BYTES = 1 << 18
_log = logging.getLogger(__name__)
_HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
}
"""One heap for all threads saves memory. It keeps a few MiB when they are free: giving them back
and asking for them again for each file costs a fault for each page. glibc sizes both thresholds
by itself only as long as neither is set (mallopt(3))."""
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR")


class AgentHungError(SyncError):
    """No sign of life within the deadline. Params: ``side`` (``nas`` or ``uploads``)."""

    code = "agent.hung"
    whose = Whose.MOUNT


class AgentDiedError(SyncError):
    """The child ended while it had work (killed, crashed, out of memory)."""

    code = "agent.died"
    whose = Whose.MOUNT


@dataclass(slots=True)
class Progress:
    """What the heartbeat last said of one job."""

    side: str
    steps: int = -1
    done_bytes: int = 0
    total_bytes: int = 0
    moved_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class Question:
    """A request on its way: its answer comes through ``future``."""

    id: int
    op: str
    future: Future[Message]
    progress: Progress


class Agent:
    """Asks one kind of child. A child is started when there is a question and none runs.

    Thread-safe. Answers are given in the agent's own thread, so callbacks must be short.
    """

    def __init__(
        self,
        role: str,
        *,
        side: str,
        timeout_seconds: float,
        workers: int = 1,
        on_event: Callable[[Message], None] | None = None,
        options: Message | None = None,
    ) -> None:
        """
        Args:
            role: The module in this package that the child runs (``nas``, ``uploads``).
            side: Whose trouble it is when the child has said nothing at all.
            timeout_seconds: The longest a single system call may take.
            workers: Jobs at work at once.
            on_event: Gets every unasked message, in the agent's thread.
            options: Handed to the child at its start.
        """
        self.role = role
        self.side = side
        self.timeout_seconds = timeout_seconds
        self._workers = workers
        self._on_event = on_event
        self._options = options or {}
        self._lock = threading.Lock()
        self._child: _Running | None = None
        self._left_behind: list[subprocess.Popen[bytes]] = []
        self._next = 0
        self._closed = False
        _LIVE.add(self)

    def ask(self, op: str, **args: Any) -> Future[Message]:
        """Send a request; the future gives its result or raises a :class:`SyncError`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("agent is closed")
            self._next += 1
            question = Question(self._next, op, Future(), Progress(self.side))
            question.future.set_running_or_notify_cancel()  # nobody can cancel what was sent
            message = {"id": question.id, "op": op, "args": args}
            while self._child is None or not self._child.post(question, message):
                self._child = _Running(self)
                self._child.start()
            return question.future

    def call(self, op: str, **args: Any) -> Message:
        """Ask and wait. Never longer than the child's deadline allows it to be silent."""
        return self.ask(op, **args).result()

    @property
    def running(self) -> bool:
        child = self._child
        return child is not None and not child.ended

    @property
    def stuck(self) -> bool:
        """Whether a child that was left behind has still not ended."""
        with self._lock:
            self._left_behind = [p for p in self._left_behind if p.poll() is None]
            return bool(self._left_behind)

    def progress(self) -> list[tuple[int, str, Progress]]:
        """Return what is at work now."""
        child = self._child
        return [(q.id, q.op, q.progress) for q in list(child.questions.values())] if child else []

    def progress_of(self, answer: Future[Message]) -> Progress | None:
        """Return how far the work behind *answer* is; None when it is not at work now."""
        child = self._child
        questions = list(child.questions.values()) if child else []
        return next((q.progress for q in questions if q.future is answer), None)

    def pids(self) -> list[int]:
        """Return the children's process ids, those left behind included."""
        child = self._child
        running = [child.process.pid] if child and child.process and not child.ended else []
        return running + [p.pid for p in self._left_behind]

    def stop_child(self) -> None:
        """Let the running child go (its pipe is closed: it ends at once). A new question
        starts a new one. Open questions are answered with :class:`AgentDiedError`."""
        with self._lock:
            child, self._child = self._child, None
        if child:
            child.stop()

    def close(self, grace_seconds: float = 1.0) -> None:
        """End the child and this object. Never waits longer than *grace_seconds*."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child:
            child.stop()
            if child is not threading.current_thread():
                child.join(grace_seconds)

    def _leave(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._left_behind.append(process)


class _Running(threading.Thread):
    """One child and the thread that belongs to it."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(name=f"agent-{agent.role}", daemon=True)
        self.agent = agent
        self.questions: dict[int, Question] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.ended = False
        self._outgoing = bytearray()
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        self._stopping = False
        self._heard_at = time.monotonic()

    def post(self, question: Question, message: Message) -> bool:
        """Take the question; False when the child has ended meanwhile."""
        with self._lock:
            if self.ended:
                return False
            if not self.questions:
                self._heard_at = time.monotonic()
            self.questions[question.id] = question
            if not self._outgoing:  # else it is awake, or waits until the child takes more
                self._wake()
            self._outgoing += pack(message)
            return True

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wake()

    def _wake(self) -> None:
        if self._wake_writer >= 0:
            try:
                os.write(self._wake_writer, b"x")
            except BlockingIOError:  # it is awake already
                return

    def run(self) -> None:
        error: SyncError = AgentDiedError("the child ended", role=self.agent.role)
        try:
            self.process = start_child(
                self.agent.role, {"workers": self.agent._workers, **self.agent._options}
            )
            error = self._converse(self.process)
        except OSError as cause:
            error = AgentDiedError(f"cannot start: {cause}", role=self.agent.role)
        except ValueError as cause:
            error = AgentDiedError(f"not our frames: {cause}", role=self.agent.role)
        finally:
            self._end(error)

    def _converse(self, process: subprocess.Popen[bytes]) -> SyncError:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        out, back = process.stdin.fileno(), process.stdout.fileno()
        last_words = process.stderr.fileno()
        os.set_blocking(last_words, False)
        os.set_blocking(out, False)
        os.set_blocking(back, False)
        unpacker = Unpacker()
        self._heard_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(back, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            selector.register(last_words, selectors.EVENT_READ)
            writing = False
            while not self._stopping:
                for key, _ in selector.select(self._patience()):
                    if key.fd == back:
                        if not self._read(back, unpacker):
                            return AgentDiedError("the child ended", role=self.agent.role)
                    elif key.fd == self._wake_reader:
                        os.read(self._wake_reader, 4096)
                    elif key.fd == last_words and not self._overhear(last_words):
                        selector.unregister(last_words)
                wants = self._write(out)
                if wants != writing:
                    writing = wants
                    if wants:
                        selector.register(out, selectors.EVENT_WRITE)
                    else:
                        selector.unregister(out)
                hung = self._hung()
                if hung:
                    return AgentHungError(f"no answer from {hung}", side=hung)
        return AgentDiedError("stopped", role=self.agent.role, stopped=True)

    def _read(self, back: int, unpacker: Unpacker) -> bool:
        try:
            data = os.read(back, READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        for message in unpacker.feed(data):
            self._hear(message)
        self._heard_at = time.monotonic()  # after the callbacks: their time is not the child's
        return True

    def _overhear(self, last_words: int) -> bool:
        """Log what the child wrote to its standard error: only a crash writes there. Not handed
        down from us: a child that was left behind would keep our own output open."""
        try:
            data = os.read(last_words, READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            text = data.decode("utf-8", "replace").strip()
            _log.warning("agent.stderr role=%s text=%s", self.agent.role, text)
        return bool(data)

    def _write(self, out: int) -> bool:
        """Write what fits; return whether something is left."""
        with self._lock:
            try:
                while self._outgoing:
                    del self._outgoing[: os.write(out, self._outgoing[: 1 << 16])]
            except BlockingIOError:
                return True
            except BrokenPipeError:  # the end is read from the other pipe
                self._outgoing.clear()
            return False

    def _hear(self, message: Message) -> None:
        if "beat" in message:
            self._beat(message["beat"])
            return
        if "id" not in message:
            if self.agent._on_event:
                self.agent._on_event(message)
            return
        with self._lock:
            question = self.questions.pop(message["id"], None)
        if question is None:
            return
        if "error" in message:
            error = error_from(message["error"], message["detail"], **message["params"])
            question.future.set_exception(error)
        else:
            question.future.set_result(message["ok"])

    def _beat(self, rows: list[list[Any]]) -> None:
        now = time.monotonic()
        for number, side, steps, done, total in rows:
            question = self.questions.get(number)
            if question is None:
                continue
            progress = question.progress
            if steps != progress.steps or done != progress.done_bytes or steps == 0:
                progress.moved_at = now
            progress.side, progress.steps = side, steps
            progress.done_bytes, progress.total_bytes = done, total

    def _patience(self) -> float | None:
        """How long the selector may sleep before the deadline must be looked at."""
        return min(1.0, self.agent.timeout_seconds / 4) if self.questions else None

    def _hung(self) -> str | None:
        """Return the side that hangs, or None.

        A job hangs when it was begun and has taken no step for the timeout; the child hangs
        when it has said nothing at all for so long although it has work.
        """
        if not self.questions:
            return None
        now, limit = time.monotonic(), self.agent.timeout_seconds
        if now - self._heard_at > limit:
            return self.agent.side
        for question in list(self.questions.values()):
            progress = question.progress
            if progress.steps > 0 and now - progress.moved_at > limit:
                return progress.side
        return None

    def _end(self, error: SyncError) -> None:
        process = self.process
        if process is not None:
            if process.stderr:
                self._overhear(process.stderr.fileno())
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
            if not (self._stopping and self._ends_by_itself(process)):
                process.kill()
                if not self._ends_by_itself(process):
                    self.agent._leave(process)
        with self._lock:
            self.ended = True
            questions, self.questions = self.questions, {}
            os.close(self._wake_writer)
            os.close(self._wake_reader)
            self._wake_writer = self._wake_reader = -1
        for question in questions.values():
            question.future.set_exception(error)

    @staticmethod
    def _ends_by_itself(process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            return False
        return True


def start_child(role: str, options: Message) -> subprocess.Popen[bytes]:
    """Execute a fresh interpreter that runs *role*.

    Its environment holds no secret, its working folder is ``/`` (it must not keep a mount
    busy), it has a session of its own (Ctrl-C is for the parent) and no inherited descriptor.

    Raises:
        OSError: It cannot be started.
    """
    code = (
        "import sys,json;o=json.loads(sys.argv[1]);sys.path[:]=o['path'];"
        f"from nas_syncd.agent import {role};{role}.main(o)"
    )
    root = str(Path(__file__).resolve().parents[2])
    path = [root, *(p for p in sys.path if p and p != root)]
    argument = json.dumps({"path": path, "parent": os.getpid(), **options})
    return subprocess.Popen(
        [interpreter(), "-I", "-S", "-B", "-c", code, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        close_fds=True,
        cwd="/",
        start_new_session=True,
        env=_HEAP | {k: os.environ[k] for k in _KEPT_ENVIRONMENT if k in os.environ},
    )


def interpreter() -> str:
    """Return a real Python interpreter, also inside a server that embeds one (uWSGI)."""
    names = (sys.executable, getattr(sys, "_base_executable", ""))
    for name in names:
        if name and Path(name).name.startswith("python"):
            return name
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (sys.exec_prefix, sys.base_exec_prefix):
        for name in (version, "python3"):
            if (Path(folder) / "bin" / name).exists():
                return str(Path(folder) / "bin" / name)
    return shutil.which(version) or shutil.which("python3") or sys.executable


_LIVE: weakref.WeakSet[Agent] = weakref.WeakSet()


def _close_all() -> None:
    for agent in list(_LIVE):
        agent.close(0.0)


def _forget_children() -> None:
    """After a fork: children, their threads and their pipes belong to the process before it."""
    for agent in list(_LIVE):
        child, agent._child = agent._child, None
        agent._lock, agent._left_behind = threading.Lock(), []
        if child is not None and child.process is not None:
            for pipe in (child.process.stdin, child.process.stdout):
                if pipe:
                    pipe.close()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_children)
