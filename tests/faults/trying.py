"""One case, tried in whichever process: a pool's worker does not know what ``__main__`` holds."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from tests.faults.groups import GROUPS
from tests.faults.lab import BrokenError, Result


def try_case(name: str, case: str) -> Result:
    """Try one case of the group *name*; whatever it raises is a finding."""
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        try:
            return Result(name, case, GROUPS[name].run(case, Path(folder)))
        except BrokenError as broken:
            return Result(name, case, broken.kind, broken.kind, str(broken))
        except Exception:  # noqa: BLE001 - an error nobody expected is what we are here for
            return Result(name, case, "error", "error", traceback.format_exc())
