"""Somebody is told, by a real HTTP receiver: the right things, once, in the right order."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.parts import wait_until
from tests.receiver import Receiver
from tests.stage import RunningDaemon, Stage

pytest.importorskip("apprise")

Start = Callable[[Stage], RunningDaemon]
SECRET = "tok3n-of-the-address"
MINUTE = 1 / 60
"""One second, as the settings count."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def told_in(stage: Stage, receiver: Receiver, away_seconds: float = 1.0) -> Stage:
    stage.settings |= {
        "NAS_SYNCD_NOTIFY_URLS": receiver.url(SECRET),
        "NAS_SYNCD_NOTIFY_AWAY_MINUTES": away_seconds * MINUTE,
    }
    return stage


@pytest.mark.root
@pytest.mark.lab
def test_away_back_full_freed_problem_in_this_order_and_each_once(
    tmp_path: Path, tmpfs_mount, start: Start, receiver: Receiver
) -> None:
    share = tmpfs_mount("16m")
    stage = told_in(Stage(tmp_path / "world", nas=share.path).pair(), receiver)
    stage.settings["NAS_SYNCD_MIN_FREE_SPACE"] = "4MiB"
    stage.add("a.pdf", b"before")
    daemon = start(stage)
    stage.wait_marked(1)

    marker = (share.path / ".nas-syncd.json").read_bytes()
    wait_until(lambda: daemon.is_idle_below(share.path), "nothing held open")
    share.unmount()
    stage.add("b.pdf", b"while away")
    receiver.wait_messages(1)
    share.mount()
    (share.path / ".nas-syncd.json").write_bytes(marker)
    stage.wait_marked(2)
    receiver.wait_messages(2)

    filler = share.path / "somebody-elses.bin"
    filler.write_bytes(bytes(14 << 20))
    stage.add("c.pdf", b"while full")
    receiver.wait_messages(3)
    filler.unlink()
    stage.wait_marked(3)
    receiver.wait_messages(4)

    (stage.uploads / "d.pdf").symlink_to(stage.uploads / "a.pdf")
    problem = stage.row("d.pdf", original_name="secret of the family.pdf")
    receiver.wait_messages(5)

    titles = [title.partition(": ")[2] for title in receiver.titles]
    assert titles == [
        "the NAS is away",
        "the NAS is back",
        "no space left on the NAS",
        "there is space on the NAS again",
        "documents need you (1)",
    ]
    away, back, _, _, given_up = (str(message["message"]) for message in receiver.messages)
    assert "not mounted" in away
    assert "Nothing is lost" in away
    assert "It was away since" in back
    assert f"- {problem}: " in given_up
    assert "nas-syncd explain" in given_up
    everything = str(receiver.messages)
    assert "secret of the family" not in everything
    assert "d.pdf" not in everything

    daemon.wait_for("notify.sent", title=receiver.titles[4])
    sent = [event["title"] for event in daemon.events if event["event"] == "notify.sent"]
    assert sent == receiver.titles
    assert SECRET not in "".join(daemon.text)
    assert daemon.stop() == 0


def test_the_end_of_a_trouble_is_told_after_a_restart_and_nothing_twice(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    marker = stage.nas / ".nas-syncd.json"
    content = marker.read_bytes()
    first = start(stage)
    first.wait_for("mount.changed", state="ok")
    marker.unlink()
    stage.add("a.pdf", b"a")
    receiver.wait_messages(1)
    first.wait_for("notify.sent")
    first.kill()

    second = start(stage)
    second.wait_for("mount.changed", state="not_mounted")
    marker.write_bytes(content)
    stage.wait_marked(1)
    receiver.wait_messages(2)
    assert [title.partition(": ")[2] for title in receiver.titles] == [
        "the NAS is away",
        "the NAS is back",
    ]


def test_a_receiver_that_hangs_delays_no_copy_and_no_stop(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    receiver.held.clear()
    (stage.uploads / "link.pdf").symlink_to("/dev/null")
    stage.row("link.pdf")
    daemon = start(stage)
    receiver.wait_calls(1)  # and it gets no answer
    stage.add_many(50)
    stage.wait_marked(50)
    assert daemon.count("notify.sent") == 0
    assert daemon.stop(10) == 0


def test_what_could_not_be_sent_is_sent_after_a_restart(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    receiver.answer = 503
    (stage.uploads / "link.pdf").symlink_to("/dev/null")
    stage.row("link.pdf")
    first = start(stage)
    failed = first.wait_for("notify.failed", to="json")
    assert "503" in failed["detail"]
    first.kill()
    receiver.answer = 200

    start(stage).wait_for("notify.sent")
    assert len(receiver.messages) == 1


def test_documents_that_wait_and_are_then_safe(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    stage.settings["NAS_SYNCD_NOTIFY_WAITING_HOURS"] = 1 / 3600
    late = stage.row("late.pdf", created_at="2024-01-16 10:00:00")
    start(stage)
    assert "documents wait" in receiver.wait_messages(1)[0]["title"]
    (stage.uploads / "late.pdf").write_bytes(b"here it is")
    wait_until(lambda: stage.is_marked(late), "marked")
    assert "no document waits" in receiver.wait_messages(2)[1]["title"]


def test_the_ping_comes_only_while_everything_is_safe(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = Stage(tmp_path / "world").pair()
    stage.settings["NAS_SYNCD_PING_URL"] = f"http://127.0.0.1:{receiver.port}/{SECRET}"
    stage.add("a.pdf", b"a")
    missing = stage.row("missing.pdf")
    daemon = start(stage)
    stage.wait_marked(1)
    wait_until(lambda: counted(stage, 2), "what is missing is known", seconds=20)
    assert receiver.calls == 0

    (stage.uploads / "missing.pdf").write_bytes(b"found")
    wait_until(lambda: stage.is_marked(missing), "marked")
    receiver.wait_pings(1)
    assert SECRET not in "".join(daemon.text)


def test_a_deleted_document_hides_no_flag_without_proof_from_the_ping(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = Stage(tmp_path / "world").pair()
    stage.settings["NAS_SYNCD_PING_URL"] = f"http://127.0.0.1:{receiver.port}/"
    first = stage.add("a.pdf", b"a")
    stage.add("b.pdf", b"b")
    with start(stage):
        stage.wait_marked(2)
        receiver.wait_pings(1)
    stage.sql("DELETE FROM documents WHERE id = ?", first)
    start(stage)  # what is left is all proven: the receipt of the deleted row must not count
    receiver.wait_pings(2)
    assert receiver.pings >= 2


def counted(stage: Stage, documents: int) -> bool:
    """Whether the daemon has looked at so many documents by now, as its journal says."""
    with sqlite3.connect(stage.state / "journal.sqlite3") as journal:
        found = journal.execute("SELECT count(*) FROM document").fetchone()[0]
    return int(found) >= documents


def test_no_ping_while_a_flag_is_inherited_without_proof(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    stage.settings["NAS_SYNCD_PING_URL"] = f"http://127.0.0.1:{receiver.port}/"
    stage.add("old.pdf", b"old", synced_to_nas=True, synced_at="2024-01-17 10:00:00")
    (stage.uploads / "link.pdf").symlink_to("/dev/null")
    row = stage.row("link.pdf")
    start(stage)
    receiver.wait_messages(1)
    stage.sql("DELETE FROM documents WHERE id = ?", row)
    stage.add("new.pdf", b"new")
    stage.wait_marked(2)
    assert receiver.pings == 0


def test_a_memory_of_another_version_is_told_and_silences_nobody(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = told_in(Stage(tmp_path / "world").pair(), receiver)
    first = start(stage)
    first.wait_for("mount.changed", state="ok")
    assert first.stop() == 0
    with sqlite3.connect(stage.state / "journal.sqlite3") as journal:
        journal.execute(
            "INSERT OR REPLACE INTO meta VALUES ('alerts', '{\"alarms\": {\"spells\": 7}}')"
        )
    (stage.uploads / "link.pdf").symlink_to("/dev/null")
    stage.row("link.pdf")
    second = start(stage)
    second.wait_for("notify.forgotten")
    receiver.wait_messages(1)
    assert "documents need you" in receiver.titles[0]


def test_new_addresses_are_taken_up_by_a_reload(
    tmp_path: Path, start: Start, receiver: Receiver
) -> None:
    stage = Stage(tmp_path / "world").pair()
    (stage.uploads / "link.pdf").symlink_to("/dev/null")
    stage.row("link.pdf")
    daemon = start(stage)
    daemon.wait_for("document.refused")
    told_in(stage, receiver)
    assert stage.env_file.exists()  # written anew
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for("daemon.reloaded")
    assert "documents need you" in receiver.wait_messages(1)[0]["title"]
