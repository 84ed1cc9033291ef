"""Every group of the lab by its name, in the order of the table."""

from __future__ import annotations

from tests.faults import crashes, hosts, power
from tests.faults.lab import Group

_ALL: tuple[Group, ...] = (crashes.GROUP, power.GROUP, hosts.GROUP)

GROUPS: dict[str, Group] = {group.name: group for group in _ALL}
