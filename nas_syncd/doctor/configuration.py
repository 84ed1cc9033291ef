"""The settings: which file, what is refused, what is missing, who can read its secrets."""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path

from nas_syncd.doctor.findings import Level, Notes
from nas_syncd.doctor.patient import Patient
from nas_syncd.errors import ConfigurationError
from nas_syncd.messages import text
from nas_syncd.notify import Sender, scheme_of
from nas_syncd.settings import Settings, candidates, env_name, senders_environment

CHECK_SECONDS = 15.0
FILE_TROUBLES = ("settings.file_missing", "settings.file_unreadable")


def look(patient: Patient, notes: Notes) -> None:
    for error in patient.refused:
        _refused(error, notes)
    settings = patient.settings
    if settings is None:
        return
    if not any(error.params.get("problem") in FILE_TROUBLES for error in patient.refused):
        _required(settings, notes)
    file = settings.source_file
    if not any(finding.level is Level.WRONG for finding in notes.found):
        given = [name for name in type(settings).model_fields if settings.origin(name) != "default"]
        code = "settings.source" if file else "settings.environment"
        notes.ok("settings.values", code, path=str(file) if file else None, count=len(given))
    _addresses(settings, notes)
    if file is not None:
        _rights(settings, file, notes)
        if patient.env_file is None:
            _others(file, notes)


def _refused(error: ConfigurationError, notes: Notes) -> None:
    """One finding for each value that is refused: its own line says what is allowed."""
    params = {name: value for name, value in error.params.items() if name != "detail"}
    code = "settings.refused"
    if params.pop("problem", None) in FILE_TROUBLES:
        code = "settings.file"
    notes.wrong("settings.values", code, detail=error.detail, **params)


def _required(settings: Settings, notes: Notes) -> None:
    needed = {
        "nas_mount_path": (settings.nas_path, "required.nas"),
        "database_url": (settings.database_url.get_secret_value(), "required.database_url"),
        "upload_dir": (settings.upload_dir, "required.upload_dir"),
    }
    refused = {str(finding.details.get("name")) for finding in notes.found}
    for name, (value, allowed) in needed.items():
        shown = env_name(name)
        if not value and shown not in refused:
            words = text(allowed, notes.language)
            notes.wrong("settings.required", "settings.required", name=shown, allowed=words)


def _addresses(settings: Settings, notes: Notes) -> None:
    """Apprise is asked whether it understands each address; nothing is sent."""
    if not settings.notify_urls or importlib.util.find_spec("apprise") is None:
        return
    sender, well = Sender(senders_environment()), []
    for number, url in enumerate(settings.notify_urls, 1):
        address = url.get_secret_value()
        failure = sender.check(address, CHECK_SECONDS)
        if failure is None:
            well.append(scheme_of(address))
        else:
            notes.wrong(
                "settings.notify",
                "settings.notify_refused",
                number=number,
                scheme=scheme_of(address),
                detail=failure,
            )
    if len(well) == len(settings.notify_urls):
        notes.ok("settings.notify", "settings.notify", schemes=well)


def _rights(settings: Settings, file: Path, notes: Notes) -> None:
    """A file with a secret in it is nobody else's to read."""
    origin = str(file)
    names = [
        n
        for n in ("database_url", "api_token", "notify_urls", "ping_url")
        if settings.origin(n) == origin
    ]
    held = [env_name(name) for name in names if _is_secret(settings, name)]
    try:
        status = os.stat(file)
    except OSError:
        return
    mode = stat.S_IMODE(status.st_mode)
    shown = f"{mode:04o}"
    if held and stat.S_ISREG(status.st_mode) and mode & 0o006:
        notes.warning("settings.rights", "settings.rights", path=str(file), mode=shown, names=held)
    else:
        notes.ok("settings.rights", "settings.rights_ok", path=str(file), mode=shown)


def _is_secret(settings: Settings, name: str) -> bool:
    return name != "database_url" or bool(settings.secrets())


def _others(used: Path, notes: Notes) -> None:
    """Only the first file is read; a second one is often the one that was meant."""
    there = [os.path.realpath(path) for path in candidates() if os.path.isfile(path)]
    others = [path for path in dict.fromkeys(there) if path != os.path.realpath(used)]
    if others:
        notes.warning("settings.files", "settings.files", path=str(used), others=others)
