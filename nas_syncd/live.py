"""What a running daemon writes down of itself, for who asks from outside."""

from __future__ import annotations

import os
from typing import Any

from nas_syncd import __version__, report
from nas_syncd.flow import Flow
from nas_syncd.intake import Intake
from nas_syncd.site import Site
from nas_syncd.works import Work

LONGEST_LIST = 50


def live_record(
    site: Site, flow: Flow, intake: Intake, database_trouble: str | None, others: list[Work]
) -> dict[str, Any]:
    """Return how things stand now, as JSON; :func:`nas_syncd.report.live` reads it.

    Args:
        database_trouble: None while the database answers.
        others: What others than *flow* have in flight: the API's runs.
    """
    uploads = site.uploads.view
    return {
        "pid": os.getpid(),
        "version": __version__,
        "mount": report.view_as_json(site.guard.view),
        "uploads": {
            "state": str(uploads.state),
            "path": uploads.path,
            "since": uploads.since.isoformat(),
            "reason": report.reason_as_json(uploads.reason),
            "warning": report.reason_as_json(uploads.warning),
            "watching": uploads.watching,
        },
        "database": {"ok": database_trouble is None, "detail": database_trouble or ""},
        "in_flight": [_in_flight(site, work) for work in [*flow.flying(), *others][:LONGEST_LIST]],
        "no_row": [
            {"path": path, "seconds": round(seconds / 60) * 60}
            for path, seconds in intake.without_row()[:LONGEST_LIST]
        ],
        "waiting": len(flow.waits),
        "queued": len(flow.active()),
    }


def _in_flight(site: Site, work: Work) -> dict[str, Any]:
    progress = site.agent.progress_of(work.answer) if work.answer else None
    return {
        "id": work.document.id,
        "name": work.document.original_name,
        "path": work.document.file_path,
        "side": progress.side if progress else "nas",
        "done": progress.done_bytes // 2 if progress else 0,  # written, then read back
        "total": work.source.version.size if work.source.version else 0,
    }
