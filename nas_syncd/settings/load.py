"""From raw values to frozen settings, or to one line that says which value is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ByteSize, SecretStr, ValidationError

from nas_syncd.errors import ConfigurationError
from nas_syncd.messages import language_of, text, visible
from nas_syncd.settings import sources, values
from nas_syncd.settings.ambient import language_from_environment
from nas_syncd.settings.apart import Place, check_apart
from nas_syncd.settings.model import Settings
from nas_syncd.settings.sources import (
    ARGUMENT,
    CREDENTIAL,
    ENVIRONMENT,
    collect,
    default_state_dir,
    env_name,
    logs_directory,
)
from nas_syncd.settings.values import NotAllowedError

SECRETS = frozenset({"database_url", "api_token", "notify_urls", "ping_url"})

LONGEST_SHOWN = 200
"""Characters of a refused value that an error repeats."""


def load_settings(
    env_file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    for_backend: bool = False,
    **overrides: object,
) -> Settings:
    """
    Return the settings: *overrides* by field name (None: not given), then *environ* (the
    process's own by default), then the credentials, then *env_file* or the first file of
    ``sources.candidates()``.

    *for_backend*: inside the backend only ``NAS_MOUNT_PATH`` counts, ``DATABASE_URL`` is the
    backend's affair, and a relative ``UPLOAD_DIR`` means what it means to the backend.

    Raises:
        ConfigurationError: One line, in the language that is set. Nothing was started or written.
    """
    environ = os.environ if environ is None else environ
    try:
        given = collect(Settings.model_fields, environ, env_file, with_credentials=not for_backend)
    except NotAllowedError as refused:
        language = language_from_environment(env_file, environ)
        raise _error(refused.key, language, refused.params) from None
    arguments = {name: value for name, value in overrides.items() if value is not None}
    language = language_of(str(arguments.get("language") or given.values.get("language") or "fr"))
    raw: dict[str, Any] = {**given.values, **arguments}
    origins = given.origins | dict.fromkeys(arguments, ARGUMENT)
    _add_places(raw, origins, environ, for_backend=for_backend)
    if for_backend:
        raw.pop("nas_local_path", None)
        origins.pop("nas_local_path", None)
        if "upload_dir" in raw:
            raw["upload_dir"] = os.path.abspath(os.path.expanduser(raw["upload_dir"]))
    settings = _built(raw, origins, language)
    settings.remember(origins, given.source_file)
    _check(settings, language, for_backend=for_backend)
    return settings


def _add_places(
    raw: dict[str, Any],
    origins: dict[str, str],
    environ: Mapping[str, str],
    *,
    for_backend: bool = False,
) -> None:
    """Add the folders that the service manager has made for us, or our own."""
    folder = None if for_backend else logs_directory(environ)
    if "log_file" not in raw and folder is not None:
        raw["log_file"], origins["log_file"] = folder / sources.LOG_NAME, ENVIRONMENT
    if "state_dir" not in raw:
        raw["state_dir"], origins["state_dir"] = default_state_dir(environ)


def credential_files(source_file: Path) -> list[tuple[str, Path]]:
    """Return the name and the path of each credential that lies beside *source_file*.

    Raises:
        ConfigurationError: They cannot be read.
    """
    names = [env_name(name) for name in Settings.model_fields]
    try:
        return sources.credential_files(source_file, names)
    except NotAllowedError as refused:
        raise _error(refused.key, language_of(None), refused.params) from None


def load_what_can_be(
    env_file: Path | None = None, *, environ: Mapping[str, str] | None = None
) -> tuple[Settings | None, list[ConfigurationError]]:
    """
    Return the settings with the default in the place of each value that is refused, and one
    error for each of those; for who tells all that is wrong at once. Never raises.

    None instead of settings: not even the defaults can be used. The parameter ``problem`` of an
    error is the key of its text, where it is not about the value of a known setting.
    """
    environ = os.environ if environ is None else environ
    refused: list[NotAllowedError] = []
    given = collect(Settings.model_fields, environ, env_file, refused.append)
    raw: dict[str, Any] = dict(given.values)
    origins = dict(given.origins)
    language = language_of(raw.get("language") or environ.get(env_name("language")))
    errors = [_error(one.key, language, {**one.params, "problem": one.key}) for one in refused]
    _add_places(raw, origins, environ)
    fields = {env_name(field): field for field in Settings.model_fields}
    while True:
        try:
            settings = _built(raw, origins, language)
            settings.remember(origins, given.source_file)
            _check_address(settings, language)
            break
        except ConfigurationError as error:
            errors.append(error)
            field = fields.get(str(error.params.get("name")))
            if field is None or field not in raw:
                return None, errors
            del raw[field]
            origins.pop(field, None)
    try:
        _check_places(settings, language)
    except ConfigurationError as error:
        errors.append(error)
    return settings, errors


def require_for_run(settings: Settings) -> None:
    """
    Refuse settings with which a daemon has nothing to do.

    Raises:
        ConfigurationError: The NAS's path, ``DATABASE_URL`` or ``UPLOAD_DIR`` is empty.
    """
    needed = {
        "nas_mount_path": (settings.nas_path, "required.nas"),
        "database_url": (settings.database_url.get_secret_value(), "required.database_url"),
        "upload_dir": (settings.upload_dir, "required.upload_dir"),
    }
    for name, (value, allowed) in needed.items():
        if not value:
            params = {"name": env_name(name), "allowed": text(allowed, settings.language)}
            raise _error("settings.required", settings.language, params)


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (the name a person sets, the value without its secret, its origin) for each one."""
    return [
        (env_name(name), _shown(name, getattr(settings, name)), settings.origin(name))
        for name in Settings.model_fields
    ]


def _shown(name: str, value: object) -> str:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if name == "database_url":
            return visible(values.shown_database_url(secret))
        return "***" if secret else ""
    if isinstance(value, tuple):
        return ",".join("***" for _ in value)
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, ByteSize):
        return value.human_readable()
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else visible(str(value))


def _built(raw: Mapping[str, Any], origins: Mapping[str, str], language: str) -> Settings:
    try:
        return Settings(**raw)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
    # Outside of the handler: pydantic's error, which knows the values, is not even the context.
    name = str(wrong["loc"][0])
    if name not in Settings.model_fields:
        raise TypeError(f"no such setting: {name}")
    cause = wrong.get("ctx", {}).get("error")
    refused = cause if isinstance(cause, NotAllowedError) else _bounds(name)
    raise _refused(name, raw.get(name), refused, language, origins.get(name))


def _bounds(name: str) -> NotAllowedError:
    """Return what *name* allows, from its own declaration."""
    field = Settings.model_fields[name]
    limits = {type(rule).__name__: rule for rule in field.metadata}
    if get_origin(field.annotation) is Literal:
        return NotAllowedError("allowed.choice", choices=", ".join(get_args(field.annotation)))
    if field.annotation is ByteSize:
        return NotAllowedError("allowed.size")
    if field.annotation in (int, float):
        low, high = getattr(limits.get("Ge"), "ge", 0), getattr(limits.get("Le"), "le", 0)
        extra = field.json_schema_extra
        unit = extra.get("unit", "seconds") if isinstance(extra, dict) else "seconds"
        key = "allowed.integer" if field.annotation is int else f"allowed.{unit}"
        return NotAllowedError(key, low=f"{low:.10g}", high=f"{high:.10g}")
    return NotAllowedError("allowed.text")


def _refused(
    name: str, given: object, why: NotAllowedError, language: str, origin: str | None
) -> ConfigurationError:
    secret = name in SECRETS
    params = {
        "name": env_name(name),
        "allowed": text(why.key, language, **why.params),
        **({"origin": origin} if origin == CREDENTIAL else {}),
        **({} if secret else {"given": str(given)[:LONGEST_SHOWN]}),
    }
    return _error("settings.secret" if secret else "settings.invalid", language, params)


def _check(settings: Settings, language: str, *, for_backend: bool) -> None:
    if not for_backend:
        _check_address(settings, language)
    _check_places(settings, language)


def _check_address(settings: Settings, language: str) -> None:
    url = settings.database_url.get_secret_value()
    try:
        if url:
            values.check_database_url(url)
    except NotAllowedError as why:
        origin = settings.origin("database_url")
        raise _refused("database_url", None, why, language, origin) from None


def _check_places(settings: Settings, language: str) -> None:
    nas = "nas_local_path" if settings.nas_local_path else "nas_mount_path"
    try:
        check_apart(
            Place.of(env_name(nas), settings.nas_path),
            Place.of(env_name("upload_dir"), settings.upload_dir),
            Place.of(env_name("state_dir"), settings.state_dir),
            Place.of(env_name("log_file"), settings.log_file),
        )
    except NotAllowedError as why:
        raise _error(why.key, language, why.params) from None


def _error(key: str, language: str, params: Mapping[str, object]) -> ConfigurationError:
    return ConfigurationError(text(key, language, **params), **params)
