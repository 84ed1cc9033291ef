"""The command line's words in French; the other half of the catalogue is in :mod:`.fr`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- the command itself
    "cli.failed": "nas-syncd : {text}",
    "cli.usage": "Commande mal formée[[ : {text}]]",
    "cli.declined": "{text}",
    "cli.sentence": "{text}.",
    "cli.pair": "{label} : {value}",
    "cli.quoted": "« {text} »",
    "cli.daemon_needed": (
        "Cet utilisateur ne peut pas lire les réglages[[ : {path}]], et aucun démon nas-syncd ne "
        "répond pour faire le travail. Démarrez le service, ou lancez la commande avec un "
        "utilisateur qui peut les lire (sudo)"
    ),
    "cli.daemon_forbidden": (
        "Cet utilisateur ne peut pas utiliser la prise du démon[[ : {path}]]. Entrez dans le "
        "groupe du service (sudo usermod -aG {group} NOM, puis reconnectez-vous), ou "
        "utilisez sudo"
    ),
    "cli.daemon_gone": (
        "Le démon s’est arrêté entre-temps. Redémarrez le service, puis relancez la commande"
    ),
    "cli.answered": "{text}",
    # -- help
    "help": "Met chaque document en sécurité sur le NAS, et peut le prouver",
    "help.example_heading": "Exemple :",
    "help.example": "nas-syncd status",
    "help.commands": "Commandes",
    "help.help": "Affiche cette aide.",
    "help.version": "Affiche la version.",
    "help.more": "D’abord « nas-syncd adopt », puis « nas-syncd test », puis « nas-syncd run ».",
    "help.install_completion": "Installe la complétion pour le shell en cours.",
    "help.show_completion": "Affiche la complétion pour le shell en cours.",
    "help.any.env_file": "Fichier de réglages à lire au lieu des fichiers habituels.",
    "help.any.as_json": "Réponse en JSON, aux clés stables.",
    "help.any.user": "Les documents de cet utilisateur seulement.",
    "help.run": "Lance le démon, au premier plan",
    "help.run.example": "nas-syncd run --env-file /etc/nas-syncd/config.env",
    "help.run.more": (
        "Ctrl-C ou SIGTERM l’arrête en moins de dix secondes ; SIGHUP lui fait relire ses réglages."
    ),
    "help.demo": "Montre le démon à l’œuvre sur des documents d’exemple",
    "help.demo.example": "nas-syncd demo --seconds 20",
    "help.demo.more": "Rien n’est écrit hors de son dossier.",
    "help.demo.seconds": "Durée, à peu près.",
    "help.demo.folder": "Dossier où la démonstration a lieu.",
    "help.demo.keep": "Garde le dossier à la fin.",
    "help.adopt": "Associe cette installation au NAS qui est monté",
    "help.adopt.example": "nas-syncd adopt /mnt/nas",
    "help.adopt.more": (
        "Un petit repère est écrit sur le NAS, qui le fait reconnaître ensuite. Un repère "
        "déjà présent est gardé."
    ),
    "help.adopt.path": "Dossier où le partage est monté, si les réglages ne le disent pas.",
    "help.adopt.yes": "Ne pose aucune question.",
    "help.adopt.new_nas": "Accepte un autre NAS que celui déjà connu.",
    "help.test": "Écrit, relit et efface un fichier d’essai sur le NAS",
    "help.test.example": "nas-syncd test --json",
    "help.config": "Montre les réglages, leur origine et l’état du NAS",
    "help.config.example": "nas-syncd config",
    "help.status": "Dit combien de documents sont en sécurité, et ce qui ne va pas",
    "help.status.example": "nas-syncd status --user 3",
    "help.status.more": (
        "Avec --watch le tableau reste à jour jusqu’à Ctrl-C (code de sortie 0) ; dans un fichier "
        "ou un tube s’écrit une ligne à chaque changement, avec --json un objet par ligne."
    ),
    "help.status.watch": "Garde le tableau à jour dans le terminal, jusqu’à Ctrl-C.",
    "help.sync": "Copie maintenant ce qui ne l’est pas encore",
    "help.sync.example": "nas-syncd sync 42 43",
    "help.sync.more": (
        "Sans identifiant : tous les documents non marqués. Un essai qui attendait est "
        "repris aussitôt."
    ),
    "help.sync.ids": "Identifiants des documents.",
    "help.sync.everything": "Tous les documents non marqués (aussi avec --inherited).",
    "help.sync.inherited": "Vérifie en lisant le NAS ce qu’un autre outil a marqué.",
    "help.sync.dry_run": "Montre seulement ce qui serait fait.",
    "help.explain": "Dit tout d’un document : où il en est, pourquoi, et la suite",
    "help.explain.example": "nas-syncd explain 42",
    "help.explain.wanted": "Identifiant du document, ou chemin de son fichier.",
    "help.logs": "Lit et suit le journal d’activité",
    "help.logs.example": "nas-syncd logs -f --document 42",
    "help.logs.more": (
        "Le journal est trouvé tout seul : le fichier de NAS_SYNCD_LOG_FILE, sinon le journal de "
        "systemd, sinon ce que le démon en marche a retenu."
    ),
    "help.logs.follow": "Attend et montre la suite, jusqu’à Ctrl-C.",
    "help.logs.document": "Ce document seulement.",
    "help.logs.level": "À partir de ce niveau : debug, info, warning, error.",
    "help.logs.since": "Depuis ce moment : 10m, 2h, 3d ou 2024-01-15T14:30.",
    "help.logs.lines": (
        "Les N dernières lignes, ou « all ». Par défaut 100 ; toutes avec --since, --document "
        "ou --json."
    ),
    # -- labels
    "label.path": "Chemin",
    "label.file_system": "Système de fichiers",
    "label.source": "Source",
    "label.free": "Espace libre",
    "label.free_of": "{left} sur {total}",
    "label.marker": "Repère",
    "label.known_nas": "NAS déjà connu",
    "label.setting": "Réglage",
    "label.value": "Valeur",
    "label.origin": "Origine",
    "label.documents": "Documents",
    "label.synced": "Marqués",
    "label.pending": "À copier",
    "label.last_sync": "Dernière copie",
    "label.waiting": "En attente",
    "label.problems": "Problèmes",
    "label.inherited": "Hérités",
    "label.nas": "NAS",
    "label.uploads": "Dossier des documents",
    "label.daemon": "Démon",
    "label.next": "La suite",
    "label.row": "Ligne",
    "label.file": "Fichier",
    "label.destination": "Destination",
    "label.otherwise": "Si c’est pris",
    "label.receipt": "Reçu",
    "label.journal": "État",
    "label.next_attempt": "Prochain essai",
    # -- adopt
    "adopt.network": "partage réseau",
    "adopt.local": "dossier de cette machine, pas un partage réseau",
    "adopt.no_marker": "aucun",
    "adopt.ask.local": "{path} n’est pas un partage réseau. L’associer quand même ?",
    "adopt.ask.another": (
        "Le plus souvent, le partage habituel n’est simplement pas monté. Remplacer vraiment "
        "le NAS connu par ce qui est sous {path} ?"
    ),
    "adopt.ask.changed": (
        "C’est bien notre NAS, mais sur un autre système de fichiers ({was} auparavant, "
        "{now} maintenant). Est-ce voulu ?"
    ),
    "adopt.another": (
        "Le plus souvent, le partage habituel n’est simplement pas monté : montez-le, tout "
        "reprend de soi-même. Sous {path} se trouve autre chose que le NAS connu (connu : "
        "{expected}[[, trouvé : {found}]]). Seulement si vous changez vraiment de NAS : "
        "ajoutez --new-nas"
    ),
    "adopt.choice": "[o/N]",
    "adopt.nobody": "{question} Personne ne peut répondre ici : relancez avec --yes si c’est voulu",
    "adopt.nothing_done": "Rien n’a été fait",
    "adopt.done.known": "Ce NAS est déjà associé ({nas}) : {path}",
    "adopt.done.first": "NAS associé, repère écrit ({nas}) : {path}",
    "adopt.done.join": "NAS associé, son repère est gardé ({nas}) : {path}",
    "adopt.done.changed": "NAS confirmé ({nas}) : {path}",
    "adopt.done.other": "Nouveau NAS associé, son repère est gardé ({nas}) : {path}",
    "adopt.done.bare": "Nouveau NAS associé, repère écrit ({nas}) : {path}",
    "adopt.inherited.one": (
        "{count} document est marqué sans preuve sur ce NAS. « nas-syncd sync --inherited » "
        "lit le NAS : mêmes octets, c’est prouvé ; sinon le document est copié de nouveau"
    ),
    "adopt.inherited.many": (
        "{count} documents sont marqués sans preuve sur ce NAS. « nas-syncd sync "
        "--inherited » lit le NAS : mêmes octets, c’est prouvé ; sinon le document est copié "
        "de nouveau"
    ),
    "adopt.not_counted": "Les documents déjà marqués n’ont pas pu être comptés : {text}",
    "adopt.set": "Écrivez maintenant ce chemin dans les réglages : {name}={path}",
    "config.not_ours": "Les réglages sont ceux du service, que cet utilisateur ne peut pas lire",
    # -- status
    "status.none": "Aucun document pour l’instant",
    "status.all_safe.one": "Le document est en sécurité sur le NAS",
    "status.all_safe.many": "Les {count} documents sont en sécurité sur le NAS",
    "status.inherited.one": "Tout est marqué, mais {count} document sans preuve de notre part",
    "status.inherited.many": "Tout est marqué, mais {count} documents sans preuve de notre part",
    "status.pending.one": "{synced} documents sur {total} sont marqués, {count} reste à copier",
    "status.pending.many": "{synced} documents sur {total} sont marqués, {count} restent à copier",
    "status.wait.one": "{count} document attend",
    "status.wait.many": "{count} documents attendent",
    "status.hint.waiting": "leur fichier, leur analyse, le NAS ou un nouvel essai",
    "status.hint.problems": "à regarder : « nas-syncd explain ID »",
    "status.hint.inherited": "marqués par ailleurs, non vérifiés : « nas-syncd sync --inherited »",
    "status.daemon": "en marche (processus {pid})",
    "status.no_daemon": "arrêté : « nas-syncd run » le lance",
    "status.percent": "{share} %",
    "status.no_path": "aucun chemin",
    "status.free": "{left} libres",
    "status.checked": "vérifié {ago}",
    "status.document": "Document {name} : {text}",
    "status.flying": "En cours de copie : {name}",
    "status.flying_big": "En cours de copie : {name}, {done} sur {total}",
    "status.no_row": "Pas encore de ligne dans la base pour {path} (depuis {seconds})",
    "watch.problems": "À regarder",
    "watch.in_flight": "En cours de copie",
    "watch.no_row": "Fichiers sans ligne dans la base",
    "watch.fates": "Derniers documents",
    "state.unknown": "pas encore vérifié",
    "state.ok": "prêt",
    "state.unconfigured": "non configuré",
    "state.missing": "chemin absent",
    "state.not_mounted": "non monté",
    "state.foreign": "un autre NAS",
    "state.suspect": "monté autrement",
    "state.denied": "permission refusée",
    "state.read_only": "lecture seule",
    "state.full": "plein",
    "state.hung": "ne répond pas",
    "state.down": "injoignable",
    # -- sync
    "sync.bar": "Documents",
    "sync.ids_or_all": "des identifiants, ou bien --all et --user, pas les deux",
    "sync.already": "Déjà en sécurité ({text})",
    "sync.proven": "Vérifié sur le NAS : {path}",
    "sync.unverifiable": "Impossible à vérifier, reste marqué : {text}",
    "sync.finishing": (
        "Arrêt : les copies en cours se terminent (Ctrl-C encore une fois : tout de suite)"
    ),
    "sync.goes_on": "Le démon continue seul : « nas-syncd status » dit où il en est",
    "sync.daemon_ended": "Le démon s’est arrêté : cette commande se charge du reste",
    "sync.stopped": "Interrompu : {text}",
    "sync.dry": "Rien n’a été fait : ce n’est que le plan",
    "sync.sum.synced.one": "{count} document en sécurité",
    "sync.sum.synced.many": "{count} documents en sécurité",
    "sync.sum.failed.one": "{count} échec",
    "sync.sum.failed.many": "{count} échecs",
    "sync.sum.waiting.one": "{count} en attente",
    "sync.sum.waiting.many": "{count} en attente",
    "sync.sum.recopied.one": "{count} introuvable sur le NAS, à recopier",
    "sync.sum.recopied.many": "{count} introuvables sur le NAS, à recopier",
    "sync.sum.unverifiable.one": "{count} impossible à vérifier",
    "sync.sum.unverifiable.many": "{count} impossibles à vérifier",
    "plan.copy": "à copier",
    "plan.mark": "copie vérifiée, ligne à marquer",
    "plan.check": "marqué sans preuve : à vérifier en lisant le NAS",
    "plan.none": "rien à faire",
    # -- explain
    "explain.row_unknown": "inconnue, la base ne répond pas",
    "explain.row_gone": "plus dans la base",
    "explain.marked": "marquée",
    "explain.not_marked": "non marquée",
    "explain.receipt": "vérifié",
    "explain.old_receipt": "ne vaut plus pour cette ligne sur ce NAS",
    "explain.never_seen": "jamais vu par nas-syncd",
    "explain.attempts.one": "{count} essai manqué",
    "explain.attempts.many": "{count} essais manqués",
    "explain.history": "Histoire :",
    "explain.searched": "Cherché dans la base sous ces noms :",
    "next.nothing": "Rien à faire.",
    "next.inherited": "Rien ne se fait de lui-même : « nas-syncd sync --inherited » le vérifie.",
    "next.copying": "La copie est en cours.",
    "next.copy": "Le démon le copie dans les secondes qui viennent.",
    "next.mark": "Le démon met la ligne à jour dans les secondes qui viennent.",
    "next.until": "Nouvel examen au plus tard le {until}.",
    "next.when_back": "Cela reprend de soi-même dès que la cause disparaît.",
    "next.refused": "Rien, jusqu’à ce que la cause soit corrigée.",
    "next.no_daemon": (
        "Rien : le démon est arrêté. « nas-syncd run » le lance, « nas-syncd sync {id} » "
        "s’occupe de ce seul document."
    ),
    "next.database": "Cela reprend de soi-même dès que la base répond.",
    "journal.waiting": "en attente",
    "journal.copying": "en cours de copie",
    "journal.copied": "copié et vérifié, pas encore marqué",
    "journal.marking": "marque envoyée",
    "journal.synced": "copié, vérifié et marqué",
    "journal.failed": "échec, un nouvel essai suit",
    "journal.problem": "problème à regarder",
    "journal.gone": "ligne supprimée ou remplacée",
    "source.kind.file": "fichier",
    "source.kind.missing": "absent",
    "source.kind.link": "lien",
    "source.kind.directory": "dossier",
    "source.kind.special": "fichier spécial",
    "source.kind.outside": "hors du dossier des documents",
    "source.kind.unreadable": "illisible",
    "source.kind.unknown": "inconnu, le dossier ne répond pas",
}
