"""What is looked after when the copying is done.

Temp files of dead runs are resolved by asking the journal. Young receipts get their second look
(a NAS that loses power may forget a rename). Receipts whose rows are gone are told apart. Each is
one
question at a time, and none is asked while nothing calls for it: an idle NAS may sleep.
"""

from __future__ import annotations

import datetime as dt
import math
import queue
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nas_syncd.agent.wire import Message
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import SyncError, Whose
from nas_syncd.logs import get_logger
from nas_syncd.models import Document, Entry, Reason, Scope, State
from nas_syncd.names import TEMP_FOLDER
from nas_syncd.site import Site

YOUNG_SECONDS = 60.0
FOREIGN_TEMP_SECONDS = 3600.0
LEFT_TEMP_SECONDS = 60.0
"""What a copy left that did not end waits for its document's next go. Should there be none, it is
looked at again after this, then less and less often: a NAS may sleep."""
YOUNG_PAGE = 2000
RECONCILE_PAGE = 500
RECONCILE_EVERY_SECONDS = 10.0
RECONCILE_SHARE = 0.001
"""The part of one core that this comparison may use."""
RECONCILE_PASS_SECONDS = 6 * 3600.0

_TEMP = re.compile(r"^\.nas-syncd-([0-9a-f]{16})-.*\.part$")
_TRIAL = re.compile(r"^\.nas-syncd-([0-9a-f]{16})-[a-z]+([0-9]+)x[0-9]+(-[ab])?\.part$")
"""What an agent makes for itself, by its run and its process."""
_log = get_logger("nas_syncd.upkeep")


class Upkeep:
    """Used by the daemon's thread only; answers come back through the inbox as callables."""

    def __init__(
        self,
        site: Site,
        table: DocumentsTable,
        inbox: queue.SimpleQueue[Any],
        lost: Callable[[list[str]], None],
    ) -> None:
        """
        Args:
            lost: Told the ids of documents whose flag went back, to look at them again.
        """
        self.site = site
        self.table = table
        self._inbox = inbox
        self._lost = lost
        self._asking = 0
        """Questions on their way; only the restoring of temp files has several at once."""
        self._cleaned_epoch = 0
        self._clean_due = math.inf
        self._left_wait = 0.0
        self._foreign: dict[str, float] = {}
        """Other installations' temp files, and since when we know them (monotonic)."""
        self._restores: list[tuple[str, Entry]] = []
        self._looked_epoch = 0
        self._young_due = 0.0
        self._folders: list[tuple[str, list[Entry]]] = []
        self._reconcile_due = time.monotonic() + RECONCILE_EVERY_SECONDS
        self._reconcile_after = ""

    def tick(self) -> None:
        """Ask what is due, if the NAS can be used and nothing else is being asked."""
        if self._asking or not self.site.guard.view.usable or self.site.nas is None:
            return
        epoch = self.site.guard.epoch
        if self._restores:
            self._restore(*self._restores.pop())
        elif self._cleaned_epoch != epoch or time.monotonic() >= self._clean_due:
            self._cleaned_epoch, self._clean_due = epoch, math.inf
            self._ask("temps", self._clean)
        elif self._folders:
            self._look_at(*self._folders.pop())
        elif time.monotonic() >= self._young_due or self._looked_epoch != epoch:
            remounted = self._looked_epoch not in (0, epoch)  # our own start is no remount
            self._looked_epoch = epoch
            self._plan_young(remounted)

    def clean_again(self) -> None:
        """A child was left behind and has ended: what it left may be resolved now."""
        self._cleaned_epoch = 0

    def _ask(self, op: str, then: Callable[[Message], None], **args: Any) -> None:
        identity = self.site.guard.identity
        self._asking += 1
        asked = self.site.agent.ask(
            op,
            root=self.site.plan.nas_path,
            nas=self.site.nas,
            file_system=identity.file_system if identity else "",
            **args,
        )
        asked.add_done_callback(lambda done: self._inbox.put(lambda: self._answered(done, then)))

    def _answered(self, done: Future[Message], then: Callable[[Message], None]) -> None:
        self._asking -= 1
        error = done.exception()
        if error is None:
            then(done.result())
        elif isinstance(error, SyncError):
            if error.whose is Whose.MOUNT:  # one folder's trouble is not the mount's
                self.site.guard.trouble(error)
            self._clean_due = min(self._clean_due, time.monotonic() + FOREIGN_TEMP_SECONDS)
            _log.debug("upkeep.interrupted", code=error.code, detail=error.detail)
        else:
            raise error

    # -- temp files -------------------------------------------------------------------------

    def _clean(self, answer: Message) -> None:
        """A temp file with a receipt is the NAS's memory failing: it is put in its place, whoever
        wrote it. Without one it is removed when its run is dead; another installation's when
        both the NAS's clock and we have known it for an hour."""
        remove, left = [], 0
        mine = f"{TEMP_FOLDER}/{self.site.journal.installation}/"
        foreign: dict[str, float] = {}
        for path, age, size in answer["temps"]:
            if not path.startswith(mine):
                foreign[path] = self._foreign.get(path, time.monotonic())
                if min(age, time.monotonic() - foreign[path]) >= FOREIGN_TEMP_SECONDS:
                    remove.append(path)
                continue
            found = self.site.journal.by_temp(path)
            if found is not None and found[1] and found[0].receipt is not None:
                self._restores.append((path, found[0]))
            elif self._is_dead(path.rpartition("/")[2], answer["agent"], found and found[0]):
                remove.append(path)
                _log.info("temp.removed", path=path, bytes=size)
            else:
                left += 1
        self._foreign = foreign
        self._left_wait = max(LEFT_TEMP_SECONDS, 2 * self._left_wait) if left else 0.0
        again = min(self._left_wait, FOREIGN_TEMP_SECONDS) or FOREIGN_TEMP_SECONDS
        self._clean_due = time.monotonic() + again if foreign or left else math.inf
        self.site.runs.tidy()
        if remove:
            self._ask("remove", lambda _answer: None, paths=remove)

    def _is_dead(self, name: str, agent: int, entry: Entry | None) -> bool:
        """Whether nobody needs the temp file any more: its run is over; or the run is ours, and it
        is an agent's before this one, or of a copy without a receipt that nobody has in hand. What
        the journal does not know stays while its run lives: a NAS may have brought it back."""
        run, trial = _TEMP.match(name), _TRIAL.match(name)
        if run is None:
            return False
        if run[1] != self.site.runs.mine:
            return not self.site.runs.alive(run[1])
        if trial is not None:
            return int(trial[2]) != agent
        return entry is not None and entry.holder is None

    def _restore(self, path: str, entry: Entry) -> None:
        receipt = entry.receipt
        if receipt is None:
            return

        def told(answer: Message) -> None:
            if answer["outcome"] == "differs":
                self._missing_or_other(entry)
                return
            _log.warning(
                "temp.restored",
                document_id=entry.id,
                path=path,
                destination=receipt.destination,
                outcome=answer["outcome"],
            )

        self._ask(
            "restore", told, temp=path, destination=receipt.destination, sha256=receipt.sha256
        )

    def _missing_or_other(self, entry: Entry) -> None:
        """Neither the temp file nor the place holds the bytes of the receipt."""
        if entry.young:
            self._vanished(entry)

    # -- the second look --------------------------------------------------------------------

    def _plan_young(self, remounted: bool) -> None:
        self._young_due = time.monotonic() + YOUNG_SECONDS / 4
        before = self.site.now() - dt.timedelta(seconds=YOUNG_SECONDS)
        if remounted:  # what was received before the mount was away
            before = max(before, self.site.guard.view.since)
        folders: dict[str, list[Entry]] = {}
        for entry in self.site.journal.young(self.site.nas or "", before, YOUNG_PAGE):
            if entry.receipt is not None:
                folder = entry.receipt.destination.rpartition("/")[0]
                folders.setdefault(folder, []).append(entry)
        self._folders = list(folders.items())
        if self._folders:
            self._look_at(*self._folders.pop())

    def _look_at(self, folder: str, entries: list[Entry]) -> None:
        names: dict[str, list[Entry]] = {}
        sizes: dict[str, int] = {}
        for entry in entries:
            if entry.receipt is not None:
                name = entry.receipt.destination.rpartition("/")[2]
                names.setdefault(name, []).append(entry)
                sizes[name] = entry.receipt.version.size

        def looked(answer: Message) -> None:
            missing = [entry for name in answer["missing"] for entry in names.pop(name)]
            damaged = [entry for name in answer["damaged"] for entry in names.pop(name)]
            by_scope: dict[Scope, list[str]] = {}
            for entry in (one for group in names.values() for one in group):
                by_scope.setdefault(entry.scope, []).append(entry.id)
            for scope, ids in by_scope.items():
                self.site.journal.grown_up(scope, ids)
            for entry in missing:
                self._seek(entry)
            for entry in damaged:
                self._vanished(entry, "damaged")
            if not self._folders and len(entries) >= YOUNG_PAGE:
                self._young_due = 0.0

        self._ask("look", looked, folder=folder, sizes=sizes)

    def _seek(self, entry: Entry) -> None:
        """It is not in its place. Perhaps the NAS has forgotten the rename, and its temp file is
        back: then that is put in its place."""
        temp = self.site.journal.temp_of(entry.scope, entry.id)
        if temp is None:
            self._vanished(entry)
        else:
            self._restores.append((temp, entry))

    def _vanished(self, entry: Entry, how: str = "vanished") -> None:
        """What was verified is not there any more: the flag must not say that it is.

        Args:
            how: ``damaged`` when something else stands in its place.
        """
        if entry.receipt is None:
            return
        destination = entry.receipt.destination
        reason = Reason(f"unmark.{how}", {"destination": destination})
        if entry.scope == self.table.scope:
            self.table.unmark([(entry.id, entry.file_path)])
        document = Document(entry.id, entry.file_path)
        self.site.journal.forget_receipt(entry.scope, document, reason)
        _log.error(f"document.{how}", document_id=entry.id, destination=destination)
        if entry.scope == self.table.scope:
            self._lost([entry.id])

    # -- rows that are gone -----------------------------------------------------------------

    def reconcile_soon(self) -> None:
        """Rows were deleted, it seems: begin the comparison now."""
        self._reconcile_due = 0.0

    def reconcile(self) -> None:
        """Compare a page of proven documents with the table; a deleted row's count no more.

        Raises:
            DatabaseUnavailableError: Nothing was changed.
        """
        if time.monotonic() < self._reconcile_due:
            return
        scope, started = self.table.scope, time.monotonic()
        page = self.site.journal.in_states(
            scope,
            [State.SYNCED, State.WAITING, State.FAILED, State.PROBLEM],
            self._reconcile_after,
            RECONCILE_PAGE,
        )
        rows = self.table.get([entry.id for entry in page])
        gone = [
            (Document(e.id, e.file_path), State.GONE, Reason("gone.gone"), None)
            for e in page
            if e.holder is None and (e.id not in rows or rows[e.id].file_path != e.file_path)
        ]
        if gone:
            self.site.journal.note_all(scope, gone)
        full = len(page) == RECONCILE_PAGE
        self._reconcile_after = page[-1].id if full else ""
        now = time.monotonic()
        pause = max(RECONCILE_EVERY_SECONDS, (now - started) / RECONCILE_SHARE)
        self._reconcile_due = now + (pause if full else RECONCILE_PASS_SECONDS)
