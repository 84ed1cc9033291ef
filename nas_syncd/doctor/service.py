"""Will it be there again after a restart of this computer?"""

from __future__ import annotations

from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.patient import Patient

CHECK = "service.state"


def look(patient: Patient, notes: Notes) -> None:
    state = patient.ask_service()
    if state is None or state.manager is None:
        notes.skipped(CHECK, "no_manager", detail=state.detail if state else None)
        return
    facts = {"manager": state.manager, "scope": state.scope, "detail": state.detail}
    if not state.installed:
        notes.warning(CHECK, "service.not_installed", **facts)
    elif not state.running:
        notes.wrong(CHECK, "service.not_running", **facts)
    else:
        since = state.since.isoformat() if hasattr(state.since, "isoformat") else state.since
        notes.ok(CHECK, "service.running", since=since, **facts)
