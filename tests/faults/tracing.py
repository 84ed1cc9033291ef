"""Follow a process and its children from system call to system call, and act before one of them.

ptrace rather than strace: strace counts the calls of each thread for itself, here a call is "the
second fsync of a temp file, whichever thread makes it", and who is killed need not be who makes it.
A seccomp filter names the calls that stop at all. Linux on x86-64 only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TRACEME, CONT, SETOPTIONS, EVENT_MESSAGE, SYSCALL_INFO = 0, 7, 0x4200, 0x4201, 0x420E
GET_REGISTERS, SET_REGISTERS, RESULT, NUMBER = 12, 13, 10, 15
FORK, VFORK, CLONE, EXEC, SECCOMP, EXITKILL = 2, 4, 8, 16, 128, 1 << 20
OPTIONS = FORK | VFORK | CLONE | EXEC | SECCOMP | EXITKILL
NEW_TASK = {1, 2, 3}
EVENT_EXEC, EVENT_SECCOMP = 4, 7
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
AT_FDCWD = 0xFFFFFF9C
WALL = 0x40000000


def _numbered(text: str) -> dict[int, str]:
    words = text.split()
    return {int(number): name for number, name in zip(words[::2], words[1::2], strict=True)}


BY_DESCRIPTOR = _numbered(
    "0 read 1 write 3 close 5 fstat 8 lseek 17 pread64 18 pwrite64 72 fcntl 73 flock 74 fsync"
    " 75 fdatasync 77 ftruncate 91 fchmod 138 fstatfs 217 getdents64 221 fadvise64 285 fallocate"
)
BY_PATH = _numbered("2 open 4 stat 6 lstat 83 mkdir 87 unlink 90 chmod")
BELOW = _numbered(
    "257 openat 258 mkdirat 262 newfstatat 263 unlinkat 264 renameat 316 renameat2 332 statx"
)
RENAME = 82
NAMES = {**BY_DESCRIPTOR, **BY_PATH, **BELOW, RENAME: "rename"}
CHANGING = frozenset(
    {"write", "pwrite64", "fsync", "fdatasync", "ftruncate", "flock", "fchmod", "chmod", "open"}
    | {"openat", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2"}
)
"""Who dies before another call dies before the next of these: nothing has changed in between."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def missing() -> str | None:
    """Return why nothing can be followed on this machine, None when it can."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "system calls are followed on Linux on x86-64 only"
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that somebody is about to make."""

    who: str
    """``parent`` or ``agent``."""
    name: str
    path: str
    task: int

    def pretend(self) -> None:
        """The call is not made, and its caller is told that it was."""
        registers = (ctypes.c_ulonglong * 27)()
        _ptrace(GET_REGISTERS, self.task, 0, ctypes.addressof(registers))
        registers[RESULT], registers[NUMBER] = 0, (1 << 64) - 1
        _ptrace(SET_REGISTERS, self.task, 0, ctypes.addressof(registers))


@dataclass(slots=True)
class Traced:
    """What is known of the processes that are followed."""

    parent: int
    agents: list[int] = field(default_factory=list)
    """The NAS agents so far, the living one last."""
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tasks: dict[int, int] = field(default_factory=dict)
    """Thread → process."""
    status: int | None = None
    """The parent's, when it has ended."""

    def kill(self, who: str) -> None:
        """SIGKILL, now: the call that is about to be made is not made."""
        pids = {
            "parent": [self.parent],
            "agent": self.agents[-1:],
            "both": [*self.agents[-1:], self.parent],
        }[who]
        for pid in pids:
            _kill(pid)


def follow(
    life: Callable[[], None],
    before: Callable[[Traced, Call], None],
    names: frozenset[str] = frozenset(NAMES.values()),
) -> Traced:
    """Run *life* in a forked child to its end; call *before* ahead of each call it makes.

    Args:
        before: Asked for the calls in *names* of the child and of the NAS agents it starts.
    """
    pid = os.fork()
    if pid == 0:
        _live(life, [number for number, name in NAMES.items() if name in names])
    traced = Traced(pid, tasks={pid: pid})
    os.waitpid(pid, WALL)
    _ptrace(SETOPTIONS, pid, 0, OPTIONS)
    _ptrace(CONT, pid, 0, 0)
    try:
        while traced.status is None:
            task, status = os.waitpid(-1, WALL)
            _stopped(traced, task, status, before)
    finally:
        _end_all(traced)
    return traced


def _live(life: Callable[[], None], numbers: list[int]) -> None:
    code = 1
    try:
        _libc.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_at(numbers)
        life()
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the test
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _stop_at(numbers: list[int]) -> None:
    """Let the kernel stop this process, and all that come of it, at these calls only."""
    count = len(numbers)
    steps = [(LOAD_NUMBER, 0, 0, 0)]
    steps += [(JUMP_IF_EQUAL, count - place, 0, n) for place, n in enumerate(numbers)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, TRACE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def _stopped(
    traced: Traced, task: int, status: int, before: Callable[[Traced, Call], None]
) -> None:
    if not os.WIFSTOPPED(status):
        traced.tasks.pop(task, None)
        if task == traced.parent:
            traced.status = os.waitstatus_to_exitcode(status)
        return
    number, event, deliver = os.WSTOPSIG(status), status >> 16, 0
    if event == EVENT_SECCOMP:
        call = _entered(traced, task)
        if call is not None:
            before(traced, call)
    elif event in NEW_TASK:
        new = ctypes.c_ulong()
        _ptrace(EVENT_MESSAGE, task, 0, ctypes.addressof(new))
        traced.tasks[new.value] = _process_of(new.value)
    elif event == EVENT_EXEC:
        if _is_nas_agent(task):
            traced.agents.append(task)
    elif number not in (signal.SIGSTOP, signal.SIGTRAP):
        deliver = number
    _ptrace(CONT, task, 0, deliver)


def _entered(traced: Traced, task: int) -> Call | None:
    """Return the call that *task* is about to make, None when it is none of ours."""
    if task not in traced.tasks:
        traced.tasks[task] = _process_of(task)
    process = traced.tasks[task]
    if process != traced.parent and process not in traced.agents:
        return None  # between fork and exec, or the upload folder's child
    info = ctypes.create_string_buffer(88)
    if _ptrace(SYSCALL_INFO, task, 88, ctypes.addressof(info)) <= 0:
        return None
    number, *arguments = struct.unpack_from("<7Q", info.raw, 24)
    path = _path(task, number, arguments)
    if path is None:
        return None
    return Call("parent" if process == traced.parent else "agent", NAMES[number], path, task)


def _path(task: int, number: int, arguments: list[int]) -> str | None:
    try:
        if number in BY_DESCRIPTOR:
            return os.readlink(f"/proc/{task}/fd/{arguments[0] & 0xFFFFFFFF}")
        if number in BY_PATH or number == RENAME:
            return _text(task, arguments[0])
        if number in BELOW:
            folder = arguments[0] & 0xFFFFFFFF
            name = _text(task, arguments[1])
            if name.startswith("/") or folder == AT_FDCWD:
                return name
            return os.path.join(os.readlink(f"/proc/{task}/fd/{folder}"), name)
    except OSError:
        return None  # not an open descriptor, or gone meanwhile
    return None


def _text(task: int, address: int) -> str:
    with open(f"/proc/{task}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        data = b""
        while b"\0" not in data and len(data) < 4096:
            rest = 4096 - (address + len(data)) % 4096  # not into a page that may not be there
            data += memory.read(min(256, rest))
    return os.fsdecode(data.partition(b"\0")[0])


def _process_of(task: int) -> int:
    try:
        for line in Path(f"/proc/{task}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    except OSError:
        pass
    return task


def _is_nas_agent(task: int) -> bool:
    with contextlib.suppress(OSError):
        return b"from nas_syncd.agent import nas;" in Path(f"/proc/{task}/cmdline").read_bytes()
    return False


def _ptrace(request: int, task: int, address: int, data: int) -> int:
    """A task that was killed meanwhile is no error: its end is reported next."""
    return int(_libc.ptrace(request, task, address, data))


def _end_all(traced: Traced) -> None:
    """What is left of it dies with it, at once; every end is waited for.

    In any order: a process is not over before the ends of all its threads were fetched.
    """
    left = set(traced.tasks.values())
    for pid in left:
        _kill(pid)
    with contextlib.suppress(ChildProcessError):
        while left:
            task, status = os.waitpid(-1, WALL)
            if os.WIFSTOPPED(status):
                _kill(_process_of(task))  # it was born while the others died
                _ptrace(CONT, task, 0, 0)
            else:
                left.discard(task)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
