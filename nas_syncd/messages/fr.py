"""The French words. ``[[ … ]]`` is left out when one of its blanks is not known."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- fixed by the contract, word for word
    "test.ok": "Montage NAS accessible en lecture/écriture",
    "sync.done": "Synchronisé vers {path}",
    "document.line": "Document {id}: {text}",
    "document.line_named": "Document {id}: {name}: {text}",
    "document.unknown": "Document inconnu[[ : {id}]]",
    "document.no_file": "Ce document n’a pas de fichier[[ : {id}]]",
    "unknown": "Situation non décrite (« {code} »)[[ : {detail}]]",
    # -- errors
    "internal": "Erreur inattendue[[ : {detail}]]",
    "configuration.invalid": "Réglage refusé[[ : {detail}]]",
    "configuration.schema": "La table « {table} » ne convient pas[[ : il manque {missing}]]",
    "configuration.no_table": "La base n’a pas de table « {table} »",
    "configuration.primary_key": (
        "La clé primaire de la table « {table} » doit être la seule colonne {key}"
        "[[ : c’est {found}]]"
    ),
    "configuration.column_type": (
        "La colonne {column} de la table « {table} » est de type {type} : "
        "il faut un booléen ou un entier"
    ),
    "mount.error": "Le NAS ne peut pas être utilisé pour le moment[[ : {detail}]][[ ({errno})]]",
    "mount.unknown": "Le NAS n’a pas encore été vérifié",
    "daemon.status": "Au NAS depuis le démarrage : {synced} ; en attente : {waiting} ; {mount}",
    "mount.ok": "Le NAS est prêt[[ : {path}]]",
    "mount.unconfigured": "NAS non configuré : NAS_MOUNT_PATH est vide",
    "mount.missing": "Le chemin du NAS n’existe pas[[ : {path}]] (partage non monté)",
    "mount.not_mounted": (
        "Le partage du NAS n’est pas monté[[ sur {path}]] : "
        "le dossier est là, mais le NAS ne s’y reconnaît pas"
    ),
    "mount.foreign": (
        "Ce n’est pas le NAS attendu[[ sur {path}]] : c’en est un autre"
        "[[ (attendu : {expected}, trouvé : {found})]]"
    ),
    "mount.suspect": (
        "Le NAS est reconnu[[ sur {path}]], mais le montage n’est plus le même"
        "[[ (attendu : {expected}, trouvé : {found})]]"
    ),
    "mount.denied": "Permission refusée sur le NAS[[ : {path}]]",
    "mount.privacy": (
        "macOS interdit les volumes réseau à nas-syncd (confidentialité)[[ : {path}]]"
    ),
    "mount.read_only": "Le NAS est monté en lecture seule[[ : {path}]]",
    "mount.full": ("Plus d’espace sur le NAS[[ : {free} libres]][[, il en faut {needed}]]"),
    "mount.hung": "Le NAS ne répond pas[[ : aucune réponse en {seconds}]]",
    "mount.down": "Le NAS est injoignable[[ : {detail}]][[ ({errno})]]",
    "uploads.error": "Le dossier des documents ne peut pas être lu[[ : {path}]][[ ({detail})]]",
    "uploads.missing": "Le dossier des documents n’existe pas[[ : {path}]]",
    "uploads.denied": "Permission refusée sur le dossier des documents[[ : {path}]]",
    "uploads.hung": "Le dossier des documents ne répond pas[[ : {path}]]",
    "uploads.deaf": "Le système n’annonce pas les nouveaux fichiers de ce dossier[[ : {path}]]",
    "uploads.watch_limit": "Trop de dossiers à surveiller pour le système[[ (limite : {limit})]]",
    "uploads.watch_failed": "Le dossier ne peut pas être surveillé[[ : {path}]][[ ({detail})]]",
    "agent.hung": "Le processus qui accède aux fichiers ne répond plus",
    "agent.died": "Le processus qui accède aux fichiers s’est arrêté[[ : {detail}]]",
    "database.unavailable": "La base de données ne répond pas[[ : {detail}]]",
    "journal.error": "Un fichier de nas-syncd ne peut pas être utilisé[[ : {path}]][[ ({detail})]]",
    "journal.busy": (
        "Un autre nas-syncd utilise déjà ce répertoire d’état[[ : {path}]][[ (processus {pid})]]"
    ),
    "document.error": (
        "Ce document ne peut pas être copié pour le moment[[ : {detail}]][[ ({errno})]]"
    ),
    "document.unfilable": "Ce document n’a ni date ni date de création",
    "source.missing": "Le fichier n’est pas dans le dossier des documents[[ : {path}]]",
    "source.changed": "Le fichier a changé pendant la copie[[ : {path}]]",
    "source.refused": "Fichier refusé[[ : {kind}]][[ ({path})]]",
    "source.unreadable": "Le fichier ne peut pas être lu[[ : {path}]][[ ({detail})]]",
    "place.taken": "Tous les noms possibles sur le NAS sont déjà pris[[ : {path}]]",
    "place.blocked": "Un fichier ou un lien occupe la place d’un dossier sur le NAS[[ : {path}]]",
    "place.name_refused": "Le NAS refuse ce nom de fichier[[ : {path}]]",
    "place.denied": "Permission refusée pour ce dossier du NAS[[ : {path}]]",
    "place.no_room": (
        "Le NAS n’a pas la place pour un fichier de cette taille"
        "[[ : {free} libres, il en faut {needed}]]"
    ),
    "place.busy": (
        "Une autre installation ou un autre programme se sert de cette place du NAS en ce moment"
        "[[ : {path}]]"
    ),
    "copy.verify": "La copie relue sur le NAS diffère de l’original[[ : {path}]]",
    # -- why nothing is done yet
    "wait.no_file": "Le fichier n’est pas encore arrivé[[ : {path}]]",
    "wait.settling": "Le fichier est peut-être encore en cours d’écriture",
    "wait.metadata": (
        "L’analyse du document n’est pas terminée[[ (état : {status})]][[ ; attente jusqu’à "
        "{until} au plus]]"
    ),
    "wait.backoff": (
        "Le dernier essai a échoué[[ : {error}]][[ ; essais : {attempts}]][[ ; prochain "
        "essai : {until}]]"
    ),
    "wait.mount": "En attente du NAS[[ : {state}]]",
    "wait.elsewhere": "Un autre processus s’occupe de ce document en ce moment",
    "wait.place": "Un autre document est en cours de classement sous ce nom[[ : {path}]]",
    "wait.uploads": "En attente du dossier des documents",
    "wait.row": "Le fichier n’a pas encore de ligne dans la base[[ : {path}]]",
    # -- why nothing is to be done
    "rest.synced": "Copié, vérifié et marqué[[ : {destination}]]",
    "rest.synced_elsewhere": (
        "Marqué comme synchronisé par une autre installation ou un outil plus ancien : "
        "hérité, non vérifié"
    ),
    "rest.moved_since": "Classé sous {filed}, irait maintenant sous {now} : reste à sa place",
    "rest.missing_row": "Ce document n’est plus dans la base",
    "gone.gone": "Le document n’est plus dans la base ; sa copie reste sur le NAS",
    "gone.moved": "La ligne désigne maintenant un autre fichier ; la copie reste sur le NAS",
    "gone.replaced": "La ligne a été remplacée par une autre ; la copie reste sur le NAS",
    # -- why the flag is taken back
    "unmark.source_changed": (
        "Le fichier a changé depuis sa copie : la nouvelle version sera copiée"
    ),
    "unmark.vanished": "La copie n’est plus à sa place sur le NAS[[ : {destination}]]",
    "unmark.damaged": "La copie sur le NAS n’a plus le contenu attendu[[ : {destination}]]",
    "unmark.not_found": "Marqué comme synchronisé, mais introuvable sur le NAS[[ : {destination}]]",
    # -- what is done, and why
    "copy.new": "À copier : pas encore sur le NAS",
    "copy.again": "L’application redemande une copie : le NAS est relu",
    "mark.receipt": "La copie est vérifiée : la ligne va être marquée[[ : {destination}]]",
    # -- why it is refused
    "refuse.outside": "Le chemin mène hors du dossier des documents[[ : {path}]]",
    "refuse.link": "C’est un lien, pas un fichier[[ : {path}]]",
    "refuse.directory": "C’est un dossier, pas un fichier[[ : {path}]]",
    "refuse.special": "Ce n’est pas un fichier ordinaire[[ : {path}]]",
    "refuse.unfilable": "Ce document n’a ni date ni date de création",
    "problem.attempts": (
        "{attempts} essais ont échoué[[ ; dernier échec : {error}]][[ ; prochain essai : {until}]]"
    ),
    "problem.missing": "Le fichier manque[[ depuis {since}]][[ : {path}]]",
    "kind.link": "c’est un lien",
    "kind.directory": "c’est un dossier",
    "kind.special": "ce n’est pas un fichier ordinaire",
    "kind.outside": "il est hors du dossier des documents",
    "origin.environment": "dans l’environnement",
    "origin.credential": "dans un fichier « credential »",
    "origin.default": "par défaut",
    "origin.argument": "en argument",
    # -- settings: one line each
    "settings.invalid": "{name} = « {given} » : {allowed}",
    "settings.secret": "{name} (valeur non affichée[[ ; {origin}]]) : {allowed}",
    "settings.required": "{name} est vide : {allowed}",
    "settings.unknown": (
        "{name} : réglage inconnu ({origin})[[ ; vouliez-vous dire {suggestion} ?]]"
    ),
    "settings.file_missing": "--env-file « {path} » : ce fichier n’existe pas",
    "settings.file_strangers": (
        "« {path} » appartient à quelqu’un d’autre, dans un dossier où tout le monde peut écrire ; "
        "permis : un autre dossier courant, ou --env-file « {path} »"
    ),
    "settings.file_unreadable": "Le fichier de réglages « {path} » ne peut pas être lu : {cause}",
    "settings.line": "{name} : la ligne {line} de « {path} » ne se lit pas (guillemet non fermé ?)",
    "settings.overlap": (
        "{name} = « {given} » et {other} = « {other_given} » : "
        "l’un contient l’autre ; il faut des dossiers séparés"
    ),
    "settings.log_file_inside": (
        "{name} = « {given} » : le fichier journal ne peut pas être dans {other} "
        "(« {other_given} »)"
    ),
    "allowed.choice": "valeurs admises : {choices}",
    "allowed.integer": "un nombre entier de {low} à {high}",
    "allowed.seconds": "un nombre de secondes de {low} à {high}",
    "allowed.minutes": "un nombre de minutes de {low} à {high}",
    "allowed.hours": "un nombre d’heures de {low} à {high}",
    "allowed.web_address": "une adresse qui commence par https:// ou http://",
    "allowed.size": "une taille positive, par exemple 500MB ou 1GiB",
    "allowed.path": "un chemin absolu",
    "allowed.absolute": "un chemin absolu, par exemple {example}",
    "allowed.mounted": (
        "le dossier où le partage est monté sur cette machine, par exemple /mnt/nas, "
        "et non l’adresse du partage"
    ),
    "allowed.text": "un texte sans caractère de contrôle, en UTF-8",
    "allowed.host": "une adresse ou un nom d’hôte, par exemple 127.0.0.1",
    "allowed.inside_path": "le dossier tel qu’il figure dans file_path, par exemple /app/uploads",
    "allowed.table": "un nom de table, ou schéma.table",
    "allowed.columns": (
        "nom=colonne,nom=colonne ou un objet JSON ; noms admis : {choices}"
        "[[ (« {wrong} » n’en est pas ; vouliez-vous dire {suggestion} ?)]]"
    ),
    "allowed.columns_twice": (
        "la colonne « {column} » est écrite par nous et ne peut servir qu’une fois"
    ),
    "allowed.folders": (
        "type=dossier,type=dossier ou un objet JSON ; un seul nom de dossier simple par type"
    ),
    "allowed.folder_name": (
        "« {wrong} » ne peut pas être un dossier du NAS : un seul nom simple, "
        'sans / \\ : * ? " < > | et qui ne commence pas par .nas-syncd'
    ),
    "allowed.database_url": (
        "une adresse sqlite:////chemin/base.db, postgresql://… ou mysql://… "
        "(mariadb://… convient aussi)"
    ),
    "allowed.database_dialect": (
        "« {wrong} » n’est pas géré ; sqlite, postgresql, mysql et mariadb le sont"
    ),
    "allowed.database_port": "le port doit être un nombre de 1 à 65535",
    "allowed.database_at": "un @ dans le nom ou le mot de passe s’écrit %40",
    "allowed.database_file": "il faut un fichier : sqlite:////chemin/absolu/base.db",
    "allowed.notify": "des adresses « service://… » séparées par des virgules ou des espaces",
    "required.nas": "le dossier où le partage du NAS est monté, par exemple /mnt/nas",
    "required.database_url": "l’adresse de la base de l’application, par exemple postgresql://…",
    "required.upload_dir": "le dossier où l’application dépose les documents",
}

_MOUNT_IT = "Montez le partage ; la synchronisation reprend ensuite d’elle-même, rien n’est perdu."
_OTHER_NAS = (
    "Rien n’est perdu, les documents attendent. "
    "Vérifiez d’abord quel partage est monté : le plus souvent, ce n’est pas le bon. "
    "Si ce changement est voulu, lancez « nas-syncd adopt --new-nas »."
)
_NOTHING_LOST = "Rien n’est perdu, les documents attendent."
_ORIGINAL = "L’original est intact."

REMEDIES: dict[str, str] = {
    "configuration.schema": "Vérifiez NAS_SYNCD_DB_TABLE et NAS_SYNCD_DB_COLUMNS.",
    "configuration.no_table": "Nommez-la avec NAS_SYNCD_DB_TABLE (table ou schéma.table).",
    "configuration.primary_key": (
        "Indiquez la bonne colonne pour id dans NAS_SYNCD_DB_COLUMNS, "
        "ou une vue dans NAS_SYNCD_DB_TABLE."
    ),
    "configuration.column_type": "Vérifiez NAS_SYNCD_DB_COLUMNS.",
    "mount.error": f"{_NOTHING_LOST} « nas-syncd status » et « nas-syncd logs » en disent plus.",
    "mount.unconfigured": (
        "Indiquez dans NAS_MOUNT_PATH (ou NAS_LOCAL_PATH) le dossier où le partage est monté."
    ),
    "mount.missing": _MOUNT_IT,
    "mount.not_mounted": (
        "Rien n’est perdu. Le plus souvent, le partage n’est simplement pas monté : montez-le, "
        "la synchronisation reprend ensuite d’elle-même. "
        "Seulement si ce NAS n’a encore jamais été associé : « nas-syncd adopt »."
    ),
    "mount.foreign": _OTHER_NAS,
    "mount.suspect": (
        f"{_NOTHING_LOST} Vérifiez que le bon partage est monté à cet endroit. "
        "Si ce changement est voulu : « nas-syncd adopt »."
    ),
    "mount.denied": (
        f"{_NOTHING_LOST} Vérifiez les droits SMB de l’utilisateur sur ce partage, "
        "et les options uid, gid et mode du montage."
    ),
    "mount.privacy": (
        f"{_NOTHING_LOST} "
        "Réglages Système > Confidentialité et sécurité > Fichiers et dossiers : autorisez "
        "« Volumes réseau » pour Python[[ ({program})]]. S’il n’est pas dans la liste : "
        "Confidentialité et sécurité > Accès complet au disque, « + », et choisissez ce programme. "
        "Si la copie ne reprend pas d’elle-même : « launchctl kickstart -k "
        "gui/$(id -u)/local.nas-syncd »."
    ),
    "mount.read_only": (
        f"{_NOTHING_LOST} "
        "Remontez le partage en lecture et écriture, et vérifiez les droits de l’utilisateur "
        "sur le NAS."
    ),
    "mount.full": (
        f"{_NOTHING_LOST} Libérez de l’espace sur le NAS ; "
        "la synchronisation reprend ensuite d’elle-même."
    ),
    "mount.hung": f"{_NOTHING_LOST} Vérifiez que le NAS est allumé et que le réseau fonctionne.",
    "mount.down": f"{_NOTHING_LOST} Vérifiez que le NAS est allumé et que le réseau fonctionne.",
    "uploads.error": "Vérifiez UPLOAD_DIR : le dossier doit exister et être lisible par nas-syncd.",
    "uploads.missing": (
        "Vérifiez UPLOAD_DIR et que le dossier est monté ; il est pris en compte dès qu’il revient."
    ),
    "uploads.denied": "Donnez à l’utilisateur de nas-syncd le droit de lire ce dossier.",
    "uploads.hung": f"{_NOTHING_LOST} Vérifiez le disque ou le serveur qui porte ce dossier.",
    "uploads.deaf": "Rien n’est perdu, le dossier est parcouru. Mettez NAS_SYNCD_WATCH=poll.",
    "uploads.watch_limit": (
        "Rien n’est perdu, le dossier est parcouru. "
        "Augmentez fs.inotify.max_user_watches, ou mettez NAS_SYNCD_WATCH=poll."
    ),
    "uploads.watch_failed": "Rien n’est perdu, le dossier est parcouru régulièrement.",
    "wait.uploads": "Vérifiez UPLOAD_DIR : le dossier doit exister et être lisible par nas-syncd.",
    "database.unavailable": (
        "Les copies vérifiées sont gardées et seront marquées plus tard. "
        "Vérifiez que la base est démarrée et DATABASE_URL."
    ),
    "journal.error": "Vérifiez NAS_SYNCD_STATE_DIR et NAS_SYNCD_LOG_FILE : droits et espace libre.",
    "journal.busy": "Arrêtez l’autre, ou donnez à celui-ci son propre NAS_SYNCD_STATE_DIR.",
    "document.error": (
        f"{_ORIGINAL} Un nouvel essai suit de lui-même. "
        "Si cela se répète, « nas-syncd explain » et « nas-syncd logs » en disent plus."
    ),
    "document.unfilable": "Donnez une date au document dans l’application.",
    "refuse.unfilable": "Donnez une date au document dans l’application.",
    "source.missing": (
        "Vérifiez que le fichier est bien dans UPLOAD_DIR, "
        "et NAS_SYNCD_DB_UPLOAD_DIR si l’application voit ce dossier sous un autre chemin."
    ),
    "problem.missing": (
        "Vérifiez que le fichier est bien dans UPLOAD_DIR, "
        "et NAS_SYNCD_DB_UPLOAD_DIR si l’application voit ce dossier sous un autre chemin."
    ),
    "source.changed": "Rien à faire : il sera copié dès qu’il ne change plus.",
    "source.refused": "Remplacez-le par un vrai fichier dans le dossier des documents.",
    "refuse.link": "Remplacez le lien par le fichier lui-même.",
    "refuse.directory": "Corrigez file_path dans la base : il doit désigner un fichier.",
    "refuse.special": "Remplacez-le par un fichier ordinaire.",
    "refuse.outside": (
        "Vérifiez NAS_SYNCD_DB_UPLOAD_DIR : c’est le dossier des documents "
        "tel que l’application l’écrit dans file_path."
    ),
    "source.unreadable": "Donnez à l’utilisateur de nas-syncd le droit de lire ce fichier.",
    "place.taken": (
        f"{_ORIGINAL} Rangez ou renommez sur le NAS les fichiers étrangers qui portent ces noms."
    ),
    "place.blocked": f"{_ORIGINAL} Renommez sur le NAS ce qui occupe la place du dossier.",
    "place.name_refused": f"{_ORIGINAL} Donnez au fichier un nom plus simple ou plus court.",
    "place.denied": (
        f"{_ORIGINAL} Vérifiez les droits SMB de l’utilisateur sur ce dossier du NAS."
    ),
    "place.no_room": (
        f"{_ORIGINAL} "
        "Libérez de la place sur le NAS ; un nouvel essai suit tout seul, les autres continuent."
    ),
    "place.busy": f"{_ORIGINAL} Rien à faire : un nouvel essai suit bientôt.",
    "copy.verify": (
        "L’original est intact et la copie sera refaite. "
        "Si cela se répète, vérifiez les disques du NAS et le réseau."
    ),
    "rest.synced_elsewhere": "Pour le vérifier : « nas-syncd sync --inherited ».",
    "unmark.damaged": (
        f"{_ORIGINAL} Le document sera copié de nouveau, l’ancienne copie reste. "
        "Vérifiez les disques du NAS."
    ),
    "unmark.vanished": f"{_ORIGINAL} Le document sera copié de nouveau.",
    "unmark.not_found": f"{_ORIGINAL} Le document sera copié de nouveau.",
    "problem.attempts": "Réglez la cause, puis relancez : « nas-syncd sync[[ {id}]] ».",
}
