"""The French words of the notifications, and of what the log and the commands say of them."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "notify.away.title": "nas-syncd sur {host} : le NAS est absent",
    "notify.away": (
        "Depuis {since}. {reason}.[[ Documents en attente : {pending}.]] Rien n’est perdu : ce qui "
        "attend reste dans le dossier des documents, et sera copié au retour du NAS."
    ),
    "notify.back.title": "nas-syncd sur {host} : le NAS est de retour",
    "notify.back": (
        "Il était absent depuis {since}, soit {seconds}.[[ Documents en attente : {pending}.]]"
    ),
    "notify.full.title": "nas-syncd sur {host} : plus d’espace sur le NAS",
    "notify.full": (
        "Depuis {since}. {reason}.[[ Documents en attente : {pending}.]] Rien n’est perdu : ce qui "
        "attend reste dans le dossier des documents, et sera copié dès qu’il y aura de la place."
    ),
    "notify.freed.title": "nas-syncd sur {host} : il y a de nouveau de l’espace sur le NAS",
    "notify.freed": (
        "Il en manquait depuis {since}, soit {seconds}.[[ Documents en attente : {pending}.]]"
    ),
    "notify.waiting.title": "nas-syncd sur {host} : des documents attendent depuis trop longtemps",
    "notify.waiting": (
        "Pas encore sur le NAS : {pending} documents[[, le plus ancien du {at}]]. nas-syncd ne "
        "touche jamais au dossier des documents : ce qui y était y est toujours."
    ),
    "notify.caught_up.title": "nas-syncd sur {host} : plus aucun document n’attend trop longtemps",
    "notify.caught_up": "C’était le cas depuis {since}.",
    "notify.database.title": "nas-syncd sur {host} : la base de données ne répond pas",
    "notify.database": (
        "Depuis {since}. Rien n’est perdu : dès qu’elle répond, tout ce qui a été déposé entre-"
        "temps est copié."
    ),
    "notify.database_back.title": "nas-syncd sur {host} : la base de données répond de nouveau",
    "notify.database_back": "Elle était absente depuis {since}, soit {seconds}.",
    "notify.problem.title": "nas-syncd sur {host} : des documents ont besoin de vous ({count})",
    "notify.problem": (
        "Ils n’ont pas pu être copiés sur le NAS et ne sont pas marqués ({total} en tout). "
        "nas-syncd ne touche jamais au dossier des documents. Pourquoi, pour chacun :"
    ),
    "notify.solved.title": "nas-syncd sur {host} : réglés ({count}), restants ({left})",
    "notify.solved": "Ceux-ci n’ont plus besoin de vous :",
    "notify.test.title": "nas-syncd sur {host} : un essai",
    "notify.test": (
        "C’est ainsi que nas-syncd vous préviendrait d’un ennui. Si vous lisez ceci, tout va bien."
    ),
    "notify.no_apprise": (
        "Des notifications sont demandées, mais Apprise n’est pas installé : aucune ne peut partir"
    ),
    # -- nas-syncd test --notify
    "notify.none": "Aucune notification n’est configurée",
    "notify.tried": "Envoyé à {to}",
    "notify.not_tried": "Pas envoyé à {to} : {detail}",
    "help.test.notify": (
        "Envoie plutôt un message d’essai à chaque adresse de NAS_SYNCD_NOTIFY_URLS."
    ),
    # -- the log
    "log.notify.sent": "Prévenu {to} : {title}",
    "log.notify.failed": (
        "Impossible de prévenir {to}[[ : {detail}]] : « {title} »[[ ; nouvel essai dans {seconds}]]"
    ),
    "log.notify.dropped": "Messages abandonnés, trop longtemps impossibles à envoyer : {count}",
    "log.notify.unavailable": "{text}",
    "log.notify.interrupted": "La recherche d’alertes a été remise à plus tard[[ : {detail}]]",
    "log.notify.broken": (
        "La recherche d’alertes a rencontré une erreur du programme ; elle continue"
    ),
    "log.notify.forgotten": (
        "Les alertes d’avant le redémarrage sont illisibles ; on repart de zéro[[ : {detail}]]"
    ),
    "log.ping.sent": "Le signal « tout est en sûreté » a été envoyé",
    "log.ping.failed": "Le signal « tout est en sûreté » n’a pas pu être envoyé[[ : {detail}]]",
}
REMEDIES: dict[str, str] = {
    "notify.waiting": "Pour voir ce qui les retient : nas-syncd status, puis nas-syncd explain ID.",
    "notify.database": (
        "Vérifiez le serveur de base de données ; nas-syncd doctor dit ce qu’il en voit."
    ),
    "notify.problem": "Que faire pour chacun : nas-syncd explain ID.",
    "notify.no_apprise": (
        "Installez-le dans l’environnement de nas-syncd : pip install apprise (l’option "
        "nas-syncd[notify])."
    ),
    "notify.none": "Réglez NAS_SYNCD_NOTIFY_URLS, par exemple mailto://user:motdepasse@example.org",
}
