"""The French words of ``nas-syncd demo``."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "demo.title": "nas-syncd · démonstration",
    "demo.folder": "Tout se passe dans {path}",
    "demo.folder.kept": "Le dossier reste : {path}",
    "demo.folder.cleared": "Le dossier a été effacé (avec --keep, il reste)",
    "demo.folder.foreign": "Ce dossier n’est pas vide et n’est pas celui d’une démo : {path}",
    "demo.folder.busy": "Une démo tourne déjà dans ce dossier : {path}",
    "demo.folder.denied": "Impossible d’écrire dans ce dossier : {path}[[ ({detail})]]",
    "demo.missing": (
        "La démo fabrique des PDF et des photos et il lui manque {module}. "
        "Installez ce qu’il faut : {python} -m pip install fpdf2 pillow"
    ),
    "demo.adopt.failed": "Le NAS fictif n’a pas pu être adopté (code {exit_code})[[ : {detail}]]",
    "demo.daemon.died": "Le service s’est arrêté tout seul (code {exit_code})[[ : {detail}]]",
    "demo.stop.badly": "Le service ne s’est pas arrêté comme promis (code {exit_code}, {seconds})",
    "demo.bare.written": (
        "Quelque chose a été écrit dans le dossier vide pendant l’absence du NAS : {path}"
    ),
    "demo.late": "Après {seconds} d’attente, tout n’est pas en sûreté",
    # -- what happens now
    "demo.story.papers": "On fabrique les documents d’exemple…",
    "demo.story.backlog": "Trois documents attendent déjà ; le vrai service démarre",
    "demo.story.arriving": "Les documents arrivent",
    "demo.story.metadata": (
        "Le type et la date ne sont pas encore reconnus : le document attend, "
        "pour ne pas être mal classé"
    ),
    "demo.story.row_late": "Un fichier est arrivé avant sa ligne dans la base, un autre après",
    "demo.story.twins": "Deux personnes envoient chacune un scan.pdf : aucun n’écrase l’autre",
    "demo.story.hostile": "Un nom qu’un NAS ne sait pas écrire est rendu sûr",
    "demo.story.away": (
        "LE NAS DISPARAÎT : à sa place, un dossier vide. Les documents attendent, "
        "rien n’est écrit à côté"
    ),
    "demo.story.back": "LE NAS EST DE RETOUR : le service le reconnaît et rattrape tout seul",
    "demo.story.slowly": "Un fichier arrive lentement, par morceaux : il attend d’être complet",
    "demo.story.catching_up": "Plus rien n’arrive ; les derniers documents sont mis en sûreté",
    "demo.story.stopping": "Tout est en sûreté ; le service s’arrête",
    "demo.story.ending": "Le service s’arrête",
    "demo.story.interrupted": "Interrompu : le service s’arrête proprement",
    "demo.story.checking": "Contrôle final, indépendant du service : tout est relu et comparé",
    # -- labels
    "demo.label.nas": "NAS",
    "demo.label.documents": "Documents",
    "demo.count": "{safe} en sûreté sur {total}[[, {begun} arrivés]]",
    "demo.nas.unknown": "pas encore vérifié",
    "demo.nas.ok": "prêt",
    "demo.nas.not_mounted": "non monté (dossier vide)",
    "demo.nas.missing": "absent",
    "demo.synced": "{name} → {destination}[[ ({size}, {ms} ms)]]",
    "demo.waiting": "{name} : {why}",
    "demo.page": "À voir en direct dans un navigateur, tant que cela dure : {url}",
    "demo.mount": "NAS : {why}",
    "demo.why.wait.metadata": "l’analyse n’est pas terminée, il attend",
    "demo.why.wait.mount": "il attend le NAS",
    "demo.why.wait.no_file": "son fichier arrive",
    "demo.why.mount": "il attend le NAS",
    # -- the final check
    "demo.table.document": "Document",
    "demo.table.place": "Place sur le NAS",
    "demo.table.verdict": "Verdict",
    "demo.verdict.ok": "intact",
    "demo.verdict.gone": "ligne disparue de la base",
    "demo.verdict.row": "ligne modifiée dans la base",
    "demo.verdict.source": "fichier d’origine modifié",
    "demo.verdict.missing": "ABSENT DU NAS",
    "demo.verdict.damaged": "ABÎMÉ SUR LE NAS",
    "demo.verdict.unmarked": "pas encore en sûreté",
    "demo.stranger": "Sur le NAS, ce fichier n’est à aucun document : {path}",
    "demo.right": (
        "Tout est juste : {total} documents sur {total} sont sur le NAS, à leur place, "
        "identiques octet pour octet (SHA-256), et marqués dans la base"
    ),
    "demo.wrong": "Il y a un problème : {safe} documents sur {total} sont en sûreté",
    "demo.interrupted": "Interrompu : {safe} documents sur {total} sont en sûreté sur le NAS",
    "demo.took": "Durée : {seconds}",
}
