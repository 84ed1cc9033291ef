"""``nas-syncd doctor``: every check with its remedy, as a picture, as plain lines, or as JSON."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import AnsweredError, Exit
from nas_syncd.cli.reach import SYSTEM_SETTINGS, system_sockets
from nas_syncd.cli.remote import KNOCK_SECONDS, SOCKET, GoneError, Remote
from nas_syncd.messages import language_of

if TYPE_CHECKING:
    from rich.status import Status

    from nas_syncd.doctor import Finding, Patient, ServiceState
    from nas_syncd.settings import Settings

Rooms = Iterable[tuple[str, "list[Finding]"]]

NARROWEST = 20
MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "·"}
PLAIN_MARKS = {"ok": "+", "warning": "!", "wrong": "x", "skipped": "-"}
STYLES = {"ok": "green", "warning": "bold yellow", "wrong": "bold red", "skipped": "dim"}


def see_doctor(call: Call, probe_seconds: int | None = None) -> int:
    """Check everything on this host. Settings that are wrong are a finding like any other.

    Args:
        probe_seconds: Watch the upload folder for so long, while somebody puts a file there.
    """
    from nas_syncd.doctor import examine

    patient = _patient(call, probe_seconds)
    if call.as_json:
        patient.tell = lambda code: call.complain(call.text(code))
        return _as_json(call, examine(patient))
    levels: Counter[str] = Counter()
    if screen.on_terminal():
        _picture(call, patient, examine(patient), levels)
    else:
        _lines(call, patient, examine(patient), levels)
    return Exit.FAILED if levels["wrong"] else Exit.DONE


def _patient(call: Call, probe_seconds: int | None) -> Patient:
    from nas_syncd.doctor import Patient
    from nas_syncd.logs import hide, redacted
    from nas_syncd.settings import language_from_environment, load_what_can_be

    settings, refused = load_what_can_be(call.env_file)
    call.language = settings.language if settings else language_from_environment(call.env_file)
    if settings is not None:
        hide(*settings.secrets())
    call.redacted = redacted
    return Patient(
        language=language_of(call.language),
        settings=settings,
        refused=refused,
        env_file=call.env_file,
        probe_seconds=probe_seconds,
        ask_daemon=lambda: _daemon(settings, call.language),
        ask_service=_service,
    )


def _service() -> ServiceState | None:
    """Return how the service manager sees us. Takes some seconds at the very most."""
    from nas_syncd.install import service_state

    return service_state()


def _daemon(settings: Settings | None, language: str) -> dict[str, Any] | None:
    """Return what the daemon of *settings* says of itself, whatever version it is.

    Raises:
        PermissionError: One is there that we may not ask.
    """
    forbidden: PermissionError | None = None
    for path in _sockets(settings):
        try:
            return Remote(path, language, {}).get("/sync/now", timeout=KNOCK_SECONDS)
        except GoneError as error:
            if isinstance(error.__cause__, PermissionError):
                forbidden = error.__cause__
        except AnsweredError:
            continue
    if forbidden is not None:
        raise forbidden
    return None


def _sockets(settings: Settings | None) -> list[Path]:
    """Where its daemon may listen; the system's service only where the settings are its own."""
    if settings is None or not settings.nas_path:
        return system_sockets()
    own = [settings.state_dir / SOCKET]
    file = settings.source_file
    return own + (system_sockets() if file and SYSTEM_SETTINGS in file.parents else [])


# -- for programs ----------------------------------------------------------------------------


def _as_json(call: Call, rooms: Rooms) -> int:
    found = [finding for _, findings in rooms for finding in findings]
    well = not any(finding.level == "wrong" for finding in found)
    lines = [
        {
            "check": one.check,
            "level": str(one.level),
            "text": one.text,
            "remedy": one.remedy,
            "details": one.details,
        }
        for one in found
    ]
    call.answer({"ok": well, "findings": lines})
    return Exit.DONE if well else Exit.FAILED


# -- for people ------------------------------------------------------------------------------


def _lines(call: Call, patient: Patient, rooms: Rooms, levels: Counter[str]) -> None:
    """One line for each finding, its remedy in the line below."""
    patient.tell = lambda code: call.say(call.text(code), at_once=True)
    for _, findings in rooms:
        for one in findings:
            levels[one.level] += 1
            word = call.text(f"doctor.level.{one.level}")
            call.say(call.text("doctor.line", word=word, check=one.check, text=one.text))
            if one.remedy:
                call.say("  " + call.text("doctor.line_remedy", text=one.remedy))
            sys.stdout.flush()
    call.say(_closing(call, levels))


def _picture(call: Call, patient: Patient, rooms: Rooms, levels: Counter[str]) -> None:
    """The same for the eye: rooms, marks in colour, remedies set off below their findings."""
    from rich.text import Text

    from nas_syncd.doctor.examination import ROOMS

    console = screen.console()
    titles = {room.name: call.text(f"doctor.room.{room.name}") for room in ROOMS}
    width = max(map(len, titles.values()))
    waiting = iter([*titles.values(), ""])
    signs = _shows_signs(console.encoding)
    with console.status("") as status:
        patient.tell = lambda code: console.print(Text(call.text(code), style="bold cyan"))
        _wait_for(call, status, next(waiting))
        for name, findings in rooms:
            for number, one in enumerate(findings):
                levels[one.level] += 1
                title = titles[name] if number == 0 else ""
                console.print(_row(call, title, width, console.width, one, signs))
            _wait_for(call, status, next(waiting))
    style = "red" if levels["wrong"] else "yellow" if levels["warning"] else "green"
    console.print()
    console.print(Text(_closing(call, levels), style=f"bold {style}"))


def _wait_for(call: Call, status: Status, room: str) -> None:
    if room:
        status.update(call.text("doctor.looking", room=room))


def _wrapped(words: str, width: int) -> str:
    """Break lines at spaces, but not at those that do not break, as rich would."""
    if width < NARROWEST:
        return words
    lines = textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _row(call: Call, title: str, width: int, console_width: int, one: Finding, signs: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    marks = MARKS if signs else PLAIN_MARKS
    words = [call.text(f"doctor.level.{level}") for level in marks]
    style = STYLES[one.level]
    level_width = 2 + max(map(len, words))
    room = console_width - width - level_width - 2
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(width=level_width, no_wrap=True)
    grid.add_column(overflow="fold")
    mark = f"{marks[one.level]} {call.text(f'doctor.level.{one.level}')}"
    quiet = "dim" if one.level == "skipped" else ""
    told = Text(_wrapped(call.redacted(one.text), room), style=quiet)
    grid.add_row(Text(title, style="bold"), Text(mark, style=style), told)
    if one.remedy:
        arrow = "→ " if signs else "-> "
        remedy = Table.grid()
        remedy.add_column(no_wrap=True)
        remedy.add_column(overflow="fold")
        cure = _wrapped(call.redacted(one.remedy), room - len(arrow))
        remedy.add_row(Text(arrow, style="cyan"), Text(cure, style="cyan"))
        grid.add_row("", "", remedy)
    return grid


def _shows_signs(encoding: str) -> bool:
    try:
        "".join([*MARKS.values(), "→"]).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _closing(call: Call, levels: Counter[str]) -> str:
    if levels["wrong"]:
        words = call.count("doctor.wrong", levels["wrong"])
    elif levels["warning"]:
        words = call.count("doctor.warnings", levels["warning"])
    else:
        words = call.text("doctor.all_well")
    return call.text("cli.sentence", text=words)
