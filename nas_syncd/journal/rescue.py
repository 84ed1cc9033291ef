"""A damaged journal: it is set aside under a name with the time, and a new one is begun.

Nothing is ever deleted: a person may want to look at it. Documents are safe without it: what is
flagged is *inherited* from then on, and what is not flagged is looked for on the NAS by its hash
before it is copied. One thing must outlive it, which NAS is ours, or a new journal would take
the next best one for it: that is kept in a file of its own beside it.

Only what SQLite itself calls damage counts, and what nobody can have written. A full disk, a lock,
a failing read are troubles that pass.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from nas_syncd.models import Identity

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
NO_TEXT = "Could not decode to UTF-8"
"""So begins what Python's module says of a text in the file that is none; it has no code for it."""
KEEPSAKE = "nas.json"
LOCK = "rebuild.lock"


def is_damage(error: BaseException) -> bool:
    """Whether *error*, or what caused it, says that the file itself is no good any more."""
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)  # none where Python's own module objects
    if code is None:
        return isinstance(cause, sqlite3.Error) and str(cause).startswith(NO_TEXT)
    return code & 0xFF in DAMAGE


def set_aside(path: Path, now: dt.datetime) -> Path:
    """Rename the journal and what belongs to it; return its new name.

    The write-ahead log goes first: a crash in between leaves a journal that is merely older.
    """
    aside = _free_name(path, now)
    for part in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{part}", f"{aside}{part}")
    with contextlib.suppress(OSError):  # what is undone by a power cut is met and done again
        _flush(path.parent)
    return aside


def _free_name(path: Path, now: dt.datetime) -> Path:
    stem = f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}"
    number, name = 1, stem
    while any((path.parent / f"{name}{part}").exists() for part in ("", "-wal")):
        number, name = number + 1, f"{stem}-{number}"
    return path.parent / name


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let no two processes set the same journal aside at once.

    Raises:
        OSError: The state directory cannot be used.
    """
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def keep_identity(folder: Path, identity: Identity) -> None:
    """Write down which NAS is ours. Best effort: whoever opens the journal next tries again."""
    if kept_identity(folder) == identity:
        return
    new = folder / f".{KEEPSAKE}.{os.getpid()}"
    try:
        with new.open("w") as file:
            json.dump(asdict(identity), file)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(0o600)
        new.rename(folder / KEEPSAKE)
        _flush(folder)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def kept_identity(folder: Path) -> Identity | None:
    """Return which NAS was ours, None when that was never written down."""
    try:
        return Identity(**json.loads((folder / KEEPSAKE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
