"""What is tried is the mutant, also in the processes that the tests start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults import mutants


@pytest.mark.parametrize("started_in", ["tests/test_journal.py", "tests/faults/hosts.py"])
def test_a_process_that_a_test_starts_where_it_lies_has_the_mutant(tmp_path, started_in):
    source = "raise SystemExit('the mutant')"
    copy = mutants._copy(tmp_path / "copy", "journal/runs.py", source)
    place = (copy / started_in).resolve()
    project = next(folder for folder in place.parents if (folder / "nas_syncd").is_dir())

    ran = subprocess.run(
        [sys.executable, "-c", "import nas_syncd.journal"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ran.stderr.strip() == "the mutant"
