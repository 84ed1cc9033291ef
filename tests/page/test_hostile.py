"""A page of another site, in a real Chromium, against the real daemon.

What it tries (``hostile.js``) is tried by the daemon's own page as well, where it works: so the
attempts are real ones.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.http_client import Client, free_port
from tests.lab.parts import need_linux, program, wait_until
from tests.page.conftest import ARGUMENTS
from tests.page.hostile_site import FILES, READING, SANDBOX, Rebinding, Site, Visitor
from tests.stage import RunningDaemon, Stage

if TYPE_CHECKING:  # it may not be installed
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

EVIL = "evil.example"
REBOUND = "rebound.example"
OWN_NAME = socket.gethostname().lower()
USERS = 7
NAMES = ("copied", "retried", "left", "trusted")
LATER = dt.timedelta(minutes=50)
FOLDER = "2019/03/factures"


@dataclass
class World:
    """The daemon and documents in backoff: whoever asks for one gets it copied; else nobody does.

    Each user has four of them, and each test a user.
    """

    stage: Stage
    daemon: RunningDaemon
    port: int
    rebinding: Rebinding
    site: Site
    users: Iterator[int] = field(default_factory=lambda: iter(range(USERS)))

    @property
    def own(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ask(self) -> Client:
        return Client(self.stage.state / "daemon.sock")

    def documents(self) -> dict[str, int]:
        """Return the next user's, and the user."""
        user = next(self.users)
        rows = self.stage.sql("SELECT id FROM documents WHERE user_id = ? ORDER BY id", user)
        return {"user": user, **dict(zip(NAMES, (row[0] for row in rows), strict=True))}

    def picture(self) -> dict[str, object]:
        """Return all that would look different if the daemon had done anything."""
        with sqlite3.connect(f"file:{self.stage.state}/journal.sqlite3?mode=ro", uri=True) as db:
            journal = db.execute(
                "SELECT id, state, attempts, next_attempt FROM document"
            ).fetchall()
        return {
            "marked": self.stage.sql("SELECT id FROM documents WHERE synced_to_nas"),
            "journal": sorted(journal),
            "files": sorted(str(one) for one in self.stage.nas.rglob("*")),
            "touched": self.stage.nas.stat().st_mtime_ns,  # POST /sync/test writes a file there
            "told": [one["event"] for one in self.daemon.events],
        }


def working(mine: dict[str, int]) -> list[str]:
    return [
        f"/sync/document/{mine['copied']}",
        f"/sync/documents/{mine['retried']}/retry",
        f"/sync/run?user_id={mine['user']}",
        f"/sync/runs?user_id={mine['user']}",
        "/sync/test",
    ]


def set_back(stage: Stage, ask: Client, count: int) -> None:
    """Wait until *count* documents have failed; then their next attempt is far away."""
    later = (dt.datetime.now(dt.UTC) + LATER).isoformat()
    with sqlite3.connect(stage.state / "journal.sqlite3", timeout=30) as db:
        wait_until(
            lambda: db.execute("SELECT 1 FROM document WHERE state = 'failed'").fetchall()[
                count - 1 :
            ],
            "all failures",
        )
        db.execute("UPDATE document SET next_attempt = ?", (later,))
    assert len(ask.get("/sync/documents?state=failed").data["documents"]) == count


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_linux()
    program("chromium", "chromium")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    port = free_port()
    stage = Stage(tmp_path_factory.mktemp("hostile"), NAS_SYNCD_API_PORT=port).pair()
    obstacle = stage.nas / "2019"
    obstacle.write_text("a file where a folder must be")
    for user in range(USERS):
        for name in NAMES:
            stage.add(f"{name}-{user}.pdf", b"x" * 100, user_id=user, date="2019-03-04")
    with RunningDaemon(stage) as daemon, Site().open() as site, Rebinding().open() as rebinding:
        made = World(stage, daemon, port, rebinding, site)
        Client(port).wait()
        set_back(stage, made.ask.wait(), USERS * len(NAMES))
        obstacle.unlink()
        yield made
        assert daemon.stop() == 0
        assert "Traceback" not in "".join(daemon.text)


@pytest.fixture(scope="module")
def browser(world: World) -> Iterator[Browser]:
    """For one module only: while it is open, nobody else in this thread can run a loop."""
    from playwright.sync_api import sync_playwright

    rules = (
        f"MAP {EVIL} 127.0.0.1, MAP {OWN_NAME} 127.0.0.1,"
        f" MAP {REBOUND} 127.0.0.1:{world.rebinding.port}"
    )
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=program("chromium", "chromium"),
            args=[*ARGUMENTS.split(), f"--host-resolver-rules={rules}"],
        )
        yield opened
        opened.close()


def test_the_daemons_own_page_can_do_and_read_all_of_it(world, browser):
    mine = world.documents()
    before = world.picture()
    with browser.new_context() as context:
        visitor = Visitor(context, f"{world.own}/", world.own)

        read = visitor.try_everything(*working(mine))

        wait_until(lambda: all(world.stage.is_marked(mine[name]) for name in NAMES), "all marked")
        for path in READING:
            assert set(visitor.answers("GET", path)) == {200}
            assert read[f'fetch {{"mode":"no-cors"}} {path}'].startswith("200 ")
            assert read[f"xhr GET {path}"].startswith("200 ")
        for path in working(mine):
            answers = set(visitor.answers("POST", path))
            assert answers & {200, 202}
            assert answers <= {200, 202, 503}, "503: too many runs at once"
        for how in ("EventSource", "import json", "window /", "window /sync/status"):
            assert read[how]
        assert read["script /page/app.js"]
        assert "rules" in read["link /page/style.css"]
    after = world.picture()
    assert all(before[what] != after[what] for what in before)


def nothing_was_done(world: World, mine: dict[str, int], before: dict[str, object]) -> None:
    """Nothing has happened; and then one document that is asked for rightly is all that happens."""
    assert world.picture() == before
    told = len(world.daemon.events)
    assert world.ask.post(f"/sync/documents/{mine['trusted']}/retry").status == 202
    wait_until(lambda: world.stage.is_marked(mine["trusted"]), "what we asked for ourselves")
    event = world.daemon.wait_for("document.synced", since=told)
    assert [one["event"] for one in world.daemon.events[told:]] == [event["event"]]
    assert event["document_id"] == str(mine["trusted"])
    after: dict[str, Any] = world.picture()
    assert after["marked"] == sorted([*before["marked"], (mine["trusted"],)])  # type: ignore[misc]
    gained = set(after["files"]) - set(before["files"])  # type: ignore[call-overload]
    assert [one for one in gained if one.endswith(".pdf")] == [
        str(world.stage.nas / FOLDER / f"trusted-{mine['user']}.pdf")
    ]


@pytest.mark.parametrize(
    ("site", "path", "named"),
    [
        pytest.param(EVIL, "/", "127.0.0.1", id="another-site"),
        pytest.param("127.0.0.1", "/", "127.0.0.1", id="another-port-of-the-same-host"),
        pytest.param(EVIL, SANDBOX, "127.0.0.1", id="without-an-origin"),
        pytest.param(EVIL, "/", OWN_NAME, id="where-the-browser-does-not-tell-the-site"),
    ],
)
def test_another_sites_page_does_nothing_and_reads_nothing(world, browser, site, path, named):
    mine = world.documents()
    before = world.picture()
    with browser.new_context() as context:
        visitor = Visitor(
            context, f"http://{site}:{world.site.port}{path}", f"http://{named}:{world.port}"
        )

        read = visitor.try_everything(*working(mine))

        assert read == {}
        assert visitor.framed() == []
        for asked in working(mine):
            assert set(visitor.answers("POST", asked)) == {403}
            assert len(visitor.answers("POST", asked)) > 6, "the browser did send them"
        # Of a name the browser does not trust it tells no site; where it names no origin either,
        # only what our answer says keeps that from the page.
        silent = {200} if named == OWN_NAME else set()
        for asked in (*READING, *FILES, "/sync/events"):
            assert set(visitor.answers("GET", asked)) - {403} == silent, asked
    nothing_was_done(world, mine, before)


def test_a_rebound_name_does_nothing_and_reads_only_that_it_is_refused(world, browser):
    mine = world.documents()
    before = world.picture()
    origin = f"http://{REBOUND}:{world.port}"
    with browser.new_context() as context:
        visitor = Visitor(context, f"{origin}/", origin)
        assert visitor.status == 200
        assert visitor.page.title() == "hostile"
        world.rebinding.bind(world.port)

        read = visitor.try_everything(*working(mine))

        assert visitor.framed() == []
        for path in (*READING, *FILES, "/sync/events"):
            assert set(visitor.answers("GET", path)) == {421}, path
        for path in working(mine):
            assert set(visitor.answers("POST", path)) == {421}
            assert len(visitor.answers("POST", path)) > 6
        assert_only_refusals(read)
    nothing_was_done(world, mine, before)


def assert_only_refusals(read: dict[str, str]) -> None:
    """For the browser it is one origin: the refusals themselves may be read."""
    read.pop("how large they were")
    for how, what in read.items():
        refusal = json.loads(what.removeprefix("421 ").partition(" 421 ")[0])
        assert set(refusal) == {"detail", "code"}, how
        assert refusal["code"] == "api.wrong_host", how


def test_under_a_name_that_is_not_ours_not_even_the_page_is_shown(world, browser):
    mine = world.documents()
    before = world.picture()
    origin = f"http://{EVIL}:{world.port}"
    with browser.new_context() as context:
        visitor = Visitor(context, f"{origin}/", origin)
        assert visitor.status == 421

        read = visitor.try_everything(*working(mine))

        assert visitor.framed() == []
        assert_only_refusals(read)
    nothing_was_done(world, mine, before)
