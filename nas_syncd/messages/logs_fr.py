"""The French words of the log as a person reads it, and of ``nas-syncd logs``."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- documents
    "log.document.name": "{given} ({id})",
    "log.document.nameless": "Document {id}",
    "log.document.synced": "{document} → {destination}",
    "log.document.synced.aside": "{size}[[ en {took}]]",
    "log.document.synced.adopted": "{size}, déjà sur place",
    "log.document.failed": "{document} : {text}",
    "log.document.refused": "{document} : {text}",
    "log.document.gone": "{document} : {text}",
    "log.document.waiting": "{document} : {text}",
    "log.document.waiting.mount": "{document} : attend le NAS",
    "log.document.waiting.metadata": "{document} : attend sa date et son type",
    "log.document.waiting.no_file": "{document} : son fichier n’est pas encore arrivé",
    "log.document.vanished": (
        "{document} : la copie n’est plus à sa place sur le NAS[[ ({destination})]] ; elle sera "
        "refaite"
    ),
    "log.document.damaged": (
        "{document} : la copie sur le NAS n’est plus entière[[ ({destination})]] ; elle sera "
        "refaite à côté"
    ),
    # -- what they depend on
    "log.mount.changed": "{text}",
    "log.mount.changed.ok": "Le NAS est prêt : {path}[[ ({source})]]",
    "log.mount.still_unusable": "{text}[[ (depuis {since})]]",
    "log.uploads.changed": "{text}",
    "log.uploads.changed.found": "Le dossier des documents est là : {path}",
    "log.uploads.changed.native": "Dossier des documents surveillé : {path}",
    "log.uploads.changed.poll": "Dossier des documents relu régulièrement : {path}",
    "log.database.unavailable": "La base de données ne répond pas[[ : {detail}]][[. {remedy}]]",
    "log.database.back": "La base de données répond de nouveau[[ (après {seconds})]]",
    "log.journal.unusable": "Le registre est inutilisable pour l’instant[[ : {detail}]]",
    "log.journal.rebuilt": (
        "Le registre était endommagé ({detail}) : il est mis de côté sous {aside}, et un nouveau"
        " est commencé. Aucun document n’est perdu, aucun n’est copié deux fois. Ce qui était déjà"
        " marqué compte comme hérité jusqu’à ce que « nas-syncd sync --inherited » l’ait comparé"
        " au NAS"
    ),
    "log.journal.lost": (
        "Le registre avait disparu ou était vide ; un nouveau est commencé. Aucun document n’est"
        " perdu, aucun n’est copié deux fois. Ce qui était déjà marqué compte comme hérité jusqu’à"
        " ce que « nas-syncd sync --inherited » l’ait comparé au NAS"
    ),
    # -- the daemon
    "log.daemon.started": ("nas-syncd {version} a démarré (processus {pid}) : {uploads} → {nas}"),
    "log.daemon.reloaded": "Réglages relus[[ ; demande un redémarrage : {needs_restart}]]",
    "log.daemon.reload_refused": "Réglages refusés, les précédents restent en vigueur : {text}",
    "log.daemon.stopping": "Arrêt en cours[[ ; copies à terminer d’abord : {in_flight}]]",
    "log.daemon.stop_interrupted": "Arrêt en cours, tout n’a pas pu être terminé[[ : {detail}]]",
    "log.daemon.stopped": (
        "nas-syncd s’est arrêté[[ ; copies laissées au prochain démarrage : {abandoned}]]"
    ),
    "log.temp.removed": "Fichier temporaire oublié, effacé du NAS : {path}[[ ({bytes})]]",
    "log.temp.restored": (
        "{document} : une copie vérifiée qui avait perdu son nom a été remise à sa "
        "place[[ : {destination}]]"
    ),
    "log.run.broken": "Une synchronisation a fini sur une erreur du programme ({run})",
    "log.uploads.hints_failed": (
        "Des annonces du dossier des documents ont été perdues par une erreur du programme ; il "
        "est relu"
    ),
    # -- the API
    "log.api.ready": "Page et API : {urls}",
    "log.api.unavailable": "{text}",
    "log.api.not_installed": "{text}",
    "log.api.error": (
        "L’API a rencontré une erreur du programme[[ : {method} {path}]][[ : {message}]]"
    ),
    "log.api.stop_late": "L’API n’a pas pu s’arrêter à temps[[ ({seconds})]]",
    "log.log.foreign": "{logger} : {message}",
    "log.log.line": "{text}",
    # -- nas-syncd logs
    "logs.level": "niveau inconnu « {given} » ; niveaux admis : {choices}",
    "logs.since": "moment inconnu « {given} » ; par exemple 10m, 2h, 3d ou 2024-01-15T14:30",
    "logs.lines": "--lines attend un nombre à partir de 0, ou « all » ; pas « {given} »",
    "logs.none": "Il n’y a pas de journal que cette commande puisse lire",
    "logs.journald": "Comme service systemd, le journal se lit avec : {command}",
    "logs.console": "Au premier plan, il s’affiche dans le terminal de : {command}",
    "logs.file": "Pour un fichier que cette commande lit : réglez {name}.",
    "logs.container": (
        "Dans un conteneur, le journal est la sortie du conteneur. Sur son hôte : {command}"
    ),
    "logs.no_file": "Ce n’est pas un fichier qui puisse se lire comme un journal : {path}",
    "logs.denied": (
        "Cet utilisateur ne peut pas lire le journal : {path}. Utilisez sudo, ou entrez dans son "
        "groupe"
    ),
    "logs.missed": "— des lignes manquent peut-être : effacées par la rotation avant lecture —",
    "logs.long": "— une ligne de {size} est omise ici —",
    "logs.cut": "… ({total} en tout)",
    "logs.journald_failed": "journalctl n’a pas pu lire le journal[[ : {detail}]]",
    # -- the health check
    "alive.no": "Le démon ne répond pas, ou sa boucle ne tourne plus[[ : {detail}]]",
}
