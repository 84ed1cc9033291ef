"""Everything that can be set, read once at start: the only reader of the environment.

``load_settings()`` gives a frozen :class:`Settings` or raises :class:`ConfigurationError` with one
line that names the setting as a person sets it. It never exits, never touches the NAS or the
upload folder (either may hang), and lets no secret into an error.

The settings themselves are loaded when they are first asked for: ``nas-syncd --help`` needs the
language alone, and pydantic is slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas_syncd.settings.ambient import (
    inherited_environment,
    journal_stream,
    language_from_environment,
    notify_environment,
    only_the_file,
    runtime_directories,
    senders_environment,
    wants_colour,
)
from nas_syncd.settings.sources import candidates, env_name, settings_files

if TYPE_CHECKING:
    from nas_syncd.settings.load import (
        credential_files,
        describe,
        load_settings,
        load_what_can_be,
        require_for_run,
    )
    from nas_syncd.settings.model import DEFAULT_FOLDERS, Settings

__all__ = [
    "DEFAULT_FOLDERS",
    "Settings",
    "candidates",
    "credential_files",
    "describe",
    "env_name",
    "inherited_environment",
    "journal_stream",
    "language_from_environment",
    "load_settings",
    "load_what_can_be",
    "notify_environment",
    "only_the_file",
    "require_for_run",
    "runtime_directories",
    "senders_environment",
    "settings_files",
    "wants_colour",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nas_syncd.settings import load, model

        return getattr(load if hasattr(load, name) else model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
