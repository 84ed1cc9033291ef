"""``nas-syncd status --watch``: how things stand, again and again, until Ctrl-C."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import FrameType
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import DaemonGoneError, Exit
from nas_syncd.cli.ourselves import Ourselves, by_ourselves
from nas_syncd.cli.panel import panel
from nas_syncd.cli.picture import Picture, picture_of
from nas_syncd.cli.reach import Reached, reach
from nas_syncd.cli.remote import GoneError
from nas_syncd.cli.status import sentence
from nas_syncd.errors import SyncError

SECONDS = 1.0
"""Between two looks at what a daemon tells from its memory."""
OWN_SECONDS = 2.0
"""Between two looks of our own, which ask the database."""


def watch(call: Call, user: str | None) -> int:
    """Show how things stand until Ctrl-C, and return 0 then.

    On a terminal a picture that stays up to date, with ``--json`` one object in a line at each
    change, elsewhere one sentence at each change.

    Raises:
        ConfigurationError: A setting is wrong, or ``DATABASE_URL`` is empty.
        DaemonNeededError: The settings are not ours to read, and no daemon answers.
        JournalError: The state directory cannot be used.
    """
    with _ends_on_term(), ExitStack() as stack:
        sight = _Sight(call, reach(call, "database_url"), user)
        stack.callback(sight.close)
        show: Callable[[Picture], None] = _Lines(call).show
        if screen.on_terminal() and not call.as_json:
            show = stack.enter_context(_live(call))
        try:
            while True:
                show(sight.look())
                time.sleep(sight.pause)
        except KeyboardInterrupt:
            return Exit.DONE


class _Sight:
    """Looks through the daemon where one runs, else by ourselves; both may change."""

    def __init__(self, call: Call, reached: Reached, user: str | None) -> None:
        self._call = call
        self._reached = reached
        self._user = user
        self._ourselves: Ourselves | None = None
        self._open = ExitStack()
        self._last: Picture | None = None

    @property
    def pause(self) -> float:
        """How long to wait before the next look, in seconds."""
        return SECONDS if self._ourselves is None else OWN_SECONDS

    def look(self) -> Picture:
        """
        Raises:
            JournalError: The state directory cannot be used.
        """
        if self._reached.daemon is None:
            self._reach_again()
        picture = self._by_daemon()
        if picture is None and self._reached.settings is not None:
            picture = self._by_ourselves()
        if picture is None:
            picture = self._without_anybody()
        self._last = picture
        return picture

    def close(self) -> None:
        self._ourselves = None
        self._open.close()

    def _by_daemon(self) -> Picture | None:
        daemon = self._reached.daemon
        if daemon is None:
            return None
        try:
            picture = picture_of(self._call, daemon, self._user)
        except GoneError:
            self._reached = Reached(self._reached.settings, None)
            return None
        self.close()
        return picture

    def _reach_again(self) -> None:
        """Somebody may have started it; until then it is as it was."""
        with contextlib.suppress(SyncError):
            self._reached = reach(self._call, "database_url")

    def _by_ourselves(self) -> Picture:
        if self._ourselves is None:
            opened = by_ourselves(self._call, self._reached.ours)
            self._ourselves = self._open.enter_context(opened)
        else:
            self._ourselves.refresh()
        return self._ourselves.picture(self._user)

    def _without_anybody(self) -> Picture:
        """The settings are the daemon's, and it has gone: what we saw last, and that."""
        if self._last is None:
            raise DaemonGoneError
        data = {**self._last.data, "daemon": None, "in_flight": []}
        data["error"] = self._call.error_data(DaemonGoneError())
        return Picture(data, self._last.problems, self._last.fates)


class _Lines:
    """Writes down each change, for a program or for who reads it later."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._shown: object = None

    def show(self, picture: Picture) -> None:
        call = self._call
        state = _changing(picture.data) if call.as_json else sentence(call, picture)[0]
        if state == self._shown:
            return
        self._shown = state
        if call.as_json:
            call.answer_line(picture.data)
            return
        at = dt.datetime.now().astimezone().strftime("%H:%M:%S")
        call.say(f"{at} {state}", at_once=True)


def _changing(data: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a change: not that it was checked again, nor each byte that is copied."""
    mount = {k: v for k, v in data["mount"].items() if k not in ("checked_at", "free_bytes")}
    flying = [one["id"] for one in data["in_flight"]]
    no_row = [one["path"] for one in data["no_row"]]
    return {**data, "mount": mount, "in_flight": flying, "no_row": no_row}


@contextlib.contextmanager
def _live(call: Call) -> Iterator[Callable[[Picture], None]]:
    """Take the whole terminal; at the end it is as it was, with the last sentence below."""
    from rich.live import Live

    last: list[Picture] = []
    console = screen.console()
    with Live(console=console, screen=True, auto_refresh=False, transient=True) as live:

        def show(picture: Picture) -> None:
            last[:] = [picture]
            live.update(panel(call, picture, console), refresh=True)

        yield show
    for picture in last:
        words, good = sentence(call, picture)
        screen.headline(call, words, good=good)


@contextlib.contextmanager
def _ends_on_term() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does: the terminal is given back."""

    def on_term(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, on_term)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
