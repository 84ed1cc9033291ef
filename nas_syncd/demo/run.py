"""The whole evening: draw the papers, claim the folder, play, check, tell, clear up."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from nas_syncd.demo.check import Findings, check
from nas_syncd.demo.place import FolderError, claim
from nas_syncd.demo.play import DemoError, Drawn, Play
from nas_syncd.demo.samples import SAMPLES
from nas_syncd.demo.scene import Scene, Tone
from nas_syncd.demo.show import Show

DEFAULT_SECONDS = 20
SHORTEST_SECONDS = 8

EXIT_DONE = 0
EXIT_WRONG = 1
EXIT_CONFIGURATION = 78
EXIT_INTERRUPTED = 130


def run_demo(
    *,
    seconds: float | None,
    folder: Path | None,
    keep: bool,
    language: str,
    as_json: bool = False,
    before_check: Callable[[Path], None] = lambda _folder: None,
) -> int:
    """Play the demo and return the exit code: 0 only when every document is safe and intact.

    Args:
        seconds: About how long it takes; None: 20. At least 8.
        folder: None: ``./nas-syncd-demo``, or a temporary one where that is not ours.
        keep: Leave the folder there even when all is right; otherwise it stays only if not.
        before_check: Called with the demo's folder when the daemon has stopped.
    """
    show = Show(Scene(language), as_json=as_json)
    budget = max(SHORTEST_SECONDS, seconds or DEFAULT_SECONDS)
    try:
        with _signals_interrupt():
            return _play_in(folder, show, budget, before_check, keep=keep)
    except DemoError as failure:
        show.complain(failure.words)
        return failure.code
    except KeyboardInterrupt:  # before the play or after it: nothing is running
        return EXIT_INTERRUPTED


def _play_in(
    folder: Path | None,
    show: Show,
    budget: float,
    before_check: Callable[[Path], None],
    *,
    keep: bool,
) -> int:
    begun = time.monotonic()
    drawn = _draw_all(show)
    try:
        place = claim(folder)
    except FolderError as error:
        words = show.scene.text(error.code, path=str(error.path), detail=error.detail)
        raise DemoError(words, EXIT_CONFIGURATION) from error
    try:
        show.say(show.scene.text("demo.folder", path=str(place.folder)))
        play = Play(place, show, drawn)
        play.perform(begun + budget)
        before_check(place.folder)
        return _conclude(play, time.monotonic() - begun, keep=keep)
    finally:
        place.close()


def _draw_all(show: Show) -> Drawn:
    try:
        from nas_syncd.demo import papers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fpdf", "PIL"):
            raise
        words = show.scene.text("demo.missing", module=error.name, python=sys.executable)
        raise DemoError(words, EXIT_CONFIGURATION) from error
    show.scene.tell("demo.story.papers")
    show.refresh()
    return [(sample, papers.draw(number, sample)) for number, sample in enumerate(SAMPLES, 1)]


def _conclude(play: Play, seconds: float, *, keep: bool) -> int:
    """Check everything, tell it, clear up, and return the exit code."""
    place, scene, show = play.place, play.scene, play.show
    scene.tell("demo.story.checking")
    show.refresh()
    findings = check(place.database, place.uploads, place.nas, play.backend.rows, play.digests)
    code = _exit_code(play, findings)
    kept = keep or code != EXIT_DONE
    show.findings(findings)
    _sum_up(play, findings, code, seconds)
    if not kept:
        place.clear()
    told = "demo.folder.kept" if kept else "demo.folder.cleared"
    show.say(scene.text(told, path=str(place.folder)))
    if show.as_json:
        result = _result(play, findings, seconds)
        show.answer({"ok": code == EXIT_DONE, "folder_kept": kept, **result})
    return code


def _exit_code(play: Play, findings: Findings) -> int:
    if play.faults or findings.damaged:
        return EXIT_WRONG
    if play.interrupted:
        return EXIT_INTERRUPTED
    complete = len(findings.verdicts) == play.scene.total
    return EXIT_DONE if findings.right and complete else EXIT_WRONG


def _sum_up(play: Play, findings: Findings, code: int, seconds: float) -> None:
    for fault in play.faults:
        play.show.say(fault, Tone.BAD)
    key, tone = {
        EXIT_DONE: ("demo.right", Tone.GOOD),
        EXIT_INTERRUPTED: ("demo.interrupted", Tone.WAITING),
    }.get(code, ("demo.wrong", Tone.BAD))
    total = len(findings.verdicts) if play.interrupted else play.scene.total
    play.show.say(play.scene.text(key, safe=findings.safe, total=total), tone)
    play.show.say(play.scene.text("demo.took", seconds=round(seconds)))


def _result(play: Play, findings: Findings, seconds: float) -> dict[str, object]:
    return {
        "interrupted": play.interrupted,
        "folder": str(play.place.folder),
        "seconds": round(seconds, 1),
        "total": play.scene.total,
        "safe": findings.safe,
        "documents": [
            {
                "id": verdict.id,
                "name": verdict.name,
                "destination": verdict.place,
                "sha256": verdict.sha256,
                "verdict": verdict.fault or "ok",
            }
            for verdict in findings.verdicts
        ],
        "strangers": list(findings.strangers),
        "faults": play.faults,
    }


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does, so that no daemon is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
