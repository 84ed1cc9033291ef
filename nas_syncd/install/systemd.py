"""systemd: what it says of the service, and what it is to be told."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path
from typing import Protocol

from nas_syncd.install.commands import Answer, run
from nas_syncd.install.errors import ForeignUnitError, NoManagerError
from nas_syncd.install.job import OURS, Job, Remembered, remembered, system_unit, user_unit
from nas_syncd.install.state import Scope, ServiceState
from nas_syncd.install.steps import Plan, RemoveFile, RunCommand, Step, WriteFile

UNIT = "nas-syncd.service"
SYSTEM_FOLDER = Path("/etc/systemd/system")
RUNNING = ("active", "reloading")
_ASKED = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "ActiveEnterTimestamp",
    "InactiveEnterTimestamp",
    "MainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "StatusText",
    "NRestarts",
    "FragmentPath",
    "NeedDaemonReload",
)
_EXITED = "1"


class Manager(Protocol):
    """A service manager, as the command uses it."""

    scope: Scope
    path: Path
    """The file that makes the service."""
    logs: Path | None
    """Where it keeps its log, if that is not the settings' affair."""

    def state(self) -> ServiceState:
        """Never raises; takes some seconds at most."""

    def render(self, job: Job) -> str: ...

    def remembered(self) -> Remembered: ...

    def plan_install(self, job: Job) -> Plan:
        """
        Raises:
            ServiceError: There is no such manager, or a file there is not ours.
        """

    def plan_uninstall(self) -> Plan:
        """Likewise."""


class Systemd:
    """One of systemd's managers: the system's or a user's."""

    def __init__(self, scope: Scope, folder: Path) -> None:
        self.scope = scope
        self.path = folder / UNIT
        self.logs: Path | None = None
        self._systemctl = ("systemctl", *(["--user"] if scope is Scope.USER else []))

    def state(self) -> ServiceState:
        answer = run([*self._systemctl, "show", UNIT, f"--property={','.join(_ASKED)}"])
        if not answer.good:
            installed = os.path.exists(self.path)
            path = str(self.path) if installed else None
            return ServiceState(None, self.scope, installed, detail=answer.why, path=path)
        return state_from(_properties(answer), self.scope)

    def render(self, job: Job) -> str:
        return system_unit(job) if self.scope is Scope.SYSTEM else user_unit(job)

    def remembered(self) -> Remembered:
        return remembered(self._there() or "")

    def plan_install(self, job: Job) -> Plan:
        state, was, content = self._asked(), self._ours(), self.render(job)
        steps: list[Step] = []
        if was != content:
            steps.append(WriteFile(self.path, content, was))
        changed = bool(steps) or state.needs_reload
        if changed:
            steps.append(self._command("daemon-reload"))
        if not state.enabled:
            steps.append(self._command("enable", UNIT))
        if not state.running:
            steps.append(self._command("start", UNIT))
        elif changed:
            steps.append(self._command("restart", UNIT))
        return Plan(tuple(steps))

    def plan_uninstall(self) -> Plan:
        state, was = self._asked(), self._ours()
        steps: list[Step] = []
        if state.enabled or state.running:
            steps.append(self._command("disable", "--now", UNIT))
        if was is not None:
            steps += [RemoveFile(self.path), self._command("daemon-reload")]
        if steps and state.detail.startswith("failed"):
            steps.insert(-2, self._command("reset-failed", UNIT))
        return Plan(tuple(steps))

    def _asked(self) -> ServiceState:
        state = self.state()
        if state.manager is None:
            raise NoManagerError(state.detail)
        return state

    def _there(self) -> str | None:
        try:
            return self.path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None

    def _ours(self) -> str | None:
        there = self._there()
        if self.path.is_symlink() or (there is not None and OURS not in there):
            raise ForeignUnitError(path=str(self.path))
        return there

    def _command(self, *words: str) -> RunCommand:
        return RunCommand((*self._systemctl, *words), tell=self._last_words)

    def _last_words(self) -> str:
        """Return the last line that the daemon itself has logged: it says what is wrong."""
        users = self.scope is Scope.USER
        name = "_SYSTEMD_USER_UNIT" if users else "_SYSTEMD_UNIT"
        command = ["journalctl", *(["--user"] if users else []), "--quiet", "--no-pager"]
        answer = run([*command, "--lines=1", "--output=cat", f"{name}={UNIT}"])
        return answer.output.strip() if answer.good else ""


def _properties(answer: Answer) -> dict[str, str]:
    pairs = (line.partition("=") for line in answer.output.splitlines())
    return {name: value for name, _, value in pairs}


def state_from(said: dict[str, str], scope: Scope) -> ServiceState:
    """Return what ``systemctl show`` *said*. Pure."""
    active, result = said.get("ActiveState", ""), said.get("Result", "success")
    running = active in RUNNING
    sub = said.get("SubState", "")
    entered = said.get("ActiveEnterTimestamp" if running else "InactiveEnterTimestamp", "")
    return ServiceState(
        manager="systemd",
        scope=scope,
        installed=said.get("LoadState") not in ("not-found", "", None),
        running=running,
        since=moment(entered),
        detail=sub if running or result == "success" else f"{sub} ({result})",
        path=said.get("FragmentPath") or None,
        enabled=said.get("UnitFileState", "").startswith("enabled"),
        pid=_number(said.get("MainPID")) or None,
        last_exit=_last_exit(said),
        restarts=_number(said.get("NRestarts")),
        status=said.get("StatusText") or None,
        needs_reload=said.get("NeedDaemonReload") == "yes",
    )


def _number(words: str | None) -> int:
    return int(words) if words is not None and words.isdecimal() else 0


def moment(words: str) -> dt.datetime | None:
    """Return the time in ``Thu 2026-11-26 19:08:53 UTC``; we ask in UTC."""
    try:
        plain = words.partition(" ")[2].replace("UTC", "+0000")
        return dt.datetime.strptime(plain, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None


def _last_exit(said: dict[str, str]) -> str | None:
    """A number, or a signal's name; None as long as no process has ended."""
    code, status = said.get("ExecMainCode", "0"), said.get("ExecMainStatus", "0")
    if code in ("0", ""):
        return None
    if code == _EXITED:
        return status
    try:
        return signal.Signals(int(status)).name
    except ValueError:
        return status
