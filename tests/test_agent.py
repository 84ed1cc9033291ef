"""The child processes: their frames, their deadline, their end. Real children, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_syncd.agent.child import describe, internal_error
from nas_syncd.agent.process import Agent, AgentDiedError, AgentHungError
from nas_syncd.agent.wire import LARGEST_FRAME_BYTES, Unpacker, pack
from nas_syncd.errors import UploadsError, error_from

PROJECT = Path(__file__).resolve().parents[1]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def agent_for(folder: Path, timeout_seconds: float = 20.0) -> Agent:
    options = {"root": str(folder), "watch": None, "queue_limit": 100}
    return Agent(
        "uploads", side="uploads", timeout_seconds=timeout_seconds, workers=2, options=options
    )


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = agent_for(tmp_path)
    yield agent
    agent.close()


def has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether *condition* came true in time (for what nobody announces)."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True


def run_parent(code: str, folder: Path) -> subprocess.Popen[str]:
    """Run *code* as another process that has an ``agent``; it is asked once at first."""
    begin = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from tests.test_agent import agent_for\n"
        "agent = agent_for(Path(sys.argv[1]))\n"
        "agent.call('root')\n"
        "pid = agent.pids()[0]\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", begin + code, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


# -- frames -----------------------------------------------------------------------------------

MESSAGES = st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))


@given(MESSAGES, st.integers(1, 40))
def test_messages_arrive_whole_in_whatever_pieces_the_bytes_come(messages, size):
    stream = b"".join(map(pack, messages))
    unpacker = Unpacker()

    got = [m for i in range(0, len(stream), size) for m in unpacker.feed(stream[i : i + size])]

    assert got == messages


@given(st.binary(min_size=1))
def test_names_that_are_not_utf8_cross_unchanged(raw):
    name = raw.decode("utf-8", "surrogateescape")

    (message,) = Unpacker().feed(pack({"path": name}))

    assert message["path"].encode("utf-8", "surrogateescape") == raw


def test_a_length_beyond_any_frame_is_refused():
    with pytest.raises(ValueError, match="frame of"):
        Unpacker().feed((LARGEST_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_an_error_comes_back_as_itself_with_its_params_and_the_cause():
    error = UploadsError("gone", state="missing", path="/x")
    error.__cause__ = FileNotFoundError(2, "no")
    frame = describe(error)

    back = error_from(frame["error"], frame["detail"], **frame["params"])

    assert type(back) is UploadsError
    assert back.params == {"state": "missing", "path": "/x", "errno": "ENOENT"}


def test_an_unexpected_exception_tells_where_it_happened():
    try:
        raise KeyError("what")
    except KeyError as error:
        found = internal_error(error)

    assert "KeyError" in found.detail
    assert Path(__file__).name in found.detail


# -- asking -----------------------------------------------------------------------------------


def test_a_name_that_is_not_utf8_is_found_by_the_child(agent, tmp_path):
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9.pdf")
    Path(os.fsdecode(raw)).write_bytes(b"123")

    answer = agent.call("look", paths=[os.fsdecode(b"caf\xe9.pdf")])

    assert answer["looks"][0][:2] == ["file", 3]


def test_an_unknown_request_is_an_error_and_the_child_lives_on(agent):
    with pytest.raises(Exception, match="KeyError"):
        agent.call("no such thing")

    assert agent.call("look", paths=["a"])["looks"][0][0] == "missing"


def test_an_answer_cannot_be_cancelled_away(agent):
    """A cancelled future that is then answered would end the conversation."""
    future = agent.ask("root")

    assert not future.cancel()
    assert future.result(20)["inode"] > 0


def test_a_closed_agent_takes_no_questions(agent):
    agent.close()

    with pytest.raises(RuntimeError, match="closed"):
        agent.ask("root")


def test_a_slow_callback_of_ours_is_not_taken_for_a_hang(tmp_path):
    agent = agent_for(tmp_path, timeout_seconds=1.5)
    agent.call("root")
    pid = agent.pids()[0]
    slow = threading.Event()
    inner = []

    def callback(_: object) -> None:
        inner.append(agent.ask("root"))
        slow.wait(2.0)

    os.kill(pid, signal.SIGSTOP)  # so that the callback is there before the answer
    agent.ask("root").add_done_callback(callback)
    os.kill(pid, signal.SIGCONT)

    assert wait_for(lambda: bool(inner))
    assert inner[0].result(20)
    assert agent.pids() == [pid]
    agent.close()


@linux_only
def test_the_child_holds_no_secret_and_keeps_no_folder_busy(agent, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@host/db")
    agent.call("root")
    pid = agent.pids()[0]

    assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert len(os.listdir(f"/proc/{pid}/fd")) <= 4


# -- dying and hanging --------------------------------------------------------------------------


def test_a_child_that_dies_fails_what_was_asked_and_the_next_question_starts_another(agent):
    agent.call("root")
    first = agent.pids()[0]
    os.kill(first, signal.SIGSTOP)
    future = agent.ask("root")

    os.kill(first, signal.SIGKILL)

    with pytest.raises(AgentDiedError):
        future.result(20)
    assert agent.call("root")["inode"]
    assert agent.pids() != [first]


def test_no_question_is_forgotten_when_the_child_dies_at_that_very_moment(agent):
    """Each future ends, one way or the other, whenever the end comes."""
    for _ in range(10):
        agent.call("root")
        os.kill(agent.pids()[0], signal.SIGKILL)
        for future in [agent.ask("root") for _ in range(50)]:
            error = future.exception(20)
            assert error is None or isinstance(error, AgentDiedError)


def test_a_child_that_hangs_is_left_within_the_deadline(tmp_path):
    agent = agent_for(tmp_path, timeout_seconds=2.0)
    agent.call("root")
    first = agent.pids()[0]
    os.kill(first, signal.SIGSTOP)
    began = time.monotonic()

    with pytest.raises(AgentHungError) as caught:
        agent.ask("root").result(20)

    assert 2.0 <= time.monotonic() - began < 6.0
    assert caught.value.params["side"] == "uploads"
    assert wait_for(lambda: not agent.stuck), "it was only stopped: SIGKILL ends it"
    assert agent.call("root")["inode"]
    agent.close()


def test_asking_never_waits_for_a_child_that_stands_still(agent):
    agent.call("root")
    os.kill(agent.pids()[0], signal.SIGSTOP)
    began = time.monotonic()

    futures = [agent.ask("look", paths=["x" * 1000] * 10) for _ in range(500)]

    assert time.monotonic() - began < 2.0, "5 MB for a pipe that nobody reads"
    assert not any(future.done() for future in futures)


# -- the end ------------------------------------------------------------------------------------


@linux_only
@pytest.mark.parametrize("stopped", [False, True], ids=["working", "standing still"])
def test_the_child_ends_with_a_parent_that_is_killed(tmp_path, stopped):
    code = "print(pid, flush=True)\nsys.stdin.read()\n"
    with run_parent(code, tmp_path) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if stopped:
            os.kill(child, signal.SIGSTOP)

        parent.kill()

    assert wait_for(lambda: has_ended(child))


@linux_only
def test_the_interpreter_exits_although_the_child_stands_still(tmp_path):
    code = "os.kill(pid, signal.SIGSTOP)\nagent.ask('root')\nprint(pid, flush=True)\n"
    with run_parent(code, tmp_path) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        assert parent.wait(10) == 0

    assert wait_for(lambda: has_ended(child))


def test_a_process_that_forks_gets_a_child_of_its_own(tmp_path):
    code = (
        "if os.fork() == 0:\n"
        "    ok = agent.ask('root').result(20)['inode'] > 0 and agent.pids() != [pid]\n"
        "    agent.close()\n"
        "    os._exit(0 if ok else 1)\n"
        "status = os.wait()[1]\n"
        "ok = agent.call('root')['inode'] > 0 and agent.pids() == [pid]\n"
        "print(status, ok, flush=True)\n"
    )
    with run_parent(code, tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read().split() == ["0", "True"]
