"""Logs: one event, one line, whatever a document is called and whoever is to be kept secret.

:func:`get_logger` may be called at import. Until :func:`configure_logging` was called (inside the
backend it never is) events go to the standard library's logger of the same name, and the host
decides what becomes of them. structlog's global configuration is never touched.

Event names are stable English ``noun.verb``; keys are stable, too. Every value is made safe first
(:mod:`nas_syncd.logs.safe`): no secret that :func:`hide` knows, no control character that could
forge a line or steer a terminal, nothing that cannot be encoded. Logging never raises: a full disk
must not stop a copy.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

from nas_syncd.logs.output import (
    FOREIGN_EVENT,
    LEVELS,
    OWN_KEYS,
    Record,
    configure_logging,
    current,
    is_journal,
    new_record,
    shutdown_logging,
)
from nas_syncd.logs.repeat import Repeater, Suppressed
from nas_syncd.logs.safe import (
    exception_text,
    forget_secrets,
    hide,
    plain_value,
    redacted,
    safe,
)
from nas_syncd.logs.tap import Tap

__all__ = [
    "FOREIGN_EVENT",
    "Logger",
    "Repeater",
    "Suppressed",
    "Tap",
    "configure_logging",
    "forget_secrets",
    "get_logger",
    "hide",
    "is_journal",
    "redacted",
    "shutdown_logging",
]


class Logger(structlog.BoundLoggerBase):
    """A bound logger: ``log.bind(document_id="42").info("document.synced", bytes=10)``."""

    def bind(self, **context: object) -> Logger:
        """Return a logger whose every event has *context*."""
        return super().bind(**context)

    def debug(self, event: str, **values: object) -> None:
        self._log("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        self._log("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        self._log("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        self._log("error", event, values)

    def critical(self, event: str, **values: object) -> None:
        self._log("critical", event, values)

    def exception(self, event: str, **values: object) -> None:
        """Log an error with the exception that is being handled."""
        values.setdefault("exc_info", True)
        self._log("error", event, values)

    def _log(self, level: str, event: str, values: Record) -> None:
        if self._logger.wants(LEVELS[level]):
            self._proxy_to_logger(level, event, **values)


class _Target:
    """Where structlog hands a finished record on; knows the logger's name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wants(self, level: int) -> bool:
        output = current()
        if output is not None:
            return level >= output.threshold
        return logging.getLogger(self.name).isEnabledFor(level)

    def _take(self, record: Record) -> None:
        output = current()
        if output is not None:
            output.write(record)
            return
        words = " ".join(
            [str(record["event"])]
            + [f"{key}={plain_value(record[key])}" for key in record if key not in OWN_KEYS[:4]]
        )
        logging.getLogger(self.name).log(LEVELS[record["level"]], "%s", words)

    debug = info = warning = error = critical = _take


def _finish(
    target: _Target, level: str, values: MutableMapping[str, Any]
) -> tuple[tuple[Record], dict[str, Any]]:
    """The one processor: a structlog event becomes a record of safe values, in a fixed order."""
    exc_info = values.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    record = new_record(level, values.pop("event", ""), target.name)
    for key, value in values.items():
        record[f"{key}_" if key in OWN_KEYS else key] = safe(value)
    told = exception_text(exc_info)
    if told is not None:
        record["exception"] = told
    return (record,), {}


def get_logger(name: str) -> Logger:
    """Return the logger *name*; cheap, and right whether logging is configured yet or not."""
    wrapped = structlog.wrap_logger(
        _Target(name),
        processors=[_finish],
        wrapper_class=Logger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("Logger", wrapped)
