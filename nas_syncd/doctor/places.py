"""Local folders, looked at carefully: which file system, and whether it answers at all."""

from __future__ import annotations

from pathlib import Path

from nas_syncd.agent.process import Agent, AgentHungError
from nas_syncd.errors import SyncError
from nas_syncd.mounttable import MountPoint, find_mount, read_mount_table


def mount_below(path: Path | str) -> MountPoint | None:
    """Return the mount that *path* lies on, without touching it."""
    return find_mount(read_mount_table(), str(path))


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
