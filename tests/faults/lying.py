"""A NAS that says one thing and does another: the calls of the NAS agent, some of which lie.

Each lie is a function of the real call and what it was asked; it answers as if all were well.
"""

from __future__ import annotations

import errno
import os
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas_syncd.nasfs import Calls
from tests.faults.strikes import StruckCalls

Tell = Callable[..., Any]
"""Given the calls and the call's arguments; does something or nothing, and answers."""


@dataclass(frozen=True, slots=True)
class Lie:
    """One way to lie, about one kind of call."""

    name: str
    op: str
    tell: Tell
    number: int = 1
    """Which call of that kind in the sick document's copy, from 1."""
    always: bool = False
    """In each copy of it, not in the first one only."""

    def __str__(self) -> str:
        number = f" #{self.number}" if self.number > 1 else ""
        return f"{self.name}{number} {'always' if self.always else 'once'}"


class LyingCalls(StruckCalls):
    """The real calls, of which one kind may lie in the copies of the sick document."""

    def __init__(self) -> None:
        super().__init__()
        self.lie: Lie | None = None
        self.told = 0
        self.case_insensitive = False
        self._turns: dict[int, Counter[str]] = {}
        self._guard = threading.Lock()

    def mend(self) -> None:
        super().mend()
        self.lie = None

    def lies(self, op: str) -> Tell | None:
        """Return how this call lies; None for an honest one."""
        job, lie = self.job(), self.lie
        if lie is None or job is None or job.args.get("relative") != self.sick:
            return None
        with self._guard:
            turns = self._turns.setdefault(job.id, Counter())
            turns[op] += 1
            if op != lie.op or turns[op] != lie.number or (self.told and not lie.always):
                return None
            self.told += 1
        return lie.tell


def _maybe(op: str) -> Callable[..., Any]:
    real = getattr(StruckCalls, op)

    def method(self: LyingCalls, *args: Any, **more: Any) -> Any:
        tell = self.lies(op)
        if tell is not None:
            return tell(Calls(), *args, **more)
        if self.case_insensitive:
            args = _as_it_stands(op, args, more)
            answer = real(self, *args, **more)
            return [unicodedata.normalize("NFD", n) for n in answer] if op == "listdir" else answer
        return real(self, *args, **more)

    return method


_OPS = ("write", "read", "fstat", "lstat", "close", "listdir", "fsync", "open", "mkdir", "unlink")
for _op in (*_OPS, "rename", "rename_exclusive"):
    setattr(LyingCalls, _op, _maybe(_op))


# -- a NAS that knows no case, and gives names back in another composition -----------------------


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _found(name: str, folder: int | None) -> str:
    """Return the name that such a NAS takes *name* for."""
    if folder is None:
        return name
    return next((n for n in os.listdir(folder) if _same(n) == _same(name)), name)


def _as_it_stands(op: str, args: tuple[Any, ...], more: dict[str, Any]) -> tuple[Any, ...]:
    if op in ("open", "lstat", "mkdir", "unlink"):
        return (_found(args[0], more.get("dir_fd")), *args[1:])
    if op in ("rename", "rename_exclusive"):
        source, source_fd, target, target_fd = args
        return _found(source, source_fd), source_fd, _found(target, target_fd), target_fd
    return args


# -- writing --------------------------------------------------------------------------------------


def flips(at: int) -> Tell:
    def write(calls: Calls, fd: int, data: memoryview) -> int:
        wrong = bytearray(data)
        wrong[at if at >= 0 else len(wrong) + at] ^= 1
        calls.write(fd, memoryview(wrong))
        return len(data)

    return write


def drops(_calls: Calls, _fd: int, data: memoryview) -> int:
    return len(data)


def leaves_a_hole(calls: Calls, fd: int, data: memoryview) -> int:
    calls.write(fd, memoryview(bytes(len(data))))
    return len(data)


def drops_the_end(calls: Calls, fd: int, data: memoryview) -> int:
    calls.write(fd, data[:-1])
    return len(data)


def adds_a_byte(calls: Calls, fd: int, data: memoryview) -> int:
    calls.write(fd, memoryview(bytes(data) + b"x"))
    return len(data)


def writes_twice(calls: Calls, fd: int, data: memoryview) -> int:
    calls.write(fd, data)
    return calls.write(fd, data)


def writes_at_the_start(calls: Calls, fd: int, data: memoryview) -> int:
    os.lseek(fd, 0, os.SEEK_SET)
    return calls.write(fd, data)


# -- reading --------------------------------------------------------------------------------------


def gives_a_flipped_bit(calls: Calls, fd: int, size: int) -> bytes:
    data = bytearray(calls.read(fd, size))
    if data:
        data[0] ^= 1
    return bytes(data)


def ends_early(_calls: Calls, _fd: int, _size: int) -> bytes:
    return b""


def gives_an_old_version(calls: Calls, fd: int, size: int) -> bytes:
    return bytes(reversed(calls.read(fd, size)))


def gives_zeros(calls: Calls, fd: int, size: int) -> bytes:
    return bytes(len(calls.read(fd, size)))


def says_size(factor: float) -> Tell:
    def look(calls: Calls, what: Any, **more: Any) -> os.stat_result:
        status = calls.lstat(what, **more) if more else calls.fstat(what)
        values = list(status)
        values[6] = int(status.st_size * factor) + (factor > 1)
        return os.stat_result(values)

    return look


def says_there_is_nothing(_calls: Calls, name: str, **_more: Any) -> os.stat_result:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


# -- closing, and what the NAS does afterwards ----------------------------------------------------


def closes_and(act: Callable[[str], None]) -> Tell:
    """Close, and do to the file what the NAS does behind our back; folders are left alone."""

    def close(calls: Calls, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        calls.close(fd)
        act(path)

    return close


def is_cut_to(share: float) -> Callable[[str], None]:
    return lambda path: os.truncate(path, int(os.path.getsize(path) * share))


def grows(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


# -- listing --------------------------------------------------------------------------------------


def lists(change: Callable[[list[str]], list[str]]) -> Tell:
    return lambda calls, fd: change(calls.listdir(fd))


# -- renaming -------------------------------------------------------------------------------------


def loses_the_rename(_calls: Calls, *_args: Any) -> None:
    return


def renames_to_nowhere(calls: Calls, source: str, source_fd: int, *_args: Any) -> None:
    calls.unlink(source, dir_fd=source_fd)


def renames_and_says(number: int) -> Tell:
    def rename(_calls: Calls, source: str, source_fd: int, target: str, target_fd: int) -> None:
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        raise OSError(number, os.strerror(number), target)

    return rename


def says_without_renaming(number: int) -> Tell:
    def rename(_calls: Calls, *args: Any) -> None:
        raise OSError(number, os.strerror(number), args[2])

    return rename
