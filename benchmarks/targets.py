"""Where is copied to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Target:
    """A place that takes the copies. :meth:`fresh` gives each run an empty folder."""

    name: str
    folder: Path
    """As the contenders see it."""
    behind: Path
    """The same one on the server's own disk; where there is no server, the same."""
    _number: int = field(default=0)

    def fresh(self) -> Path:
        """Return a new empty folder; its name was never used before."""
        self._number += 1
        path = self.folder / f"run-{self._number}"
        path.mkdir()
        return path

    def stored(self, folder: Path) -> dict[str, int]:
        """Return name and size of every document that the server has in *folder*."""
        behind = self._behind(folder)
        return {
            path.name: path.stat().st_size
            for path in behind.rglob("*")
            if path.is_file() and not path.name.startswith(".nas-syncd")
        }

    def clear(self, folder: Path) -> None:
        """Take it away on the server's side: the next one must not pay for it."""
        shutil.rmtree(self._behind(folder))

    def _behind(self, folder: Path) -> Path:
        return self.behind / folder.relative_to(self.folder)


@contextmanager
def local(where: Path) -> Iterator[Target]:
    """A folder of this machine, below *where*."""
    with tempfile.TemporaryDirectory(prefix="nas-syncd-bench-nas-", dir=where) as folder:
        yield Target("local", Path(folder), Path(folder))
