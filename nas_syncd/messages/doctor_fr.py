"""Les mots du docteur en français : un texte pour chaque constat."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "help.doctor": "Tout vérifier sur cette machine, avec un remède à ce qui ne va pas",
    "help.doctor.example": "nas-syncd doctor",
    "help.doctor.more": (
        "Il ne dérange rien, même à côté d’un démon en marche. Le code de sortie est 1 quand "
        "quelque chose ne va pas ; les avertissements ne comptent pas."
    ),
    "help.doctor.probe_uploads": (
        "Observer le dossier des documents pendant autant de secondes, le temps que vous y posiez "
        "un fichier. Le docteur lui-même n’y écrit jamais."
    ),
    # -- comment c’est dit
    "doctor.level.ok": "ok",
    "doctor.level.warning": "à voir",
    "doctor.level.wrong": "ERREUR",
    "doctor.level.skipped": "omis",
    "doctor.line": "{word} : {check} : {text}",
    "doctor.line_remedy": "Remède : {text}",
    "doctor.room.interpreter": "Programme",
    "doctor.room.settings": "Réglages",
    "doctor.room.state": "État",
    "doctor.room.database": "Base",
    "doctor.room.uploads": "Documents",
    "doctor.room.mount": "NAS",
    "doctor.room.daemon": "Démon",
    "doctor.room.service": "Service",
    "doctor.room.clock": "Horloge",
    "doctor.looking": "Examen : {room}…",
    "doctor.probe": "Posez maintenant un fichier dans le dossier des documents…",
    "doctor.all_well": "Tout va bien",
    "doctor.warnings.one": "Rien de grave ; un point à regarder",
    "doctor.warnings.many": "Rien de grave ; {count} points à regarder",
    "doctor.wrong.one": "Une chose ne va pas : son remède est indiqué dessous",
    "doctor.wrong.many": "{count} choses ne vont pas : le remède est indiqué sous chacune",
    "doctor.no_remedy": "Voir docs/operations.md.",
    "doctor.failed": "Ce contrôle a lui-même échoué[[ : {detail}]]",
    "doctor.deadline": "Pas de réponse en {seconds} : la suite de ce contrôle est abandonnée",
    # -- ce qui est omis, et pourquoi
    "doctor.skipped.settings": "Non vérifié : il n’y a pas de réglages utilisables",
    "doctor.skipped.state": "Le journal n’a pas été vérifié, à cause du dossier d’état",
    "doctor.skipped.database_url": "Non vérifié : DATABASE_URL est vide ou refusé",
    "doctor.skipped.database": "Table et droits non vérifiés : la base ne répond pas",
    "doctor.skipped.table": "Droits et lignes non vérifiés : la table ne convient pas",
    "doctor.skipped.no_journal": (
        "Impossible de dire qui d’autre pose la marque : le journal n’en dit rien"
    ),
    "doctor.skipped.upload_dir": "Non vérifié : UPLOAD_DIR est vide ou refusé",
    "doctor.skipped.uploads": "Les fichiers n’ont pas été vérifiés : le dossier est inutilisable",
    "doctor.skipped.nothing_arrived": (
        "Aucun fichier n’est arrivé en {seconds} : on ne peut rien en dire"
    ),
    "doctor.skipped.too_many_folders": (
        "Non observé : {folders} dossiers prendraient trop des {limit} surveillances possibles"
    ),
    "doctor.skipped.state_away": "Non cherché : le dossier d’état est inaccessible",
    "doctor.skipped.polling": "Événements non essayés : NAS_SYNCD_WATCH=poll s’en passe",
    "doctor.skipped.instances": "Événements non essayés : plus aucune instance inotify libre",
    "doctor.skipped.nas_path": "Non vérifié : aucun chemin du NAS n’est réglé, ou il est refusé",
    "doctor.skipped.nas": "L’écriture n’a pas été essayée : le NAS est inutilisable",
    "doctor.skipped.full": "L’écriture n’a pas été essayée : le NAS est plein",
    "doctor.skipped.not_paired": (
        "L’écriture n’a pas été essayée : cette installation n’a encore jamais démarré ; "
        "« nas-syncd test » l’essaie"
    ),
    "doctor.skipped.no_manager": "Pas de gestionnaire de services ici[[ ({detail})]]",
    "doctor.skipped.container_clock": "Dans un conteneur, c’est l’hôte qui tient l’heure",
    # -- le programme
    "doctor.settings.notify": "Adresses de notification comprises : {schemes}",
    "doctor.settings.notify_refused": (
        "L’adresse n° {number} de NAS_SYNCD_NOTIFY_URLS ({scheme}://…) est inutilisable"
        "[[ : {detail}]]"
    ),
    "doctor.interpreter.version": (
        "nas-syncd {version}, Python {python}, {libraries} ; lancé par {user}"
    ),
    "doctor.interpreter.extras": (
        "Compléments installés : {installed}[[ ; non installés : {missing}]]"
    ),
    "doctor.interpreter.lacks_api": "La page et l’API HTTP ne sont pas installées",
    "doctor.interpreter.lacks_notify": (
        "NAS_SYNCD_NOTIFY_URLS est réglé, mais apprise n’est pas installé"
    ),
    # -- les réglages
    "doctor.settings.source": "{path} ({count} réglés, environnement compris)",
    "doctor.settings.environment": "Pas de fichier de réglages ; {count} dans l’environnement",
    "doctor.settings.refused": "{detail}",
    "doctor.settings.file": "{detail}",
    "doctor.settings.required": "{name} est vide : {allowed}",
    "doctor.settings.rights": (
        "Tout le monde sur cette machine peut lire {names} dans {path} ({mode})"
    ),
    "doctor.settings.rights_ok": "Droits du fichier de réglages : {mode}",
    "doctor.settings.files": "Seul {path} est lu ; présents aussi, et ignorés : {others}",
    # -- le dossier d’état
    "doctor.state.network": "Le dossier d’état est sur un partage réseau ({file_system}) : {path}",
    "doctor.state.hangs": "Le dossier d’état ne répond pas ({file_system}) : {path}",
    "doctor.state.forgetful": (
        "Le dossier d’état est en mémoire ({file_system}), perdu au redémarrage : {path}"
    ),
    "doctor.state.container": "Le dossier d’état disparaît avec le conteneur : {path}",
    "doctor.state.file_system": "Sur un disque de cette machine ({file_system})",
    "doctor.state.no_folder": "Le dossier d’état n’est pas un dossier : {path}",
    "doctor.state.to_be_made": "{path} sera créé au premier démarrage",
    "doctor.state.cannot_be_made": "{user} ne peut pas créer le dossier d’état {path} dans {above}",
    "doctor.state.denied": (
        "{user} ne peut pas écrire dans le dossier d’état {path} (à {owner}, {mode})"
    ),
    "doctor.state.anothers": "{path} est à {owner}, mais le docteur est appelé par {user}",
    "doctor.state.open": "Tout le monde peut écrire dans le dossier d’état {path} ({mode})",
    "doctor.state.folder": "{path}, accessible en écriture",
    "doctor.state.full": "Le disque du dossier d’état est plein : {free} libres",
    "doctor.state.little": "Peu d’espace pour le dossier d’état : {free} libres",
    "doctor.state.no_journal": "Pas encore de journal : cette installation n’a jamais démarré",
    "doctor.state.journal": "Journal sain, {size}",
    "doctor.state.journal_unchecked": (
        "Journal lisible, {size} ; trop gros pour être vérifié en {seconds}"
    ),
    "doctor.state.journal_broken": "Le journal est inutilisable[[ : {detail}]] ({path})",
    "doctor.state.journal_refused": "{user} ne peut pas ouvrir le journal[[ : {detail}]] ({path})",
    "doctor.state.journal_in_use": "Quelqu’un tient le journal verrouillé[[ : {detail}]] ({path})",
    "doctor.state.journal_newer": "Le journal vient d’un nas-syncd plus récent (version {number})",
    # -- la base
    "doctor.database.driver": "{detail}",
    "doctor.database.file_hangs": "Le dossier de la base ne répond pas ({file_system}) : {path}",
    "doctor.database.file_network": "La base est sur un partage réseau ({file_system}) : {path}",
    "doctor.database.unreachable": "La base de données ne répond pas ({url})[[ : {detail}]]",
    "doctor.database.no_file": "Le fichier de la base n’existe pas : {path}",
    "doctor.database.file_refused": (
        "Le fichier de la base est inutilisable : {path}[[ ({detail})]]"
    ),
    "doctor.database.far": "{url} répond lentement : {milliseconds} ms par question",
    "doctor.database.reach": "{url} répond en {milliseconds} ms",
    "doctor.database.table_unread": "La table {table} ne peut pas être examinée[[ : {detail}]]",
    "doctor.database.no_table": "Il n’y a pas de table {table}[[ (peut-être : {similar})]]",
    "doctor.database.columns_missing": "Il manque à la table {table} : {missing}",
    "doctor.database.unfit": "La table {table} ne convient pas[[ : {detail}]]",
    "doctor.database.table": "Table {table}, {columns} des {known} colonnes que nous connaissons",
    "doctor.database.without_original_name": (
        "Pas de colonne {column} : les documents sont nommés par leur seul identifiant"
    ),
    "doctor.database.without_processing_status": (
        "Pas de colonne {column} : un document est classé sans attendre son analyse"
    ),
    "doctor.database.perhaps_original_name": (
        "Pas de colonne {column} : les documents sont nommés par leur seul identifiant. "
        "Serait-ce {similar} ?"
    ),
    "doctor.database.perhaps_processing_status": (
        "Pas de colonne {column} : un document est classé sans attendre son analyse. "
        "Serait-ce {similar} ?"
    ),
    "doctor.database.no_select": "Lecture refusée dans la table {table}[[ : {detail}]]",
    "doctor.database.locked": "La table {table} reste verrouillée par quelqu’un[[ : {detail}]]",
    "doctor.database.no_update": "Écriture refusée[[ de {columns}]] dans la table {table}",
    "doctor.database.read_only": "La base n’est accessible qu’en lecture[[ : {detail}]]",
    "doctor.database.file_read_only": "Le fichier de la base nous est fermé en écriture : {path}",
    "doctor.database.folder_read_only": (
        "Le dossier de la base nous est fermé en écriture, or SQLite en a besoin : {folder}"
    ),
    "doctor.database.policies": (
        "Des règles de lignes (RLS) nous cachent des documents de la table {table}"
    ),
    "doctor.database.rights": "Lecture permise, et écriture des deux colonnes aussi",
    "doctor.database.rows": (
        "Documents : {total}, marqués : {marked}, à faire : {pending}"
        "[[ ; marque à NULL, comptée comme absente : {nulls}]]"
    ),
    "doctor.database.slow_rows": "Les documents n’ont pas pu être comptés[[ : {detail}]]",
    "doctor.database.index": "Un index mène à ce qui reste à faire (documents : {total})",
    "doctor.database.no_index": (
        "Aucun index ne mène à ce qui reste à faire (documents : {total})"
    ),
    "doctor.database.marks": "Personne d’autre ne pose la marque",
    "doctor.database.others_mark": (
        "Quelqu’un d’autre pose synced_to_nas ; documents depuis notre premier démarrage : "
        "{count}, le dernier le {at} (ids : {ids})"
    ),
    # -- le dossier des documents
    "doctor.uploads.hung": "Le dossier des documents ne répond pas en {seconds} : {path}",
    "doctor.uploads.missing": "Le dossier des documents n’existe pas : {path}",
    "doctor.uploads.denied": "{user} n’a pas le droit de lire le dossier des documents : {path}",
    "doctor.uploads.error": "Le dossier des documents est illisible : {path}[[ ({detail})]]",
    "doctor.uploads.folder": "{path}",
    "doctor.uploads.local": "Le système y annonce les nouveaux fichiers[[ ({file_system})]]",
    "doctor.uploads.docker_desktop": (
        "Docker Desktop n’annonce pas forcément tout nouveau fichier ; le parcours trouve le reste"
    ),
    "doctor.uploads.polled": (
        "Parcouru toutes les deux secondes, comme le veut NAS_SYNCD_WATCH=poll"
    ),
    "doctor.uploads.remote": (
        "Pas d’événements sur {file_system} : il est parcouru toutes les deux secondes à la place"
    ),
    "doctor.uploads.remote_native": (
        "NAS_SYNCD_WATCH=native, mais {file_system} ne donne pas d’événements"
    ),
    "doctor.uploads.slow": "Le dossier des documents n’est pas parcouru en {seconds} : {path}",
    "doctor.uploads.unreadable": "{user} n’a pas le droit d’y lire des fichiers, tel {example}",
    "doctor.uploads.closed_folders": (
        "{user} n’a pas le droit d’y lire des dossiers ({count} en tout)"
    ),
    "doctor.uploads.files": (
        "Lisible (fichiers : {files}, dossiers : {folders}), parcouru en {seconds}"
    ),
    "doctor.uploads.events": "Le système a annoncé {example}",
    "doctor.uploads.no_events": "Un fichier est arrivé, et le système n’a rien annoncé : {path}",
    "doctor.uploads.probe_failed": (
        "Le dossier des documents n’a pas pu être observé[[ : {detail}]]"
    ),
    # -- l’observation
    "doctor.watching.instances": (
        "Plus aucune instance inotify libre pour cet utilisateur (limite : {limit})"
    ),
    "doctor.watching.crowded": (
        "Dossiers à observer : {folders} ; la limite du système est de {limit}"
    ),
    "doctor.watching.watches": "Dossiers à observer : {folders} ; {limit} sont possibles",
    "doctor.watching.no_place": "Impossible de créer un fichier d’essai ici[[ : {detail}]]",
    "doctor.watching.canary": "Les nouveaux fichiers sont annoncés ici, en {milliseconds} ms",
    "doctor.watching.deaf": (
        "Le système n’annonce aucun nouveau fichier, pas même le nôtre[[ : {detail}]]"
    ),
    # -- le NAS
    "doctor.mount.identity": "C’est bien notre NAS : {source} ({file_system}) sur {path}",
    "doctor.mount.local": (
        "C’est bien notre NAS, associé comme disque local ({file_system}) : {path}"
    ),
    "doctor.mount.unpaired": (
        "Le repère d’un NAS est là, {source} ({file_system}) ; il devient le nôtre au démarrage"
    ),
    "doctor.mount.unpaired_local": (
        "Le repère d’un NAS est là, mais {path} est un disque local ({file_system})"
    ),
    "doctor.mount.options": "Options de montage comme il faut ({file_system})",
    "doctor.mount.option.nostrictsync": (
        "{option} : le NAS n’est jamais prié de vider son cache, rien ne prouve donc qu’une copie "
        "est sur son disque"
    ),
    "doctor.mount.option.cifs_hard": (
        "{option} : quand le NAS est absent, les processus y attendent sans fin, impossibles à tuer"
    ),
    "doctor.mount.option.cache_loose": (
        "{option} : ce qui est relu peut venir de la mémoire de cette machine et non du NAS"
    ),
    "doctor.mount.option.local_cache": (
        "{option} : ce qui est relu peut venir du disque de cette machine et non du NAS"
    ),
    "doctor.mount.option.smb1": "{option} : SMB 1 est ancien et n’est pas sûr",
    "doctor.mount.option.anonymous": (
        "{option} : monté sans utilisateur, n’importe qui peut donc tout lire"
    ),
    "doctor.mount.option.echo": "{option} : un NAS disparu est remarqué tard",
    "doctor.mount.option.nfs_soft": (
        "{option} : un appel qui abandonne peut abîmer ce qui est écrit (nfs(5))"
    ),
    "doctor.mount.option.nfs_nocto": "{option} : ce qui change sur le NAS est remarqué tard",
    "doctor.mount.propagation": "Ce que l’hôte monte à nouveau se verra dans ce conteneur",
    "doctor.mount.no_propagation": (
        "Ce que l’hôte monte à nouveau sur {path} ne se verra pas dans ce conteneur"
    ),
    "doctor.mount.full": (
        "Le NAS est plein : {free} libres, {needed} voulus (NAS_SYNCD_MIN_FREE_SPACE)"
    ),
    "doctor.mount.little": "Le NAS est presque plein : {free} libres sur {total_bytes}",
    "doctor.mount.space": "{free} libres sur {total_bytes}",
    "doctor.mount.slow": "Écrit jusqu’au disque et relu, mais lentement : {milliseconds} ms",
    "doctor.mount.write": "Écrit jusqu’au disque et relu en {milliseconds} ms",
    "doctor.mount.rename": "Un renommage ne remplace jamais un fichier (RENAME_NOREPLACE)",
    "doctor.mount.claims": (
        "Pas de renommage exclusif partout : les noms sont d’abord réservés par un fichier"
    ),
    "doctor.mount.other_bytes": "Le NAS a rendu d’autres octets que ceux écrits[[ : {detail}]]",
    # -- le démon
    "doctor.daemon.forbidden": "Un démon tourne, mais son socket est fermé à cet utilisateur",
    "doctor.daemon.not_running": "Aucun démon ne tourne sur ce dossier d’état",
    "doctor.daemon.silent": "Un démon tourne (processus {pid}), mais ne répond pas",
    "doctor.daemon.other_version": "Le démon est en {version}, cette commande en {ours}",
    "doctor.daemon.other_settings": (
        "Le démon travaille avec d’autres dossiers : NAS {nas}, documents {uploads}"
    ),
    "doctor.daemon.running": "Tourne (processus {pid}, {version})[[ depuis le {since}]]",
    "doctor.daemon.api": "La page et l’API répondent sur {host}, port {port}",
    "doctor.daemon.port_free": "Le port {port} est libre pour la page et l’API",
    "doctor.daemon.port_taken": "Un autre programme occupe {host}, port {port}",
    "doctor.daemon.api_silent": "Qui occupe {host}, port {port}, ne répond pas",
    "doctor.daemon.no_api": "Le démon tourne, mais personne n’écoute sur {host}, port {port}",
    # -- le service
    "doctor.service.not_installed": "Pas installé comme service de {manager}",
    "doctor.service.not_running": (
        "Installé comme service de {manager}, mais ne tourne pas[[ : {detail}]]"
    ),
    "doctor.service.running": "Service de {manager}[[ ({scope})]], en marche[[ depuis le {since}]]",
    # -- l’horloge
    "doctor.clock.absurd": "Cette machine croit que nous sommes le {at}",
    "doctor.clock.date": "{at}",
    "doctor.clock.zone": "Le fuseau horaire {zone} n’existe pas ici : UTC le remplace",
    "doctor.clock.synchronised": "Mise à l’heure par le réseau",
    "doctor.clock.unsynchronised": "Personne ne met l’horloge de cette machine à l’heure",
    "doctor.clock.database": "La même sur le serveur de la base, à {seconds} près",
    "doctor.clock.database_ahead": "L’horloge du serveur de la base avance de {seconds}",
    "doctor.clock.database_behind": "L’horloge du serveur de la base retarde de {seconds}",
    "doctor.clock.nas": "La même sur le NAS, à {seconds} près",
    "doctor.clock.nas_ahead": "L’horloge du NAS avance de {seconds}",
    "doctor.clock.nas_behind": "L’horloge du NAS retarde de {seconds}",
}
