"""The thread that gathers what is told: it forgets nothing and repeats nothing when it is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nas_syncd.alerts import MEMORY, Alerts
from nas_syncd.documents import Counts
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.journal.store import FILE_NAME
from nas_syncd.models import Document, Reason, State
from nas_syncd.notify import News, address_key
from nas_syncd.notify.outbox import OLDEST
from nas_syncd.settings import Settings
from nas_syncd.site import Site
from tests.helpers import NOW, World

KEPT: dict[str, Any] = {
    "alarms": {
        "spells": {"away": {"since": "2024-06-01T10:00:00+00:00", "told": []}},
        "problems": ["7"],
        "problems_at": "2024-06-01T10:00:00+00:00",
    },
    "outbox": {"last": 3, "sent": {}, "letters": []},
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world")
    yield world
    world.close()


ADDRESS = Settings(notify_urls=(SecretStr("json://127.0.0.1:1/"),))
PING = Settings(ping_url=SecretStr("http://127.0.0.1:1/"))


def alerts_for(world: World, site: Site, settings: Settings = ADDRESS, table: Any = None) -> Alerts:
    return Alerts(settings, site, table or world.table(), lambda: False)


def test_an_end_while_it_recalls_what_was_kept_forgets_nothing(world: World, monkeypatch):
    """It went on with an empty memory then, and wrote that down."""
    site = world.site()
    site.journal.put(MEMORY, KEPT)
    alerts = alerts_for(world, site)
    real, closer = site.journal.get, threading.Thread(target=alerts.close)

    def slowly(key: str) -> Any:
        value = real(key)
        closer.start()
        assert alerts._outbox.wait_closed(10)
        return value

    monkeypatch.setattr(site.journal, "get", slowly)
    alerts.start()
    alerts._thread.join(20)
    closer.join(20)
    assert not alerts._thread.is_alive()
    assert real(MEMORY) == KEPT


def test_one_that_was_ended_writes_nothing_over_its_successor(world: World):
    """After a reload of the settings another one goes on; the former may still be counting."""
    site = world.site()
    former = alerts_for(world, site)
    former.close()
    site.journal.put(MEMORY, KEPT)
    former._look()
    assert site.journal.get(MEMORY) == KEPT


# -- what was told stays true ---------------------------------------------------------------------


def letters_of(alerts: Alerts) -> list[str]:
    return [letter["title"].partition(" : ")[2] for letter in alerts._outbox.as_json()["letters"]]


def look_for(alerts: Alerts, world: World, seconds: float) -> list[str]:
    """Look every few seconds for so long; return the titles of all that is to be sent so far."""
    for _ in range(int(seconds // 5) + 1):
        alerts._look()
        world.clock.pass_by(5)
    return letters_of(alerts)


def recalled(world: World, site: Site, settings: Settings = ADDRESS, table: Any = None) -> Alerts:
    """Alerts that have begun, without their thread."""
    alerts = alerts_for(world, site, settings, table)
    assert alerts._recall()
    return alerts


def test_a_document_that_is_tried_again_is_not_solved_by_that(world: World):
    """Once a day, and by hand; it is copying then, or waits for the NAS."""
    site, table = world.site(), world.table()
    id_ = world.add("a.pdf")
    document, scope = Document(id_, table.get([id_])[id_].file_path), table.scope
    site.journal.note(scope, document, State.PROBLEM, Reason("copy.verify"), failed=True)
    alerts = recalled(world, site)
    told = look_for(alerts, world, 30)
    assert len(told) == 1
    for state, reason in (
        (State.COPYING, None),
        (State.WAITING, Reason("wait.mount", {"state": "down"})),
        (State.FAILED, Reason("copy.verify")),
        (State.PROBLEM, Reason("copy.verify")),
    ):
        site.journal.note(scope, document, state, reason)
        assert look_for(alerts, world, 1200) == told

    site.journal.note(scope, document, State.GONE, Reason("gone.gone"))
    assert len(look_for(alerts, world, 1200)) == 2
    alerts.close()


def give_up(world: World, site: Site) -> None:
    """Let a document be one that needs somebody."""
    table = world.table()
    id_ = world.add("a.pdf")
    document = Document(id_, table.get([id_])[id_].file_path)
    site.journal.note(table.scope, document, State.PROBLEM, Reason("copy.verify"), failed=True)


def test_a_trouble_from_before_there_was_an_address_is_told_to_the_first_one(world: World):
    """The ping alone was set until then."""
    site = world.site()
    give_up(world, site)
    silent = recalled(world, site, PING)
    assert look_for(silent, world, 30) == []
    assert not silent._alarms.quiet
    silent.close()

    alerts = recalled(world, site)
    assert len(look_for(alerts, world, 30)) == 1
    alerts.close()


def test_a_table_that_cannot_be_counted_in_time_silences_no_other_alarm(world: World, monkeypatch):
    """A large one: what reads few rows answers, the count runs into its deadline."""

    def too_long() -> Counts:
        raise DatabaseUnavailableError("canceling statement due to statement timeout")

    site, table = world.site(), world.table()
    give_up(world, site)
    monkeypatch.setattr(table, "counts", too_long)
    alerts = recalled(world, site, table=table)
    assert len(look_for(alerts, world, 30)) == 1
    assert not alerts._lookout.all_safe
    alerts.close()


def test_what_must_survive_a_restart_is_written_into_a_journal_that_was_begun_anew(world: World):
    site = world.site()
    give_up(world, site)
    alerts = recalled(world, site)
    look_for(alerts, world, 30)
    kept = site.journal.get(MEMORY)
    assert kept["alarms"]["problems"]
    (site.journal.folder / FILE_NAME).unlink()

    alerts._look()
    assert site.journal.get(MEMORY) == kept
    alerts.close()


def test_an_alarm_is_never_kept_as_told_without_its_message(world: World, monkeypatch):
    """A message that arrives at this very moment has all of it written down."""
    site = world.site()
    give_up(world, site)
    alerts = recalled(world, site)
    alerts._look()
    world.clock.pass_by(10)
    real, saving = alerts._worded, threading.Thread(target=alerts._save)

    def slowly(news: News) -> tuple[str, str, str]:
        saving.start()
        saving.join(0.3)
        kept = site.journal.get(MEMORY)
        assert not kept["alarms"]["problems"]
        return real(news)

    monkeypatch.setattr(alerts, "_worded", slowly)
    alerts._look()
    saving.join(20)
    kept = site.journal.get(MEMORY)
    assert kept["alarms"]["problems"]
    assert kept["outbox"]["letters"]
    alerts.close()


SOME_LETTER = {"number": 4, "at": NOW.isoformat(), "title": "t", "body": "b", "severity": "failure"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"alarms": {"spells": {"away": {"since": "2024-06-01T10:00:00", "told": []}}}},
        {"alarms": {"problems": [], "problems_at": "2024-06-01T10:00:00"}},
        {"outbox": {"last": 4, "letters": [SOME_LETTER | {"number": "4"}]}},
        {"outbox": {"last": 4, "letters": [SOME_LETTER | {"at": "yesterday"}]}},
        {"outbox": {"last": 4, "letters": [SOME_LETTER | {"at": "2024-06-01T10:00:00"}]}},
    ],
    ids=["away", "problems", "number", "no time", "no zone"],
)
def test_a_damaged_memory_is_begun_anew_and_silences_nobody(world: World, wrong: dict[str, Any]):
    site = world.site()
    key = address_key("json://127.0.0.1:1/")
    whole = {"alarms": {}, "outbox": {"last": 3, "letters": []}} | wrong
    whole["outbox"]["sent"] = {key: 3}
    site.journal.put(MEMORY, whole)
    give_up(world, site)
    alerts = recalled(world, site)
    assert len(look_for(alerts, world, 30)) == 1
    letter = alerts._outbox.next_for(key)
    assert letter is not None
    assert letter.number == 1
    alerts.close()


def test_what_is_too_old_to_be_of_use_is_not_sent_after_a_restart(world: World):
    """The addresses were taken out of the settings for a while, or the daemon did not run."""
    site = world.site()
    give_up(world, site)
    former = recalled(world, site)
    assert len(look_for(former, world, 30)) == 1
    former.close()
    world.clock.pass_by(OLDEST.total_seconds())

    alerts = recalled(world, site)
    assert letters_of(alerts) == []
    alerts.close()
