"""Ctrl-C while something is under way that has a safe point to stop at."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stops_on_ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C calls *stop* and nothing else; the second one raises at once.

    *stop* runs in the signal's handler: it may set flags, and not write. Who started us with
    interrupts ignored (a shell does so for its background jobs) keeps that.

    Raises:
        KeyboardInterrupt: At the second one, wherever the block is then.
    """
    pressed = False

    def on_ctrl_c(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        stop()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, on_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
