"""One call of the command: its settings, its language, and how it speaks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_syncd.errors import ConfigurationError, SyncError
from nas_syncd.messages import harmless_json, text, visible

if TYPE_CHECKING:
    from nas_syncd.settings import Settings


class Call:
    """What the command line was given for all commands. Lives as long as the command does."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.as_json = False
        self.env_file: Path | None = None
        self.redacted: Callable[[str], str] = str
        """Takes the secrets out of a text; there are none before the settings are read."""

    # -- settings ---------------------------------------------------------------------------

    def settings(self, nas_path: str | None = None) -> Settings:
        """Read the settings; from then on we speak their language and hide their secrets.

        Args:
            nas_path: Instead of the one that is set.

        Raises:
            ConfigurationError: One of them is wrong.
        """
        from nas_syncd.logs import hide, redacted
        from nas_syncd.settings import language_from_environment, load_settings

        self.language = language_from_environment(self.env_file)
        settings = load_settings(self.env_file, nas_local_path=nas_path)
        self.language = settings.language
        hide(*settings.secrets())
        self.redacted = redacted
        return settings

    def require(self, settings: Settings, *names: str) -> None:
        """Refuse settings of which one that this command needs is empty.

        Raises:
            ConfigurationError: It names the first of *names* that is empty.
        """
        from nas_syncd.settings import env_name

        given = {
            "nas": settings.nas_path,
            "database_url": settings.database_url.get_secret_value(),
            "upload_dir": settings.upload_dir,
        }
        for name in names:
            if not given[name]:
                shown = env_name("nas_mount_path" if name == "nas" else name)
                allowed = self.text(f"required.{name}")
                line = self.text("settings.required", name=shown, allowed=allowed)
                raise ConfigurationError(line, name=shown, allowed=allowed)

    # -- words ------------------------------------------------------------------------------

    def text(self, key: str, **params: object) -> str:
        """Return the sentence for *key* in the caller's language."""
        return text(key, self.language, **params)

    def count(self, key: str, number: int, **params: object) -> str:
        """Return the sentence for *key* with a number in it, singular or plural."""
        few = number < 2 if self.language == "fr" else number == 1
        return self.text(f"{key}.one" if few else f"{key}.many", count=number, **params)

    def say(self, line: str = "", *, at_once: bool = False) -> None:
        """Write one line for a person to standard output; *at_once*: somebody reads along."""
        sys.stdout.write(self.redacted(line) + "\n")
        if at_once:
            sys.stdout.flush()

    def complain(self, line: str) -> None:
        """Write one line for a person to standard error."""
        sys.stdout.flush()
        sys.stderr.write(self.redacted(line) + "\n")

    def answer(self, data: dict[str, Any]) -> None:
        """Write what a program asked for: one JSON object."""
        plain = json.dumps(data, ensure_ascii=False, indent=2, default=str)
        sys.stdout.write(harmless_json(self.redacted(plain)) + "\n")

    def answer_line(self, data: dict[str, Any]) -> None:
        """Write one of several JSON objects, each in a line of its own, at once."""
        plain = json.dumps(data, ensure_ascii=False, default=str)
        self.say(harmless_json(plain), at_once=True)

    def fail(self, error: SyncError) -> None:
        """Say what went wrong and what to do about it, in one line or as JSON."""
        if self.as_json:
            self.answer({"error": self.error_data(error)})
        else:
            words = self.error_line(self.error_data(error))
            self.complain(self.text("cli.failed", text=words))

    def error_data(self, error: SyncError) -> dict[str, Any]:
        """Return an error as it stands in every JSON answer, under the key ``error``."""
        from nas_syncd.cli.exits import AnsweredError
        from nas_syncd.messages.asdata import error_data

        if isinstance(error, AnsweredError):
            return error.data
        return error_data(error, self.language)

    def error_line(self, error: dict[str, Any]) -> str:
        """Return what happened and what to do about it, in one line, from :meth:`error_data`."""
        cure = error.get("remedy")
        return f"{error['message']}. {cure}" if cure else str(error["message"])

    def name(self, identifier: str, original_name: str | None) -> str:
        """Return how a document is called: its id, with the name that a person gave it."""
        if original_name:
            return visible(f"{identifier} ({original_name})")
        return visible(identifier)
