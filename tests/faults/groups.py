"""Every group of the lab by its name, in the order of the table."""

from __future__ import annotations

from tests.faults import crashes, hosts, journals, power
from tests.faults.lab import Group

_ALL: tuple[Group, ...] = (crashes.GROUP, power.GROUP, hosts.GROUP, journals.GROUP)

GROUPS: dict[str, Group] = {group.name: group for group in _ALL}
