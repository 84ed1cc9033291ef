"""System calls of the NAS agent that fail, each named by the place in the program that makes it.

A *site* is ``job: function.call(what)``, as in ``copy: _enter.mkdir(2024)``: in which job, in which
function of the program, which call, on which name. It is followed by a number where a job comes
by more than once.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas_syncd.agent.child import Job
from nas_syncd.nasfs import Calls
from tests.helpers import OPS

LATE_OPS = frozenset({"mkdir", "write", "unlink", "rename", "rename_exclusive", "fsync"})
"""Calls that change something: they may have done it although they say that they failed."""
_NAMES = (
    (re.compile(r"^\.nas-syncd-[0-9a-f]{16}-test.*\.part$"), "test file"),
    (re.compile(r"^\.nas-syncd-[0-9a-f]{16}-rename.*-([ab])\.part$"), r"rename test \1"),
    (re.compile(r"^\.nas-syncd-[0-9a-f]{16}-marker.*\.part$"), "new marker"),
    (re.compile(r"^\.nas-syncd-[0-9a-f]{16}-.*\.part$"), "temp file"),
    (re.compile(r"^\.nas-syncd-[0-9a-f]{40}$"), "claim"),
    (re.compile(r"^/.*/\.nas-syncd\.json$"), "marker by path"),
    (re.compile(r"^\.nas-syncd\.json$"), "marker"),
    (re.compile(r"^/.*"), "root"),
    (re.compile(r"^[0-9a-f]{12}$"), "installation"),
    (re.compile(r"^(.*-\d+)-[0-9a-f]{12}(\.\w+)$"), r"\1-sha\2"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Which call fails, how, and how often."""

    site: str
    number: int
    """How often a job has come by that site when it fails first, from 1."""
    error: str
    """An errno's name, or ``SHORT`` (half of it is done) or ``NOTHING`` (none of it is)."""
    often: str = "once"
    """``once``; ``document``: whenever a job of the sick document comes by; ``call``: every call
    of that kind from then on, whoever makes it; ``all``: every call from then on."""
    late: bool = False
    """It is done, and the answer says that it failed."""

    def __str__(self) -> str:
        number = f" #{self.number}" if self.number > 1 else ""
        late = " done all the same" if self.late else ""
        return f"{self.site}{number}: {self.error} {self.often}{late}"


class StruckCalls(Calls):
    """The real calls, of which one site fails. ``made`` names what was called, in order."""

    def __init__(self) -> None:
        self.job: Callable[[], Job | None] = lambda: None
        self.fault: Fault | None = None
        self.sick = ""
        """The path of the document that ``often="document"`` means."""
        self.made: list[tuple[str, int]] = []
        self.struck = 0
        self.not_removed = 0
        """Files whose removal has failed."""
        self.renames_exclusively = True
        self.free_bytes: int | None = None
        """What the server says is free; None: the truth."""
        self._counts: dict[int, Counter[str]] = {}
        self._gone = False
        self._lock = threading.Lock()

    def mend(self) -> None:
        """The trouble is over."""
        self.fault, self._gone = None, False

    def forget(self) -> None:
        """Another child counts its jobs anew."""
        self._counts.clear()

    def sleep(self, seconds: float) -> None:
        """Nobody waits here."""

    def before(self, op: str, caller: str, what: str) -> OSError | str | None:
        """Return what is to become of this call: an error, a word, or None when all is well."""
        job = self.job()
        site = f"{job.op if job else 'vouch'}: {caller}.{op}{f'({what})' if what else ''}"
        with self._lock:
            counts = self._counts.setdefault(job.id if job else 0, Counter())
            counts[site] += 1
            number = counts[site]
            self.made.append((site, number))
            fault = self.fault
            if fault is None or not self._is_struck(fault, site, number, op, job):
                return None
            self.struck += 1
        if fault.error in ("SHORT", "NOTHING"):
            return fault.error
        code = getattr(errno, fault.error)
        return OSError(code, os.strerror(code))

    def _is_struck(self, fault: Fault, site: str, number: int, op: str, job: Job | None) -> bool:
        if self._gone:
            return fault.often == "all" or op == fault.site.partition(".")[2].partition("(")[0]
        if site != fault.site or number < fault.number:
            return False
        if fault.often == "once":
            return number == fault.number and self.struck == 0
        if fault.often == "document":
            return job is not None and job.args.get("relative") == self.sick
        self._gone = True
        return True


def _struck(op: str) -> Callable[..., Any]:
    real = getattr(Calls, op)

    def method(self: StruckCalls, *args: Any, **more: Any) -> Any:
        became = self.before(op, sys._getframe(1).f_code.co_name, _what(op, args))
        if became is None:
            if op == "rename_exclusive" and not self.renames_exclusively:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            answer = real(self, *args, **more)
            return _with_free(answer, self.free_bytes) if op == "fstatvfs" else answer
        if isinstance(became, str):
            return _partly(op, became, args)
        fault = self.fault
        if op == "close" or (fault is not None and fault.late):  # a close that fails has closed
            answer = real(self, *args, **more)
            if op == "open":
                os.close(answer)
        self.not_removed += op == "unlink"
        raise became

    return method


def _what(op: str, args: tuple[Any, ...]) -> str:
    name = args[2] if op.startswith("rename") else args[0]
    if not isinstance(name, str):
        return ""
    for pattern, word in _NAMES:
        if pattern.match(name):
            return pattern.sub(word, name)
    return name


def _partly(op: str, how: str, args: tuple[Any, ...]) -> Any:
    if op == "write":
        fd, data = args
        return os.write(fd, data[: (len(data) + 1) // 2]) if how == "SHORT" else 0
    fd, size = args
    return os.read(fd, min(size, 7)) if how == "SHORT" else b""


def _with_free(status: os.statvfs_result, free: int | None) -> os.statvfs_result:
    if free is None:
        return status
    values = list(status)
    values[4] = free // (status.f_frsize or status.f_bsize)
    return os.statvfs_result((*values, status.f_fsid))


for _op in OPS:
    setattr(StruckCalls, _op, _struck(_op))
