"""A running daemon, asked through its local socket. Standard library only.

The command hands its work to the daemon where one runs: it has the settings, the journal and
the mount in hand already, and it may be asked by people who may not read any of these.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from nas_syncd import __version__
from nas_syncd.cli.exits import AnsweredError
from nas_syncd.localsocket import connect_local
from nas_syncd.messages import remedy

SOCKET = "daemon.sock"
CONNECT_SECONDS = 3.0
KNOCK_SECONDS = 5.0
"""A daemon that does not say within it how things stand is left alone."""
ANSWER_SECONDS = 15.0
"""For what the daemon answers from its memory, or from the database."""
LONGEST_ANSWER = 64 * 2**20

Data = dict[str, Any]


class GoneError(Exception):
    """The daemon does not answer, or not as we expect it: it has ended, or it is another one."""


class _Local(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock: socket.socket = connect_local(self._path, CONNECT_SECONDS)
        self.sock.settimeout(self.timeout)


class Remote:
    """One daemon. Thread-safe: each question has a connection of its own."""

    def __init__(self, path: Path, language: str, now: Data) -> None:
        """
        Args:
            now: What it answered when it was found; see :class:`nas_syncd.api.shapes.Now`.
        """
        self.path = path
        self.language = language
        self.found = now

    @property
    def pid(self) -> int:
        return int(self.found["pid"])

    def get(self, address: str, *, timeout: float = ANSWER_SECONDS, **query: object) -> Data:
        """Return the answer to a question.

        Raises:
            GoneError: There is none.
            AnsweredError: It says that it cannot be answered, and why.
        """
        return self._ask("GET", address, timeout, query)

    def post(self, address: str, *, timeout: float = ANSWER_SECONDS, **query: object) -> Data:
        """Have something done; return the answer. Raises what :meth:`get` does."""
        return self._ask("POST", address, timeout, query)

    def lines(
        self,
        address: str,
        *,
        timeout: float | None = ANSWER_SECONDS,
        on_head: Callable[[HTTPMessage], None] = lambda _head: None,
        **query: object,
    ) -> Iterator[str]:
        """Yield the lines of an answer as they come; the end is the answer's end.

        Args:
            timeout: How long nothing may come; None: for ever, until the daemon ends.
            on_head: Gets the answer's headers before its first line.

        Raises:
            GoneError: There is no answer, or it broke off.
            AnsweredError: It says that it cannot be answered, and why.
        """
        connection = _Local(self.path, timeout)
        try:
            answer = self._answer(connection, "GET", address, query)
            on_head(answer.headers)
            while line := answer.readline():
                yield line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        except (OSError, HTTPException) as error:
            raise GoneError(str(error)) from error
        finally:
            connection.close()

    def _ask(self, method: str, address: str, timeout: float, query: Data) -> Data:
        connection = _Local(self.path, timeout)
        try:
            body = self._answer(connection, method, address, query).read(LONGEST_ANSWER)
            data = json.loads(body)
        except (OSError, HTTPException, ValueError) as error:
            raise GoneError(str(error)) from error
        finally:
            connection.close()
        if not isinstance(data, dict):
            raise GoneError(f"{address}: no object")
        return data

    def _answer(
        self, connection: HTTPConnection, method: str, address: str, query: Data
    ) -> HTTPResponse:
        given = {name: value for name, value in query.items() if value is not None}
        words = urlencode({**given, "lang": self.language}, doseq=True, quote_via=quote)
        connection.request(method, f"{address}?{words}", headers={"Connection": "close"})
        answer = connection.getresponse()
        if answer.status >= 300:
            raise self._refusal(answer.status, answer.read(LONGEST_ANSWER))
        return answer

    def _refusal(self, status: int, body: bytes) -> Exception:
        """Return what an answer that is none means."""
        try:
            problem = json.loads(body)
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, LookupError, TypeError):
            return GoneError(f"status {status}")
        if code in ("api.not_found", "api.wrong_method", "api.invalid", "api.busy", "api.error"):
            return GoneError(detail)  # another version than ours, or it cannot now
        return AnsweredError(error_from_detail(code, detail, self.language))


def knock(path: Path, language: str) -> Remote | None:
    """Return the daemon that listens at *path*; None: nobody answers there, or an older one.

    Raises:
        PermissionError: We may not ask.
    """
    remote = Remote(path, language, {})
    try:
        connect_local(path, CONNECT_SECONDS).close()
        remote.found = remote.get("/sync/now", timeout=KNOCK_SECONDS)
    except PermissionError:
        raise
    except (OSError, GoneError, AnsweredError):
        return None
    known = {"version", "pid", "mount", "uploads", "database"} <= remote.found.keys()
    return remote if known and not is_older(str(remote.found["version"])) else None


def is_older(version: str) -> bool:
    """Whether *version* comes before ours."""
    return _numbers(version) < _numbers(__version__)


def _numbers(version: str) -> list[int]:
    plain = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in plain.group().split(".")] if plain else []


# -- words -------------------------------------------------------------------------------------


def error_from_detail(code: str, detail: str, language: str) -> Data:
    """Return ``code``, ``message`` and ``remedy`` of a sentence that may end with its remedy."""
    cure = remedy(code, language)
    if cure is not None and detail.endswith(f". {cure}"):
        return {"code": code, "message": detail[: -len(cure) - 2], "remedy": cure}
    return {"code": code, "message": detail, "remedy": None}


def error_from_reason(reason: Data) -> Data:
    """Return the same from a reason as the API tells it: ``code``, ``text``, ``remedy``."""
    return {"code": reason["code"], "message": reason["text"], "remedy": reason["remedy"]}


def why(reason: Data | None) -> str | None:
    """Return a reason's sentence with its remedy."""
    if reason is None:
        return None
    return f"{reason['text']}. {reason['remedy']}" if reason["remedy"] else str(reason["text"])
