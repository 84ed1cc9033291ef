"""Where settings come from: the environment, then credentials, then the first settings file.

A credential is a file that bears a setting's name and holds its value. They lie where systemd puts
them for a service (``$CREDENTIALS_DIRECTORY``, from ``LoadCredential=``), else in the folder
``credentials`` beside ``nas-syncd/config.env``. The environment is for this one process, so it
wins; a credential keeps a secret out of the file, so it wins over what was forgotten in it.

Nothing else in nas-syncd reads the environment. A value that is empty counts as not given, so that
``NAS_LOCAL_PATH: ${NAS_LOCAL_PATH:-}`` in a compose file does no harm.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream
from platformdirs import site_config_path, user_config_path, user_state_path

from nas_syncd.settings.values import NotAllowedError, suggestion

PREFIX = "NAS_SYNCD_"
PLAIN = ("nas_local_path", "nas_mount_path", "database_url", "upload_dir")
"""Settings that bear no prefix: the backend has them, too."""

APPLICATION = "nas-syncd"
FILE_NAME = "config.env"
LOG_NAME = "nas-syncd.log"
CREDENTIALS = "credentials"
ENVIRONMENT = "environment"
CREDENTIAL = "credential"
DEFAULT = "default"
ARGUMENT = "argument"

_REFERENCE = re.compile(r"\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}")
_SERVICE_LINK = re.compile(
    r"NAS_SYNCD_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$"
)


@dataclass(frozen=True, slots=True)
class Given:
    """The raw values by field name, and where each one was found."""

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    source_file: Path | None = None


def env_name(setting: str) -> str:
    """Return the name a person sets: ``workers`` → ``NAS_SYNCD_WORKERS``."""
    return setting.upper() if setting in PLAIN else PREFIX + setting.upper()


def refuse(refused: NotAllowedError) -> None:
    """Let what is refused be the end of it."""
    raise refused


def collect(
    settings: Collection[str],
    environ: Mapping[str, str],
    env_file: Path | None,
    on_refused: Callable[[NotAllowedError], None] = refuse,
    *,
    with_credentials: bool = True,
) -> Given:
    """
    Return what the environment, the credentials and the settings file say.

    Args:
        on_refused: Gets what is wrong; where it returns, the rest is collected.

    Raises:
        NotAllowedError: An unknown name with our prefix, or a file that cannot be read.
    """
    by_name = {env_name(setting): setting for setting in settings}
    source_file = None
    layers = [(ENVIRONMENT, without_service_links(environ))]
    try:
        source_file = find_file(env_file)
        folder = credentials_folder(environ, source_file) if with_credentials else None
        if folder is not None:
            layers.append((CREDENTIAL, read_credentials(folder, by_name)))
        if source_file is not None:
            layers.append((str(source_file), read_file(source_file, environ, by_name)))
    except NotAllowedError as refused:
        on_refused(refused)
    given = Given(source_file=source_file)
    for origin, variables in layers:
        for setting, value in _known(variables, by_name, origin, on_refused).items():
            if setting not in given.values:
                given.values[setting] = value
                given.origins[setting] = origin
    return given


def candidates() -> list[Path]:
    """Return the settings files that are looked for, in order; only the first one is read."""
    folders = [
        user_config_path(APPLICATION),
        Path("/etc", APPLICATION),
        site_config_path(APPLICATION),
    ]
    return [Path(".env"), *(folder / FILE_NAME for folder in folders)]


def settings_files() -> list[Path]:
    """Return the settings files of this host, in order: those that depend on no folder."""
    return candidates()[1:]


def credentials_folder(environ: Mapping[str, str], source_file: Path | None) -> Path | None:
    """Return where the credentials lie, if there are any."""
    by_systemd = environ.get("CREDENTIALS_DIRECTORY")
    if by_systemd:
        return Path(by_systemd)
    if source_file is None or source_file.parts[-2:] != (APPLICATION, FILE_NAME):
        return None  # beside another file a folder of that name is somebody else's
    folder = source_file.with_name(CREDENTIALS)
    return folder if folder.is_dir() else None


def read_credentials(folder: Path, names: Collection[str]) -> dict[str, str]:
    """
    Return the credentials that are ours by their names; others are somebody else's.

    Raises:
        NotAllowedError: The folder, or one of ours, cannot be read.
    """
    path = folder
    found: dict[str, str] = {}
    try:
        for path in sorted(folder.iterdir()):
            ours = path.name.upper() in names or path.name.upper().startswith(PREFIX)
            if ours and path.is_file():  # no pipe, which might keep us waiting
                found[path.name] = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "UTF-8"
        raise NotAllowedError("settings.file_unreadable", path=str(path), cause=cause) from None
    return found


def credential_files(source_file: Path, names: Collection[str]) -> list[tuple[str, Path]]:
    """Return the name and the path of each credential beside *source_file*, for the unit."""
    folder = credentials_folder({}, source_file)
    if folder is None:
        return []
    return [(name, folder / name) for name in sorted(read_credentials(folder, names))]


def find_file(env_file: Path | None) -> Path | None:
    """
    Return the file to read. One that was asked for has to be there (a pipe will do).

    Raises:
        NotAllowedError: It is not there; or the one that was found may be anybody's.
    """
    if env_file is not None:
        path = Path(os.path.expanduser(env_file))
        if not os.path.exists(path) or os.path.isdir(path):
            raise NotAllowedError("settings.file_missing", path=str(env_file))
        return Path(os.path.abspath(path))
    # isfile: a virtual environment may be called .env
    found = next(
        (Path(os.path.abspath(path)) for path in candidates() if os.path.isfile(path)), None
    )
    if found is not None and _is_strangers(found):
        raise NotAllowedError("settings.file_strangers", path=str(found))
    return found


def _is_strangers(path: Path) -> bool:
    """Whether somebody else has left *path* in a folder where everybody may, such as /tmp."""
    try:
        for_all = path.parent.stat().st_mode & stat.S_IWOTH
        return bool(for_all) and path.stat().st_uid not in (0, os.geteuid())
    except OSError:  # gone meanwhile: reading it says so
        return False


def read_file(path: Path, environ: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the variables in *path*, ``${NAME}`` and ``${NAME:-default}`` filled in."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotAllowedError("settings.file_unreadable", path=str(path), cause="UTF-8") from None
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise NotAllowedError("settings.file_unreadable", path=str(path), cause=cause) from None
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.error:
            _refuse_our_line(binding.original.string, binding.original.line, path, names)
        elif binding.key is not None:
            found[binding.key] = _filled(binding.value or "", {**environ, **found})
    return found


def _refuse_our_line(line: str, number: int, path: Path, names: Collection[str]) -> None:
    """A line that cannot be read is the backend's own affair, unless it names one of ours."""
    name = re.match(r"\s*(?:export\s+)?(\w*)", line)
    word = name.group(1).upper() if name else ""
    if word in names or word.startswith(PREFIX):
        lines = number + len(line) - len(line.lstrip("\r\n"))
        raise NotAllowedError("settings.line", name=word, line=lines, path=str(path))


def _filled(value: str, variables: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: variables.get(match["name"], match["default"] or ""), value)


def _known(
    variables: Mapping[str, str],
    by_name: Mapping[str, str],
    origin: str,
    on_refused: Callable[[NotAllowedError], None],
) -> dict[str, str]:
    """Return field → value, without the empty ones. Letter case of names counts for little."""
    found: dict[str, str] = {}
    for name in sorted(variables, reverse=True):  # lower case first: the exact name wins
        setting = by_name.get(name.upper())
        if setting is None:
            if name.upper().startswith(PREFIX):
                meant = _meant(name, by_name)
                on_refused(
                    NotAllowedError("settings.unknown", name=name, origin=origin, suggestion=meant)
                )
        elif variables[name].strip():
            found[setting] = variables[name].strip()
    return found


def _meant(name: str, by_name: Mapping[str, str]) -> str | None:
    unprefixed = name.upper().removeprefix(PREFIX)
    return unprefixed if unprefixed in by_name else suggestion(name.upper(), by_name)


def without_service_links(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out what Kubernetes and Docker set for a service that is called ``nas-syncd``."""
    return {
        name: value
        for name, value in environ.items()
        if not _SERVICE_LINK.match(name)
        and not (name == f"{PREFIX}PORT" and value.startswith(("tcp://", "udp://")))
    }


def default_state_dir(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return the state directory when none is set, and where that came from."""
    by_systemd = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if by_systemd:
        return Path(by_systemd), ENVIRONMENT
    if os.geteuid() == 0:
        return Path("/var/lib", APPLICATION), DEFAULT
    return Path(user_state_path(APPLICATION)), DEFAULT


def logs_directory(environ: Mapping[str, str]) -> Path | None:
    """Return where the log goes under a service manager that keeps none itself: launchd.

    systemd may set ``LOGS_DIRECTORY`` as well, but has its journal.
    """
    folder = environ.get("LOGS_DIRECTORY", "").split(":")[0]
    by_systemd = environ.get("NOTIFY_SOCKET") or environ.get("JOURNAL_STREAM")
    return Path(folder) if folder and not by_systemd else None
