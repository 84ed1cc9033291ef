"""launchd: what it says of the agent, and what it is to be told.

No Mac was at hand when this was written: the calls are those of ``launchctl(1)``, shown against a
stand-in that records them.
"""

from __future__ import annotations

import datetime as dt
import os
import plistlib
import re
from pathlib import Path

from nas_syncd.install.commands import run
from nas_syncd.install.errors import ForeignUnitError, NoManagerError
from nas_syncd.install.job import OURS, Job, Remembered, agent
from nas_syncd.install.state import Scope, ServiceState
from nas_syncd.install.steps import MakeFolder, Plan, RemoveFile, RunCommand, Step, WriteFile

LABEL = "local.nas-syncd"
AGENTS = "Library/LaunchAgents"
LOGS = "Library/Logs/nas-syncd"
NOT_FOUND = 113
BUSY_SECONDS = 10.0
"""For so long after ``bootout`` a ``bootstrap`` may be refused."""
_PAIR = re.compile(r"^\s*(state|pid|last exit code|runs) = (.+)$", re.MULTILINE)


class Launchd:
    """The agents of one user who is logged in."""

    scope = Scope.USER

    def __init__(self, home: Path, uid: int) -> None:
        self.path = home / AGENTS / f"{LABEL}.plist"
        self.logs: Path | None = home / LOGS
        self._logs = home / LOGS
        self._domain = f"gui/{uid}"
        self._target = f"gui/{uid}/{LABEL}"

    def state(self) -> ServiceState:
        installed = os.path.exists(self.path)
        path = str(self.path) if installed else None
        answer = run(["launchctl", "print", self._target])
        if answer.status is None:
            return ServiceState(None, self.scope, installed, detail=answer.why, path=path)
        if not answer.good:
            detail = "not loaded" if answer.status == NOT_FOUND else answer.why
            return ServiceState("launchd", self.scope, installed, detail=detail, path=path)
        said: dict[str, str] = {}
        for name, value in _PAIR.findall(answer.output):
            said.setdefault(name, value)  # the job's own come first, then those of its endpoints
        pid = int(said["pid"]) if said.get("pid", "").isdigit() else None
        exit_code = re.match(r"-?\d+", said.get("last exit code", ""))
        return ServiceState(
            manager="launchd",
            scope=self.scope,
            installed=installed,
            running=pid is not None,
            since=_started_at(pid) if pid is not None else None,
            detail=said.get("state", "loaded"),
            path=path,
            enabled=True,
            pid=pid,
            last_exit=exit_code[0] if exit_code else None,
            restarts=max(0, int(said["runs"]) - 1) if said.get("runs", "").isdigit() else None,
        )

    def render(self, job: Job) -> str:
        return agent(job, str(self._logs))

    def remembered(self) -> Remembered:
        try:
            words = plistlib.loads(self.path.read_bytes())["ProgramArguments"]
            return Remembered(str(words[words.index("--env-file") + 1]))
        except (OSError, ValueError, LookupError, TypeError):
            return Remembered()

    def plan_install(self, job: Job) -> Plan:
        state, was, content = self._asked(), self._ours(), self.render(job)
        loaded = state.enabled
        steps: list[Step] = []
        if not self._logs.is_dir():
            steps.append(MakeFolder(self._logs, 0o750))
        if was != content:
            steps.append(WriteFile(self.path, content, was))
            if loaded:
                steps.append(self._bootout())
        if was != content or not loaded:
            steps.append(RunCommand(("launchctl", "enable", self._target)))
            bootstrap = ("launchctl", "bootstrap", self._domain, str(self.path))
            steps.append(RunCommand(bootstrap, again_seconds=BUSY_SECONDS))
        elif not state.running:
            steps.append(RunCommand(("launchctl", "kickstart", "-k", self._target)))
        return Plan(tuple(steps))

    def plan_uninstall(self) -> Plan:
        state, was = self._asked(), self._ours()
        steps: list[Step] = [self._bootout()] if state.enabled else []
        if was is not None:
            steps.append(RemoveFile(self.path))
        return Plan(tuple(steps))

    def _asked(self) -> ServiceState:
        state = self.state()
        if state.manager is None:
            raise NoManagerError(state.detail)
        return state

    def _ours(self) -> str | None:
        try:
            there = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise ForeignUnitError(path=str(self.path)) from None
        if OURS not in there:
            raise ForeignUnitError(path=str(self.path))
        return there

    def _bootout(self) -> RunCommand:
        return RunCommand(("launchctl", "bootout", self._target), until=self._gone)

    def _gone(self) -> bool:
        return not self.state().enabled


def _started_at(pid: int) -> dt.datetime | None:
    """Return since when a process runs: launchd does not tell."""
    answer = run(["ps", "-o", "lstart=", "-p", str(pid)])
    try:
        words = f"{answer.output.strip()} +0000"  # we ask in UTC
        return dt.datetime.strptime(words, "%a %b %d %H:%M:%S %Y %z")
    except ValueError:
        return None
