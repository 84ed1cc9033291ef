"""The state directory: rights, disk, journal, lock."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.interpreter import user_name
from nas_syncd.doctor.patient import Patient
from nas_syncd.doctor.places import followed, hangs, mount_below
from nas_syncd.errors import JournalError
from nas_syncd.journal import reading
from nas_syncd.journal.store import FILE_NAME

HANG_SECONDS = 5.0
CHECK_SECONDS = 10.0
LITTLE_BYTES = 100 * 2**20
TOO_LITTLE_BYTES = 5 * 2**20
FORGETFUL = ("tmpfs", "ramfs")
FOLDER = "state.folder"
JOURNAL = "state.journal"


def look(patient: Patient, notes: Notes) -> None:
    settings = patient.settings
    if settings is None:
        notes.skipped(FOLDER, "settings")
        return
    folder = settings.state_dir
    if not _lies_well(patient, folder, notes):
        notes.skipped(JOURNAL, "state")
        return
    patient.state_answers.set_result(True)
    if not folder.is_dir():
        _to_be_made(folder, notes)
        return
    if _rights(folder, notes):
        _space(folder, notes)
        _journal(patient, folder, notes)


def _lies_well(patient: Patient, folder: Path, notes: Notes) -> bool:
    """Judge the disk below it by the mount table alone; whether it may be touched."""
    real = followed(folder)
    mount = mount_below(real)
    if mount is None:
        return True
    facts = {"path": str(folder), "file_system": mount.file_system, "source": mount.source}
    if mount.network:
        notes.wrong("state.file_system", "state.network", **facts)
        return False
    if mount.file_system.startswith("fuse") and hangs(real, HANG_SECONDS):
        notes.wrong("state.file_system", "state.hangs", **facts)
        return False
    if mount.file_system in FORGETFUL:
        notes.warning("state.file_system", "state.forgetful", **facts)
    elif mount.file_system == "overlay" and patient.in_container:
        notes.warning("state.file_system", "state.container", **facts)
    else:
        notes.ok("state.file_system", "state.file_system", **facts)
    return True


def _to_be_made(folder: Path, notes: Notes) -> None:
    if os.path.lexists(folder):
        notes.wrong(FOLDER, "state.no_folder", path=str(folder))
        return
    above = next((one for one in folder.parents if os.path.lexists(one)), Path("/"))
    if os.access(above, os.W_OK | os.X_OK) and above.is_dir():
        notes.ok(FOLDER, "state.to_be_made", path=str(folder))
    else:
        notes.wrong(
            FOLDER, "state.cannot_be_made", path=str(folder), above=str(above), user=_user()
        )


def _rights(folder: Path, notes: Notes) -> bool:
    status = os.stat(folder)
    facts: dict[str, object] = {"path": str(folder), "mode": f"{status.st_mode & 0o7777:04o}"}
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        notes.wrong(FOLDER, "state.denied", user=_user(), owner=_owner(status.st_uid), **facts)
        notes.skipped(JOURNAL, "state")
        return False
    if status.st_uid != os.geteuid():
        owner = _owner(status.st_uid)
        notes.warning(FOLDER, "state.anothers", user=_user(), owner=owner, **facts)
    elif status.st_mode & 0o002:
        notes.warning(FOLDER, "state.open", **facts)
    else:
        notes.ok(FOLDER, "state.folder", **facts)
    return True


def _user() -> str:
    return user_name()


def _owner(number: int) -> str:
    with contextlib.suppress(KeyError, ImportError):
        import pwd

        return pwd.getpwuid(number).pw_name
    return str(number)


def _space(folder: Path, notes: Notes) -> None:
    free = shutil.disk_usage(folder).free
    if free < TOO_LITTLE_BYTES:
        notes.wrong("state.space", "state.full", path=str(folder), free=free)
    elif free < LITTLE_BYTES:
        notes.warning("state.space", "state.little", path=str(folder), free=free)


def _journal(patient: Patient, folder: Path, notes: Notes) -> None:
    if not reading.exists(folder):
        notes.ok(JOURNAL, "state.no_journal")
        return
    path = folder / FILE_NAME
    try:
        memory = reading.remembered(folder)
        damage = reading.quick_check(folder, CHECK_SECONDS)
    except JournalError as error:
        _unread(path, error, notes)
        return
    if memory is None:
        notes.ok(JOURNAL, "state.no_journal")
        return
    size = path.stat().st_size
    if memory.is_newer:
        notes.wrong(JOURNAL, "state.journal_newer", path=str(path), number=memory.version)
        return
    if damage:
        notes.wrong(JOURNAL, "state.journal_broken", path=str(path), detail="; ".join(damage))
        return
    patient.memory.set_result(memory)
    code = "state.journal" if damage is not None else "state.journal_unchecked"
    notes.ok(JOURNAL, code, path=str(path), size=size, seconds=CHECK_SECONDS)


def _unread(path: Path, error: JournalError, notes: Notes) -> None:
    """Only a file that is no good is to be put away."""
    facts = {"path": str(path), "detail": error.detail}
    if reading.is_in_use(error):
        notes.warning(JOURNAL, "state.journal_in_use", **facts)
    elif reading.is_damaged(error):
        notes.wrong(JOURNAL, "state.journal_broken", **facts)
    else:
        notes.wrong(JOURNAL, "state.journal_refused", user=user_name(), **facts)
