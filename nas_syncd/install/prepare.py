"""From the settings to the job: looked at before anything is written."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import nas_syncd
from nas_syncd.documents.urls import driver_url, sqlite_path
from nas_syncd.errors import ConfigurationError
from nas_syncd.install import look
from nas_syncd.install.account import Account, account_by_number, account_of
from nas_syncd.install.commands import run
from nas_syncd.install.errors import (
    CannotStartError,
    NamelessUserError,
    NoSettingsError,
    WhichUserError,
)
from nas_syncd.install.interpreter import lasting
from nas_syncd.install.job import Job, Places, Remembered, command_line
from nas_syncd.install.state import Scope
from nas_syncd.install.steps import KeepPrivate, Step
from nas_syncd.settings import Settings, credential_files, load_settings, require_for_run
from nas_syncd.settings import settings_files as usual_settings_files

SECRETS = ("database_url", "api_token", "notify_urls", "ping_url")
SYSTEM_SETTINGS = Path("/etc/nas-syncd/config.env")
SYSTEM_STATE = Path("/var/lib/nas-syncd")
SYSTEM_LOGS = Path("/var/log/nas-syncd")
LINGER = Path("/var/lib/systemd/linger")
START_SECONDS = 30.0

Note = tuple[str, dict[str, object]]
"""A text's key and its blanks: something that is worth knowing, and no hindrance."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be run, what has to be put right for it first, and what is worth knowing."""

    job: Job
    settings: Settings
    first: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()


def prepare(scope: Scope, path: Path, run_as: str | None, before: Remembered) -> Prepared:
    """Read the settings as the service will, find its user, and try whether that can start us.

    Args:
        path: The settings file, see :func:`settings_file`.
        run_as: ``USER`` or ``USER:GROUP``; None: the one from *before*, else the owner of the
            upload folder. Only in the system's scope.
        before: What the installed service was given.

    Raises:
        ConfigurationError: The settings are not there or wrong; or there is no such user.
        CannotStartError: The user cannot run this program.
    """
    settings = read_settings(scope, path)
    interpreter = lasting(sys.executable)
    notes: list[Note] = []
    if interpreter.vanishing:
        notes.append(("service.note.vanishing", {"path": interpreter.vanishing}))
    system = scope is Scope.SYSTEM
    account = _account(settings, run_as, before) if system else None
    _try_to_start(interpreter.path, account)
    first: list[Step] = []
    if account is not None:
        notes += _system_notes(settings, account)
        if os.geteuid() == 0:
            first, more = _let_read(path, settings, account)
            notes += more
    elif sys.platform != "darwin" and not _lingers():
        notes.append(("service.note.linger", {"user": _own_name()}))
    job = Job(
        interpreter.path,
        str(path),
        account.user if account else "",
        account.group if account else "",
        tuple((name, str(file)) for name, file in credential_files(path)) if system else (),
        _places(settings, interpreter.path) if system else Places(),
    )
    return Prepared(job, settings, tuple(first), tuple(notes))


def settings_file(scope: Scope, given: Path | None, before: Remembered) -> Path:
    """Return the settings file that the service reads: the one that is *given*, or that it was
    given *before*, or the usual one.

    Raises:
        NoSettingsError: There is none.
    """
    if given is not None:
        path = Path(os.path.abspath(os.path.expanduser(given)))
    elif before.settings_file:
        path = Path(before.settings_file)
    elif scope is Scope.SYSTEM:
        path = SYSTEM_SETTINGS
    else:
        files = usual_settings_files()
        path = next((file for file in files if os.path.isfile(file)), files[0])
    if not os.path.isfile(path) or any(ord(sign) < 32 for sign in str(path)):
        raise NoSettingsError(path=str(path))
    return path


def read_settings(scope: Scope, path: Path) -> Settings:
    """Read *path* as the service will: without the environment of who installs it.

    Raises:
        ConfigurationError: A setting is wrong, empty, or needs a driver that is not installed.
    """
    environ = {"STATE_DIRECTORY": str(SYSTEM_STATE)} if scope is Scope.SYSTEM else {}
    settings = load_settings(path, environ=environ)
    require_for_run(settings)
    driver_url(settings.database_url.get_secret_value())
    return settings


def _account(settings: Settings, run_as: str | None, before: Remembered) -> Account:
    if run_as:
        return account_of(run_as)
    if before.user:
        return account_of(f"{before.user}:{before.group}" if before.group else before.user)
    owner = look.owner(settings.upload_dir)
    if owner is None:
        raise WhichUserError(path=settings.upload_dir)
    account = account_by_number(owner)
    if account is None:
        raise NamelessUserError(path=settings.upload_dir, uid=owner)
    return account


def _try_to_start(python: str, account: Account | None) -> None:
    """Start what the service manager will start, from the same place, as the same user."""
    identity = account.identity if account else None
    answer = run([*command_line(python), "--version"], START_SECONDS, user=identity)
    if not answer.good or nas_syncd.__version__ not in answer.output:
        user = account.user if account else _own_name()
        raise CannotStartError(answer.why, program=python, user=user)


def _let_read(path: Path, settings: Settings, account: Account) -> tuple[list[Step], list[Note]]:
    """The service has to read its settings, and nobody else their secrets.

    Only a file in our own folder is put right: another one may be the application's as well.
    """
    bare = _holds_secrets(path, settings) and os.stat(path).st_mode & stat.S_IROTH
    unreadable = look.may(str(path), look.READ_FILE, account.identity) is False
    named: dict[str, object] = {"path": str(path), "user": account.user}
    if (bare or unreadable) and path.parent == SYSTEM_SETTINGS.parent and not path.is_symlink():
        return [KeepPrivate(path, account.gid, account.group)], []
    if unreadable:
        return [], [("service.note.settings", named)]
    return [], [("service.note.bare", named)] if bare else []


def _holds_secrets(path: Path, settings: Settings) -> bool:
    here = [name for name in SECRETS if settings.origin(name) == str(path)]
    return bool(here and settings.secrets())


def _system_notes(settings: Settings, account: Account) -> list[Note]:
    notes: list[Note] = []
    named: dict[str, object] = {"user": account.user, "group": account.group}
    notes.append(("service.note.root" if account.uid == 0 else "service.note.user", named))
    uploads = settings.upload_dir
    if look.may(uploads, look.READ_FOLDER, account.identity) is False:
        notes.append(("service.note.uploads", {"path": uploads, **named}))
    database = _sqlite(settings)
    if database and look.may(database, look.WRITE_FILE, account.identity) is False:
        notes.append(("service.note.database", {"path": database, **named}))
    return notes


def _places(settings: Settings, python: str) -> Places:
    written = [settings.nas_path, _sqlite(settings), str(settings.state_dir)]
    if settings.log_file is not None:
        written.append(str(settings.log_file))
    package = str(Path(nas_syncd.__file__).parent)
    read = [settings.upload_dir, python, sys.prefix, sys.base_prefix, package]
    read += _database_sockets(settings)
    if settings.source_file is not None:
        read.append(str(settings.source_file))
    both = (
        tuple(dict.fromkeys([*filter(None, paths), *look.real_paths(paths)]))
        for paths in (written, read)
    )
    return Places(*both)


def _sqlite(settings: Settings) -> str:
    """The database's file; empty where it is a server's affair."""
    url = driver_url(settings.database_url.get_secret_value())
    return sqlite_path(url) if url.get_backend_name() == "sqlite" else ""


def _database_sockets(settings: Settings) -> list[str]:
    """A server of this machine may be reached through a socket, also in ``/tmp``."""
    query = driver_url(settings.database_url.get_secret_value()).query
    return [value for value in query.values() if isinstance(value, str) and value[:1] == "/"]


def _lingers() -> bool:
    return (LINGER / _own_name()).exists()


def _own_name() -> str:
    account = account_by_number(os.geteuid())
    return account.user if account else str(os.geteuid())


def what_stays(scope: Scope, unit: Path, before: Remembered) -> list[Path]:
    """Return what an uninstallation leaves where it is, as far as it is there."""
    paths = [unit.with_name(f"{unit.name}.d")]  # what a person has changed: systemctl edit
    if scope is Scope.SYSTEM:
        paths += [SYSTEM_STATE, SYSTEM_LOGS, SYSTEM_SETTINGS.parent]
    try:
        path = settings_file(scope, None, before)
        environ = {"STATE_DIRECTORY": str(SYSTEM_STATE)} if scope is Scope.SYSTEM else {}
        settings = load_settings(path, environ=environ)
    except ConfigurationError:
        return [path for path in paths if os.path.exists(path)]
    paths += [settings.state_dir, path]
    if settings.log_file is not None:
        paths.append(settings.log_file)
    there = [path for path in dict.fromkeys(paths) if os.path.exists(path)]
    return [path for path in there if not any(other in path.parents for other in there)]
