"""A question to the person at the terminal."""

from __future__ import annotations

import sys

from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import DeclinedError

_YES = frozenset({"o", "oui", "y", "yes"})


def ask(call: Call, question: str) -> None:
    """Go on only with a yes.

    Raises:
        DeclinedError: The person said no, or nobody could be asked.
    """
    if not sys.stdin.isatty():
        raise DeclinedError(text=call.text("adopt.nobody", question=question))
    sys.stdout.write(f"{question} {call.text('adopt.choice')} ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().casefold() not in _YES:
        raise DeclinedError(text=call.text("adopt.nothing_done"))
