"""What to do about what the doctor finds, in English; the other half is in :mod:`.doctor_en`."""

from __future__ import annotations

_AS_THE_USER = (
    "Call the doctor as the user that the daemon runs as (sudo -u NAME nas-syncd doctor)."
)
_REMOUNT = "Take it out of the mount options, then mount the share anew (docs/linux.md)."
_CLOCKS = "Let both be set by the network (NTP)."
_MAP = "If so: {setting}"

REMEDIES: dict[str, str] = {
    "doctor.failed": "This is a mistake in nas-syncd itself: please report it, with this line.",
    "doctor.deadline": (
        "Look at what this check asks: a disk, a server or a network that does not answer. "
        "Then call the doctor again."
    ),
    "doctor.interpreter.lacks_api": (
        "{executable} -m pip install 'nas-syncd[api]', or NAS_SYNCD_API_PORT=0 to do without."
    ),
    "doctor.settings.notify_refused": (
        "Compare it with the service’s page in Apprise’s documentation, then: nas-syncd test "
        "--notify."
    ),
    "doctor.interpreter.lacks_notify": "{executable} -m pip install 'nas-syncd[notify]'.",
    "doctor.settings.refused": "Correct it[[ in {path}]]; the daemon does not start with it.",
    "doctor.settings.file": (
        "Check its name, or call the doctor as a user who may read it "
        "(sudo -u NAME nas-syncd doctor)."
    ),
    "doctor.settings.required": "Set {name}; config.example.env explains it.",
    "doctor.settings.rights": "chmod o= '{path}', and chown it to the daemon’s user.",
    "doctor.settings.files": (
        "Keep one of them, or name it: --env-file FILE. The daemon, too, reads only the first."
    ),
    "doctor.state.network": (
        "Set NAS_SYNCD_STATE_DIR to a folder on a disk of this computer: a journal on a network "
        "share gets damaged."
    ),
    "doctor.state.hangs": "Set NAS_SYNCD_STATE_DIR to a folder on a disk of this computer.",
    "doctor.state.forgetful": (
        "Set NAS_SYNCD_STATE_DIR to a folder on a disk, or every mark must be proven anew "
        "after each restart."
    ),
    "doctor.state.container": "Put a volume there, so that the journal outlives the container.",
    "doctor.state.no_folder": "Move away what stands there, or set NAS_SYNCD_STATE_DIR.",
    "doctor.state.cannot_be_made": "sudo install -d -m 700 -o {user} '{path}'",
    "doctor.state.denied": f"sudo chown -R {{user}} '{{path}}', if the daemon runs as {{user}}. "
    f"Otherwise: {_AS_THE_USER[0].lower()}{_AS_THE_USER[1:]}",
    "doctor.state.anothers": f"{_AS_THE_USER} What is said of rights here holds for {{user}} only.",
    "doctor.state.open": "chmod go-w '{path}'",
    "doctor.state.full": "Free some space on this disk: without it nothing can be copied.",
    "doctor.state.little": "Free some space on this disk.",
    "doctor.state.journal_broken": (
        "Stop the daemon and move the journal's files out of the state directory (keep them). "
        "Then start, and “nas-syncd sync --inherited” proves all marks anew. Check the disk."
    ),
    "doctor.state.journal_refused": (
        "Check the owner and the rights of the files in the state directory, and the disk's free "
        "space. Nothing in it is to be deleted."
    ),
    "doctor.state.journal_in_use": (
        "Call the doctor again. If it stays so, look for a backup or another program that has it "
        "open (fuser '{path}')."
    ),
    "doctor.state.journal_newer": "Install the nas-syncd that wrote it, or a later one.",
    "doctor.database.driver": "Correct DATABASE_URL, or install what it says.",
    "doctor.database.file_hangs": "Check the disk or the server that holds this folder.",
    "doctor.database.file_network": (
        "SQLite's locks do not hold on network shares: put the database on a disk of the computer "
        "on which the application runs, or use PostgreSQL."
    ),
    "doctor.database.unreachable": (
        "Start the database; check host, port, name and password in DATABASE_URL. "
        "Copies that were verified meanwhile are kept and marked later."
    ),
    "doctor.database.no_file": (
        "Check the path in DATABASE_URL (absolute paths have four slashes: sqlite:////path). "
        "nas-syncd never makes the database."
    ),
    "doctor.database.file_refused": (
        "Give the daemon's user the right to read and write this file and its folder, "
        "and check that it is an SQLite database."
    ),
    "doctor.database.far": "Look at the network to the database server and at its load.",
    "doctor.database.table_unread": (
        "Give our database user the right to look at it, and check that the database is sound."
    ),
    "doctor.database.no_table": (
        "Set NAS_SYNCD_DB_TABLE[[={similar}]] (or schema.table), "
        "and check that DATABASE_URL names the application's database."
    ),
    "doctor.database.columns_missing": (
        "If they have other names: {setting}. Otherwise add them in the application."
    ),
    "doctor.database.unfit": "Check NAS_SYNCD_DB_TABLE and NAS_SYNCD_DB_COLUMNS.",
    "doctor.database.perhaps_original_name": _MAP,
    "doctor.database.perhaps_processing_status": _MAP,
    "doctor.database.no_select": "As the database's owner: {sql}",
    "doctor.database.locked": (
        "Look for a long transaction in the application. Marks are made when it has ended."
    ),
    "doctor.database.no_update": "As the database's owner: {sql}",
    "doctor.database.read_only": (
        "Let DATABASE_URL name the server that is written to, not a standby of it."
    ),
    "doctor.database.file_read_only": (
        "Give the daemon's user the right to write: chmod g+w '{path}', with a common group."
    ),
    "doctor.database.folder_read_only": (
        "Give the daemon's user the right to write in it: chmod g+w '{folder}', "
        "with a common group."
    ),
    "doctor.database.policies": (
        "Give our database user a policy that lets it see and update every row, or BYPASSRLS."
    ),
    "doctor.database.slow_rows": "Look at the load of the database, then call the doctor again.",
    "doctor.database.no_index": "As the database's owner, when it suits you: {sql}",
    "doctor.database.others_mark": (
        "Usually the application's old synchronisation is still on: switch it off, and let its "
        "nas_sync_service.py be ours (docs/backend.md). Or a second nas-syncd with a journal of "
        "its own marks, too. “nas-syncd sync --inherited” checks these documents on the NAS."
    ),
    "doctor.uploads.hung": "Check the disk or the server that holds this folder. Nothing is lost.",
    "doctor.uploads.missing": "Check UPLOAD_DIR, and that the disk or share of it is mounted.",
    "doctor.uploads.denied": (
        "Give {user} the right to read it: a common group with the application, then "
        "chmod g+rX '{path}'; look at the folders above it as well."
    ),
    "doctor.uploads.error": "Check UPLOAD_DIR: the folder must exist and be readable.",
    "doctor.uploads.remote_native": "NAS_SYNCD_WATCH=poll, or auto.",
    "doctor.uploads.slow": (
        "Nothing is lost: the database tells of new documents. Check the disk; "
        "a larger NAS_SYNCD_SCAN_SECONDS spares it."
    ),
    "doctor.uploads.unreadable": (
        "Let the application write files that {user} can read: a common group and umask 027."
    ),
    "doctor.uploads.closed_folders": (
        "Let the application make folders that {user} can read: a common group and umask 027."
    ),
    "doctor.uploads.no_events": "NAS_SYNCD_WATCH=poll: the folder is then scanned.",
    "doctor.uploads.probe_failed": "NAS_SYNCD_WATCH=poll does without events.",
    "doctor.watching.instances": (
        "sudo sysctl fs.inotify.max_user_instances={wanted}, or NAS_SYNCD_WATCH=poll. "
        "Nothing is lost meanwhile, the folder is scanned."
    ),
    "doctor.watching.crowded": (
        "sudo sysctl fs.inotify.max_user_watches={wanted}, or NAS_SYNCD_WATCH=poll. "
        "Nothing is lost meanwhile, the folder is scanned."
    ),
    "doctor.watching.no_place": "Check rights and free space of NAS_SYNCD_STATE_DIR and of TMPDIR.",
    "doctor.watching.deaf": (
        "NAS_SYNCD_WATCH=poll. Nothing is lost meanwhile, the folder is scanned."
    ),
    "doctor.mount.unpaired_local": (
        "Mount the share there. Only if a local disk is meant: “nas-syncd adopt”."
    ),
    "doctor.mount.option.nostrictsync": _REMOUNT,
    "doctor.mount.option.cifs_hard": (
        "Use soft,echo_interval=10 instead, then mount the share anew (docs/linux.md)."
    ),
    "doctor.mount.option.cache_loose": (
        "Use cache=strict instead, then mount the share anew (docs/linux.md)."
    ),
    "doctor.mount.option.local_cache": _REMOUNT,
    "doctor.mount.option.smb1": "Use vers=3.1.1 instead, and switch SMB 1 off on the NAS.",
    "doctor.mount.option.anonymous": (
        "Make a user on the NAS with rights on this folder only, and use credentials=FILE."
    ),
    "doctor.mount.option.echo": "Use echo_interval=10, then mount the share anew (docs/linux.md).",
    "doctor.mount.option.nfs_soft": "Use hard (or softerr) instead, then mount the share anew.",
    "doctor.mount.option.nfs_nocto": _REMOUNT,
    "doctor.mount.no_propagation": (
        "In the compose file, use the long form of the volume with bind: propagation: rslave and "
        "create_host_path: false (docs/docker.md); then make the container anew."
    ),
    "doctor.mount.full": (
        "Free some space on the NAS, also in its recycle bin and snapshots; "
        "copying then goes on by itself."
    ),
    "doctor.mount.little": (
        "Free some space before copying pauses, also in the NAS's recycle bin and snapshots."
    ),
    "doctor.mount.slow": (
        "A NAS that was asleep takes its time: try again. If it stays slow, look at the network "
        "and at the NAS's load."
    ),
    "doctor.mount.other_bytes": (
        "Do not rely on this NAS: check its disks (SMART, scrub), its memory and the network. "
        "Nothing is marked as long as this happens."
    ),
    "doctor.daemon.forbidden": (
        "sudo nas-syncd doctor, or become a member of the service's group (docs/linux.md)."
    ),
    "doctor.daemon.not_running": "Start the service, or “nas-syncd run”.",
    "doctor.daemon.silent": (
        "Wait a minute if it has just started. Otherwise restart it: “nas-syncd logs” tells what "
        "it did last. An older version is to be restarted after an update."
    ),
    "doctor.daemon.other_version": "Restart the service, so that it is the installed version.",
    "doctor.daemon.other_settings": (
        "Restart the service if the settings were changed, or give the doctor the daemon's own "
        "settings: --env-file FILE."
    ),
    "doctor.daemon.port_taken": (
        "End the other program, or choose another NAS_SYNCD_API_PORT: "
        "ss -ltnp 'sport = :{port}' names it."
    ),
    "doctor.daemon.api_silent": (
        "If it is nas-syncd, restart the service. ss -ltnp 'sport = :{port}' names the program."
    ),
    "doctor.daemon.no_api": "“nas-syncd logs --level warning” says why (api.unavailable).",
    "doctor.service.not_installed": (
        "“nas-syncd service install”: otherwise nobody starts it after a restart."
    ),
    "doctor.service.not_running": "“nas-syncd service status” and “nas-syncd logs” say why.",
    "doctor.clock.absurd": "Set the clock (sudo timedatectl set-ntp true): dates and ages need it.",
    "doctor.clock.zone": "Correct the variable TZ, or install the package tzdata.",
    "doctor.clock.unsynchronised": "sudo timedatectl set-ntp true",
    "doctor.clock.database_ahead": _CLOCKS,
    "doctor.clock.database_behind": _CLOCKS,
    "doctor.clock.nas_ahead": _CLOCKS,
    "doctor.clock.nas_behind": _CLOCKS,
}
