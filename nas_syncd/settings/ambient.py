"""What the process's environment says beside the settings: language, colours, who started us.

Quick to import: help and version need the language and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nas_syncd.messages import language_of
from nas_syncd.settings.sources import env_name, find_file, logs_directory, read_file
from nas_syncd.settings.values import NotAllowedError


def language_from_environment(
    env_file: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """Return the language that is set, without judging any other setting; else the default.

    For what is said before the settings are read, or when they are refused. Never raises.
    """
    environ = os.environ if environ is None else environ
    name = env_name("language")
    if environ.get(name):
        return language_of(environ[name])
    try:
        source_file = find_file(env_file)
        found = read_file(source_file, environ, ()) if source_file else {}
    except NotAllowedError:  # it is refused, with its reason, when the settings are read
        found = {}
    return language_of(found.get(name))


def wants_colour(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether a terminal may be coloured: no ``NO_COLOR``, and not a dumb one."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def journal_stream(environ: Mapping[str, str] | None = None) -> str | None:
    """Return systemd's ``JOURNAL_STREAM`` (``device:inode``), for ``logs.is_journal``."""
    environ = os.environ if environ is None else environ
    return environ.get("JOURNAL_STREAM") or None


def only_the_file(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether the log goes to a file alone: launchd cannot rotate what it keeps."""
    return logs_directory(os.environ if environ is None else environ) is not None


def notify_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what systemd told us about its notification socket, for ``sdnotify``."""
    environ = os.environ if environ is None else environ
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return {name: environ[name] for name in names if name in environ}


def runtime_directories(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Return what systemd made for us below ``/run`` (``RuntimeDirectory=``), mostly nothing."""
    environ = os.environ if environ is None else environ
    return [Path(one) for one in environ.get("RUNTIME_DIRECTORY", "").split(":") if one]


def senders_environment() -> dict[str, str]:
    """Return what the child that sends notifications gets: the way out, and no secret of ours."""
    return inherited_environment(
        *("PATH", "HOME", "LANG", "TZ", "TMPDIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    )


def inherited_environment(*names: str) -> dict[str, str]:
    """Return what a child needs of our own environment, for who starts one."""
    return {name: os.environ[name] for name in names if name in os.environ}
