"""The command line's words in English; the other half of the catalogue is in :mod:`.en`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- the command itself
    "cli.failed": "nas-syncd: {text}",
    "cli.usage": "The command makes no sense[[: {text}]]",
    "cli.declined": "{text}",
    "cli.sentence": "{text}.",
    "cli.pair": "{label}: {value}",
    "cli.quoted": "“{text}”",
    "cli.daemon_needed": (
        "The settings are not readable for this user[[: {path}]], and no nas-syncd daemon answers "
        "that could do the work. Start the service, or call the command as a user who may read "
        "them (sudo)"
    ),
    "cli.daemon_forbidden": (
        "The daemon’s socket may not be used by this user[[: {path}]]. Become a member of the "
        "service’s group (sudo usermod -aG {group} NAME, then log in again), or use sudo"
    ),
    "cli.daemon_gone": (
        "The daemon has ended meanwhile. Start the service again, then repeat the command"
    ),
    "cli.answered": "{text}",
    # -- help
    "help": "Sees every document to safety on the NAS, and can prove it",
    "help.example_heading": "Example:",
    "help.example": "nas-syncd status",
    "help.commands": "Commands",
    "help.help": "Show this help.",
    "help.version": "Show the version.",
    "help.more": "First “nas-syncd adopt”, then “nas-syncd test”, then “nas-syncd run”.",
    "help.install_completion": "Install completion for the current shell.",
    "help.show_completion": "Show the completion for the current shell.",
    "help.any.env_file": "Settings file to read instead of the usual ones.",
    "help.any.as_json": "Answer in JSON, with stable keys.",
    "help.any.user": "The documents of this user only.",
    "help.run": "Run the daemon, in the foreground",
    "help.run.example": "nas-syncd run --env-file /etc/nas-syncd/config.env",
    "help.run.more": (
        "Ctrl-C or SIGTERM ends it within ten seconds; SIGHUP makes it read its settings again."
    ),
    "help.demo": "Show the daemon at work on sample documents",
    "help.demo.example": "nas-syncd demo --seconds 20",
    "help.demo.more": "Nothing is written outside its folder.",
    "help.demo.seconds": "How long it takes, about.",
    "help.demo.folder": "Folder in which it takes place.",
    "help.demo.keep": "Keep the folder at the end.",
    "help.adopt": "Pair this installation with the NAS that is mounted",
    "help.adopt.example": "nas-syncd adopt /mnt/nas",
    "help.adopt.more": (
        "A small marker is written on the NAS, by which it is recognised from then on. A "
        "marker that is there already is kept."
    ),
    "help.adopt.path": "Folder where the share is mounted, if the settings do not say.",
    "help.adopt.yes": "Ask no question.",
    "help.adopt.new_nas": "Accept another NAS than the one that is known.",
    "help.test": "Write, read back and remove a test file on the NAS",
    "help.test.example": "nas-syncd test --json",
    "help.config": "Show the settings, where they come from, and the state of the NAS",
    "help.config.example": "nas-syncd config",
    "help.status": "Say how many documents are safe, and what is wrong",
    "help.status.example": "nas-syncd status --user 3",
    "help.status.more": (
        "With --watch the picture stays up to date until Ctrl-C (exit code 0); into a file or a "
        "pipe it writes a line at each change, with --json one object in a line."
    ),
    "help.status.watch": "Keep it up to date on the terminal, until Ctrl-C.",
    "help.sync": "Copy now what is not copied yet",
    "help.sync.example": "nas-syncd sync 42 43",
    "help.sync.more": (
        "Without an id: every document that is not marked. An attempt that was waiting is "
        "made at once."
    ),
    "help.sync.ids": "Ids of the documents.",
    "help.sync.everything": "Every document that is not marked (also with --inherited).",
    "help.sync.inherited": "Check by reading the NAS what another tool has marked.",
    "help.sync.dry_run": "Only show what would be done.",
    "help.explain": "Tell everything about one document: where it stands, why, and what comes next",
    "help.explain.example": "nas-syncd explain 42",
    "help.explain.wanted": "Id of the document, or path of its file.",
    "help.logs": "Read and follow the log",
    "help.logs.example": "nas-syncd logs -f --document 42",
    "help.logs.more": (
        "It finds the log by itself: the file of NAS_SYNCD_LOG_FILE, else systemd's journal, else "
        "what the running daemon remembers."
    ),
    "help.logs.follow": "Wait for what comes and show it, until Ctrl-C.",
    "help.logs.document": "This document only.",
    "help.logs.level": "From this level on: debug, info, warning, error.",
    "help.logs.since": "Since this moment: 10m, 2h, 3d or 2024-01-15T14:30.",
    "help.logs.lines": (
        "The last N lines, or “all”. By default 100; all of them with --since, --document or "
        "--json."
    ),
    # -- labels
    "label.path": "Path",
    "label.file_system": "File system",
    "label.source": "Source",
    "label.free": "Free space",
    "label.free_of": "{left} of {total}",
    "label.marker": "Marker",
    "label.known_nas": "Known NAS",
    "label.setting": "Setting",
    "label.value": "Value",
    "label.origin": "Origin",
    "label.documents": "Documents",
    "label.synced": "Marked",
    "label.pending": "To be copied",
    "label.last_sync": "Last copy",
    "label.waiting": "Waiting",
    "label.problems": "Problems",
    "label.inherited": "Inherited",
    "label.nas": "NAS",
    "label.uploads": "Upload folder",
    "label.daemon": "Daemon",
    "label.next": "Next",
    "label.row": "Row",
    "label.file": "File",
    "label.destination": "Destination",
    "label.otherwise": "If taken",
    "label.receipt": "Receipt",
    "label.journal": "State",
    "label.next_attempt": "Next attempt",
    # -- adopt
    "adopt.network": "network share",
    "adopt.local": "a folder of this machine, no network share",
    "adopt.no_marker": "none",
    "adopt.ask.local": "{path} is no network share. Pair with it all the same?",
    "adopt.ask.another": (
        "Usually the usual share is simply not mounted. Really replace the known NAS by what "
        "stands at {path}?"
    ),
    "adopt.ask.changed": (
        "It is our NAS, but on another file system ({was} before, {now} now). Is this meant?"
    ),
    "adopt.another": (
        "Usually the usual share is simply not mounted: mount it, and everything goes on by "
        "itself. What stands at {path} is not the known NAS (known: {expected}[[, found: "
        "{found}]]). Only if you really change to another NAS: add --new-nas"
    ),
    "adopt.choice": "[y/N]",
    "adopt.nobody": "{question} Nobody can answer here: call again with --yes if it is meant",
    "adopt.nothing_done": "Nothing was done",
    "adopt.done.known": "This NAS is paired already ({nas}): {path}",
    "adopt.done.first": "NAS paired, marker written ({nas}): {path}",
    "adopt.done.join": "NAS paired, its marker is kept ({nas}): {path}",
    "adopt.done.changed": "NAS confirmed ({nas}): {path}",
    "adopt.done.other": "New NAS paired, its marker is kept ({nas}): {path}",
    "adopt.done.bare": "New NAS paired, marker written ({nas}): {path}",
    "adopt.inherited.one": (
        "{count} document is marked without proof on this NAS. “nas-syncd sync --inherited” "
        "reads the NAS: the same bytes, and it is proven; otherwise the document is copied "
        "again"
    ),
    "adopt.inherited.many": (
        "{count} documents are marked without proof on this NAS. “nas-syncd sync "
        "--inherited” reads the NAS: the same bytes, and it is proven; otherwise the "
        "document is copied again"
    ),
    "adopt.not_counted": "The documents that are marked already could not be counted: {text}",
    "adopt.set": "Now write this path into the settings: {name}={path}",
    "config.not_ours": "The settings are the service’s, and not readable for this user",
    # -- status
    "status.none": "No document so far",
    "status.all_safe.one": "The one document is safe on the NAS",
    "status.all_safe.many": "All {count} documents are safe on the NAS",
    "status.inherited.one": "Everything is marked, but {count} document without proof of ours",
    "status.inherited.many": "Everything is marked, but {count} documents without proof of ours",
    "status.pending.one": "{synced} of {total} documents are marked, {count} is still to be copied",
    "status.pending.many": (
        "{synced} of {total} documents are marked, {count} are still to be copied"
    ),
    "status.wait.one": "{count} document waits",
    "status.wait.many": "{count} documents wait",
    "status.hint.waiting": "for their file, their analysis, the NAS or another attempt",
    "status.hint.problems": "to be looked at: “nas-syncd explain ID”",
    "status.hint.inherited": "marked elsewhere, not verified: “nas-syncd sync --inherited”",
    "status.daemon": "running (process {pid})",
    "status.no_daemon": "not running: “nas-syncd run” starts it",
    "status.percent": "{share} %",
    "status.no_path": "no path",
    "status.free": "{left} free",
    "status.checked": "checked {ago}",
    "status.document": "Document {name}: {text}",
    "status.flying": "Being copied: {name}",
    "status.flying_big": "Being copied: {name}, {done} of {total}",
    "status.no_row": "No row in the database yet for {path} (for {seconds})",
    "watch.problems": "To be looked at",
    "watch.in_flight": "Being copied",
    "watch.no_row": "Files without a row",
    "watch.fates": "Last documents",
    "state.unknown": "not checked yet",
    "state.ok": "ready",
    "state.unconfigured": "not configured",
    "state.missing": "path missing",
    "state.not_mounted": "not mounted",
    "state.foreign": "another NAS",
    "state.suspect": "mounted differently",
    "state.denied": "permission denied",
    "state.read_only": "read-only",
    "state.full": "full",
    "state.hung": "does not answer",
    "state.down": "unreachable",
    # -- sync
    "sync.bar": "Documents",
    "sync.ids_or_all": "ids, or else --all and --user, not both",
    "sync.already": "Already safe ({text})",
    "sync.proven": "Verified on the NAS: {path}",
    "sync.unverifiable": "Cannot be verified, stays marked: {text}",
    "sync.finishing": "Stopping: copies under way are finished (Ctrl-C once more: at once)",
    "sync.goes_on": "The daemon goes on by itself: “nas-syncd status” says how far it is",
    "sync.daemon_ended": "The daemon has ended: this command sees to the rest",
    "sync.stopped": "Interrupted: {text}",
    "sync.dry": "Nothing was done: this is only the plan",
    "sync.sum.synced.one": "{count} document safe",
    "sync.sum.synced.many": "{count} documents safe",
    "sync.sum.failed.one": "{count} failed",
    "sync.sum.failed.many": "{count} failed",
    "sync.sum.waiting.one": "{count} waiting",
    "sync.sum.waiting.many": "{count} waiting",
    "sync.sum.recopied.one": "{count} not found on the NAS, to be copied again",
    "sync.sum.recopied.many": "{count} not found on the NAS, to be copied again",
    "sync.sum.unverifiable.one": "{count} that cannot be verified",
    "sync.sum.unverifiable.many": "{count} that cannot be verified",
    "plan.copy": "to be copied",
    "plan.mark": "copy verified, row to be marked",
    "plan.check": "marked without proof: to be checked by reading the NAS",
    "plan.none": "nothing to do",
    # -- explain
    "explain.row_unknown": "unknown, the database does not answer",
    "explain.row_gone": "no longer in the database",
    "explain.marked": "marked",
    "explain.not_marked": "not marked",
    "explain.receipt": "verified",
    "explain.old_receipt": "no longer counts for this row on this NAS",
    "explain.never_seen": "never seen by nas-syncd",
    "explain.attempts.one": "{count} failed attempt",
    "explain.attempts.many": "{count} failed attempts",
    "explain.history": "History:",
    "explain.searched": "Looked for in the database under these names:",
    "next.nothing": "Nothing to do.",
    "next.inherited": "Nothing happens by itself: “nas-syncd sync --inherited” checks it.",
    "next.copying": "It is being copied.",
    "next.copy": "The daemon copies it within seconds.",
    "next.mark": "The daemon updates the row within seconds.",
    "next.until": "Looked at again by {until} at the latest.",
    "next.when_back": "It goes on by itself as soon as the cause has gone.",
    "next.refused": "Nothing, until the cause is corrected.",
    "next.no_daemon": (
        "Nothing: the daemon is not running. “nas-syncd run” starts it, “nas-syncd sync "
        "{id}” sees to this document alone."
    ),
    "next.database": "It goes on by itself as soon as the database answers.",
    "journal.waiting": "waiting",
    "journal.copying": "being copied",
    "journal.copied": "copied and verified, not marked yet",
    "journal.marking": "mark sent",
    "journal.synced": "copied, verified and marked",
    "journal.failed": "failed, another attempt follows",
    "journal.problem": "a problem to be looked at",
    "journal.gone": "row deleted or replaced",
    "source.kind.file": "file",
    "source.kind.missing": "missing",
    "source.kind.link": "link",
    "source.kind.directory": "folder",
    "source.kind.special": "special file",
    "source.kind.outside": "outside the upload folder",
    "source.kind.unreadable": "unreadable",
    "source.kind.unknown": "unknown, the folder does not answer",
}
