"""Which commands there are, what each of them takes, and how the process ends.

Typer knows the shapes; the words come from :mod:`nas_syncd.messages` (``help.<command>`` and
``help.<command>.<parameter>``, or ``help.any.<parameter>``) and are filled in for the language
that is set. Whatever a command raises becomes one line and an exit code here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nas_syncd import __version__
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit, UsageError, exit_code
from nas_syncd.cli.service_commands import service_commands
from nas_syncd.errors import SyncError
from nas_syncd.messages import DEFAULT_LANGUAGE, TEXTS, text

PROGRAM = "nas-syncd"
LINE = 78
"""A shorter remark is never broken, so that commands in it can be copied."""

EnvFile = Annotated[Path | None, typer.Option("--env-file", metavar="FILE", readable=False)]
"""Whether it can be read is judged with the settings: the daemon may do without."""
Json = Annotated[bool, typer.Option("--json")]
User = Annotated[str | None, typer.Option("--user", metavar="N")]


class Command(TyperCommand):
    """A command with plain help, whose own ``--help`` speaks the caller's language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super(TyperCommand, self).format_help(ctx, formatter)  # older typers draw boxes around it

    def get_help_option(self, ctx: Any) -> Any:
        return _in_our_words(super().get_help_option(ctx), ctx)


class Commands(TyperGroup):
    """Likewise for all of them together, which it lists in their order."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super(TyperGroup, self).format_help(ctx, formatter)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(self.commands)

    def get_help_option(self, ctx: Any) -> Any:
        return _in_our_words(super().get_help_option(ctx), ctx)

    def get_help(self, ctx: Any) -> str:
        heading = text("help.commands", _language(ctx))
        return str(super().get_help(ctx)).replace("\nCommands:", f"\n{heading}:")


def _in_our_words(option: Any, context: Any) -> Any:
    if option is not None:
        option.help = text("help.help", _language(context))
    return option


def _language(context: Any) -> str:
    call = context.find_root().obj
    return call.language if isinstance(call, Call) else DEFAULT_LANGUAGE


app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Nothing is raised, no traceback is shown.

    Raises:
        SystemExit: By the shell's completion, which ends by itself.
    """
    from nas_syncd.settings import language_from_environment

    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    call = Call(language_from_environment())
    call.as_json = "--json" in given
    try:
        return _run(call, given)
    except SyncError as error:
        call.fail(error)
        return exit_code(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # `nas-syncd logs | head`: nobody reads any more
        sys.stdout = sys.stderr
        return Exit.DONE


def _run(call: Call, arguments: list[str]) -> int:
    command = localised(typer.main.get_command(app), call.language)
    try:
        code = command.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=call)
    except _wrong_usage() as error:
        if call.as_json:
            raise UsageError(text=error.format_message()) from None
        error.show()
        return Exit.USAGE
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends the process for it
            raise ended.__context__ from None
        raise
    sys.stdout.flush()
    return int(code or 0)


def _wrong_usage() -> Any:
    """Return typer's own class for a wrong option: where it is defined differs by version."""
    bad_parameter: Any = typer.BadParameter
    return next(kind for kind in bad_parameter.__mro__ if kind.__name__ == "UsageError")


# -- words -----------------------------------------------------------------------------------


def localised(command: Any, language: str) -> Any:
    """Fill the help of *command* and everything below it in *language*."""
    _localise_below(command, "", language)
    return command


def _localise_below(command: Any, name: str, language: str) -> None:
    _localise(command, name, language)
    for part, below in getattr(command, "commands", {}).items():
        _localise_below(below, f"{name}.{part}".lstrip("."), language)


def _localise(command: Any, name: str, language: str) -> None:
    key = f"help.{name}" if name else "help"
    words = text(key, language)
    command.short_help = words
    example = TEXTS[language].get(f"{key}.example")
    more = TEXTS[language].get(f"{key}.more")
    heading = text("help.example_heading", language)
    if more and len(more) < LINE:
        more = f"\b\n{more}"
    parts = [f"{words}.", more, f"\b\n{heading}\n  {example}"]
    command.help = "\n\n".join(part for part in parts if part)
    for parameter in command.params:
        own = f"{key}.{parameter.name}"
        shared = f"help.any.{parameter.name}"
        parameter.help = text(own if own in TEXTS[language] else shared, language)


# -- the commands ----------------------------------------------------------------------------


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
    env_file: EnvFile = None,
) -> int:
    """Everything that is common to all commands."""
    context.obj.env_file = env_file
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        return Exit.USAGE
    return Exit.DONE


def _call(context: typer.Context, env_file: Path | None, as_json: bool = False) -> Call:
    call = context.obj
    assert isinstance(call, Call)
    call.env_file = env_file or call.env_file
    call.as_json = as_json
    return call


@app.command(cls=Command)
def run(context: typer.Context, env_file: EnvFile = None) -> int:
    from nas_syncd.cli.run import run_in_foreground

    return run_in_foreground(_call(context, env_file))


@app.command(cls=Command)
def demo(
    context: typer.Context,
    seconds: Annotated[int | None, typer.Option("--seconds", min=1, metavar="N")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", metavar="DIR")] = None,
    keep: Annotated[bool, typer.Option("--keep")] = False,
    as_json: Json = False,
) -> int:
    from nas_syncd.demo import run_demo

    language = _call(context, None, as_json).language
    return run_demo(seconds=seconds, folder=folder, keep=keep, language=language, as_json=as_json)


@app.command(cls=Command)
def adopt(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(metavar="PATH", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
    new_nas: Annotated[bool, typer.Option("--new-nas")] = False,
    env_file: EnvFile = None,
) -> int:
    from nas_syncd.cli.adopt import adopt_nas

    return adopt_nas(_call(context, env_file), path, yes=yes, new_nas=new_nas)


@app.command("test", cls=Command)
def try_nas(
    context: typer.Context,
    notify: Annotated[bool, typer.Option("--notify")] = False,
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    call = _call(context, env_file, as_json)
    if notify:
        from nas_syncd.cli.notify import test_notifications

        return test_notifications(call)
    from nas_syncd.cli.test import test_nas

    return test_nas(call)


@app.command(cls=Command)
def config(context: typer.Context, as_json: Json = False, env_file: EnvFile = None) -> int:
    from nas_syncd.cli.config import show_config

    return show_config(_call(context, env_file, as_json))


@app.command(cls=Command)
def status(
    context: typer.Context,
    user: User = None,
    watch: Annotated[bool, typer.Option("--watch", "-w")] = False,
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    call = _call(context, env_file, as_json)
    if watch:
        from nas_syncd.cli.watch import watch as watch_status

        return watch_status(call, user)
    from nas_syncd.cli.status import show_status

    return show_status(call, user)


@app.command(cls=Command)
def sync(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all")] = False,
    user: User = None,
    inherited: Annotated[bool, typer.Option("--inherited")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    from nas_syncd.cli.sync import sync_now
    from nas_syncd.wishes import Wish

    wish = Wish(tuple(ids or ()), everything, user, inherited)
    return sync_now(_call(context, env_file, as_json), wish, dry_run=dry_run)


@app.command(cls=Command)
def explain(
    context: typer.Context,
    wanted: Annotated[str, typer.Argument(metavar="ID|PATH", show_default=False)],
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    from nas_syncd.cli.explain import explain_document

    return explain_document(_call(context, env_file, as_json), wanted)


@app.command(cls=Command)
def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
    document: Annotated[str | None, typer.Option("--document", metavar="ID")] = None,
    level: Annotated[str | None, typer.Option("--level", metavar="L")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN")] = None,
    lines: Annotated[str | None, typer.Option("--lines", "-n", metavar="N")] = None,
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    from nas_syncd.cli.logs import Filter, show_logs

    call = _call(context, env_file, as_json)
    return show_logs(call, Filter.of(document, level, since, lines), follow=follow)


@app.command(cls=Command)
def doctor(
    context: typer.Context,
    probe_uploads: Annotated[
        int | None, typer.Option("--probe-uploads", min=1, max=3600, metavar="SECONDS")
    ] = None,
    as_json: Json = False,
    env_file: EnvFile = None,
) -> int:
    from nas_syncd.cli.doctor import see_doctor

    return see_doctor(_call(context, env_file, as_json), probe_uploads)


app.add_typer(
    service_commands(Commands, Command, _call),
    name="service",
)
