"""The upload folder over time: real folders, real events, real scans."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_syncd.agent.child import Job
from nas_syncd.agent.process import Agent
from nas_syncd.agent.sender import Sender
from nas_syncd.agent.tree import open_root
from nas_syncd.agent.uploads import Watcher
from nas_syncd.agent.wire import Message
from nas_syncd.models import SourceKind
from nas_syncd.watcher import Batch, Hint, UploadFolder, UploadsState, UploadsView

PROJECT = Path(__file__).resolve().parents[1]
SECONDS = 45.0
inotify_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify")


class Eyes:
    """An upload folder driven as the daemon drives it, that remembers what it was told."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.hints: list[Hint] = []
        self.views: list[UploadsView] = []
        self.largest = 0
        self._news = threading.Condition()
        self._wake = threading.Event()
        self._stopped = False
        defaults: dict[str, Any] = {
            "timeout_seconds": 20.0,
            "watch": "auto",
            "on_hints": self._on_hints,
            "on_view": self._on_view,
            "on_wake": self._wake.set,
        }
        self.folder = UploadFolder(str(root), **(defaults | options))
        self.folder.start()
        self._thread = threading.Thread(target=self._run, name="daemon-of-the-test")
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            now = time.monotonic()
            self._wake.wait(max(0.0, self.folder.tick(now) - now))
            self._wake.clear()

    def _on_hints(self, hints: Batch) -> None:
        hints.taken()
        with self._news:
            self.hints += hints
            self.largest = max(self.largest, len(hints))

    def _on_view(self, view: UploadsView) -> None:
        with self._news:
            self.views.append(view)
            self._news.notify_all()

    def until(self, condition: Callable[[], object], seconds: float = SECONDS) -> bool:
        """Whether *condition* came true in time; also for what nobody announces."""
        end = time.monotonic() + seconds
        with self._news:
            while not condition():
                if time.monotonic() > end:
                    return False
                self._news.wait(0.1)
        return True

    def is_watching(self) -> bool:
        """Whether the folder is there and its first scan done."""
        view = self.folder.view
        return view.state is UploadsState.OK and view.scanned_at is not None

    def scanned_anew(self) -> bool:
        """Ask for a scan and wait for its end."""
        before = self.folder.view.scanned_at
        self.folder.rescan()
        return self.until(lambda: self.folder.view.scanned_at != before)

    def names(self, by: str | None = None, closed: bool | None = None) -> set[str]:
        return {
            hint.relative
            for hint in self.hints.copy()
            if by in (None, hint.by) and closed in (None, hint.closed)
        }

    def close(self) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join()
        self.folder.close()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def eyes_on(uploads: Path) -> Iterator[Callable[..., Eyes]]:
    """``eyes_on(watch="poll")``: begin to watch; waits for the first scan when it is there."""
    opened: list[Eyes] = []

    def factory(**options: Any) -> Eyes:
        eyes = Eyes(uploads, **options)
        opened.append(eyes)
        if uploads.is_dir():
            assert eyes.until(eyes.is_watching)
        return eyes

    yield factory
    for eyes in opened:
        eyes.close()


def drop(folder: Path, folders: int, files: int) -> set[str]:
    """Write *files* in so many new sub-folders; return their relative paths."""
    names = {f"{number % folders:03}/{number}.pdf" for number in range(files)}
    for number in range(folders):
        (folder / f"{number:03}").mkdir()
    for name in sorted(names):
        (folder / name).write_bytes(b"%PDF")
    return names


# -- what arrives -------------------------------------------------------------------------------


@inotify_only
def test_a_finished_file_is_hinted_at_once_as_closed(eyes_on, uploads):
    eyes = eyes_on(watch="native")
    began = time.monotonic()

    (uploads / "a.pdf").write_bytes(b"12345")

    assert eyes.until(lambda: "a.pdf" in eyes.names(by="event", closed=True))
    assert time.monotonic() - began < 5.0
    hint = next(hint for hint in eyes.hints if hint.closed)
    assert hint.kind is SourceKind.FILE
    assert hint.version is not None
    assert (hint.version.size, hint.version.inode) == (5, (uploads / "a.pdf").stat().st_ino)


@inotify_only
def test_a_file_that_is_still_open_is_not_closed(eyes_on, uploads):
    eyes = eyes_on(watch="native")

    with (uploads / "a.pdf").open("wb") as file:
        file.write(b"1")
        assert eyes.until(lambda: "a.pdf" in eyes.names(by="event"))
        assert eyes.names(closed=True) == set()

    assert eyes.until(lambda: eyes.names(closed=True))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"watch": "native"}, id="native"),
        pytest.param({"watch": "native", "queue_limit": 16}, id="queue of 16"),
        pytest.param({"watch": "poll"}, id="poll"),
    ],
)
def test_all_of_5000_files_in_200_new_folders_are_hinted(eyes_on, uploads, options):
    eyes = eyes_on(**options)

    names = drop(uploads, 200, 5000)

    assert eyes.until(lambda: eyes.names() >= names), f"{len(names - eyes.names())} are missing"
    assert eyes.names() == names
    assert eyes.largest <= 500


def test_what_lay_there_before_is_hinted_by_the_first_scan(eyes_on, uploads):
    names = drop(uploads, 3, 1200)

    eyes = eyes_on()

    assert eyes.names(by="scan") == names
    assert eyes.folder.view.files == 1200


def test_a_scan_tells_only_what_is_new_or_changed(eyes_on, uploads):
    (uploads / "old.pdf").write_bytes(b"1")
    (uploads / "changes.pdf").write_bytes(b"1")
    eyes = eyes_on(watch="poll")
    assert eyes.names() == {"old.pdf", "changes.pdf"}
    eyes.hints.clear()

    (uploads / "changes.pdf").write_bytes(b"22")
    (uploads / "new.pdf").write_bytes(b"1")

    assert eyes.until(lambda: len(eyes.names()) == 2)
    assert eyes.scanned_anew()
    assert eyes.names() == {"changes.pdf", "new.pdf"}


@inotify_only
def test_what_an_event_has_told_is_not_told_again_by_the_scan(eyes_on, uploads):
    eyes = eyes_on(watch="native")
    (uploads / "a.pdf").write_bytes(b"1")
    assert eyes.until(lambda: eyes.names(closed=True) == {"a.pdf"})

    assert eyes.scanned_anew()

    assert eyes.names(by="scan") == set()


@inotify_only
def test_files_that_are_moved_in_or_renamed_are_hinted(eyes_on, uploads, tmp_path):
    (tmp_path / "a.tmp").write_bytes(b"1")
    drop(tmp_path / "uploads", 0, 0)
    (tmp_path / "ready").mkdir()
    inside = {f"ready/{name}" for name in drop(tmp_path / "ready", 2, 10)}
    eyes = eyes_on(watch="native")

    (tmp_path / "a.tmp").rename(uploads / "a.pdf")
    (tmp_path / "ready").rename(uploads / "ready")
    (uploads / "b.part").write_bytes(b"1")
    (uploads / "b.part").rename(uploads / "b.pdf")

    assert eyes.until(lambda: eyes.names(by="event") >= {"a.pdf", "b.pdf"} | inside)


@inotify_only
def test_a_deleted_file_is_hinted_as_missing(eyes_on, uploads):
    (uploads / "a.pdf").write_bytes(b"1")
    eyes = eyes_on(watch="native")

    (uploads / "a.pdf").unlink()

    assert eyes.until(lambda: any(h.kind is SourceKind.MISSING for h in eyes.hints))


HIDDEN = (
    ".DS_Store",
    "._scan.pdf",
    "Thumbs.db",
    "desktop.ini",
    "@eaDir/a.pdf",
    ".stfolder/a.pdf",
    "a.pdf.part",
    "a.crdownload",
    "~$letter.docx",
    ".nas-syncd-x",
)


@pytest.mark.parametrize("watch", ["native", "poll"])
def test_what_is_no_document_is_never_hinted(eyes_on, uploads, watch):
    def drop_hidden(folder: Path) -> None:
        for name in HIDDEN:
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(b"1")

    drop_hidden(uploads)
    (uploads / "first.pdf").write_bytes(b"1")
    eyes = eyes_on(watch=watch)

    (uploads / "sub").mkdir()
    drop_hidden(uploads / "sub")
    (uploads / ".hidden.pdf").write_bytes(b"1")

    assert eyes.until(lambda: ".hidden.pdf" in eyes.names())
    assert eyes.scanned_anew()
    assert eyes.names() == {"first.pdf", ".hidden.pdf"}


@pytest.mark.parametrize("watch", ["native", "poll"])
def test_links_are_hinted_as_links_and_never_followed(eyes_on, uploads, tmp_path, watch):
    drop(tmp_path, 1, 5)
    eyes = eyes_on(watch=watch)

    (uploads / "link.pdf").symlink_to(tmp_path / "000" / "0.pdf")
    (uploads / "folder").symlink_to(tmp_path / "000")

    assert eyes.until(lambda: eyes.names() == {"link.pdf", "folder"})
    assert {hint.kind for hint in eyes.hints} == {SourceKind.LINK}
    assert {hint.version for hint in eyes.hints} == {None}


@pytest.mark.parametrize("watch", ["native", "poll"])
def test_names_that_are_not_utf8_are_hinted(eyes_on, uploads, watch):
    eyes = eyes_on(watch=watch)
    name = os.fsdecode(b"caf\xe9.pdf")

    (uploads / name).write_bytes(b"1")

    assert eyes.until(lambda: name in eyes.names())


@inotify_only
def test_what_is_lost_before_a_scan_begins_is_told_again_at_its_end(uploads):
    """A loss while the watch is set up anew would else hide every later one."""
    told: list[Message] = []
    watcher = Watcher(Sender(told.append, 100), told.append, "native")
    with open_root(str(uploads)) as root:
        assert watcher.ensure(Job(1, "scan", {}, "uploads"), root, str(uploads))
        watch = watcher._watch
        assert watch is not None
        watch.missed("overflow")
        watcher.scan_begins()
        watcher.scan_ended()

        assert [message["event"] for message in told] == ["lost", "lost"]
        assert watcher.ensure(Job(2, "scan", {}, "uploads"), root, str(uploads))
        watcher.scan_begins()
        watcher.scan_ended()

    assert len(told) == 2
    watcher._stop()


# -- the folder comes and goes ------------------------------------------------------------------


@pytest.mark.parametrize("watch", ["native", "poll"])
def test_a_folder_that_is_missing_at_the_start_is_watched_when_it_comes(eyes_on, uploads, watch):
    uploads.rmdir()
    eyes = eyes_on(watch=watch)
    assert eyes.until(lambda: eyes.folder.view.state is UploadsState.MISSING)
    assert eyes.views[0].reason is not None
    assert eyes.views[0].reason.code == "uploads.missing"
    assert eyes.views[0].reason.params["path"] == str(uploads)

    uploads.mkdir()
    (uploads / "a.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "a.pdf" in eyes.names(), 15.0)
    assert eyes.folder.view.state is UploadsState.OK
    assert eyes.folder.view.reason is None
    assert eyes.folder.view.watching == watch


@inotify_only
@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_folder_that_was_replaced_is_watched_again(eyes_on, uploads, tmp_path, how):
    drop(uploads, 2, 10)
    eyes = eyes_on(watch="native", scan_seconds=3600.0)

    if how == "deleted":
        shutil.rmtree(uploads)
        assert eyes.until(lambda: eyes.folder.view.state is UploadsState.MISSING, 10.0)
    else:
        uploads.rename(tmp_path / "old")
    uploads.mkdir()
    (uploads / "first.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "first.pdf" in eyes.names(), 20.0)
    assert eyes.until(lambda: eyes.folder.view.watching == "native")
    (uploads / "second.pdf").write_bytes(b"1")
    assert eyes.until(lambda: "second.pdf" in eyes.names(by="event", closed=True), 10.0)


@inotify_only
def test_a_link_that_is_turned_to_another_folder_is_followed(uploads, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(uploads)
    eyes = Eyes(tmp_path / "link", watch="native", scan_seconds=3600.0)
    assert eyes.until(eyes.is_watching)
    (uploads / "a.pdf").write_bytes(b"1")
    assert eyes.until(lambda: "a.pdf" in eyes.names(by="event"))

    (tmp_path / "new").symlink_to(tmp_path / "other")
    (tmp_path / "new").rename(tmp_path / "link")
    (tmp_path / "other" / "b.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "b.pdf" in eyes.names(), 20.0)
    eyes.close()


# -- the child comes and goes -------------------------------------------------------------------


def test_a_child_that_was_killed_while_idle_is_replaced_and_watches_again(eyes_on, uploads):
    eyes = eyes_on(scan_seconds=3600.0)
    first = eyes.folder.agent.pids()[0]

    os.kill(first, signal.SIGKILL)
    (uploads / "a.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "a.pdf" in eyes.names(), 20.0)
    assert eyes.folder.agent.pids() != [first]
    (uploads / "b.pdf").write_bytes(b"1")
    assert eyes.until(lambda: "b.pdf" in eyes.names(), 10.0)


def test_a_child_that_hangs_is_told_left_and_replaced(eyes_on, uploads):
    eyes = eyes_on(timeout_seconds=2.0)

    os.kill(eyes.folder.agent.pids()[0], signal.SIGSTOP)
    (uploads / "a.pdf").write_bytes(b"1")

    assert eyes.until(lambda: eyes.folder.view.state is UploadsState.HUNG, 20.0)
    assert eyes.folder.view.reason is not None
    assert eyes.folder.view.reason.code == "uploads.hung"
    assert eyes.until(lambda: "a.pdf" in eyes.names(), 30.0)
    assert eyes.folder.view.state is UploadsState.OK


def test_hints_that_are_refused_do_not_end_the_watching(eyes_on, uploads, caplog):
    """An exception in the daemon's callback costs a log line, not the thread."""
    got: list[str] = []
    refused = threading.Event()

    def on_hints(hints: list[Hint]) -> None:
        if not refused.is_set():
            refused.set()
            raise ValueError("not ready")
        got.extend(hint.relative for hint in hints)

    eyes = eyes_on(watch="poll", on_hints=on_hints)
    (uploads / "a.pdf").write_bytes(b"1")
    assert refused.wait(20)

    (uploads / "b.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "b.pdf" in got)
    assert "uploads.hints_failed" in caplog.text


def test_a_scan_waits_for_a_parent_that_does_not_take_its_batches(uploads):
    """At most four batches are on their way; the rest stays in the child, which answers on."""
    drop(uploads, 1, 4000)
    batches: queue.SimpleQueue[Any] = queue.SimpleQueue()
    options = {"root": str(uploads), "watch": "poll", "queue_limit": 100}
    agent = Agent(
        "uploads",
        side="uploads",
        timeout_seconds=2.0,
        workers=4,
        on_event=batches.put,
        options=options,
    )
    scan = agent.ask("scan")
    first = [batches.get(timeout=SECONDS) for _ in range(4)]

    with pytest.raises(queue.Empty):
        batches.get(timeout=3.0)  # longer than the deadline: waiting for us is no hang
    assert agent.call("look", paths=["000/0.pdf"])["looks"][0][0] == "file"
    for message in first:
        agent.ask("ack", scan=message["scan"])
    rest = [batches.get(timeout=SECONDS) for _ in range(4)]

    assert {len(message["entries"]) for message in first + rest} == {500}
    assert scan.result(SECONDS)["news"] == 4000
    agent.close()


# -- no events ----------------------------------------------------------------------------------


@inotify_only
def test_events_that_do_not_come_are_noticed_and_polling_takes_over(eyes_on, uploads, tmp_path):
    """Writing through a hard link outside changes the file without an event for the folder."""
    (uploads / "a.pdf").write_bytes(b"1")
    (tmp_path / "b.pdf").hardlink_to(uploads / "a.pdf")
    eyes = eyes_on(watch="auto", scan_seconds=1.0)
    assert eyes.folder.view.watching == "native"
    eyes.hints.clear()

    (tmp_path / "b.pdf").write_bytes(b"22")

    assert eyes.until(lambda: "a.pdf" in eyes.names(by="scan"), 15.0)
    assert eyes.until(lambda: eyes.folder.view.watching == "poll", 30.0)
    assert eyes.folder.view.warning is not None
    assert eyes.folder.view.warning.code == "uploads.deaf"


@inotify_only
def test_where_native_is_demanded_silence_is_only_told(eyes_on, uploads, tmp_path):
    (uploads / "a.pdf").write_bytes(b"1")
    (tmp_path / "b.pdf").hardlink_to(uploads / "a.pdf")
    eyes = eyes_on(watch="native", scan_seconds=1.0)

    (tmp_path / "b.pdf").write_bytes(b"22")

    assert eyes.until(lambda: eyes.folder.view.warning is not None, 30.0)
    assert eyes.folder.view.watching == "native"


LIMITED = """
import sys, time
from pathlib import Path
from tests.test_watcher import Eyes
Path("/proc/sys/user/max_inotify_watches").write_text("5")
uploads = Path(sys.argv[1])
eyes = Eyes(uploads, watch=sys.argv[2], scan_seconds=1.0)
ok = eyes.until(lambda: eyes.folder.view.warning is not None and eyes.is_watching(), 30)
(uploads / "new.pdf").write_bytes(b"1")
ok = ok and eyes.until(lambda: "new.pdf" in eyes.names(), 30)
view = eyes.folder.view
print(ok, view.watching, view.warning and view.warning.code, flush=True)
eyes.close()
"""


@inotify_only
@pytest.mark.parametrize("watch", ["auto", "native"])
def test_where_the_kernel_grants_too_few_watches_polling_takes_over(uploads, watch):
    """watchdog 7 starts all the same and sees part of the tree."""
    drop(uploads, 20, 20)
    unshare = shutil.which("unshare")  # a user namespace has a limit of its own
    if not unshare or subprocess.run([unshare, "-Ur", "true"], check=False).returncode:
        pytest.skip("no user namespaces here")

    ran = subprocess.run(
        [unshare, "-Ur", sys.executable, "-c", LIMITED, str(uploads), watch],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert ran.stdout.split() == ["True", "poll", "uploads.watch_limit"], ran.stderr


@pytest.mark.lab
def test_a_file_system_without_events_is_polled(fault_fs, tmp_path):
    fs = fault_fs(subtype="nfs-like")
    eyes = Eyes(fs.path, watch="auto")
    assert eyes.until(eyes.is_watching)
    assert eyes.folder.view.watching == "poll"

    (fs.source / "from-elsewhere.pdf").write_bytes(b"1")

    assert eyes.until(lambda: "from-elsewhere.pdf" in eyes.names(by="scan"), 20.0)
    eyes.close()


@pytest.mark.lab
def test_a_folder_on_a_file_system_that_hangs_comes_back_by_itself(fault_fs):
    fs = fault_fs()
    eyes = Eyes(fs.path, watch="auto", timeout_seconds=2.0)
    assert eyes.until(eyes.is_watching)

    fs.hang()
    assert eyes.until(lambda: eyes.folder.view.state is UploadsState.HUNG, 30.0)
    began = time.monotonic()
    assert eyes.folder.look(["a.pdf"]).exception(20) is not None
    assert time.monotonic() - began < 10.0
    fs.clear()

    (fs.source / "a.pdf").write_bytes(b"1")
    assert eyes.until(lambda: "a.pdf" in eyes.names(), 30.0)
    assert eyes.folder.view.state is UploadsState.OK
    eyes.close()
