"""The child that looks after the upload folder: looks, scans, and hears of events.

Requests: ``look`` (paths), ``check`` (is the folder there; is the watch in order), ``scan``,
``ack`` (a batch of a scan was taken), ``root``, ``peek`` (may these files be opened).
Unasked messages, by their ``event``:

``seen``
    Entries ``[path, kind, size, mtime_ns, inode, closed]``; ``by`` is ``event`` or ``scan``.
``lost``
    Events may have been missed (``why``): the parent should scan.
``fallback``
    Native watching cannot be had (``why``: ``limit``, ``deaf``, ``failed``).

The root is opened by path for every request and closed again, so that the folder can be unmounted,
replaced, and come back at any time.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from nas_syncd.agent import tree
from nas_syncd.agent.child import Child, Job, die_with_parent
from nas_syncd.agent.events import Watch, file_system_of, is_remote, limit_reached, watch_limit
from nas_syncd.agent.sender import BATCH_ENTRIES, Sender
from nas_syncd.agent.tree import Root
from nas_syncd.agent.wire import Message
from nas_syncd.errors import SyncError, UploadsError

SIDE = "uploads"
UNACKNOWLEDGED_BATCHES = 4
DEAF_SECONDS = 5.0
"""How long the events may take for a file that the scan found first."""
DEAF_SCANS = 3
"""So many scans in a row found what no event had announced, although others came."""
NATIVE_RETRY_SECONDS = 300.0
SUSPECTS = 1000
_PEEK_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def main(options: Message) -> None:
    """Run the child. Options: ``parent``, ``workers``, ``root``, ``watch``, ``queue_limit``."""
    die_with_parent(int(options["parent"]))
    child = Child(side=SIDE, workers=int(options["workers"]))
    Uploads(child, options["root"], options.get("watch"), int(options["queue_limit"]))
    child.serve()


def trouble(error: OSError, path: str) -> UploadsError:
    """Return what it means that the folder as a whole cannot be used."""
    state = "error"
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        state = "missing"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        state = "denied"
    name = errno.errorcode.get(error.errno or 0, "")
    return UploadsError(error.strerror or str(error), state=state, path=path, errno=name)


class Uploads:
    """The requests, and what must be remembered between them."""

    def __init__(self, child: Child, root: str, watch: str | None, queue_limit: int) -> None:
        self._child = child
        self._path = root
        self._seen = tree.Seen()
        self._sender = Sender(child.send, queue_limit)
        self._watcher = Watcher(self._sender, child.send, watch)
        self._scanning = threading.Lock()
        self._credit = threading.Semaphore(0)
        self._scans = 0
        child.handlers.update(
            {
                "look": self._guarded(self.look),
                "peek": self._guarded(self.peek),
                "root": self._guarded(self.root),
                "check": self._guarded(self.check),
                "scan": self._guarded(self.scan),
                "ack": self.ack,
            }
        )

    def _guarded(self, handler: Callable[[Job, Root], Message]) -> Callable[[Job], Message]:
        def guarded(job: Job) -> Message:
            job.step(SIDE)
            try:
                with tree.open_root(self._path) as root:
                    return handler(job, root)
            except OSError as error:
                raise trouble(error, self._path) from error

        return guarded

    def look(self, job: Job, root: Root) -> Message:
        """Return what stands at each path, in their order; no file is opened."""
        looker = tree.Looker(root, lambda: job.step(SIDE))
        try:
            return {"looks": [looker.look(path) for path in job.args["paths"]]}
        finally:
            looker.close()

    def peek(self, job: Job, root: Root) -> Message:
        """Return, in the order of the paths, the error's name that opening each one gives, or
        nothing. Not a byte is read."""
        errors = []
        for path in job.args["paths"]:
            job.step(SIDE)
            try:
                os.close(os.open(path, _PEEK_FLAGS, dir_fd=root.fd))
            except OSError as error:
                errors.append(errno.errorcode.get(error.errno or 0, "?"))
            else:
                errors.append("")
        return {"errors": errors}

    def root(self, job: Job, root: Root) -> Message:
        job.step(SIDE)
        return {
            "path": os.path.realpath(self._path),
            "device": root.device,
            "inode": root.inode,
            "file_system": file_system_of(root.fd),
        }

    def check(self, job: Job, root: Root) -> Message:
        """Answer that the folder is there, and set the watch up when it is not in order."""
        fresh = self._watcher.ensure(job, root, self._path)
        return {"watching": self._watcher.watching, "fresh": fresh}

    def ack(self, job: Job) -> Message:
        if job.args["scan"] == self._scans:
            self._credit.release()
        return {}

    def scan(self, job: Job, root: Root) -> Message:
        """Walk the tree and send what is new or changed since the previous complete scan."""
        with self._scanning:
            began, cpu = time.monotonic(), time.thread_time()
            self._watcher.ensure(job, root, self._path)
            self._watcher.scan_begins()
            self._scans += 1
            self._credit = threading.Semaphore(UNACKNOWLEDGED_BATCHES)
            walk = tree.Walk(root, lambda: job.step(SIDE))
            files, news = self._walk(job, walk)
            self._seen.finish()
            self._watcher.scan_ended()
            return {
                "watching": self._watcher.watching,
                "files": files,
                "news": news,
                "folders": walk.folders,
                "unreadable": walk.unreadable,
                "cpu_seconds": time.thread_time() - cpu,
                "seconds": time.monotonic() - began,
            }

    def _walk(self, job: Job, walk: tree.Walk) -> tuple[int, int]:
        self._seen.begin()
        announced = self._sender.announced
        files = news = 0
        batch: list[list[Any]] = []
        for path, look in walk:
            files += 1
            mark = tree.mark_of(path, look)
            if not self._seen.add(mark) or mark in announced:
                continue
            news += 1
            self._watcher.found(path)
            batch.append([path, *look, False])
            if len(batch) == BATCH_ENTRIES:
                self._send(job, batch)
                batch = []
        if batch:
            self._send(job, batch)
        return files, news

    def _send(self, job: Job, batch: list[list[Any]]) -> None:
        """Send one batch as soon as the parent has taken enough of those before."""
        while not self._credit.acquire(timeout=1.0):
            job.step(SIDE)  # the parent is slow, the folder is not
        self._child.send({"event": "seen", "by": "scan", "scan": self._scans, "entries": batch})


class Watcher:
    """Keeps a native watch on the folder that stands there now, or knows why there is none."""

    def __init__(self, sender: Sender, send: Callable[[Message], None], mode: str | None) -> None:
        """``mode``: ``auto``, ``native``, ``poll``, or None for no watching at all."""
        self.watching = "none" if mode is None else "poll"
        self._sender = sender
        self._send = send
        self._mode = mode
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self._told: set[str] = set()
        self._lost_told = False
        self._complete_scans = 0
        self._collecting = False
        self._collected = 0
        self._leaks = 0
        sender.on_lost = self._lost

    def ensure(self, job: Job, root: Root, path: str) -> bool:
        """See that the watch is in order; return whether it had to be set up anew."""
        if self._mode not in {"auto", "native"}:
            return False
        with self._lock:
            watch = self._watch
            if watch is not None and watch.healthy() and watch.identity == root.identity:
                self._judge()
                if self._watch is not None and limit_reached(watch.root):
                    self._fall_back("limit")
                return False
            self._stop()
            if time.monotonic() < self._retry_at:
                return False
            if self._mode == "auto" and is_remote(file_system_of(root.fd)):
                return False
            return self._start(job, root, os.path.realpath(path))

    def scan_begins(self) -> None:
        """From here on the scan sees what was lost; what is lost later needs another."""
        self._collecting = self._complete_scans > 0 and not self._sender.lost
        self._collected = 0
        self._lost_told = False
        self._sender.lost = False

    def found(self, path: str) -> None:
        """The scan found something new that no event has announced (yet)."""
        if self._collecting and self._watch is not None:
            self._collected += 1
            if len(self._sender.suspects) < SUSPECTS:
                self._sender.suspects[path] = time.monotonic()

    def scan_ended(self) -> None:
        watch = self._watch
        if watch is None:
            return
        if not watch.healthy():  # since before this scan: what came meanwhile may be missed
            self._lost()
        self._complete_scans += 1
        if self._sender.lost:
            self._sender.suspects.clear()
        elif not self._collected and self._sender.heard:
            self._leaks = 0

    def _judge(self) -> None:
        """Decide whether events really come, some time after a scan found files first."""
        limit = time.monotonic() - DEAF_SECONDS
        late = [path for path, since in self._sender.suspects.copy().items() if since < limit]
        if not late:
            return
        for path in late:
            self._sender.suspects.pop(path, None)
        events, self._sender.heard = self._sender.heard, 0
        self._leaks += 1
        if events and self._leaks < DEAF_SCANS:
            return
        if self._mode == "auto":
            self._fall_back("deaf")
        else:
            self._tell("deaf")

    def _start(self, job: Job, root: Root, real: str) -> bool:
        if limit_reached(real):
            self._fall_back("limit")
            return False
        watch = Watch(real, root.identity, self._sender.put, self._lost)
        error = _with_steps(job, watch.start)
        if error is None and limit_reached(real):
            error = OSError(errno.ENOSPC, "watch limit")
        if error is not None:
            watch.stop()
            full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EMFILE}
            self._fall_back("limit" if full else "failed", str(error))
            return False
        self._watch = watch
        self.watching = "native"
        self._told.clear()
        self._complete_scans = self._leaks = 0
        self._sender.start(watch.root)
        return True

    def _stop(self) -> None:
        watch, self._watch = self._watch, None
        self.watching = "poll"
        self._sender.suspects.clear()
        if watch is not None:
            watch.stop()

    def _fall_back(self, why: str, detail: str = "") -> None:
        self._stop()
        self._retry_at = float("inf") if why == "deaf" else time.monotonic() + NATIVE_RETRY_SECONDS
        self._tell(why, detail)

    def _tell(self, why: str, detail: str = "") -> None:
        if why not in self._told:
            self._told.add(why)
            limit = watch_limit() if why == "limit" else None
            self._send({"event": "fallback", "why": why, "detail": detail, "limit": limit})

    def _lost(self) -> None:
        if not self._lost_told:
            self._lost_told = True
            watch = self._watch
            self._send({"event": "lost", "why": watch.trouble if watch else ""})


def _with_steps(job: Job, work: Callable[[], None]) -> Exception | None:
    """Run *work*, which goes through the whole tree without telling us, and say so meanwhile."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            work()
        except (OSError, ImportError, RuntimeError, SyncError) as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="watch-start", daemon=True)
    thread.start()
    for _ in range(300):
        thread.join(1.0)
        if not thread.is_alive():
            break
        job.step(SIDE)
    thread.join()
    return errors[0] if errors else None
