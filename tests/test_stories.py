"""What is known of a document, as data: for the command and for the API alike."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from nas_syncd.models import MountState
from nas_syncd.stories import Told, tell
from tests.helpers import World, a_view


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "world")
    yield world
    world.close()


class Teller:
    """Asks about documents of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = world.site()
        self.table = world.table()

    def __call__(self, wanted: str, **more: Any) -> Told:
        values = {"view": self.site.guard.view, "daemon": 1, "language": "en", **more}
        return tell(self.site, self.table, wanted, **values)


@pytest.fixture
def ask(world):
    return Teller(world)


def test_the_answer_is_plain_json_with_every_key(world, ask):
    row = world.add("a.pdf", original_name="my a.pdf")
    told = ask(row)
    assert told.exit == 0
    assert set(told.data) == {"documents", "mount", "daemon", "searched"}
    (only,) = json.loads(json.dumps(told.data))["documents"]
    assert set(only) == {
        *("id", "name", "row", "file", "decision", "receipt", "journal", "next", "history"),
    }
    assert (only["id"], only["name"]) == (row, "my a.pdf")
    assert only["next"] == "The daemon copies it within seconds."
    assert told.stories[0].document.id == row


def test_the_view_that_is_given_decides_and_the_sites_own_stays_as_it_is(world, ask):
    row = world.add("a.pdf")
    before = ask.site.guard.view
    told = ask(row, view=a_view(MountState.NOT_MOUNTED))
    assert told.data["documents"][0]["decision"]["reason"] == "wait.mount"
    assert told.data["mount"]["state"] == "not_mounted"
    assert ask.site.guard.view is before
    assert ask(row).data["documents"][0]["decision"]["decision"] == "copy"


def test_it_is_told_in_the_language_that_is_asked_for(world, ask):
    row = world.add("a.pdf")
    assert ask(row, language="fr").data["documents"][0]["decision"]["text"] == "à copier"


def test_a_relative_path_is_below_the_folder_that_is_given_and_below_no_other(world, ask):
    row = world.add("sub/a.pdf")
    at_home = str(world.uploads / "sub")
    assert ask("a.pdf", here=at_home).data["documents"][0]["id"] == row
    assert ask("../sub/a.pdf", here=at_home).data["documents"][0]["id"] == row
    unknown = ask("a.pdf")
    assert unknown.exit == 1
    assert unknown.data["error"]["code"] == "document.unknown"
    assert ask(f"{world.uploads}/sub/a.pdf").exit == 0
    assert ask("sub/a.pdf").exit == 0


def test_an_id_that_is_a_files_name_as_well_is_an_id(world, ask):
    row = world.add("a.pdf")
    world.upload(row, b"a file called like the id")
    told = ask(row, here=str(world.uploads))
    assert [one["row"]["file_path"] for one in told.data["documents"]] == ["/app/uploads/a.pdf"]


def test_a_row_without_a_file_and_an_unknown_one_say_which(world, ask):
    world.sql("INSERT INTO documents (id, user_id) VALUES (5, 1)")
    assert (ask("5").exit, ask("5").data["error"]["code"]) == (1, "document.no_file")
    assert ask("4711").data["error"] == {
        "code": "document.unknown",
        "message": "Unknown document: 4711",
        "remedy": None,
    }


def test_without_the_database_the_exit_code_is_75_and_the_journal_speaks(world):
    row = world.add("a.pdf")
    ask = Teller(world)
    world.go(world.flow(ask.site, ask.table), [row])
    ask.table = world.table(timeout_seconds=1.0)
    world.database.rename(world.root / "away")
    told = ask(row)
    assert told.exit == 75
    assert told.data["error"]["remedy"]
    (only,) = told.data["documents"]
    assert only["row"] is None
    assert only["decision"]["decision"] == "none"
    assert only["next"] == "It goes on by itself as soon as the database answers."


def test_an_upload_folder_that_does_not_answer_costs_no_more_than_its_seconds(world, fault_fs):
    uploads = fault_fs(source=world.root / "behind")
    world.uploads = uploads.path
    row = world.add("a.pdf")
    ask = Teller(world)
    uploads.hang()
    try:
        told = ask(row, look_seconds=0.3)
        assert told.data["documents"][0]["file"]["kind"] == "unknown"
    finally:
        uploads.clear()


def test_several_threads_may_ask_while_documents_are_copied(world, ask):
    rows = [world.add(f"{number}.pdf", b"%d" % number) for number in range(30)]
    exits: list[int] = []

    def asking() -> None:
        exits.extend(ask(row).exit for row in rows)

    threads = [threading.Thread(target=asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    world.go(world.flow(ask.site, ask.table), rows)
    for thread in threads:
        thread.join(60)
    assert exits == [0] * 90
    assert all(world.flag(row) for row in rows)
