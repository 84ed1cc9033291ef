"""Every group of the lab by its name, in the order of the table."""

from __future__ import annotations

from tests.faults import calls, crashes, database, hosts, journals, lies, power, smb
from tests.faults.lab import Group

_ALL: tuple[Group, ...] = (
    calls.GROUP,
    lies.GROUP,
    crashes.GROUP,
    power.GROUP,
    journals.GROUP,
    database.POSTGRESQL,
    database.SQLITE,
    hosts.GROUP,
    smb.GROUP,
)

GROUPS: dict[str, Group] = {group.name: group for group in _ALL}
