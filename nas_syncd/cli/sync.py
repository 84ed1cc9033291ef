"""``nas-syncd sync``: copy now, and say for each document what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nas_syncd.cli import screen
from nas_syncd.cli.call import Call
from nas_syncd.cli.exits import Exit, UsageError, exit_code, exit_code_of
from nas_syncd.cli.handover import Follower, hand_over
from nas_syncd.cli.interrupt import stops_on_ctrl_c
from nas_syncd.cli.plan import show_plan
from nas_syncd.cli.reach import Reached, reach
from nas_syncd.cli.remote import GoneError, Remote
from nas_syncd.cli.tally import Summary
from nas_syncd.cli.test import patience
from nas_syncd.compose import site_from, table_from
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import SyncError
from nas_syncd.fates import log_fate
from nas_syncd.logs import configure_logging, get_logger, shutdown_logging
from nas_syncd.models import Fate
from nas_syncd.settings import Settings
from nas_syncd.site import Site
from nas_syncd.wishes import Grant, Selection, Tally, Wish

_log = get_logger("nas_syncd.sync")


def sync_now(call: Call, wish: Wish, *, dry_run: bool) -> int:
    """Copy what was asked for; return 0, 1 when some failed, 69 without the NAS, 75 to try again.

    Raises:
        UsageError: Parts of the wish contradict one another.
        SyncError: Before anything was begun; later troubles stand in the summary.
    """
    if wish.contradicts_itself:
        raise UsageError(text=call.text("sync.ids_or_all"))
    reached = reach(call, "nas", "database_url", "upload_dir")
    if dry_run:
        return _by_ourselves(call, reached.ours, wish, None)
    if reached.daemon is not None:
        try:
            run = hand_over(reached.daemon, wish, patience=patience(reached.settings))
        except GoneError:
            pass  # it is just ending: the work is ours
        else:
            return _follow(call, reached, reached.daemon, run, wish)
    tally, summary = _beginning(call, reached.ours.nas_path)
    return _by_ourselves(call, reached.ours, wish, (tally, summary))


def _beginning(call: Call, nas_path: str) -> tuple[Tally, Summary]:
    summary = Summary(call)
    return Tally(nas_path, call.language, on_line=summary.line), summary


# -- with a daemon -----------------------------------------------------------------------------


def _follow(call: Call, reached: Reached, daemon: Remote, run: dict[str, Any], wish: Wish) -> int:
    """Follow the daemon's run; what it leaves undone, because it was told to end, is ours."""
    tally, summary = _beginning(call, daemon.found["mount"]["path"])
    with summary:
        try:
            followed = Follower(daemon, run, tally, summary).follow(wish)
        except KeyboardInterrupt:
            summary.say(call.text("sync.goes_on"))
            return _tell(summary, tally, None, Exit.INTERRUPTED)
        if followed.left is not None:
            summary.say(call.text("sync.daemon_ended"))
    if followed.left is not None:
        return _by_ourselves(call, reached.ours, followed.left, (tally, summary))
    code = exit_code_of(followed.error["code"]) if followed.error else None
    return _tell(summary, tally, followed.error, code)


# -- by ourselves ------------------------------------------------------------------------------


def _by_ourselves(
    call: Call, settings: Settings, wish: Wish, told: tuple[Tally, Summary] | None
) -> int:
    """Do the work; without *told* only show the plan."""
    table: DocumentsTable = table_from(settings)
    try:
        site = site_from(settings)
        try:
            site.guard.check(write=told is not None).result()
            if told is None:
                return show_plan(call, site, table, Selection(site, table, wish))
            site.guard.raise_unless_usable()
            return _sync(call, settings, site, table, wish, *told)
        finally:
            site.close()
    finally:
        table.close()


def _sync(
    call: Call,
    settings: Settings,
    site: Site,
    table: DocumentsTable,
    wish: Wish,
    tally: Tally,
    summary: Summary,
) -> int:
    def count(documents: int) -> None:
        tally.total_is(tally.done + documents)
        summary.expect(tally.expected)

    grant = Grant(
        site,
        table,
        wish,
        on_total=count,
        on_end=tally.ended,
        on_checked=tally.checked,
        on_unknown=tally.unknown,
        on_tick=lambda: summary.tick(tally.done, _big_files(site)),
        on_fate=lambda fate: _write_down(fate, call.language),
        on_stopping=lambda: summary.say(call.text("sync.finishing")),
    )
    stopped: SyncError | None = None
    interrupted = False
    grant.prepare()
    with _log_file(settings), summary:
        try:
            with stops_on_ctrl_c(grant.stop):
                grant.go()
        except SyncError as error:
            stopped = error
        except KeyboardInterrupt:
            interrupted = True
    error_data = call.error_data(stopped) if stopped is not None else None
    code = exit_code(stopped) if stopped is not None else None
    if interrupted or grant.stopped:
        code = Exit.INTERRUPTED
    return _tell(summary, tally, error_data, code)


def _tell(summary: Summary, tally: Tally, error: dict[str, Any] | None, code: Exit | None) -> int:
    """Say what was done; return the exit code, by default what the numbers say."""
    summary.tell(tally, inherited=tally.checked_count > 0, error=error)
    if code is not None:
        return code
    return Exit.FAILED if tally.failed or tally.unverifiable else Exit.DONE


def _write_down(fate: Fate, language: str) -> None:
    """Into the log, as the daemon does."""
    log_fate(_log, fate, language)


def _big_files(site: Site) -> tuple[float, float] | None:
    """Return how far the big files are, all of them together."""
    big = [
        progress
        for _, op, progress in site.agent.progress()
        if op == "copy" and progress.total_bytes >= 2 * screen.BIG_BYTES
    ]
    if not big:
        return None
    done, total = (sum(p.done_bytes for p in big), sum(p.total_bytes for p in big))
    return done / 2, total / 2  # written, then read back


@contextmanager
def _log_file(settings: Settings) -> Iterator[None]:
    """Fates go to the log file, as the daemon's do; the person has lines of their own.

    Raises:
        JournalError: The log file cannot be opened.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        configure_logging(
            settings.log_level,
            "console",
            settings.log_file,
            stream=nowhere,
            language=settings.language,
        )
        try:
            yield
        finally:
            shutdown_logging()
