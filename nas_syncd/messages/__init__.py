"""What people read, in French (the default) and English.

Pure: no disk, no clock, no environment. Every function here returns something readable whatever
it is given: a blank without a value shows ``?``, a code without a text shows itself, an unknown
language is French. Control characters and unpaired surrogates in values (a file's name can hold
both) are made visible, so that no text can break a line or steer a terminal.

To add a text: one line in ``TEXTS`` (and, where there is something to do about it, ``REMEDIES``)
of both :mod:`.fr` and :mod:`.en`. A template's ``{name}`` is filled from the parameters;
``[[ … ]]`` is left out as a whole when one of its blanks has no value. Blanks with these names are
shown in a person's way: ``free``, ``needed``, ``size``, ``…bytes``, ``seconds``, times (``until``,
``since``, ``at``), ``error`` (a code), ``state`` (of the mount), ``kind`` (of a source).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas_syncd.messages import (
    api_en,
    api_fr,
    backend_en,
    backend_fr,
    cli_en,
    cli_fr,
    demo_en,
    demo_fr,
    doctor_en,
    doctor_fr,
    doctor_remedies_en,
    doctor_remedies_fr,
    en,
    fr,
    logs_en,
    logs_fr,
    notify_en,
    notify_fr,
    service_en,
    service_fr,
)
from nas_syncd.messages.shown import (
    DEFAULT_LANGUAGE,
    ago_text,
    bytes_text,
    duration_text,
    harmless_json,
    shown,
    since_text,
    time_text,
    visible,
)

if TYPE_CHECKING:
    from nas_syncd.errors import SyncError
    from nas_syncd.models import Reason

__all__ = [
    "DEFAULT_LANGUAGE",
    "LANGUAGES",
    "REMEDIES",
    "TEXTS",
    "ago_text",
    "bytes_text",
    "duration_text",
    "explain",
    "harmless_json",
    "language_of",
    "remedy",
    "render_error",
    "since_text",
    "text",
    "time_text",
    "visible",
]

TEXTS: dict[str, dict[str, str]] = {
    "fr": {
        **fr.TEXTS,
        **cli_fr.TEXTS,
        **demo_fr.TEXTS,
        **api_fr.TEXTS,
        **backend_fr.TEXTS,
        **logs_fr.TEXTS,
        **service_fr.TEXTS,
    },
    "en": {
        **en.TEXTS,
        **cli_en.TEXTS,
        **demo_en.TEXTS,
        **api_en.TEXTS,
        **backend_en.TEXTS,
        **logs_en.TEXTS,
        **service_en.TEXTS,
    },
}
REMEDIES: dict[str, dict[str, str]] = {
    "fr": {**fr.REMEDIES, **api_fr.REMEDIES, **service_fr.REMEDIES},
    "en": {**en.REMEDIES, **api_en.REMEDIES, **service_en.REMEDIES},
}
TEXTS["fr"] |= doctor_fr.TEXTS
TEXTS["en"] |= doctor_en.TEXTS
TEXTS["fr"] |= notify_fr.TEXTS
TEXTS["en"] |= notify_en.TEXTS
REMEDIES["fr"] |= notify_fr.REMEDIES
REMEDIES["en"] |= notify_en.REMEDIES
REMEDIES["fr"] |= doctor_remedies_fr.REMEDIES
REMEDIES["en"] |= doctor_remedies_en.REMEDIES
LANGUAGES: tuple[str, ...] = tuple(TEXTS)

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_BLANK = re.compile(r"\{(\w+)\}")
_FAMILIES = {"error": "", "state": "mount.", "kind": "kind.", "origin": "origin."}
"""Parameters whose value is itself the key of a text, with what stands before it in the key."""


def language_of(wanted: str | None) -> str:
    """Return ``fr`` or ``en`` for *wanted* (``en``, ``EN``, ``en_GB.UTF-8``); else the default."""
    short = (wanted or "").strip()[:2].lower()
    return short if short in TEXTS else DEFAULT_LANGUAGE


def text(code: str, language: str, **params: object) -> str:
    """Return what happened: the sentence for *code*, without a full stop. Never raises."""
    return _text(code, language_of(language), params)


def remedy(code: str, language: str, **params: object) -> str | None:
    """Return what to do about *code*, as whole sentences; None where there is nothing to do."""
    return _remedy(code, language_of(language), params)


def explain(reason: Reason, language: str) -> str:
    """Return what happened and what to do about it, in one line."""
    return _whole(reason.code, language_of(language), reason.params)


def render_error(error: SyncError, language: str) -> str:
    """Return what :func:`explain` would, for an error; its ``detail`` fills ``{detail}``."""
    params = dict(error.params)
    if error.detail and error.detail != error.code:
        params.setdefault("detail", error.detail)
        params.pop("errno", None)  # it stands in the detail
    return _whole(error.code, language_of(language), params)


def _whole(code: str, language: str, params: Mapping[str, object]) -> str:
    happened = _text(code, language, params)
    cure = _remedy(code, language, params)
    return f"{happened}. {cure}" if cure else happened


def _text(code: str, language: str, params: Mapping[str, object]) -> str:
    template = TEXTS[language].get(code)
    if template is None:
        return _fill(TEXTS[language]["unknown"], language, {**params, "code": code})
    return _fill(template, language, params)


def _remedy(code: str, language: str, params: Mapping[str, object]) -> str | None:
    """The code's own remedy, else that of what stands behind it (the mount's, the error's)."""
    template = REMEDIES[language].get(code)
    if template is not None:
        return _fill(template, language, params)
    inner = _inner(params)
    return _remedy(inner[0], language, inner[1]) if inner else None


def _inner(params: Mapping[str, object]) -> tuple[str, Mapping[str, object]] | None:
    for name in ("state", "error"):
        if name in params:
            rest = {key: value for key, value in params.items() if key != name}
            return f"{_FAMILIES[name]}{params[name]}", rest
    return None


def _fill(template: str, language: str, params: Mapping[str, object]) -> str:
    def optional(match: re.Match[str]) -> str:
        part = match.group(1)
        names = _BLANK.findall(part)
        return part if all(params.get(name) not in (None, "") for name in names) else ""

    def blank(match: re.Match[str]) -> str:
        return _value(match.group(1), language, params)

    return _BLANK.sub(blank, _OPTIONAL.sub(optional, template))


def _value(name: str, language: str, params: Mapping[str, object]) -> str:
    value = params.get(name)
    family = _FAMILIES.get(name)
    if family is not None and isinstance(value, str):
        template = TEXTS[language].get(f"{family}{value}")
        if template is not None:
            rest = {key: given for key, given in params.items() if key != name}
            return _fill(template, language, rest)
    return shown(name, value, language)
