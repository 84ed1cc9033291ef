"""What is to be done, one step after the other: shown first, then carried out.

A plan holds only what changes something. Each step says what it is in words of
:mod:`nas_syncd.messages`, and does it.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nas_syncd.install.commands import run
from nas_syncd.install.errors import ServiceError, ServiceFileError

CHANGE_SECONDS = 120.0
"""The longest that a manager may take to start or stop: twice its own limits, and some more."""
AGAIN_SECONDS = 0.2


class Step(Protocol):
    """One change."""

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        """The text's key and its blanks."""

    def carry_out(self) -> None:
        """
        Raises:
            ServiceError: It cannot be done; what was done before stays done.
        """


@dataclass(frozen=True, slots=True)
class MakeFolder:
    path: Path
    mode: int = 0o755

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        return "service.step.folder", {"path": str(self.path)}

    def carry_out(self) -> None:
        with _told(self.path):
            self.path.mkdir(mode=self.mode, parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put *content* in place as a whole."""

    path: Path
    content: str
    was: str | None = None
    """What stands there now; None: nothing."""
    mode: int = 0o644

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        key = "service.step.write" if self.was is None else "service.step.replace"
        return key, {"path": str(self.path)}

    def difference(self) -> list[str]:
        """Return the lines that change, as ``diff -u`` shows them; none where nothing stands."""
        if self.was is None:
            return []
        was, now = self.was.splitlines(), self.content.splitlines()
        return list(difflib.unified_diff(was, now, lineterm="", n=0))[2:]

    def carry_out(self) -> None:
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".nas-syncd-", dir=self.path.parent)
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(self.content)
                    file.flush()
                    os.fchmod(file.fileno(), self.mode)
                    os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise


@dataclass(frozen=True, slots=True)
class RemoveFile:
    path: Path

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        return "service.step.remove", {"path": str(self.path)}

    def carry_out(self) -> None:
        with _told(self.path):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class KeepPrivate:
    """Let the owner and one group read a file, and nobody else."""

    path: Path
    gid: int
    group: str

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        return "service.step.private", {"path": str(self.path), "group": self.group}

    def carry_out(self) -> None:
        with _told(self.path):
            # By descriptor, and no link: somebody may have put another file there meanwhile.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchown(descriptor, -1, self.gid)
                os.fchmod(descriptor, 0o640)
            finally:
                os.close(descriptor)


@dataclass(frozen=True, slots=True)
class RunCommand:
    command: tuple[str, ...]
    seconds: float = CHANGE_SECONDS
    until: Callable[[], bool] | None = field(default=None, compare=False)
    """Afterwards waited for: some managers answer before they have done it."""
    again_seconds: float = 0.0
    """A failure is tried again for so long: some managers are still busy with the last command."""
    tell: Callable[[], str] | None = field(default=None, compare=False)
    """Says more of a failure."""

    @property
    def words(self) -> tuple[str, dict[str, object]]:
        return "service.step.run", {"command": shlex.join(self.command)}

    def carry_out(self) -> None:
        end = time.monotonic() + self.again_seconds
        while not (answer := run(self.command, self.seconds)).good:
            if time.monotonic() >= end:
                more = self.tell() if self.tell is not None else ""
                shown = shlex.join(self.command)
                raise ServiceError(more or answer.why, command=shown)
            time.sleep(AGAIN_SECONDS)
        end = time.monotonic() + self.seconds
        while self.until is not None and not self.until():
            if time.monotonic() >= end:
                raise ServiceError("…", command=shlex.join(self.command))
            time.sleep(AGAIN_SECONDS)


@dataclass(frozen=True, slots=True)
class Plan:
    """Empty: everything is as it should be."""

    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def carry_out(self, done: Callable[[Step], None] = lambda _step: None) -> None:
        """Do one step after the other; *done* hears of each.

        Raises:
            ServiceError: One of them cannot be done. The rest is not tried.
        """
        for step in self.steps:
            step.carry_out()
            done(step)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise ServiceFileError(detail, path=str(path)) from error
