"""The platform's file events, through watchdog 6 or 7, as two callbacks. Runs in the child.

Events are hints. What this module promises is to know when it may have missed some: an overflow
(7 logs it, 6 is silent about it), a thread that died, a root that was deleted, a limit of the
kernel that was reached (7 starts all the same and sees part of the tree).
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

IN_Q_OVERFLOW = 0x4000
IN_DELETE_SELF = 0x0400
MAX_USER_WATCHES = "/proc/sys/fs/inotify/max_user_watches"

REMOTE_FILE_SYSTEMS = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "glusterfs",
        "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "prl_fs", "smb2", "smb3", "smbfs",
        "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
"""Others write there without this kernel hearing of it. FUSE (``fuse.…``) belongs to them."""

OnPath = Callable[[str, bool, bool], None]
"""Relative path, whether a close was seen, whether it is a folder."""


def is_remote(file_system: str) -> bool:
    return file_system in REMOTE_FILE_SYSTEMS or file_system.split(".")[0] == "fuse"


def file_system_of(fd: int) -> str:
    """Return the type of the file system an open folder lies on; empty when not known.

    The mount's id leads to its line: device numbers do not (btrfs), nor do paths (autofs).
    Neither file blocks on a hung mount.
    """
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
            ids = [line.split()[1] for line in info if line.startswith("mnt_id:")]
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            for line in table:
                left, _, right = line.partition(" - ")
                if ids and left.split(" ", 1)[0] == ids[0]:
                    return right.split(" ", 1)[0]
    except (OSError, IndexError):
        pass
    return ""


def watch_limit() -> int | None:
    """Return ``fs.inotify.max_user_watches``, when there is such a thing."""
    try:
        with open(MAX_USER_WATCHES, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def limit_reached(path: str) -> bool:
    """Whether the kernel would refuse this user one more watch.

    Tried with a watch of our own that is gone again at once, for watchdog 7 keeps the refusal
    to itself.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0:  # other programs hold all instances; that says nothing of watches
        return False
    try:
        watch = libc.inotify_add_watch(fd, os.fsencode(path), IN_DELETE_SELF)
        return watch < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(fd)


class Watch:
    """Watches one real folder and all below it, until :meth:`stop`.

    ``trouble`` is why events may have been missed; empty while all is well. ``on_trouble``
    is called when it gets its first value.
    """

    def __init__(
        self, root: str, identity: tuple[int, int], on_path: OnPath, on_trouble: Callable[[], None]
    ) -> None:
        """
        Args:
            root: Without links: a watch on a link sees nothing.
            identity: Kept for the caller, to see that another folder stands there.
            on_path: Called in watchdog's thread; must not block.
            on_trouble: Called in any thread; must not block.
        """
        self.root = root
        self.identity = identity
        self.trouble = ""
        self._prefix = root.rstrip("/") + "/"
        self._on_path = on_path
        self._on_trouble = on_trouble
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin. Lists the whole tree: takes its time.

        Raises:
            OSError: ENOSPC, EMFILE: the kernel's limits; others as they come.
            ImportError: watchdog is not installed, or has nothing for this platform.
        """
        from watchdog.observers import Observer

        observer = Observer()
        _LISTENER.attach(self)
        try:
            observer.schedule(self, self.root, recursive=True, event_filter=_wanted())  # type: ignore[arg-type]
            observer.start()
        except BaseException:
            self._let_go(observer)
            raise
        self._observer = observer

    def stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            self._let_go(observer)

    def healthy(self) -> bool:
        """Whether every thread that must live does, and nothing was missed."""
        observer = self._observer
        if observer is None or self.trouble:
            return False
        emitters = list(observer.emitters)
        return observer.is_alive() and bool(emitters) and all(e.is_alive() for e in emitters)

    def missed(self, why: str) -> None:
        """Note that events may be missing."""
        if not self.trouble:
            self.trouble = why
            self._on_trouble()

    def dispatch(self, event: FileSystemEvent) -> None:
        """Take one event from watchdog. Never raises: that would end the dispatching."""
        kind = event.event_type
        if kind in {"opened", "closed_no_write"}:
            return
        self._path(os.fsdecode(event.src_path), kind == "closed", event.is_directory, kind)
        if kind == "moved" and event.dest_path:
            self._path(os.fsdecode(event.dest_path), False, event.is_directory, kind)

    def _path(self, path: str, closed: bool, is_directory: bool, kind: str) -> None:
        if path.startswith(self._prefix):
            if not is_directory or kind in {"created", "moved"}:
                self._on_path(path[len(self._prefix) :], closed, is_directory)
        elif kind in {"deleted", "moved"}:
            self.missed("root")

    def _let_go(self, observer: BaseObserver) -> None:
        _LISTENER.detach(self)
        observer.unschedule_all()
        observer.stop()


def _wanted() -> list[type[FileSystemEvent]]:
    """Return the events worth waking up for.

    Without this the kernel would report our own reading of every document. Where there are
    close events, every single write need not be heard.
    """
    from watchdog import events

    wanted: list[type[FileSystemEvent]] = [
        events.FileCreatedEvent,
        events.FileMovedEvent,
        events.FileClosedEvent,
        events.FileDeletedEvent,
        events.DirCreatedEvent,
        events.DirMovedEvent,
        events.DirDeletedEvent,
    ]
    return wanted if sys.platform == "linux" else [*wanted, events.FileModifiedEvent]


class _Listener(logging.Handler):
    """Hears what watchdog only logs, or dies of, and tells the watch."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._watch: Watch | None = None
        self._others: Callable[[threading.ExceptHookArgs], object] | None = None

    def attach(self, watch: Watch) -> None:
        self._overhear(True)
        if self._others is None:
            self._others = threading.excepthook
            threading.excepthook = self._thread_died
            _make_overflow_heard(self)
        self._watch = watch

    def detach(self, watch: Watch) -> None:
        """Undo :meth:`attach`, unless another watch has come since."""
        if self._watch is watch:
            self._watch = None
            self._overhear(False)

    def emit(self, record: logging.LogRecord) -> None:
        self.tell("overflow" if "overflow" in str(record.msg) else str(record.msg))

    def tell(self, why: str) -> None:
        watch = self._watch
        if watch is not None:
            watch.missed(why)

    def _overhear(self, really: bool) -> None:
        logger = logging.getLogger("watchdog")
        (logger.addHandler if really else logger.removeHandler)(self)
        logger.propagate = not really

    def _thread_died(self, args: threading.ExceptHookArgs) -> None:
        if self._watch is None and self._others is not None:
            self._others(args)
        else:
            self.tell(f"{args.exc_type.__name__}: {args.exc_value}")


def _make_overflow_heard(listener: _Listener) -> None:
    """watchdog 6 drops the kernel's overflow message silently: look at it before that."""
    try:
        from watchdog.observers import inotify_c
    except (ImportError, AttributeError):  # another platform
        return
    old: Any = getattr(inotify_c, "Inotify", None)
    parse = getattr(old, "_parse_event_buffer", None)
    if parse is None:  # watchdog 7 logs it
        return

    def hearing(buffer: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        for event in parse(buffer):
            if event[1] & IN_Q_OVERFLOW:
                listener.tell("overflow")
            yield event

    old._parse_event_buffer = staticmethod(hearing)


_LISTENER = _Listener()
