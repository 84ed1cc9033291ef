"""The English words of the log as a person reads it, and of ``nas-syncd logs``.

``log.<event>`` is the sentence for an event; its blanks are the record's keys, see
:mod:`nas_syncd.logs.told`. The events' names and the keys themselves are never translated.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- documents
    "log.document.name": "{given} ({id})",
    "log.document.nameless": "Document {id}",
    "log.document.synced": "{document} → {destination}",
    "log.document.synced.aside": "{size}[[ in {took}]]",
    "log.document.synced.adopted": "{size}, was there already",
    "log.document.failed": "{document}: {text}",
    "log.document.refused": "{document}: {text}",
    "log.document.gone": "{document}: {text}",
    "log.document.waiting": "{document}: {text}",
    "log.document.waiting.mount": "{document}: waits for the NAS",
    "log.document.waiting.metadata": "{document}: waits for its date and type",
    "log.document.waiting.no_file": "{document}: its file has not arrived yet",
    "log.document.vanished": (
        "{document}: the copy is no longer in its place on the NAS[[ ({destination})]]; it will "
        "be made again"
    ),
    "log.document.damaged": (
        "{document}: the copy on the NAS is not whole any more[[ ({destination})]]; it will be "
        "made again, beside it"
    ),
    # -- what they depend on
    "log.mount.changed": "{text}",
    "log.mount.changed.ok": "The NAS is ready: {path}[[ ({source})]]",
    "log.mount.still_unusable": "{text}[[ (since {since})]]",
    "log.uploads.changed": "{text}",
    "log.uploads.changed.found": "The upload folder is there: {path}",
    "log.uploads.changed.native": "Watching the upload folder: {path}",
    "log.uploads.changed.poll": "Looking through the upload folder again and again: {path}",
    "log.database.unavailable": "The database does not answer[[: {detail}]][[. {remedy}]]",
    "log.database.back": "The database answers again[[ (after {seconds})]]",
    "log.journal.unusable": "The journal cannot be used at the moment[[: {detail}]]",
    "log.journal.rebuilt": (
        "The journal was damaged ({detail}): it was set aside as {aside}, and a new one was begun."
        " No document is lost, and none is copied twice. What was marked before counts as inherited"
        " until “nas-syncd sync --inherited” has compared it with the NAS"
    ),
    "log.journal.lost": (
        "The journal was gone or empty, and a new one was begun. No document is lost, and none is"
        " copied twice. What was marked before counts as inherited until"
        " “nas-syncd sync --inherited” has compared it with the NAS"
    ),
    # -- the daemon
    "log.daemon.started": ("nas-syncd {version} has started (process {pid}): {uploads} → {nas}"),
    "log.daemon.reloaded": "Settings read again[[; needs a restart: {needs_restart}]]",
    "log.daemon.reload_refused": "Settings not taken, the former ones stay in force: {text}",
    "log.daemon.stopping": "Stopping[[; {in_flight} being copied are finished first]]",
    "log.daemon.stop_interrupted": "Stopping, not everything could be finished[[: {detail}]]",
    "log.daemon.stopped": "nas-syncd has stopped[[; copies left for the next start: {abandoned}]]",
    "log.temp.removed": "Left-over temporary file removed from the NAS: {path}[[ ({bytes})]]",
    "log.temp.restored": (
        "{document}: a verified copy that had lost its name was put in its place[[: {destination}]]"
    ),
    "log.run.broken": "A synchronisation ended with an error of the program (run {run})",
    "log.uploads.hints_failed": (
        "Hints from the upload folder were lost to an error of the program; it is scanned again"
    ),
    # -- the API
    "log.api.ready": "Page and API: {urls}",
    "log.api.unavailable": "{text}",
    "log.api.not_installed": "{text}",
    "log.api.error": "The API met an error of the program[[: {method} {path}]][[: {message}]]",
    "log.api.stop_late": "The API could not end in time[[ ({seconds})]]",
    "log.log.foreign": "{logger}: {message}",
    "log.log.line": "{text}",
    # -- nas-syncd logs
    "logs.level": "unknown level '{given}'; allowed are {choices}",
    "logs.since": "unknown moment '{given}'; for instance 10m, 2h, 3d or 2024-01-15T14:30",
    "logs.lines": "--lines wants a number from 0 on, or “all”; not '{given}'",
    "logs.none": "There is no log that this command could read",
    "logs.journald": "As a systemd service the log is read with: {command}",
    "logs.console": "In the foreground it appears in the terminal of: {command}",
    "logs.file": "For a file that this command reads: set {name}.",
    "logs.container": "In a container the log is the container’s output. On its host: {command}",
    "logs.no_file": "This is no file that could be read as a log: {path}",
    "logs.denied": (
        "The log is not readable for this user: {path}. Use sudo, or become a member of its group"
    ),
    "logs.missed": "— lines may be missing here: rotated away before they were read —",
    "logs.long": "— a line of {size} is left out here —",
    "logs.cut": "… ({total} in all)",
    "logs.journald_failed": "journalctl could not read the journal[[: {detail}]]",
    # -- the health check
    "alive.no": "The daemon does not answer, or its loop does not turn[[: {detail}]]",
}
