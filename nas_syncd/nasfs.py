"""System calls on the NAS, below one open root descriptor. Standard library only.

Everything is relative to the descriptor of a root that was opened by path and whose
identity was checked, so that an unmount in mid-copy gives errors instead of local files. The
calls go through :class:`Calls`, which tests replace to make any of them fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable

from nas_syncd.errors import (
    DocumentError,
    MountError,
    NameRefusedError,
    NasDeniedError,
    NasDownError,
    NasFullError,
    NasPrivacyError,
    NasReadOnlyError,
    PlaceBlockedError,
    PlaceBusyError,
    PlaceDeniedError,
    SyncError,
)
from nas_syncd.names import CLAIM_FOLDER, Names, place_key

Step = Callable[[str], None]
"""Told which side the next system call is on; the agent's heartbeat reports it."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
DOWN = frozenset(
    getattr(errno, name)
    for name in (
        "EIO",
        "ESTALE",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENOTCONN",
        "ETIMEDOUT",
        "ENXIO",
        "ENODEV",
        "ECONNRESET",
        "ECONNABORTED",
        "ECONNREFUSED",
        "ENETDOWN",
        "ENETUNREACH",
        "EPIPE",
        "EAGAIN",
        "EREMOTEIO",
        "ENOLINK",
    )
    if hasattr(errno, name)
)
"""FACTS: on a network file system these mean "the NAS is down", not "this file is bad"."""
NO_DOCUMENTS_FAULT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR})
"""This host is short of something, or the call was interrupted."""
NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
DIRECTORY_FSYNC_FORGIVEN = NOT_SUPPORTED | {errno.EBADF}
RENAME_RETRY = frozenset({errno.EACCES, errno.EBUSY, errno.ETXTBSY, errno.EINTR})
RENAME_RETRY_SECONDS = (0.05, 0.2, 0.5, 1.5)
CLAIM_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4)
STALE_CLAIM_SECONDS = 600.0
LOCK_STEP_SECONDS = 1.0

_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4
_F_NOCACHE = 48
_F_FULLFSYNC = 51


class Calls:
    """The system calls that touch the NAS, one method each: the seam for injected faults."""

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    def write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data)

    def close_soon(self, fd: int) -> None:
        """Have cifs tell the server at the close of *fd*, not up to a second later.

        A rename waits for a close that was put off, and holds the locks of both folders
        meanwhile. The kernel puts none off of a file that was locked
        (``CIFS_INO_CLOSE_ON_LOCK``, fs/smb/client/file.c); as it has a lease for a file that it
        has just made, the lock itself is no request [tried].
        """
        with contextlib.suppress(OSError):  # then the rename waits
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def seek(self, fd: int, offset: int) -> None:
        os.lseek(fd, offset, os.SEEK_SET)

    def fsync(self, fd: int) -> None:
        if sys.platform == "darwin":
            try:
                fcntl.fcntl(fd, _F_FULLFSYNC)
            except OSError as error:
                if error.errno not in NOT_SUPPORTED:
                    raise
            else:
                return
        os.fsync(fd)

    def drop_cache(self, fd: int) -> None:
        """Make the next read go to the server (on cifs it does [tried])."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        elif sys.platform == "darwin":
            fcntl.fcntl(fd, _F_NOCACHE, 1)

    def write_behind(self, fd: int, offset: int, length: int) -> None:
        """Have this part of a file written now, and wait for nothing.

        Else a kernel with much memory keeps it until the next flush, and disk and processor work
        in turn. ``POSIX_FADV_DONTNEED`` begins the writing of what is dirty (mm/fadvise.c: without
        waiting) and lets go of what is clean. What is wrong is told by the flush.
        """
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, name: str, *, dir_fd: int) -> os.stat_result:
        return os.lstat(name, dir_fd=dir_fd)

    def fstatvfs(self, fd: int) -> os.statvfs_result:
        return os.fstatvfs(fd)

    def mkdir(self, name: str, *, dir_fd: int) -> None:
        os.mkdir(name, 0o777, dir_fd=dir_fd)

    def listdir(self, fd: int) -> list[str]:
        return os.listdir(fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def rename_exclusive(self, source: str, source_fd: int, target: str, target_fd: int) -> None:
        """Rename, never replacing: FileExistsError when *target* is there.

        Raises:
            OSError: EINVAL, ENOSYS or ENOTSUP where the mount cannot do it atomically.
        """
        if _RENAMEAT is None:
            raise OSError(errno.ENOSYS, "no exclusive rename")
        result = _RENAMEAT(
            source_fd, os.fsencode(source), target_fd, os.fsencode(target), _RENAME_FLAG
        )
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), target)

    def rename(self, source: str, source_fd: int, target: str, target_fd: int) -> None:
        """Plain rename: only under a claim and after a look (see :func:`rename_claimed`)."""
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _find_rename() -> tuple[Callable[..., int] | None, int]:
    libc = ctypes.CDLL(None, use_errno=True)
    name, flag = ("renameat2", _RENAME_NOREPLACE)
    if sys.platform == "darwin":
        name, flag = ("renameatx_np", _RENAME_EXCL)
    call = getattr(libc, name, None)
    if call is not None:
        call.argtypes = [
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_char_p,
            ctypes.c_uint,
        ]
    return call, flag


_RENAMEAT, _RENAME_FLAG = _find_rename()


def is_privacy(number: int) -> bool:
    """Whether it is macOS's privacy settings that refuse: servers and file modes say EACCES."""
    return sys.platform == "darwin" and number == errno.EPERM


def nas_error(error: OSError, path: str, *, own: bool = False) -> SyncError:
    """Return what *error* at *path* means.

    Args:
        own: The path is in a folder of our own: every document would meet this.
    """
    number = error.errno or 0
    detail = f"{error.strerror or error} ({errno.errorcode.get(number, number)}): {path}"
    params: dict[str, object] = {"path": path, "errno": errno.errorcode.get(number, str(number))}
    kind: type[SyncError]
    if number in FULL:
        kind = NasFullError
    elif number == errno.EROFS:
        kind = NasReadOnlyError
    elif is_privacy(number):
        kind = NasPrivacyError
        params["program"] = sys.executable
    elif number in (errno.EACCES, errno.EPERM):
        kind = NasDeniedError if own else PlaceDeniedError
    elif number in (errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
        kind = PlaceBlockedError
    elif number in DOWN or number == errno.ENOENT:
        kind = NasDownError
    elif own or number in NO_DOCUMENTS_FAULT:
        kind = MountError
    elif number in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        kind = NameRefusedError
    elif number in (errno.EBUSY, errno.ETXTBSY):
        kind = PlaceBusyError
    else:
        kind = DocumentError
    return kind(detail, **params)


class Folder:
    """One open folder of the NAS, with the names in it as last listed."""

    __slots__ = ("fd", "listing", "names", "path")

    def __init__(self, path: str, fd: int, names: list[str]) -> None:
        self.path = path
        """As it really stands on the NAS."""
        self.fd = fd
        self.names = Names(names)
        self.listing = threading.Lock()
        """Held while the folder is listed again: two listings of one descriptor share its
        position, and each would see a part [tried]."""


class Tree:
    """The NAS below one root descriptor, for as long as one batch of work lasts.

    Thread-safe. Folders are opened and listed once. ``close`` takes effect when the last user
    has left; until then their descriptors stay valid.
    """

    def __init__(
        self, root: int, calls: Calls, *, claims: bool = False, closes_late: bool = False
    ) -> None:
        self.root = root
        self.calls = calls
        self.claims = claims
        """Whether every rename wants a claim first (:func:`rename_claimed`)."""
        self.claims_known = claims
        """Whether that was found out, and not only supposed."""
        self.closes_late = closes_late
        """Whether the kernel may put a close off (:meth:`Calls.close_soon`)."""
        self.opened_at = time.monotonic()
        self._folders: dict[str, Folder] = {}
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._listing = threading.Lock()
        """As :attr:`Folder.listing`, for the root."""
        self._users = 0
        self._retired = False
        self._free: int | None = None

    def __enter__(self) -> Tree:
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
        self._close_if_left()

    @property
    def folders(self) -> int:
        """How many folders it holds open."""
        return len(self._folders)

    def close(self) -> None:
        """Take no new work; close the descriptors when nobody uses them. Idempotent."""
        with self._lock:
            self._retired = True
        self._close_if_left()

    @property
    def busy(self) -> bool:
        """Whether somebody works below it now."""
        return self._users > 0

    def _close_if_left(self) -> None:
        with self._lock:
            if not self._retired or self._users or self.root < 0:
                return
            descriptors = [folder.fd for folder in self._folders.values()] + [self.root]
            self._folders.clear()
            self.root = -1
        for fd in descriptors:
            with contextlib.suppress(OSError):  # read-only descriptors: nothing to lose
                os.close(fd)

    def learn_free(self, free: int) -> None:
        """So many bytes are free, what was just granted already taken off."""
        with self._lock:
            self._free = free

    def has_room(self, size: int, least: int) -> bool:
        """Take *size* from what is known to be free, if more than *least* is left with certainty.

        Certain enough: a tree lives for seconds, and asking costs a round trip. Twice *size* is
        kept back for what others write meanwhile.
        """
        with self._lock:
            if self._free is None or self._free - 3 * size < least:
                return False
            self._free -= size
            return True

    def folder(self, path: str, step: Step, *, own: bool = False) -> Folder:
        """Return the folder at *path*, made when it is missing, listed once.

        Raises:
            SyncError: See :func:`nas_error`.
        """
        key = place_key(path)
        with self._lock:
            found = self._folders.get(key)
            lock = self._opening.setdefault(key, threading.Lock())
        if found:
            return found
        while not lock.acquire(timeout=LOCK_STEP_SECONDS):
            step("nas")  # another job opens it: that one is judged
        try:
            with self._lock:
                found = self._folders.get(key)
            if found is None:
                found = self._open_folder(path, step, own)
                with self._lock:
                    self._folders[key] = found
        finally:
            lock.release()
        return found

    def forget(self, folder: Folder) -> None:
        """Drop a folder that somebody removed under us. Its descriptor lives as long as we."""
        with self._lock:
            for key, known in list(self._folders.items()):
                if known is folder:
                    self._folders[f"\0{len(self._folders)}"] = self._folders.pop(key)

    def existing(self, path: str, step: Step) -> Folder | None:
        """Return the folder at *path*, or None when it is not there; makes nothing."""
        fd = self.root
        try:
            for part in path.split("/"):
                step("nas")
                inner = self.calls.open(part, _FOLDER_FLAGS, dir_fd=fd)
                self._close_inner(fd)
                fd = inner
            step("nas")
            return Folder(path, fd, self.calls.listdir(fd))
        except (FileNotFoundError, NotADirectoryError):
            self._close_inner(fd)
            return None
        except OSError as error:
            self._close_inner(fd)
            raise nas_error(error, path) from error

    def _open_folder(self, path: str, step: Step, own: bool) -> Folder:
        fd, actual, made = self.root, [], False
        try:
            for part in path.split("/"):
                inner, name, made = self._enter(fd, part, step, empty=made, own=own)
                self._close_inner(fd)
                fd = inner
                actual.append(name)
            step("nas")
            names = [] if made or own else self.calls.listdir(fd)
        except OSError as error:
            self._close_inner(fd)
            raise nas_error(error, path, own=own) from error
        return Folder("/".join(actual), fd, names)

    def _close_inner(self, fd: int) -> None:
        if fd != self.root:
            os.close(fd)

    def _enter(
        self, fd: int, part: str, step: Step, *, empty: bool, own: bool
    ) -> tuple[int, str, bool]:
        """Open *part* below *fd*; make it when nothing of that name, in any case, is there.

        Nobody looks in a folder that is *empty*, as it was made a moment ago; nor for our own
        folders in another case.
        """
        if not empty:
            step("nas")
            with contextlib.suppress(FileNotFoundError):
                return self.calls.open(part, _FOLDER_FLAGS, dir_fd=fd), part, False
        same = [] if empty or own else self._same_name(fd, part, step)
        name, made = (same[0], False) if same else (part, True)
        step("nas")
        if made:
            try:
                self.calls.mkdir(name, dir_fd=fd)
                step("nas")
                sync_folder(fd, self.calls)
            except FileExistsError:
                made = False
        step("nas")
        return self.calls.open(name, _FOLDER_FLAGS, dir_fd=fd), name, made

    def _same_name(self, fd: int, part: str, step: Step) -> list[str]:
        key = place_key(part)
        step("nas")
        with self._listing if fd == self.root else contextlib.nullcontext():
            return [name for name in self.calls.listdir(fd) if place_key(name) == key]


_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def write_all(calls: Calls, fd: int, data: bytes, step: Step) -> None:
    """Write all of *data*; a server may take it in parts.

    Raises:
        OSError: What the mount answers; EIO when it takes nothing and says no more.
    """
    view = memoryview(data)
    while view:
        step("nas")
        written = calls.write(fd, view)
        if written <= 0:
            raise OSError(errno.EIO, "nothing was written")
        view = view[written:]


def sync_folder(fd: int, calls: Calls) -> None:
    """Flush a folder. A dummy on cifs and smbfs; EIO is never forgiven."""
    try:
        calls.fsync(fd)
    except OSError as error:
        if error.errno not in DIRECTORY_FSYNC_FORGIVEN:
            raise


def rename_into_place(
    tree: Tree, temp_folder: Folder, temp: str, folder: Folder, name: str, step: Step
) -> None:
    """Rename a finished temp file to *name*, which must not exist. Never replaces.

    Raises:
        FileExistsError: Something stands there.
        PlaceBusyError: Another installation has claimed the place.
        MountError: It cannot be claimed.
        OSError: What the mount answers.
    """
    for pause in (*RENAME_RETRY_SECONDS, None):
        step("nas")
        claims = tree.claims
        try:
            if claims:
                _rename_claimed(tree, temp_folder, temp, folder, name, step)
            else:
                tree.calls.rename_exclusive(temp, temp_folder.fd, name, folder.fd)
            return
        except OSError as error:
            if error.errno in NOT_SUPPORTED and not claims:
                tree.claims = True
                rename_into_place(tree, temp_folder, temp, folder, name, step)
                return
            if error.errno not in RENAME_RETRY or pause is None:
                raise
            tree.calls.sleep(pause)


def _rename_claimed(
    tree: Tree, temp_folder: Folder, temp: str, folder: Folder, name: str, step: Step
) -> None:
    """Where no rename is exclusive: claim the place, look, rename, give the claim back.

    FACTS: "look, then rename" alone loses a file when two hosts do it at once. The look is twofold:
    a listing knows the names that differ in case or composition only, but may lag behind; the
    look-up asks for this very name.
    """
    calls = tree.calls
    claims = tree.folder(CLAIM_FOLDER, step, own=True)
    key = place_key(f"{folder.path}/{name}").encode("utf-8", "surrogatepass")
    claim = ".nas-syncd-" + hashlib.sha256(key).hexdigest()[:40]
    _wait_for_claim(calls, claims, claim, temp_folder, temp, step)
    try:
        step("nas")
        with folder.listing:
            names = calls.listdir(folder.fd)
        if any(place_key(found) == place_key(name) for found in names):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        step("nas")
        if _stands(name, folder, calls):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        step("nas")
        calls.rename(temp, temp_folder.fd, name, folder.fd)
    finally:
        with contextlib.suppress(OSError):  # left behind, it goes stale and is taken over
            calls.unlink(claim, dir_fd=claims.fd)


def _stands(name: str, folder: Folder, calls: Calls) -> bool:
    """Whether something stands at *name*. Anything but a plain no is an error, never a no."""
    try:
        calls.lstat(name, dir_fd=folder.fd)
    except FileNotFoundError:
        return False
    return True


def _wait_for_claim(
    calls: Calls, claims: Folder, claim: str, temp_folder: Folder, temp: str, step: Step
) -> None:
    """Make the claim. One of another's is waited for as long as a rename takes, not longer."""
    for pause in (*CLAIM_RETRY_SECONDS, None):
        step("nas")
        age = _take_claim(calls, claims, claim, temp_folder, temp)
        if age is None:
            return
        if age > STALE_CLAIM_SECONDS:  # another may see it, too: who comes next begins afresh
            calls.unlink(claim, dir_fd=claims.fd)
            break
        if pause is not None:
            calls.sleep(pause)
    raise PlaceBusyError(f"claimed {age:.0f} s ago: {claim}", path=claim)


def _take_claim(
    calls: Calls, claims: Folder, claim: str, temp_folder: Folder, temp: str
) -> float | None:
    """Make the claim and return None; or return the age of the one that is there, in seconds."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        fd = calls.open(claim, flags, 0o666, dir_fd=claims.fd)
    except FileExistsError:
        # Ages are by the NAS's clock: our temp file was written there a moment ago.
        now = calls.lstat(temp, dir_fd=temp_folder.fd).st_mtime
        try:
            return now - calls.lstat(claim, dir_fd=claims.fd).st_mtime
        except FileNotFoundError:
            return 0.0
    except OSError as error:
        raise nas_error(error, f"{claims.path}/{claim}", own=True) from error
    with contextlib.suppress(OSError):  # that it exists is all it says: there are no bytes to lose
        calls.close(fd)
    return None


def renames_exclusively(tree: Tree, folder: Folder, tag: str, step: Step) -> bool:
    """Try whether the mount really refuses to rename onto an existing name.

    A FUSE file system may take the flag and ignore it, so it is not enough that the call
    succeeds. Leaves nothing behind.

    Raises:
        OSError: The files cannot be made.
    """
    calls, first, second = tree.calls, f".nas-syncd-{tag}-a.part", f".nas-syncd-{tag}-b.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        for name in (first, second):
            step("nas")
            calls.close(calls.open(name, flags, 0o666, dir_fd=folder.fd))
        step("nas")
        calls.rename_exclusive(first, folder.fd, second, folder.fd)
    except FileExistsError:
        return True
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        return False
    else:
        return False
    finally:
        for name in (first, second):
            with contextlib.suppress(OSError):  # the answer is known: what stays is cleaned later
                step("nas")
                calls.unlink(name, dir_fd=folder.fd)


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)
