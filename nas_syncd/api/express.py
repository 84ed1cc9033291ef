"""The short way for the two calls that pages and monitoring ask all the time.

FastAPI's own way to a handler costs more than the answer, in the one interpreter that also
copies. A plain ``GET /sync/status`` or ``GET /metrics`` is answered before it; with any parameter
they go the usual way, to the same handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from nas_syncd.api.answers import problem_of
from nas_syncd.api.problems import App, Receive, Scope, Send
from nas_syncd.errors import SyncError

Call = Callable[[Scope], Awaitable[Response]]


class Express:
    """Hands everything else on to the application."""

    def __init__(self, app: App, calls: Mapping[str, Call], language: Callable[[], str]) -> None:
        self._app = app
        self._calls = calls
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get(scope["path"]) if scope["type"] == "http" else None
        if call is None or scope["method"] != "GET" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        try:
            answer = await call(scope)
        except SyncError as error:
            answer = problem_of(error, self._language())
        await answer(scope, receive, send)
