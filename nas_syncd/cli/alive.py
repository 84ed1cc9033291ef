"""``python -m nas_syncd.cli.alive``: whether the daemon's process is alive; for health checks.

Asks the daemon's own socket, so it needs no port and no token. It says nothing of the NAS or the
database: both may be away, and restarting the daemon would bring neither back.
"""

from __future__ import annotations

import sys

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnsweredError, Exit
from nas_syncd.cli.remote import SOCKET, GoneError, Remote
from nas_syncd.errors import SyncError
from nas_syncd.settings import language_from_environment

SECONDS = 5.0


def main() -> int:
    """Return 0 and say ``ok`` when the daemon's loop turns; else 1, and why."""
    call = Call(language_from_environment())
    try:
        daemon = Remote(call.settings().state_dir / SOCKET, call.language, {})
        call.say(str(daemon.get("/healthz", timeout=SECONDS)["status"]))
    except SyncError as error:
        call.fail(error)
        return Exit.FAILED
    except (GoneError, AnsweredError, OSError, KeyError) as error:
        call.complain(call.text("alive.no", detail=str(error)))
        return Exit.FAILED
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
