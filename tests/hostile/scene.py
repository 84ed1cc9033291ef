"""What the hostile tests share: everything a daemon says of itself, and what SMB can hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.hostile.naughty import STEERING
from tests.http_client import Client
from tests.stage import Stage

Line = dict[str, Any]

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"
}


def smb_refuses(name: str) -> str | None:
    """Return why no SMB server (or Windows) holds *name*. Written a second time, on purpose."""
    if any(char in '<>:"/\\|?*' or ord(char) < 32 or ord(char) == 127 for char in name):
        return "forbidden character"
    if not name or name[-1] in ". ":
        return "ending"
    if name.partition(".")[0].rstrip().lower() in _DEVICES:
        return "device"
    if len(name.encode("utf-8", "surrogatepass")) > 255:
        return "bytes"
    if len(name.encode("utf-16-le", "surrogatepass")) > 510:
        return "units"
    return None


def same_place(name: str) -> str:
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", folded)


def on_the_nas(nas: Path) -> list[Path]:
    """Return every entry but folders and what is ours: the marker, and our empty folders."""
    found = []
    for folder, _, names in os.walk(nas):
        found += [Path(folder, name) for name in names]
    return [path for path in found if path != nas / ".nas-syncd.json"]


def steering(text: str) -> set[str]:
    """Return what of *text* could steer a terminal or forge a line, its line ends apart."""
    return {char for char in STEERING if char != "\n" and char in text}


@dataclass
class Said:
    """One answer for a person: its exit code and both streams, as text."""

    code: int
    out: str
    err: str


def command(stage: Stage, *words: str) -> Said:
    """Run ``nas-syncd`` with *words* on the stage's settings."""
    ran = subprocess.run(
        [sys.executable, "-m", "nas_syncd", "--env-file", str(stage.env_file), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=stage.root,
        timeout=60,
    )
    return Said(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def client(stage: Stage) -> Client:
    return Client(stage.state / "daemon.sock")


def documents(stage: Stage) -> dict[str, Line]:
    """Return every line of ``GET /sync/documents``, by id."""
    ask, cursor = client(stage), ""
    found: dict[str, Line] = {}
    while True:
        said = ask.get(f"/sync/documents?limit=200&lang=en{cursor}")
        assert said.status == 200, said.body
        page = json.loads(said.body)
        found |= {line["id"]: line for line in page["documents"]}
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={quote(page['cursor'])}"


def stuck(lines: dict[str, Line]) -> Iterator[Line]:
    """Yield the documents that are neither safe nor have a reason that a person can read."""
    for line in lines.values():
        reason = line["reason"]
        if line["state"] != "safe" and not (reason and reason["code"] and reason["text"]):
            yield line


def everything_said(stage: Stage, *ids: str) -> dict[str, str]:
    """Return what the daemon and the commands say of the whole, and of the documents *ids*."""
    ask = client(stage)
    said = {
        path: ask.get(path).body.decode()
        for path in (
            "/sync/status",
            "/sync/now",
            "/sync/documents?limit=200",
            "/sync/months",
            "/metrics",
            "/readyz",
            "/sync/log",
            *(f"/sync/documents/{quote(id_, safe='')}" for id_ in ids),
        )
    }
    for words in (("status",), ("logs",)):
        answer = command(stage, *words)
        said[" ".join(words)] = answer.out + answer.err
    for id_ in ids[:1]:
        for more in ([], ["--json"]):
            answer = command(stage, "explain", *more, "--", id_)
            said[f"explain {id_} {more}"] = answer.out + answer.err
    return said
