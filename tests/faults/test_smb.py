"""One case over the kernel's own cifs; ``make faults`` tries them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.smb import GROUP
from tests.lab import parts


@pytest.mark.lab
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(450)
def test_a_server_that_is_restarted_while_documents_are_copied_loses_nothing(tmp_path: Path):
    why = GROUP.missing()
    if why is not None:
        parts.missing(why)
    outcome = GROUP.run("server restarted in no time while documents are copied", tmp_path)
    assert outcome == "safe"
