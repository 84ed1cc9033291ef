"""``nas-syncd`` with a time of day that jumps: ``python jumpyclock.py FILE …``.

What is decided and journaled goes by the site's clock; here that is the real one plus the seconds
that FILE holds, read anew each time. The machine's own clock is nobody's to touch: what goes by
that one (stamps in the log, the NAS's times of files) does not jump, and what is measured goes by
the monotonic clock, which never does.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path

from nas_syncd.__main__ import main
from nas_syncd.site import Site, utc_now


def jumpy(file: Path) -> Callable[[], dt.datetime]:
    return lambda: utc_now() + dt.timedelta(seconds=float(file.read_text()))


if __name__ == "__main__":
    defaults = Site.__init__.__kwdefaults__
    assert defaults is not None
    defaults["now"] = jumpy(Path(sys.argv.pop(1)))
    main()
