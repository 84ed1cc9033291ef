"""The thread that gathers what is told: it forgets nothing and repeats nothing when it is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nas_syncd.alerts import MEMORY, Alerts
from nas_syncd.models import Document, Reason, State
from nas_syncd.settings import Settings
from nas_syncd.site import Site
from tests.helpers import World

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


def alerts_for(world: World, site: Site, settings: Settings = ADDRESS) -> Alerts:
    return Alerts(settings, site, world.table(), lambda: False)


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


def recalled(world: World, site: Site, settings: Settings = ADDRESS) -> Alerts:
    """Alerts that have begun, without their thread."""
    alerts = alerts_for(world, site, settings)
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
