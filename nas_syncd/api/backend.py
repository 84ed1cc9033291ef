"""The five calls as a router, for a FastAPI application that has users and sessions of its own.

The handlers are plain functions, so that FastAPI runs them in its thread pool: the NAS may hang.
What goes wrong is answered, not raised: the application needs no handler of ours, and its
session dependency sees a request that ended well. What the application's own dependencies
raise passes through.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from fastapi import APIRouter, Depends, Path, Query, params
from fastapi.responses import JSONResponse

from nas_syncd.api.shapes import Config, Outcome, Problem, RunResult, Status
from nas_syncd.errors import ConfigurationError, SyncError, Whose
from nas_syncd.messages import DEFAULT_LANGUAGE, LANGUAGES, render_error, text
from nas_syncd.service import NASSyncService

_log = logging.getLogger(__name__)

_STATUS = {
    Whose.MOUNT: 400,
    Whose.UPLOADS: 400,
    Whose.DATABASE: 503,
    Whose.CONFIGURATION: 500,
    Whose.JOURNAL: 500,
    Whose.DOCUMENT: 500,
}
_MEANINGS = {
    400: "The NAS cannot be used, or the document has no file; `detail` says why.",
    403: "The request is made in no user's name.",
    404: "There is no such document, or it is another user's.",
    500: "nas-syncd is not set up as it must be; `detail` says which setting.",
    503: "The database does not answer.",
}
_LANG = Query(None, description="`fr` or `en`; any other: the language of the settings.")
_USER = Query(None, description="Only this user's documents.")
_ID = Path(description="The document's primary key.")

Dependency = Any
"""A function, a class or an object to call, as FastAPI takes them (generators and ``async``
included); or ``Depends(…)``, ``Security(…)``, or an ``Annotated`` alias that holds one."""


def sync_router(
    get_db: Dependency,
    get_user_id: Dependency | None = None,
    *,
    prefix: str = "/sync",
    tags: Sequence[str | Enum] = ("sync",),
) -> APIRouter:
    """
    Return a router with the calls status, config, test, run and document.

    Args:
        get_db: The application's dependency that gives a synchronous SQLAlchemy ``Session``.
        get_user_id: The application's dependency that gives the id of the user who asks, as in
            the table's ``user_id``: int, str or UUID. All five calls then go through it, and
            deal with this user's documents only. None: everybody's, and ``?user_id=`` narrows
            status and run.
        prefix: What stands before ``/status`` and the others.
        tags: For the OpenAPI document.

    Settings are read with each request, as :class:`~nas_syncd.NASSyncService` reads them: a
    wrong one never keeps the application from starting.
    """
    protected = get_user_id is not None
    db_of = _depends(get_db)
    asker = _depends(get_user_id if protected else _everybody)
    narrowed = asker if protected else Depends(_user_of_query)
    router = APIRouter(prefix=prefix, tags=list(tags))

    def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
        wanted = sorted({*statuses, 500, *([403] if protected else [])})
        return {one: {"model": Problem, "description": _MEANINGS[one]} for one in wanted}

    @router.get("/status", name="sync_status", response_model=Status, responses=answers(503))
    def status(db: Any = db_of, user: Any = narrowed, lang: str | None = _LANG) -> Any:
        """How many documents there are, and how many of them are safe on the NAS."""
        return _Call(db, user, lang, protected).answer(
            lambda service, user: Status(**service.get_sync_stats(user))
        )

    @router.get("/config", name="sync_config", response_model=Config, responses=answers())
    def config(db: Any = db_of, user: Any = asker, lang: str | None = _LANG) -> Any:
        """What is set, and whether the NAS can be used now."""
        return _Call(db, user, lang, protected).answer(
            lambda service, _: Config(**service.get_config_status())
        )

    @router.post("/test", name="sync_test", response_model=Outcome, responses=answers())
    def test(db: Any = db_of, user: Any = asker, lang: str | None = _LANG) -> Any:
        """Write a small file on the NAS, read it back and remove it; say how it went."""
        return _Call(db, user, lang, protected).answer(lambda service, _: _tested(service))

    @router.post("/run", name="sync_run", response_model=RunResult, responses=answers(400, 503))
    def run(db: Any = db_of, user: Any = narrowed, lang: str | None = _LANG) -> Any:
        """Copy everything that is not safe yet; the answer comes when all of it has ended."""
        return _Call(db, user, lang, protected).answer(
            lambda service, user: RunResult(**service.run(user))
        )

    @router.post(
        "/document/{id}",
        name="sync_document",
        response_model=Outcome,
        responses=answers(400, 404, 503),
    )
    def document(
        id: str = _ID,  # noqa: A002 - the contract's name for it
        db: Any = db_of,
        user: Any = asker,
        lang: str | None = _LANG,
    ) -> Any:
        """Copy one document now."""
        return _Call(db, user, lang, protected).answer(
            lambda service, user: _copied(service, id, user)
        )

    return router


# -- one request ------------------------------------------------------------------------------


class _Call:
    """What a request has brought, and how it is answered."""

    def __init__(self, db: Any, user: Any, lang: str | None, protected: bool) -> None:
        self._db = db
        self._user = user
        self._lang = lang if lang in LANGUAGES else None
        self._protected = protected

    def answer(self, work: Callable[[NASSyncService, str | None], Any]) -> Any:
        """Return what *work* returns, or the problem that kept it from its end."""
        language = self._lang or DEFAULT_LANGUAGE
        try:
            service = NASSyncService(self._db, language=self._lang)
            language = service.language
            user = user_text(self._user, language)
            if self._protected and not user:
                return _problem(403, text("backend.no_user", language), "backend.no_user")
            return work(service, user)
        except SyncError as error:
            return _problem(_STATUS[error.whose], _words(error, language), error.code)


def user_text(user: object, language: str) -> str | None:
    """Return a user's id as the documents table takes it.

    Raises:
        ConfigurationError: It is no id: a whole user, a coroutine, a function.
    """
    if user is None:
        return None
    if isinstance(user, str):
        return str.__str__(user)  # an enum's own would be its name
    if isinstance(user, int | uuid.UUID) and not isinstance(user, bool):
        return str(int(user)) if isinstance(user, int) else str(user)
    given = type(user).__name__
    raise ConfigurationError(text("backend.user_kind", language, given=given), given=given)


def _tested(service: NASSyncService) -> Outcome:
    success, message = service.test_connection()
    return Outcome(success=success, message=message)


def _copied(service: NASSyncService, document_id: str, user: str | None) -> Any:
    told = service.sync_document(document_id, user)
    statuses = {"document.unknown": 404, "document.no_file": 400, "database.unavailable": 503}
    if told.code in statuses:
        return _problem(statuses[told.code], told.message, told.code)
    return Outcome(success=told.success, message=told.message)


def _words(error: SyncError, language: str) -> str:
    """A refused setting is one line that says all, in the language that is set."""
    if error.code == ConfigurationError.code and error.detail:
        return error.detail
    return render_error(error, language)


def _problem(status: int, detail: str, code: str) -> JSONResponse:
    if status >= 500:
        _log.error("backend.refused status=%s code=%s detail=%s", status, code, detail)
    return JSONResponse(Problem(detail=detail, code=code).model_dump(), status)


# -- dependencies -----------------------------------------------------------------------------


def _everybody() -> None:
    """Nobody in particular asks: everybody's documents are meant."""


def _user_of_query(user_id: str | None = _USER) -> str | None:
    return user_id


def _depends(given: Dependency) -> Any:
    """Return *given* in the form that stands as a parameter's default."""
    origin: Any = get_origin(given)
    kind, *extras = get_args(given) if origin is Annotated else (given,)
    for one in (kind, *extras):
        if isinstance(one, params.Depends) and one.dependency is not None:
            return one
    return Depends(kind)
