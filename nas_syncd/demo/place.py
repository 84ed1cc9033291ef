"""The demo's folder: where things lie in it, how it is chosen, and how it is cleared.

What bears our marker is a demo folder; nothing else is ever cleared. The marker is also the lock:
whoever runs in the folder holds it, the daemon included.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

DEFAULT_NAME = "nas-syncd-demo"
MARKER = ".nas-syncd-demo"
_MARKER_TEXT = "nas-syncd demo\n"
_OURS = ("uploads", "nas", "nas-away", "nas-bare", "state", "tmp", "documents.db")
_OUR_FILES = ("documents.db-wal", "documents.db-shm", "config.env", "daemon.jsonl", "daemon.out")


class FolderError(Exception):
    """The folder cannot be used; ``code`` is the key of the message, ``path`` fills it."""

    def __init__(self, code: str, path: Path, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Place:
    """A demo folder that is ours as long as ``lock`` is open."""

    folder: Path
    lock: int
    """The descriptor of the marker, with its lock."""
    made: bool
    """A demo made the folder itself, this one or a former one."""

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def nas(self) -> Path:
        return self.folder / "nas"

    @property
    def nas_away(self) -> Path:
        """Where the pretend NAS is while it is not "mounted"."""
        return self.folder / "nas-away"

    @property
    def nas_bare(self) -> Path:
        """Where the bare folder is put when something was written below it: the proof."""
        return self.folder / "nas-bare"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def database(self) -> Path:
        return self.folder / "documents.db"

    @property
    def config(self) -> Path:
        return self.folder / "config.env"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.jsonl"

    @property
    def output(self) -> Path:
        """What the daemon said on its standard output and error."""
        return self.folder / "daemon.out"

    @property
    def scratch(self) -> Path:
        """The children's home and temporary folder."""
        return self.folder / "tmp"

    def clear(self) -> None:
        """Remove what a demo makes, and the folder when we made it and nothing else is in it."""
        _empty(self.folder)
        (self.folder / MARKER).unlink()
        if self.made and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def close(self) -> None:
        os.close(self.lock)


def claim(wanted: Path | None) -> Place:
    """
    Return a demo folder of ours, empty and locked.

    Args:
        wanted: None: ``./nas-syncd-demo``, or a fresh temporary one where that cannot be had.

    Raises:
        FolderError: *wanted* is somebody else's, in use, or cannot be written.
    """
    if wanted is not None:
        return _claim(wanted.expanduser().absolute())
    try:
        return _claim(Path.cwd() / DEFAULT_NAME)
    except FolderError:
        return _claim(Path(tempfile.mkdtemp(prefix=f"{DEFAULT_NAME}-")), made=True)


def _claim(folder: Path, *, made: bool = False) -> Place:
    try:
        made = _make(folder) or made
        place = Place(folder, _locked(folder), made)
    except OSError as error:
        raise _denied(folder, error) from error
    try:
        _empty(folder)
        for needed in (place.uploads, place.nas, place.state, place.scratch):
            needed.mkdir()
    except OSError as error:
        place.close()
        raise _denied(folder, error) from error
    except FolderError:
        place.close()
        raise
    return place


def _denied(folder: Path, error: OSError) -> FolderError:
    return FolderError("demo.folder.denied", folder, error.strerror or str(error))


def _make(folder: Path) -> bool:
    """Make *folder* when it is not there; say whether it is a demo's own, or was just empty.

    Raises:
        FolderError: It is neither empty nor a demo's, or it belongs to somebody else.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderError("demo.folder.foreign", folder)
    if not folder.exists():
        folder.mkdir()
        return True
    if folder.stat().st_uid != os.geteuid():  # its owner may swap it while we clear it
        raise FolderError("demo.folder.foreign", folder)
    if _is_ours(folder / MARKER):
        return True
    if any(folder.iterdir()):
        raise FolderError("demo.folder.foreign", folder)
    return False


def _is_ours(marker: Path) -> bool:
    if marker.is_symlink() or not marker.is_file():
        return False
    return marker.read_bytes()[: len(_MARKER_TEXT)] == _MARKER_TEXT.encode()


def _locked(folder: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    marker = os.open(folder / MARKER, flags, 0o644)
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(marker)
        raise FolderError("demo.folder.busy", folder) from error
    os.pwrite(marker, _MARKER_TEXT.encode(), 0)
    return marker


def _empty(folder: Path) -> None:
    """Remove what a demo makes; links are removed, not followed, and mounts are refused."""
    for name in (*_OURS, *_OUR_FILES):
        path = folder / name
        if os.path.ismount(path):
            raise FolderError("demo.folder.foreign", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
