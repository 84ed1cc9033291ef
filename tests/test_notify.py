"""When somebody is told, and when not; what is kept until it could be sent; what never leaves."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from nas_syncd.notify import Alarms, Facts, Kind, Letter, Limits, Outbox, Sender, Waiting, ping
from nas_syncd.notify.alarms import AGAIN, CALM, MOST_PROBLEMS, SPACING
from nas_syncd.notify.outbox import MOST_LETTERS, OLDEST
from nas_syncd.notify.send import NOT_INSTALLED, NOT_UNDERSTOOD, harmless
from nas_syncd.settings import Settings
from tests.helpers import NOW, Clock
from tests.receiver import Receiver

AWAY = dt.timedelta(minutes=15)
WAITING = dt.timedelta(hours=24)
LIMITS = Limits(AWAY, WAITING)


class Watch:
    """Alarms with a clock, looked at once a second or at wider steps."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = Clock()
        self.alarms = Alarms(limits)
        self.facts: dict[str, Any] = {"away": False, "full": False, "database_away": False}
        self.told: list[str] = []
        self.params: list[Any] = []

    def __call__(self, lasting: dt.timedelta = dt.timedelta(), **facts: Any) -> list[str]:
        """Look now and until *lasting* has passed; return what was told."""
        self.facts |= facts
        told: list[str] = []
        step = max(dt.timedelta(seconds=1), lasting / 50)
        end = self.clock.time + lasting
        while True:
            for news in self.alarms.look(Facts(self.clock.time, **self.facts)):
                told.append(news.code)
                self.params.append(news.params)
            if self.clock.time >= end:
                self.told += told
                return told
            self.clock.time = min(self.clock.time + step, end)

    def restart(self) -> None:
        kept = json.loads(json.dumps(self.alarms.as_json()))
        self.alarms = Alarms(self.alarms.limits, kept)


# -- troubles that begin and end --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [("away", "away", "back"), ("database_away", "database", "database_back")],
)
def test_what_is_away_is_told_after_its_patience_and_not_a_moment_before(name, begin, end):
    watch = Watch()
    assert watch(AWAY - dt.timedelta(seconds=1), **{name: True}) == []
    assert watch(dt.timedelta(seconds=2)) == [begin]
    assert watch(dt.timedelta(days=3)) == []
    assert watch(CALM + dt.timedelta(seconds=2), **{name: False}) == [end]
    assert watch(dt.timedelta(days=3)) == []
    assert watch.params[0]["since"] == NOW
    assert watch.params[1]["seconds"] >= dt.timedelta(days=3).total_seconds()


def test_what_comes_back_in_time_is_never_told_nor_called_off():
    watch = Watch()
    for _ in range(20):
        assert watch(AWAY - dt.timedelta(minutes=1), away=True) == []
        assert watch(dt.timedelta(minutes=5), away=False) == []


def test_a_nas_that_comes_and_goes_rings_less_and_less():
    watch = Watch()
    for _ in range(24):
        watch(dt.timedelta(minutes=50), away=True)
        watch(dt.timedelta(minutes=10), away=False)
    alarms = watch.told.count("away")
    assert 2 <= alarms <= 8
    assert watch.told == ["away", "back"] * alarms  # and each alarm is called off


def test_each_further_alarm_of_a_day_wants_more_patience():
    watch = Watch()
    watch(AWAY, away=True)
    watch(CALM + dt.timedelta(seconds=2), away=False)
    watch(AWAY, away=True)
    watch(CALM + dt.timedelta(seconds=2), away=False)
    assert watch(2 * AGAIN - dt.timedelta(seconds=1), away=True) == []
    assert watch(dt.timedelta(seconds=2)) == ["away"]


def test_a_short_return_is_no_end():
    watch = Watch()
    watch(AWAY, away=True)
    assert watch(CALM / 2, away=False) == []
    assert watch(AWAY, away=True) == []
    assert watch(CALM * 2, away=False) == ["back"]


def test_what_is_not_known_is_neither_a_trouble_nor_an_end():
    watch = Watch()
    watch(AWAY, away=True)
    assert watch(dt.timedelta(days=1), away=None) == []
    assert watch(dt.timedelta(days=1), away=None, full=None, database_away=None) == []
    assert watch(CALM * 2, away=False) == ["back"]


def test_away_then_full_then_freed_is_told_in_this_order():
    watch = Watch()
    watch(AWAY, away=True)
    watch(CALM * 3, away=False, full=True)
    watch(CALM * 3, full=False)
    assert watch.told == ["away", "back", "full", "freed"]


def test_a_full_nas_that_goes_away_is_not_freed_by_that():
    watch = Watch()
    watch(full=True)
    watch(AWAY, away=True, full=False)
    watch(CALM * 3, away=False, full=False)
    assert watch.told == ["full", "away", "back", "freed"]


def test_a_restart_repeats_nothing_and_forgets_nothing():
    watch = Watch()
    watch(AWAY, away=True)
    watch.restart()
    assert watch(dt.timedelta(hours=5), away=True) == []
    watch.restart()
    assert watch(CALM * 2, away=False) == ["back"]
    watch.restart()
    assert watch(dt.timedelta(hours=5)) == []


def test_what_was_not_told_before_a_restart_begins_anew():
    watch = Watch()
    watch(AWAY / 2, away=True)
    watch.restart()
    watch.clock.time += dt.timedelta(days=2)  # nobody looked
    assert watch(AWAY / 2, away=True) == []
    assert watch(AWAY) == ["away"]


def test_a_clock_that_is_set_back_loses_no_alarm():
    watch = Watch()
    watch(AWAY / 2, away=True)
    watch.clock.time -= dt.timedelta(days=1)
    assert watch(AWAY + dt.timedelta(seconds=1)) == ["away"]
    watch.clock.time -= dt.timedelta(days=1)
    assert watch(CALM * 2, away=False) == ["back"]


@pytest.mark.parametrize("hours", [2, 24 * 365 * 20])
def test_a_clock_that_is_set_on_or_a_sleep_makes_no_trouble_longer(hours):
    """A computer without a clock of its own gets the time after its start; a laptop sleeps."""
    watch = Watch()
    watch(AWAY / 3, away=True)
    watch.clock.time += dt.timedelta(hours=hours)
    woken = watch.clock.time
    assert watch(AWAY / 3) == []
    assert watch(AWAY) == ["away"]
    assert watch.params[0]["since"] == woken
    watch(CALM / 4, away=False)
    watch.clock.time += dt.timedelta(hours=hours)
    assert watch() == []
    assert watch(CALM * 2) == ["back"]


# -- documents that wait ----------------------------------------------------------------------


def test_the_oldest_document_that_waits_for_too_long_is_told_at_its_time():
    watch = Watch()
    waiting = Waiting(3, oldest=NOW)
    assert watch(WAITING - dt.timedelta(minutes=30), waiting=waiting) == []
    assert watch(dt.timedelta(hours=1)) == ["waiting"]
    assert watch(CALM * 2, waiting=Waiting(0)) == ["caught_up"]


def test_a_backlog_of_old_papers_that_moves_is_no_alarm():
    watch = Watch()
    for day in range(500):
        old = dt.datetime(2015, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
        assert watch(dt.timedelta(minutes=10), waiting=Waiting(500 - day, oldest=old)) == []


def test_where_no_row_has_a_time_waiting_begins_when_it_was_seen():
    watch = Watch()
    assert watch(WAITING - dt.timedelta(minutes=30), waiting=Waiting(2)) == []
    assert watch(dt.timedelta(hours=1)) == ["waiting"]


def test_a_document_that_still_waits_is_not_called_off_by_a_restart():
    watch = Watch()
    waiting = Waiting(3, oldest=NOW)
    assert watch(WAITING + dt.timedelta(hours=1), waiting=waiting) == ["waiting"]
    watch.restart()
    assert watch(dt.timedelta(days=2)) == []
    assert watch(CALM * 2, waiting=Waiting(0)) == ["caught_up"]


def test_waiting_without_a_time_is_not_called_off_by_a_restart():
    watch = Watch()
    assert watch(WAITING + dt.timedelta(hours=1), waiting=Waiting(2)) == ["waiting"]
    watch.restart()
    assert watch(dt.timedelta(days=2)) == []
    assert watch(CALM * 2, waiting=Waiting(0)) == ["caught_up"]


def test_the_end_of_waiting_is_told_when_the_last_late_document_is_safe_and_not_the_first():
    watch = Watch()
    watch(WAITING + dt.timedelta(hours=1), waiting=Waiting(3, oldest=NOW))
    late = NOW + dt.timedelta(minutes=10)
    assert watch(CALM * 10, waiting=Waiting(2, oldest=late)) == []
    fresh = watch.clock.time
    assert watch(CALM * 2, waiting=Waiting(1, oldest=fresh)) == ["caught_up"]


# -- documents that were given up -------------------------------------------------------------


def test_documents_given_up_together_are_told_together_and_once():
    watch = Watch()
    watch(dt.timedelta(seconds=1), problems={"1": "1: why"})
    watch(dt.timedelta(days=2), problems={"1": "1: why", "2": "2: why"})
    assert watch.told == ["problem"]
    assert watch.params[0] == {"count": 2, "total": 2, "documents": ["1: why", "2: why"]}


def test_a_stream_of_problems_is_a_message_now_and_then_and_none_is_left_out():
    watch = Watch()
    problems: dict[str, str] = {}
    for number in range(60):
        problems[str(number)] = f"{number}: why"
        watch(dt.timedelta(minutes=1), problems=dict(problems))
    watch(SPACING)
    assert 3 <= len(watch.told) <= 8
    assert sum(params["count"] for params in watch.params) == 60


def test_only_the_first_few_of_many_are_named():
    watch = Watch()
    many = {str(n): f"{n}: why" for n in range(300)}
    watch(dt.timedelta(minutes=1), problems=many)
    assert watch.params[0]["count"] == 300
    assert watch.params[0]["documents"] == [*list(many.values())[:5], "…"]


def test_a_problem_that_is_solved_is_called_off_and_a_restart_changes_nothing_of_that():
    watch = Watch()
    watch(dt.timedelta(minutes=1), problems={"1": "1: why", "2": "2: why"})
    watch.restart()
    assert watch(dt.timedelta(days=1)) == []
    assert watch(dt.timedelta(minutes=1), problems={"2": "2: why"}) == ["solved"]
    assert watch.params[-1] == {"count": 1, "left": 1, "documents": ["1"]}
    assert watch(dt.timedelta(hours=1), problems={}) == ["solved"]
    assert watch.alarms.quiet


def test_a_list_that_was_cut_short_calls_nothing_off():
    watch = Watch()
    first = {f"{n:05}": "why" for n in range(MOST_PROBLEMS)}
    watch(dt.timedelta(minutes=1), problems=first)
    shifted = {f"{n:05}": "why" for n in range(-1, MOST_PROBLEMS - 1)}
    assert watch(SPACING * 2, problems=shifted) == ["problem"]


def test_quiet_is_when_nothing_that_was_told_is_left():
    watch = Watch()
    before = watch.alarms.quiet
    watch(full=True)
    assert (before, watch.alarms.quiet) == (True, False)
    assert watch.alarms.spells[Kind.FULL].told_since == NOW


# -- the outbox -------------------------------------------------------------------------------


def letters(count: int) -> list[tuple[str, str, str]]:
    return [(f"title {n}", "body", "failure") for n in range(count)]


def test_each_address_gets_every_letter_in_order_also_after_a_restart():
    outbox = Outbox(["a", "b"])
    outbox.add(letters(3), NOW)
    for wanted in ("title 0", "title 1"):
        letter = outbox.next_for("a")
        assert letter is not None
        assert letter.title == wanted
        outbox.done("a", letter)
    kept = json.loads(json.dumps(outbox.as_json()))

    again = Outbox(["a", "b"], kept)
    first_of_a, first_of_b = again.next_for("a"), again.next_for("b")
    assert first_of_a is not None
    assert first_of_b is not None
    assert (first_of_a.title, first_of_b.title) == ("title 2", "title 0")


def test_what_everybody_has_is_kept_no_longer_and_a_new_address_begins_with_the_next():
    outbox = Outbox(["a"])
    outbox.add(letters(1), NOW)
    letter = outbox.next_for("a")
    assert letter is not None
    outbox.done("a", letter)
    assert outbox.as_json()["letters"] == []

    other = Outbox(["a", "new"], outbox.as_json())
    other.add([("fresh", "body", "success")], NOW)
    fresh = other.next_for("new")
    assert fresh is not None
    assert fresh.title == "fresh"


def test_what_nobody_has_yet_goes_to_the_address_that_is_set_instead():
    """A wrong token: nothing arrives, it is put right, and what is told since then is not lost."""
    wrong = Outbox(["wrong"])
    wrong.add([("alarm", "body", "failure")], NOW)

    mended = Outbox(["mended"], wrong.as_json())
    mended.add([("later", "body", "success")], NOW)
    alarm = mended.next_for("mended")
    assert alarm is not None
    assert alarm.title == "alarm"


def test_what_cannot_be_sent_does_not_pile_up_for_ever():
    outbox = Outbox(["a"])
    assert outbox.add(letters(MOST_LETTERS + 7), NOW) == 7
    first = outbox.next_for("a")
    assert first is not None
    assert first.title == "title 7"
    assert outbox.add(letters(1), NOW + OLDEST) == MOST_LETTERS


def test_closing_lets_everybody_go_who_waits():
    outbox = Outbox(["a"])
    got: list[Letter | None] = []
    waiting = threading.Thread(target=lambda: got.append(outbox.next_for("a")))
    waiting.start()
    outbox.close()
    waiting.join(10)
    assert got == [None]
    assert outbox.wait_closed(0)


# -- sending ----------------------------------------------------------------------------------

LETTER = Letter(1, NOW.isoformat(), "a title é", "a body\nof two lines", "failure")


def test_a_message_arrives_whole_at_a_real_receiver():
    pytest.importorskip("apprise")
    with Receiver() as receiver:
        assert Sender({}).send(receiver.url(), LETTER) is None
        (message,) = receiver.messages
    assert (message["title"], message["type"]) == (LETTER.title, "failure")
    assert message["message"].split() == LETTER.body.split()


def test_why_it_was_not_sent_is_told_without_a_part_of_the_address():
    pytest.importorskip("apprise")
    with Receiver() as receiver:
        receiver.answer = 403
        failure = Sender({}).send(receiver.url("v3ry-secret-path"), LETTER)
    assert failure is not None
    assert "403" in failure
    assert "v3ry-secret-path" not in failure

    unknown = Sender({}).send("nosuchservice://token-of-mine", LETTER)
    assert unknown == NOT_UNDERSTOOD


def test_a_receiver_that_never_answers_is_given_up_and_leaves_no_process():
    pytest.importorskip("apprise")
    sender = Sender({})
    with Receiver() as receiver:
        receiver.held.clear()
        assert sender.send(receiver.url(), LETTER, 3.0) == "no answer in 3 s"
        receiver.held.set()
    assert sender._child is None


def test_closing_kills_the_child_at_once():
    pytest.importorskip("apprise")
    sender = Sender({})
    with Receiver() as receiver:
        receiver.held.clear()
        failures: list[str | None] = []
        sending = threading.Thread(
            target=lambda: failures.append(sender.send(receiver.url(), LETTER, 60))
        )
        sending.start()
        receiver.wait_calls(1)
        sender.close()
        sending.join(10)
        receiver.held.set()
    assert failures == ["the sending process ended with -9"]
    assert sender.send("json://127.0.0.1:1/", LETTER) == "closed"


def test_what_a_service_prints_is_not_taken_for_a_failure(tmp_path, monkeypatch):
    """It would be sent again and again."""
    (tmp_path / "apprise.py").write_text(
        "import os\n"
        "class Target:\n"
        "    def notify(self, **message):\n"
        "        print('connected'), os.write(1, b'sent')\n"
        "        return True\n"
        "class Apprise:\n"
        "    instantiate = staticmethod(lambda url, suppress_exceptions: Target())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert Sender({}).send("talk://somewhere", LETTER) is None


def test_an_address_is_judged_without_sending_anything():
    pytest.importorskip("apprise")
    with Receiver() as receiver:
        assert Sender({}).check(receiver.url()) is None
        assert receiver.calls == 0
    assert Sender({}).check("mailto://") == NOT_UNDERSTOOD


def test_without_apprise_it_says_so(monkeypatch):
    import builtins

    from nas_syncd.notify import send

    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert send.send({"url": "json://x"}) == {"sent": False, "detail": NOT_INSTALLED}


@pytest.mark.parametrize(
    ("url", "words", "shown"),
    [
        ("slack://TokenA/TokenB/TokenC", "no: TokenB at TokenA", "no: … at …"),
        ("mailto://me:p%40ssw0rd@example.org", "p@ssw0rd refused", "… refused"),
        ("json://host.example/a/b", "json://host.example/a/b is bad", "json://… is bad"),
    ],
)
def test_no_part_of_an_address_stands_in_what_is_told(url, words, shown):
    told = harmless(words, url)
    assert "TokenA" not in told
    assert "ssw0rd" not in told
    assert "host.example" not in told
    assert told == shown


# -- the ping ---------------------------------------------------------------------------------


def test_a_ping_is_answered_refused_or_not_to_be_reached():
    with Receiver() as receiver:
        address = f"http://127.0.0.1:{receiver.port}/uuid"
        assert ping(address, "nas-syncd/test") is None
        assert receiver.pings == 1
        receiver.answer = 500
        assert ping(address, "nas-syncd/test") == "HTTP 500"
        receiver.held.clear()
        told = ping(address, "nas-syncd/test", 0.3)
        assert told is not None
        assert "timed out" in told
        receiver.held.set()
    refused = ping("http://127.0.0.1:1/", "nas-syncd/test")
    assert refused is not None
    assert "Connection refused" in refused


def test_no_part_of_the_pings_address_stands_in_what_is_told():
    """It reaches the log; whoever knows the address can say that all is well."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            with server.accept()[0] as caller:
                caller.sendall(caller.recv(1000).split()[1] + b" is no web page\r\n")

        echoing = threading.Thread(target=echo)
        echoing.start()
        told = ping(f"http://127.0.0.1:{server.getsockname()[1]}/s3cret-uuid", "nas-syncd/test")
        echoing.join(10)
    assert told is not None
    assert "BadStatusLine" in told
    assert "s3cret" not in told


@pytest.mark.parametrize("name", ["notify_urls", "ping_url"])
def test_an_address_holds_no_controls(name):
    """What is told of them shows them escaped, so that they are not found, and hidden, in it."""
    with pytest.raises(ValidationError):
        Settings.model_validate({name: "https://example.org/s3c\x01ret-uuid"})
