"""Under which name a request asks for us, and from which web site it comes. Pure; no DNS."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from nas_syncd.api.problems import Scope, header_values

_AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)
_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#@\\]+)")
_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({b"same-origin", b"none"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a request asks for: the parts of its Host header."""

    name: str
    """Lower case, without brackets and without the dot at the end."""
    port: int | None
    is_address: bool
    """An IP address: no DNS server can have told the browser that it is another site's."""


def is_loopback(host: str) -> bool:
    """Return whether only this computer can reach a server that listens on *host*."""
    name = plain_name(host)
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def own_hosts(api_host: str) -> frozenset[str]:
    """Return the names under which this computer may be asked; nothing is looked up."""
    own = plain_name(socket.gethostname())
    first = own.partition(".")[0]
    names = {"localhost", own, first, f"{first}.local" if first else "", plain_name(api_host)}
    return frozenset(names - {""})


def plain_name(host: str) -> str:
    """Return *host* in the one form in which names are compared."""
    return host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")


def asked_host(headers: list[bytes]) -> Asked | None:
    """Return whom the Host headers name; None when it is not exactly one proper name."""
    if len(headers) != 1:
        return None
    return _authority(headers[0].decode("latin-1").lower())


def is_foreign(scope: Scope, asked: Asked | None, *, holder: bool) -> bool:
    """
    Return whether a browser sends this for another web site than ours.

    A link to the page itself is no harm. *holder* shows a valid token, or asks for the page's own
    files where there is one: behind a proxy the names differ, and then the browser's own word is
    enough.
    """
    values = {name: header_values(scope, name) for name in (b"sec-fetch-site", b"origin")}
    sites = values[b"sec-fetch-site"]
    if any(site not in _OURS for site in sites):
        return not _is_link_to_page(scope, values[b"origin"])
    if holder and sites == [b"same-origin"]:
        return False
    return any(not _is_ours(origin, scope, asked) for origin in values[b"origin"])


def _is_link_to_page(scope: Scope, origins: list[bytes]) -> bool:
    return (
        scope["method"] in ("GET", "HEAD")
        and scope["path"] == "/"
        and not origins
        and header_values(scope, b"sec-fetch-mode") == [b"navigate"]
        and header_values(scope, b"sec-fetch-dest") in ([], [b"document"])
    )


def _is_ours(origin: bytes, scope: Scope, asked: Asked | None) -> bool:
    match = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
    scheme = scope.get("scheme", "http")
    if match is None or asked is None or match["scheme"] != scheme:
        return False
    theirs = _authority(match["authority"])
    default = _PORTS.get(scheme)
    return theirs is not None and (theirs.name, theirs.port or default) == (
        asked.name,
        asked.port or default,
    )


def _authority(value: str) -> Asked | None:
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    if match["six"]:
        address = _address(match["six"])
        return Asked(address, port, True) if address and ":" in address else None
    name = match["name"].removesuffix(".")
    address = _address(name)
    return Asked(address or name, port, address is not None) if name else None


def _address(name: str) -> str | None:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None
