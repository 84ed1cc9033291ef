"""A person at the command line, for the tests: a backend's world, and calls in this process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas_syncd.cli import main
from nas_syncd.logs import forget_secrets
from tests.stage import Stage


@dataclass(frozen=True)
class Said:
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON on standard output."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        return self.out + self.err


class Desk:
    """Calls ``nas-syncd`` with the stage's settings."""

    def __init__(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        self.stage = stage
        self._capsys = capsys

    def __call__(self, *arguments: str, **settings: object) -> Said:
        """Call it in this process; *settings* are set for this call only."""
        kept = dict(self.stage.settings)
        self.stage.settings.update(settings)
        try:
            env_file = self.stage.env_file
        finally:
            self.stage.settings = kept
        self._capsys.readouterr()
        code = main(["--env-file", str(env_file), *arguments])
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def adopted(self) -> Desk:
        assert self("adopt", "--yes").code == 0
        return self

    def flag(self, row_id: int, value: bool = True) -> None:
        self.stage.sql("UPDATE documents SET synced_to_nas = ? WHERE id = ?", value, row_id)

    def delete_state(self) -> None:
        for path in sorted(self.stage.state.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it as a process of its own."""
        return subprocess.Popen(
            command(self.stage, *arguments), text=True, cwd=self.stage.root, **options
        )


def command(stage: Stage, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file), *arguments]


def on_a_terminal(
    stage: Stage, *arguments: str, answer: str = "", **environment: str
) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; return its exit code and all that was shown."""
    ours, its = os.openpty()
    with closing(os.fdopen(ours, "r+b", buffering=0)) as terminal:
        process = subprocess.Popen(
            command(stage, *arguments),
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=stage.root,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
        )
        os.close(its)
        if answer:
            os.write(ours, answer.encode())
        shown = b"".join(_read(terminal.fileno()))
        return process.wait(30), shown.decode()


def _read(fd: int) -> Iterator[bytes]:
    while select.select([fd], [], [], 60)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other end was closed
            return
        if not data:
            return
        yield data


def make_desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """For a fixture: a desk whose secrets are forgotten at the end."""
    yield Desk(Stage(tmp_path / "stage"), capsys)
    forget_secrets()
