"""Who may ask: the outermost layer, before any route, in front of each of the two doors.

The local door (a Unix socket with rights of its own) is trusted. On the TCP door everything that a
hostile web page, a rebound host name or a stranger in the network could send is refused here, and
whatever is answered carries the headers that keep a browser from using it for others. There is no
CORS: no header ever allows another site anything.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Callable, Iterable
from enum import StrEnum

from pydantic import SecretStr

from nas_syncd.api import origin
from nas_syncd.api.body import BODY_SECONDS, MOST_BODY_BYTES, Body, drain
from nas_syncd.api.problems import (
    App,
    Header,
    Message,
    ProblemAnswer,
    Receive,
    Scope,
    Send,
    asked_language,
    header_values,
)
from nas_syncd.errors import ConfigurationError
from nas_syncd.logs import Repeater, get_logger
from nas_syncd.messages import text

LEAST_TOKEN = 16
"""Characters, where other computers can try theirs."""

PAGE = "/"
PAGE_FILES = "/page/"
OPEN_PATHS = frozenset({PAGE, "/healthz", "/readyz"})

SECURITY_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
_CLOSE: Header = (b"connection", b"close")

log = get_logger(__name__)


class Door(StrEnum):
    TCP = "tcp"
    LOCAL = "local"


def require_token(host: str, token: SecretStr | str, language: str = "fr") -> None:
    """
    Refuse settings that let other computers ask without a token, or with one easily guessed.

    Raises:
        ConfigurationError: One line in *language*: which setting, and what to do.
    """
    if origin.is_loopback(host):
        return
    given = _secret(token)
    if len(given) < LEAST_TOKEN:
        code = "api.token_short" if given else "api.token_needed"
        raise ConfigurationError(text(code, language, host=host, least=LEAST_TOKEN))


is_loopback = origin.is_loopback
own_hosts = origin.own_hosts


class Guard:
    """
    ASGI. Refuses or hands on; adds the headers; bounds bodies; outlives the application's errors.

    The application finds in its scope ``nas_syncd.door`` and ``nas_syncd.trusted`` (whether texts
    and paths may be shown). Bodies are read whole before it is called.

    Args:
        token: What the TCP door asks for; empty: nothing.
        hosts: Names under which the TCP door may be asked, besides localhost and IP addresses.
        language: Of refusals, unless ``?lang=`` asks for the other one.
    """

    def __init__(
        self,
        app: App,
        *,
        door: Door,
        token: SecretStr | str = "",
        hosts: Iterable[str] = (),
        language: str = "fr",
        body_bytes: int = MOST_BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._door = door
        self._token = _secret(token).encode("utf-8", "surrogateescape")
        self._hosts = frozenset(origin.plain_name(host) for host in hosts)
        self._language = language
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds
        self._errors = Repeater()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._serve(scope, receive, answer)
            await answer.release()
        except Exception as error:  # noqa: BLE001 - the application may fail in any way; we go on
            await self._failed(scope, answer, error)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        holder = self._holds_token(scope)
        scope["nas_syncd.door"] = self._door.value
        scope["nas_syncd.trusted"] = self._door is Door.LOCAL or not self._token or holder
        refusal = self._refusal(scope, holder=holder)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        body = Body(scope, receive, self._body_bytes, self._body_seconds)
        trouble = await body.read()
        if trouble is not None:
            await self._refuse_body(scope, receive, answer, trouble)
            return
        await self._app(scope, body.receive, answer)

    # -- who and from where ------------------------------------------------------------------

    def _holds_token(self, scope: Scope) -> bool:
        given = header_values(scope, b"authorization")
        if not self._token or len(given) != 1:
            return False
        scheme, _, token = given[0].strip().partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    def _refusal(self, scope: Scope, *, holder: bool) -> ProblemAnswer | None:
        """Return why this request is not handed on; None when it is."""
        language = asked_language(scope, self._language)
        if not scope["path"].startswith("/"):
            return ProblemAnswer(400, "api.bad_request", language, headers=[_CLOSE])
        if self._door is Door.LOCAL:
            return None
        asked = origin.asked_host(header_values(scope, b"host"))
        if not (holder or self._answers_to(asked, scope)):
            shown = b", ".join(header_values(scope, b"host")).decode("utf-8", "surrogateescape")
            return ProblemAnswer(421, "api.wrong_host", language, name=shown[:200])
        trusting = holder or (bool(self._token) and _is_page(scope["path"]))
        if origin.is_foreign(scope, asked, holder=trusting):
            return ProblemAnswer(403, "api.cross_site", language)
        if self._token and not holder and not _is_open(scope["path"]):
            challenge = (b"www-authenticate", b"Bearer")
            return ProblemAnswer(401, "api.unauthorized", language, headers=[challenge])
        return None

    def _answers_to(self, asked: origin.Asked | None, scope: Scope) -> bool:
        """A token keeps strangers out by itself; then the empty page may stand behind any name."""
        if self._token and _is_page(scope["path"]):
            return True
        return asked is not None and (asked.is_address or asked.name in self._hosts)

    # -- what goes wrong ---------------------------------------------------------------------

    async def _refuse_body(
        self, scope: Scope, receive: Receive, answer: _Answer, trouble: tuple[int, str]
    ) -> None:
        status, code = trouble
        if code:
            language = asked_language(scope, self._language)
            refusal = ProblemAnswer(
                status, code, language, headers=[_CLOSE], most_bytes=self._body_bytes
            )
            await refusal.begin(answer)
            await drain(receive)
            await answer({"type": "http.response.body", "body": b""})

    async def _failed(self, scope: Scope, answer: _Answer, error: Exception) -> None:
        key = (type(error), scope["path"])
        told = self._errors.should_log(key, dt.datetime.now(dt.UTC))
        if told is not None:
            log.error(
                "api.error",
                exc_info=error,
                method=scope["method"],
                path=scope["path"],
                count=told.count,
            )
        if answer.ended:
            return
        if answer.begun:
            _abort(scope)
            return
        language = asked_language(scope, self._language)
        await answer.replace(ProblemAnswer(500, "api.error", language))


class _Answer:
    """The way out: adds the headers, takes those away that nobody needs, knows how far it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[Message] = []
        """An answer 500: perhaps only the framework's bare one, before it raises the error."""
        self.begun = False
        self.ended = False

    async def __call__(self, message: Message) -> None:
        if self._held or message.get("status") == 500:
            self._held.append(message)
        else:
            await self._pass(message)

    async def release(self) -> None:
        """Send what was held back: it was meant."""
        held, self._held = self._held, []
        for message in held:
            await self._pass(message)

    async def replace(self, problem: ProblemAnswer) -> None:
        """Send *problem* in place of what was held back."""
        self._held.clear()
        await problem.begin(self._pass)
        await self._pass({"type": "http.response.body", "body": b""})

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _with_security(message.get("headers", ()))}
            self.begun = True
        elif not message.get("more_body", False):
            self.ended = True
        await self._send(message)


def _with_security(given: Iterable[Header]) -> list[Header]:
    kept = [
        (name, value)
        for name, value in given
        if name.lower() != b"server" and not name.lower().startswith(b"access-control-")
    ]
    names = {name.lower() for name, _ in kept}
    return kept + [header for header in SECURITY_HEADERS if header[0] not in names]


def _is_page(path: str) -> bool:
    return path == PAGE or (path.startswith(PAGE_FILES) and ".." not in path)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or _is_page(path)


def _secret(token: SecretStr | str) -> str:
    return (token.get_secret_value() if isinstance(token, SecretStr) else token).strip()


def _abort(scope: Scope) -> None:
    abort: Callable[[], None] | None = scope.get("nas_syncd.abort")
    if abort is not None:
        abort()


__all__ = ["Door", "Guard", "is_loopback", "own_hosts", "require_token"]
