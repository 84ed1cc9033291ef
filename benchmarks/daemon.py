"""The real daemon as a user starts it: its own process, its log in a file."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.processes import wait_until_quiet
from benchmarks.workloads import Data
from tests.stage import Stage

PATIENCE_SECONDS = 3600.0
SETTLE_SECONDS = 2.0  # the program's own default; the tests' stage has a shorter one


class BenchmarkError(Exception):
    """What was to be measured did not happen, so nothing can be said."""


def new_stage(folder: Path, nas: Path, **settings: object) -> Stage:
    """Give a paired stage with the program's own defaults."""
    stage = Stage(
        folder,
        nas=nas,
        **{
            "NAS_SYNCD_SETTLE_SECONDS": SETTLE_SECONDS,
            "NAS_SYNCD_LOG_FORMAT": "json",
            **settings,
        },
    )
    return stage.pair()


def stage_for(data: Data, folder: Path, nas: Path, **settings: object) -> Stage:
    """Give a stage whose upload folder already holds the workload's files, without rows."""
    stage = new_stage(folder, nas, UPLOAD_DIR=data.folder, **settings)
    stage.uploads = data.folder
    return stage


class Daemon:
    """``nas-syncd run``. A context manager: it is gone at the end."""

    def __init__(self, stage: Stage, **environment: str) -> None:
        self.stage = stage
        with stage.log.open("ab") as log:
            self._began = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file), "run"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=stage.root,
                env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[1])},
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def events(self) -> Iterator[dict[str, Any]]:
        """Everything it has logged since it was started."""
        with self.stage.log.open("rb") as log:
            log.seek(self._began)
            for line in log:
                if line.startswith(b"{") and line.endswith(b"\n"):
                    yield json.loads(line)

    def wait_for(self, event: str, seconds: float = 60.0, **values: object) -> None:
        """Return as soon as it has logged *event* with these *values*."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            for one in self.events():
                if one["event"] == event and all(one.get(k) == v for k, v in values.items()):
                    return
            time.sleep(0.02)  # a file tells nobody
        raise BenchmarkError(f"no {event} {values} within {seconds:g} s: {self.stage.log}")

    def wait_ready(self) -> None:
        """Return as soon as it watches the uploads, has its NAS and is at rest."""
        self.wait_for("uploads.changed", watching="native")
        self.wait_for("mount.changed", state="ok")
        wait_until_quiet(self.pid)

    def wait_all_marked(self, seconds: float = PATIENCE_SECONDS) -> float:
        """Return the monotonic time at which the last row was seen to be marked.

        SQLite tells nobody, and who reads keeps who writes waiting: so this looks rarely at first
        and is never later than a hundredth of what has gone by.
        """
        began = time.monotonic()
        with sqlite3.connect(self.stage.database, timeout=30) as db:
            while _some_pending(db):
                gone = time.monotonic() - began
                if gone > seconds:
                    raise BenchmarkError(f"not all marked within {seconds:g} s: {self.stage.log}")
                self.check()
                time.sleep(min(0.1, max(0.004, gone / 100)))
            done = time.monotonic()
        db.close()
        return done

    def check(self) -> None:
        """
        Raises:
            BenchmarkError: It has ended.
        """
        if self.process.poll() is not None:
            tail = self.stage.log.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"the daemon has ended: {tail}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _some_pending(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT 1 FROM documents WHERE synced_to_nas IS NOT 1 LIMIT 1").fetchone()
    return found is not None
