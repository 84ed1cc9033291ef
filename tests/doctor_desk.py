"""The doctor called on a stage, in both languages at once, as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_syncd.journal import Journal
from nas_syncd.messages import TEXTS
from nas_syncd.models import Identity
from nas_syncd.mounttable import find_mount, read_mount_table
from tests import warm
from tests.lab import parts
from tests.stage import Stage

PATIENCE_SECONDS = 60.0
FALLBACKS = [TEXTS[language]["doctor.no_remedy"] for language in TEXTS]


def unprivileged() -> list[str]:
    """Return what makes a command one of a user to whom the rights of files apply: root without
    root's privilege to pass them over. Another user may not even read this checkout."""
    parts.need_root()
    setpriv = parts.program("setpriv", "util-linux")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


@dataclass(frozen=True)
class Diagnosis:
    """One answer of the doctor's."""

    code: int
    findings: list[dict[str, Any]]
    seconds: float
    out: str
    err: str

    def of(self, level: str) -> list[str]:
        return [one["check"] for one in self.findings if one["level"] == level]

    def find(self, check: str, level: str) -> dict[str, Any]:
        """Return the finding; fail with all there are when it is not among them."""
        for one in self.findings:
            if (one["check"], one["level"]) == (check, level):
                return one
        raise AssertionError(f"no {level} {check} in {json.dumps(self.findings, indent=1)}")


@dataclass(frozen=True)
class Both:
    """The same case, told in French and in English."""

    fr: Diagnosis
    en: Diagnosis

    def names(self, check: str, level: str, *, fr: Sequence[str], en: Sequence[str]) -> Any:
        """The finding is there in both languages, with these words in its text or its remedy.

        Return the details, which are the same.
        """
        told = {"fr": self.fr.find(check, level), "en": self.en.find(check, level)}
        for language, words in (("fr", fr), ("en", en)):
            one = told[language]
            assert one["remedy"], f"{check}: no remedy in {language}"
            whole = f"{one['text']} | {one['remedy']}"
            for word in words:
                assert word in whole, f"{word!r} not in {language}: {whole}"
        assert told["fr"]["text"] != told["en"]["text"]
        assert told["fr"]["details"]["code"] == told["en"]["details"]["code"]
        return told["en"]["details"]


def diagnose(
    stage: Stage,
    *arguments: str,
    within: float = 30.0,
    before: Sequence[str] = (),
    env_file: Path | None = None,
    **environment: str,
) -> Both:
    """Call the doctor in both languages; it must end *within* so many seconds, with no traceback.

    Args:
        before: The command that calls it.
    """
    file = env_file or stage.env_file
    if env_file is None:
        file.chmod(0o600)
    calls = {
        language: _Called(
            stage, language, before, [*arguments, "--env-file", str(file)], environment
        )
        for language in ("fr", "en")
    }
    began = time.monotonic()
    found = {}
    for language, call in calls.items():
        code, out, err = call.answer(PATIENCE_SECONDS)
        took = time.monotonic() - began
        assert "Traceback" not in out + err
        data = json.loads(out)
        assert set(data) == {"ok", "findings"}, err
        assert data["ok"] is (code == 0)
        found[language] = Diagnosis(code, data["findings"], took, out, err)
        assert took < within, f"{took:.1f} s"
    for one in [*found["fr"].findings, *found["en"].findings]:
        assert set(one) == {"check", "level", "text", "remedy", "details"}
        assert not one["check"].endswith(".failed"), one
        assert one["remedy"] or one["level"] in ("ok", "skipped"), one
        assert one["remedy"] not in FALLBACKS, one
    assert [one["check"] for one in found["fr"].findings] == [
        one["check"] for one in found["en"].findings
    ]
    return Both(found["fr"], found["en"])


class _Called:
    """The doctor at work; what it says goes to files, so that nothing need be read meanwhile."""

    def __init__(
        self,
        stage: Stage,
        language: str,
        before: Sequence[str],
        arguments: list[str],
        environment: dict[str, str],
    ) -> None:
        self._said = [stage.root / f"doctor.{language}.{name}" for name in ("out", "err")]
        env = {**os.environ, "NAS_SYNCD_LANGUAGE": language, **environment}
        command = ["doctor", "--json", *arguments]
        self._process: subprocess.Popen[bytes] | warm.WarmProcess
        with self._said[0].open("wb") as out, self._said[1].open("wb") as err:
            if before or environment:
                self._process = subprocess.Popen(
                    [*before, sys.executable, "-m", "nas_syncd", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=stage.root,
                    env=env,
                )
            else:
                files = {"stdout": out.fileno(), "stderr": err.fileno()}
                self._process = warm.start(*command, cwd=stage.root, env=env, **files)

    def answer(self, seconds: float) -> tuple[int, str, str]:
        """Return its exit code, and what it said to standard output and standard error."""
        code = self._process.wait(seconds)
        out, err = (path.read_text() for path in self._said)
        return code, out, err


def paired(stage: Stage) -> Stage:
    """The NAS has its marker, and the journal knows it, as after ``adopt``."""
    stage.pair()
    mount = find_mount(read_mount_table(), str(stage.nas))
    marker = json.loads((stage.nas / ".nas-syncd.json").read_text())
    journal = Journal(stage.state)
    kind, source = (mount.file_system, mount.source) if mount else ("", "")
    journal.remember_identity(Identity(marker["nas"], kind, source))
    journal.close()
    return stage
