"""How things stand, found out by ourselves: from the journal, the database and the NAS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nas_syncd import report
from nas_syncd.cli.call import Call
from nas_syncd.cli.outlook import Outlook, outlook, quick_table
from nas_syncd.cli.picture import COUNTS, SHOWN_PROBLEMS, UPLOADS, Data, Picture
from nas_syncd.cli.remote import why
from nas_syncd.documents import DocumentsTable
from nas_syncd.errors import DatabaseUnavailableError
from nas_syncd.messages.asdata import reason_data
from nas_syncd.models import Reason, State
from nas_syncd.settings import Settings

SEARCHED_PROBLEMS = 500


class Ourselves:
    """Looks as often as it is asked."""

    def __init__(self, call: Call, now: Outlook, table: DocumentsTable) -> None:
        self._call = call
        self._now = now
        self._table = table
        self._checked = False

    def refresh(self) -> None:
        """Let the next picture be a new one.

        Raises:
            JournalError: The state directory cannot be used.
        """
        self._now.refresh()

    def picture(self, user: str | None) -> Picture:
        """Return how things stand.

        Raises:
            ConfigurationError: The table is not as it must be.
            JournalError: The state directory cannot be used.
        """
        call, now, table = self._call, self._now, self._table
        error: Data | None = None
        problems: list[tuple[str, str]] = []
        try:
            if not self._checked:
                table.check()  # while the NAS is being asked
                self._checked = True
            journal, nas = now.site.journal, now.site.nas
            data = report.status(table, journal, now.view, nas, call.language, user)
            if data["problems"]:
                problems = self._problems(user)
        except DatabaseUnavailableError as away:
            error, data = call.error_data(away), self._without_database()
        data |= self._more()
        if error is not None:
            data["error"] = error
        return Picture(data, problems)

    def _without_database(self) -> Data:
        """The same keys; what only the database knows is null."""
        site, view = self._now.site, self._now.view
        tally = site.journal.tally(self._table.scope, site.nas)
        return dict.fromkeys(COUNTS) | {
            "nas_configured": view.usable,
            "waiting": tally.waiting + tally.failed,
            "problems": tally.problems,
            "reason": why(reason_data(view.reason, self._call.language)),
        }

    def _more(self) -> Data:
        """What the command shows beyond the API's keys."""
        live, view, language = self._now.live or {}, self._now.view, self._call.language
        uploads = live.get("uploads")
        if uploads is not None:
            uploads = {name: uploads[name] for name in UPLOADS} | {
                name: reason_data(_reason(uploads.get(name)), language)
                for name in ("reason", "warning")
            }
        return {
            "daemon": self._now.daemon,
            "mount": {**report.view_as_json(view), "reason": reason_data(view.reason, language)},
            "uploads": uploads,
            "in_flight": live.get("in_flight", []),
            "no_row": live.get("no_row", []),
        }

    def _problems(self, user: str | None) -> list[tuple[str, str]]:
        journal, table = self._now.site.journal, self._table
        limit = SHOWN_PROBLEMS if user is None else SEARCHED_PROBLEMS
        entries = journal.in_states(table.scope, {State.PROBLEM}, limit=limit)
        rows = table.get([entry.id for entry in entries])
        found = []
        for entry in entries:
            row = rows.get(entry.id)
            if user is None or (row is not None and row.user_id == user):
                name = self._call.name(entry.id, row.original_name if row else None)
                found.append((name, why(reason_data(entry.reason, self._call.language)) or ""))
        return found[:SHOWN_PROBLEMS]


def _reason(told: Data | None) -> Reason | None:
    return Reason(told["code"], told["params"]) if told else None


@contextmanager
def by_ourselves(call: Call, settings: Settings) -> Iterator[Ourselves]:
    """Open what is needed to look without a daemon.

    Raises:
        ConfigurationError: No driver for the database is installed.
        JournalError: The state directory cannot be used.
    """
    table = quick_table(settings)
    try:
        with outlook(settings) as now:
            yield Ourselves(call, now, table)
    finally:
        table.close()
