"""Ce qu’il faut faire de ce que trouve le docteur, en français ; le reste : :mod:`.doctor_fr`."""

from __future__ import annotations

_AS_THE_USER = "Appelez le docteur sous l’utilisateur du démon (sudo -u NOM nas-syncd doctor)."
_REMOUNT = "Retirez-la des options de montage, puis remontez le partage (docs/linux.md)."
_CLOCKS = "Mettez les deux à l’heure par le réseau (NTP)."
_MAP = "Si oui : {setting}"

REMEDIES: dict[str, str] = {
    "doctor.failed": (
        "C’est une erreur de nas-syncd lui-même : signalez-la, avec cette ligne, s’il vous plaît."
    ),
    "doctor.deadline": (
        "Regardez ce que ce contrôle interroge : un disque, un serveur ou un réseau qui ne répond "
        "pas. Puis rappelez le docteur."
    ),
    "doctor.interpreter.lacks_api": (
        "{executable} -m pip install 'nas-syncd[api]', ou NAS_SYNCD_API_PORT=0 pour s’en passer."
    ),
    "doctor.settings.notify_refused": (
        "Comparez-la à la page du service dans la documentation d’Apprise, puis : nas-syncd test "
        "--notify."
    ),
    "doctor.interpreter.lacks_notify": "{executable} -m pip install 'nas-syncd[notify]'.",
    "doctor.settings.refused": (
        "Corrigez-le[[ dans {path}]] ; le démon ne démarre pas avec cette valeur."
    ),
    "doctor.settings.file": (
        "Vérifiez son nom, ou appelez le docteur sous un utilisateur qui peut le lire "
        "(sudo -u NOM nas-syncd doctor)."
    ),
    "doctor.settings.required": "Réglez {name} ; config.example.env l’explique.",
    "doctor.settings.rights": "chmod o= '{path}', et chown à l’utilisateur du démon.",
    "doctor.settings.files": (
        "Gardez-en un seul, ou nommez-le : --env-file FICHIER. Le démon non plus ne lit que le "
        "premier."
    ),
    "doctor.state.network": (
        "Mettez dans NAS_SYNCD_STATE_DIR un dossier d’un disque de cette machine : sur un partage "
        "réseau, le journal s’abîme."
    ),
    "doctor.state.hangs": (
        "Mettez dans NAS_SYNCD_STATE_DIR un dossier d’un disque de cette machine."
    ),
    "doctor.state.forgetful": (
        "Mettez dans NAS_SYNCD_STATE_DIR un dossier d’un disque, sinon toutes les marques sont à "
        "prouver de nouveau après chaque redémarrage."
    ),
    "doctor.state.container": "Mettez-y un volume, pour que le journal survive au conteneur.",
    "doctor.state.no_folder": "Déplacez ce qui s’y trouve, ou réglez NAS_SYNCD_STATE_DIR.",
    "doctor.state.cannot_be_made": "sudo install -d -m 700 -o {user} '{path}'",
    "doctor.state.denied": f"sudo chown -R {{user}} '{{path}}', si le démon tourne sous {{user}}. "
    f"Sinon : {_AS_THE_USER[0].lower()}{_AS_THE_USER[1:]}",
    "doctor.state.anothers": (
        f"{_AS_THE_USER} Ce qui est dit ici des droits ne vaut que pour {{user}}."
    ),
    "doctor.state.open": "chmod go-w '{path}'",
    "doctor.state.full": "Libérez de l’espace sur ce disque : sans lui, rien ne peut être copié.",
    "doctor.state.little": "Libérez de l’espace sur ce disque.",
    "doctor.state.journal_broken": (
        "Arrêtez le démon et sortez les fichiers du journal du dossier d’état (gardez-les). "
        "Puis démarrez : « nas-syncd sync --inherited » prouve de nouveau toutes les marques. "
        "Vérifiez le disque."
    ),
    "doctor.state.journal_refused": (
        "Vérifiez le propriétaire et les droits des fichiers du dossier d’état, et l’espace libre "
        "du disque. N’y supprimez rien."
    ),
    "doctor.state.journal_in_use": (
        "Rappelez le docteur. Si cela dure, cherchez une sauvegarde ou un autre programme qui le "
        "tient ouvert (fuser '{path}')."
    ),
    "doctor.state.journal_newer": "Installez le nas-syncd qui l’a écrit, ou un plus récent.",
    "doctor.database.driver": "Corrigez DATABASE_URL, ou installez ce qui est indiqué.",
    "doctor.database.file_hangs": "Vérifiez le disque ou le serveur qui porte ce dossier.",
    "doctor.database.file_network": (
        "Les verrous de SQLite ne tiennent pas sur un partage réseau : mettez la base sur un "
        "disque de la machine où tourne l’application, ou passez à PostgreSQL."
    ),
    "doctor.database.unreachable": (
        "Démarrez la base ; vérifiez hôte, port, nom et mot de passe dans DATABASE_URL. "
        "Les copies vérifiées entre-temps sont gardées et marquées plus tard."
    ),
    "doctor.database.no_file": (
        "Vérifiez le chemin dans DATABASE_URL (un chemin absolu a quatre barres : "
        "sqlite:////chemin). nas-syncd ne crée jamais la base."
    ),
    "doctor.database.file_refused": (
        "Donnez à l’utilisateur du démon le droit de lire et d’écrire ce fichier et son dossier, "
        "et vérifiez que c’est une base SQLite."
    ),
    "doctor.database.far": "Regardez le réseau vers le serveur de la base, et sa charge.",
    "doctor.database.table_unread": (
        "Donnez à notre utilisateur de la base le droit de la voir, et vérifiez que la base est "
        "saine."
    ),
    "doctor.database.no_table": (
        "Réglez NAS_SYNCD_DB_TABLE[[={similar}]] (ou schéma.table), "
        "et vérifiez que DATABASE_URL désigne la base de l’application."
    ),
    "doctor.database.columns_missing": (
        "Si elles ont d’autres noms : {setting}. Sinon, ajoutez-les dans l’application."
    ),
    "doctor.database.unfit": "Vérifiez NAS_SYNCD_DB_TABLE et NAS_SYNCD_DB_COLUMNS.",
    "doctor.database.perhaps_original_name": _MAP,
    "doctor.database.perhaps_processing_status": _MAP,
    "doctor.database.no_select": "En tant que propriétaire de la base : {sql}",
    "doctor.database.locked": (
        "Cherchez une longue transaction de l’application. Les marques sont posées à sa fin."
    ),
    "doctor.database.no_update": "En tant que propriétaire de la base : {sql}",
    "doctor.database.read_only": (
        "DATABASE_URL doit désigner le serveur où l’on écrit, et non sa réplique."
    ),
    "doctor.database.file_read_only": (
        "Donnez à l’utilisateur du démon le droit d’écrire : chmod g+w '{path}', "
        "avec un groupe commun."
    ),
    "doctor.database.folder_read_only": (
        "Donnez à l’utilisateur du démon le droit d’y écrire : chmod g+w '{folder}', "
        "avec un groupe commun."
    ),
    "doctor.database.policies": (
        "Donnez à notre utilisateur de la base une règle qui lui montre et lui laisse modifier "
        "chaque ligne, ou BYPASSRLS."
    ),
    "doctor.database.slow_rows": "Regardez la charge de la base, puis rappelez le docteur.",
    "doctor.database.no_index": (
        "En tant que propriétaire de la base, quand cela vous arrange : {sql}"
    ),
    "doctor.database.others_mark": (
        "Le plus souvent, l’ancienne synchronisation de l’application est restée active : "
        "désactivez-la, et remplacez son nas_sync_service.py par le nôtre (docs/backend.md). "
        "Ou bien un second nas-syncd, avec son propre journal, marque aussi. "
        "« nas-syncd sync --inherited » vérifie ces documents sur le NAS."
    ),
    "doctor.uploads.hung": (
        "Vérifiez le disque ou le serveur qui porte ce dossier. Rien n’est perdu."
    ),
    "doctor.uploads.missing": "Vérifiez UPLOAD_DIR, et que son disque ou son partage est monté.",
    "doctor.uploads.denied": (
        "Donnez à {user} le droit de le lire : un groupe commun avec l’application, puis "
        "chmod g+rX '{path}' ; regardez aussi les dossiers au-dessus."
    ),
    "doctor.uploads.error": "Vérifiez UPLOAD_DIR : le dossier doit exister et être lisible.",
    "doctor.uploads.remote_native": "NAS_SYNCD_WATCH=poll, ou auto.",
    "doctor.uploads.slow": (
        "Rien n’est perdu : la base annonce les nouveaux documents. Vérifiez le disque ; "
        "un NAS_SYNCD_SCAN_SECONDS plus grand le ménage."
    ),
    "doctor.uploads.unreadable": (
        "Que l’application écrive des fichiers lisibles par {user} : un groupe commun et umask 027."
    ),
    "doctor.uploads.closed_folders": (
        "Que l’application crée des dossiers lisibles par {user} : un groupe commun et umask 027."
    ),
    "doctor.uploads.no_events": "NAS_SYNCD_WATCH=poll : le dossier est alors parcouru.",
    "doctor.uploads.probe_failed": "NAS_SYNCD_WATCH=poll se passe d’événements.",
    "doctor.watching.instances": (
        "sudo sysctl fs.inotify.max_user_instances={wanted}, ou NAS_SYNCD_WATCH=poll. "
        "Rien n’est perdu entre-temps, le dossier est parcouru."
    ),
    "doctor.watching.crowded": (
        "sudo sysctl fs.inotify.max_user_watches={wanted}, ou NAS_SYNCD_WATCH=poll. "
        "Rien n’est perdu entre-temps, le dossier est parcouru."
    ),
    "doctor.watching.no_place": (
        "Vérifiez droits et espace libre de NAS_SYNCD_STATE_DIR et de TMPDIR."
    ),
    "doctor.watching.deaf": (
        "NAS_SYNCD_WATCH=poll. Rien n’est perdu entre-temps, le dossier est parcouru."
    ),
    "doctor.mount.unpaired_local": (
        "Montez-y le partage. Seulement si un disque local est voulu : « nas-syncd adopt »."
    ),
    "doctor.mount.option.nostrictsync": _REMOUNT,
    "doctor.mount.option.cifs_hard": (
        "Mettez plutôt soft,echo_interval=10, puis remontez le partage (docs/linux.md)."
    ),
    "doctor.mount.option.cache_loose": (
        "Mettez plutôt cache=strict, puis remontez le partage (docs/linux.md)."
    ),
    "doctor.mount.option.local_cache": _REMOUNT,
    "doctor.mount.option.smb1": "Mettez plutôt vers=3.1.1, et désactivez SMB 1 sur le NAS.",
    "doctor.mount.option.anonymous": (
        "Créez sur le NAS un utilisateur qui n’a de droits que sur ce dossier, et utilisez "
        "credentials=FICHIER."
    ),
    "doctor.mount.option.echo": (
        "Mettez echo_interval=10, puis remontez le partage (docs/linux.md)."
    ),
    "doctor.mount.option.nfs_soft": "Mettez plutôt hard (ou softerr), puis remontez le partage.",
    "doctor.mount.option.nfs_nocto": _REMOUNT,
    "doctor.mount.no_propagation": (
        "Dans le fichier compose, prenez la forme longue du volume avec bind: propagation: rslave "
        "et create_host_path: false (docs/docker.md) ; puis recréez le conteneur."
    ),
    "doctor.mount.full": (
        "Libérez de l’espace sur le NAS, aussi dans sa corbeille et ses instantanés ; "
        "la copie reprend ensuite d’elle-même."
    ),
    "doctor.mount.little": (
        "Libérez de l’espace avant que la copie ne s’interrompe, aussi dans la corbeille et les "
        "instantanés du NAS."
    ),
    "doctor.mount.slow": (
        "Un NAS en veille prend son temps : réessayez. S’il reste lent, regardez le réseau et la "
        "charge du NAS."
    ),
    "doctor.mount.other_bytes": (
        "Ne vous fiez pas à ce NAS : vérifiez ses disques (SMART, scrub), sa mémoire et le réseau. "
        "Rien n’est marqué tant que cela dure."
    ),
    "doctor.daemon.forbidden": (
        "sudo nas-syncd doctor, ou devenez membre du groupe du service (docs/linux.md)."
    ),
    "doctor.daemon.not_running": "Démarrez le service, ou « nas-syncd run ».",
    "doctor.daemon.silent": (
        "Attendez une minute s’il vient de démarrer. Sinon, redémarrez-le : « nas-syncd logs » dit "
        "ce qu’il a fait en dernier. Une ancienne version est à redémarrer après une mise à jour."
    ),
    "doctor.daemon.other_version": (
        "Redémarrez le service, pour qu’il soit à la version installée."
    ),
    "doctor.daemon.other_settings": (
        "Redémarrez le service si les réglages ont changé, ou donnez au docteur les réglages du "
        "démon : --env-file FICHIER."
    ),
    "doctor.daemon.port_taken": (
        "Arrêtez l’autre programme, ou choisissez un autre NAS_SYNCD_API_PORT : "
        "ss -ltnp 'sport = :{port}' le nomme."
    ),
    "doctor.daemon.api_silent": (
        "Si c’est nas-syncd, redémarrez le service. ss -ltnp 'sport = :{port}' nomme le programme."
    ),
    "doctor.daemon.no_api": "« nas-syncd logs --level warning » dit pourquoi (api.unavailable).",
    "doctor.service.not_installed": (
        "« nas-syncd service install » : sinon, personne ne le démarre après un redémarrage."
    ),
    "doctor.service.not_running": (
        "« nas-syncd service status » et « nas-syncd logs » disent pourquoi."
    ),
    "doctor.clock.absurd": (
        "Mettez l’horloge à l’heure (sudo timedatectl set-ntp true) : "
        "les dates et les âges en dépendent."
    ),
    "doctor.clock.zone": "Corrigez la variable TZ, ou installez le paquet tzdata.",
    "doctor.clock.unsynchronised": "sudo timedatectl set-ntp true",
    "doctor.clock.database_ahead": _CLOCKS,
    "doctor.clock.database_behind": _CLOCKS,
    "doctor.clock.nas_ahead": _CLOCKS,
    "doctor.clock.nas_behind": _CLOCKS,
}
