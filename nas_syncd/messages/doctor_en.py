"""The doctor's words in English: one text for each thing it can find."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "help.doctor": "Check everything on this host, with a remedy for what is wrong",
    "help.doctor.example": "nas-syncd doctor",
    "help.doctor.more": (
        "It disturbs nothing, also beside a running daemon. The exit code is 1 when something is "
        "wrong; warnings do not count."
    ),
    "help.doctor.probe_uploads": (
        "Watch the upload folder for so many seconds while you put a file there. The doctor "
        "itself never writes in it."
    ),
    # -- how it is told
    "doctor.level.ok": "ok",
    "doctor.level.warning": "warning",
    "doctor.level.wrong": "WRONG",
    "doctor.level.skipped": "skipped",
    "doctor.line": "{word}: {check}: {text}",
    "doctor.line_remedy": "Remedy: {text}",
    "doctor.room.interpreter": "Program",
    "doctor.room.settings": "Settings",
    "doctor.room.state": "State",
    "doctor.room.database": "Database",
    "doctor.room.uploads": "Uploads",
    "doctor.room.mount": "NAS",
    "doctor.room.daemon": "Daemon",
    "doctor.room.service": "Service",
    "doctor.room.clock": "Clock",
    "doctor.looking": "Looking: {room}…",
    "doctor.probe": "Now put a file into the upload folder…",
    "doctor.all_well": "All is well",
    "doctor.warnings.one": "Nothing is wrong; one thing to look at",
    "doctor.warnings.many": "Nothing is wrong; {count} things to look at",
    "doctor.wrong.one": "One thing is wrong: its remedy stands below it",
    "doctor.wrong.many": "{count} things are wrong: the remedy stands below each",
    "doctor.no_remedy": "See docs/operations.md.",
    "doctor.failed": "This check itself has failed[[: {detail}]]",
    "doctor.deadline": "No answer within {seconds}: the rest of this check was given up",
    # -- what was left out, and why
    "doctor.skipped.settings": "Not checked: there are no settings to go by",
    "doctor.skipped.state": "The journal was not checked, because of the state directory",
    "doctor.skipped.database_url": "Not checked: DATABASE_URL is not set or was refused",
    "doctor.skipped.database": "Table and rights not checked: the database does not answer",
    "doctor.skipped.table": "Rights and rows not checked: the table does not fit",
    "doctor.skipped.no_journal": "Who else sets the flag cannot be told: the journal says nothing",
    "doctor.skipped.upload_dir": "Not checked: UPLOAD_DIR is not set or was refused",
    "doctor.skipped.uploads": "The files were not checked: the folder cannot be used",
    "doctor.skipped.nothing_arrived": "No file arrived within {seconds}: nothing can be said",
    "doctor.skipped.too_many_folders": (
        "Not watched: {folders} folders would need too many of the {limit} watches"
    ),
    "doctor.skipped.state_away": "Not asked for: the state directory cannot be touched",
    "doctor.skipped.polling": "Events were not tried: NAS_SYNCD_WATCH=poll does without",
    "doctor.skipped.instances": "Events were not tried: no inotify instance is free",
    "doctor.skipped.nas_path": "Not checked: no path of the NAS is set, or it was refused",
    "doctor.skipped.nas": "Writing was not tried: the NAS cannot be used",
    "doctor.skipped.full": "Writing was not tried: the NAS is full",
    "doctor.skipped.not_paired": (
        "Writing was not tried: this installation has not started yet; “nas-syncd test” tries it"
    ),
    "doctor.skipped.no_manager": "No service manager here[[ ({detail})]]",
    "doctor.skipped.container_clock": "In a container, the host keeps the clock right",
    # -- the program
    "doctor.settings.notify": "Addresses of notifications understood: {schemes}",
    "doctor.settings.notify_refused": (
        "Address {number} of NAS_SYNCD_NOTIFY_URLS ({scheme}://…) cannot be used[[: {detail}]]"
    ),
    "doctor.interpreter.version": (
        "nas-syncd {version}, Python {python}, {libraries}; run by {user}"
    ),
    "doctor.interpreter.extras": "Extras installed: {installed}[[; not installed: {missing}]]",
    "doctor.interpreter.lacks_api": "The page and the HTTP API are not installed",
    "doctor.interpreter.lacks_notify": "NAS_SYNCD_NOTIFY_URLS is set, but apprise is not installed",
    # -- settings
    "doctor.settings.source": "{path} ({count} set, environment included)",
    "doctor.settings.environment": "No settings file; {count} set in the environment",
    "doctor.settings.refused": "{detail}",
    "doctor.settings.file": "{detail}",
    "doctor.settings.required": "{name} is empty: {allowed}",
    "doctor.settings.rights": "Everybody on this computer can read {names} in {path} ({mode})",
    "doctor.settings.rights_ok": "Rights of the settings file: {mode}",
    "doctor.settings.files": "Only {path} is read; also there, and ignored: {others}",
    # -- state directory
    "doctor.state.network": "The state directory is on a network share ({file_system}): {path}",
    "doctor.state.hangs": "The state directory does not answer ({file_system}): {path}",
    "doctor.state.forgetful": (
        "The state directory is in memory ({file_system}), lost at a restart: {path}"
    ),
    "doctor.state.container": "The state directory goes with the container: {path}",
    "doctor.state.file_system": "On a disk of this computer ({file_system})",
    "doctor.state.no_folder": "The state directory is no folder: {path}",
    "doctor.state.to_be_made": "{path} will be made at the first start",
    "doctor.state.cannot_be_made": "{user} cannot make the state directory {path} in {above}",
    "doctor.state.denied": "{user} cannot write in the state directory {path} (of {owner}, {mode})",
    "doctor.state.anothers": "{path} is {owner}’s, but the doctor was called by {user}",
    "doctor.state.open": "Everybody can write in the state directory {path} ({mode})",
    "doctor.state.folder": "{path}, writable",
    "doctor.state.full": "The disk of the state directory is full: {free} free",
    "doctor.state.little": "Little space for the state directory: {free} free",
    "doctor.state.no_journal": "No journal yet: this installation has not started so far",
    "doctor.state.journal": "Journal sound, {size}",
    "doctor.state.journal_unchecked": "Journal readable, {size}; too large to check in {seconds}",
    "doctor.state.journal_broken": "The journal cannot be used[[: {detail}]] ({path})",
    "doctor.state.journal_refused": "{user} cannot open the journal[[: {detail}]] ({path})",
    "doctor.state.journal_in_use": "Somebody keeps the journal locked[[: {detail}]] ({path})",
    "doctor.state.journal_newer": "The journal is of a later nas-syncd (version {number})",
    # -- database
    "doctor.database.driver": "{detail}",
    "doctor.database.file_hangs": (
        "The folder of the database does not answer ({file_system}): {path}"
    ),
    "doctor.database.file_network": "The database is on a network share ({file_system}): {path}",
    "doctor.database.unreachable": "The database does not answer ({url})[[: {detail}]]",
    "doctor.database.no_file": "The database file does not exist: {path}",
    "doctor.database.file_refused": "The database file cannot be used: {path}[[ ({detail})]]",
    "doctor.database.far": "{url} answers slowly: {milliseconds} ms for a question",
    "doctor.database.reach": "{url} answers in {milliseconds} ms",
    "doctor.database.table_unread": "The table {table} cannot be looked at[[: {detail}]]",
    "doctor.database.no_table": "There is no table {table}[[ (perhaps: {similar})]]",
    "doctor.database.columns_missing": "The table {table} lacks: {missing}",
    "doctor.database.unfit": "The table {table} does not fit[[: {detail}]]",
    "doctor.database.table": "Table {table}, {columns} of the {known} columns that we know",
    "doctor.database.without_original_name": (
        "No column {column}: documents are called by their id only"
    ),
    "doctor.database.without_processing_status": (
        "No column {column}: a document is filed without waiting for its analysis"
    ),
    "doctor.database.perhaps_original_name": (
        "No column {column}: documents are called by their id only. Is it {similar}?"
    ),
    "doctor.database.perhaps_processing_status": (
        "No column {column}: a document is filed without waiting for its analysis. Is it {similar}?"
    ),
    "doctor.database.no_select": "We may not read the table {table}[[: {detail}]]",
    "doctor.database.locked": "Somebody keeps the table {table} locked[[: {detail}]]",
    "doctor.database.no_update": "We may not write[[ {columns}]] in the table {table}",
    "doctor.database.read_only": "The database can only be read[[: {detail}]]",
    "doctor.database.file_read_only": "The database file is not ours to write: {path}",
    "doctor.database.folder_read_only": (
        "The folder of the database is not ours to write, as SQLite needs: {folder}"
    ),
    "doctor.database.policies": "Row policies hide documents of the table {table} from us",
    "doctor.database.rights": "May read, and may write the two columns",
    "doctor.database.rows": (
        "Documents: {total}, marked: {marked}, to do: {pending}"
        "[[; flag is NULL, which counts as not marked: {nulls}]]"
    ),
    "doctor.database.slow_rows": "The documents could not be counted[[: {detail}]]",
    "doctor.database.index": "An index leads to what is to do (documents: {total})",
    "doctor.database.no_index": "No index leads to what is to do (documents: {total})",
    "doctor.database.marks": "Nobody else sets the flag",
    "doctor.database.others_mark": (
        "Somebody else sets synced_to_nas: documents since our first start: {count}, "
        "the last on {at} (ids: {ids})"
    ),
    # -- upload folder
    "doctor.uploads.hung": "The upload folder does not answer within {seconds}: {path}",
    "doctor.uploads.missing": "The upload folder does not exist: {path}",
    "doctor.uploads.denied": "{user} may not read the upload folder: {path}",
    "doctor.uploads.error": "The upload folder cannot be read: {path}[[ ({detail})]]",
    "doctor.uploads.folder": "{path}",
    "doctor.uploads.local": "The system tells of new files there[[ ({file_system})]]",
    "doctor.uploads.docker_desktop": (
        "Docker Desktop may not tell of every new file; what it does not tell of, the scan finds"
    ),
    "doctor.uploads.polled": "Scanned every two seconds, as NAS_SYNCD_WATCH=poll says",
    "doctor.uploads.remote": "No events on {file_system}: it is scanned every two seconds instead",
    "doctor.uploads.remote_native": "NAS_SYNCD_WATCH=native, but {file_system} gives no events",
    "doctor.uploads.slow": "The upload folder is not gone through within {seconds}: {path}",
    "doctor.uploads.unreadable": "{user} may not read files in it, such as {example}",
    "doctor.uploads.closed_folders": "{user} may not read folders in it ({count} of them)",
    "doctor.uploads.files": (
        "Readable (files: {files}, folders: {folders}), gone through in {seconds}"
    ),
    "doctor.uploads.events": "The system told of {example}",
    "doctor.uploads.no_events": "A file arrived, and the system told nothing: {path}",
    "doctor.uploads.probe_failed": "The upload folder could not be watched[[: {detail}]]",
    # -- watching
    "doctor.watching.instances": "No inotify instance is free for this user (limit: {limit})",
    "doctor.watching.crowded": "Folders to watch: {folders}; the system’s limit is {limit}",
    "doctor.watching.watches": "Folders to watch: {folders}; {limit} are possible",
    "doctor.watching.no_place": "No test file can be made here[[: {detail}]]",
    "doctor.watching.canary": "New files are told of here, in {milliseconds} ms",
    "doctor.watching.deaf": "The system tells of no new file, not even of ours[[: {detail}]]",
    # -- NAS
    "doctor.mount.identity": "It is our NAS: {source} ({file_system}) on {path}",
    "doctor.mount.local": "It is our NAS, paired as a local disk ({file_system}): {path}",
    "doctor.mount.unpaired": (
        "The marker of a NAS is there, {source} ({file_system}); it is taken as ours at the start"
    ),
    "doctor.mount.unpaired_local": (
        "The marker of a NAS is there, but {path} is a local disk ({file_system})"
    ),
    "doctor.mount.options": "Mount options as they should be ({file_system})",
    "doctor.mount.option.nostrictsync": (
        "{option}: the NAS is never asked to flush, so that nothing proves a copy is on its disk"
    ),
    "doctor.mount.option.cifs_hard": (
        "{option}: when the NAS is away, processes wait in it for ever and cannot be killed"
    ),
    "doctor.mount.option.cache_loose": (
        "{option}: what is read may come from this computer’s memory instead of the NAS"
    ),
    "doctor.mount.option.local_cache": (
        "{option}: what is read back may come from this computer’s disk instead of the NAS"
    ),
    "doctor.mount.option.smb1": "{option}: SMB 1 is old and not secure",
    "doctor.mount.option.anonymous": "{option}: mounted without a user, so anybody can read it",
    "doctor.mount.option.echo": "{option}: a NAS that is gone is noticed late",
    "doctor.mount.option.nfs_soft": (
        "{option}: a call that gives up may damage what is written (nfs(5))"
    ),
    "doctor.mount.option.nfs_nocto": "{option}: what has changed on the NAS is noticed late",
    "doctor.mount.propagation": "What the host mounts anew will show in this container",
    "doctor.mount.no_propagation": (
        "What the host mounts anew on {path} will not show in this container"
    ),
    "doctor.mount.full": "The NAS is full: {free} free, {needed} wanted (NAS_SYNCD_MIN_FREE_SPACE)",
    "doctor.mount.little": "The NAS is nearly full: {free} free of {total_bytes}",
    "doctor.mount.space": "{free} free of {total_bytes}",
    "doctor.mount.slow": "Written, flushed and read back, but slowly: {milliseconds} ms",
    "doctor.mount.write": "Written, flushed and read back in {milliseconds} ms",
    "doctor.mount.rename": "Renames never replace a file (RENAME_NOREPLACE)",
    "doctor.mount.claims": "No exclusive rename everywhere: names are claimed by a file first",
    "doctor.mount.other_bytes": "The NAS gave back other bytes than were written[[: {detail}]]",
    # -- daemon
    "doctor.daemon.forbidden": "A daemon runs, but this user may not use its socket",
    "doctor.daemon.not_running": "No daemon runs on this state directory",
    "doctor.daemon.silent": "A daemon runs (process {pid}), but does not answer",
    "doctor.daemon.other_version": "The daemon is {version}, this command {ours}",
    "doctor.daemon.other_settings": (
        "The daemon works with other folders: NAS {nas}, uploads {uploads}"
    ),
    "doctor.daemon.running": "Runs (process {pid}, {version})[[ since {since}]]",
    "doctor.daemon.api": "The page and the API answer on {host}, port {port}",
    "doctor.daemon.port_free": "Port {port} is free for the page and the API",
    "doctor.daemon.port_taken": "Another program has {host}, port {port}",
    "doctor.daemon.api_silent": "Who has {host}, port {port}, does not answer",
    "doctor.daemon.no_api": "The daemon runs, but nobody listens on {host}, port {port}",
    # -- service
    "doctor.service.not_installed": "Not installed as a service of {manager}",
    "doctor.service.not_running": (
        "Installed as a service of {manager}, but not running[[: {detail}]]"
    ),
    "doctor.service.running": "A service of {manager}[[ ({scope})]], running[[ since {since}]]",
    # -- clock
    "doctor.clock.absurd": "This computer believes that it is {at}",
    "doctor.clock.date": "{at}",
    "doctor.clock.zone": "There is no time zone {zone} here: UTC is used",
    "doctor.clock.synchronised": "Kept right by the network",
    "doctor.clock.unsynchronised": "Nobody keeps this computer’s clock right",
    "doctor.clock.database": "The same on the database server, within {seconds}",
    "doctor.clock.database_ahead": "The database server’s clock is {seconds} ahead of ours",
    "doctor.clock.database_behind": "The database server’s clock is {seconds} behind ours",
    "doctor.clock.nas": "The same on the NAS, within {seconds}",
    "doctor.clock.nas_ahead": "The NAS’s clock is {seconds} ahead of ours",
    "doctor.clock.nas_behind": "The NAS’s clock is {seconds} behind ours",
}
