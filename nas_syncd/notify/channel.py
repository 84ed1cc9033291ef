"""One address and the thread that writes to it. Nothing waits for it, whatever it does.

The sending itself happens in a child process (:mod:`nas_syncd.notify.send`): Apprise costs
20 MiB, a second of start, and may hang in a name look-up; the child gives all of it back and can be
killed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from nas_syncd.agent.process import interpreter
from nas_syncd.notify.outbox import Letter, Outbox, address_key

SEND_SECONDS = 60.0
RETRY_SECONDS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
LONGEST_ANSWER = 10_000

_CODE = (
    "import sys,json;sys.path[:]=json.loads(sys.argv[1]);"
    "from nas_syncd.notify.send import main;sys.exit(main())"
)

Told = Callable[["Channel", Letter, str | None, float], None]
"""Told of each try: the letter, why it failed (None: it is there), when it is tried again."""


def scheme_of(url: str) -> str:
    """Return all that may be shown of an address: even its host may be a token."""
    return url.partition("://")[0]


class Channel:
    """See the module."""

    def __init__(
        self, url: str, outbox: Outbox, told: Told, environment: Mapping[str, str]
    ) -> None:
        self.scheme = scheme_of(url)
        self._url = url
        self._outbox = outbox
        self._told = told
        self._sender = Sender(environment)
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End it now; the outbox must be closed first. Waits half a second at most."""
        self._sender.close()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def _work(self) -> None:
        address, tries = address_key(self._url), 0
        while (letter := self._outbox.next_for(address)) is not None:
            failure = self._sender.send(self._url, letter)
            if failure is None:
                tries = 0
                self._outbox.done(address, letter)
                self._told(self, letter, None, 0.0)
                continue
            pause = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            tries += 1
            if self._outbox.wait_closed(0):
                return
            self._told(self, letter, failure, pause)
            if self._outbox.wait_closed(pause):
                return


class Sender:
    """Sends, one letter at a time, in a child process; :meth:`close` kills the child."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """
        Args:
            environment: All that the child gets: the way out of this network (proxies).
        """
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def send(self, url: str, letter: Letter, seconds: float = SEND_SECONDS) -> str | None:
        """Return None when it was taken at the other end, else why not; without any secret."""
        return self._ask(
            {"url": url, "title": letter.title, "body": letter.body, "type": letter.severity},
            seconds,
        )

    def check(self, url: str, seconds: float = SEND_SECONDS) -> str | None:
        """Return None when Apprise is there and understands *url*, else why not. Sends nothing."""
        return self._ask({"url": url, "check": True}, seconds)

    def _ask(self, order: dict[str, object], seconds: float) -> str | None:
        try:
            with self._lock:
                if self._closed:
                    return "closed"
                self._child = child = self._start()
        except OSError as error:
            return f"{type(error).__name__}: {error.strerror}"
        try:
            answer, _ = child.communicate(json.dumps(order).encode(), seconds)
        except subprocess.TimeoutExpired:
            return f"no answer in {seconds:g} s"
        except OSError as error:
            return f"{type(error).__name__}: {error.strerror}"
        finally:
            self._end(child)
        return _failure(answer, child.returncode)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        path = [str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)]
        return subprocess.Popen(
            [interpreter(), "-I", "-B", "-c", _CODE, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the parent
            env=self._environment,
        )

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=5)
        with self._lock:
            self._child = None


def _failure(answer: bytes, code: int | None) -> str | None:
    try:
        told = json.loads(answer[:LONGEST_ANSWER])
        return None if told["sent"] is True else str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the sending process ended with {code}"
