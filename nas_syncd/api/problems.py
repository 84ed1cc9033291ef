"""An error answer as a bare ASGI application: for the places where no framework is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from nas_syncd.messages import remedy, text

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

_ASKED = re.compile(rb"(?:^|&)lang=(fr|en)(?:&|$)")


def header_values(scope: Scope, wanted: bytes) -> list[bytes]:
    """Return every value of the header *wanted* (in lower case), in order."""
    return [value for name, value in scope["headers"] if name.lower() == wanted]


def asked_language(scope: Scope, default: str) -> str:
    """Return what ``?lang=`` asks for, else *default*."""
    asked = _ASKED.search(scope.get("query_string", b""))
    return asked.group(1).decode() if asked else default


def problem_body(code: str, language: str, **params: object) -> bytes:
    """Return a Problem as JSON: what happened and what to do about it, and its stable code."""
    happened, cure = text(code, language, **params), remedy(code, language, **params)
    detail = f"{happened}. {cure}" if cure else happened
    return json.dumps({"detail": detail, "code": code}, ensure_ascii=False).encode()


class ProblemAnswer:
    """Answers with a Problem, whatever is asked. *params* fill the text's blanks."""

    def __init__(
        self,
        status: int,
        code: str,
        language: str,
        *,
        headers: Sequence[Header] = (),
        **params: object,
    ) -> None:
        self.status = status
        self.body = problem_body(code, language, **params)
        self.headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            *headers,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await self.begin(send)
        await send({"type": "http.response.body", "body": b""})

    async def begin(self, send: Send) -> None:
        """Send the whole answer, but leave its end to the caller."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
