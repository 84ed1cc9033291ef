"""What the HTTP API says of itself in French; the other half of the catalogue is in :mod:`.fr`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- refusals
    "api.unauthorized": "Un jeton valide est nécessaire",
    "api.cross_site": "Cette requête vient d’un autre site web et a été refusée",
    "api.wrong_host": "Ce serveur ne répond pas sous le nom « {name} »",
    "api.body_too_large": "La requête est trop grande[[ (au plus {most_bytes})]]",
    "api.body_too_slow": "La requête est arrivée trop lentement",
    "api.bad_request": "Ce n’est pas une requête HTTP correcte",
    "api.busy": "Trop de connexions en même temps",
    "api.streams_full": "Trop de vues en direct en même temps",
    "api.error": "Le serveur n’a pas pu répondre, à cause d’une erreur qui lui est propre",
    # -- the doors
    "api.port_taken": (
        "L’API HTTP ne peut pas être servie : {host}, port {port}, est déjà utilisé"
    ),
    "api.port_denied": (
        "L’API HTTP ne peut pas être servie : le port {port} de {host} n’est pas permis"
    ),
    "api.port_failed": (
        "L’API HTTP ne peut pas être servie sur {host}, port {port}[[ : {detail}]]"
    ),
    "api.socket_taken": "La prise locale {path} appartient à un autre nas-syncd en marche",
    "api.socket_failed": "La prise locale {path} ne peut pas être créée[[ : {detail}]]",
    # -- settings that are refused at start
    "api.token_needed": (
        "NAS_SYNCD_API_HOST={host} est joignable depuis d’autres ordinateurs, "
        "ce qui demande un jeton : "
        "définissez NAS_SYNCD_API_TOKEN (au moins {least} caractères), "
        "ou NAS_SYNCD_API_HOST=127.0.0.1"
    ),
    "api.token_short": (
        "NAS_SYNCD_API_TOKEN est trop court pour NAS_SYNCD_API_HOST={host}, "
        "joignable depuis d’autres ordinateurs : "
        "au moins {least} caractères, ou NAS_SYNCD_API_HOST=127.0.0.1"
    ),
    # -- answers
    "api.not_found": "Il n’y a rien à cette adresse",
    "api.wrong_method": "Cette adresse n’accepte pas ce genre de requête",
    "api.invalid": "Le paramètre {name} n’est pas valable[[ : {detail}]]",
    "api.cursor": "Le curseur n’a pas été donné par cette liste",
    "api.too_many_runs": "{runs} synchronisations sont déjà en cours",
    "api.ids_or_all": "Des identifiants, ou tous les documents (everything, user_id), pas les deux",
    "api.cut_short": "Le démon s’arrête avant la fin du travail",
    "api.stuck": "Le démon ne bouge plus depuis un moment : ce qu’il savait est ancien",
    "api.unknown_run": "Cette synchronisation n’existe pas, ou elle est trop ancienne",
    "api.not_installed": "L’API HTTP n’est pas installée : le démon travaille sans elle",
}

REMEDIES: dict[str, str] = {
    "api.unauthorized": ("Envoyez la valeur de NAS_SYNCD_API_TOKEN : « Authorization: Bearer … »."),
    "api.wrong_host": (
        "Utilisez localhost, l’adresse IP ou le nom propre de l’ordinateur, ou bien le jeton."
    ),
    "api.busy": "Réessayez dans un instant.",
    "api.streams_full": "Fermez d’autres fenêtres, puis réessayez.",
    "api.error": "Le journal du service (nas-syncd logs) en dit plus.",
    "api.port_taken": (
        "Donnez à NAS_SYNCD_API_PORT un autre port, ou 0 pour s’en passer ; "
        "dès que le port sera libre, il sera pris sans rien faire."
    ),
    "api.port_denied": (
        "Donnez à NAS_SYNCD_API_PORT un port au-dessus de 1023, ou 0 pour s’en passer."
    ),
    "api.port_failed": ("Vérifiez NAS_SYNCD_API_HOST et NAS_SYNCD_API_PORT (0 pour s’en passer)."),
    "api.socket_taken": "Un seul service peut tourner avec le même dossier d’état.",
    "api.socket_failed": "Vérifiez que le dossier existe et qu’on peut y écrire.",
    "api.cursor": "Reprenez la liste au début, sans curseur.",
    "api.cut_short": "Le reste reprend à son prochain démarrage.",
    "api.too_many_runs": "Attendez que l’une d’elles se termine, puis réessayez.",
    "api.not_installed": "Installez-la avec : pip install 'nas-syncd[api]'.",
}
