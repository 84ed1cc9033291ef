"""The same lies from a real file system (FUSE), to real children."""

from __future__ import annotations

import pytest

from nas_syncd.models import FateKind
from tests.helpers import World
from tests.oracle import examine

pytestmark = [pytest.mark.lab, pytest.mark.root]

LIES = {
    "a bit is flipped while it is written": {"op": "write", "do": "corrupt", "mode": "flip"},
    "zeros are written": {"op": "write", "do": "corrupt", "mode": "zero"},
    "the end of a write is dropped": {"op": "write", "do": "corrupt", "mode": "drop"},
    "nothing is written": {"op": "write", "do": "lie"},
    "a bit is flipped while it is read back": {"op": "read", "do": "corrupt"},
    "the rename is not done": {"op": "rename", "do": "lie"},
}


@pytest.fixture
def share(fault_fs):
    return fault_fs()


@pytest.fixture
def world(tmp_path, share):
    world = World(tmp_path / "world", share.path)
    yield world
    world.close()


def verdict(world, share):
    return examine(world.database, world.uploads, share.source, state=world.state)


@pytest.mark.parametrize("often", [{"times": 1}, {}], ids=["once", "always"])
@pytest.mark.parametrize("lie", LIES)
def test_no_flag_is_set_on_what_a_lying_file_system_holds(world, share, lie, often):
    flow = world.flow(world.site())
    id_ = world.add("sick.pdf", b"content" * 1000)
    path = "*.part" if LIES[lie]["op"] != "rename" else "*-0.part"
    share.rules([{**LIES[lie], "path": path, **often}])

    fate = world.go(flow, [id_])[id_]

    seen = verdict(world, share)
    assert seen.honest
    assert any(operation.fault for operation in share.log())
    if fate.kind is not FateKind.SYNCED:
        assert fate.reason is not None
        assert not world.flag(id_)
    share.clear()
    world.clock.pass_by(2 * 86_400)
    flow.site.guard.check(write=True).result(30)
    world.go(flow, [id_])
    assert verdict(world, share).perfect
    assert world.flags(id_) == [True]
