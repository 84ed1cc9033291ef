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

FOUND: dict[str, tuple[str, ...]] = {
    "calls": (
        "documents were blamed for what the NAS as a whole had",
        "a claim that could not be given back, a marker written in part stayed for ever",
        "a marker that was read did not count when its close failed",
        "a cleaning that was interrupted was not begun again",
        "a restore that was done and told otherwise took its flag back",
    ),
    "lies": (
        "the flag stood on a file that was cut after its close, or lost after its rename",
        "a claimed rename replaced what a listing had missed",
    ),
    "crashes": ("a marker's temp file outlived an adopt that was killed",),
    "power": ("the flag stood on an empty file after a loss of power",),
    "journal": (
        "a damaged journal stopped the program; an emptied one forgot which NAS is ours",
        "a forked child opened journals again that were closed",
    ),
    "postgresql": ("a column of another type kept the table away until a restart",),
    "sqlite": ("the same",),
    "smb": ("after a loss of power flags stood for ever on names that only the kernel remembered",),
}
"""What each group has found; each has a test of its own and was mended."""
