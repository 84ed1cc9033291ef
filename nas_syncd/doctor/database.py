"""The backend's database: reach, table, rights, size, and who else sets the flag."""

from __future__ import annotations

import os
import time

from nas_syncd.compose import names_from
from nas_syncd.doctor.findings import Notes
from nas_syncd.doctor.marks import look_at_marks
from nas_syncd.doctor.patient import Patient
from nas_syncd.doctor.places import followed, hangs, mount_below
from nas_syncd.documents.checkup import Checkup, Refusal, similar
from nas_syncd.documents.names import LOGICAL, OPTIONAL, REQUIRED
from nas_syncd.documents.shape import Shape
from nas_syncd.documents.urls import display_url
from nas_syncd.errors import ConfigurationError, DatabaseUnavailableError, SchemaError, SyncError
from nas_syncd.settings import Settings

TIMEOUT_SECONDS = 8.0
HANG_SECONDS = 5.0
SLOW_SECONDS = 0.5
LARGE_ROWS = 50_000
REACH, TABLE, RIGHTS = "database.reach", "database.table", "database.rights"


def look(patient: Patient, notes: Notes) -> None:
    settings = patient.settings
    if settings is None or not settings.database_url.get_secret_value():
        notes.skipped(REACH, "database_url")
        return
    try:
        url = settings.database_url.get_secret_value()
        checkup = Checkup.connect(url, names_from(settings), TIMEOUT_SECONDS)
    except ConfigurationError as error:
        notes.wrong(REACH, "database.driver", detail=error.detail)
        return
    try:
        _examine(patient, checkup, settings, notes)
    finally:
        checkup.close()


def _examine(patient: Patient, checkup: Checkup, settings: Settings, notes: Notes) -> None:
    if not (_file(checkup, notes) and _reach(patient, checkup, notes)):
        notes.skipped(TABLE, "database")
        return
    shape = _table(checkup, settings, notes)
    if shape is None:
        notes.skipped(RIGHTS, "table")
        return
    if _rights(checkup, shape, notes):
        try:
            _rows(checkup, shape, notes)
            look_at_marks(patient, checkup, shape, notes)
        except SyncError as error:
            notes.warning("database.rows", "database.slow_rows", detail=error.detail)


def _file(checkup: Checkup, notes: Notes) -> bool:
    """An SQLite file on a network share is a danger of its own; whether it may be touched."""
    if checkup.file is None:
        return True
    folder = os.path.dirname(followed(checkup.file))
    mount = mount_below(folder)
    if mount is None or not (mount.network or mount.file_system.startswith("fuse")):
        return True
    facts = {"path": checkup.file, "file_system": mount.file_system}
    if hangs(folder, HANG_SECONDS):
        notes.wrong("database.file", "database.file_hangs", **facts)
        return False
    if mount.network:
        notes.warning("database.file", "database.file_network", **facts)
    return True


def _reach(patient: Patient, checkup: Checkup, notes: Notes) -> bool:
    url = _shown(patient)
    began = time.monotonic()
    try:
        trip = checkup.round_trip()
        patient.database_clock.set_result(checkup.ahead())
    except DatabaseUnavailableError as error:
        code = "database.unreachable"
        if checkup.file is not None:
            there = os.path.exists(checkup.file)
            code = "database.file_refused" if there else "database.no_file"
        notes.wrong(REACH, code, url=url, path=checkup.file, detail=error.detail)
        return False
    except ConfigurationError as error:
        notes.wrong(REACH, "database.driver", detail=error.detail)
        return False
    took = time.monotonic() - began
    facts = {
        "url": url,
        "milliseconds": max(0.1, round(trip * 1000, 1)),
        "connect_seconds": round(took, 3),
    }
    if trip > SLOW_SECONDS:
        notes.warning(REACH, "database.far", **facts)
    else:
        notes.ok(REACH, "database.reach", **facts)
    return True


def _shown(patient: Patient) -> str:
    """Return the address as it was given, without its password."""
    settings = patient.settings
    return display_url(settings.database_url.get_secret_value()) if settings else ""


def _table(checkup: Checkup, settings: Settings, notes: Notes) -> Shape | None:
    table = checkup.names.table
    try:
        shape = checkup.shape()
    except SchemaError as error:
        try:
            _unfit(checkup, error, notes)
        except SyncError:  # it was there a moment ago
            notes.wrong(TABLE, "database.unfit", table=table, detail=error.detail)
        return None
    except SyncError as error:
        if "locked" in error.detail:
            notes.warning(TABLE, "database.locked", table=table, detail=error.detail)
        else:
            notes.wrong(TABLE, "database.table_unread", table=table, detail=error.detail)
        return None
    missing = [name for name in OPTIONAL if name not in shape.columns]
    columns = checkup.tables().columns or []
    meant = {name: similar(name, columns) for name in missing}
    for name in missing:
        if meant[name]:
            setting = _mapping(settings, name, str(meant[name]))
            notes.warning(
                "database.columns",
                f"database.perhaps_{name}",
                table=table,
                column=name,
                similar=meant[name],
                setting=setting,
            )
        else:
            notes.ok("database.columns", f"database.without_{name}", table=table, column=name)
    notes.ok(TABLE, "database.table", table=table, columns=len(shape.columns), known=len(LOGICAL))
    return shape


def _mapping(settings: Settings, name: str, column: str) -> str:
    mapped = {**settings.db_columns, name: column}
    return "NAS_SYNCD_DB_COLUMNS=" + ",".join(f"{key}={value}" for key, value in mapped.items())


def _unfit(checkup: Checkup, error: SchemaError, notes: Notes) -> None:
    """Name what is missing, and what in the database may be meant by it."""
    names = checkup.names
    there = checkup.tables()
    if there.columns is None:
        meant = similar(names.name, there.tables)
        notes.wrong(
            TABLE,
            "database.no_table",
            table=names.table,
            similar=meant,
            tables=there.tables[:20] or None,
        )
        return
    folded = {column.casefold() for column in there.columns}
    missing = [
        name
        for name in LOGICAL
        if (name in REQUIRED or name in names.columns) and names.real(name).casefold() not in folded
    ]
    if not missing:
        notes.wrong(TABLE, "database.unfit", table=names.table, detail=error.detail)
        return
    guesses = [f"{name}={similar(name, there.columns) or '…'}" for name in missing]
    kept = [f"{key}={value}" for key, value in names.columns.items() if key not in missing]
    notes.wrong(
        TABLE,
        "database.columns_missing",
        table=names.table,
        missing=[names.real(name) for name in missing],
        columns=there.columns,
        setting="NAS_SYNCD_DB_COLUMNS=" + ",".join([*kept, *guesses]),
    )


def _rights(checkup: Checkup, shape: Shape, notes: Notes) -> bool:
    """Return whether the table can be read, which the rest needs."""
    table, grant = checkup.names.table, checkup.grant(shape)
    try:
        unread = checkup.read_refusal(shape)
        if unread is not None:
            notes.wrong(RIGHTS, "database.no_select", table=table, sql=grant, detail=unread.detail)
            return False
        refusal = checkup.mark_refusal(shape)
    except SyncError as error:
        notes.warning(RIGHTS, "database.locked", table=table, detail=error.detail)
        return True
    if refusal is not None:
        _unmarkable(checkup, refusal, grant, notes)
    elif checkup.hides_rows(shape):
        notes.warning(RIGHTS, "database.policies", table=table)
    else:
        notes.ok(RIGHTS, "database.rights", table=table)
    return True


def _unmarkable(checkup: Checkup, refusal: Refusal, grant: str, notes: Notes) -> None:
    facts = {"table": checkup.names.table, "detail": refusal.detail, "path": checkup.file}
    if refusal.kind == "denied":
        columns = list(refusal.columns) or None
        notes.wrong(RIGHTS, "database.no_update", columns=columns, sql=grant, **facts)
    elif refusal.kind == "folder":
        notes.wrong(RIGHTS, "database.folder_read_only", folder=refusal.detail, **facts)
    elif checkup.file is not None:
        notes.wrong(RIGHTS, "database.file_read_only", **facts)
    else:
        notes.wrong(RIGHTS, "database.read_only", **facts)


def _rows(checkup: Checkup, shape: Shape, notes: Notes) -> None:
    began = time.monotonic()
    numbers = checkup.numbers(shape)
    facts: dict[str, object] = {
        "total": numbers.total,
        "marked": numbers.marked,
        "pending": numbers.total - numbers.marked,
        "nulls": numbers.null_flags or None,
        "count_seconds": round(time.monotonic() - began, 3),
    }
    notes.ok("database.rows", "database.rows", **facts)
    if numbers.total < LARGE_ROWS:
        return
    if checkup.has_pending_index(shape):
        notes.ok("database.index", "database.index", total=numbers.total)
    else:
        notes.warning(
            "database.index",
            "database.no_index",
            total=numbers.total,
            sql=checkup.pending_index(shape),
        )
