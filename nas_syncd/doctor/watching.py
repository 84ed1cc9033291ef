"""Does this system tell of new files at all? Tried with a file of our own; and the limits of it."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nas_syncd.agent.events import MAX_USER_WATCHES
from nas_syncd.agent.process import Agent
from nas_syncd.agent.wire import Message
from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import STATE_SECONDS, Patient, learned
from nas_syncd.errors import SyncError

CANARY = "watching.canary"
WATCHES, INSTANCES = "watching.watches", "watching.instances"
MAX_USER_INSTANCES = "/proc/sys/fs/inotify/max_user_instances"
EVENT_SECONDS = 5.0
PREFIX = "nas-syncd-doctor-"
STALE_SECONDS = 3600.0
CROWDED = 0.8
"""Of the limit of watches."""
ROOMY = 4


def look_at_watches(patient: Patient, folders: int | None, notes: Notes) -> None:
    """
    Args:
        folders: How many there are below the upload folder; None: not known.
    """
    if patient.settings is not None and patient.settings.watch == "poll":
        notes.skipped(CANARY, "polling")
        return
    if sys.platform == "linux":
        if not _instance_free():
            limit = number_in(MAX_USER_INSTANCES) or 128
            notes.warning(
                INSTANCES, "watching.instances", limit=limit, wanted=max(1024, limit * ROOMY)
            )
            notes.skipped(CANARY, "instances")
            return
        _limits(folders, notes)
    _canary(patient, notes)


def _instance_free() -> bool:
    """Whether this user may have one more inotify instance. Given back at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno() != errno.EMFILE
    os.close(descriptor)
    return True


def _limits(folders: int | None, notes: Notes) -> None:
    limit = number_in(MAX_USER_WATCHES)
    if limit is None or folders is None:
        return
    facts = {"limit": limit, "folders": folders, "wanted": max(524_288, folders * ROOMY)}
    if folders > limit * CROWDED:
        notes.warning(WATCHES, "watching.crowded", **facts)
    else:
        notes.ok(WATCHES, "watching.watches", **facts)


def _canary(patient: Patient, notes: Notes) -> None:
    """Make a folder of our own, watch it as the daemon does, and put a file there."""
    try:
        with _own_folder(_place(patient)) as folder:
            heard, trouble = _hear(folder, patient.seconds)
    except OSError as error:
        notes.warning(CANARY, "watching.no_place", detail=error.strerror)
        return
    if heard is not None:
        notes.ok(CANARY, "watching.canary", milliseconds=round(heard * 1000))
    else:
        notes.warning(CANARY, "watching.deaf", seconds=EVENT_SECONDS, detail=trouble)


def _place(patient: Patient) -> Path:
    """The state directory where it can be used; else the system's own folder for such things."""
    folder = patient.settings.state_dir if patient.settings is not None else None
    safe = learned(patient.memory, STATE_SECONDS) is not None
    return folder if folder is not None and safe else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _own_folder(place: Path) -> Iterator[Path]:
    """
    A new folder, taken away again at whatever moment we are interrupted: it is promised to go
    before it is made, and again at the end of the process should Ctrl-C fall into its removal.

    Raises:
        OSError: It cannot be made.
    """
    _tidy(place)
    folder = place / f"{PREFIX}{secrets.token_hex(8)}"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tidy(place: Path) -> None:
    """Take away what a doctor has left there who was killed."""
    for left in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _hear(folder: Path, seconds: float) -> tuple[float | None, str | None]:
    """Return after how many seconds the event came, or None and what is known of the reason."""
    news = threading.Event()
    said: list[Message] = []

    def hear(message: Message) -> None:
        if message["event"] == "fallback" or message.get("by") == "event":
            said.append(message)
            news.set()

    options = {"root": str(folder), "watch": "native", "queue_limit": 100}
    agent = Agent(
        "uploads", side="uploads", timeout_seconds=seconds, on_event=hear, options=options
    )
    try:
        agent.call("check")
        began = time.monotonic()
        (folder / "canary").write_bytes(b"canary")
        news.wait(EVENT_SECONDS)
        took = time.monotonic() - began
    except (SyncError, OSError) as error:
        return None, str(error)
    finally:
        agent.close(0.2)
    if said and said[0]["event"] == "seen":
        return took, None
    return None, str(said[0]["detail"] or said[0]["why"]) if said else None


def number_in(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
