"""``nas-syncd service``: install, uninstall, show and print the service."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nas_syncd.cli import screen
from nas_syncd.cli.asking import ask
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit, UsageError
from nas_syncd.install import Manager, Plan, Scope, ServiceState, Step, manager_for, service_state
from nas_syncd.install.steps import WriteFile
from nas_syncd.messages import since_text, visible

if TYPE_CHECKING:
    from nas_syncd.install.prepare import Prepared

FIRST_STATUS_SECONDS = 5.0
"""How long the daemon may take to tell how it is, after it was started."""
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    scope: Scope
    run_as: str | None = None
    yes: bool = False
    dry_run: bool = False


def scope_of(call: Call, *, system: bool, user: bool) -> Scope | None:
    """Return the scope that was asked for; None: none was.

    Raises:
        UsageError: Both, or one that this host does not have.
    """
    if system and user:
        raise UsageError(text=call.text("service.one_scope"))
    if sys.platform == "darwin" and (system or os.geteuid() == 0):
        raise UsageError(text=call.text("service.mac"))
    if system:
        return Scope.SYSTEM
    return Scope.USER if user else None


def install(call: Call, wanted: Wanted, manager: Manager | None = None) -> int:
    """Render, show, ask, write, start, and show the result. Changes nothing when called again.

    Raises:
        ConfigurationError: The settings are not there, or wrong.
        ServiceError: The service manager refuses, or a file.
        DeclinedError: The person said no.
    """
    _need_root(call, wanted)
    manager = manager or manager_for(wanted.scope)
    if wanted.run_as and wanted.scope is not Scope.SYSTEM:
        raise UsageError(text=call.text("service.run_as_system"))
    prepared = _prepared(call, wanted, manager)
    planned = manager.plan_install(prepared.job)
    plan = Plan((*prepared.first, *planned.steps))
    if plan:
        for key, params in prepared.notes:
            call.say(call.text("cli.sentence", text=call.text(key, **params)))
    _carry_out(call, plan, wanted)
    if wanted.dry_run:
        return Exit.DONE
    return _show(call, _first_status(call, manager))


def uninstall(call: Call, wanted: Wanted, manager: Manager | None = None) -> int:
    """Stop it and take away what was installed; say what stays, and where.

    Raises:
        ServiceError: The service manager refuses, or a file.
        DeclinedError: The person said no.
    """
    from nas_syncd.install.prepare import what_stays

    _need_root(call, wanted)
    manager = manager or manager_for(wanted.scope)
    stays = what_stays(wanted.scope, manager.path, manager.remembered())
    if manager.logs is not None and manager.logs.exists():
        stays.append(manager.logs)
    _carry_out(call, manager.plan_uninstall(), wanted)
    if stays:
        call.say(call.text("service.stays"))
        for path in stays:
            call.say(f"  {path}")
    return Exit.DONE


def status(call: Call, scope: Scope | None) -> int:
    """Show how the service is; exit code 1 when it does not run."""
    return _show(call, service_state(scope))


def show_unit(call: Call, wanted: Wanted, manager: Manager | None = None) -> int:
    """Print what ``install`` would write; nothing is changed.

    Raises:
        ConfigurationError: The settings are not there, or wrong.
    """
    manager = manager or manager_for(wanted.scope)
    prepared = _prepared(call, wanted, manager)
    content = manager.render(prepared.job)
    if call.as_json:
        path = str(manager.path)
        call.answer({"scope": str(manager.scope), "path": path, "content": content})
    else:
        sys.stdout.write(content)
    return Exit.DONE


def _need_root(call: Call, wanted: Wanted) -> None:
    if wanted.scope is Scope.SYSTEM and os.geteuid() != 0 and not wanted.dry_run:
        raise UsageError(text=call.text("service.need_root"))


def _prepared(call: Call, wanted: Wanted, manager: Manager) -> Prepared:
    """Prepare; from then on speak the language of the service's settings and hide its secrets."""
    from nas_syncd.install.prepare import prepare, settings_file
    from nas_syncd.logs import hide, redacted
    from nas_syncd.settings import language_from_environment

    before = manager.remembered()
    path = settings_file(wanted.scope, call.env_file, before)
    call.language = language_from_environment(path)
    prepared = prepare(wanted.scope, path, wanted.run_as, before)
    hide(*prepared.settings.secrets())
    call.redacted = redacted
    return prepared


def _carry_out(call: Call, plan: Plan, wanted: Wanted) -> None:
    """Show *plan*, ask, do it; with ``--dry-run`` only show it."""
    if not plan:
        call.say(call.text("service.nothing"))
        return
    call.say(call.text("service.plan"))
    for step in plan.steps:
        _tell(call, step)
    if wanted.dry_run:
        call.say(call.text("sync.dry"))
        return
    if not wanted.yes:
        ask(call, call.text("service.ask"))
    call.say()
    plan.carry_out(lambda step: call.say(f"✓ {_words(call, step)}", at_once=True))


def _tell(call: Call, step: Step) -> None:
    call.say(f"  - {_words(call, step)}")
    if isinstance(step, WriteFile):
        for line in step.difference():
            call.say(f"      {line}")


def _words(call: Call, step: Step) -> str:
    key, params = step.words
    return call.text(key, **params)


def _first_status(call: Call, manager: Manager) -> ServiceState:
    """Return how it is as soon as the daemon has looked at the NAS, if it tells so soon."""
    not_yet = call.text("mount.unknown")
    end = time.monotonic() + FIRST_STATUS_SECONDS
    while True:
        state = manager.state()
        told = state.manager == "launchd" or (state.status and not_yet not in state.status)
        failed = state.manager == "systemd" and not state.running  # it answers when it has started
        if (state.running and told) or failed or time.monotonic() >= end:
            return state
        time.sleep(LOOK_SECONDS)


def _show(call: Call, state: ServiceState) -> int:
    if call.as_json:
        call.answer(asdict(state) | {"since": state.since.isoformat() if state.since else None})
    else:
        screen.headline(call, _headline(call, state), good=state.running)
        screen.facts(call, _facts(call, state))
    return Exit.DONE if state.running else Exit.FAILED


def _headline(call: Call, state: ServiceState) -> str:
    if state.manager is None:
        return call.text("service.no_manager", detail=state.detail)
    if not state.installed:
        return call.text("service.is.absent")
    return call.text("service.is.running" if state.running else "service.is.stopped")


def _facts(call: Call, state: ServiceState) -> list[tuple[str, str]]:
    since = since_text(state.since, dt.datetime.now(dt.UTC), call.language) if state.since else ""
    answers = {True: call.text("service.yes"), False: call.text("service.no")}
    values = {
        "scope": call.text(f"service.scope.{state.scope}"),
        "unit": state.path or "",
        "enabled": answers[state.enabled] if state.installed else "",
        "state": state.detail if state.manager else "",
        "since": since,
        "pid": str(state.pid or ""),
        "last_exit": state.last_exit or "",
        "restarts": str(state.restarts or ""),
        "says": (state.status or "") if state.running else "",
    }
    return [
        (call.text(f"service.label.{name}"), visible(value))
        for name, value in values.items()
        if value
    ]
