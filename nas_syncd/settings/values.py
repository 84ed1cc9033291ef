"""What one setting may hold. Pure, lexical only: no path is ever looked at on disk here."""

from __future__ import annotations

import difflib
import json
import os
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

COLUMNS = (
    "id",
    "user_id",
    "file_path",
    "original_name",
    "doc_type",
    "date",
    "created_at",
    "processing_status",
    "synced_to_nas",
    "synced_at",
)
"""The logical names of the documents table's columns."""

WRITTEN_COLUMNS = ("synced_to_nas", "synced_at")
DIALECTS = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")
OUR_PREFIX = ".nas-syncd"
LONGEST_NAME = 255

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
_SHARE_ADDRESS = re.compile(r"(//[^/]|\\\\|(smb|cifs|nfs|afp)://)", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d{1,19}|\d{0,19}\.\d{1,19})\s*[a-z]*\s*", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATABASE_URL = re.compile(
    r"(?P<scheme>\w+(?:\+\w+)?)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[^/?\]]*\]|[^/:?]*)(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
"""As SQLAlchemy reads it: the password ends at the first ``@``."""
_SECRET_OPTION = re.compile(r"((?:^|&)[^&=]*(?:pass|pwd|secret|token|key)[^&=]*)=[^&]*", re.I)


class NotAllowedError(ValueError):
    """A value is refused. ``key`` is a text of :mod:`nas_syncd.messages`, ``params`` its blanks."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


def suggestion(wrong: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *wrong* was probably meant to be."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def plain_text(value: str) -> str:
    """Return *value*; controls and bytes that are not UTF-8 are refused."""
    if _CONTROL.search(value):
        raise NotAllowedError("allowed.text")
    return value


def absolute_path(value: str) -> str:
    """Return *value* with ``~`` expanded, absolute, without ``..`` and doubled slashes."""
    path = os.path.expanduser(plain_text(value))
    if not os.path.isabs(path):
        if path.startswith(("~", '"', "'", "$")):  # not a path of this folder: no example
            raise NotAllowedError("allowed.path")
        raise NotAllowedError("allowed.absolute", example=os.path.abspath(path))
    return "/" + os.path.normpath(path).lstrip("/")


def mounted_path(value: str) -> str:
    """Return :func:`absolute_path`; a share's address (``//nas/share``) is not a path."""
    if _SHARE_ADDRESS.match(value):
        raise NotAllowedError("allowed.mounted")
    return absolute_path(value)


def recorded_path(value: str) -> str:
    """Return a folder as the backend writes it: perhaps relative, never of this host."""
    path = os.path.normpath(plain_text(value))
    if path == "." or path.startswith(".."):
        raise NotAllowedError("allowed.inside_path")
    return "/" + path.lstrip("/") if path.startswith("/") else path


def table_name(value: str) -> str:
    parts = plain_text(value).split(".")
    if len(parts) > 2 or not all(part.strip() for part in parts):
        raise NotAllowedError("allowed.table")
    return value


def pairs(value: object, refusal: str) -> dict[str, str]:
    """Return a mapping from JSON, from ``a=b,c=d``, or from a mapping; all of it text."""
    if isinstance(value, str):
        value = _from_json(value, refusal) if value.lstrip().startswith("{") else _split(value)
    if not isinstance(value, dict):
        raise NotAllowedError(refusal)
    found: dict[str, str] = {}
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str) or not key or not item:
            raise NotAllowedError(refusal)
        found[key] = item
    return found


def _from_json(value: str, refusal: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        raise NotAllowedError(refusal) from None


def _split(value: str) -> dict[str, str]:
    parts = (part.partition("=") for part in value.split(",") if part.strip())
    return {key.strip(): item.strip() for key, _, item in parts}


def columns(value: object) -> dict[str, str]:
    """Return logical name → real name; the columns that we write may stand for nothing else."""
    choices = ", ".join(COLUMNS)
    try:
        mapped = pairs(value, "allowed.columns")
    except NotAllowedError as refused:
        raise NotAllowedError(refused.key, choices=choices) from None
    for name, real in mapped.items():
        if name not in COLUMNS:
            wrong = {"wrong": name, "suggestion": suggestion(name.lower(), COLUMNS)}
            raise NotAllowedError("allowed.columns", choices=choices, **wrong)
        plain_text(real)
    real_names = [mapped.get(name, name) for name in COLUMNS]
    for name in WRITTEN_COLUMNS:
        column = mapped.get(name, name)
        if real_names.count(column) > 1:
            raise NotAllowedError("allowed.columns_twice", column=column)
    return mapped


def folders(value: object) -> dict[str, str]:
    """Return document type in lower case → folder name."""
    mapped = pairs(value, "allowed.folders")
    return {kind.lower(): folder_name(name) for kind, name in mapped.items()}


def folder_name(value: str) -> str:
    """Return *value* in NFC when every SMB server can hold it as one folder's name."""
    name = unicodedata.normalize("NFC", value) if not _CONTROL.search(value) else ""
    units = len(name.encode("utf-16-le")) // 2
    if (
        not name.strip(" .")
        or name[-1] in " ."
        or name[0] == " "
        or name.startswith("._")
        or _FORBIDDEN.search(name)
        or _RESERVED.match(name)
        or name.casefold().startswith(OUR_PREFIX)
        or max(units, len(name.encode())) > LONGEST_NAME
    ):
        raise NotAllowedError("allowed.folder_name", wrong=value)
    return name


def size(value: object) -> object:
    """Return *value* for pydantic's ``ByteSize``, which would read ``1,5GiB`` as one byte."""
    if isinstance(value, str) and not _SIZE.fullmatch(value):
        raise NotAllowedError("allowed.size")
    return value


def notify_urls(value: str) -> list[str]:
    """Return the addresses in *value*; a comma inside of one does not divide it."""
    found = [part for part in re.split(rf"[\s,]+(?={_SCHEME.pattern})", value.strip(", ")) if part]
    if not all(_SCHEME.match(url) and not re.search(r"\s", url) for url in found):
        raise NotAllowedError("allowed.notify")
    return [plain_text(url) for url in found]


def check_web_address(value: str) -> None:
    """
    Raises:
        NotAllowedError: It is neither empty nor an address of the web.
    """
    plain_text(value)
    if value and not re.fullmatch(
        r"https?://[^\s/:?#@]+(:[0-9]+)?([/?]\S*)?", value, re.IGNORECASE
    ):
        raise NotAllowedError("allowed.web_address")


# -- the database's address ------------------------------------------------------------------


def check_database_url(url: str) -> None:
    """Refuse an address that no supported database can have. The address is never repeated."""
    plain_text(url)
    found = _DATABASE_URL.fullmatch(url)
    if found is None:
        raise NotAllowedError("allowed.database_url")
    dialect = found["scheme"].partition("+")[0].lower()
    if dialect not in DIALECTS:
        raise NotAllowedError("allowed.database_dialect", wrong=dialect)
    if dialect == "sqlite":
        if found["host"] or found["user"] or (found["database"] or ":memory:") == ":memory:":
            raise NotAllowedError("allowed.database_file")
        return
    if "@" in f"{found['host']}{found['port']}{found['database']}":
        raise NotAllowedError("allowed.database_at")
    port = found["port"]
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise NotAllowedError("allowed.database_port")


def shown_database_url(url: str) -> str:
    """Return *url* as it may be shown: no password, neither before the host nor as an option."""
    found = _DATABASE_URL.fullmatch(url)
    if found is None:
        return "***" if url else ""
    head = f"{found['scheme']}://"
    rest = url[len(head) :]
    if found["password"] is not None:
        # Up to the last "@": a password with an "@" in it must not show its end.
        rest = f"{found['user'] or ''}:***@{rest.rpartition('@')[2]}"
    address, mark, query = rest.partition("?")
    return head + address + mark + _SECRET_OPTION.sub(r"\1=***", query)


def database_secrets(url: str) -> list[str]:
    """Return what must never be shown of *url*, as it stands there and as the driver gets it."""
    found = _DATABASE_URL.fullmatch(url)
    if found is None:
        return [url] if url else []
    secrets = [found["password"] or ""]
    options = _SECRET_OPTION.finditer(found["query"] or "")
    secrets += [option.group().partition("=")[2] for option in options]
    return [form for secret in secrets if secret for form in {secret, unquote(secret)}]
