"""The page that the daemon serves, in a real Chromium, with the real daemon behind it."""

from __future__ import annotations

import os
import re
import shutil
import time
from importlib import resources

import pytest

from tests.page.look import BROKEN_LINE
from tests.stage import BACKEND_DIR, RunningDaemon, Stage

MOST_BYTES = 60_000
CALM_SECONDS = 6.0
"""After so long a page that was opened asks for nothing more by itself."""
HOSTILE = "rapport\u202egpj.exe\n<img src=x onerror=alert(1)>" + "nom-" * 50 + ".pdf"

pytestmark = pytest.mark.browser


def running(stage: Stage) -> RunningDaemon:
    from tests.http_client import Client

    daemon = RunningDaemon(stage)
    Client(int(str(stage.settings["NAS_SYNCD_API_PORT"]))).wait()
    return daemon


def test_the_whole_page_stays_under_its_limit():
    folder = resources.files("nas_syncd.api") / "page"
    sizes = {one.name: len(one.read_bytes()) for one in folder.iterdir()}

    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_one_look_tells_that_all_is_safe_and_new_documents_show_without_a_reload(stage, visit):
    for number in range(3):
        stage.add(f"{number}.pdf", b"x" * 5000)
    with running(stage):
        look = visit()
        look.state("safe", "^All 3 documents are safe$")
        look.sees("#link", "Live")
        look.sees("#nas-body", "mounted and writable.*Free space.*iB of")
        look.sees("[data-cell$='01 invoice'] .wide", "^3$")
        look.sees("#recent", r"my 2\.pdf.*2024/01/factures/")
        look.is_accessible()
        look.fits(360)
        look.page.evaluate("window.sameVisit = true")

        stage.add("new.pdf", b"new", doc_type="payslip", date="2023-12-01")

        look.state("safe", "^All 4 documents are safe$")
        look.sees("#recent li", r"my new\.pdf")
        look.sees("[data-cell='2023 12 payslip']", "1")
        assert look.page.title().startswith("All 4 documents are safe")
        assert look.page.evaluate("window.sameVisit")


def test_the_browsers_language_is_spoken(stage, visit):
    stage.add("a.pdf", b"a")
    stage.add("b.pdf", b"b")
    with running(stage):
        french = visit("fr-FR")
        french.state("safe", "^Les 2 documents sont en sécurité$")
        french.sees("#sync", "Synchroniser")
        assert french.at("html").get_attribute("lang") == "fr"
        french.at("#language").click()
        french.state("safe", "^All 2 documents are safe$")

        german = visit("de-DE", path="/?lang=en")
        german.state("safe", "^All 2 documents are safe$")


def test_an_empty_table_is_no_trouble(stage, visit):
    with running(stage):
        look = visit()
        look.state("ready", "^No documents yet; the first one leaves as soon as it arrives.$")


def test_an_absent_nas_says_why_since_when_and_what_to_do(stage, visit):
    stage.add("a.pdf", b"a")
    away = stage.root / "away"
    with running(stage):
        look = visit()
        look.state("safe", "^The document is safe$")

        stage.nas.rename(away)
        stage.add("b.pdf", b"b")

        look.state(
            "trouble",
            r"^1 of 2 documents is safe; 1 waits because the path of the NAS does not exist"
            rf" since \d\d:\d\d; mount {stage.nas}\.$",
        )
        # What is spoken first is heard out: that may be the moment before the second document.
        look.sees("#voice", "because the (path of the NAS does not exist|NAS is not mounted)")
        look.sees("#nas-body", "The NAS path does not exist.*Mount the share")
        look.at("#waiting-title").click()
        look.sees("#waiting-list", r"my b\.pdf.*(Waiting for the NAS|NAS path does not exist)")
        look.at("#test").click()
        look.sees("#result.bad", "The NAS path does not exist")
        look.at("#sync").click()
        look.sees("#result.bad", "That did not work: The NAS path does not exist")
        look.forgive(BROKEN_LINE)  # the refused run's 400
        look.is_accessible()
        look.fits(360)

        away.rename(stage.nas)
        look.state("safe", "^All 2 documents are safe$")


def test_a_problem_shows_its_reason_and_is_retried_with_the_keyboard(stage, visit):
    stage.add("good.pdf", b"good")
    link = stage.uploads / "bad.pdf"
    link.symlink_to(stage.uploads / "good.pdf")
    (stage.uploads / "real.pdf").write_bytes(b"a real one")
    bad = stage.row("bad.pdf", original_name=HOSTILE)
    stage.settings["NAS_SYNCD_SCAN_SECONDS"] = 3600  # nobody but the button looks again
    with running(stage):
        look = visit()
        look.state("trouble", "^1 of 2 documents is safe; 1 needs your attention.$")
        look.sees("#problems-list", "This is a link, not a file.*Replace the link")
        look.sees("#problems-list .name", r"^rapport\\u202egpj.exe\\u000a<img src=x onerror")
        assert look.at("img").count() == 0
        look.is_accessible()
        look.fits(360)
        stage.sql("UPDATE documents SET file_path = ? WHERE id = ?", f"{BACKEND_DIR}/real.pdf", bad)

        look.tab_to("Retry")
        look.press("Enter")

        look.state("safe", "^All 2 documents are safe$")
        look.gone("#problems")


def test_marks_without_proof_are_told_apart_and_can_be_proven(stage, visit):
    proven, inherited = stage.add("a.pdf", b"a"), stage.add("b.pdf", b"b")
    place = stage.nas / "2024/01/factures"
    place.mkdir(parents=True)
    shutil.copy(stage.uploads / "b.pdf", place)
    stage.sql(
        "UPDATE documents SET synced_to_nas = 1, synced_at = created_at WHERE id = ?", inherited
    )
    with running(stage):
        look = visit()
        look.state("unproven", "^1 of 2 documents is safe; 1 is marked without proof.$")
        look.sees("#inherited", "nas-syncd sync --inherited")
        look.sees("#months-hint", "without proof")
        look.is_accessible()

        look.at("#prove").click()

        look.sees("#result.good", "1 proven")
        look.state("safe", "^All 2 documents are safe$")
        look.gone("#prove")
    assert stage.is_marked(proven)


def test_a_lost_daemon_is_never_taken_for_all_is_well(stage, visit):
    stage.add("a.pdf", b"a")
    daemon = running(stage)
    with daemon:
        look = visit()
        look.forgive(BROKEN_LINE)
        look.state("safe", "^The document is safe$")
        daemon.kill()
        look.state("lost", r"^The daemon does not answer since \d\d:\d\d; what follows may have")
        look.sees("#link", "No contact")
        assert look.at("body.stale #content").count() == 1
        assert look.at("#sync").is_disabled()
        look.is_accessible()
    with running(stage):
        look.state("safe", "^The document is safe$")
        assert look.at("#sync").is_enabled()


def test_the_token_is_asked_for_and_forgotten_with_the_tab(stage, visit):
    stage.settings["NAS_SYNCD_API_TOKEN"] = "a-long-enough-token-of-ours"
    stage.add("a.pdf", b"a")
    with running(stage):
        look = visit()
        look.forgive(BROKEN_LINE)  # the 401 that is meant
        look.at("#token").wait_for()
        look.is_accessible()
        assert look.focused() == "secret"
        look.page.keyboard.type("wrong")
        look.press("Enter")
        look.sees("#token-result", "not the right token")
        look.page.keyboard.type("a-long-enough-token-of-ours")
        look.press("Enter")
        look.state("safe", "^The document is safe$")
        look.page.reload()
        look.state("safe", "^The document is safe$")
        look.sees("#recent", r"my a\.pdf")
        assert look.page.evaluate("localStorage.length") == 0
        assert look.page.evaluate("document.cookie") == ""


def test_everything_is_within_reach_of_the_keyboard(stage, visit):
    wanted = stage.add("a.pdf", b"a")
    with running(stage):
        look = visit()
        look.state("safe", "^The document is safe$")
        look.press("Tab", "Enter")
        assert look.focused() == "main"
        look.tab_to("sync")
        look.press("Enter")
        look.sees("#result.good", "Nothing to copy")
        look.tab_to("test")
        look.press("Enter")
        look.sees("#result.good", "NAS mount can be read and written")

        look.at("#wanted").focus()
        look.page.keyboard.type(str(wanted))
        look.press("Enter")
        look.sees("#explain-title", rf"my a\.pdf.*Document {wanted}")
        look.sees("#explain-body", r"Copied, verified and marked.*Nothing to do.*SHA-256.*History")
        look.is_accessible()
        look.press("Escape")
        look.gone("#explain")
        assert look.focused() == "wanted"
        look.at("#wanted").fill("no-such.pdf")
        look.press("Enter")
        look.sees("#explain-body", "Unknown document: no-such.pdf")


def test_ten_years_stay_readable(stage, visit, years):
    for year in years:
        for month in range(1, 13):
            stage.row(f"{year}-{month}.pdf", date=f"{year}-{month:02d}-10", synced_to_nas=True)
    missing = stage.row("gone.pdf", date=f"{years[0]}-02-03", doc_type="payslip")
    with running(stage):
        look = visit()
        look.count(".year", 10)
        look.count(".year[open]", 2)
        look.sees(".year", f"{years[0]}.*13 documents.*1 missing")
        cell = f"[data-cell='{years[0]} 01 invoice']"
        look.at(cell).focus()
        look.press("ArrowRight", "ArrowDown")
        look.sees("#tip", f"Payslips, February {years[0]}.*0 of 1 on the NAS, 1 missing")
        assert look.at("[data-cell]:focus").get_attribute("data-cell") == f"{years[0]} 02 payslip"
        look.press("Escape")
        look.gone("#tip")
        look.is_accessible()
        look.fits(360)
        (stage.uploads / "gone.pdf").write_bytes(os.urandom(2000))

        look.sees(".year", f"{years[0]}.*13 documents.*complete")
        assert look.at("[data-cell]:focus").get_attribute("data-cell") == f"{years[0]} 02 payslip"
        look.count(".year[open]", 2)
    assert stage.is_marked(missing)


def test_months_told_from_memory_are_asked_for_again(stage, visit):
    """Nothing happens that would tell the page of something new."""
    stage.row("a.pdf", date="2024-01-10", synced_to_nas=True)
    with running(stage):
        look = visit()
        look.count(".year", 1)
        until = time.monotonic() + CALM_SECONDS
        remembered = {"types": ["invoice", "other"], "months": [], "again": 0.5}

        def answer(route):
            if time.monotonic() < until:
                route.fulfill(json=remembered)
            else:
                route.continue_()

        look.page.route(re.compile("/sync/months"), answer)
        look.page.reload()

        look.sees(".year", "2024.*1 document")
