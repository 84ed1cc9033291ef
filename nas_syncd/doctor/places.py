"""Local folders, looked at carefully: which file system, and whether it answers at all."""

from __future__ import annotations

import os
from pathlib import Path

from nas_syncd.agent.process import Agent, AgentHungError
from nas_syncd.errors import SyncError
from nas_syncd.mounttable import MountPoint, find_mount, read_mount_table

MOST_LINKS = 40


def mount_below(path: Path | str) -> MountPoint | None:
    """Return the mount that *path* lies on, without touching it."""
    return find_mount(read_mount_table(), str(path))


def followed(path: Path | str) -> str:
    """Return *path* without links, as far as no network mount is touched by looking."""
    done, to_do, links = Path("/"), list(Path(path).parts[1:]), 0
    while to_do:
        step = done.parent if to_do[0] == ".." else done / to_do[0]
        mount = mount_below(step)
        if mount is not None and mount.network:
            return os.path.normpath(done.joinpath(*to_do))
        del to_do[0]
        try:
            target = Path(os.readlink(step)) if links < MOST_LINKS else None
        except OSError:  # no link, or not there yet
            target = None
        if target is None:
            done = step
            continue
        links += 1
        if target.is_absolute():
            done, target = Path("/"), target.relative_to("/")
        to_do[:0] = target.parts
    return str(done)


def hangs(folder: Path | str, seconds: float) -> bool:
    """Whether *folder* gives no answer within *seconds*. A child asks: we cannot be held up."""
    agent = Agent(
        "uploads",
        side="uploads",
        timeout_seconds=seconds,
        options={"root": str(folder), "watch": None, "queue_limit": 1},
    )
    try:
        agent.call("root")
    except AgentHungError:
        return True
    except SyncError:  # it is not there, or not ours: that is an answer
        return False
    finally:
        agent.close(0.2)
    return False
