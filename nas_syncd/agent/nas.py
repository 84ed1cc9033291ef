"""The NAS agent: every system call on the mount happens in this child.

A *batch* begins when work comes to an idle agent: the root is opened by path, its marker is read,
and its mount is compared with what is known. It ends when there was nothing to do for half a
second (an open descriptor makes ``umount`` say "busy"), and after five seconds in any case. Copies
are answered by the *voucher*: one reading of the marker, by path, that begins after a
rename vouches for every rename before it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from typing import Any, NamedTuple

from nas_syncd.agent.child import LATER, Child, Job, Later, die_with_parent, internal_error
from nas_syncd.agent.marker import (
    check_marker_by_path,
    exists,
    open_root,
    read_marker,
    recognise,
)
from nas_syncd.agent.wire import Message
from nas_syncd.copier import BLOCK_BYTES, Copied, Copier, Order, free_bytes, read_digest
from nas_syncd.errors import (
    DocumentError,
    MountError,
    SyncError,
    VerifyError,
)
from nas_syncd.mounttable import mount_id, mount_of
from nas_syncd.names import CLAIM_FOLDER, MARKER_NAME, OWN_PREFIX, TEMP_FOLDER
from nas_syncd.nasfs import (
    LOCK_STEP_SECONDS,
    STALE_CLAIM_SECONDS,
    Calls,
    Folder,
    Step,
    Tree,
    nas_error,
    rename_into_place,
    renames_exclusively,
    sync_folder,
    write_all,
)
from nas_syncd.sourcefile import Version

BATCH_SECONDS = 5.0
MOST_FOLDERS = 128
"""A batch that has opened so many is ended: descriptors are few."""
IDLE_SECONDS = 0.5
NO_FILE = frozenset({errno.ENOENT, errno.ESTALE, errno.EISDIR, errno.ELOOP, errno.ENXIO})
LIGHT_PER_WORKER = 4
"""A small copy waits for answers most of its time: so many more of them at once."""
PROBE_BYTES = 4096
OLD_CLAIM_SECONDS = 6 * STALE_CLAIM_SECONDS


class Root(NamedTuple):
    """An opened and recognised root."""

    tree: Tree
    path: str
    nas: str
    mount: str | None
    """The mount's id."""


def lane_of(job: Job) -> str:
    """Small files wait for no large ones; and how the NAS is, for no file."""
    if job.op not in ("copy", "find", "restore"):
        return "asking"
    version = job.args.get("version")
    return "light" if version is not None and int(version[0]) <= BLOCK_BYTES else ""


class NasRole:
    """The handlers of the NAS agent."""

    def __init__(self, child: Child, options: Message) -> None:
        self.child = child
        self.calls = Calls()
        self.installation = str(options["installation"])
        self.run = str(options["run"])
        self._root: Root | None = None
        self._lock = threading.Lock()
        self._used_at = 0.0
        self._exclusive: dict[str | None, bool] = {}
        self._trying = threading.Lock()
        """Held while it is found out whether a rename replaces: once for all jobs."""
        self._placed: queue.SimpleQueue[tuple[Job, Root, Copied]] = queue.SimpleQueue()
        child.lane_of = lane_of
        child.handlers.update(
            probe=self.probe,
            adopt=self.adopt,
            test=self.test,
            copy=self.copy,
            find=self.find,
            look=self.look,
            temps=self.temps,
            remove=self.remove,
            restore=self.restore,
        )
        child.on_idle = self.idle
        threading.Thread(target=self._vouch, name="voucher", daemon=True).start()

    # -- the batch --------------------------------------------------------------------------

    def idle(self) -> float | None:
        """Close the root when it was not used for a while; say when to look again."""
        if not self._lock.acquire(blocking=False):  # somebody opens the root: never wait for it
            return IDLE_SECONDS
        try:
            if self._root is None:
                return None
            rest = self._used_at + IDLE_SECONDS - time.monotonic()
            if rest > 0 or self._root.tree.busy:
                return max(rest, 0.1)
            self._root.tree.close()
            self._root = None
            return None
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def batch(self, job: Job) -> Any:
        """Give the batch's root, opened and recognised; keep it open meanwhile.

        Raises:
            MountError: It is not there, or not ours.
        """
        root = self._enter(job)
        try:
            yield root
        finally:
            self._leave(root)

    def _enter(self, job: Job) -> Root:
        path, nas = str(job.args["root"]), str(job.args["nas"])
        job.waiting = True
        with self._lock:
            job.waiting = False
            root = self._root
            if (
                root is None
                or (root.path, root.nas) != (path, nas)
                or time.monotonic() - root.tree.opened_at > BATCH_SECONDS
                or root.tree.folders > MOST_FOLDERS
            ):
                if root:
                    root.tree.close()
                self._root = None
                self._root = root = self._open(job, path, nas)
            root.tree.__enter__()
            return root

    def _leave(self, root: Root) -> None:
        with self._lock:
            self._used_at = time.monotonic()
        root.tree.__exit__()
        self.child.wake()

    def _open(self, job: Job, path: str, nas: str) -> Root:
        fd = open_root(path, job.step, self.calls)
        try:
            found = read_marker(fd, job.step, self.calls)
            mount = mount_of(fd)
            recognise(path, nas, found, str(job.args.get("file_system") or ""), mount)
        except MountError:
            os.close(fd)
            raise
        tree = Tree(fd, self.calls, closes_late=bool(mount and mount.is_cifs))
        return Root(tree, path, nas, mount_id(fd))

    def _check_identity(self, root: Root, step: Step) -> None:
        """By path: it vouches for what was done below the root before."""
        check_marker_by_path(root.path, root.nas, root.mount, step, self.calls)

    def _settle_renaming(self, root: Root, temps: str, step: Step) -> None:
        """Find out whether names are claimed before a rename: because another installation does
        (looked for once in a batch), or because a rename of this mount may replace (tried once).
        """
        tree = root.tree
        if tree.claims_known:
            return
        while not self._trying.acquire(timeout=LOCK_STEP_SECONDS):
            step("nas")  # another job finds out: that one is judged
        try:
            if not tree.claims_known:
                claims = self._are_claimed(tree, step)
                tree.claims = claims or not self._renames_exclusively(root, temps, step)
                tree.claims_known = True
        finally:
            self._trying.release()

    def _are_claimed(self, tree: Tree, step: Step) -> bool:
        step("nas")
        try:
            return exists(CLAIM_FOLDER, tree.root, self.calls)
        except OSError as error:
            raise nas_error(error, CLAIM_FOLDER, own=True) from error

    def _renames_exclusively(self, root: Root, temps: str, step: Step) -> bool:
        known = self._exclusive.get(root.mount)
        if known is None:
            folder = root.tree.folder(temps, step, own=True)
            try:
                known = renames_exclusively(root.tree, folder, self._tag("rename"), step)
            except OSError as error:
                raise nas_error(error, temps, own=True) from error
            self._exclusive[root.mount] = known
        return known

    def _tag(self, what: str) -> str:
        """A part of a temp file's name that names the run, so that it is cleaned when it died."""
        return f"{self.run}-{what}{os.getpid()}x{time.monotonic_ns()}"

    # -- looking ----------------------------------------------------------------------------

    def probe(self, job: Job) -> Message:
        """Report what stands at the path now. Writes only when asked, and below our marker."""
        path = str(job.args["root"])
        fd = open_root(path, job.step, self.calls)
        try:
            return self._facts(job, fd, path)
        finally:
            os.close(fd)

    def _facts(self, job: Job, fd: int, path: str) -> Message:
        marker = read_marker(fd, job.step, self.calls)
        mount = mount_of(fd)
        try:
            job.step("nas")
            status = self.calls.fstatvfs(fd)
        except OSError as error:
            raise nas_error(error, path, own=True) from error
        facts: Message = {
            "nas": marker,
            "mount": list(mount[:4]) if mount else [mount_id(fd) or "", "", "", ""],
            "network": mount.network if mount else False,
            "free": free_bytes(status),
            "total": status.f_blocks * (status.f_frsize or status.f_bsize),
            "read_only": bool(status.f_flag & os.ST_RDONLY),
            "real": os.path.realpath(f"/proc/self/fd/{fd}") if mount else path,
        }
        if job.args.get("write") and marker and marker == job.args.get("nas"):
            own = f"{TEMP_FOLDER}/{self.installation}"
            with Tree(os.dup(fd), self.calls) as tree:
                try:
                    self._write_test(tree, job.step)
                    self._settle_renaming(Root(tree, path, marker, mount_id(fd)), own, job.step)
                finally:
                    tree.close()
        return facts

    def test(self, job: Job) -> Message:
        """Write, flush, read back and remove a small file of our own.

        With ``renaming`` it is also told whether names are claimed before a rename, because the
        mount has no exclusive one (or another installation's has none). ``ahead`` is by how many
        seconds the NAS's clock is ahead of ours.
        """
        with self.batch(job) as root:
            started = time.monotonic()
            ahead = self._write_test(root.tree, job.step)
            answer = {"seconds": time.monotonic() - started, "ahead": ahead}
            if job.args.get("renaming"):
                self._settle_renaming(root, f"{TEMP_FOLDER}/{self.installation}", job.step)
                answer["claims"] = root.tree.claims
            return answer

    def _write_test(self, tree: Tree, step: Step) -> float:
        folder = tree.folder(f"{TEMP_FOLDER}/{self.installation}", step, own=True)
        name = f".nas-syncd-{self._tag('test')}.part"
        data = os.urandom(PROBE_BYTES)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            step("nas")
            fd = self.calls.open(name, flags, 0o666, dir_fd=folder.fd)
            try:
                # As the server made it, before we write: a folder's time may be of a cache [tried].
                ahead = self.calls.fstat(fd).st_mtime - time.time()
                write_all(self.calls, fd, data, step)
                step("nas")
                self.calls.fsync(fd)
                self.calls.drop_cache(fd)
                self.calls.seek(fd, 0)
                step("nas")
                stored = self.calls.read(fd, PROBE_BYTES)
            finally:
                try:
                    self.calls.close(fd)
                finally:
                    with contextlib.suppress(OSError):
                        self.calls.unlink(name, dir_fd=folder.fd)
        except OSError as error:
            raise nas_error(error, folder.path, own=True) from error
        if stored != data:
            raise VerifyError(f"{folder.path}: the NAS gives back other bytes", path=folder.path)
        return ahead

    # -- pairing ----------------------------------------------------------------------------

    def adopt(self, job: Job) -> Message:
        """Write the marker on a NAS that has none; an existing one is left as it is."""
        path = str(job.args["root"])
        fd = open_root(path, job.step, self.calls)
        with Tree(fd, self.calls) as tree:
            try:
                if read_marker(fd, job.step, self.calls) is None:
                    self._write_marker(tree, str(job.args["text"]), job.step)
                return self._facts(job, fd, path)
            finally:
                tree.close()

    def _write_marker(self, tree: Tree, text: str, step: Step) -> None:
        folder = tree.folder(f"{TEMP_FOLDER}/{self.installation}", step, own=True)
        name = f".nas-syncd-{self._tag('marker')}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            step("nas")
            fd = self.calls.open(name, flags, 0o666, dir_fd=folder.fd)
            try:
                write_all(self.calls, fd, text.encode(), step)
                step("nas")
                self.calls.fsync(fd)
            finally:
                self.calls.close(fd)
            try:
                self.calls.rename_exclusive(name, folder.fd, MARKER_NAME, tree.root)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
                    raise
                self.calls.rename(name, folder.fd, MARKER_NAME, tree.root)
            sync_folder(tree.root, self.calls)
        except OSError as error:
            with contextlib.suppress(OSError):
                self.calls.unlink(name, dir_fd=folder.fd)
            raise nas_error(error, MARKER_NAME, own=True) from error

    # -- copying ----------------------------------------------------------------------------

    def copy(self, job: Job) -> Message | Later:
        root = self._enter(job)
        try:
            self._settle_renaming(root, str(job.args["temp_folder"]), job.step)
            copied = Copier(root.tree, order_from(job), job.step, progress_of(job)).copy()
        except BaseException:
            self._leave(root)
            raise
        job.waiting = True
        self._placed.put((job, root, copied))
        return LATER

    def find(self, job: Job) -> Message:
        """Look whether the document's bytes stand at one of its places; write nothing."""
        with self.batch(job) as root:
            copied = Copier(root.tree, order_from(job), job.step, progress_of(job)).find()
            self._check_identity(root, job.step)
            return as_message(copied) if copied else {"destination": None}

    def _vouch(self) -> None:
        while True:
            group = [self._placed.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    group.append(self._placed.get_nowait())
            for root in {id(root): root for _, root, _ in group}.values():
                part = [(job, copied) for job, its, copied in group if its is root]
                self._vouch_for(root, part)

    def _vouch_for(self, root: Root, group: list[tuple[Job, Copied]]) -> None:
        def step(side: str) -> None:
            for job, _ in group:
                job.step(side)

        for job, _ in group:
            job.waiting = False
        error: SyncError | None = None
        try:
            for folder in {id(c.folder): c.folder for _, c in group}.values():
                step("nas")
                sync_folder(folder.fd, self.calls)
            self._check_identity(root, step)
        except SyncError as trouble:
            error = trouble
        except OSError as trouble:
            error = nas_error(trouble, root.path, own=True)
            error.__cause__ = trouble
        except Exception as trouble:  # noqa: BLE001 - every job must get its answer
            error = internal_error(trouble)
        for job, _ in group:
            self._leave(root)
            if error:
                self.child.fail(job, error)
        if error is None:
            self.child.answer_all([(job, as_message(copied)) for job, copied in group])

    # -- keeping house ----------------------------------------------------------------------

    def look(self, job: Job) -> Message:
        """Say which of the given names, each with its size, are not in the folder, and which
        have another size: what a loss of power leaves of a file. One listing."""
        sizes: dict[str, int] = job.args["sizes"]
        with self.batch(job) as root:
            path = str(job.args["folder"])
            folder = root.tree.existing(path, job.step)
            if folder is None:
                found: dict[str, int | None] = dict.fromkeys(sizes)
            else:
                try:
                    found = {name: self._size_of(name, folder, job.step) for name in sizes}
                except OSError as error:
                    raise nas_error(error, path) from error
                finally:
                    os.close(folder.fd)
            self._check_identity(root, job.step)
        missing = [name for name, size in found.items() if size is None]
        damaged = [name for name, size in found.items() if size not in (None, sizes[name])]
        return {"missing": missing, "damaged": damaged}

    def _size_of(self, name: str, folder: Folder, step: Step) -> int | None:
        actual = folder.names.like(name)
        if actual is None:
            return None
        step("nas")
        try:
            return self.calls.lstat(actual, dir_fd=folder.fd).st_size
        except FileNotFoundError:
            return None

    def temps(self, job: Job) -> Message:
        """List every temp file below our folder: path, age in seconds by the NAS's clock, size.

        ``agent`` is who lists.
        """
        with self.batch(job) as root:
            top = root.tree.existing(TEMP_FOLDER, job.step)
            if top is None:
                return {"temps": [], "agent": os.getpid()}
            os.close(top.fd)
            self._write_test(root.tree, job.step)
            own = root.tree.folder(f"{TEMP_FOLDER}/{self.installation}", job.step, own=True)
            now = self.calls.fstat(own.fd).st_mtime
            found: list[list[Any]] = []
            self._walk_temps(root.tree, TEMP_FOLDER, now, job.step, found)
            self._remove_old_claims(root.tree, now, job.step)
            return {"temps": found, "agent": os.getpid()}

    def _walk_temps(
        self, tree: Tree, path: str, now: float, step: Step, found: list[list[Any]]
    ) -> None:
        folder = tree.existing(path, step)
        if folder is None:
            return
        try:
            for name in folder.names:
                step("nas")
                with contextlib.suppress(FileNotFoundError):
                    status = self.calls.lstat(name, dir_fd=folder.fd)
                    if name.startswith(OWN_PREFIX) and name.endswith(".part"):
                        found.append([f"{path}/{name}", now - status.st_mtime, status.st_size])
                    elif path.count("/") < 2:
                        with contextlib.suppress(DocumentError):  # another's, kept from us
                            self._walk_temps(tree, f"{path}/{name}", now, step, found)
        except OSError as error:
            raise nas_error(error, path, own=True) from error
        finally:
            os.close(folder.fd)

    def _remove_old_claims(self, tree: Tree, now: float, step: Step) -> None:
        """Who wants a place takes a stale claim over; but nobody may ever want that place again."""
        claims = tree.existing(CLAIM_FOLDER, step)
        if claims is None:
            return
        try:
            for name in claims.names:
                step("nas")
                with contextlib.suppress(OSError):
                    made = self.calls.lstat(name, dir_fd=claims.fd).st_mtime
                    if name.startswith(OWN_PREFIX) and now - made > OLD_CLAIM_SECONDS:
                        self.calls.unlink(name, dir_fd=claims.fd)
        finally:
            os.close(claims.fd)

    def remove(self, job: Job) -> Message:
        """Remove temp files of ours; anything else is refused."""
        with self.batch(job) as root:
            removed = 0
            for path in job.args["paths"]:
                folder_path, _, name = str(path).rpartition("/")
                own = folder_path.split("/")[0] == TEMP_FOLDER and name.startswith(OWN_PREFIX)
                if not own or ".." in path.split("/"):
                    raise SyncError(f"not a temp file of ours: {path}")
                folder = root.tree.folder(folder_path, job.step, own=True)
                job.step("nas")
                try:
                    self.calls.unlink(name, dir_fd=folder.fd)
                    removed += 1
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise nas_error(error, path, own=True) from error
            return {"removed": removed}

    def _holds(self, tree: Tree, folder: Folder, name: str, digest: str, step: Step) -> bool:
        try:
            return read_digest(tree, folder, name, step) == digest
        except OSError as error:
            if error.errno in NO_FILE:
                return False
            raise nas_error(error, f"{folder.path}/{name}") from error

    def restore(self, job: Job) -> Message:
        """Put a temp file that has a receipt in its place: a NAS forgot the rename.

        Answers ``outcome``: ``placed``, ``there`` (the place holds these bytes; the temp file is
        removed), ``differs`` (the temp file or the place hold something else; nothing is touched).
        """
        temp, destination = str(job.args["temp"]), str(job.args["destination"])
        wanted = str(job.args["sha256"])
        with self.batch(job) as root:
            self._settle_renaming(root, f"{TEMP_FOLDER}/{self.installation}", job.step)
            temp_path, _, temp_name = temp.rpartition("/")
            path, _, name = destination.rpartition("/")
            temps = root.tree.folder(temp_path, job.step, own=True)
            folder = root.tree.folder(path, job.step)
            try:
                actual = folder.names.like(name)
                if actual is not None and exists(actual, folder.fd, self.calls):
                    if read_digest(root.tree, folder, actual, job.step) != wanted:
                        return {"outcome": "differs"}
                    with contextlib.suppress(FileNotFoundError):
                        self.calls.unlink(temp_name, dir_fd=temps.fd)
                    return {"outcome": "there"}
                if read_digest(root.tree, temps, temp_name, job.step) != wanted:
                    return {"outcome": "differs"}
                rename_into_place(root.tree, temps, temp_name, folder, name, job.step)
                sync_folder(folder.fd, self.calls)
            except (FileNotFoundError, FileExistsError):
                # Gone since the listing, or come since it: by a rename of ours perhaps, which was
                # told otherwise. Also seen: cifs remembers a name that the server lost with its
                # power, and answers EEXIST until the mount is made anew.
                there = self._holds(root.tree, folder, name, wanted, job.step)
                return {"outcome": "there" if there else "differs"}
            except OSError as error:
                raise nas_error(error, destination) from error
            folder.names.add(name)
            return {"outcome": "placed"}


def order_from(job: Job) -> Order:
    args = job.args
    version = args.get("version")
    return Order(
        uploads=args["uploads"],
        relative=args["relative"],
        version=Version(*version) if version else None,
        candidates=args.get("candidates", ()),
        adopt_only=args.get("adopt_only", ()),
        temp_folder=args.get("temp_folder", ""),
        temp=args.get("temp", ""),
        stale=args.get("stale", ()),
        min_free_bytes=args.get("min_free", 0),
    )


def progress_of(job: Job) -> Any:
    def progress(done: int, total: int) -> None:
        job.done_bytes, job.total_bytes = done, total

    return progress


def as_message(copied: Copied) -> Message:
    return {
        "destination": copied.destination,
        "sha256": copied.sha256,
        "version": list(copied.version),
        "adopted": copied.adopted,
    }


def main(options: Message) -> None:
    """Run the NAS agent until the parent goes."""
    die_with_parent(int(options["parent"]))
    workers = int(options["workers"])
    lanes = {"light": LIGHT_PER_WORKER * workers, "asking": workers}
    child = Child(side="nas", workers=workers, lanes=lanes)
    NasRole(child, options)
    child.serve()
