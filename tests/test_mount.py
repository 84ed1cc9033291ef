"""The guard: what stands at the path, told apart; real folders, real mounts, a real child."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas_syncd import mount as mount_module
from nas_syncd.agent.marker import root_error
from nas_syncd.agent.process import Agent, AgentDiedError, AgentHungError
from nas_syncd.agent.wire import Message
from nas_syncd.errors import (
    MountError,
    NasDownError,
    NasFullError,
    NasHungError,
    NasNotMountedError,
    NasPrivacyError,
)
from nas_syncd.messages import LANGUAGES, REMEDIES, TEXTS, explain, render_error
from nas_syncd.models import Identity, MountState, MountView, Reason
from nas_syncd.mount import Guard, Shortage, judge, mount_error
from nas_syncd.mounttable import MountPoint
from nas_syncd.names import MARKER_NAME
from nas_syncd.nasfs import nas_error
from tests.helpers import NOW, a_view, files_below
from tests.lab.parts import wait_until

UUID = "11111111-2222-3333-4444-555555555555"
KNOWN = Identity(UUID, "cifs", "//nas/finance")
BAD = sorted(set(MountState) - {MountState.OK})


# -- judging ----------------------------------------------------------------------------------


def facts(**changes):
    return {
        "nas": UUID,
        "mount": ["41", "/nas", "cifs", "//nas/finance"],
        "read_only": False,
        "free": 1000,
        "total": 2000,
        **changes,
    }


def other(file_system):
    return ["41", "/nas", file_system, "x"]


@pytest.mark.parametrize(
    ("changes", "known", "min_free", "state"),
    [
        ({}, KNOWN, 0, MountState.OK),
        ({}, None, 0, MountState.OK),
        ({"nas": None}, KNOWN, 0, MountState.NOT_MOUNTED),
        ({"nas": None}, None, 0, MountState.NOT_MOUNTED),
        ({"nas": "x"}, KNOWN, 0, MountState.FOREIGN),
        ({"nas": "x"}, None, 0, MountState.OK),
        ({"mount": other("ext4")}, KNOWN, 0, MountState.SUSPECT),
        ({"mount": other("ext4")}, None, 0, MountState.OK),
        ({"mount": other("")}, KNOWN, 0, MountState.OK),
        ({"mount": other("cifs")}, KNOWN, 0, MountState.OK),  # an address may change
        ({"read_only": True}, KNOWN, 0, MountState.READ_ONLY),
        ({"free": 999}, KNOWN, 1000, MountState.FULL),
        ({"free": 1000}, KNOWN, 1000, MountState.OK),
        ({"free": 0}, KNOWN, 0, MountState.OK),  # some servers do not say
        # the first thing wrong is the one that is told
        ({"nas": None, "read_only": True, "free": 0}, KNOWN, 1, MountState.NOT_MOUNTED),
        ({"nas": "x", "mount": other("ext4")}, KNOWN, 0, MountState.FOREIGN),
        ({"mount": other("ext4"), "read_only": True}, KNOWN, 0, MountState.SUSPECT),
        ({"read_only": True, "free": 0}, KNOWN, 1, MountState.READ_ONLY),
    ],
)
def test_what_is_seen_is_judged(changes, known, min_free, state):
    judged, reason = judge(facts(**changes), "/nas", known, min_free, None)

    assert judged is state
    assert (reason is None) is (state is MountState.OK)
    if reason:
        assert reason.code == f"mount.{state}"
        assert reason.params["path"] == "/nas"


@pytest.mark.parametrize(
    ("free", "short", "state"),
    [
        (1000, Shortage(free=1000, needed=0, until=1e12), MountState.FULL),
        (999, Shortage(free=1000, needed=0, until=1e12), MountState.FULL),
        (1001, Shortage(free=1000, needed=0, until=1e12), MountState.OK),
        (1001, Shortage(free=1000, needed=5000, until=1e12), MountState.FULL),
        (5000, Shortage(free=1000, needed=5000, until=1e12), MountState.OK),
        (1000, Shortage(free=1000, needed=0, until=0), MountState.OK),
        (9999, Shortage(free=None, needed=0, until=1e12), MountState.FULL),
        (9999, Shortage(free=None, needed=0, until=0), MountState.OK),
    ],
)
def test_after_a_copy_found_it_full_something_must_have_been_freed(free, short, state):
    judged, _ = judge(facts(free=free), "/nas", KNOWN, 0, short)

    assert judged is state


@pytest.mark.parametrize(
    ("changes", "known", "short", "told"),
    [
        ({"nas": None}, KNOWN, None, {"paired": True}),
        ({"nas": None}, None, None, {"paired": False}),
        ({"nas": "x"}, KNOWN, None, {"expected": UUID, "found": "x"}),
        ({"mount": other("ext4")}, KNOWN, None, {"expected": "cifs", "found": "ext4"}),
        ({"read_only": True}, KNOWN, None, {}),
        ({"free": 9}, KNOWN, None, {"free": 9, "needed": 10}),
        ({"free": 9}, KNOWN, Shortage(None, 30, float("inf")), {"free": 9, "needed": 30}),
    ],
)
def test_the_reason_holds_what_tells_the_causes_apart(changes, known, short, told):
    state, reason = judge(facts(**changes), "/nas", known, 10, short)

    assert reason == Reason(f"mount.{state}", {"path": "/nas", **told})


@pytest.mark.parametrize("state", BAD)
def test_every_state_has_its_error_its_words_and_a_remedy(state):
    error = mount_error(a_view(state))

    assert isinstance(error, MountError)
    for language in LANGUAGES:
        assert f"mount.{state}" in TEXTS[language]
        assert state is MountState.UNKNOWN or f"mount.{state}" in REMEDIES[language]
    if state is not MountState.UNKNOWN:
        assert error.code == f"mount.{state}"


# -- a guard with a real child -------------------------------------------------------------------


@dataclass
class Watched:
    """A guard with a real agent, and what it told."""

    guard: Guard
    agent: Agent
    told: list[tuple[MountState, MountState]] = field(default_factory=list)
    remembered: list[Identity] = field(default_factory=list)

    def look(self, seconds: float = 20.0, **more: Any) -> MountView:
        return self.guard.check(**more).result(seconds)


@pytest.fixture
def watch():
    with contextlib.ExitStack() as stack:

        def make(path, *, identity=None, timeout_seconds=20.0, min_free_bytes=0, **more):
            agent = Agent(
                "nas",
                side="nas",
                timeout_seconds=timeout_seconds,
                workers=2,
                options={"installation": "inst", "run": "a" * 16},
            )
            stack.callback(agent.close)
            told: list[tuple[MountState, MountState]] = []
            remembered: list[Identity] = []
            guard = Guard(
                agent,
                str(path),
                identity=identity,
                min_free_bytes=min_free_bytes,
                remember=remembered.append,
                on_change=lambda was, now: told.append((was.state, now.state)),
                **more,
            )
            return Watched(guard, agent, told, remembered)

        yield make


def pair(folder, nas=UUID):
    (folder / MARKER_NAME).write_text(json.dumps({"nas": nas}))
    return folder


@pytest.fixture
def nas(tmp_path):
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


def test_without_a_path_nothing_is_asked(watch):
    watched = watch("")

    assert watched.look().state is MountState.UNCONFIGURED
    assert watched.agent.pids() == []
    assert watched.guard.view.reason.code == "mount.unconfigured"
    with pytest.raises(MountError):
        watched.guard.raise_unless_usable()


def test_before_the_first_look_nothing_is_known_and_nothing_usable(watch, nas):
    guard = watch(pair(nas)).guard

    assert guard.view.state is MountState.UNKNOWN
    assert guard.due(work_waits=False)
    with pytest.raises(MountError):
        guard.raise_unless_usable()


def test_it_goes_through_the_states_that_a_share_goes_through(watch, tmp_path):
    path = tmp_path / "nas"
    watched = watch(path)
    seen = [watched.look().state]
    path.mkdir()
    seen.append(watched.look().state)
    pair(path)
    seen.append(watched.look(write=True).state)
    watched.guard.raise_unless_usable()
    pair(path, "another")
    seen.append(watched.look().state)
    (path / MARKER_NAME).unlink()
    seen.append(watched.look(write=True).state)

    assert seen == [
        MountState.MISSING,
        MountState.NOT_MOUNTED,
        MountState.OK,
        MountState.FOREIGN,
        MountState.NOT_MOUNTED,
    ]
    assert [now for _, now in watched.told] == seen
    assert watched.guard.epoch == 1
    with pytest.raises(NasNotMountedError):
        watched.guard.raise_unless_usable()


def test_a_first_marker_is_pinned_with_what_it_lies_on_and_remembered(watch, nas):
    watched = watch(pair(nas))
    watched.look()

    assert [identity.nas for identity in watched.remembered] == [UUID]
    assert watched.guard.identity == watched.remembered[0]
    assert watched.guard.identity.file_system == watched.guard.view.file_system
    watched.look()
    pair(nas, "another")
    watched.look()
    assert len(watched.remembered) == 1, "what was pinned stays"


def test_a_first_marker_is_not_written_below_before_it_is_ours_and_then_it_is_tried(watch, nas):
    watched = watch(pair(nas))
    assert watched.look(write=True).usable
    assert watched.guard.untried
    assert [path.name for path in nas.iterdir()] == [MARKER_NAME]

    watched.look(write=True)

    assert not watched.guard.untried
    assert (nas / ".nas-syncd-tmp").is_dir()


@pytest.mark.parametrize("marker", [None, "another"])
def test_what_is_not_ours_is_not_pinned(watch, nas, marker):
    if marker:
        pair(nas, marker)
    watched = watch(nas, identity=Identity(UUID, "", ""))
    watched.look()

    assert watched.remembered == []
    assert watched.guard.identity == Identity(UUID, "", "")


def test_our_marker_on_another_kind_of_file_system_is_suspect_and_not_written_to(watch, nas):
    watched = watch(pair(nas), identity=Identity(UUID, "cifs", "//nas/x"))

    view = watched.look()

    assert view.state is MountState.SUSPECT
    assert view.reason.params["expected"] == "cifs"
    assert files_below(nas) == {}


def test_too_little_space_is_full_before_the_disk_is(watch, nas):
    watched = watch(pair(nas), min_free_bytes=1 << 60)

    view = watched.look()

    assert view.state is MountState.FULL
    assert view.reason.params["needed"] == 1 << 60
    assert watched.guard.identity is not None
    watched.guard.min_free_bytes = 0
    assert watched.look().usable


def test_a_full_share_is_full_until_something_was_freed(watch, nas):
    watched = watch(pair(nas))
    watched.look()
    watched.guard.trouble(NasFullError("no space", free=1 << 60, needed=7))

    assert watched.look().state is MountState.FULL
    watched.guard.trouble(NasFullError("no space", free=1, needed=7))
    assert watched.look().usable


def test_a_question_that_is_on_its_way_is_joined(watch, nas):
    watched = watch(pair(nas))
    watched.look()
    (pid,) = watched.agent.pids()
    os.kill(pid, 19)
    try:
        futures = {id(f): f for f in (watched.guard.check() for _ in range(50))}
        assert watched.guard.asking
        assert not watched.guard.due(work_waits=True)
    finally:
        os.kill(pid, 18)

    assert len(futures) == 1
    assert all(f.result(20).usable for f in futures.values())
    assert not watched.guard.asking


def test_many_threads_may_ask_at_once(watch, nas):
    watched, seen = watch(pair(nas)), []
    threads = [
        threading.Thread(target=lambda: seen.append(watched.look().state)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert seen == [MountState.OK] * 20
    assert len(watched.told) == 1


def test_the_view_says_since_when_and_when_it_was_last_checked(watch, nas):
    watched = watch(pair(nas))
    first = watched.look()
    second = watched.look()

    assert second.since == first.since
    assert first.checked_at is not None
    assert second.checked_at is not None
    assert second.checked_at > first.checked_at


def test_an_idle_mount_that_is_well_is_left_to_sleep(watch, nas):
    watched = watch(pair(nas))
    watched.look()

    assert not watched.guard.due(work_waits=False)
    assert not watched.guard.due(work_waits=True)


def test_an_idle_mount_is_looked_at_once_in_a_while_and_its_loss_noticed(watch, nas):
    """Its disk may have been exchanged, or its server have died, without a word in the table."""
    watched = watch(pair(nas), idle_check_seconds=0.2)
    assert watched.look().usable
    (nas / MARKER_NAME).unlink()

    assert not watched.guard.due(work_waits=False), "not at once"
    wait_until(lambda: watched.guard.due(work_waits=False), "due", seconds=5)

    assert watched.look().state is MountState.NOT_MOUNTED


def test_a_mount_that_is_not_there_is_asked_again_soon_while_work_waits(watch, nas):
    watched = watch(nas)
    watched.look()

    assert not watched.guard.due(work_waits=True), "not at once"
    wait_until(lambda: watched.guard.due(work_waits=True), "due", seconds=5)
    assert not watched.guard.due(work_waits=False)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NasDownError("x"), MountState.DOWN),
        (NasNotMountedError("x"), MountState.NOT_MOUNTED),
        (NasFullError("x", free=1, needed=2), MountState.FULL),
    ],
)
def test_what_a_copy_met_is_taken_note_of_at_once(watch, nas, error, state):
    watched = watch(pair(nas))
    watched.look()

    watched.guard.trouble(error)

    assert watched.guard.view.state is state
    assert watched.guard.view.reason.code == f"mount.{state}"


def test_an_ending_of_our_own_is_no_trouble(watch, nas):
    watched = watch(pair(nas))
    watched.look()
    (pid,) = watched.agent.pids()
    os.kill(pid, 19)
    future = watched.agent.ask("probe", root=str(nas), nas=UUID)
    watched.agent.stop_child()

    watched.guard.trouble(future.exception(20))

    assert watched.guard.view.usable


# -- real mounts --------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.lab
def test_a_share_that_is_unmounted_and_comes_back_is_noticed_in_the_mount_table(watch, tmpfs_mount):
    share = tmpfs_mount("4m")
    watched = watch(pair(share.path))
    assert watched.look().usable
    wait_until(lambda: not in_use(share), "let go", seconds=5)

    share.unmount()
    assert watched.guard.due(work_waits=False)
    assert watched.look(write=True).state is MountState.NOT_MOUNTED
    assert list(share.path.iterdir()) == []

    share.mount()
    pair(share.path)
    assert watched.guard.due(work_waits=False)
    assert watched.look().usable
    assert watched.guard.epoch == 2


def in_use(share):
    for process in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(os.readlink(f).startswith(str(share.path)) for f in process.iterdir()):
                return True
    return False


@pytest.mark.root
@pytest.mark.lab
def test_a_share_that_becomes_read_only_is_told_and_recovers(watch, tmpfs_mount):
    share = tmpfs_mount("4m")
    watched = watch(pair(share.path))
    assert watched.look().usable

    share.remount("ro")
    assert watched.look(write=True).state is MountState.READ_ONLY
    share.remount("rw")
    assert watched.look(write=True).usable


@pytest.mark.root
@pytest.mark.lab
def test_a_share_without_space_is_told_and_recovers(watch, tmpfs_mount):
    share = tmpfs_mount("4m")
    watched = watch(pair(share.path), min_free_bytes=1 << 20)
    assert watched.look().usable
    (share.path / "big").write_bytes(bytes(3_500_000))

    assert watched.look().state is MountState.FULL
    (share.path / "big").unlink()
    assert watched.look().usable


@pytest.mark.root
@pytest.mark.lab
def test_another_file_system_with_the_same_marker_is_suspect(watch, tmpfs_mount, nas):
    share = tmpfs_mount("4m", at=nas)
    watched = watch(pair(share.path))
    assert watched.look().usable
    wait_until(lambda: not in_use(share), "let go", seconds=5)
    share.unmount()
    pair(nas)

    assert watched.look(write=True).state is MountState.SUSPECT
    assert files_below(nas) == {}


@pytest.mark.lab
def test_a_mount_that_hangs_is_told_within_the_deadline_and_recovers_by_itself(watch, fault_fs):
    share = fault_fs()
    pair(share.source)
    watched = watch(share.path, timeout_seconds=1.0)
    assert watched.look().usable
    share.hang()
    asked = time.monotonic()

    view = watched.look(15)

    assert view.state is MountState.HUNG
    assert time.monotonic() - asked < 6
    with pytest.raises(NasHungError):
        watched.guard.raise_unless_usable()
    assert watched.agent.stuck
    for _ in range(5):  # asking goes on, and nobody joins the one who is stuck
        began = time.monotonic()
        assert watched.look(15).state is MountState.HUNG
        assert time.monotonic() - began < 0.5
        assert len(watched.agent.pids()) == 1

    share.clear()
    wait_until(lambda: not watched.agent.stuck, "it has ended", seconds=10)
    assert watched.look().usable
    assert [now for _, now in watched.told] == [MountState.OK, MountState.HUNG, MountState.OK]


@pytest.mark.lab
def test_a_mount_that_is_taken_away_while_it_hangs_is_tried_anew(watch, fault_fs):
    """The mount table has changed: it need not be the same trouble any more."""
    share = fault_fs()
    pair(share.source)
    watched = watch(share.path, timeout_seconds=1.0)
    assert watched.look().usable
    share.hang()
    assert watched.look(15).state is MountState.HUNG
    stuck = watched.agent.pids()

    share.tear_down()

    assert watched.guard.due(work_waits=False)
    assert watched.look(15).state is MountState.NOT_MOUNTED
    wait_until(lambda: not set(stuck) & set(watched.agent.pids()), "reaped", seconds=10)


@pytest.mark.lab
def test_a_server_that_dies_is_down_not_hung(watch, fault_fs):
    share = fault_fs()
    pair(share.source)
    watched = watch(share.path)
    assert watched.look().usable

    share.crash()

    assert watched.look().state is MountState.DOWN
    assert watched.agent.pids() != []


def test_a_view_is_usable_only_when_it_is_ok():
    assert MountView(MountState.OK, "/nas", None, NOW).usable
    for state in BAD:
        assert not MountView(state, "/nas", Reason(f"mount.{state}"), NOW).usable


# -- macOS's privacy settings -----------------------------------------------------------------


def test_on_a_mac_eperm_is_the_privacy_settings_and_named_with_its_place(monkeypatch):
    refused = OSError(errno.EPERM, "Operation not permitted")
    assert root_error(refused, "/mnt/nas").code == "mount.denied"
    monkeypatch.setattr("nas_syncd.nasfs.sys.platform", "darwin")
    assert root_error(OSError(errno.EACCES, "Permission denied"), "/x").code == "mount.denied"

    error = root_error(refused, "/Volumes/finance")

    assert error.code == nas_error(refused, "a.pdf").code == "mount.privacy"
    assert error.params["program"] == sys.executable
    english, french = (render_error(error, language) for language in ("en", "fr"))
    assert "Privacy & Security > Files and Folders" in english
    assert "Full Disk Access" in english
    assert sys.executable in english
    assert "Confidentialité et sécurité > Fichiers et dossiers" in french
    assert "Accès complet au disque" in french


def test_the_privacy_trouble_stays_itself_in_the_view_and_behind_every_wait():
    guard = Guard(Agent("nas", side="nas", timeout_seconds=1), "/Volumes/finance", identity=None)
    guard.trouble(NasPrivacyError("no", path="/Volumes/finance", program="/opt/python"))

    assert guard.view.state is MountState.DENIED
    assert guard.view.trouble == "privacy"
    with pytest.raises(NasPrivacyError):
        guard.raise_unless_usable()
    waiting = Reason("wait.mount", {"state": guard.view.trouble})
    assert "Privacy & Security" in explain(waiting, "en")


# -- what the guard remembers, with a clock and an agent of our own -------------------------------


class Scripted:
    """An agent that answers what the test says, at once."""

    def __init__(self):
        self.answers = []
        self.stuck = False
        self.timeout_seconds = 7.4

    def ask(self, _op, **_args):
        asked: Future[Message] = Future()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            asked.set_exception(answer)
        else:
            asked.set_result(answer)
        return asked


class Clockwork:
    """A guard whose time and mount table are the test's."""

    def __init__(self, monkeypatch, identity=KNOWN):
        self.now = 5000.0
        self.line = MountPoint("41", "/nas", "cifs", "//nas/finance", ())
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(mount_module, "time", clock)
        monkeypatch.setattr(Guard, "_mount_line", lambda _guard: self.line)
        self.agent = Scripted()
        self.guard = Guard(self.agent, "/nas", identity=identity)  # type: ignore[arg-type]

    def look(self, *answers):
        for answer in answers or (facts(),):
            self.agent.answers = [answer]
            view = self.guard.check().result(1)
        return view


@pytest.fixture
def clockwork(monkeypatch):
    return Clockwork(monkeypatch)


def test_a_mount_that_hangs_says_for_how_long_it_was_waited(clockwork):
    clockwork.guard.trouble(AgentHungError("", side="nas"))

    view = clockwork.guard.view
    assert view.state is MountState.HUNG
    assert view.reason == Reason("mount.hung", {"path": "/nas", "seconds": 7})
    assert mount_error(view).params == {"path": "/nas", "seconds": 7}


def test_a_child_that_dies_is_the_mounts_trouble_unless_we_have_stopped_it(clockwork):
    clockwork.look()
    clockwork.guard.trouble(AgentDiedError("", stopped=True))
    clockwork.guard.trouble(AgentHungError("", side="uploads"))
    assert clockwork.guard.view.usable

    clockwork.guard.trouble(AgentDiedError("", stopped=False))
    assert clockwork.guard.view.state is MountState.DOWN


@pytest.mark.parametrize(("identity", "paired"), [(KNOWN, True), (None, False)])
def test_a_trouble_says_whether_there_was_a_nas_before(monkeypatch, identity, paired):
    guard = Clockwork(monkeypatch, identity).guard

    guard.trouble(NasDownError("x", errno="EIO"))

    assert guard.view.reason == Reason(
        "mount.down", {"errno": "EIO", "path": "/nas", "paired": paired}
    )


def test_a_full_nas_is_tried_after_longer_and_longer_until_it_was_well_for_a_while(clockwork):
    def pauses(count):
        for _ in range(count):
            clockwork.guard.trouble(NasFullError("", free=10, needed=5))
            yield clockwork.guard._short.until - clockwork.now

    assert list(pauses(12)) == [4.0, 8.0, 16.0, 32.0, *[60.0] * 8]
    clockwork.now += 120.0
    assert list(pauses(1)) == [60.0]
    clockwork.now += 120.1
    assert list(pauses(2)) == [4.0, 8.0]


def test_what_a_copy_wanted_must_be_free_first(clockwork):
    clockwork.guard.trouble(NasFullError("", free=10, needed=500))

    assert clockwork.look(facts(free=499)).reason.params["needed"] == 500
    assert clockwork.look(facts(free=500)).state is MountState.OK


def test_where_a_copy_was_not_told_what_is_free_the_next_look_is_the_measure(clockwork):
    clockwork.guard.trouble(NasFullError("", needed=5))

    seen = [clockwork.look(facts(free=free)).state for free in (90, 90, 91)]

    assert seen == [MountState.FULL, MountState.FULL, MountState.OK]


def test_a_shortage_that_is_over_is_forgotten(clockwork):
    clockwork.guard.trouble(NasFullError("", free=10, needed=500))
    clockwork.look(facts(free=500))

    assert clockwork.look(facts(free=20)).state is MountState.OK


@pytest.mark.parametrize("work_waits", [True, False])
def test_an_automount_is_woken_by_work_only(clockwork, work_waits):
    clockwork.look()
    clockwork.line = clockwork.line._replace(file_system="autofs")

    assert clockwork.guard.due(work_waits) is work_waits
    clockwork.now += 10_000
    assert clockwork.guard.due(work_waits) is work_waits


def test_a_mount_that_went_away_is_asked_at_once_and_then_with_patience(clockwork):
    clockwork.look()
    clockwork.line = None
    assert clockwork.guard.due(False)
    clockwork.look(NasNotMountedError(""))

    waited = []
    for work_waits in (True, True, True, True, False):
        began = clockwork.now
        while not clockwork.guard.due(work_waits):
            clockwork.now += 0.25
        waited.append(clockwork.now - began)
        clockwork.look(NasNotMountedError(""))

    assert waited == [1.0, 2.0, 4.0, 5.0, 65.0]


def test_a_question_that_would_join_a_stuck_one_is_not_asked_and_not_due_again_at_once(clockwork):
    clockwork.look(AgentHungError("", side="nas"))
    clockwork.agent.stuck = True
    clockwork.now += 100

    assert clockwork.look(facts()).state is MountState.HUNG
    assert len(clockwork.agent.answers) == 1
    assert not clockwork.guard.due(True)

    clockwork.line = MountPoint("42", "/nas", "cifs", "//nas/finance", ())
    assert clockwork.look(facts()).state is MountState.OK
