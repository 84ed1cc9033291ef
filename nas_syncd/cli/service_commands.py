"""What ``nas-syncd service`` and its commands take; see :mod:`nas_syncd.cli.app`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit

EnvFile = Annotated[Path | None, typer.Option("--env-file", metavar="FILE", readable=False)]
Json = Annotated[bool, typer.Option("--json")]
AsSystem = Annotated[bool, typer.Option("--system")]
AsUser = Annotated[bool, typer.Option("--user")]
RunAs = Annotated[str | None, typer.Option("--run-as", metavar="USER[:GROUP]")]
Yes = Annotated[bool, typer.Option("--yes", "-y")]
DryRun = Annotated[bool, typer.Option("--dry-run")]


def service_commands(
    group: type[Any],
    command: type[Any],
    call_of: Callable[[typer.Context, Path | None, bool], Call],
) -> typer.Typer:
    """Return the commands below ``service``, of these classes."""
    service = typer.Typer(cls=group, rich_markup_mode=None)

    @service.callback(invoke_without_command=True)
    def root(context: typer.Context) -> int:
        if context.invoked_subcommand is None:
            sys.stdout.write(context.get_help() + "\n")
            return Exit.USAGE
        return Exit.DONE

    @service.command("install", cls=command)
    def install_service(
        context: typer.Context,
        as_system: AsSystem = False,
        as_user: AsUser = False,
        run_as: RunAs = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        env_file: EnvFile = None,
    ) -> int:
        from nas_syncd.cli.service import Wanted, install, scope_of
        from nas_syncd.install import Scope

        call = call_of(context, env_file, False)
        scope = scope_of(call, system=as_system, user=as_user) or Scope.default()
        return install(call, Wanted(scope, run_as, yes, dry_run))

    @service.command("uninstall", cls=command)
    def uninstall_service(
        context: typer.Context,
        as_system: AsSystem = False,
        as_user: AsUser = False,
        yes: Yes = False,
        dry_run: DryRun = False,
    ) -> int:
        from nas_syncd.cli.service import Wanted, scope_of, uninstall
        from nas_syncd.install import Scope

        call = call_of(context, None, False)
        scope = scope_of(call, system=as_system, user=as_user) or Scope.default()
        return uninstall(call, Wanted(scope, yes=yes, dry_run=dry_run))

    @service.command("status", cls=command)
    def service_status(
        context: typer.Context,
        as_system: AsSystem = False,
        as_user: AsUser = False,
        as_json: Json = False,
    ) -> int:
        from nas_syncd.cli.service import scope_of, status

        call = call_of(context, None, as_json)
        return status(call, scope_of(call, system=as_system, user=as_user))

    @service.command("print", cls=command)
    def print_service(
        context: typer.Context,
        as_system: AsSystem = False,
        as_user: AsUser = False,
        run_as: RunAs = None,
        as_json: Json = False,
        env_file: EnvFile = None,
    ) -> int:
        from nas_syncd.cli.service import Wanted, scope_of, show_unit
        from nas_syncd.install import Scope

        call = call_of(context, env_file, as_json)
        scope = scope_of(call, system=as_system, user=as_user) or Scope.default()
        return show_unit(call, Wanted(scope, run_as))

    return service
