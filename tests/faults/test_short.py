"""A few seconds of every group; ``make faults`` tries them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.groups import GROUPS
from tests.faults.lab import Group
from tests.lab import parts

SHORT = [
    pytest.param(group, case, id=f"{group.name}: {case}")
    for group in GROUPS.values()
    for case in group.short()
]


@pytest.mark.parametrize(("group", "case"), SHORT)
def test_it_survives(group: Group, case: str, tmp_path: Path):
    why = group.missing()
    if why is not None:
        parts.missing(why)
    assert group.run(case, tmp_path)


@pytest.mark.parametrize("group", GROUPS.values(), ids=list(GROUPS))
def test_every_case_is_another_one(group: Group):
    cases = group.cases()
    assert len(cases) == len(set(cases))
    assert set(group.short()) <= set(cases)
