"""What the HTTP API says of itself in English; the other half of the catalogue is in :mod:`.en`."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- refusals
    "api.unauthorized": "A valid token is needed",
    "api.cross_site": "This request comes from another web site and was refused",
    "api.wrong_host": "This server does not answer under the name “{name}”",
    "api.body_too_large": "The request is too large[[ (at most {most_bytes})]]",
    "api.body_too_slow": "The request came too slowly",
    "api.bad_request": "This is not a proper HTTP request",
    "api.busy": "Too many connections at the same time",
    "api.streams_full": "Too many live views at the same time",
    "api.error": "The server could not answer because of an error of its own",
    # -- the doors
    "api.port_taken": "The HTTP API cannot be served: {host}, port {port}, is in use already",
    "api.port_denied": "The HTTP API cannot be served: port {port} of {host} may not be used",
    "api.port_failed": "The HTTP API cannot be served on {host}, port {port}[[: {detail}]]",
    "api.socket_taken": "The local socket {path} belongs to another nas-syncd that is running",
    "api.socket_failed": "The local socket {path} cannot be made[[: {detail}]]",
    # -- settings that are refused at start
    "api.token_needed": (
        "NAS_SYNCD_API_HOST={host} can be reached from other computers, which needs a token: "
        "set NAS_SYNCD_API_TOKEN (at least {least} characters), "
        "or NAS_SYNCD_API_HOST=127.0.0.1"
    ),
    "api.token_short": (
        "NAS_SYNCD_API_TOKEN is too short for NAS_SYNCD_API_HOST={host}, "
        "which can be reached from other computers: "
        "at least {least} characters, or NAS_SYNCD_API_HOST=127.0.0.1"
    ),
    # -- answers
    "api.not_found": "There is nothing at this address",
    "api.wrong_method": "This address does not take this kind of request",
    "api.invalid": "The parameter {name} is not as it must be[[: {detail}]]",
    "api.cursor": "The cursor is not one that this list has given",
    "api.too_many_runs": "{runs} synchronisations are under way already",
    "api.ids_or_all": "Ids, or all documents (everything, user_id), not both",
    "api.cut_short": "The daemon ends before the work is done",
    "api.stuck": "The daemon has not moved for a while: what it knew is old",
    "api.unknown_run": "There is no such synchronisation, or it was long ago",
    "api.not_installed": "The HTTP API is not installed: the daemon works without it",
}

REMEDIES: dict[str, str] = {
    "api.unauthorized": "Send the value of NAS_SYNCD_API_TOKEN: “Authorization: Bearer …”.",
    "api.wrong_host": "Use localhost, the IP address or the computer's own name, or the token.",
    "api.busy": "Try again in a moment.",
    "api.streams_full": "Close other windows, then try again.",
    "api.error": "The daemon's log (nas-syncd logs) says more.",
    "api.port_taken": (
        "Set NAS_SYNCD_API_PORT to another port, or to 0 to do without; "
        "as soon as the port is free it is taken by itself."
    ),
    "api.port_denied": ("Set NAS_SYNCD_API_PORT to a port above 1023, or to 0 to do without."),
    "api.port_failed": "Check NAS_SYNCD_API_HOST and NAS_SYNCD_API_PORT (0 to do without).",
    "api.socket_taken": "Only one daemon can run with the same state directory.",
    "api.socket_failed": "Check that the folder is there and that it can be written to.",
    "api.cursor": "Begin the list anew, without a cursor.",
    "api.cut_short": "What is left goes on when it is started again.",
    "api.too_many_runs": "Wait for one of them to end, then try again.",
    "api.not_installed": "Install it with: pip install 'nas-syncd[api]'.",
}
