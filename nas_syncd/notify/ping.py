"""A dead man's switch: somebody else's clock that rings when we no longer call."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

from nas_syncd.notify.send import harmless

PING_SECONDS = 10.0


def ping(url: str, agent: str, seconds: float = PING_SECONDS) -> str | None:
    """Ask for *url* (http or https); return None when the answer was a good one, else why not,
    without a part of *url*.

    The deadline is each step's (the name's look-up has none): call it where nobody waits.
    """
    request = urllib.request.Request(url, headers={"User-Agent": agent})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        with error:
            return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return harmless(f"{type(error.reason).__name__}: {error.reason}", url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return harmless(f"{type(error).__name__}: {error}", url)
    return None


class Pinger:
    """One ping at a time, each in a thread of its own that never keeps the process."""

    def __init__(self, url: str, agent: str, told: Callable[[str | None], None]) -> None:
        """
        Args:
            told: Called with why it failed, None when it did not; in that thread.
        """
        self._url = url
        self._agent = agent
        self._told = told
        self._thread: threading.Thread | None = None

    def call(self) -> bool:
        """Begin a ping; False: the last one is still under way."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._ping, name="ping", daemon=True)
        self._thread.start()
        return True

    def _ping(self) -> None:
        self._told(ping(self._url, self._agent))
