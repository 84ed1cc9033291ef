"""Our own memory: an SQLite file in the state directory.

``store`` holds each document's progress, receipts, places and history; ``runs`` knows which
processes are alive. Several processes may share one state directory (the daemon, the
command line, a backend's workers); one of them at most is the daemon.
"""

from nas_syncd.journal.runs import DaemonLock, Runs
from nas_syncd.journal.store import Journal, Owner, Tally

__all__ = ["DaemonLock", "Journal", "Owner", "Runs", "Tally"]
