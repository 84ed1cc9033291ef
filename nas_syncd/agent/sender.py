"""From watchdog's events to batches for the parent. Runs in the child.

The handler's part is one put that never blocks, into a queue that never grows beyond its limit;
what does not fit is known to be lost. One thread drains it, looks at each path once, and sends.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from nas_syncd.agent import tree
from nas_syncd.agent.wire import Message

GATHER_SECONDS = 0.01
BATCH_ENTRIES = 500
REMEMBERED = 65_536


class Announced:
    """Marks of what was sent because of events: the next scan need not send it again.

    Two generations, so that it forgets the oldest half at a time.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._new: set[int] = set()
        self._old: set[int] = set()

    def add(self, mark: int) -> None:
        if len(self._new) >= self._limit // 2:
            self._old, self._new = self._new, set()
        self._new.add(mark)

    def __contains__(self, mark: int) -> bool:
        return mark in self._new or mark in self._old


class Sender:
    """Gathers events for a moment, looks at each path once, and sends what it found."""

    def __init__(self, send: Callable[[Message], None], queue_limit: int) -> None:
        self.announced = Announced()
        self.suspects: dict[str, float] = {}
        """Paths that a scan found first, and when; an event that comes after all clears them."""
        self.heard = 0
        """Events since somebody set it to zero."""
        self.lost = False
        self.on_lost: Callable[[], None] = lambda: None
        self._send = send
        self._queue: queue.Queue[tuple[str, bool, bool]] = queue.Queue(queue_limit)
        self._root = ""
        self._thread: threading.Thread | None = None

    def start(self, root: str) -> None:
        """Take events of *root* (a real path) from now on."""
        self._root = root
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
            self._thread.start()

    def put(self, path: str, closed: bool, is_directory: bool) -> None:
        """Take one event. Never blocks, never raises."""
        self.heard += 1
        try:
            self._queue.put_nowait((path, closed, is_directory))
        except queue.Full:
            if not self.lost:
                self.lost = True
                self.on_lost()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            time.sleep(GATHER_SECONDS)
            files: dict[str, bool] = {}
            folders: dict[str, None] = {}
            path, closed, is_directory = first
            while True:
                if is_directory:
                    folders[path] = None
                else:
                    files[path] = files.get(path, False) or closed
                if len(files) + len(folders) >= BATCH_ENTRIES:
                    break
                try:
                    path, closed, is_directory = self._queue.get_nowait()
                except queue.Empty:
                    break
            self._tell(files, list(folders))

    def _tell(self, files: dict[str, bool], folders: list[str]) -> None:
        batch: list[list[Any]] = []
        for path, closed in files.items():
            if tree.is_document_path(path):
                look = self._look(path)
                if look[0] != tree.DIRECTORY:
                    self._add(batch, path, look, closed)
        for folder in folders:
            if tree.is_document_path(folder):
                self._tell_folder(batch, folder, files)
        self._flush(batch)

    def _tell_folder(self, batch: list[list[Any]], folder: str, known: dict[str, bool]) -> None:
        """A folder that is new to the watch may hold files that no event will announce."""
        try:
            with tree.open_root(self._root) as root:
                for path, look in tree.Walk(root, lambda: None, folder):
                    if path not in known and tree.mark_of(path, look) not in self.announced:
                        self._add(batch, path, look, False)
        except OSError:  # it is gone again, or the next check says what is wrong
            return

    def _look(self, path: str) -> tree.Look:
        try:
            return tree.look_of(os.lstat(f"{self._root}/{path}"))
        except (OSError, ValueError) as error:
            return tree.nothing(tree.kind_of(error) if isinstance(error, OSError) else tree.MISSING)

    def _add(self, batch: list[list[Any]], path: str, look: tree.Look, closed: bool) -> None:
        self.announced.add(tree.mark_of(path, look))
        self.suspects.pop(path, None)
        batch.append([path, *look, closed])
        if len(batch) >= BATCH_ENTRIES:
            self._flush(batch)

    def _flush(self, batch: list[list[Any]]) -> None:
        if batch:
            self._send({"event": "seen", "by": "event", "entries": list(batch)})
            batch.clear()
