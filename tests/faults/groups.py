"""Every group of the lab by its name, in the order of the table."""

from __future__ import annotations

from tests.faults import database
from tests.faults.lab import Group

_ALL: tuple[Group, ...] = (database.POSTGRESQL, database.SQLITE)

GROUPS: dict[str, Group] = {group.name: group for group in _ALL}
