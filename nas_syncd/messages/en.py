"""The English words. ``[[ … ]]`` is left out when one of its blanks is not known."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- fixed by the contract in French; the same shapes here
    "test.ok": "NAS mount can be read and written",
    "sync.done": "Synced to {path}",
    "document.line": "Document {id}: {text}",
    "document.line_named": "Document {id}: {name}: {text}",
    "document.unknown": "Unknown document[[: {id}]]",
    "document.no_file": "This document has no file[[: {id}]]",
    "unknown": "Undescribed situation ({code})[[: {detail}]]",
    # -- errors
    "internal": "Unexpected error[[: {detail}]]",
    "configuration.invalid": "Setting refused[[: {detail}]]",
    "configuration.schema": "The table {table} does not fit[[: {missing} is missing]]",
    "configuration.no_table": "There is no table {table} in the database",
    "configuration.primary_key": (
        "The primary key of the table {table} must be the column {key} alone[[: it is {found}]]"
    ),
    "configuration.column_type": (
        "The column {column} of the table {table} is of type {type}: "
        "it must be a boolean or an integer"
    ),
    "mount.error": "The NAS cannot be used at the moment[[: {detail}]][[ ({errno})]]",
    "mount.unknown": "The NAS has not been checked yet",
    "daemon.status": "On the NAS since the start: {synced}; waiting: {waiting}; {mount}",
    "mount.ok": "The NAS is ready[[: {path}]]",
    "mount.unconfigured": "NAS not configured: NAS_MOUNT_PATH is empty",
    "mount.missing": "The NAS path does not exist[[: {path}]] (share not mounted)",
    "mount.not_mounted": (
        "The NAS share is not mounted[[ on {path}]]: "
        "the folder is there, but the NAS is not to be recognised in it"
    ),
    "mount.foreign": (
        "This is not the expected NAS[[ on {path}]] but another one"
        "[[ (expected: {expected}, found: {found})]]"
    ),
    "mount.suspect": (
        "The NAS is recognised[[ on {path}]], but the mount is not the same any more"
        "[[ (expected: {expected}, found: {found})]]"
    ),
    "mount.denied": "Permission denied on the NAS[[: {path}]]",
    "mount.privacy": "macOS keeps nas-syncd from the network volumes (privacy)[[: {path}]]",
    "mount.read_only": "The NAS is mounted read-only[[: {path}]]",
    "mount.full": "No space left on the NAS[[: {free} free]][[, {needed} needed]]",
    "mount.hung": "The NAS does not answer[[: nothing for {seconds}]]",
    "mount.down": "The NAS is unreachable[[: {detail}]][[ ({errno})]]",
    "uploads.error": "The upload folder cannot be read[[: {path}]][[ ({detail})]]",
    "uploads.missing": "The upload folder does not exist[[: {path}]]",
    "uploads.denied": "Permission denied on the upload folder[[: {path}]]",
    "uploads.hung": "The upload folder does not answer[[: {path}]]",
    "uploads.deaf": "The system does not announce new files in this folder[[: {path}]]",
    "uploads.watch_limit": "Too many folders to watch for the system[[ (limit: {limit})]]",
    "uploads.watch_failed": "The folder cannot be watched[[: {path}]][[ ({detail})]]",
    "agent.hung": "The process that does the work on files no longer answers",
    "agent.died": "The process that does the work on files has ended[[: {detail}]]",
    "database.unavailable": "The database does not answer[[: {detail}]]",
    "journal.error": "A file of nas-syncd's own cannot be used[[: {path}]][[ ({detail})]]",
    "journal.busy": (
        "Another nas-syncd is already using this state directory[[: {path}]][[ (process {pid})]]"
    ),
    "document.error": "This document cannot be copied at the moment[[: {detail}]][[ ({errno})]]",
    "document.unfilable": "This document has neither a date nor a creation date",
    "source.missing": "The file is not in the upload folder[[: {path}]]",
    "source.changed": "The file changed while it was copied[[: {path}]]",
    "source.refused": "File refused[[: {kind}]][[ ({path})]]",
    "source.unreadable": "The file cannot be read[[: {path}]][[ ({detail})]]",
    "place.taken": "Every possible name on the NAS is taken already[[: {path}]]",
    "place.blocked": "A file or a link stands where a folder must be on the NAS[[: {path}]]",
    "place.name_refused": "The NAS refuses this file name[[: {path}]]",
    "place.denied": "Permission denied for this folder on the NAS[[: {path}]]",
    "place.no_room": (
        "The NAS has no room for a file of this size[[: {free} free, {needed} needed]]"
    ),
    "place.busy": (
        "Another installation or program is using this place on the NAS at the moment[[: {path}]]"
    ),
    "copy.verify": "What the NAS gave back differs from the original[[: {path}]]",
    # -- why nothing is done yet
    "wait.no_file": "The file has not arrived yet[[: {path}]]",
    "wait.settling": "The file may still be being written",
    "wait.metadata": (
        "The document's analysis is not finished[[ (status: {status})]][[; waiting until "
        "{until} at most]]"
    ),
    "wait.backoff": (
        "The last attempt failed[[: {error}]][[; attempts: {attempts}]][[; next attempt: {until}]]"
    ),
    "wait.mount": "Waiting for the NAS[[: {state}]]",
    "wait.elsewhere": "Another process is busy with this document at the moment",
    "wait.place": "Another document is being filed under this name[[: {path}]]",
    "wait.uploads": "Waiting for the upload folder",
    "wait.row": "The file has no row in the database yet[[: {path}]]",
    # -- why nothing is to be done
    "rest.synced": "Copied, verified and marked[[: {destination}]]",
    "rest.synced_elsewhere": (
        "Marked as synced by another installation or an older tool: inherited, not verified"
    ),
    "rest.moved_since": "Filed as {filed}, would now be {now}: stays in its place",
    "rest.missing_row": "This document is no longer in the database",
    "gone.gone": "The document is no longer in the database; its copy stays on the NAS",
    "gone.moved": "The row now names another file; the copy stays on the NAS",
    "gone.replaced": "The row was replaced by another one; the copy stays on the NAS",
    # -- why the flag is taken back
    "unmark.source_changed": "The file changed since it was copied: the new version will be copied",
    "unmark.vanished": "The copy is no longer in its place on the NAS[[: {destination}]]",
    "unmark.damaged": "The copy on the NAS no longer has the expected content[[: {destination}]]",
    "unmark.not_found": "Marked as synced, but not to be found on the NAS[[: {destination}]]",
    # -- what is done, and why
    "copy.new": "To be copied: not on the NAS yet",
    "copy.again": "The application asks for a copy again: the NAS is read again",
    "mark.receipt": "The copy is verified: the row is about to be marked[[: {destination}]]",
    # -- why it is refused
    "refuse.outside": "The path leads outside the upload folder[[: {path}]]",
    "refuse.link": "This is a link, not a file[[: {path}]]",
    "refuse.directory": "This is a folder, not a file[[: {path}]]",
    "refuse.special": "This is not an ordinary file[[: {path}]]",
    "refuse.unfilable": "This document has neither a date nor a creation date",
    "problem.attempts": (
        "{attempts} attempts failed[[; last failure: {error}]][[; next attempt: {until}]]"
    ),
    "problem.missing": "The file is missing[[ since {since}]][[: {path}]]",
    "kind.link": "it is a link",
    "kind.directory": "it is a folder",
    "kind.special": "it is not an ordinary file",
    "kind.outside": "it is outside the upload folder",
    "origin.environment": "in the environment",
    "origin.credential": "as a credential",
    "origin.default": "by default",
    "origin.argument": "as an argument",
    # -- settings: one line each
    "settings.invalid": "{name} = '{given}': {allowed}",
    "settings.secret": "{name} (value not shown[[; {origin}]]): {allowed}",
    "settings.required": "{name} is empty: {allowed}",
    "settings.unknown": "{name}: unknown setting ({origin})[[; did you mean {suggestion}?]]",
    "settings.file_missing": "--env-file '{path}': there is no such file",
    "settings.file_strangers": (
        "'{path}' belongs to somebody else and lies in a folder that everybody may write to; "
        "allowed: another current folder, or --env-file '{path}'"
    ),
    "settings.file_unreadable": "The settings file '{path}' cannot be read: {cause}",
    "settings.line": "{name}: line {line} of '{path}' cannot be read (a quote left open?)",
    "settings.overlap": (
        "{name} = '{given}' and {other} = '{other_given}': "
        "one contains the other; they must be separate folders"
    ),
    "settings.log_file_inside": (
        "{name} = '{given}': the log file must not be inside {other} ('{other_given}')"
    ),
    "allowed.choice": "allowed are {choices}",
    "allowed.integer": "a whole number from {low} to {high}",
    "allowed.seconds": "a number of seconds from {low} to {high}",
    "allowed.minutes": "a number of minutes from {low} to {high}",
    "allowed.hours": "a number of hours from {low} to {high}",
    "allowed.web_address": "an address that begins with https:// or http://",
    "allowed.size": "a size that is not negative, for instance 500MB or 1GiB",
    "allowed.path": "an absolute path",
    "allowed.absolute": "an absolute path, for instance {example}",
    "allowed.mounted": (
        "the folder where the share is mounted on this machine, for instance /mnt/nas, "
        "not the share's address"
    ),
    "allowed.text": "text without control characters, in UTF-8",
    "allowed.host": "an address or a host name, for instance 127.0.0.1",
    "allowed.inside_path": "the folder as it stands in file_path, for instance /app/uploads",
    "allowed.table": "the name of a table, or schema.table",
    "allowed.columns": (
        "name=column,name=column or a JSON object; names allowed: {choices}"
        "[[ ('{wrong}' is none of them; did you mean {suggestion}?)]]"
    ),
    "allowed.columns_twice": (
        "the column '{column}' is written by us and can stand for one thing only"
    ),
    "allowed.folders": (
        "type=folder,type=folder or a JSON object; one plain folder name for each type"
    ),
    "allowed.folder_name": (
        "'{wrong}' cannot be a folder on the NAS: one plain name, "
        'without / \\ : * ? " < > | and not beginning with .nas-syncd'
    ),
    "allowed.database_url": (
        "an address sqlite:////path/base.db, postgresql://… or mysql://… (mariadb://… as well)"
    ),
    "allowed.database_dialect": (
        "'{wrong}' is not supported; sqlite, postgresql, mysql and mariadb are"
    ),
    "allowed.database_port": "the port must be a number from 1 to 65535",
    "allowed.database_at": "an @ in the user's name or the password is written %40",
    "allowed.database_file": "a file is needed: sqlite:////absolute/path/base.db",
    "allowed.notify": "addresses like service://… with commas or spaces between them",
    "required.nas": "the folder where the NAS share is mounted, for instance /mnt/nas",
    "required.database_url": (
        "the address of the application's database, for instance postgresql://…"
    ),
    "required.upload_dir": "the folder where the application puts the documents",
}

_MOUNT_IT = "Mount the share; synchronisation then goes on by itself, nothing is lost."
_OTHER_NAS = (
    "Nothing is lost, the documents wait. "
    "First check which share is mounted: usually it is the wrong one. "
    "If the change is meant, run “nas-syncd adopt --new-nas”."
)
_NOTHING_LOST = "Nothing is lost, the documents wait."
_ORIGINAL = "The original is unharmed."

REMEDIES: dict[str, str] = {
    "configuration.schema": "Check NAS_SYNCD_DB_TABLE and NAS_SYNCD_DB_COLUMNS.",
    "configuration.no_table": "Name it with NAS_SYNCD_DB_TABLE (table, or schema.table).",
    "configuration.primary_key": (
        "Map id to the right column with NAS_SYNCD_DB_COLUMNS, "
        "or give a view with NAS_SYNCD_DB_TABLE."
    ),
    "configuration.column_type": "Check NAS_SYNCD_DB_COLUMNS.",
    "mount.error": f"{_NOTHING_LOST} “nas-syncd status” and “nas-syncd logs” say more.",
    "mount.unconfigured": (
        "Set NAS_MOUNT_PATH (or NAS_LOCAL_PATH) to the folder where the share is mounted."
    ),
    "mount.missing": _MOUNT_IT,
    "mount.not_mounted": (
        "Nothing is lost. Usually the share is simply not mounted: mount it, "
        "synchronisation then goes on by itself. "
        "Only if this NAS was never paired before: “nas-syncd adopt”."
    ),
    "mount.foreign": _OTHER_NAS,
    "mount.suspect": (
        f"{_NOTHING_LOST} Check that the right share is mounted on this path. "
        "If this change is meant: “nas-syncd adopt”."
    ),
    "mount.denied": (
        f"{_NOTHING_LOST} Check the user's SMB rights on this share, "
        "and the mount options uid, gid and mode."
    ),
    "mount.privacy": (
        f"{_NOTHING_LOST} "
        "System Settings > Privacy & Security > Files and Folders: allow “Network Volumes” for "
        "Python[[ ({program})]]. Where it is not in that list: Privacy & Security > Full Disk "
        "Access, “+”, and choose this program. If it does not go on by itself then: "
        "“launchctl kickstart -k gui/$(id -u)/local.nas-syncd”."
    ),
    "mount.read_only": (
        f"{_NOTHING_LOST} Mount the share for reading and writing, "
        "and check the user's rights on the NAS."
    ),
    "mount.full": (
        f"{_NOTHING_LOST} Free some space on the NAS; synchronisation then goes on by itself."
    ),
    "mount.hung": f"{_NOTHING_LOST} Check that the NAS has power and that the network works.",
    "mount.down": f"{_NOTHING_LOST} Check that the NAS has power and that the network works.",
    "uploads.error": (
        "Check UPLOAD_DIR: the folder must exist and nas-syncd must be able to read it."
    ),
    "wait.uploads": (
        "Check UPLOAD_DIR: the folder must exist and nas-syncd must be able to read it."
    ),
    "uploads.missing": (
        "Check UPLOAD_DIR and that the folder is mounted; it is used as soon as it is back."
    ),
    "uploads.denied": "Give nas-syncd's user the right to read this folder.",
    "uploads.hung": f"{_NOTHING_LOST} Check the disk or the server that holds this folder.",
    "uploads.deaf": "Nothing is lost, the folder is scanned. Set NAS_SYNCD_WATCH=poll.",
    "uploads.watch_limit": (
        "Nothing is lost, the folder is scanned. "
        "Raise fs.inotify.max_user_watches, or set NAS_SYNCD_WATCH=poll."
    ),
    "uploads.watch_failed": "Nothing is lost, the folder is scanned regularly.",
    "database.unavailable": (
        "Verified copies are kept and will be marked later. "
        "Check that the database is running, and DATABASE_URL."
    ),
    "journal.error": "Check NAS_SYNCD_STATE_DIR and NAS_SYNCD_LOG_FILE: rights and free space.",
    "journal.busy": "Stop the other one, or give this one a NAS_SYNCD_STATE_DIR of its own.",
    "document.error": (
        f"{_ORIGINAL} Another attempt follows by itself. "
        "If this keeps happening, “nas-syncd explain” and “nas-syncd logs” say more."
    ),
    "document.unfilable": "Give the document a date in the application.",
    "refuse.unfilable": "Give the document a date in the application.",
    "source.missing": (
        "Check that the file is in UPLOAD_DIR, "
        "and NAS_SYNCD_DB_UPLOAD_DIR if the application sees that folder under another path."
    ),
    "problem.missing": (
        "Check that the file is in UPLOAD_DIR, "
        "and NAS_SYNCD_DB_UPLOAD_DIR if the application sees that folder under another path."
    ),
    "source.changed": "Nothing to do: it will be copied once it has stopped changing.",
    "source.refused": "Replace it by a real file in the upload folder.",
    "refuse.link": "Replace the link by the file itself.",
    "refuse.directory": "Correct file_path in the database: it must name a file.",
    "refuse.special": "Replace it by an ordinary file.",
    "refuse.outside": (
        "Check NAS_SYNCD_DB_UPLOAD_DIR: it is the upload folder "
        "as the application writes it in file_path."
    ),
    "source.unreadable": "Give nas-syncd's user the right to read this file.",
    "place.taken": (
        f"{_ORIGINAL} Move or rename the foreign files on the NAS that bear these names."
    ),
    "place.blocked": f"{_ORIGINAL} Rename what stands on the NAS in the folder's place.",
    "place.name_refused": f"{_ORIGINAL} Give the file a simpler or shorter name.",
    "place.denied": f"{_ORIGINAL} Check the user's SMB rights on this folder of the NAS.",
    "place.no_room": (
        f"{_ORIGINAL} "
        "Free some space on the NAS; the document is tried again by itself, the others go on."
    ),
    "place.busy": f"{_ORIGINAL} Nothing to do: another attempt follows soon.",
    "copy.verify": (
        "The original is unharmed and the copy will be made again. "
        "If this keeps happening, check the NAS's disks and the network."
    ),
    "rest.synced_elsewhere": "To verify it: “nas-syncd sync --inherited”.",
    "unmark.damaged": (
        f"{_ORIGINAL} The document will be copied again, the old copy stays. Check the NAS's disks."
    ),
    "unmark.vanished": f"{_ORIGINAL} The document will be copied again.",
    "unmark.not_found": f"{_ORIGINAL} The document will be copied again.",
    "problem.attempts": "Cure the cause, then try again: “nas-syncd sync[[ {id}]]”.",
}
