"""A backend's world in a folder, and the real daemon on it, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import warm
from tests.lab.parts import wait_until
from tests.oracle import Verdict, examine

BACKEND_DIR = "/app/uploads"
TABLE = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, user_id INTEGER, file_path VARCHAR, original_name VARCHAR,
    doc_type VARCHAR, date DATE, created_at DATETIME, processing_status VARCHAR,
    synced_to_nas BOOLEAN, synced_at DATETIME, amount NUMERIC
);
CREATE INDEX documents_file_path ON documents (file_path);
"""


class Stage:
    """Upload folder, SQLite table, NAS folder (with its marker) and settings."""

    def __init__(self, root: Path, nas: Path | None = None, **settings: object) -> None:
        self.root = root
        self.uploads = root / "uploads"
        self.nas = nas or root / "nas"
        self.state = root / "state"
        self.database = root / "backend.sqlite"
        self.log = root / "daemon.log"
        self.uploads.mkdir(parents=True)
        self.nas.mkdir(exist_ok=True)
        self.settings: dict[str, object] = {
            "NAS_LOCAL_PATH": self.nas,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "UPLOAD_DIR": self.uploads,
            "NAS_SYNCD_DB_UPLOAD_DIR": BACKEND_DIR,
            "NAS_SYNCD_STATE_DIR": self.state,
            "NAS_SYNCD_MIN_FREE_SPACE": "0",
            "NAS_SYNCD_SETTLE_SECONDS": "0.5",
            "NAS_SYNCD_LANGUAGE": "en",
            "NAS_SYNCD_API_PORT": "0",
            **settings,
        }
        with sqlite3.connect(self.database) as db:
            db.executescript(TABLE)

    @property
    def env_file(self) -> Path:
        path = self.root / "config.env"
        path.write_text("".join(f"{k}={v}\n" for k, v in self.settings.items()))
        return path

    def pair(self) -> Stage:
        """Put a marker on the NAS, as ``adopt`` does: for good."""
        with (self.nas / ".nas-syncd.json").open("w") as marker:
            marker.write(json.dumps({"nas": str(uuid.uuid4())}))
            marker.flush()
            os.fsync(marker.fileno())
        return self

    def sql(self, statement: str, *values: object) -> list[Any]:
        with sqlite3.connect(self.database, timeout=30) as db:
            return db.execute(statement, values).fetchall()

    def add(self, name: str, content: bytes | None = None, **columns: object) -> int:
        """Upload a file and commit its row; return the row's id."""
        if content is not None:
            path = self.uploads / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self.row(name, **columns)

    def row(self, name: str, **columns: object) -> int:
        row: dict[str, object] = {
            "user_id": 1,
            "file_path": f"{BACKEND_DIR}/{name}",
            "original_name": f"my {name}",
            "doc_type": "invoice",
            "date": "2024-01-15",
            "created_at": "2024-01-16 10:00:00",
            "processing_status": "completed",
            **columns,
        }
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        with sqlite3.connect(self.database, timeout=30) as db:
            cursor = db.execute(
                f"INSERT INTO documents ({names}) VALUES ({marks})", tuple(row.values())
            )
            return int(cursor.lastrowid or 0)

    def add_many(self, count: int, size: int = 2000, folders: int = 1) -> None:
        """Upload *count* files into *folders* sub-folders, then commit all rows at once."""
        rows = []
        for number in range(count):
            name = f"d{number % folders}/f{number}.pdf"
            path = self.uploads / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom(size))
            rows.append((f"{BACKEND_DIR}/{name}", f"2024-{number % 12 + 1:02d}-05"))
        with sqlite3.connect(self.database, timeout=30) as db:
            db.executemany(
                "INSERT INTO documents (user_id, file_path, doc_type, date, created_at)"
                " VALUES (1, ?, 'receipt', ?, '2024-01-01 00:00:00')",
                rows,
            )

    def marked(self) -> int:
        return int(self.sql("SELECT count(*) FROM documents WHERE synced_to_nas")[0][0])

    def is_marked(self, row_id: int) -> bool:
        return bool(self.sql("SELECT synced_to_nas FROM documents WHERE id = ?", row_id)[0][0])

    def wait_marked(self, count: int, seconds: float = 30) -> None:
        wait_until(lambda: self.marked() >= count, f"{count} marked", seconds=seconds)

    def verdict(self) -> Verdict:
        return examine(self.database, self.uploads, self.nas, BACKEND_DIR)


class RunningDaemon:
    """``nas-syncd run`` on a stage. A context manager: it is gone at the end."""

    program: Sequence[str] = ("-m", "nas_syncd")
    """What the interpreter is told to run, where it is started cold."""

    def __init__(self, stage: Stage, *, cold: bool = False) -> None:
        """
        Args:
            cold: As a user starts it, not from an interpreter that has imported it already; for
                what is about the start or the memory.
        """
        self.stage = stage
        self.events: list[dict[str, Any]] = []
        self.text: list[str] = []
        self._news = threading.Condition()
        ours, its = os.pipe()
        arguments = ("--env-file", str(stage.env_file), "run")
        self.process: subprocess.Popen[bytes] | warm.WarmProcess
        if cold:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=its,
                cwd=stage.root,
            )
        else:
            self.process = warm.start(
                *arguments, cwd=stage.root, stdout=subprocess.DEVNULL, stderr=its
            )
        os.close(its)
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, end: int) -> None:
        with open(end) as stream:
            for line in stream:
                with self._news:
                    self.text.append(line)
                    if line.startswith("{"):
                        self.events.append(json.loads(line))
                    self._news.notify_all()

    def wait_for(
        self, event: str, seconds: float = 30, since: int = 0, **values: object
    ) -> dict[str, Any]:
        """Return the first *event* with these *values*; fail when it does not come."""

        def found() -> dict[str, Any] | None:
            for one in self.events[since:]:
                if one["event"] == event and all(one.get(k) == v for k, v in values.items()):
                    return one
            return None

        with self._news:
            arrived = self._news.wait_for(found, seconds)
        assert arrived, f"no {event} {values} in:\n{''.join(self.text[-30:])}"
        return arrived

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in self.events)

    def children(self) -> list[int]:
        text = ""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
                text += (task / "children").read_text()
        return [int(pid) for pid in text.split()]

    def is_idle_below(self, path: Path) -> bool:
        """Return whether no process of the daemon has a descriptor below *path*."""
        for pid in [self.process.pid, *self.children()]:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed a moment ago
                    if os.readlink(link).startswith(str(path)):
                        return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)

    def stop(self, seconds: float = 10, number: int = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code. Fails when it does not end in time."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def __enter__(self) -> RunningDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(10)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def all_gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(alive(pid) for pid in pids)
