"""The words of ``nas-syncd service`` in French."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- help
    "help.any.as_system": "Le service du système (par défaut pour root).",
    "help.any.as_user": "Un service à soi (par défaut pour tous les autres).",
    "help.any.run_as": (
        "Utilisateur du service du système ; par défaut le propriétaire du dossier des documents."
    ),
    "help.service": "Fonctionner en service : systemd sous Linux, launchd sous macOS",
    "help.service.example": "sudo nas-syncd service install",
    "help.service.install": "Installer le service et le démarrer",
    "help.service.install.example": "sudo nas-syncd service install --system --run-as finance",
    "help.service.install.more": (
        "Ce qui va être fait est d’abord montré, puis demandé. Une nouvelle fois, la commande "
        "corrige ce qui diffère et ne change rien d’autre."
    ),
    "help.service.install.yes": "Ne poser aucune question.",
    "help.service.install.dry_run": "Montrer seulement ce qui serait fait.",
    "help.service.install.env_file": "Fichier de réglages que lira le service.",
    "help.service.uninstall": "Arrêter le service et le retirer",
    "help.service.uninstall.example": "sudo nas-syncd service uninstall --yes",
    "help.service.uninstall.more": (
        "Les documents, les réglages, le journal d’état et les journaux restent en place."
    ),
    "help.service.uninstall.yes": "Ne poser aucune question.",
    "help.service.uninstall.dry_run": "Montrer seulement ce qui serait fait.",
    "help.service.status": "Dire si le service fonctionne, depuis quand, et comment il va",
    "help.service.status.example": "nas-syncd service status --json",
    "help.service.status.more": "Le code de sortie est 0 s’il fonctionne, sinon 1.",
    "help.service.print": "Afficher l’unité ou la liste de propriétés qui serait installée",
    "help.service.print.example": "nas-syncd service print --user",
    "help.service.print.env_file": "Fichier de réglages que lira le service.",
    # -- plan
    "service.plan": "Voici ce qui va être fait :",
    "service.ask": "Continuer ?",
    "service.nothing": "Rien à changer",
    "service.stays": "Restent en place :",
    "service.step.folder": "créer le dossier {path}",
    "service.step.write": "écrire {path}",
    "service.step.replace": "remplacer {path}",
    "service.step.remove": "supprimer {path}",
    "service.step.private": (
        "réserver la lecture de {path} à son propriétaire et au groupe {group}"
    ),
    "service.step.run": "exécuter : {command}",
    # -- what is worth knowing
    "service.note.user": (
        "Le service fonctionne sous l’utilisateur {user}, groupe {group} (--run-as pour en changer)"
    ),
    "service.note.root": (
        "Le service fonctionne sous root, sans ses pouvoirs particuliers, car le dossier des "
        "documents appartient à root. Un utilisateur à lui vaut mieux : --run-as UTILISATEUR"
    ),
    "service.note.uploads": "Attention : {user} ne peut pas lire le dossier des documents {path}",
    "service.note.database": "Attention : {user} ne peut pas écrire dans la base {path}",
    "service.note.settings": "Attention : {user} ne peut pas lire le fichier de réglages {path}",
    "service.note.bare": (
        "Attention : tout utilisateur de cette machine peut lire les secrets dans {path}"
    ),
    "service.note.linger": (
        "Il fonctionne tant que vous êtes connecté ; pour qu’il fonctionne toujours : "
        "« sudo loginctl enable-linger {user} »"
    ),
    "service.note.vanishing": (
        "Attention : cet environnement repose sur {path}, que la prochaine mise à jour de Homebrew "
        "supprimera. Recréez-le avec le nom durable de Homebrew (…/opt/python@3.…/bin/python3…)"
    ),
    # -- status
    "service.is.absent": "Le service n’est pas installé : « nas-syncd service install »",
    "service.is.running": "Le service fonctionne",
    "service.is.stopped": "Le service est installé et ne fonctionne pas",
    "service.yes": "oui",
    "service.no": "non",
    "service.scope.system": "du système",
    "service.scope.user": "de cet utilisateur",
    "service.label.scope": "Service",
    "service.label.unit": "Installé dans",
    "service.label.enabled": "Démarre de lui-même",
    "service.label.state": "État",
    "service.label.since": "Depuis",
    "service.label.pid": "Processus",
    "service.label.last_exit": "Dernière fin",
    "service.label.restarts": "Redémarrages",
    "service.label.says": "Il dit",
    # -- errors
    "service.failed": "« {command} » a échoué[[ : {detail}]]",
    "service.file": "{path} ne peut pas être écrit[[ : {detail}]]",
    "service.foreign": "{path} n’a pas été écrit par nas-syncd et reste tel quel",
    "service.no_manager": "Aucun gestionnaire de services ne répond[[ : {detail}]]",
    "service.cannot_start": "{user} ne peut pas démarrer {program}[[ : {detail}]]",
    "service.no_settings": "Il n’y a pas de réglages pour le service : {path} manque",
    "service.which_user": (
        "Le dossier des documents {path} ne peut pas être examiné : "
        "on ne sait donc pas quel utilisateur peut le lire"
    ),
    "service.nameless": (
        "Le dossier des documents {path} appartient à l’utilisateur {uid}, "
        "qui n’a pas de nom sur cette machine"
    ),
    "service.unknown_user": "Il n’y a pas d’utilisateur ni de groupe « {name} »",
    "service.one_scope": "soit --system, soit --user, pas les deux",
    "service.run_as_system": "--run-as concerne le service du système : ajoutez --system",
    "service.need_root": (
        "le service du système demande root : appelez la commande avec sudo, ou ajoutez --user"
    ),
    "service.mac": (
        "sous macOS, le service est celui de l’utilisateur dont la session monte le partage : "
        "appelez la commande sous cet utilisateur, sans sudo et sans --system"
    ),
}

REMEDIES: dict[str, str] = {
    "service.failed": "« nas-syncd service status » et « nas-syncd logs » en disent plus.",
    "service.foreign": "Examinez-le ; renommez-le ou supprimez-le, puis recommencez.",
    "service.no_manager": (
        "Dans un conteneur, que la règle de redémarrage du conteneur lance « nas-syncd run » ; "
        "ailleurs, appelez la commande dans la session de l’utilisateur, ou avec sudo pour le "
        "système."
    ),
    "service.cannot_start": (
        "Installez nas-syncd là où tout utilisateur peut l’atteindre, par exemple dans "
        "/opt/nas-syncd, ou choisissez un autre utilisateur avec --run-as."
    ),
    "service.no_settings": (
        "Écrivez-y NAS_LOCAL_PATH, DATABASE_URL et UPLOAD_DIR, un NOM=valeur par ligne, ou "
        "indiquez un autre fichier avec --env-file."
    ),
    "service.nameless": (
        "Donnez-lui en un (« sudo useradd --system --uid {uid} --shell /usr/sbin/nologin "
        "nas-syncd »), ou choisissez un autre utilisateur avec --run-as UTILISATEUR."
    ),
    "service.which_user": (
        "Vérifiez UPLOAD_DIR, ou choisissez l’utilisateur avec --run-as UTILISATEUR."
    ),
}
