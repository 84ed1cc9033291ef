"""The calls below ``/sync``, answered from the desk.

Every handler is asynchronous and waits for nothing but its own answer; what asks the database
or does real work happens in the desk's threads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from nas_syncd.api import shapes
from nas_syncd.api.answers import Answer, problem
from nas_syncd.api.stream import EventStream, Hub, resume_point
from nas_syncd.desk import CUT_SHORT, Desk, Run, Wanted
from nas_syncd.desk.counted import Figures
from nas_syncd.desk.lists import DEFAULT, MOST
from nas_syncd.errors import DatabaseUnavailableError, SyncError
from nas_syncd.messages import explain, text
from nas_syncd.messages.asdata import reason_data
from nas_syncd.models import Reason
from nas_syncd.wishes import Wish

T = TypeVar("T")

QUICK_SECONDS = 0.04
RECENT_SECONDS = 2.0
"""A count that takes longer than the first is not waited for where there is one so recent."""
COUNT_SECONDS = 1.0
"""How long counting the documents is waited for; then the last count is told, or that there is
none."""
STALE_SECONDS = 30.0
"""So old may a count be that is told while the next one is late."""
LONGEST_ID = 300
LONGEST_PATH = 4200

Lang = Annotated[
    Literal["fr", "en"] | None, Query(description="The texts' language; else the settings'.")
]
User = Annotated[str | None, Query(max_length=LONGEST_ID, description="Only this user's.")]
DocumentId = Annotated[
    str, Path(min_length=1, max_length=LONGEST_ID, description="The row's primary key.")
]

CONTRACT: list[str | Enum] = ["the backend's five calls"]
LOOKING: list[str | Enum] = ["looking"]
WORK: list[str | Enum] = ["work"]

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Return what OpenAPI says of the errors that a call may answer with."""
    words = {
        400: "It cannot be done, and why.",
        401: "A token is needed.",
        403: "Asked from another site.",
        404: "Unknown.",
        409: "What was asked for contradicts itself.",
        413: "The body is too large.",
        421: "The Host header is not ours.",
        422: "A parameter is not as it must be.",
        503: "Not now: the database or the daemon does not answer; try again.",
    }
    every = (401, 403, 413, 421, 422, 503)
    chosen = sorted({*every, *statuses})
    return {one: {"model": shapes.Problem, "description": words[one]} for one in chosen}


async def figures_now(desk: Desk) -> Figures:
    """Return how many documents there are.

    Raises:
        DatabaseUnavailableError: They cannot be counted, or not soon enough.
    """
    trouble = desk.database_trouble()
    if trouble is not None:
        raise trouble
    figures = desk.figures.ask()
    if not isinstance(figures, Future):
        return figures
    coming = asyncio.wrap_future(figures)
    for patience, oldest in ((QUICK_SECONDS, RECENT_SECONDS), (COUNT_SECONDS, STALE_SECONDS)):
        try:
            return await asyncio.wait_for(asyncio.shield(coming), patience)
        except TimeoutError:
            known = desk.figures.known(oldest)
            if known is not None:
                return known  # a count that is late, and no trouble that we know of
    raise DatabaseUnavailableError(f"no answer within {COUNT_SECONDS:g} s")


class SyncRoutes:
    """The handlers; :meth:`router` has them all."""

    def __init__(self, desk: Desk, hub: Hub) -> None:
        self.desk = desk
        self.hub = hub

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/sync", default_response_class=Answer)
        self._contract(router)
        self._beyond(router)
        return router

    def _contract(self, router: APIRouter) -> None:
        add, tags = router.add_api_route, CONTRACT
        add("/status", self.status, response_model=shapes.Status, responses=problems(), tags=tags)
        add("/config", self.config, response_model=shapes.Config, responses=problems(), tags=tags)
        add(
            "/test",
            self.test,
            methods=["POST"],
            response_model=shapes.OutcomeWhy,
            responses=problems(),
            tags=tags,
        )
        add(
            "/run",
            self.run,
            methods=["POST"],
            response_model=shapes.RunResult,
            responses={
                202: {"model": shapes.Run, "description": "Begun; `url` tells how it goes."},
                **problems(400),
            },
            tags=tags,
        )
        add(
            "/document/{document_id:path}",
            self.document,
            methods=["POST"],
            response_model=shapes.OutcomeWhy,
            responses=problems(400, 404),
            tags=tags,
        )

    def _beyond(self, router: APIRouter) -> None:
        add = router.add_api_route
        add("/now", self.now, response_model=shapes.Now, responses=problems(), tags=LOOKING)
        add(
            "/documents",
            self.documents,
            response_model=shapes.DocumentPage,
            responses=problems(404),
            tags=LOOKING,
        )
        add(
            "/explain",
            self.explain,
            response_model=dict[str, Any],
            responses=problems(),
            tags=LOOKING,
        )
        add(
            "/months",
            self.months,
            response_model=shapes.Months,
            responses=problems(),
            tags=LOOKING,
        )
        add(
            "/events",
            self.events,
            response_class=Response,
            responses={
                200: {
                    "description": "Server-sent events: `now`, `fate`, `mount`, `missed`.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                },
                **problems(),
            },
            tags=LOOKING,
        )
        add(
            "/documents/{document_id:path}/retry",
            self.retry,
            methods=["POST"],
            status_code=202,
            response_model=shapes.Queued,
            responses=problems(400, 404),
            tags=WORK,
        )
        add(
            "/documents/{document_id:path}",
            self.one,
            response_model=dict[str, Any],
            responses=problems(400, 404),
            tags=LOOKING,
        )
        add(
            "/runs",
            self.begin,
            methods=["POST"],
            status_code=202,
            response_model=shapes.Run,
            responses=problems(400, 409),
            tags=WORK,
        )
        add(
            "/runs/{run}",
            self.look,
            response_model=shapes.Run,
            responses=problems(404),
            tags=WORK,
        )

    # -- the five calls ---------------------------------------------------------------------

    async def status(self, user_id: User = None, lang: Lang = None) -> Answer:
        """How many documents there are, how many are safe, what waits, and why."""
        language = self._language(lang)
        if user_id is not None:
            return Answer(await self._ask(lambda: self.desk.status_of(user_id, language)))
        return Answer(self.desk.status(await figures_now(self.desk), language))

    async def config(self, lang: Lang = None) -> Answer:
        """What is set, and whether the NAS can be used now."""
        return Answer(self.desk.config(self._language(lang)))

    async def test(self, lang: Lang = None) -> Answer:
        """Write, flush, read back and remove a small file on the NAS."""
        language = self._language(lang)
        try:
            await self._ask(self.desk.test, patient=True)
        except SyncError as error:
            return Answer(_outcome(Reason(error.code, _params(error)), language))
        return Answer(_success(text("test.ok", language)))

    async def run(
        self,
        user_id: User = None,
        wait: Annotated[
            bool, Query(description="False: answer 202 at once, with where to look.")
        ] = True,
        lang: Lang = None,
    ) -> Answer:
        """Copy everything that is not marked, and say what became of it."""
        language = self._language(lang)
        run = await self._begin(Wish(user=user_id), language)
        if not wait:
            return _accepted(run)
        await asyncio.wrap_future(run.finished)
        if run.error is not None and not run.lines:
            raise run.error  # nothing was begun
        return Answer(run.result())

    async def document(self, document_id: DocumentId, lang: Lang = None) -> Answer:
        """Copy one document now."""
        language = self._language(lang)
        finished = await self._ask(lambda: self.desk.sync_one(document_id, language), patient=True)
        run: Run = await asyncio.wrap_future(finished)
        line = run.lines[-1] if run.lines else None
        if run.error is not None:
            return Answer(_outcome(Reason(run.error.code, _params(run.error)), language))
        if line is None:  # the daemon ends
            return Answer(_outcome(Reason(CUT_SHORT), language))
        if line.ending in ("unknown", "gone"):  # the row was deleted meanwhile
            return problem(404, "document.unknown", text("document.unknown", language))
        if line.ending == "safe":
            root = self.desk.site.plan.nas_path.rstrip("/")
            return Answer(_success(text("sync.done", language, path=f"{root}/{run.place}")))
        why = line.reason or Reason("internal")
        return Answer({**_outcome(why, language), "message": line.text})

    # -- looking ----------------------------------------------------------------------------

    async def now(self, lang: Lang = None) -> Answer:
        """Everything at a glance, and the last fates."""
        language = self._language(lang)
        if not self.desk.turns():
            return problem(503, "api.stuck", text("api.stuck", language))
        with contextlib.suppress(DatabaseUnavailableError):  # `database` says so
            await figures_now(self.desk)
        return Answer({**self.desk.now(language), "recent": self.desk.recent(language)})

    async def documents(
        self,
        state: Annotated[
            shapes.DocumentState | None, Query(description="`pending`: whatever is not marked.")
        ] = None,
        user_id: User = None,
        cursor: Annotated[
            str | None, Query(max_length=1000, description="From the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = DEFAULT,
        lang: Lang = None,
    ) -> Answer:
        """List documents, page by page."""
        language = self._language(lang)
        wanted = Wanted(state, user_id, cursor, limit)
        return Answer(await self._ask(lambda: self.desk.page(wanted, language)))

    async def one(self, document_id: DocumentId, lang: Lang = None) -> Answer:
        """All that is known of one document: row, file, decision, receipt, what happens next."""
        language = self._language(lang)
        told = await self._ask(lambda: self._story(document_id, language), patient=True)
        return Answer(told.data)

    def _story(self, document_id: str, language: str) -> Any:
        self.desk.row(document_id)
        return self.desk.explain(document_id, language)

    async def explain(
        self,
        wanted: Annotated[str, Query(min_length=1, max_length=LONGEST_PATH)],
        lang: Lang = None,
    ) -> Answer:
        """The same for an id or a path; what ``nas-syncd explain --json`` prints."""
        language = self._language(lang)
        told = await self._ask(lambda: self.desk.explain(wanted, language), patient=True)
        return Answer({**told.data, "exit": int(told.exit)})

    async def months(self, user_id: User = None) -> Answer:
        """How complete each month is, by type."""
        return Answer(await self._ask(lambda: self.desk.months(user_id)))

    async def events(
        self,
        request: Request,
        after: Annotated[
            int | None, Query(ge=0, le=2**53, description="Resume after this fate.")
        ] = None,
        lang: Lang = None,
    ) -> Response:
        """Every fate, each change of the mount, and how things stand, as they happen."""
        after = resume_point(request.headers.get("last-event-id"), after)
        return EventStream(self.hub, self._language(lang), after)

    # -- work -------------------------------------------------------------------------------

    async def retry(self, document_id: DocumentId) -> Answer:
        """Try one document again now: its backoff is cleared."""
        found = await self._ask(lambda: self.desk.retry(document_id))
        url = f"/sync/documents/{quote(found)}"
        return Answer({"id": found, "queued": True, "url": url}, status_code=202)

    async def begin(
        self,
        id: Annotated[  # noqa: A002 - the parameter's name in the address
            list[Annotated[str, Query(max_length=LONGEST_ID)]] | None,
            Query(max_length=1000, description="These documents; none: all that are pending."),
        ] = None,
        everything: Annotated[bool, Query(description="What is pending, too.")] = False,
        user_id: User = None,
        inherited: Annotated[
            bool, Query(description="Check inherited flags by reading the NAS.")
        ] = False,
        lang: Lang = None,
    ) -> Answer:
        """Begin what ``nas-syncd sync`` does; the answer tells where to look."""
        ids = tuple(id or ())
        wish = Wish(ids, everything, user_id, inherited)
        if wish.contradicts_itself:
            return problem(409, "api.ids_or_all", text("api.ids_or_all", self._language(lang)))
        return _accepted(await self._begin(wish, self._language(lang)))

    async def look(
        self,
        run: Annotated[str, Path(max_length=40)],
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        lang: Lang = None,
    ) -> Answer:
        """How a run goes, or what became of it; in the language that it was asked for in."""
        language = self._language(lang)
        found = self.desk.runs.get(run)
        if found is None:
            return problem(404, "api.unknown_run", text("api.unknown_run", language))
        return Answer(found.as_json(after))

    # -- inside -----------------------------------------------------------------------------

    def _language(self, wanted: str | None) -> str:
        return wanted or self.desk.language()

    async def _ask(self, question: Callable[[], T], *, patient: bool = False) -> T:
        """Have it asked in a thread of the desk's; *patient* when the NAS or the upload folder is
        asked, so that nobody who asks the database waits behind it."""
        crew = self.desk.patient if patient else self.desk.crew
        return await asyncio.wrap_future(crew.run(question))

    async def _begin(self, wish: Wish, language: str) -> Run:
        def begin() -> Run:
            self.desk.require_nas()
            return self.desk.runs.begin(wish, language)

        return await self._ask(begin, patient=True)


def _success(message: str) -> dict[str, Any]:
    return {"success": True, "message": message, "reason": None}


def _outcome(why: Reason, language: str) -> dict[str, Any]:
    """Return what could not be done, and why."""
    message = explain(why, language)
    return {"success": False, "message": message, "reason": reason_data(why, language)}


def _params(error: SyncError) -> dict[str, Any]:
    return {"detail": error.detail, **error.params}


def _accepted(run: Run) -> Answer:
    data = run.as_json(0)
    return Answer(data, status_code=202, headers={"Location": data["url"]})
