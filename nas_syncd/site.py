"""One installation's parts: the upload folder, the NAS, the state directory and their rules.

The daemon has one, the command line makes one, and so does ``NASSyncService`` in a backend's
process. A :class:`~nas_syncd.flow.Flow` does the work with it.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas_syncd.agent.process import Agent
from nas_syncd.errors import SyncError, Whose
from nas_syncd.journal import Journal, Runs
from nas_syncd.logs import get_logger
from nas_syncd.models import Document, Intent, MountView, Policy, Source, SourceKind
from nas_syncd.mount import Guard, mount_error
from nas_syncd.names import TEMP_FOLDER
from nas_syncd.watcher import UploadFolder, relative_path

_log = get_logger("nas_syncd.site")


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings that a site is made from."""

    nas_path: str
    upload_dir: str
    db_upload_dir: str | None
    state_dir: Path
    policy: Policy
    workers: int
    nas_timeout_seconds: float
    min_free_bytes: int


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _tell_rebuilt(detail: str, aside: Path | None) -> None:
    """Our own memory began anew: what that means, and what a person can do."""
    if aside is None:
        _log.error("journal.lost")
    else:
        _log.error("journal.rebuilt", detail=detail, aside=str(aside))


class Site:
    """Owns the journal, the run, the NAS agent and its guard. ``close`` ends them all."""

    def __init__(
        self,
        plan: Plan,
        uploads: UploadFolder,
        *,
        on_mount: Callable[[MountView, MountView], None] = lambda _was, _now: None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """
        Raises:
            JournalError: The state directory cannot be used.
        """
        self.plan = plan
        self.policy = plan.policy
        self.now = now
        self.uploads = uploads
        self.journal = Journal(plan.state_dir, now=now, on_rebuilt=_tell_rebuilt)
        self.runs = Runs(plan.state_dir)
        self.agent = Agent(
            "nas",
            side="nas",
            timeout_seconds=plan.nas_timeout_seconds,
            workers=plan.workers,
            options={"installation": self.journal.installation, "run": self.runs.mine},
        )
        self.guard = Guard(
            self.agent,
            plan.nas_path,
            identity=self.journal.identity(),
            min_free_bytes=plan.min_free_bytes,
            remember=self.journal.remember_identity,
            recall=self.journal.identity,
            on_change=on_mount,
            now=now,
        )
        self._temps = itertools.count()
        self._flows = itertools.count(1)
        self._holders: set[str] = set()
        self.journal.alive = self._holder_lives

    @property
    def nas(self) -> str | None:
        """The UUID of the NAS that we belong to, None before the first one."""
        return self.guard.identity.nas if self.guard.identity else None

    def relative(self, document: Document) -> str | None:
        """Return the document's path below the upload folder; None when it leads outside."""
        return relative_path(document.file_path, self.plan.upload_dir, self.plan.db_upload_dir)

    def source_of(self, document: Document, looked: dict[str, Source]) -> Source:
        relative = self.relative(document)
        if relative is None:
            return Source(None, SourceKind.OUTSIDE)
        return looked.get(relative) or Source(relative, SourceKind.UNKNOWN)

    def intent(self, nas: str, candidates: tuple[str, ...]) -> Intent:
        """Return a fresh intent, with a temp file's name that nobody else uses.

        Temp files lie in as many folders as there are workers: creating and renaming in one
        folder is serial in the kernel.
        """
        number = next(self._temps)
        slot = number % self.plan.workers
        temp = (
            f"{TEMP_FOLDER}/{self.journal.installation}/{slot}"
            f"/.nas-syncd-{self.runs.mine}-{number}.part"
        )
        return Intent(self.runs.mine, nas, temp, candidates, self.now())

    def try_nas(self) -> None:
        """Write, flush, read back and remove a small file; with a deadline.

        Raises:
            MountError: The NAS cannot be used; says why.
            SyncError: It gives back something else than was written.
        """
        guard = self.guard
        guard.check().result()
        guard.raise_unless_usable()
        file_system = guard.identity.file_system if guard.identity else ""
        try:
            self.agent.call("test", root=self.plan.nas_path, nas=self.nas, file_system=file_system)
        except SyncError as error:
            if error.whose is not Whose.MOUNT:
                raise
            guard.trouble(error)
            raise mount_error(guard.view) from error

    def new_holder(self) -> str:
        """Return the name under which one flow has documents in hand, until :meth:`let_go`."""
        holder = f"{self.runs.mine}:{next(self._flows)}"
        self._holders.add(holder)
        return holder

    def let_go(self, holder: str) -> None:
        """That flow is no more: what it had in hand is free for others."""
        self._holders.discard(holder)

    def _holder_lives(self, holder: str) -> bool:
        run = holder.partition(":")[0]
        return holder in self._holders if run == self.runs.mine else self.runs.alive(run)

    def close(self, grace_seconds: float = 1.0) -> None:
        """End the children and let go of the journal. Never longer than the grace."""
        self.agent.close(grace_seconds)
        self.uploads.close()
        self.runs.close()
        self.journal.close()
