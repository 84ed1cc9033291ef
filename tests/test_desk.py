"""What the daemon's desk tells and takes on, asked of the real daemon over its socket."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from nas_syncd.desk.counted import CountedTable, Figures, FiguresKeeper
from nas_syncd.documents import TableNames
from nas_syncd.journal import Tally
from tests.http_client import Client, free_port
from tests.lab.parts import wait_until
from tests.stage import BACKEND_DIR, TABLE, RunningDaemon, Stage

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@contextmanager
def serving(stage: Stage) -> Iterator[Client]:
    with RunningDaemon(stage) as daemon:
        yield Client(stage.state / "daemon.sock").wait()
        assert daemon.stop() == 0
        assert "Traceback" not in "".join(daemon.text)


def ids(page: dict[str, list[dict[str, object]]]) -> list[str]:
    return [str(one["id"]) for one in page["documents"]]


# -- lists ------------------------------------------------------------------------------------


def test_documents_are_listed_by_state_and_user(tmp_path):
    stage = Stage(tmp_path).pair()
    safe = stage.add("safe.pdf", b"1", user_id=7)
    inherited = stage.row("old.pdf", synced_to_nas=True)
    waiting = stage.add("late.pdf", b"2", processing_status="pending", user_id=7)
    refused = stage.row("x", file_path="/etc/passwd")
    with serving(stage) as ask:
        stage.wait_marked(2)
        wait_until(lambda: ids(ask.get("/sync/documents?state=problem").data), "the problem")
        found = {
            state: ids(ask.get(f"/sync/documents?state={state}").data)
            for state in ("safe", "inherited", "waiting", "problem", "failed")
        }
        assert found == {
            "safe": [str(safe)],
            "inherited": [str(inherited)],
            "waiting": [str(waiting)],
            "problem": [str(refused)],
            "failed": [],
        }
        assert ids(ask.get("/sync/documents").data) == [
            str(one) for one in (safe, inherited, waiting, refused)
        ]
        assert ids(ask.get("/sync/documents?state=pending").data) == [str(waiting), str(refused)]
        assert ids(ask.get("/sync/documents?user_id=7").data) == [str(safe), str(waiting)]
        assert ids(ask.get("/sync/documents?state=waiting&user_id=8").data) == []
        problem = ask.get("/sync/documents?state=problem&lang=en").data["documents"][0]
        assert problem["reason"]["code"] == "refuse.outside"
        assert problem["reason"]["text"]
        line = ask.get("/sync/documents?state=safe").data["documents"][0]
        assert line["destination"] == "2024/01/factures/safe.pdf"
        assert line["name"] == "my safe.pdf"


def test_pages_hold_every_document_once_and_say_where_they_end(tmp_path):
    stage = Stage(tmp_path).pair()
    for number in range(23):
        stage.row(f"{number}.pdf")
    with serving(stage) as ask:
        waiting = "/sync/documents?state=waiting&limit=5"
        wait_until(lambda: len(ids(ask.get(f"{waiting}0").data)) == 23, "all of them")
        for asked in ("/sync/documents?limit=5", waiting):
            seen: list[str] = []
            address: str | None = asked
            while address:
                page = ask.get(address).data
                assert len(page["documents"]) <= 5
                seen += ids(page)
                cursor = page["cursor"]
                address = f"{asked}&cursor={cursor}" if cursor else None
            assert sorted(seen, key=int) == [str(one) for one in range(1, 24)]
        strange = ask.get("/sync/documents?cursor=bm8")
        assert (strange.status, strange.data["code"]) == (404, "api.cursor")


def test_names_that_are_no_text_break_no_answer(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.sql(
        "INSERT INTO documents (user_id, file_path, original_name, created_at)"
        " VALUES (1, ?, CAST(x'ff41' AS TEXT), '2024-01-01')",
        f"{BACKEND_DIR}/\u202egnp.exe\x07<script>.pdf",
    )
    with serving(stage) as ask:
        line = ask.get("/sync/documents").data["documents"][0]
        assert line["file_path"].endswith("gnp.exe\x07<script>.pdf")
        assert ask.get("/sync/documents/1").status == 200


# -- work -------------------------------------------------------------------------------------


def test_retry_tries_at_once_what_would_have_waited_for_its_turn(tmp_path):
    stage = Stage(tmp_path).pair()
    blocked = stage.nas / "2024"
    blocked.write_text("a file where a folder must be")
    row = stage.add("a.pdf", b"a")
    with serving(stage) as ask:
        wait_until(
            lambda: (
                ids(ask.get("/sync/documents?state=problem").data)
                or ids(ask.get("/sync/documents?state=failed").data)
            ),
            "the failure",
        )
        told = ask.get(f"/sync/documents/{row}").data["documents"][0]
        assert told["journal"]["next_attempt"] is not None
        assert told["history"][0]["code"] == "place.blocked"
        assert "2024" in told["history"][0]["text"]
        blocked.unlink()
        said = ask.post(f"/sync/documents/{row}/retry")
        assert (said.status, said.data["queued"]) == (202, True)
        stage.wait_marked(1, seconds=4)  # its own turn would come after 5 s
        assert ask.post("/sync/documents/99/retry").status == 404


def test_inherited_flags_are_checked_by_a_run_and_told_apart(tmp_path):
    stage = Stage(tmp_path).pair()
    good = stage.add("good.pdf", b"good", synced_to_nas=True)
    bad = stage.add("bad.pdf", b"bad", synced_to_nas=True)
    place = stage.nas / "2024/01/factures"
    place.mkdir(parents=True)
    (place / "good.pdf").write_bytes(b"good")
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        assert ask.get("/sync/status").data["inherited"] == 2
        url = ask.post("/sync/runs?inherited=true").data["url"]
        wait_until(lambda: ask.get(url).data["state"] == "done", "the end")
        run = ask.get(url).data
        assert (run["checked"], run["proven"], run["recopied"]) == (2, 1, 1)
        assert {(one["id"], one["ending"]) for one in run["ended"]} == {
            (str(good), "safe"),
            (str(bad), "recopied"),
            (str(bad), "safe"),
        }
        wait_until(lambda: ask.get("/sync/status").data["inherited"] == 0, "the next count")
    assert (place / "bad.pdf").read_bytes() == b"bad"


def test_ids_and_everything_contradict_one_another(tmp_path):
    stage = Stage(tmp_path).pair()
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        said = ask.post("/sync/runs?id=1&everything=true")
        assert (said.status, said.data["code"]) == (409, "api.ids_or_all")
        url = ask.post("/sync/runs?id=77").data["url"]
        wait_until(lambda: ask.get(url).data["state"] == "done", "the end")
        run = ask.get(url).data
        assert [(one["id"], one["ending"]) for one in run["ended"]] == [("77", "unknown")]
        assert run["failed"] == 1


def test_the_daemon_ends_in_time_in_the_middle_of_runs(tmp_path):
    stage = Stage(tmp_path).pair()
    for number in range(24):
        stage.add(f"{number}.pdf", os.urandom(8 * 2**20), processing_status="pending")
    with RunningDaemon(stage) as daemon:
        ask = Client(stage.state / "daemon.sock").wait()
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        stage.sql("UPDATE documents SET processing_status = 'completed'")
        answers: list[dict[str, Any]] = []

        def run() -> None:
            answers.append(ask.post("/sync/run").data)

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        stage.wait_marked(1)
        assert daemon.stop(seconds=10) == 0
        for thread in threads:
            thread.join(10)
        assert len(answers) == 3, "each run has answered with what it had done"
        for answer in answers:
            assert answer["total"] == answer["synced"] + answer["failed"]
            assert answer["total"] == 24 or any("daemon ends" in one for one in answer["errors"])
        assert "Traceback" not in "".join(daemon.text)
    verdict = stage.verdict()
    assert verdict.lying == []
    assert verdict.foreign == []


def test_what_a_run_had_in_hand_when_it_ended_early_is_brought_to_its_end(tmp_path, fault_fs):
    """The database goes away while a run's copy flies: the run ends, the copy lands later, and the
    document is nobody's for ever."""
    nas = fault_fs()
    stage = Stage(tmp_path, nas=nas.path).pair()
    (nas.path / "2024").write_text("a file where a folder must be")
    mine = stage.add("mine.pdf", b"mine")  # the daemon leaves it alone: its backoff
    with serving(stage) as ask:
        blocked = f"/sync/documents/{mine}"

        def failed() -> bool:
            journal = ask.get(blocked).data["documents"][0]["journal"]
            return bool(journal and journal["next_attempt"])

        wait_until(failed, "the failure")
        (nas.path / "2024").unlink()
        nas.rules([{"op": "fsync", "path": "*.part", "do": "delay", "seconds": 10.0}])
        others = stage.add("daemons.pdf", b"other", date="2025-01-01")
        nas.wait_for("fsync", "delay", seconds=20)  # the daemon has this one in hand
        url = ask.post(f"/sync/runs?id={mine}&id={others}").data["url"]
        wait_until(
            lambda: str(mine) in {one["id"] for one in ask.get("/sync/now").data["in_flight"]},
            "the run's copy",
        )
        stage.database.rename(tmp_path / "away")
        wait_until(lambda: ask.get(url).data["state"] == "stopped", "the run's end", seconds=20)
        (tmp_path / "away").rename(stage.database)
        nas.clear()
        stage.wait_marked(2, seconds=30)
    assert stage.verdict().lying == []


def test_checked_and_pending_together_count_each_document_once(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.row("gone.pdf", synced_to_nas=True)
    stage.add("late.pdf", b"l", synced_to_nas=True, processing_status="pending")
    stage.row("missing.pdf")
    with serving(stage) as ask:
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        url = ask.post("/sync/runs?inherited=true&everything=true").data["url"]
        wait_until(lambda: ask.get(url).data["state"] == "done", "the end")
        run = ask.get(url).data
        endings = sorted((one["id"], one["ending"]) for one in run["ended"])
        assert endings == [("1", "inherited"), ("2", "recopied"), ("2", "waiting"), ("3", "failed")]
        assert (run["total"], run["failed"], run["waiting"]) == (1, 1, 1)


def test_slow_questions_to_the_nas_keep_nobody_else_waiting(tmp_path, fault_fs):
    nas = fault_fs()
    stage = Stage(tmp_path, nas=nas.path, NAS_SYNCD_NAS_TIMEOUT_SECONDS=6).pair()
    stage.add("a.pdf", b"a")
    with RunningDaemon(stage) as daemon:
        ask = Client(stage.state / "daemon.sock").wait()
        stage.wait_marked(1)
        nas.rules([{"op": "*", "path": "*", "do": "hang"}])
        threads = [
            threading.Thread(target=lambda: ask.post("/sync/test"), daemon=True) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for call in ("/sync/status", "/sync/months", "/sync/documents", "/sync/status?user_id=1"):
            answer = ask.get(call)
            assert answer.status == 200, call
        assert any(thread.is_alive() for thread in threads), "it has answered behind none of them"
        nas.clear()
        for thread in threads:
            thread.join(20)
        assert daemon.stop() == 0


def test_a_second_signal_ends_it_at_once_also_beside_a_run_that_hangs(tmp_path, fault_fs):
    nas = fault_fs()
    stage = Stage(tmp_path, nas=nas.path).pair()
    stage.add("old.pdf", b"old", synced_to_nas=True)
    with RunningDaemon(stage) as daemon:
        ask = Client(stage.state / "daemon.sock").wait()
        wait_until(lambda: ask.get("/sync/status").data["nas_configured"], "the NAS")
        nas.rules([{"op": "*", "path": "*", "do": "hang"}])
        url = ask.post("/sync/runs?inherited=true").data["url"]
        assert ask.get(url).data["state"] == "running"
        daemon.process.terminate()
        daemon.wait_for("daemon.stopping")
        began = time.monotonic()
        daemon.process.terminate()
        assert daemon.process.wait(10) == 0
        assert time.monotonic() - began < 4
        assert "Traceback" not in "".join(daemon.text)
        nas.clear()


def test_a_broken_fastapi_keeps_no_document_from_the_nas(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.add("a.pdf", b"a")
    broken = tmp_path / "broken" / "fastapi"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise AttributeError('of another version')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join((str(broken.parent), *sys.path)))
        daemon = RunningDaemon(stage, cold=True)
    with daemon:
        told = daemon.wait_for("api.not_installed")
        assert "of another version" in told["detail"]
        stage.wait_marked(1)
        assert daemon.stop() == 0


def test_keys_with_a_slash_are_keys(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.sql("DROP TABLE documents")
    stage.sql(TABLE.partition(";")[0].replace("INTEGER PRIMARY KEY", "TEXT PRIMARY KEY"))
    stage.row("a.pdf", id="2024/é a")
    (stage.uploads / "a.pdf").write_bytes(b"a")
    with serving(stage) as ask:
        stage.wait_marked(1)
        named = "2024%2F%C3%A9%20a"
        assert ask.get(f"/sync/documents/{named}").data["documents"][0]["id"] == "2024/é a"
        retried = ask.post(f"/sync/documents/{named}/retry").data
        assert ask.get(retried["url"]).status == 200
        assert ask.post(f"/sync/document/{named}").data["success"] is True


# -- looking ----------------------------------------------------------------------------------


def test_every_fate_and_each_change_of_the_mount_is_an_event(tmp_path):
    stage = Stage(tmp_path).pair()
    with serving(stage) as ask, ask.events("/sync/events?lang=en") as events:
        kind, now = next(events)
        assert (kind, now["language"]) == ("now", "en")
        while not (kind == "now" and now["mount"]["usable"]):
            kind, now = next(events)
        for number in range(5):
            stage.add(f"{number}.pdf", b"%d" % number)
        fates: list[dict[str, object]] = []
        while len(fates) < 5:
            kind, data = next(events)
            if kind == "fate" and data["kind"] == "synced":
                fates.append(data)
        assert {one["destination"] for one in fates} == {
            f"2024/01/factures/{number}.pdf" for number in range(5)
        }
        assert all(one["sha256"] and one["bytes"] == 1 and one["name"] for one in fates)
        (stage.nas / ".nas-syncd.json").rename(tmp_path / "marker")
        stage.add("late.pdf", b"late")
        while kind != "mount":
            kind, data = next(events)
        assert data["state"] == "not_mounted"
        assert data["reason"]["remedy"]
        assert data["source"] == now["mount"]["source"], "what is to be mounted there"
        with ask.events(f"/sync/events?after={fates[1]['seq']}") as later:
            again = [
                data["seq"] for _ in range(4) for kind, data in [next(later)] if kind == "fate"
            ]
        assert again[:2] == [fates[2]["seq"], fates[3]["seq"]]


def test_what_is_watched_changes_without_being_asked_for(tmp_path):
    stage = Stage(tmp_path).pair()
    with serving(stage) as ask, ask.events() as events:
        stage.row("missing.pdf")
        kind, now = next(events)
        while not (kind == "now" and now["status"] and now["status"]["total_documents"] == 1):
            kind, now = next(events)
        assert now["status"]["pending"] == 1


def test_deleted_rows_hide_no_flag_that_nobody_has_proven(tmp_path):
    stage = Stage(tmp_path).pair()
    for number in range(5):
        stage.add(f"{number}.pdf", b"%d" % number)
    with serving(stage) as ask:
        stage.wait_marked(5)
        assert ask.get("/sync/status").data["inherited"] == 0
        stage.sql("DELETE FROM documents WHERE id <= 3")
        stage.row("old.pdf", synced_to_nas=True)
        stage.row("older.pdf", synced_to_nas=True)
        wait_until(
            lambda: ask.get("/sync/status").data["inherited"] == 2, "the two of them", seconds=20
        )


def test_months_and_types_say_how_complete_they_are(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.add("a.pdf", b"a", date="2024-01-31", doc_type="INVOICE")
    stage.row("b.pdf", date="2024-01-01", doc_type="invoice")
    stage.row("c.pdf", date=None, created_at="2023-12-31 23:59:59", doc_type="strange")
    with serving(stage) as ask:
        stage.wait_marked(1)
        data = ask.get("/sync/months").data
        assert data["types"] == ["receipt", "invoice", "payslip", "other"]
        assert data["months"] == [
            {"month": "2024-01", "types": {"invoice": {"documents": 2, "safe": 1, "missing": 1}}},
            {"month": "2023-12", "types": {"other": {"documents": 1, "safe": 0, "missing": 1}}},
        ]


def test_months_that_are_remembered_say_when_to_ask_again(tmp_path):
    """Else who asks just after a mark is told what was, and hears of nothing that was new."""
    stage = Stage(tmp_path).pair()
    stage.row("a.pdf", date="2024-01-31", doc_type="invoice")
    with serving(stage) as ask:
        first = ask.get("/sync/months").data
        assert first["again"] == 0
        stage.sql("UPDATE documents SET synced_to_nas = 1")

        remembered = ask.get("/sync/months").data
        assert remembered["months"] == first["months"]
        assert 0 < remembered["again"] < 60
        time.sleep(remembered["again"])
        fresh = ask.get("/sync/months").data

        assert fresh["again"] == 0
        cell = {"documents": 1, "safe": 1, "missing": 0}
        assert fresh["months"] == [{"month": "2024-01", "types": {"invoice": cell}}]


def test_ready_says_what_is_not_there(tmp_path):
    stage = Stage(tmp_path)  # no marker: not mounted
    with serving(stage) as ask:
        assert ask.get("/healthz").data["status"] == "ok"

        def both_looked_at():
            checks = ask.get("/readyz").data["checks"]
            return checks["uploads"]["ok"] and checks["mount"]["state"] != "unknown"

        wait_until(both_looked_at, "a look at the folder and at the NAS")
        said = ask.get("/readyz?lang=en")
        assert (said.status, said.data["ready"]) == (503, False)
        checks = said.data["checks"]
        assert checks["database"]["ok"] is True
        assert checks["mount"]["state"] == "not_mounted"
        assert checks["mount"]["reason"]["code"] == "mount.not_mounted"
        stage.pair()
        stage.add("a.pdf", b"a")
        wait_until(lambda: ask.get("/readyz").status == 200, "readiness", seconds=20)


def test_without_the_database_it_says_so_and_invents_nothing(tmp_path):
    stage = Stage(tmp_path).pair()
    stage.add("a.pdf", b"a")
    with serving(stage) as ask:
        stage.wait_marked(1)
        assert ask.get("/sync/status").data["synced"] == 1
        stage.database.rename(tmp_path / "away")
        wait_until(lambda: ask.get("/sync/status").status == 503, "503")
        said = ask.get("/sync/status")
        assert said.data["code"] == "database.unavailable"
        assert "retry-after" in said.headers
        wait_until(lambda: ask.get("/sync/now").data["database"]["since"], "the daemon sees it")
        database = ask.get("/sync/now?lang=en").data["database"]
        assert database["ok"] is False
        assert database["reason"]["code"] == "database.unavailable"
        assert "nas_syncd_database_up 0.0" in ask.get("/metrics").body.decode()
        assert ask.get("/sync/months").status == 503
        assert ask.post("/sync/run").status == 503
        assert ask.get("/sync/config").status == 200
        (tmp_path / "away").rename(stage.database)
        wait_until(lambda: ask.get("/sync/status").status == 200, "it is back")


def test_the_last_log_lines_are_told_on_the_socket_only(tmp_path):
    port = free_port()
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=port).pair()
    stage.add("a.pdf", b"a")
    with serving(stage) as ask:
        stage.wait_marked(1)
        wait_until(lambda: b"document.synced" in ask.get("/sync/log").body, "the line")
        lines = [json.loads(line) for line in ask.get("/sync/log").body.splitlines()]
        assert "daemon.started" in {line["event"] for line in lines}
        assert Client(port).get("/sync/log").status == 404


# -- counting ---------------------------------------------------------------------------------


def keeper_for(stage: Stage, pool: ThreadPoolExecutor) -> tuple[CountedTable, FiguresKeeper]:
    table = CountedTable.connect(f"sqlite:///{stage.database}", TableNames())
    nothing = Tally(0, 0, 0, 0, 0, 0)
    return table, FiguresKeeper(table, lambda: nothing, pool.submit)


def settled(asked: Figures | Future[Figures]) -> Figures:
    return asked.result(10) if isinstance(asked, Future) else asked


def test_what_we_mark_shows_in_the_very_next_answer(tmp_path):
    stage = Stage(tmp_path)
    rows = [(str(stage.row(f"{n}.pdf")), f"{BACKEND_DIR}/{n}.pdf") for n in range(40)]
    with ThreadPoolExecutor(1) as pool:
        table, keeper = keeper_for(stage, pool)
        assert settled(keeper.ask()).counts.synced == 0
        for done, row in enumerate(rows, start=1):
            pool.submit(lambda: None).result()  # no count that a late poller began is disturbed
            table.mark([row], NOW)
            figures = settled(keeper.ask())
            assert figures.counts.synced == done
            assert figures.counts.last_sync == NOW
        table.unmark(rows[:15])
        assert settled(keeper.ask()).counts.synced == 25
        table.close()


def test_fewer_rows_than_before_have_the_journal_compared_with_the_table(tmp_path):
    stage = Stage(tmp_path)
    for number in range(3):
        stage.row(f"{number}.pdf", synced_to_nas=True)
    shrunk: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        table = CountedTable.connect(f"sqlite:///{stage.database}", TableNames())
        tally = Tally(3, 0, 0, 0, 0, 0)
        keeper = FiguresKeeper(table, lambda: tally, pool.submit, lambda: shrunk.append(1))
        settled(keeper.ask())
        keeper.changed()
        settled(keeper.ask())
        pool.submit(lambda: None).result()
        assert shrunk == []
        stage.sql("DELETE FROM documents WHERE id = 3")
        stage.row("old.pdf", synced_to_nas=True)
        stage.sql("DELETE FROM documents WHERE id = 1")
        keeper.changed()
        settled(keeper.ask())
        pool.submit(lambda: None).result()
        assert shrunk == [1]
        table.close()


def test_counting_beside_marking_never_counts_a_flag_twice(tmp_path):
    stage = Stage(tmp_path)
    rows = [(str(stage.row(f"{n}.pdf")), f"{BACKEND_DIR}/{n}.pdf") for n in range(300)]
    told: list[tuple[int, int, int]] = []
    with ThreadPoolExecutor(3) as pool:
        table, keeper = keeper_for(stage, pool)

        def mark() -> None:
            for start in range(0, len(rows), 10):
                table.mark(rows[start : start + 10], NOW)

        marking = pool.submit(mark)
        while not marking.done():
            before = table.net_marks
            keeper._taken = None  # as if nobody had asked for a while
            synced = settled(keeper.ask()).counts.synced
            told.append((before, synced, stage.marked()))
        marking.result()
        keeper._taken = (
            None  # the last count may have been disturbed: it tells at most what is true
        )
        assert settled(keeper.ask()).counts.synced == 300
        table.close()
    assert told
    assert all(before <= synced <= after for before, synced, after in told), told


def known(keeper: FiguresKeeper) -> int:
    figures = keeper.known()
    assert figures is not None
    return figures.counts.synced


class Slow(CountedTable):
    """A mark is in the database for a while before it is known to have been made."""

    def __init__(self, *parts) -> None:
        super().__init__(*parts)
        self.written, self.go_on = threading.Event(), threading.Event()

    def _end(self, *made) -> None:
        self.written.set()
        assert self.go_on.wait(20)
        super()._end(*made)


def test_a_mark_that_a_count_has_seen_already_is_not_added_to_it(tmp_path):
    stage = Stage(tmp_path)
    rows = [(str(stage.row(f"{n}.pdf")), f"{BACKEND_DIR}/{n}.pdf") for n in range(30)]
    with ThreadPoolExecutor(2) as pool:
        table = Slow.connect(f"sqlite:///{stage.database}", TableNames())
        keeper = FiguresKeeper(table, lambda: Tally(0, 0, 0, 0, 0, 0), pool.submit)
        marking = pool.submit(table.mark, rows[:10], NOW)
        assert table.written.wait(20)
        assert settled(keeper.ask()).counts.synced == 10

        table.go_on.set()
        marking.result()

        assert known(keeper) == 10
        table.mark(rows[10:15], NOW)
        assert known(keeper) == 15
        table.close()


def test_a_flag_that_is_being_taken_back_while_it_is_counted_does_not_count(tmp_path):
    stage = Stage(tmp_path)
    rows = [(str(stage.row(f"{n}.pdf")), f"{BACKEND_DIR}/{n}.pdf") for n in range(30)]
    with ThreadPoolExecutor(2) as pool:
        table = Slow.connect(f"sqlite:///{stage.database}", TableNames())
        keeper = FiguresKeeper(table, lambda: Tally(0, 0, 0, 0, 0, 0), pool.submit)
        table.go_on.set()
        table.mark(rows[:10], NOW)
        table.go_on.clear()
        table.written.clear()
        taking = pool.submit(table.unmark, rows[:4])
        assert table.written.wait(20)
        assert settled(keeper.ask()).counts.synced == 6

        table.go_on.set()
        taking.result()

        assert known(keeper) <= 6
        table.close()
