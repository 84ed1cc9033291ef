"""Other programs, run with a deadline and in plain English.

A program that does not end is killed and left: one that hangs in a dead mount survives even that,
and waiting for it would hang us as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_syncd.settings import inherited_environment

ASK_SECONDS = 5.0
"""For a question; a change has a limit of its own."""
LEAVE_SECONDS = 0.5
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_PLAIN = {"LC_ALL": "C", "TZ": "UTC", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said. ``status`` is None when it did not end in time or is not there."""

    status: int | None
    output: str
    errors: str

    @property
    def good(self) -> bool:
        return self.status == 0

    @property
    def why(self) -> str:
        """Its last words, for a person."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit {self.status}"


def run(
    command: Sequence[str],
    seconds: float = ASK_SECONDS,
    *,
    environment: Mapping[str, str] | None = None,
    user: tuple[int, int, list[int]] | None = None,
) -> Answer:
    """Run *command* from ``/``, with nothing to read. Never raises.

    Args:
        environment: Added to the little that it gets of ours.
        user: The user, the group and the other groups to become first; only root can.
    """
    more: dict[str, Any] = {}
    if user is not None:
        more = {"user": user[0], "group": user[1], "extra_groups": user[2]}
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**inherited_environment(*_KEPT), **_PLAIN, **(environment or {})},
            start_new_session=True,
            **more,
        )
    except OSError as error:
        return Answer(None, "", f"{command[0]}: {error.strerror or error}")
    try:
        output, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()
        try:
            child.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            child.returncode = -9  # left: nobody shall wait for it any more
        return Answer(None, "", f"{command[0]}: no answer within {seconds:g} s")
    words = [each.decode("utf-8", "backslashreplace") for each in (output, errors)]
    return Answer(child.returncode, *words)
