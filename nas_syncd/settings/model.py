"""The settings themselves: one frozen class, every default and every limit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from nas_syncd.settings import values
from nas_syncd.settings.sources import DEFAULT, default_state_dir
from nas_syncd.settings.values import NotAllowedError

DEFAULT_FOLDERS = {
    "receipt": "tickets",
    "invoice": "factures",
    "payslip": "salaires",
    "other": "autres",
}
_HOUR = 3600.0
_YEAR = 366 * 24 * _HOUR
_LARGEST = 2**63 - 1


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _or_none(value: object) -> object:
    return None if value == "" else value


def _path(value: object) -> object:
    return values.absolute_path(os.fspath(value)) if isinstance(value, str | Path) else value


def _mounted(value: str) -> str:
    return values.mounted_path(value) if value else value


def _absolute(value: str) -> str:
    return values.absolute_path(value) if value else value


def _recorded(value: str) -> str:
    return values.recorded_path(value) if value else value


def _host(value: str) -> str:
    if not value or any(char.isspace() for char in value) or "://" in value:
        raise NotAllowedError("allowed.host")
    return values.plain_text(value)


def _folders(value: object) -> dict[str, str]:
    return DEFAULT_FOLDERS | values.folders(value)


def _urls(value: object) -> object:
    return values.notify_urls(value) if isinstance(value, str) else value


def _ping(value: SecretStr) -> SecretStr:
    values.check_web_address(value.get_secret_value())
    return value


LocalPath = Annotated[Path, BeforeValidator(_path)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Minutes = Annotated[float, Field(allow_inf_nan=False, json_schema_extra={"unit": "minutes"})]
Hours = Annotated[float, Field(allow_inf_nan=False, json_schema_extra={"unit": "hours"})]


class Settings(BaseSettings):
    """Frozen. Built by :func:`load_settings`; the class itself reads no environment and no file."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False
    )

    nas_local_path: Annotated[str, AfterValidator(_mounted)] = ""
    """The share as this host sees it; wins over ``nas_mount_path``."""
    nas_mount_path: Annotated[str, AfterValidator(_mounted)] = ""
    """The share as the backend's container sees it."""
    database_url: SecretStr = SecretStr("")
    upload_dir: Annotated[str, AfterValidator(_absolute)] = ""
    db_upload_dir: Annotated[str, AfterValidator(_recorded)] = ""
    """What stands for ``upload_dir`` in ``file_path``."""
    db_table: Annotated[str, AfterValidator(values.table_name)] = "documents"
    db_columns: Annotated[dict[str, str], BeforeValidator(values.columns)] = {}
    """Logical name → the table's own; the names that are not here are the same."""
    type_folders: Annotated[dict[str, str], BeforeValidator(_folders)] = DEFAULT_FOLDERS
    """Document type in lower case → folder; always with the four defaults' types."""
    state_dir: LocalPath = Field(default_factory=lambda: default_state_dir(os.environ)[0])
    watch: Annotated[Literal["auto", "native", "poll"], BeforeValidator(_lower)] = "auto"
    settle_seconds: Seconds = Field(default=2.0, ge=0, le=_HOUR)
    scan_seconds: Seconds = Field(default=30.0, ge=0.05, le=24 * _HOUR)
    metadata_wait_seconds: Seconds = Field(default=_HOUR, ge=0, le=_YEAR)
    workers: int = Field(default=4, ge=1, le=64)
    nas_timeout_seconds: Seconds = Field(default=30.0, ge=0.1, le=_HOUR)
    min_free_space: Annotated[ByteSize, BeforeValidator(values.size)] = Field(
        default=ByteSize(2**30), ge=0, le=_LARGEST
    )
    language: Annotated[Literal["fr", "en"], BeforeValidator(_lower)] = "fr"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)] = "auto"
    log_file: Annotated[LocalPath | None, BeforeValidator(_or_none)] = None
    api_host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    api_port: int = Field(default=8377, ge=0, le=65535)
    """0: no HTTP, only the Unix socket in the state directory."""
    api_token: SecretStr = SecretStr("")
    notify_urls: Annotated[tuple[SecretStr, ...], BeforeValidator(_urls)] = ()
    notify_away_minutes: Minutes = Field(default=15.0, ge=0, le=7 * 24 * 60)
    """So long the NAS or the database may be away before somebody is told."""
    notify_waiting_hours: Hours = Field(default=24.0, ge=0, le=366 * 24)
    """So old the oldest document may become that waits."""
    ping_url: Annotated[SecretStr, AfterValidator(_ping)] = SecretStr("")
    """Called while everything is safe; a secret, for whoever knows it can call it, too."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _source_file: Path | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: :mod:`.sources` knows where each value came from."""
        return (init_settings,)

    @property
    def nas_path(self) -> str:
        """The NAS as this process sees it; empty when it is not configured."""
        return self.nas_local_path or self.nas_mount_path

    @property
    def tells_somebody(self) -> bool:
        """Whether notifications or the ping are set."""
        return bool(self.notify_urls or self.ping_url.get_secret_value())

    @property
    def source_file(self) -> Path | None:
        """The settings file that was read."""
        return self._source_file

    def origin(self, name: str) -> str:
        """Return where a value came from: ``environment``, ``argument``, ``default``, or a file."""
        return self._origins.get(name, DEFAULT)

    def remember(self, origins: Mapping[str, str], source_file: Path | None) -> None:
        """Note where the values came from; for who builds the settings only."""
        self._origins.update(origins)
        self._source_file = source_file

    def secrets(self) -> list[str]:
        """Return every text that no log may hold, for ``logs.hide``."""
        found = values.database_secrets(self.database_url.get_secret_value())
        found.append(self.api_token.get_secret_value())
        found.append(self.ping_url.get_secret_value())
        found += [url.get_secret_value() for url in self.notify_urls]
        return [secret for secret in found if secret]
