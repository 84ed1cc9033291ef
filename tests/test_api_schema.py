"""The OpenAPI document is true: thousands of requests made from it, put to the real daemon."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http_client import Client, free_port
from tests.stage import RunningDaemon, Stage

EXAMPLES = 6
"""For each call and phase: some 300 requests altogether."""


@pytest.mark.slow
def test_schemathesis_finds_nothing_wrong_with_any_call(tmp_path):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed: make test installs it")
    port = free_port()
    stage = Stage(tmp_path, NAS_SYNCD_API_PORT=port).pair()
    for number in range(12):
        stage.add(f"{number}.pdf", b"%d" % number, user_id=number % 3)
    stage.row("missing.pdf")
    stage.add("waiting.pdf", b"1", processing_status="pending")
    with RunningDaemon(stage) as daemon:
        Client(port).wait()
        stage.wait_marked(12)
        ended = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"http://127.0.0.1:{port}/openapi.json",
                "--exclude-path=/sync/events",  # it has no end; tests/test_api_stream.py
                f"--max-examples={EXAMPLES}",
                # By chance it sends a plain text where a list is allowed, which in a query is the
                # list of this one text, and calls it a fault that it is taken.
                "--generation-deterministic",
                "--request-timeout=30",
                "--checks=all",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
        assert "Tested: 16" in ended.stdout, ended.stdout[-3000:]
        assert daemon.count("api.error") == 0
        assert daemon.stop() == 0
    assert stage.verdict().lying == []
