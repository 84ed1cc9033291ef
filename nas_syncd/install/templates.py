"""The templates, wherever this installation has them, and how their blanks are filled.

A wheel carries them as package data; a checkout has the folders themselves, which are the one
source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

SYSTEM_UNIT = "systemd/nas-syncd.service"
USER_UNIT = "systemd/nas-syncd-user.service"
AGENT = "launchd/local.nas-syncd.plist"

_PACKAGED = Path(__file__).parent / "templates"
_CHECKOUT = Path(__file__).parents[2]
_BLANK = re.compile(r"@([A-Z][A-Z_]*)@")


def template(name: str) -> str:
    """Return the text of *name*, for instance ``systemd/nas-syncd.service``.

    Raises:
        FileNotFoundError: This installation is not whole.
    """
    for folder in (_PACKAGED, _CHECKOUT):
        path = folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"this installation lacks its template {name}")


def blanks(text: str) -> set[str]:
    """Return the names that stand between ``@`` signs in *text*."""
    return set(_BLANK.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with every blank filled. What a value holds is never taken for a blank.

    Raises:
        KeyError: A blank has no value.
    """
    return _BLANK.sub(lambda match: values[match[1]], text)
