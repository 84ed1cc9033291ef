"""Looks at folders that may hang, each in a child with a deadline; and as another user."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from nas_syncd.install.commands import run

Identity = tuple[int, int, list[int]]

_PYTHON = ("-I", "-S", "-c")
_REAL = "import json,os,sys; print(json.dumps([os.path.realpath(p) for p in sys.argv[1:]]))"
_OWNER = "import os,sys; print(os.stat(sys.argv[1]).st_uid)"
_ACCESS = "import json,os,sys; print(json.dumps(os.access(sys.argv[1], int(sys.argv[2]))))"

READ_FILE = os.R_OK
READ_FOLDER = os.R_OK | os.X_OK
WRITE_FILE = os.R_OK | os.W_OK


def real_paths(paths: Sequence[str]) -> list[str]:
    """Return *paths* with their links followed; as they are where that cannot be told in time."""
    given = [path for path in paths if path]
    answer = run([sys.executable, *_PYTHON, _REAL, *given])
    return [str(path) for path in json.loads(answer.output)] if answer.good else given


def owner(path: str) -> int | None:
    """Return the owner of *path*; None where it is not there or hangs."""
    answer = run([sys.executable, *_PYTHON, _OWNER, path])
    return int(answer.output) if answer.good else None


def may(path: str, access: int, identity: Identity | None) -> bool | None:
    """Return whether *identity* has *access* to *path*; None where that cannot be told in time.

    *identity* needs an interpreter that it may run: see ``check.can_start``.
    """
    command = [sys.executable, *_PYTHON, _ACCESS, path, str(access)]
    answer = run(command, user=identity)
    return bool(json.loads(answer.output)) if answer.good else None
