"""The way of a document: look, decide, copy, receipt, mark. One implementation for everybody.

A flow is used by one thread. Documents are offered to it; it looks their files up, asks
:func:`~nas_syncd.decide.decide`, hands copies to the NAS agent, keeps the receipts, sets the
flags and tells each document's fate. Answers of the agents arrive in the inbox; what arrived
together is journaled together, and marked with what arrives in the next moment.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import random
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from nas_syncd.agent.wire import Message
from nas_syncd.decide import decide
from nas_syncd.documents import MarkOutcome
from nas_syncd.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    NasFullError,
    PlaceTakenError,
    SourceChangedError,
    SyncError,
    UploadsError,
    Whose,
)
from nas_syncd.models import (
    Copy,
    Decision,
    Document,
    Entry,
    Fate,
    FateKind,
    Mark,
    Reason,
    Receipt,
    Refuse,
    Rest,
    Scope,
    Source,
    SourceKind,
    SourceVersion,
    State,
    Unmark,
    Wait,
)
from nas_syncd.names import SHA_PLACE, place_key
from nas_syncd.site import Site
from nas_syncd.watcher import UploadsState
from nas_syncd.works import Answered, Looked, Marking, Work

IN_FLIGHT_PER_WORKER = 16
"""So many that what has come back is journaled and marked in groups: a group costs some flushes,
whatever its size."""
LAND_SECONDS = 0.3
"""So many more are in flight as land within this: soon enough at a stop."""
MOST_TIMES = 4
"""So many times the usual number at most."""
MARK_SECONDS = 0.1
"""So long at most a flag waits for others while copies are made: to set some costs the flushes of
the database, whatever their number, and the copies wait for the same disk."""
MARK_ENOUGH = 128
GATHER_SECONDS = 0.03
"""So long at most an answer waits for others, while the NAS agent has enough to do."""
ENOUGH = 0.25
"""Of all that may be in flight: the agent does not run out of work before more is sent to it."""
ACTIVE_PER_FLIGHT = 3
"""Documents that are looked at or ready, for each that is being copied."""
UNCONFIRMED_LIMIT = 3
"""So many mount errors on one document that the mount does not confirm are the document's."""
JITTER = 0.25
ELSEWHERE_SECONDS = 1.0
EVENT_SECONDS = 5.0
"""What waits for the NAS or the upload folder although both are well is asked about after this."""


class Rows(Protocol):
    """What a flow needs of the documents table."""

    @property
    def scope(self) -> Scope: ...

    def mark(
        self, marks: Collection[tuple[str, str]], at: dt.datetime
    ) -> dict[str, MarkOutcome]: ...

    def unmark(self, marks: Collection[tuple[str, str]]) -> set[str]: ...

    def get(self, ids: Collection[str]) -> dict[str, Document]: ...


class Flow:
    """See the module. ``inbox`` may also carry the owner's own messages (see :meth:`step`)."""

    def __init__(
        self,
        site: Site,
        table: Rows,
        *,
        manual: bool = False,
        settled: Callable[[str, SourceVersion], bool] | None = None,
        on_fate: Callable[[Fate], None] = lambda _fate: None,
    ) -> None:
        """
        Args:
            manual: Neither settling nor backoff is waited for, a missing file fails at once.
            settled: Tells whether a file has settled; None: it is never waited for.
            on_fate: Called once for each fate, in the flow's own thread.
        """
        self.site = site
        self.table = table
        self.manual = manual
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.waits: dict[str, dt.datetime | None] = {}
        """For documents whose last fate was to wait: until when at the latest."""
        self._settled = settled
        self._on_fate = on_fate
        self._active: set[str] = set()
        """Offered, and without a fate yet."""
        self._ready: deque[Work] = deque()
        self._flying: dict[str, Work] = {}
        self._places: dict[str, str] = {}
        """Places (by key) that a copy in flight is about to take, and whose it is."""
        self._held: dict[str, list[Work]] = {}
        self._unconfirmed: Counter[str] = Counter()
        self._closed = False
        self._fates: list[Fate] = []
        self._unmarked: dict[str, Marking] = {}
        """Their receipts are kept, their flags are not set yet."""
        self._mark_by = 0.0
        """Monotonic: when they are to be set at the latest."""
        self._pace = 0.0
        """How many copies the NAS answers, of late, a second."""
        self._others: list[Any] = []
        self._again: set[str] = set()
        """Offered while in hand: something has happened to them meanwhile."""
        self._orphans: set[str] = set()
        """In flight when the flow was reset: not to be begun again before they are answered."""
        self._resets = 0
        self._entries: dict[str, Entry | None] = {}
        """The journal's word that each decision to copy was based on."""
        self.database_away: Callable[[], bool] = lambda: False
        """Whether asking the database is known to be in vain: receipts then wait at once."""
        self.holder = site.new_holder()
        self._finalizer = weakref.finalize(self, site.let_go, self.holder)

    # -- for the owner ----------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return bool(self._active or self._fates)

    @property
    def room(self) -> int:
        """How many more documents are welcome before the next :meth:`step`.

        None until half of all places are free: who asks for many at once asks seldom.
        """
        most = ACTIVE_PER_FLIGHT * self._capacity
        free = most - len(self._active)
        return free if 2 * free >= most else 0

    @property
    def wants_nas(self) -> bool:
        """Whether a document waits for the mount."""
        return bool(self._ready) or any(until is None for until in self.waits.values())

    def active(self) -> Collection[str]:
        return self._active

    def flying(self) -> list[Work]:
        return list(self._flying.values())

    def offer(
        self, documents: Iterable[Document], sources: dict[str, Source] | None = None
    ) -> None:
        """Take *documents* in hand; those that already are, are passed over. Never blocks.

        Args:
            sources: What is known of their files, by path below the upload folder, when the
                caller has looked just now.
        """
        known = sources or {}
        fresh = []
        for document in list(documents):
            if document.id in self._active:
                self._notice(document, known)
            elif document.id not in self._orphans:
                fresh.append(document)
                self._active.add(document.id)
                self.waits.pop(document.id, None)
        if not fresh:
            return
        relatives = {self.site.relative(d) for d in fresh} - {None}
        wanted = [r for r in relatives if r is not None and r not in known]
        if not wanted:
            self.inbox.put(Looked(fresh, known, self._resets))
            return
        asked, resets = self.site.uploads.look(wanted), self._resets
        asked.add_done_callback(lambda done: self._looked(fresh, known, resets, done))

    def _notice(self, document: Document, known: dict[str, Source]) -> None:
        """A file that changes while it is copied may do so after the copier's last look at it."""
        source = known.get(self.site.relative(document) or "")
        version = self._version_in_hand(document.id)
        if source is not None and version is not None and source.version != version:
            self._again.add(document.id)

    def _version_in_hand(self, document_id: str) -> SourceVersion | None:
        """What is being copied, or was and is to be marked."""
        if (work := self._flying.get(document_id)) is not None:
            return work.source.version
        marking = self._unmarked.get(document_id)
        return marking.receipt.version if marking is not None else None

    def _looked(
        self,
        documents: list[Document],
        known: dict[str, Source],
        resets: int,
        done: Future[dict[str, Source]],
    ) -> None:
        error = done.exception()
        self.inbox.put(Looked(documents, known if error else {**known, **done.result()}, resets))

    def step(self, timeout: float | None) -> tuple[list[Fate], list[Any]]:
        """Wait for news up to *timeout* seconds, then do all that follows from it.

        Returns:
            The fates, and the messages in the inbox that were not ours.
        """
        looked: list[Looked] = []
        answered: list[Answered] = []
        for message in self._receive(timeout):
            if isinstance(message, Looked):
                looked.append(message)
            elif isinstance(message, Answered):
                answered.append(message)
            else:
                self._others.append(message)
        for landing in answered:
            self._flying.pop(landing.work.document.id, None)
            self._orphans.discard(landing.work.document.id)
        if not any(landing.error for landing in answered):
            self._dispatch()  # the agent has to do while all else is written
        self._land(answered)
        for one in looked:
            if one.resets == self._resets:
                self._decide(one.documents, one.sources)
        self._dispatch()
        if self._should_mark():
            self._mark()
        fates, self._fates = self._fates, []
        others, self._others = self._others, []
        return fates, others

    def close(self) -> None:
        """Begin nothing new; what flies may land."""
        self._closed = True

    def let_go(self) -> None:
        """The flow is not used any more: what it still has in hand is free for others."""
        self._closed = True
        self._finalizer()
        self.site.journal.let_go(self.holder)

    def reset(self) -> None:
        """Let go of everything in hand after an error of the journal; the next asking finds it
        again. What an agent is still doing is not begun a second time before it is answered."""
        self._resets += 1
        self._orphans.update(self._flying)
        self._active.clear()
        self._again.clear()
        self._ready.clear()
        self._flying.clear()
        self._places.clear()
        self._held.clear()
        self._unmarked.clear()

    def drain(self, deadline: float | None = None) -> list[Fate]:
        """Step until nothing is in hand or the monotonic *deadline* has come."""
        fates: list[Fate] = []
        while self.busy:
            rest = None if deadline is None else deadline - time.monotonic()
            if rest is not None and rest <= 0:
                break
            fates += self.step(rest)[0]
        return fates

    def _receive(self, timeout: float | None) -> list[Any]:
        messages: list[Any] = []
        if self._unmarked:
            rest = max(0.0, self._mark_by - time.monotonic())
            timeout = rest if timeout is None else min(timeout, rest)
        try:
            if not (self._fates or self._others or self._can_dispatch()):
                messages.append(self.inbox.get(timeout=timeout))
            while True:
                messages.append(self.inbox.get_nowait())
        except queue.Empty:
            if messages:
                self._gather(messages)
            return messages

    def _gather(self, messages: list[Any]) -> None:
        """Wait for more answers, as long as nothing else has come and the agent is busy."""
        due = time.monotonic() + GATHER_SECONDS
        enough = ENOUGH * self._capacity
        with contextlib.suppress(queue.Empty):
            while isinstance(messages[-1], Answered) and len(self._flying) - len(messages) > enough:
                messages.append(self.inbox.get(timeout=max(0.0, due - time.monotonic())))

    # -- deciding ---------------------------------------------------------------------------

    def decide_for(
        self, document: Document, sources: dict[str, Source], entry: Entry | None
    ) -> tuple[Source, Decision]:
        """Return the decision as of now; nothing is done. ``explain`` and the plan use it."""
        source = self._with_settling(self.site.source_of(document, sources))
        site = self.site
        decision = decide(
            document,
            source,
            entry,
            site.guard.view,
            site.nas,
            site.policy,
            site.now(),
            manual=self.manual,
        )
        return source, decision

    def _with_settling(self, source: Source) -> Source:
        if source.kind is not SourceKind.FILE or source.version is None or source.settled:
            return source
        settled = self._settled is None or (
            source.relative is not None and self._settled(source.relative, source.version)
        )
        return Source(source.relative, source.kind, source.version, settled)

    def _decide(self, documents: list[Document], sources: dict[str, Source]) -> None:
        entries = self.site.journal.entries(self.table.scope, [d.id for d in documents])
        for document in self._as_marked_now(documents, entries):
            entry = entries.get(document.id)
            source, decision = self.decide_for(document, sources, entry)
            self._act(document, source, entry, decision)

    def _as_marked_now(
        self, documents: list[Document], entries: Mapping[str, Entry]
    ) -> list[Document]:
        """A row that says "not marked" of what the journal knows as marked may be older than the
        mark, another flow's perhaps: it is read again, before the NAS is read for nothing."""
        doubtful = [d.id for d in documents if not d.synced and _is_known(d, entries.get(d.id))]
        if not doubtful:
            return documents
        try:
            fresh = self.table.get(doubtful)
        except (DatabaseUnavailableError, ConfigurationError):
            return documents
        return [fresh.get(document.id, document) for document in documents]

    def _act(
        self, document: Document, source: Source, entry: Entry | None, decision: Decision
    ) -> None:
        match decision:
            case Copy():
                self._entries[document.id] = entry
                self._ready.append(self._work(document, source, entry, decision))
            case Mark() if self._in_other_hands(entry):
                self._tell_elsewhere(document)
            case Mark(receipt):
                self._to_mark({document.id: Marking(document, receipt, False, time.monotonic())})
            case Unmark(reason):
                self._unmark(document, reason)
            case Wait(reason, until):
                self._wait(document, source, entry, reason, until)
            case Refuse(reason):
                if not _stands(entry, document, State.PROBLEM, reason):
                    self._note(document, State.PROBLEM, reason, source)
                self._tell(Fate(document, FateKind.REFUSED, reason))
            case Rest(reason):
                self._tell(Fate(document, FateKind.NOTHING, reason))

    def _in_other_hands(self, entry: Entry | None) -> bool:
        other = entry.holder if entry else None
        return other is not None and other != self.holder and self.site.journal.alive(other)

    def _tell_elsewhere(self, document: Document) -> None:
        until = self.site.now() + dt.timedelta(seconds=ELSEWHERE_SECONDS)
        self._tell(Fate(document, FateKind.WAITING, Reason("wait.elsewhere")), until)

    def _work(
        self, document: Document, source: Source, entry: Entry | None, decision: Copy
    ) -> Work:
        work = Work(document, source, decision)
        intent = entry.intent if entry and entry.file_path == document.file_path else None
        if intent is not None and intent.nas == self.site.nas:
            work.stale = (intent.temp,)
            work.earlier = tuple(p for p in intent.candidates if p not in decision.candidates)
        return work

    def _wait(
        self,
        document: Document,
        source: Source,
        entry: Entry | None,
        reason: Reason,
        until: dt.datetime | None,
    ) -> None:
        if self.manual and source.kind is SourceKind.MISSING:
            self._note_unless_known(document, source, entry, reason)
            self._tell(Fate(document, FateKind.FAILED, Reason("source.missing", reason.params)))
            return
        if reason.code == "wait.backoff":  # the entry says failed, and why: keep it so
            self._tell(Fate(document, FateKind.WAITING, reason), until)
            return
        state = State.WAITING
        if entry and entry.file_path == document.file_path and reason.code in _PROBLEMS:
            lasting = (self.site.now() - entry.since).total_seconds()
            problem = _PROBLEMS[reason.code]
            told = _code(entry) == problem and entry.state is State.PROBLEM
            long = lasting > self.site.policy.missing_problem_seconds
            if told or (long and _code(entry) == reason.code):
                state, reason = State.PROBLEM, Reason(problem, reason.params)
        if not _stands(entry, document, state, reason):
            self._note(document, state, reason, source, keep_intent=True)
        self._tell(Fate(document, FateKind.WAITING, reason), until or self._for_event())

    def _for_event(self) -> dt.datetime | None:
        """None when the mount's or the folder's return will be told; else when to ask again."""
        uploads = self.site.uploads.view.state
        if not self.site.guard.view.usable or uploads not in (
            UploadsState.OK,
            UploadsState.UNKNOWN,
        ):
            return None
        return self.site.now() + dt.timedelta(seconds=EVENT_SECONDS)

    def _note_unless_known(
        self, document: Document, source: Source, entry: Entry | None, reason: Reason
    ) -> None:
        if not _stands(entry, document, State.WAITING, reason):
            self._note(document, State.WAITING, reason, source, keep_intent=True)

    def _note(
        self,
        document: Document,
        state: State,
        reason: Reason | None,
        source: Source | None = None,
        **more: Any,
    ) -> None:
        relative = source.relative if source else None
        self.site.journal.note(
            self.table.scope,
            document,
            state,
            reason,
            relative=relative,
            holder=self.holder,
            **more,
        )

    def _tell(self, fate: Fate, until: dt.datetime | None = None) -> None:
        document_id = fate.document.id
        self._active.discard(document_id)
        self._entries.pop(document_id, None)
        if document_id in self._again:  # something happened to it meanwhile: look at it anew
            self._again.discard(document_id)
            until = self.site.now()
            self.waits[document_id] = until
        elif fate.kind is FateKind.WAITING:
            self.waits[document_id] = until
        else:
            self.waits.pop(document_id, None)
        self._fates.append(fate)
        self._on_fate(fate)

    # -- copying ----------------------------------------------------------------------------

    @property
    def _usual(self) -> int:
        return self.site.plan.workers * IN_FLIGHT_PER_WORKER

    @property
    def _capacity(self) -> int:
        """How many may be copied at once: enough that the agent has something to do while what
        came back is written down, and no more than land soon."""
        soon = int(self._pace * LAND_SECONDS)
        return min(max(self._usual, soon), MOST_TIMES * self._usual)

    def _can_dispatch(self) -> bool:
        return bool(self._ready) and not self._closed and len(self._flying) < self._capacity

    def _dispatch(self) -> None:
        """Begin as many copies as there is room for; their intents are journaled together."""
        while self._can_dispatch():
            self._dispatch_group(self.site.nas if self.site.guard.view.usable else None)

    def _dispatch_group(self, nas: str | None) -> None:
        group: list[Work] = []
        while self._can_dispatch() and len(self._flying) + len(group) < self._capacity:
            work = self._ready.popleft()
            if nas is None:
                self._wait_for_mount(work)
                continue
            plain = place_key(work.decision.candidates[0])
            taker = self._places.get(plain)
            if taker is not None and taker != work.document.id:
                self._held.setdefault(plain, []).append(work)
                continue
            self._places[plain] = work.document.id
            group.append(work)
        if group and nas is not None:
            self._begin(group, nas)

    def _wait_for_mount(self, work: Work) -> None:
        view = self.site.guard.view
        reason = Reason("wait.mount", {"state": view.trouble})
        entry = self.site.journal.entry(self.table.scope, work.document.id)
        self._wait(work.document, work.source, entry, reason, None)

    def _begin(self, group: list[Work], nas: str) -> None:
        site, scope = self.site, self.table.scope
        wanted = [p for w in group for p in (*w.decision.candidates, *w.earlier)]
        owners = site.journal.owners(nas, [p for p in wanted if SHA_PLACE not in p])
        works = []
        for work in group:
            mine = (scope, work.document.id, work.document.file_path)

            def free(place: str, mine: tuple[Scope, str, str] = mine) -> bool:
                owner = owners.get(place_key(place))
                return owner is None or tuple(owner) == mine

            work.places = tuple(filter(free, work.decision.candidates))
            work.earlier = tuple(filter(free, work.earlier))
            intent = site.intent(nas, work.places + work.earlier)
            work.temp = intent.temp
            works.append((work.document, work.source.relative or "", intent))
        may = site.journal.begin(works, scope, holder=self.holder, decided_on=self._entries)
        for work in group:
            if work.document.id in may:
                self._flying[work.document.id] = work
                self._ask(work, nas)
            else:
                self._release(work)
                self._tell_elsewhere(work.document)

    def _ask(self, work: Work, nas: str) -> None:
        site, version = self.site, work.source.version
        identity = site.guard.identity
        folder, _, name = work.temp.rpartition("/")
        work.asked, work.among = time.monotonic(), len(self._flying)
        asked = site.agent.ask(
            "copy",
            root=site.plan.nas_path,
            nas=nas,
            file_system=identity.file_system if identity else "",
            uploads=site.plan.upload_dir,
            relative=work.source.relative,
            version=[version.size, version.mtime_ns, version.inode] if version else None,
            candidates=work.places,
            adopt_only=work.earlier,
            temp_folder=folder,
            temp=name,
            stale=work.stale,
            min_free=site.plan.min_free_bytes,
        )
        work.answer = asked
        asked.add_done_callback(lambda done: self._answered(work, done))

    def _answered(self, work: Work, done: Future[Message]) -> None:
        error = done.exception()
        if error is None:
            self.inbox.put(Answered(work, done.result(), None))
        elif isinstance(error, SyncError):
            self.inbox.put(Answered(work, None, error))
        else:
            self.inbox.put(Answered(work, None, SyncError(f"{type(error).__name__}: {error}")))

    def _release(self, work: Work) -> None:
        """Give the place free, and let the one through that waited for it."""
        plain = place_key(work.decision.candidates[0])
        if self._places.get(plain) == work.document.id:
            del self._places[plain]
            waiting = self._held.pop(plain, [])
            self._ready.extendleft(reversed(waiting))

    # -- landing ----------------------------------------------------------------------------

    def _land(self, answered: list[Answered]) -> None:
        receipts: list[tuple[Document, str, Receipt, str | None]] = []
        landed: dict[str, Marking] = {}
        works = {one.work.document.id: one.work for one in answered}
        marking = not self.database_away()
        for one in answered:
            work = one.work
            self._release(work)
            if one.error is not None:
                self._failed(work, one.error)
            elif one.result is not None:
                receipt = self._receipt(work, one.result)
                adopted = bool(one.result["adopted"])
                temp = None if adopted else work.temp
                receipts.append((work.document, work.source.relative or "", receipt, temp))
                landed[work.document.id] = Marking(
                    work.document, receipt, adopted, work.begun, noted=marking
                )
                self._learn_pace(work)
                self._unconfirmed.pop(work.document.id, None)
        if receipts:
            for document_id in self.site.journal.receive(receipts, marking=marking):
                self._yield_place(works[document_id], landed.pop(document_id).receipt)
            self._to_mark(landed)

    def _learn_pace(self, work: Work) -> None:
        """What is in flight, divided by how long it takes to land, is the pace (Little's law)."""
        took = max(time.monotonic() - work.asked, 0.001)
        self._pace += (work.among / took - self._pace) / self._usual

    def _yield_place(self, work: Work, receipt: Receipt) -> None:
        """Another process has taken that very file for its document: try the next name."""
        told = {place_key(p) for p in work.places + work.earlier if SHA_PLACE not in p}
        if place_key(receipt.destination) in told:
            self._active.discard(work.document.id)
            self.offer([work.document])
        else:  # the name with the digest is the last one
            error = PlaceTakenError(receipt.destination, path=receipt.destination)
            self._park(work, Reason(error.code, dict(error.params)), error)

    def _receipt(self, work: Work, result: Message) -> Receipt:
        return Receipt(
            scope=self.table.scope,
            id=work.document.id,
            file_path=work.document.file_path,
            version=SourceVersion(*result["version"]),
            sha256=result["sha256"],
            nas=self.site.nas or "",
            destination=result["destination"],
            received_at=self.site.now(),
            filed_as=work.decision.filed_as,
        )

    def _to_mark(self, markings: dict[str, Marking]) -> None:
        if not self._unmarked:
            self._mark_by = time.monotonic() + MARK_SECONDS
        self._unmarked.update(markings)

    def _should_mark(self) -> bool:
        """Whether the flags of what was received are not to wait for others."""
        if not self._unmarked:
            return False
        enough = len(self._unmarked) >= MARK_ENOUGH or time.monotonic() >= self._mark_by
        return enough or self._closed or not (self._flying or self._ready)

    def _mark(self) -> None:
        """Set the flags of what was received; without the database the receipts wait."""
        group, self._unmarked = self._unmarked, {}
        if self.database_away():
            self._keep_unmarked(group, Reason(DatabaseUnavailableError.code))
            return
        scope, journal = self.table.scope, self.site.journal
        others = {id_: one.document for id_, one in group.items() if not one.noted}
        if others:
            moves = [(document, State.MARKING, None, None) for document in others.values()]
            ours = journal.note_all(scope, moves, holder=self.holder, only_from=_MARKABLE)
            for document_id in set(others) - ours:  # somebody else was quicker
                self._tell_elsewhere(group.pop(document_id).document)
        try:
            outcomes = self.table.mark(
                [(m.document.id, m.document.file_path) for m in group.values()], self.site.now()
            )
        except (DatabaseUnavailableError, ConfigurationError) as error:
            self._keep_unmarked(group, Reason(error.code, {"detail": error.detail}))
            return
        self._marked(group, outcomes)

    def _keep_unmarked(self, group: dict[str, Marking], reason: Reason) -> None:
        moves = [(marking.document, State.COPIED, reason, None) for marking in group.values()]
        self.site.journal.note_all(self.table.scope, moves, holder=self.holder, only_from=_MARKABLE)
        for marking in group.values():
            self._tell(Fate(marking.document, FateKind.WAITING, reason), self._soon())

    def _marked(self, group: dict[str, Marking], outcomes: dict[str, MarkOutcome]) -> None:
        scope, journal, now = self.table.scope, self.site.journal, time.monotonic()
        moves: list[tuple[Document, State, Reason | None, str | None]] = []
        fates = []
        for marking in group.values():
            document = marking.document
            outcome = outcomes.get(document.id, MarkOutcome.GONE)
            if outcome is MarkOutcome.MOVED:
                self._refused_mark(document)
                continue
            safe = outcome in (MarkOutcome.MARKED, MarkOutcome.ALREADY)
            why = None if safe else Reason(f"gone.{outcome}", {"path": document.file_path})
            moves.append((document, State.SYNCED if safe else State.GONE, why, None))
            kind = FateKind.SYNCED if safe else FateKind.NOTHING
            seconds = now - marking.begun
            fates.append(Fate(document, kind, why, marking.receipt, marking.adopted, seconds))
        journal.note_all(scope, moves, holder=self.holder, only_from=_MARKABLE | {State.SYNCED})
        for fate in fates:
            self._tell(fate)

    def _refused_mark(self, document: Document) -> None:
        """The row names another file by now, or the database keeps our update off: not at once
        again. If it is another file, the row is another document and waits for nothing."""
        entry = self.site.journal.entry(self.table.scope, document.id)
        attempts = (entry.attempts if entry else 0) + 1
        policy = self.site.policy
        wait = backoff_seconds(attempts, policy.retry_first_seconds, policy.retry_limit_seconds)
        until = self.site.now() + dt.timedelta(seconds=wait)
        reason = Reason("gone.moved", {"path": document.file_path})
        self._note(document, State.FAILED, reason, next_attempt=until, failed=True)
        self._tell(Fate(document, FateKind.NOTHING, reason))
        self.waits[document.id] = self._soon()

    def _soon(self) -> dt.datetime:
        return self.site.now() + dt.timedelta(seconds=self.site.policy.retry_first_seconds)

    def _unmark(self, document: Document, reason: Reason) -> None:
        """The flag goes back to false first; then the document is looked at anew."""
        try:
            self.table.unmark([(document.id, document.file_path)])
        except (DatabaseUnavailableError, ConfigurationError) as error:
            waiting = Reason(error.code, {"detail": error.detail})
            self._tell(Fate(document, FateKind.WAITING, waiting), self._soon())
            return
        self.site.journal.forget_receipt(self.table.scope, document, reason)
        self._tell(Fate(document, FateKind.WAITING, reason), self.site.now())

    # -- failing ----------------------------------------------------------------------------

    def _failed(self, work: Work, error: SyncError) -> None:
        if isinstance(error, NasFullError) and work.source.version:
            error.params.setdefault("needed", work.source.version.size)
        document, reason = work.document, Reason(error.code, dict(error.params))
        if isinstance(error, SourceChangedError):
            self._note(document, State.WAITING, Reason("wait.settling"), work.source)
            until = self.site.now() + dt.timedelta(seconds=self.site.policy.settle_seconds)
            self._tell(Fate(document, FateKind.WAITING, reason), until)
            return
        if error.whose in (Whose.MOUNT, Whose.UPLOADS) and not self._is_its_own(document, error):
            if error.whose is Whose.MOUNT:
                self.site.guard.trouble(error)
            # The rename may have happened, or may yet: the intent is resolved before all else.
            self._note(document, State.WAITING, reason, work.source, keep_intent=True)
            self._tell(Fate(document, FateKind.WAITING, reason), self._for_event())
            return
        self._park(work, reason, error)

    def _is_its_own(self, document: Document, error: SyncError) -> bool:
        """A trouble that the mount as a whole does not have, again and again, is the document's."""
        if isinstance(error, UploadsError) or not self.site.guard.view.usable:
            return False
        self._unconfirmed[document.id] += 1
        return self._unconfirmed[document.id] > UNCONFIRMED_LIMIT

    def _park(self, work: Work, reason: Reason, error: SyncError) -> None:
        document, policy = work.document, self.site.policy
        entry = self.site.journal.entry(self.table.scope, document.id)
        attempts = (entry.attempts if entry else 0) + 1
        problem = attempts >= policy.problem_after_attempts or not error.retryable
        wait = backoff_seconds(attempts, policy.retry_first_seconds, policy.retry_limit_seconds)
        if problem:
            wait = policy.problem_retry_seconds * random.uniform(1 - JITTER, 1)
        until = self.site.now() + dt.timedelta(seconds=wait)
        state = State.PROBLEM if problem else State.FAILED
        self._note(document, state, reason, work.source, next_attempt=until, failed=True)
        kind = FateKind.FAILED if error.retryable else FateKind.REFUSED
        self._tell(Fate(document, kind, reason), None)
        self.waits[document.id] = until


_MARKABLE = frozenset({State.COPIED, State.MARKING})
_PROBLEMS = {"wait.no_file": "problem.missing", "source.unreadable": "source.unreadable"}
"""What is a problem for a person when it has lasted for an hour."""


def backoff_seconds(attempts: int, first: float, limit: float) -> float:
    """Return how long to wait after the *attempts*-th failure: doubling, with jitter."""
    plain = min(limit, first * 2.0 ** min(attempts - 1, 30))
    return plain * random.uniform(1 - JITTER, 1 + JITTER)


def _is_known(document: Document, entry: Entry | None) -> bool:
    """Whether the journal has this very document as marked, with a receipt."""
    return (
        entry is not None
        and entry.state is State.SYNCED
        and entry.receipt is not None
        and entry.file_path == document.file_path
    )


def _stands(entry: Entry | None, document: Document, state: State, reason: Reason) -> bool:
    """Whether the journal says so already: then nothing is written, and ``since`` stays."""
    return (
        entry is not None
        and entry.file_path == document.file_path
        and entry.state is state
        and _code(entry) == reason.code
    )


def _code(entry: Entry) -> str | None:
    return entry.reason.code if entry.reason else None
