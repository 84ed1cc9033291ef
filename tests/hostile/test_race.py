"""Somebody swaps what stands in the upload folder while it is looked at and opened."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from nas_syncd.agent.tree import Looker, Walk, open_root
from nas_syncd.errors import SourceChangedError, SourceMissingError, SourceRefusedError
from nas_syncd.sourcefile import open_source

SECRET, MINE = b"what no document may ever hold", b"mine"
SECONDS = 1.0
TRIES = 200
"""At least, and for a second at least: with two cores a swap falls into the gap now and then."""


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Documents ``a.pdf`` and ``sub/a.pdf``, and a secret of that name beside the folder."""
    for folder in ("uploads/sub", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside/a.pdf").write_bytes(SECRET)
    for name in ("a.pdf", "sub/a.pdf"):
        (tmp_path / "uploads" / name).write_bytes(MINE)
    return tmp_path / "uploads"


def put_file(uploads: Path) -> None:
    (uploads / "new").write_bytes(MINE)
    (uploads / "new").replace(uploads / "a.pdf")


def put_link(uploads: Path) -> None:
    (uploads / "new").symlink_to("../outside/a.pdf")
    (uploads / "new").replace(uploads / "a.pdf")


def put_fifo(uploads: Path) -> None:
    os.mkfifo(uploads / "new")
    (uploads / "new").replace(uploads / "a.pdf")


def swap_folder(uploads: Path) -> None:
    (uploads / "sub").rename(uploads / "kept")
    (uploads / "sub").symlink_to("../outside")


def swap_back(uploads: Path) -> None:
    (uploads / "sub").unlink()
    (uploads / "kept").rename(uploads / "sub")


@contextlib.contextmanager
def swapping(uploads: Path, *acts: Callable[[Path], None]) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        for act in cycle(acts):
            act(uploads)
            if over.is_set():
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def enough() -> Iterator[int]:
    end, number = time.monotonic() + SECONDS, 0
    while number < TRIES or time.monotonic() < end:
        yield number
        number += 1


@pytest.mark.parametrize(
    ("name", "acts"),
    [
        ("a.pdf", (put_file, put_link)),
        ("a.pdf", (put_file, put_fifo, put_link)),
        ("sub/a.pdf", (swap_folder, swap_back)),
    ],
    ids=["link", "fifo", "folder"],
)
def test_a_swap_between_look_and_open_gives_the_document_or_a_refusal(
    uploads: Path, name: str, acts: tuple[Callable[[Path], None], ...]
) -> None:
    """A FIFO would also hang us, and the test."""
    seen: Counter[object] = Counter()
    with swapping(uploads, *acts):
        for _ in enough():
            try:
                fd, _version = open_source(str(uploads), name, lambda _side: None)
            except (SourceRefusedError, SourceChangedError, SourceMissingError) as refused:
                seen[type(refused)] += 1
            else:
                with os.fdopen(fd, "rb") as file:
                    seen[file.read()] += 1

    assert set(seen) <= {MINE, SourceRefusedError, SourceChangedError, SourceMissingError}
    assert seen[MINE] > 0
    assert seen[SourceRefusedError] > 0


def test_looks_and_scans_see_no_file_behind_a_folder_that_is_swapped(uploads: Path) -> None:
    """The secret's size tells: a scan may list behind the link, a look never does."""
    sizes: Counter[int] = Counter()
    with swapping(uploads, swap_folder, swap_back):
        for _ in enough():
            with open_root(str(uploads)) as root:
                looker = Looker(root, lambda: None)
                kind, size, *_ = looker.look("sub/a.pdf")
                looker.close()
                sizes[size] += kind == "file"
                assert {path for path, _ in Walk(root, lambda: None)} <= {
                    *("a.pdf", "sub", "sub/a.pdf", "kept/a.pdf", "new")
                }

    assert sizes[len(SECRET)] == 0
    assert sizes[len(MINE)] > 0
