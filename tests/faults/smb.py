"""A real SMB server, over the kernel's own cifs: each case in a second kernel of its own (UML)."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import smb_inside
from tests.faults.lab import BrokenError, DirtyError, LiedError, LostError, StuckError
from tests.lab import uml

SECONDS = 400.0
ROOT = Path(__file__).parents[2]
KINDS = {kind.kind: kind for kind in (LostError, LiedError, StuckError, DirtyError)}


class Smb:
    name = "smb"
    about = (
        "a real Samba over the kernel's cifs: killed, paused, full, read-only, powerless, shared"
    )

    def missing(self) -> str | None:
        for program, package in (("smbd", "samba"), ("mount.cifs", "cifs-utils")):
            if not any((Path(f) / program).exists() for f in ("/usr/sbin", "/sbin", "/usr/bin")):
                return f"{program} is not installed: make lab (Debian package {package})"
        return uml.missing()

    def cases(self) -> Sequence[str]:
        return list(smb_inside.CASES)

    def short(self) -> Sequence[str]:
        """None: a second kernel takes half a minute. ``tests/faults/test_smb.py`` boots one."""
        return []

    def run(self, case: str, folder: Path) -> str:
        command = [sys.executable, "-B", "-m", smb_inside.__name__, case]
        ran = uml.run(command, folder, ROOT, SECONDS)
        line = ran.output.strip().rpartition("\n")[2]
        if ran.status != 0 or not line.startswith("{"):
            raise StuckError(f"status {ran.status}: {ran.output[-3000:]}")
        told = json.loads(line)
        if "broken" in told:
            raise KINDS.get(told["broken"], BrokenError)(told["detail"])
        return str(told["outcome"])


GROUP = Smb()
