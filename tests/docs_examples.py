"""What the operations pages fill in where they quote a message."""

from __future__ import annotations

_NAS: dict[str, object] = {"path": "/mnt/nas"}
_FILE: dict[str, object] = {"path": "2024/01/factures/a.pdf"}
_UPLOAD: dict[str, object] = {"path": "/srv/finance/uploads"}
_TIMES: dict[str, object] = {"until": "15/01/2024 14:30"}

EXAMPLE: dict[str, dict[str, object]] = {
    "mount.missing": _NAS,
    "mount.not_mounted": _NAS,
    "mount.foreign": _NAS,
    "mount.suspect": {**_NAS, "expected": "cifs", "found": "nfs4"},
    "mount.denied": _NAS,
    "mount.privacy": {"path": "/Volumes/finance", "program": "/opt/nas-syncd/bin/python3"},
    "mount.read_only": _NAS,
    "mount.full": {"free": 500 * 2**20, "needed": 2**30},
    "mount.hung": {"seconds": 30},
    "mount.down": {"detail": "Host is down"},
    "place.denied": _FILE,
    "uploads.missing": _UPLOAD,
    "uploads.denied": _UPLOAD,
    "uploads.hung": _UPLOAD,
    "uploads.error": _UPLOAD,
    "uploads.deaf": _UPLOAD,
    "uploads.watch_limit": {"limit": 8192},
    "uploads.watch_failed": _UPLOAD,
    "database.unavailable": {"detail": "connection refused"},
    "configuration.schema": {"table": "documents", "missing": "synced_to_nas"},
    "journal.busy": {"path": "/var/lib/nas-syncd", "pid": 4711},
    "journal.error": {"path": "/var/lib/nas-syncd", "detail": "Permission denied"},
    "wait.metadata": {"status": "processing", **_TIMES},
    "wait.no_file": {"path": "a.pdf"},
    "wait.row": {"path": "a.pdf"},
    "wait.mount": {"state": "hung"},
    "problem.attempts": {"attempts": 8, "error": "copy.verify", "id": 42},
    "problem.missing": {"path": "a.pdf"},
    "source.missing": {"path": "a.pdf"},
    "source.unreadable": {"path": "a.pdf"},
    "source.changed": {"path": "a.pdf"},
    "copy.verify": _FILE,
    "place.no_room": _FILE,
    "place.taken": _FILE,
    "place.blocked": {"path": "2024/01/factures"},
    "place.name_refused": _FILE,
    "refuse.link": {"path": "a.pdf"},
    "refuse.directory": {"path": "a"},
    "refuse.special": {"path": "a"},
    "refuse.outside": {"path": "/etc/passwd"},
    "rest.moved_since": {"filed": "2024/01/autres/a.pdf", "now": "2024/02/factures/a.pdf"},
}
