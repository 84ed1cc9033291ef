"""A few threads for questions that may take a moment. They never keep the process from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], "Future[Any]"]


class Crew:
    """Thread-safe. The threads are started when there is work for them."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._closed = False

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Do *work* in one of the threads; what it returns or raises is in the future."""
        done: Future[T] = Future()
        with self._lock:
            if self._closed:
                done.cancel()
                return done
            self._busy += 1
            if self._busy > self._threads and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._jobs.put((work, done))
        return done

    def close(self) -> None:
        """Take nothing more; what is under way ends by itself."""
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:  # noqa: BLE001 - the asker is told
                    done.set_exception(error)
            with self._lock:
                self._busy -= 1
