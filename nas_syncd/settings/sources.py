"""Where settings come from: the environment, then the first settings file that there is.

Nothing else in nas-syncd reads the environment. A value that is empty counts as not given, so that
``NAS_LOCAL_PATH: ${NAS_LOCAL_PATH:-}`` in a compose file does no harm.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Collection, Mapping
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
ENVIRONMENT = "environment"
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


def collect(settings: Collection[str], environ: Mapping[str, str], env_file: Path | None) -> Given:
    """
    Return what the environment and the settings file say.

    Raises:
        NotAllowedError: An unknown name with our prefix, or a file that cannot be read.
    """
    by_name = {env_name(setting): setting for setting in settings}
    source_file = find_file(env_file)
    given = Given(source_file=source_file)
    layers = [(ENVIRONMENT, without_service_links(environ))]
    if source_file is not None:
        layers.append((str(source_file), read_file(source_file, environ, by_name)))
    for origin, variables in layers:
        for setting, value in _known(variables, by_name, origin).items():
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


def _known(variables: Mapping[str, str], by_name: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return field → value, without the empty ones. Letter case of names counts for little."""
    found: dict[str, str] = {}
    for name in sorted(variables, reverse=True):  # lower case first: the exact name wins
        setting = by_name.get(name.upper())
        if setting is None:
            if name.upper().startswith(PREFIX):
                raise NotAllowedError(
                    "settings.unknown", name=name, origin=origin, suggestion=_meant(name, by_name)
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
