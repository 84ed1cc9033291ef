"""The words of ``nas-syncd service`` in English."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- help
    "help.any.as_system": "The system's service (the default for root).",
    "help.any.as_user": "A service of your own (the default for everybody else).",
    "help.any.run_as": "User of the system's service; by default the owner of the upload folder.",
    "help.service": "Run as a service: systemd on Linux, launchd on macOS",
    "help.service.example": "sudo nas-syncd service install",
    "help.service.install": "Install the service and start it",
    "help.service.install.example": "sudo nas-syncd service install --system --run-as finance",
    "help.service.install.more": (
        "What will be done is shown first, then asked for. Called again it puts right what "
        "differs, and changes nothing else."
    ),
    "help.service.install.yes": "Ask no question.",
    "help.service.install.dry_run": "Only show what would be done.",
    "help.service.install.env_file": "Settings file that the service shall read.",
    "help.service.uninstall": "Stop the service and take it away",
    "help.service.uninstall.example": "sudo nas-syncd service uninstall --yes",
    "help.service.uninstall.more": "Documents, settings, the journal and logs stay where they are.",
    "help.service.uninstall.yes": "Ask no question.",
    "help.service.uninstall.dry_run": "Only show what would be done.",
    "help.service.status": "Say whether the service runs, since when, and how it is",
    "help.service.status.example": "nas-syncd service status --json",
    "help.service.status.more": "The exit code is 0 when it runs, else 1.",
    "help.service.print": "Print the unit or property list that would be installed",
    "help.service.print.example": "nas-syncd service print --user",
    "help.service.print.env_file": "Settings file that the service shall read.",
    # -- plan
    "service.plan": "This will be done:",
    "service.ask": "Go on?",
    "service.nothing": "Nothing to change",
    "service.stays": "These stay where they are:",
    "service.step.folder": "make the folder {path}",
    "service.step.write": "write {path}",
    "service.step.replace": "replace {path}",
    "service.step.remove": "remove {path}",
    "service.step.private": "let only its owner and the group {group} read {path}",
    "service.step.run": "run: {command}",
    # -- what is worth knowing
    "service.note.user": "The service runs as the user {user}, group {group} (--run-as changes it)",
    "service.note.root": (
        "The service runs as root, without root's special powers, because the upload folder "
        "belongs to root. A user of its own is better: --run-as USER"
    ),
    "service.note.uploads": "Attention: {user} may not read the upload folder {path}",
    "service.note.database": "Attention: {user} may not write to the database {path}",
    "service.note.settings": "Attention: {user} may not read the settings file {path}",
    "service.note.bare": "Attention: everybody on this machine may read the secrets in {path}",
    "service.note.linger": (
        "It runs while you are logged in; to let it run always: "
        "“sudo loginctl enable-linger {user}”"
    ),
    "service.note.vanishing": (
        "Attention: this environment rests on {path}, which Homebrew's next upgrade takes away. "
        "Make it anew with Homebrew's lasting name (…/opt/python@3.…/bin/python3…)"
    ),
    # -- status
    "service.is.absent": "The service is not installed: “nas-syncd service install”",
    "service.is.running": "The service runs",
    "service.is.stopped": "The service is installed and does not run",
    "service.yes": "yes",
    "service.no": "no",
    "service.scope.system": "of the system",
    "service.scope.user": "of this user",
    "service.label.scope": "Service",
    "service.label.unit": "Installed as",
    "service.label.enabled": "Starts by itself",
    "service.label.state": "State",
    "service.label.since": "Since",
    "service.label.pid": "Process",
    "service.label.last_exit": "Last exit",
    "service.label.restarts": "Restarts",
    "service.label.says": "It says",
    # -- errors
    "service.failed": "“{command}” failed[[: {detail}]]",
    "service.file": "{path} cannot be written[[: {detail}]]",
    "service.foreign": "{path} was not written by nas-syncd and is left alone",
    "service.no_manager": "No service manager can be asked[[: {detail}]]",
    "service.cannot_start": "{user} cannot start {program}[[: {detail}]]",
    "service.no_settings": "There are no settings for the service: {path} is missing",
    "service.which_user": (
        "The upload folder {path} cannot be looked at, so it is not known which user may read it"
    ),
    "service.nameless": (
        "The upload folder {path} belongs to the user {uid}, who has no name on this machine"
    ),
    "service.unknown_user": "There is no user or group “{name}”",
    "service.one_scope": "either --system or --user, not both",
    "service.run_as_system": "--run-as is for the system's service: add --system",
    "service.need_root": "the system's service needs root: call it with sudo, or add --user",
    "service.mac": (
        "on macOS the service belongs to the user whose session mounts the share: call it as that "
        "user, without sudo and without --system"
    ),
}

REMEDIES: dict[str, str] = {
    "service.failed": "“nas-syncd service status” and “nas-syncd logs” say more.",
    "service.foreign": "Look at it; rename or remove it, then call again.",
    "service.no_manager": (
        "In a container let the container's own restart policy start “nas-syncd run”; elsewhere "
        "call this command in the session of the user, or with sudo for the system."
    ),
    "service.cannot_start": (
        "Install nas-syncd where every user can reach it, for instance in /opt/nas-syncd, or "
        "choose another user with --run-as."
    ),
    "service.no_settings": (
        "Write NAS_LOCAL_PATH, DATABASE_URL and UPLOAD_DIR into it, one NAME=value in a line, or "
        "name another file with --env-file."
    ),
    "service.nameless": (
        "Give it one (“sudo useradd --system --uid {uid} --shell /usr/sbin/nologin nas-syncd”), or "
        "choose another user with --run-as USER."
    ),
    "service.which_user": "Check UPLOAD_DIR, or choose the user with --run-as USER.",
}
