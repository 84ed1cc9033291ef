"""The interpreter that the service is started with: the same one, by a name that lasts.

Not resolved: behind a virtual environment's ``python`` stands another one that knows nothing of
our packages. But Homebrew's names hold a version (``Cellar/python@3.12/3.12.4/…``) and vanish with
the next upgrade; beside them it keeps a name that stays (``opt/python@3.12/…``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_CELLAR = re.compile(r"^(?P<prefix>.*)/Cellar/(?P<formula>[^/]+)/[^/]+(?P<rest>/.*)$")
MOST_LINKS = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    path: str
    vanishing: str | None = None
    """What it rests on, where that goes with the next upgrade."""


def lasting(executable: str) -> Interpreter:
    """Return *executable* by a name that lasts, and what may vanish below it all the same."""
    path = _lasting_name(os.path.abspath(executable)) or os.path.abspath(executable)
    if _CELLAR.match(path):
        return Interpreter(path, path)
    return Interpreter(path, _leads_to_a_version(path))


def _lasting_name(path: str) -> str | None:
    """Return the name beside the Cellar that leads to the very same file."""
    found = _CELLAR.match(path)
    if found is None:
        return None
    other = f"{found['prefix']}/opt/{found['formula']}{found['rest']}"
    same = os.path.exists(other) and os.path.realpath(other) == os.path.realpath(path)
    return other if same else None


def _leads_to_a_version(path: str) -> str | None:
    """Follow the links of an environment; return the first step that names a version.

    From ``opt`` on it is Homebrew that keeps the links.
    """
    for _ in range(MOST_LINKS):
        if re.search(r"/opt/[^/]+/bin/", path) and "/Cellar/" not in path:
            return None
        if _CELLAR.match(path):
            return path
        try:
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        except OSError:  # the file itself
            return None
    return None
