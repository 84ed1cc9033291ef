"""What is to be run, and what the unit and the property list look like for it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from nas_syncd.install.templates import AGENT, SYSTEM_UNIT, USER_UNIT, fill, template

OURS = 'Written by "nas-syncd service install'
"""Stands at the beginning of every file that we write."""

HOMES = ("/home", "/root", "/run/user")
TEMPORARY = ("/tmp", "/var/tmp")
NO_CREDENTIALS = "# (none)"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the daemon reads and writes, for the sandbox. Absolute, links followed."""

    written: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What the service manager shall run."""

    python: str
    settings_file: str
    user: str = ""
    """A name; only in the system's scope."""
    group: str = ""
    credentials: tuple[tuple[str, str], ...] = ()
    """Name and path of each secret that has a file of its own."""
    places: Places = Places()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an installed service was given; kept when it is installed once more."""

    settings_file: str | None = None
    user: str | None = None
    group: str | None = None


def system_unit(job: Job) -> str:
    """Return the system's unit."""
    credentials = [f"LoadCredential={name}:{_percent(path)}" for name, path in job.credentials]
    values = {
        "USER": job.user,
        "GROUP": job.group,
        "CREDENTIALS": "\n".join(credentials) or NO_CREDENTIALS,
        "PROTECT_HOME": protect_home(job.places),
        "PRIVATE_TMP": private_tmp(job.places),
    }
    return fill(template(SYSTEM_UNIT), {**_command(job), **values})


def user_unit(job: Job) -> str:
    """Return the unit of one user."""
    return fill(template(USER_UNIT), _command(job))


def agent(job: Job, logs: str) -> str:
    """Return launchd's property list."""
    values = {"PYTHON": job.python, "SETTINGS": job.settings_file, "LOGS": logs}
    return fill(template(AGENT), {name: escape(value) for name, value in values.items()})


def command_line(python: str) -> list[str]:
    """Return how this program is started, wherever from. ``-P``: not from the folder it is in."""
    return [python, "-P", "-m", "nas_syncd"]


def protect_home(places: Places) -> str:
    """Return how much of the homes may be taken from the daemon: ``yes``, ``read-only``, ``no``."""
    if _any_below(places.written, HOMES):
        return "no"
    return "read-only" if _any_below(places.read, HOMES) else "yes"


def private_tmp(places: Places) -> str:
    """Return whether the daemon can have temporary folders of its own."""
    return "no" if _any_below((*places.written, *places.read), TEMPORARY) else "yes"


def remembered(unit: str) -> Remembered:
    """Return what is in a unit of ours; nothing where it does not look like one."""
    file = None
    if found := re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE):
        words = _split(found[1])
        if "--env-file" in words[:-1]:
            file = words[words.index("--env-file") + 1]
    return Remembered(file, _value(unit, "User"), _value(unit, "Group"))


def _value(unit: str, name: str) -> str | None:
    found = re.search(rf"^{name}=(.+)$", unit, re.MULTILINE)
    return found[1].strip() if found else None


def _command(job: Job) -> dict[str, str]:
    command = " ".join(_quoted(word) for word in command_line(job.python))
    return {"COMMAND": command, "SETTINGS": _quoted(job.settings_file)}


def _quoted(word: str) -> str:
    """Return *word* so that systemd reads it as one and as it is: see systemd.syntax(7)."""
    word = _percent(word).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return word if re.fullmatch(r"[\w%$+,./:=@-]+", word) else f'"{word}"'


def _percent(word: str) -> str:
    return word.replace("%", "%%")


def _split(line: str) -> Sequence[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # somebody has changed it by hand
        return []
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def _any_below(paths: Iterable[str], folders: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for path in paths if path for folder in folders)
