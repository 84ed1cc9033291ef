"""The upload folder: is it there, may we read it, what kind of disk is it. Only ever read.

Every system call on it is made by a child; a folder that hangs holds nobody up.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from typing import Any

from nas_syncd.agent.events import MAX_USER_WATCHES, is_remote
from nas_syncd.agent.process import Agent, AgentHungError
from nas_syncd.agent.wire import Message
from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.interpreter import user_name
from nas_syncd.doctor.patient import Patient
from nas_syncd.doctor.watching import look_at_watches, number_in
from nas_syncd.errors import SyncError
from nas_syncd.settings import Settings

FOLDER, FILES, KIND = "uploads.folder", "uploads.files", "uploads.file_system"
EVENTS = "uploads.events"
DOCKER_DESKTOP = "fakeowner"
"""What Docker Desktop shows a folder of its host as; events come, mostly."""
CODES = {"missing": "uploads.missing", "denied": "uploads.denied"}
WALK_SECONDS = 20.0
PEEKED_FILES = 20


class Visit:
    """One child that looks at the folder, and hears what it tells unasked."""

    def __init__(self, root: str, seconds: float, watch: str | None = None) -> None:
        self.files: list[str] = []
        """Some of the files that were seen."""
        self.events: list[str] = []
        """Paths that an event told of."""
        self.fallback: Message | None = None
        """Why there are no events."""
        self.news = threading.Event()
        """Set with the first event, or when it is clear that there will be none."""
        self.agent = Agent(
            "uploads",
            side="uploads",
            timeout_seconds=seconds,
            workers=2,
            on_event=self._hear,
            options={"root": root, "watch": watch, "queue_limit": 10_000},
        )

    def _hear(self, message: Message) -> None:
        if message["event"] == "fallback":
            self.fallback = message
            self.news.set()
        if message["event"] != "seen":
            return
        if message["by"] == "scan":
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.agent.ask("ack", scan=message["scan"])
            files = [entry[0] for entry in message["entries"] if entry[1] == "file"]
            self.files += files[: max(0, PEEKED_FILES - len(self.files))]
        else:
            self.events += [entry[0] for entry in message["entries"]]
            self.news.set()

    def ask(self, op: str, seconds: float, **args: Any) -> Message:
        """
        Raises:
            TimeoutError: It goes on, but takes longer than *seconds*.
            SyncError: The folder cannot be used.
        """
        answer: Future[Message] = self.agent.ask(op, **args)
        return answer.result(seconds)

    def close(self) -> None:
        self.agent.close(0.2)


def look(patient: Patient, notes: Notes) -> None:
    settings = patient.settings
    if settings is None or not settings.upload_dir:
        notes.skipped(FOLDER, "upload_dir")
        look_at_watches(patient, None, notes)
        return
    folders = None
    visit = Visit(settings.upload_dir, patient.seconds)
    try:
        if _is_there(patient, settings, visit, notes):
            folders = _walk(settings, visit, notes)
        else:
            notes.skipped(FILES, "uploads")
    finally:
        visit.close()
    look_at_watches(patient, folders, notes)
    if patient.probe_seconds and folders is not None:
        limit = number_in(MAX_USER_WATCHES)
        if limit is not None and folders > limit // 4:
            notes.skipped(EVENTS, "too_many_folders", folders=folders, limit=limit)
        else:
            _probe(patient, settings, notes)


def _is_there(patient: Patient, settings: Settings, visit: Visit, notes: Notes) -> bool:
    path = settings.upload_dir
    try:
        root = visit.ask("root", patient.seconds + 5.0)
    except (AgentHungError, TimeoutError):
        notes.wrong(FOLDER, "uploads.hung", path=path, seconds=patient.seconds)
        return False
    except SyncError as error:
        code = CODES.get(str(error.params.get("state")), "uploads.error")
        notes.wrong(FOLDER, code, path=path, user=user_name(), detail=error.detail)
        return False
    notes.ok(FOLDER, "uploads.folder", path=path, real=root["path"])
    _judge(settings, str(root["file_system"]), notes)
    return True


def _judge(settings: Settings, file_system: str, notes: Notes) -> None:
    """Whether the kernel hears of what others write there."""
    facts = {"file_system": file_system or None, "watch": settings.watch}
    if file_system == DOCKER_DESKTOP and settings.watch != "poll":
        notes.ok(KIND, "uploads.docker_desktop", **facts)
    elif not is_remote(file_system):
        code = "uploads.polled" if settings.watch == "poll" else "uploads.local"
        notes.ok(KIND, code, **facts)
    elif settings.watch == "native":
        notes.warning(KIND, "uploads.remote_native", **facts)
    else:
        notes.ok(KIND, "uploads.remote", **facts)


def _walk(settings: Settings, visit: Visit, notes: Notes) -> int | None:
    """Go through the folder once; return how many folders there are."""
    path = settings.upload_dir
    try:
        walked = visit.ask("scan", WALK_SECONDS)
        errors = visit.ask("peek", WALK_SECONDS, paths=visit.files)["errors"]
    except TimeoutError:
        notes.warning(FILES, "uploads.slow", path=path, seconds=WALK_SECONDS)
        return None
    except SyncError as error:
        notes.wrong(FILES, "uploads.error", path=path, user=user_name(), detail=error.detail)
        return None
    refused = [
        file
        for file, error in zip(visit.files, errors, strict=False)
        if error in ("EACCES", "EPERM")
    ]
    facts = {
        "files": walked["files"],
        "folders": walked["folders"],
        "seconds": max(0.1, walked["seconds"]),
    }
    if refused:
        example = f"{path}/{refused[0]}"
        notes.wrong(FILES, "uploads.unreadable", example=example, user=user_name(), **facts)
    elif walked["unreadable"]:
        count = walked["unreadable"]
        notes.wrong(FILES, "uploads.closed_folders", count=count, user=user_name(), **facts)
    else:
        notes.ok(FILES, "uploads.files", **facts)
    return int(walked["folders"])


def _probe(patient: Patient, settings: Settings, notes: Notes) -> None:
    """Watch for what a person puts there. Nothing is written: the folder is not ours."""
    seconds = patient.probe_seconds or 0
    visit = Visit(settings.upload_dir, patient.seconds, watch="native")
    try:
        visit.ask("scan", WALK_SECONDS)
        patient.tell("doctor.probe")
        visit.news.wait(seconds)
        arrived = visit.ask("scan", WALK_SECONDS)["news"]
    except (SyncError, TimeoutError) as error:
        notes.warning(EVENTS, "uploads.probe_failed", detail=str(error) or None)
        return
    finally:
        visit.close()
    if visit.events:
        notes.ok(EVENTS, "uploads.events", example=visit.events[0])
    elif visit.fallback is not None:
        why = visit.fallback["detail"] or visit.fallback["why"]
        notes.warning(EVENTS, "uploads.probe_failed", detail=why)
    elif arrived:
        notes.warning(EVENTS, "uploads.no_events", path=settings.upload_dir)
    else:
        notes.skipped(EVENTS, "nothing_arrived", seconds=seconds)
