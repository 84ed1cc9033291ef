"""The clocks: ours, the database server's, the NAS's."""

from __future__ import annotations

import ctypes
import datetime as dt
import math
import struct
import sys
import time
from concurrent.futures import Future
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import Patient, learned
from nas_syncd.settings import inherited_environment

DATE, SYNC, ZONE = "clock.date", "clock.synchronised", "clock.zone"
FIRST_YEAR, LAST_YEAR = 2025, 2100
DATABASE_SECONDS = 5.0
NAS_SECONDS = 60.0
"""The times of files on a NAS are coarse, and only ages of our own claims are taken from them."""
UNSYNCHRONISED = 0x40
OTHERS_SECONDS = 90.0


def look(patient: Patient, notes: Notes) -> None:
    now = dt.datetime.now(dt.UTC)
    if not FIRST_YEAR <= now.year <= LAST_YEAR:
        notes.wrong(DATE, "clock.absurd", at=now.isoformat())
    else:
        notes.ok(DATE, "clock.date", at=now.isoformat(), zone=time.strftime("%Z"))
    _zone(notes)
    _synchronised(patient, notes)
    _compare(patient.database_clock, "clock.database", DATABASE_SECONDS, notes)
    _compare(patient.nas_clock, "clock.nas", NAS_SECONDS, notes)


def _zone(notes: Notes) -> None:
    """A zone that does not exist is UTC to the C library, without a word."""
    wanted = inherited_environment("TZ").get("TZ", "").removeprefix(":")
    if "/" not in wanted or wanted.startswith("/"):
        return
    try:
        ZoneInfo(wanted)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        notes.warning(ZONE, "clock.zone", zone=wanted)


def _synchronised(patient: Patient, notes: Notes) -> None:
    told = kernel_says()
    if told is None:
        return
    if told:
        notes.ok(SYNC, "clock.synchronised")
    elif patient.in_container:
        notes.skipped(SYNC, "container_clock")
    else:
        notes.warning(SYNC, "clock.unsynchronised")


def kernel_says() -> bool | None:
    """Return whether somebody keeps the kernel's clock right; None: it does not say.

    ``adjtimex(2)`` without a mode only reads; no service is asked, so nothing can hang.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    timex = ctypes.create_string_buffer(512)
    if libc.adjtimex(timex) < 0:
        return None
    (status,) = struct.unpack_from("@i", timex, 5 * struct.calcsize("@l"))
    return not status & UNSYNCHRONISED


def _compare(ahead: Future[float | None], check: str, limit: float, notes: Notes) -> None:
    seconds = learned(ahead, OTHERS_SECONDS)
    if seconds is None:
        return
    exact = round(seconds, 3)
    if abs(seconds) <= limit:
        notes.ok(check, check, seconds=max(1, math.ceil(abs(seconds))), ahead_seconds=exact)
    else:
        code = f"{check}_ahead" if seconds > 0 else f"{check}_behind"
        notes.warning(check, code, seconds=round(abs(seconds)), ahead_seconds=exact)
