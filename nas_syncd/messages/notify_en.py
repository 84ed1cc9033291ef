"""The English words of the notifications, and of what the log and the commands say of them.

They leave this machine: no document's name and no path stands in them, only ids and reasons.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "notify.away.title": "nas-syncd on {host}: the NAS is away",
    "notify.away": (
        "Since {since}. {reason}.[[ Waiting: {pending} documents.]] Nothing is lost: what waits "
        "stays in the upload folder, and is copied when the NAS is back."
    ),
    "notify.back.title": "nas-syncd on {host}: the NAS is back",
    "notify.back": "It was away since {since}, for {seconds}.[[ Waiting: {pending} documents.]]",
    "notify.full.title": "nas-syncd on {host}: no space left on the NAS",
    "notify.full": (
        "Since {since}. {reason}.[[ Waiting: {pending} documents.]] Nothing is lost: what waits "
        "stays in the upload folder, and is copied when there is space again."
    ),
    "notify.freed.title": "nas-syncd on {host}: there is space on the NAS again",
    "notify.freed": "It was short since {since}, for {seconds}.[[ Waiting: {pending} documents.]]",
    "notify.waiting.title": "nas-syncd on {host}: documents wait for too long",
    "notify.waiting": (
        "Not on the NAS yet: {pending} documents[[, the oldest of {at}]]. nas-syncd never changes "
        "the upload folder: what was there is there."
    ),
    "notify.caught_up.title": "nas-syncd on {host}: no document waits for too long any more",
    "notify.caught_up": "It had been so since {since}.",
    "notify.database.title": "nas-syncd on {host}: the database does not answer",
    "notify.database": (
        "Since {since}. Nothing is lost: as soon as it answers, everything that was uploaded "
        "meanwhile is copied."
    ),
    "notify.database_back.title": "nas-syncd on {host}: the database answers again",
    "notify.database_back": "It was away since {since}, for {seconds}.",
    "notify.problem.title": "nas-syncd on {host}: documents need you ({count})",
    "notify.problem": (
        "These could not be copied to the NAS, and are not marked ({total} in all). nas-syncd "
        "never changes the upload folder. Why, for each:"
    ),
    "notify.solved.title": "nas-syncd on {host}: solved ({count}), left ({left})",
    "notify.solved": "These no longer need you:",
    "notify.test.title": "nas-syncd on {host}: a test",
    "notify.test": "This is how nas-syncd would tell you of trouble. All is well if you read this.",
    "notify.no_apprise": "Notifications are set, but Apprise is not installed: none can be sent",
    # -- nas-syncd test --notify
    "notify.none": "No notifications are set",
    "notify.tried": "Sent to {to}",
    "notify.not_tried": "Not sent to {to}: {detail}",
    "help.test.notify": "Send a test message to every address of NAS_SYNCD_NOTIFY_URLS instead.",
    # -- the log
    "log.notify.sent": "Told {to}: {title}",
    "log.notify.failed": "Could not tell {to}[[: {detail}]]: “{title}”[[; next try in {seconds}]]",
    "log.notify.dropped": "Messages that could not be sent for too long were given up: {count}",
    "log.notify.unavailable": "{text}",
    "log.notify.interrupted": "Looking for alarms was put off[[: {detail}]]",
    "log.notify.broken": "Looking for alarms met an error of the program; it goes on",
    "log.notify.forgotten": (
        "What was kept of alarms before the restart cannot be read, and begins anew[[: {detail}]]"
    ),
    "log.ping.sent": "The dead man’s switch was called: everything is safe",
    "log.ping.failed": "The dead man’s switch could not be called[[: {detail}]]",
}
REMEDIES: dict[str, str] = {
    "notify.waiting": "To see what holds them up: nas-syncd status, then nas-syncd explain ID.",
    "notify.database": "Look at the database server; nas-syncd doctor says what it sees of it.",
    "notify.problem": "What to do about each: nas-syncd explain ID.",
    "notify.no_apprise": (
        "Install it into nas-syncd’s own environment: pip install apprise"
        " (the extra nas-syncd[notify])."
    ),
    "notify.none": "Set NAS_SYNCD_NOTIFY_URLS, for instance to mailto://user:password@example.org",
}
