"""systemd's journal in its own protocol: a sentence for people, fields for who looks for them.

``journalctl -u nas-syncd`` shows the sentence with the right level;
``journalctl -u nas-syncd DOCUMENT_ID=42`` finds a document, and ``nas-syncd logs`` takes the whole
record from ``SYNCD_RECORD``. Not for records of more than some 200 kB, which one datagram
does not hold: these, and all where there is no socket, go to standard error as text.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "nas-syncd"
RECORD_FIELD = "SYNCD_RECORD"
EVENT_FIELD = "SYNCD_EVENT"
DOCUMENT_FIELD = "DOCUMENT_ID"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
PATIENCE_SECONDS = 1.0
"""A journal that takes nothing for so long is not waited for again until it takes something."""


def encode(fields: Mapping[str, str]) -> bytes:
    """Return *fields* as the journal's protocol wants them; a value may have any characters."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


class Journal:
    """Thread-safe. :meth:`send` never raises and never waits long."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = str(path or SOCKET)
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._patience = PATIENCE_SECONDS

    def send(self, record: Mapping[str, object], words: str, line: str) -> bool:
        """Hand over one record; return whether the journal took it, or is only too busy for it.

        Args:
            words: What people read; may have several lines.
            line: The record as JSON.
        """
        fields = {
            "MESSAGE": words,
            "PRIORITY": str(PRIORITIES.get(str(record["level"]), 2)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            EVENT_FIELD: str(record["event"]),
            RECORD_FIELD: line,
        }
        if "document_id" in record:
            fields[DOCUMENT_FIELD] = str(record["document_id"])
        data = encode(fields)
        with self._lock:
            return self._sent(data) or self._sent(data)  # once more where journald was restarted

    def close(self) -> None:
        """Idempotent; a later :meth:`send` opens it again."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _sent(self, data: bytes) -> bool:
        try:
            opened = self._opened()
            opened.send(data)
        except (TimeoutError, BlockingIOError):
            self._patience = 0.0
            self.close()
            return True  # lost: standard error leads into the same journal, and would wait for it
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                self.close()
            return False
        if self._patience != PATIENCE_SECONDS:
            self._patience = PATIENCE_SECONDS
            opened.settimeout(PATIENCE_SECONDS)
        return True

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(self._patience)
            self._socket.connect(self._path)
        return self._socket
