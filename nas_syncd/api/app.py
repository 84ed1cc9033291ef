"""The daemon's HTTP application: the calls, the page, health and metrics.

:class:`~nas_syncd.api.guard.Guard` stands before it and decides who may ask; what is said here of
somebody who is not trusted is only whether all is well.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from enum import Enum
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nas_syncd import __version__
from nas_syncd.api import shapes
from nas_syncd.api.answers import Answer, problem, problem_of
from nas_syncd.api.express import Express
from nas_syncd.api.problems import App, Scope
from nas_syncd.api.routes import Lang, SyncRoutes, figures_now, problems
from nas_syncd.api.stream import Bell, Hub, LogStream
from nas_syncd.desk import Desk
from nas_syncd.errors import DatabaseUnavailableError, SyncError
from nas_syncd.logs import Tap
from nas_syncd.messages import text

MONITORING: list[str | Enum] = ["monitoring"]
METRICS_SECONDS = 0.5
"""So old may the metrics be."""
MOST_ACCEPTS = 16
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ABOUT = """\
nas-syncd sees every finance document to safety on the NAS, and says how it stands.

Texts are in the language of the settings; `?lang=fr` or `?lang=en` asks for another one. Every
error is `{"detail": …, "code": …}`: a sentence with its remedy, and a stable code."""


def create_app(desk: Desk, hub: Hub, tap: Tap | None = None) -> App:
    """Return the application. It answers from *desk*; :class:`ApiServer` serves it.

    Args:
        tap: The daemon's last log lines, for ``GET /sync/log``; None: there are none.
    """
    app = FastAPI(
        title="nas-syncd",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        default_response_class=Answer,
        redirect_slashes=False,
    )
    _tell_errors(app, desk)
    routes = SyncRoutes(desk, hub)
    metrics = _MetricsPage(desk, hub)
    app.include_router(routes.router())
    _add_monitoring(app, desk, metrics)
    _add_log(app, tap)
    _add_page(app)
    often = {"/sync/status": lambda _scope: routes.status(), "/metrics": metrics.answer}
    return Express(app, often, desk.language)


# -- errors ---------------------------------------------------------------------------------


def _tell_errors(app: FastAPI, desk: Desk) -> None:
    def language(request: Request) -> str:
        asked = request.query_params.get("lang")
        return asked if asked in ("fr", "en") else desk.language()

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, SyncError)
        return problem_of(error, language(request))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "api.not_found", 405: "api.wrong_method"}.get(error.status_code, "api.error")
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, code, text(code, language(request)), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: Mapping[str, Any] = next(iter(error.errors()), {})
        name = ".".join(str(part) for part in first.get("loc", ())[1:])
        spoken = language(request)
        detail = first.get("msg") if spoken == "en" else first.get("ctx", {}).get("expected")
        words = text("api.invalid", spoken, name=name, detail=detail)
        return problem(422, "api.invalid", words)

    app.add_exception_handler(SyncError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


# -- health and metrics ---------------------------------------------------------------------


class _MetricsPage:
    """The page as rendered last: several who scrape at once get the same one."""

    def __init__(self, desk: Desk, hub: Hub) -> None:
        self._desk = desk
        self._hub = hub
        self._known: dict[str, tuple[float, tuple[bytes, str]]] = {}

    async def answer(self, scope: Scope) -> Response:
        with contextlib.suppress(DatabaseUnavailableError):  # a metric says so
            await figures_now(self._desk)
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        body, kind = self._page(accept.decode("latin-1"))
        return Response(body, headers={"Content-Type": kind})

    def _page(self, accept: str) -> tuple[bytes, str]:
        now = time.monotonic()
        at, page = self._known.get(accept, (0.0, (b"", "")))
        if not page[0] or now - at > METRICS_SECONDS:
            page = self._desk.metrics.render(self._desk.snapshot(self._hub.streams), accept)
            if len(self._known) >= MOST_ACCEPTS:
                self._known.clear()
            self._known[accept] = now, page
        return page


def _add_monitoring(app: FastAPI, desk: Desk, page: _MetricsPage) -> None:
    async def healthz() -> Answer:
        """Whether the daemon's loop turns; it needs no token."""
        health = desk.health()
        return Answer(health, status_code=200 if health["status"] == "ok" else 503)

    async def readyz(request: Request, lang: Lang = None) -> Answer:
        """Whether documents can go their whole way now; it needs no token."""
        ready = desk.readiness(lang or desk.language())
        if not request.scope.get("nas_syncd.trusted", False):
            for check in ready["checks"].values():
                check["reason"] = None  # it may hold paths
        return Answer(ready, status_code=200 if ready["ready"] else 503)

    async def metrics(request: Request) -> Response:
        """What Prometheus reads; see docs/monitoring.md."""
        return await page.answer(request.scope)

    stuck = {"model": shapes.Health, "description": "The daemon's loop does not turn."}
    later = {"model": shapes.Readiness, "description": "Something is not there; says what."}
    plain = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(),
    }
    add, tags = app.add_api_route, MONITORING
    add("/healthz", healthz, response_model=shapes.Health, responses={503: stuck}, tags=tags)
    ready = {**problems(), 503: later}
    add("/readyz", readyz, response_model=shapes.Readiness, responses=ready, tags=tags)
    add("/metrics", metrics, response_class=Response, responses=plain, tags=tags)


# -- the log --------------------------------------------------------------------------------


def _add_log(app: FastAPI, tap: Tap | None) -> None:
    bell = Bell()
    if tap is not None:
        tap.listen(bell.ring)

    async def log(
        request: Request,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        follow: bool = False,
    ) -> Response:
        if tap is None or request.scope.get("nas_syncd.door") != "local":
            raise HTTPException(404)
        return LogStream(tap, bell, after, follow)

    app.add_api_route("/sync/log", log, include_in_schema=False, response_class=Response)


# -- the page -------------------------------------------------------------------------------


def _add_page(app: FastAPI) -> None:
    """Serve the page's few files from memory."""
    folder = resources.files("nas_syncd.api") / "page"
    files = {
        one.name: (one.read_bytes(), _TYPES[one.name.rpartition(".")[2]])
        for one in folder.iterdir()
        if one.name.rpartition(".")[2] in _TYPES
    }

    def asset(name: str) -> Response:
        content, kind = files[name]
        return Response(
            content,
            headers={"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-cache"},
        )

    async def page() -> Response:
        return asset("index.html")

    async def part(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return asset(name)

    methods = ["GET", "HEAD"]
    app.add_api_route("/", page, methods=methods, include_in_schema=False)
    app.add_api_route("/page/{name}", part, methods=methods, include_in_schema=False)
