"""The program itself: its version, its Python, what is installed beside it, who runs it."""

from __future__ import annotations

import getpass
import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version

from nas_syncd import __version__
from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import Patient

LIBRARIES = ("SQLAlchemy", "watchdog", "pydantic")
EXTRAS = {
    "api": ("fastapi", "uvicorn", "prometheus-client"),
    "notify": ("apprise",),
    "postgres": ("psycopg", "psycopg2"),
    "mysql": ("PyMySQL", "mysqlclient"),
}
ANY_ONE_DOES = ("postgres", "mysql")


def look(patient: Patient, notes: Notes) -> None:
    libraries = {name.lower(): _version(name) or "?" for name in LIBRARIES}
    shown = [f"{name} {_version(name) or '?'}" for name in LIBRARIES]
    notes.ok(
        "interpreter.version",
        "interpreter.version",
        version=__version__,
        python=platform.python_version(),
        libraries=", ".join([*shown, f"SQLite {sqlite3.sqlite_version}"]),
        executable=sys.executable,
        user=user_name(),
        system=f"{platform.system()} {platform.release()}",
        versions={**libraries, "sqlite": sqlite3.sqlite_version},
    )
    _extras(patient, notes)


def user_name() -> str:
    """Return who we are, by name where the system has one."""
    try:
        return getpass.getuser() if os.geteuid() == os.getuid() else str(os.geteuid())
    except (KeyError, OSError):
        return str(os.geteuid())


def _extras(patient: Patient, notes: Notes) -> None:
    installed = [name for name in EXTRAS if _has(name)]
    missing = [name for name in EXTRAS if name not in installed]
    settings = patient.settings
    lacking = []
    if settings is not None:
        if settings.api_port and "api" in missing:
            lacking.append("api")
        if settings.notify_urls and "notify" in missing:
            lacking.append("notify")
    for name in lacking:
        notes.warning(
            "interpreter.extras",
            f"interpreter.lacks_{name}",
            extra=name,
            executable=sys.executable,
        )
    if not lacking:
        notes.ok(
            "interpreter.extras",
            "interpreter.extras",
            installed=installed,
            missing=missing or None,
        )


def _has(extra: str) -> bool:
    found = [_version(package) is not None for package in EXTRAS[extra]]
    return any(found) if extra in ANY_ONE_DOES else all(found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
