"""Does the daemon run, is it ours, does it answer?"""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

from nas_syncd import __version__
from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import STATE_SECONDS, Patient, learned
from nas_syncd.errors import StateDirectoryBusyError
from nas_syncd.journal import DaemonLock
from nas_syncd.settings import Settings

RUNNING, API = "daemon.running", "daemon.api"
API_SECONDS = 5.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}


def look(patient: Patient, notes: Notes) -> None:
    settings = patient.settings
    if settings is not None and not learned(patient.state_answers, STATE_SECONDS):
        notes.skipped(RUNNING, "state_away")
        return
    holder = _holder(settings)
    try:
        found = patient.daemon()
    except PermissionError:
        notes.warning(RUNNING, "daemon.forbidden")
        return
    if found is None:
        if holder is None:
            notes.warning(RUNNING, "daemon.not_running")
        else:
            notes.wrong(RUNNING, "daemon.silent", pid=holder)
    else:
        _met(settings, found, notes)
    if settings is not None and settings.api_port:
        _port(settings, found is not None or holder is not None, notes)


def _holder(settings: Settings | None) -> int | None:
    """Return who holds the state directory's lock; it is not taken."""
    if settings is None:
        return None
    try:
        return DaemonLock(settings.state_dir).holder()
    except (OSError, StateDirectoryBusyError):
        return None


def _met(settings: Settings | None, found: Mapping[str, Any], notes: Notes) -> None:
    facts = {"pid": found.get("pid"), "version": found.get("version"), "ours": __version__}
    nas = (found.get("mount") or {}).get("path")
    uploads = (found.get("uploads") or {}).get("path")
    if facts["version"] != __version__:
        notes.warning(RUNNING, "daemon.other_version", **facts)
    elif settings is not None and (
        nas != settings.nas_path or uploads not in (settings.upload_dir, "", None)
    ):
        notes.warning(RUNNING, "daemon.other_settings", nas=nas, uploads=uploads, **facts)
    else:
        notes.ok(RUNNING, "daemon.running", since=found.get("started_at"), **facts)


def _port(settings: Settings, runs: bool, notes: Notes) -> None:
    """Ask who answers at the API's port."""
    host, port = EVERYWHERE.get(settings.api_host, settings.api_host), settings.api_port
    facts = {"host": host, "port": port}
    answer = _health(host, port)
    if answer == "ours":
        notes.ok(API, "daemon.api", **facts)
    elif answer == "foreign":
        notes.wrong(API, "daemon.port_taken", **facts)
    elif answer == "silent":
        notes.wrong(API, "daemon.api_silent", **facts)
    elif runs:
        notes.warning(API, "daemon.no_api", **facts)
    else:
        notes.ok(API, "daemon.port_free", **facts)


def _health(host: str, port: int) -> str:
    """Return who listens there: ``ours``, ``foreign``, ``silent``, ``nobody``."""
    connection = http.client.HTTPConnection(host, port, timeout=API_SECONDS)
    try:
        connection.request("GET", "/healthz", headers={"Connection": "close"})
        data = json.loads(connection.getresponse().read(65536))
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "nobody"
    except OSError as error:
        gone = (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH)
        return "nobody" if isinstance(error, socket.gaierror) or error.errno in gone else "foreign"
    except (http.client.HTTPException, ValueError):
        return "foreign"
    finally:
        connection.close()
    known = isinstance(data, dict) and {"status", "version", "uptime_seconds"} <= data.keys()
    return "ours" if known else "foreign"
