"""The real commands as child processes: ``adopt`` once, then ``run``; and what the daemon logs."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nas_syncd
from nas_syncd.demo.backend import PREFIX
from nas_syncd.demo.place import Place
from nas_syncd.settings import inherited_environment

STOP_SECONDS = 10.0
"""What the daemon promises to need at most after SIGTERM."""
ADOPT_SECONDS = 60.0
_HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""What an interpreter may need to start; nothing else of the user's environment gets in."""

Event = dict[str, Any]


def write_config(place: Place, language: str) -> None:
    """Write the settings file that holds everything the daemon needs."""
    values = {
        "NAS_LOCAL_PATH": place.nas,
        "DATABASE_URL": f"sqlite:///{place.database}",
        "UPLOAD_DIR": place.uploads,
        "NAS_SYNCD_DB_UPLOAD_DIR": PREFIX,
        "NAS_SYNCD_STATE_DIR": place.state,
        "NAS_SYNCD_LOG_FILE": place.log,
        "NAS_SYNCD_LOG_FORMAT": "json",
        "NAS_SYNCD_LOG_LEVEL": "debug",
        "NAS_SYNCD_LANGUAGE": language,
        "NAS_SYNCD_MIN_FREE_SPACE": "16MiB",
        "NAS_SYNCD_SETTLE_SECONDS": 1,
        "NAS_SYNCD_SCAN_SECONDS": 5,
        "NAS_SYNCD_API_PORT": _free_port(),
    }
    lines = [f"{name}={_quoted(str(value))}\n" for name, value in values.items()]
    place.config.write_text("".join(lines), encoding="utf-8")


def _free_port() -> int:
    """Return a port for the page that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def environment(place: Place) -> dict[str, str]:
    """Return the children's environment: nothing of it is a setting of ours."""
    return {
        **inherited_environment(*_HANDED_ON),
        "HOME": str(place.scratch),
        "TMPDIR": str(place.scratch),
        "PYTHONPATH": str(Path(nas_syncd.__file__).parent.parent),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def command(place: Place, *words: str) -> list[str]:
    return [sys.executable, "-m", "nas_syncd", *words, "--env-file", str(place.config)]


def adopt(place: Place) -> tuple[int, str]:
    """Pair with the pretend NAS; return the exit code and what was said."""
    done = subprocess.run(
        command(place, "adopt", "--yes"),
        env=environment(place),
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=ADOPT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Stopped:
    """How the daemon ended."""

    code: int
    seconds: float

    @property
    def well(self) -> bool:
        return self.code == 0 and self.seconds <= STOP_SECONDS


class Daemon:
    """The running daemon. It has its own session: Ctrl-C reaches it through us, once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._offset = 0
        with place.output.open("wb") as output:
            self._process = subprocess.Popen(
                command(place, "run"),
                env=environment(place),
                cwd=place.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(place.lock,),  # as long as it lives, the folder is in use
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.ended:  # whatever went wrong, no daemon is left behind
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def events(self) -> list[Event]:
        """Return what was logged since the last call; whole lines only."""
        try:
            with self._place.log.open("rb") as log:
                log.seek(self._offset)
                data = log.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [event for event in found if isinstance(event, dict)]

    def last_words(self, lines: int = 5) -> str:
        """Return the end of what it said, for a start that went wrong."""
        said = self._place.output.read_bytes().decode("utf-8", "replace")
        return "\n".join(said.strip().splitlines()[-lines:])

    def stop(self) -> Stopped:
        """Ask it to end, and make it where it does not."""
        begun = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # impatience counts as such
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        return Stopped(self._process.returncode, time.monotonic() - begun)
