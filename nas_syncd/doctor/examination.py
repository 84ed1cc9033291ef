"""All rooms at once, each in a thread of its own and with a deadline; told in a fixed order.

A room that fails or takes too long is a finding of its own. A thread that hangs is left behind, and
does not keep the process from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from nas_syncd.doctor import (
    clock,
    configuration,
    daemon,
    database,
    interpreter,
    mount,
    service,
    state,
    uploads,
)
from nas_syncd.doctor.findings import Finding, Notes
from nas_syncd.doctor.patient import Patient

Look = Callable[[Patient, Notes], None]


@dataclass(frozen=True, slots=True)
class Room:
    """One subject: its name begins the names of its checks."""

    name: str
    look: Look
    seconds: float
    calls: float = 0.0
    """Deadlines of single system calls that come on top."""
    tells: tuple[str, ...] = ()
    """What it finds out for other rooms."""


ROOMS = (
    Room("interpreter", interpreter.look, 15),
    Room("settings", configuration.look, 10),
    Room("state", state.look, 25, tells=("state_answers", "memory")),
    Room("database", database.look, 75, tells=("database_clock",)),
    Room("uploads", uploads.look, 75, calls=2),
    Room("mount", mount.look, 60, calls=3, tells=("nas_clock",)),
    Room("daemon", daemon.look, 25),
    Room("service", service.look, 15),
    Room("clock", clock.look, 100),
)


def examine(patient: Patient) -> Iterator[tuple[str, list[Finding]]]:
    """Yield each room's name and its findings, in their order, as soon as they are there."""
    visits = [Visit(room, patient) for room in ROOMS]
    for visit in visits:
        visit.start()
    for visit in visits:
        yield visit.room.name, visit.findings()


class Visit:
    """One room at work."""

    def __init__(self, room: Room, patient: Patient) -> None:
        self.room = room
        self._patient = patient
        self._notes = Notes(patient.language)
        self._began = time.monotonic()
        extra = (patient.probe_seconds or 0) if room.name == "uploads" else 0
        self._limit = room.seconds + room.calls * patient.seconds + extra
        self._thread = threading.Thread(target=self._run, name=f"doctor-{room.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def findings(self) -> list[Finding]:
        """Return what was found, within the deadline."""
        self._thread.join(max(0.0, self._began + self._limit - time.monotonic()))
        found = list(self._notes.found)
        if self._thread.is_alive():
            self._let_others_go()
            late = Notes(self._patient.language)
            late.wrong(f"{self.room.name}.deadline", "deadline", seconds=round(self._limit))
            found += late.found
        return found

    def _run(self) -> None:
        try:
            self.room.look(self._patient, self._notes)
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding
            self._notes.wrong(f"{self.room.name}.failed", "failed", detail=_place(error))
        finally:
            self._let_others_go()

    def _let_others_go(self) -> None:
        """Nobody waits for what will not be told any more."""
        for name in self.room.tells:
            told: Future[Any] = getattr(self._patient, name)
            if not told.done():
                told.set_result(None)


def _place(error: Exception) -> str:
    """Return what happened and where, for who can mend it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = PurePath(trace.tb_frame.f_code.co_filename).name if trace else "?"
    line = trace.tb_lineno if trace else 0
    return f"{type(error).__name__}: {error} ({where}:{line})"
