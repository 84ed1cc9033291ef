"""The NAS: is it ours, how is it mounted, is there room, and a file written and read back.

Asked through an agent of our own, as the daemon does: nothing hangs. Nothing is adopted, no marker
is written, nothing is remembered.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from nas_syncd.agent.process import Agent
from nas_syncd.doctor.findings import Level, Notes
from nas_syncd.doctor.options import judge
from nas_syncd.doctor.patient import Patient, learned
from nas_syncd.errors import SyncError, Whose
from nas_syncd.journal.reading import Memory
from nas_syncd.models import Identity, MountState, MountView
from nas_syncd.mount import Guard
from nas_syncd.mounttable import (
    MOUNTINFO,
    MountPoint,
    find_mount,
    read_mount_table,
    receives_mounts,
)
from nas_syncd.settings import Settings

IDENTITY, OPTIONS, WRITE = "mount.identity", "mount.options", "mount.write"
SPACE, RENAME, REMOUNT = "mount.space", "mount.rename", "mount.propagation"
MEMORY_SECONDS = 30.0
SLOW_SECONDS = 2.0
LITTLE_SHARE = 0.02
"""Of the whole: less free is worth a word although it is above the limit."""


def look(patient: Patient, notes: Notes) -> None:
    settings = patient.settings
    if settings is None or not settings.nas_path:
        notes.skipped(IDENTITY, "nas_path")
        return
    memory = learned(patient.memory, MEMORY_SECONDS)
    if _known_to_hang(patient, settings, notes):
        return
    agent = _agent(patient, memory)
    try:
        guard = Guard(
            agent,
            settings.nas_path,
            identity=memory.identity if memory else None,
            min_free_bytes=int(settings.min_free_space),
        )
        view = guard.check().result(patient.seconds + 10.0)
        _examine(patient, settings, memory, agent, view, notes)
    except TimeoutError:
        seconds = round(patient.seconds)
        notes.told(IDENTITY, Level.WRONG, "mount.hung", {"seconds": seconds})
    finally:
        agent.close(0.2)


def _agent(patient: Patient, memory: Memory | None) -> Agent:
    """The same place for test files as the daemon's, so that nothing new is left on the NAS.
    Should we be killed in the middle, the daemon takes the file for a dead run's, as it is."""
    installation = memory.installation if memory else None
    return Agent(
        "nas",
        side="nas",
        timeout_seconds=patient.seconds,
        options={"installation": installation or "doctor", "run": uuid.uuid4().hex[:16]},
    )


def _known_to_hang(patient: Patient, settings: Settings, notes: Notes) -> bool:
    """Where a daemon is held up by this mount already, another child would only join it."""
    try:
        found = patient.daemon()
    except PermissionError:
        return False
    told = found["mount"] if found else {}
    if told.get("state") != MountState.HUNG or told.get("path") != settings.nas_path:
        return False
    reason = told.get("reason") or {}
    notes.told(IDENTITY, Level.WRONG, "mount.hung", dict(reason.get("params") or {}))
    notes.skipped(WRITE, "nas")
    return True


def _examine(
    patient: Patient,
    settings: Settings,
    memory: Memory | None,
    agent: Agent,
    view: MountView,
    notes: Notes,
) -> None:
    mount = _line_of(view, settings.nas_path)
    known = memory.identity if memory else None
    if not view.usable and view.state is not MountState.FULL:
        reason = view.reason
        code, params = (reason.code, dict(reason.params)) if reason else ("mount.error", {})
        notes.told(IDENTITY, Level.WRONG, code, {**params, **_described(mount)})
        _how(patient, settings, mount, notes)
        notes.skipped(WRITE, "nas")
        return
    _identity(view, known, mount, notes)
    _how(patient, settings, mount, notes)
    _space(settings, view, notes)
    if view.state is MountState.FULL:
        notes.skipped(WRITE, "full")
    elif known is None:
        notes.skipped(WRITE, "not_paired")
    else:
        _write(patient, settings, known, agent, notes)


def _line_of(view: MountView, path: str) -> MountPoint | None:
    """Return the mount table's line for the NAS; its path may be a link to somewhere else."""
    table = read_mount_table()
    line = find_mount(table, path)
    if view.file_system is None or line is None or line.file_system == view.file_system:
        return line
    seen = (view.file_system, view.source)
    return next((m for m in reversed(table) if (m.file_system, m.source) == seen), line)


def _described(mount: MountPoint | None) -> dict[str, Any]:
    if mount is None:
        return {}
    return {"file_system": mount.file_system, "source": mount.source, "mounted_on": mount.path}


def _identity(
    view: MountView, known: Identity | None, mount: MountPoint | None, notes: Notes
) -> None:
    facts = {**_described(mount), "path": view.path, "nas": view.nas}
    local = mount is not None and not mount.network and not mount.file_system.startswith("fuse")
    if known is None:
        code = "mount.unpaired_local" if local else "mount.unpaired"
        level = Level.WARNING if local else Level.OK
        notes.told(IDENTITY, level, f"doctor.{code}", facts)
    else:
        notes.ok(IDENTITY, "mount.local" if local else "mount.identity", **facts)


def _how(patient: Patient, settings: Settings, mount: MountPoint | None, notes: Notes) -> None:
    """Judge how it is mounted, from the mount table alone."""
    if mount is None:
        return
    bad = judge(mount.file_system, mount.options)
    facts = {**_described(mount), "options": ",".join(dict.fromkeys(mount.options))}
    for level, code, option in bad:
        notes.told(OPTIONS, level, f"doctor.mount.option.{code}", {**facts, "option": option})
    if not bad and mount.network and mount.options:  # macOS tells none
        notes.ok(OPTIONS, "mount.options", **facts)
    if patient.in_container and mount.path != "/":
        judge_propagation(_mountinfo(), mount, settings.nas_path, notes)


def judge_propagation(text: str, mount: MountPoint, path: str, notes: Notes) -> None:
    """Whether a share that the host mounts anew will be seen in here."""
    if receives_mounts(text, mount.id):
        notes.ok(REMOUNT, "mount.propagation", path=path)
    else:
        notes.warning(REMOUNT, "mount.no_propagation", path=path, mounted_on=mount.path)


def _mountinfo() -> str:
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read()
    except OSError:
        return ""


def _space(settings: Settings, view: MountView, notes: Notes) -> None:
    free, total = view.free_bytes or 0, view.total_bytes or 0
    needed = int(settings.min_free_space)
    facts = {"free": free, "total_bytes": total, "needed": needed}
    if free < needed:
        notes.wrong(SPACE, "mount.full", **facts)
    elif needed and (free < 2 * needed or free < total * LITTLE_SHARE):
        notes.warning(SPACE, "mount.little", **facts)
    else:
        notes.ok(SPACE, "mount.space", **facts)


def _write(
    patient: Patient, settings: Settings, known: Identity, agent: Agent, notes: Notes
) -> None:
    try:
        answer = agent.ask(
            "test",
            root=settings.nas_path,
            nas=known.nas,
            file_system=known.file_system,
            renaming=True,
        ).result(patient.seconds * 2 + 10.0)
    except TimeoutError:
        notes.told(WRITE, Level.WRONG, "mount.hung", {"seconds": round(patient.seconds)})
        return
    except SyncError as error:
        notes.told(WRITE, Level.WRONG, *_trouble(error, settings.nas_path, patient.seconds))
        return
    patient.nas_clock.set_result(float(answer["ahead"]))
    seconds = float(answer["seconds"])
    facts = {"milliseconds": round(seconds * 1000), "at": dt.datetime.now(dt.UTC).isoformat()}
    if seconds > SLOW_SECONDS:
        notes.warning(WRITE, "mount.slow", **facts)
    else:
        notes.ok(WRITE, "mount.write", **facts)
    notes.ok(RENAME, "mount.claims" if answer["claims"] else "mount.rename")


def _trouble(error: SyncError, path: str, seconds: float) -> tuple[str, dict[str, Any]]:
    """Return the code and the blanks of what went wrong in the test."""
    params = {"detail": error.detail, **error.params, "path": path}
    if error.code == "agent.hung":
        return "mount.hung", {"path": path, "seconds": round(seconds)}
    if error.whose is Whose.MOUNT:
        return error.code, params
    return "doctor.mount.other_bytes", params
