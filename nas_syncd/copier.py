"""The crash-safe copy. Standard library only; runs in the NAS agent.

A document's bytes are written to a temp file of our own on the same mount, flushed to the server,
read back from it with the cache dropped, compared by SHA-256, and renamed to a name that does not
exist. Whatever fails, and wherever: the NAS holds the complete document or no trace of
it, and nothing that stood there before was touched. The source is looked at before and after, so
that a file that somebody is still writing is never filed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nas_syncd.errors import (
    NasDownError,
    NasFullError,
    NoRoomError,
    PlaceTakenError,
    SourceChangedError,
    VerifyError,
)
from nas_syncd.hashing import Hasher, hashing
from nas_syncd.names import fill_sha
from nas_syncd.nasfs import (
    DIRECTORY_FSYNC_FORGIVEN,
    Calls,
    Folder,
    Step,
    Tree,
    is_regular,
    nas_error,
    rename_into_place,
    write_all,
)
from nas_syncd.sourcefile import Version, open_source, source_error, version_of

BLOCK_BYTES = 1 << 20
WRITE_BEHIND_BYTES = 8 << 20
FLUSH_FIRST_BYTES = 8 << 20
FLUSH_LARGEST_BYTES = 256 << 20
FLUSH_QUICK_SECONDS = 1.0
FLUSH_SLOW_SECONDS = 4.0


class Order(NamedTuple):
    """What to copy and where it may go."""

    uploads: str
    """The upload folder."""
    relative: str
    version: Version | None
    """The version that was decided on; another one is :class:`SourceChangedError`."""
    candidates: Sequence[str]
    """Places to try, in order, relative to the NAS's root."""
    adopt_only: Sequence[str]
    """Places where an earlier, interrupted go may have put it."""
    temp_folder: str
    temp: str
    stale: Sequence[str]
    """Temp files (with folder) of earlier goes at this document, without a receipt."""
    min_free_bytes: int


class Copied(NamedTuple):
    """A verified copy that stands in its place, or one that stood there already."""

    destination: str
    sha256: str
    version: Version
    adopted: bool
    folder: Folder
    """To be flushed before the copy counts."""


class Copier:
    """One copy. Not to be used twice."""

    def __init__(
        self,
        tree: Tree,
        order: Order,
        step: Step,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self.tree = tree
        self.calls = tree.calls
        self.order = order
        self.step = step
        self.progress = progress
        self._digest: str | None = None
        self._different: set[str] = set()
        """Places that were compared and hold something else."""

    def copy(self) -> Copied:
        """Do it.

        Raises:
            SyncError: A subclass that says whose trouble it is. No temp file is left, unless the
                mount refuses to remove it; the journal knows its name then.
        """
        source, version = open_source(self.order.uploads, self.order.relative, self.step)
        try:
            if self.order.version is not None and version != self.order.version:
                raise SourceChangedError(self.order.relative, path=self.order.relative)
            self._remove_stale()
            return self._adopt(source, version) or self._write_and_place(source, version)
        finally:
            os.close(source)

    def find(self) -> Copied | None:
        """Look whether one of the ``adopt_only`` places holds these bytes; write nothing.

        Raises:
            SyncError: As :meth:`copy`.
        """
        source, version = open_source(self.order.uploads, self.order.relative, self.step)
        try:
            if self.order.version is not None and version != self.order.version:
                raise SourceChangedError(self.order.relative, path=self.order.relative)
            return self._adopt(source, version)
        finally:
            os.close(source)

    # -- what stands there already ----------------------------------------------------------

    def _adopt(self, source: int, version: Version) -> Copied | None:
        """Return the copy that stands at one of our places with the same bytes, if any does."""
        for place in (*self.order.adopt_only, *self.order.candidates):
            folder_path, _, name = self._filled(place, source, version).rpartition("/")
            wanted = place in self.order.candidates
            folder = (
                self.tree.folder(folder_path, self.step)
                if wanted
                else self.tree.existing(folder_path, self.step)
            )
            if folder is None:
                continue
            try:
                actual = folder.names.like(name)
                if actual is None:
                    if wanted:
                        return None
                    continue
                digest = self._compare(folder, actual, source, version)
            finally:
                if not wanted:
                    os.close(folder.fd)
            if digest is not None:
                kept = self.tree.folder(folder_path, self.step)
                return Copied(f"{kept.path}/{actual}", digest, version, True, kept)
        return None

    def _compare(self, folder: Folder, name: str, source: int, version: Version) -> str | None:
        """Return the digest when the file *name* on the NAS holds the source's bytes."""
        path = f"{folder.path}/{name}"
        if path in self._different:
            return None
        try:
            self.step("nas")
            status = self.calls.lstat(name, dir_fd=folder.fd)
            if is_regular(status) and status.st_size == version.size:
                digest = self._source_digest(source, version)
                if read_digest(self.tree, folder, name, self.step, version.size) == digest:
                    return digest
            self._different.add(path)
            return None
        except FileNotFoundError:
            folder.names.forget(name)
            return None
        except OSError as error:
            raise nas_error(error, path) from error

    def _source_digest(self, source: int, version: Version) -> str:
        """Return the digest of *source*, which stands at its beginning, and does so afterwards."""
        if self._digest is None:
            with hashing(version.size) as hasher:
                try:
                    for block in self._blocks(source, version):
                        hasher.update(block)
                    self._check_unchanged(source, version)
                    os.lseek(source, 0, os.SEEK_SET)
                except OSError as error:
                    raise source_error(error, self.order.relative) from error
                self._digest = hasher.hexdigest()
        return self._digest

    def _filled(self, place: str, source: int, version: Version) -> str:
        blank = fill_sha(place, "") != place
        return fill_sha(place, self._source_digest(source, version)) if blank else place

    # -- writing ----------------------------------------------------------------------------

    def _write_and_place(self, source: int, version: Version) -> Copied:
        order = self.order
        temps = self.tree.folder(order.temp_folder, self.step, own=True)
        self._check_space(version.size)
        try:
            digest = self._write(temps, order.temp, source, version)
            return self._place(temps, order.temp, digest, source, version)
        except BaseException:
            self._remove(temps.fd, order.temp)
            raise

    def _write(self, folder: Folder, name: str, source: int, version: Version) -> str:
        """Write, flush, read back; return the digest of what the NAS holds."""
        path = f"{folder.path}/{name}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            self.step("nas")
            target = self.calls.open(name, flags, 0o666, dir_fd=folder.fd)
        except OSError as error:
            raise nas_error(error, path, own=True) from error
        try:
            digest = self._stream(source, target, version, path)
            stored = "" if sys.platform == "darwin" else self._read_back(target, version, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one that counts
                self.step("nas")
                self.calls.close(target)
            raise
        try:
            self.step("nas")
            if self.tree.closes_late:
                self.calls.close_soon(target)
                self.step("nas")
            self.calls.close(target)
            self._check_whole(folder, name, version)
        except OSError as error:  # write-behind errors come back here
            raise nas_error(error, path, own=True) from error
        if not stored:  # macOS wants a fresh descriptor (``F_NOCACHE``)
            stored = read_digest(self.tree, folder, name, self.step, version.size)
        if stored != digest:
            raise VerifyError(f"{path}: wrote {digest}, the NAS holds {stored}", path=path)
        return digest

    def _stream(self, source: int, target: int, version: Version, path: str) -> str:
        """Write all of *source*, flushing in steps: a full share is noticed only then."""
        with hashing(version.size) as hasher:
            self._write_all(source, target, version, path, hasher)
            return hasher.hexdigest()

    def _write_all(
        self, source: int, target: int, version: Version, path: str, hasher: Hasher
    ) -> None:
        done = flushed = behind = 0
        flush_bytes = FLUSH_FIRST_BYTES
        for block in self._blocks(source, version):
            hasher.update(block)
            try:
                write_all(self.calls, target, block, self.step)
                done += len(block)
                self.progress(done, 2 * version.size)
                if done - flushed >= flush_bytes:
                    flush_bytes = self._flush(target, flush_bytes)
                    flushed = behind = done
                elif done - behind >= WRITE_BEHIND_BYTES:
                    self.step("nas")
                    self.calls.write_behind(target, behind, done - behind)
                    behind = done
            except OSError as error:
                raise nas_error(error, path, own=True) from error
        try:
            self._check_unchanged(source, version)
        except OSError as error:
            raise source_error(error, self.order.relative) from error
        try:
            self._flush(target, flush_bytes)
        except OSError as error:
            raise nas_error(error, path, own=True) from error

    def _flush(self, target: int, flush_bytes: int) -> int:
        """Flush; return after how many bytes to do it again, so that each stays short."""
        started = time.monotonic()
        self.step("nas")
        self.calls.fsync(target)
        took = time.monotonic() - started
        if took < FLUSH_QUICK_SECONDS:
            return min(flush_bytes * 2, FLUSH_LARGEST_BYTES)
        return max(flush_bytes // 2, BLOCK_BYTES) if took > FLUSH_SLOW_SECONDS else flush_bytes

    def _read_back(self, target: int, version: Version, path: str) -> str:
        """Return the digest of what the server holds.

        FACTS: on the same descriptor, after ``POSIX_FADV_DONTNEED``, cifs asks the server, and
        a fresh descriptor costs two requests more.
        """
        try:
            self.step("nas")
            size = self.calls.fstat(target).st_size
            if size != version.size:
                raise VerifyError(f"{path}: {size} bytes of {version.size}", path=path)
            self.step("nas")
            self.calls.drop_cache(target)
            self.calls.seek(target, 0)
            return self._digest_of(target, version.size)
        except OSError as error:
            raise nas_error(error, path, own=True) from error

    def _digest_of(self, target: int, size: int) -> str:
        done = 0
        with hashing(size) as hasher:
            while True:
                self.step("nas")
                block = self.calls.read(target, _next_bytes(size, done))
                hasher.update(block)
                done += len(block)
                self.progress(size + done, 2 * size)
                if not block or done >= size:
                    return hasher.hexdigest()

    # -- placing ----------------------------------------------------------------------------

    def _place(
        self, temps: Folder, temp: str, digest: str, source: int, version: Version
    ) -> Copied:
        self._digest = digest
        for candidate in self.order.candidates:
            folder_path, _, name = fill_sha(candidate, digest).rpartition("/")
            for go in (1, 2):
                folder = self.tree.folder(folder_path, self.step)
                taken = folder.names.like(name)
                try:
                    if taken is None:
                        rename_into_place(self.tree, temps, temp, folder, name, self.step)
                        self._check_whole(folder, name, version)
                        folder.names.add(name)
                        return Copied(f"{folder.path}/{name}", digest, version, False, folder)
                except FileExistsError:
                    folder.names.add(taken := name)
                except FileNotFoundError as error:
                    if go == 2:
                        raise NasDownError(f"{folder_path}: {error}", path=folder_path) from error
                    self.tree.forget(folder)  # somebody removed the folder under us
                    continue
                except OSError as error:
                    raise nas_error(error, f"{folder_path}/{name}") from error
                break
            if taken and self._compare(folder, taken, source, version) == digest:
                self._remove(temps.fd, temp)
                return Copied(f"{folder.path}/{taken}", digest, version, True, folder)
        raise PlaceTakenError(self.order.candidates[0], path=self.order.candidates[0])

    def _check_whole(self, folder: Folder, name: str, version: Version) -> None:
        """A NAS may lose a file's end after its close, or a rename that it has confirmed.

        No request on cifs, which knows the file's attributes at this moment.
        """
        self.step("nas")
        size = self.calls.lstat(name, dir_fd=folder.fd).st_size
        if size != version.size:
            path = f"{folder.path}/{name}"
            raise VerifyError(f"{path}: {size} bytes of {version.size}", path=path)

    # -- small things -----------------------------------------------------------------------

    def _blocks(self, source: int, version: Version) -> Iterator[bytes]:
        """Yield what *source* holds: at most a byte more than it should, for it may grow faster
        than it is read. That there is no more is only known from a reading that gives less than
        it was asked for: a file's attributes may lag behind its bytes.

        Raises:
            SourceChangedError: It holds more or less than it should.
        """
        done = 0
        while done <= version.size:
            most = _next_bytes(version.size, done)
            block = self._read_source(source, most)
            if not block:
                break
            yield block
            done += len(block)
            if done == version.size and len(block) < most:
                break
        if done != version.size:
            raise SourceChangedError(self.order.relative, path=self.order.relative)

    def _read_source(self, source: int, most: int) -> bytes:
        self.step("uploads")
        try:
            return os.read(source, most)
        except OSError as error:
            raise source_error(error, self.order.relative) from error

    def _check_unchanged(self, source: int, version: Version) -> None:
        self.step("uploads")
        if version_of(os.fstat(source)) != version:
            raise SourceChangedError(self.order.relative, path=self.order.relative)

    def _check_space(self, size: int) -> None:
        """Before a big file, ask; for small ones, once in a batch, and again when it gets tight.

        Raises:
            NasFullError: Less would be free than must stay free: everybody's trouble.
            NoRoomError: Only this one, a big one, does not fit.
        """
        small, least = size < FLUSH_FIRST_BYTES, self.order.min_free_bytes
        if small and (not least or self.tree.has_room(size, least)):
            return
        try:
            self.step("nas")
            free = free_bytes(self.calls.fstatvfs(self.tree.root))
        except OSError as error:
            raise nas_error(error, ".", own=True) from error
        if free >= size + least:
            self.tree.learn_free(free - size)
        else:
            words = f"{free} bytes free, {size} wanted"
            if small:
                raise NasFullError(words, free=free, needed=size + least)
            enough = max(least, FLUSH_FIRST_BYTES)
            if free < enough:  # when this is free again, the NAS is of use, if not to this one
                raise NasFullError(words, free=free, needed=enough)
            raise NoRoomError(words, path=self.order.relative, free=free, needed=size + least)

    def _remove_stale(self) -> None:
        for path in self.order.stale:
            folder_path, _, name = path.rpartition("/")
            folder = self.tree.folder(folder_path, self.step, own=True)
            try:
                self.step("nas")
                self.calls.unlink(name, dir_fd=folder.fd)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise nas_error(error, path, own=True) from error

    def _remove(self, folder: int, name: str) -> None:
        """Best effort: a temp file that stays is resolved later, by the journal's word."""
        with contextlib.suppress(OSError):
            self.step("nas")
            self.calls.unlink(name, dir_fd=folder)


def _next_bytes(size: int, done: int) -> int:
    """How many bytes to ask for: no more memory than needed, and one more than should come, so
    that mostly no further reading must tell that it was the end."""
    return min(BLOCK_BYTES, size + 1 - done)


def read_digest(tree: Tree, folder: Folder, name: str, step: Step, size: int = 0) -> str:
    """Return the SHA-256 of a file as the server holds it, the cache dropped.

    Args:
        size: What it has about; for the speed only.

    Raises:
        OSError: What the mount answers.
    """
    calls = tree.calls
    step("nas")
    fd = calls.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder.fd)
    try:
        step("nas")
        _flush_others(calls, fd)  # somebody's writes may still lie in this host's own cache
        calls.drop_cache(fd)
        with hashing(size) as hasher:
            while True:
                step("nas")
                block = calls.read(fd, BLOCK_BYTES)
                if not block:
                    return hasher.hexdigest()
                hasher.update(block)
    finally:
        calls.close(fd)


def _flush_others(calls: Calls, fd: int) -> None:
    """Flush what others wrote to this file; a descriptor for reading may not be able to."""
    try:
        calls.fsync(fd)
    except OSError as error:
        if error.errno not in DIRECTORY_FSYNC_FORGIVEN | {errno.EACCES, errno.EPERM}:
            raise


def free_bytes(status: os.statvfs_result) -> int:
    return status.f_bavail * (status.f_frsize or status.f_bsize)
