"""From settings to parts: the one place where both are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nas_syncd.documents import DocumentsTable, TableNames
from nas_syncd.models import MountView, Policy
from nas_syncd.settings import Settings
from nas_syncd.site import Plan, Site
from nas_syncd.watcher import Batch, UploadFolder, UploadsView

T = TypeVar("T", bound=DocumentsTable)

DATABASE_TIMEOUT_SECONDS = 10.0


def policy_from(settings: Settings) -> Policy:
    return Policy(
        folders=settings.type_folders,
        settle_seconds=settings.settle_seconds,
        metadata_wait_seconds=settings.metadata_wait_seconds,
        scan_seconds=settings.scan_seconds,
    )


def plan_from(settings: Settings) -> Plan:
    return Plan(
        nas_path=settings.nas_path,
        upload_dir=settings.upload_dir,
        db_upload_dir=settings.db_upload_dir or None,
        state_dir=settings.state_dir,
        policy=policy_from(settings),
        workers=settings.workers,
        nas_timeout_seconds=settings.nas_timeout_seconds,
        min_free_bytes=int(settings.min_free_space),
    )


def names_from(settings: Settings) -> TableNames:
    """
    Raises:
        ConfigurationError: A column is mapped that we do not know.
    """
    return TableNames(settings.db_table, settings.db_columns)


def table_from(settings: Settings, kind: type[T] = DocumentsTable) -> T:  # type: ignore[assignment]
    """
    Args:
        kind: A table that does more than the plain one.

    Raises:
        ConfigurationError: No driver for the database is installed.
    """
    return kind.connect(
        settings.database_url.get_secret_value(),
        names_from(settings),
        timeout_seconds=DATABASE_TIMEOUT_SECONDS,
    )


def site_from(
    settings: Settings,
    *,
    watch: bool = False,
    on_hints: Callable[[Batch], None] | None = None,
    on_view: Callable[[UploadsView], None] | None = None,
    on_wake: Callable[[], None] | None = None,
    on_mount: Callable[[MountView, MountView], None] = lambda _was, _now: None,
) -> Site:
    """Build a site; nothing is touched but the state directory.

    Raises:
        JournalError: The state directory cannot be used.
    """
    uploads = UploadFolder(
        settings.upload_dir,
        timeout_seconds=settings.nas_timeout_seconds,
        watch=settings.watch if watch else None,
        scan_seconds=settings.scan_seconds,
        on_hints=on_hints,
        on_view=on_view,
        on_wake=on_wake,
    )
    try:
        return Site(plan_from(settings), uploads, on_mount=on_mount)
    except BaseException:
        uploads.close()
        raise
