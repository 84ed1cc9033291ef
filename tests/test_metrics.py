"""The page that the monitoring reads, read by Prometheus's own tools and parsers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from nas_syncd import metrics as module
from nas_syncd.errors import BY_CODE
from nas_syncd.messages import en
from nas_syncd.metrics import CODES, STATES, Metrics, Snapshot
from nas_syncd.models import Fate, FateKind, MountState, Reason
from tests.helpers import a_document, a_receipt
from tests.lab import parts

PROJECT = Path(__file__).resolve().parents[1]
DOC = PROJECT / "docs" / "monitoring.md"
CALM = Snapshot(
    documents={"safe": 142, "waiting": 8},
    oldest_pending_age_seconds=12.5,
    mount_state=MountState.OK,
    nas_free_bytes=10**12,
    nas_total_bytes=4 * 10**12,
    database_up=True,
    uploads_up=True,
    event_streams=2,
)
DOCUMENT = a_document("7")
SIZE = a_receipt(DOCUMENT).version.size


def synced(seconds=0.2, adopted=False, document=DOCUMENT):
    return Fate(document, FateKind.SYNCED, None, a_receipt(document), adopted, seconds)


def failed(code, kind=FateKind.FAILED, document=DOCUMENT):
    return Fate(document, kind, Reason(code) if code is not None else None)


def read(metrics, snapshot=CALM):
    """Every sample of the page: (name, labels) → value."""
    page, _ = metrics.render(snapshot)
    families = text_string_to_metric_families(page.decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def busy():
    metrics = Metrics("1.2.3")
    for number in range(50):
        metrics.told(synced(number / 10, adopted=number % 7 == 0), number * 3.0)
    for code in CODES:
        metrics.told(failed(code), None)
    return metrics


# -- what is told ------------------------------------------------------------------------------


def test_what_became_safe_is_counted_with_bytes_and_times():
    metrics = Metrics()
    metrics.told(synced(0.2), 3.0)
    metrics.told(synced(7.0), None)
    metrics.told(synced(0.01, adopted=True), 90_000.0)

    page = read(metrics)

    assert page["nas_syncd_files_synced_total",] == 3
    assert page["nas_syncd_files_adopted_total",] == 1
    assert page["nas_syncd_synced_bytes_total",] == 2 * SIZE
    assert page["nas_syncd_copy_seconds_bucket", "0.1"] == 0
    assert page["nas_syncd_copy_seconds_bucket", "0.25"] == 1
    assert page["nas_syncd_copy_seconds_count",] == 2
    assert page["nas_syncd_copy_seconds_sum",] == pytest.approx(7.2)
    assert page["nas_syncd_landing_to_safe_seconds_bucket", "2.5"] == 0
    assert page["nas_syncd_landing_to_safe_seconds_bucket", "86400.0"] == 1
    assert page["nas_syncd_landing_to_safe_seconds_bucket", "+Inf"] == 2


def test_a_time_on_a_bucket_s_limit_is_in_it():
    metrics = Metrics()
    metrics.told(synced(0.1), 0.05)

    page = read(metrics)

    assert page["nas_syncd_landing_to_safe_seconds_bucket", "0.05"] == 1
    assert page["nas_syncd_copy_seconds_bucket", "0.1"] == 1


@pytest.mark.parametrize(("odd", "counted"), [(-5.0, 1), (float("nan"), 0), (float("inf"), 0)])
def test_clocks_that_disagree_spoil_no_histogram(odd, counted):
    metrics = Metrics()
    metrics.told(synced(odd), odd)

    page = read(metrics)

    for name in ("landing_to_safe", "copy"):
        assert page[f"nas_syncd_{name}_seconds_count",] == counted
        assert page[f"nas_syncd_{name}_seconds_sum",] == 0.0
    assert page["nas_syncd_files_synced_total",] == 1


def test_only_failures_and_refusals_are_failures():
    metrics = Metrics()
    for kind in FateKind:
        metrics.told(failed("copy.verify", kind), None)
    metrics.told(failed("copy.verify"), None)

    page = read(metrics)

    assert page["nas_syncd_failures_total", "copy.verify"] == 3
    assert [key for key in page if key[0] == "nas_syncd_failures_total"] == [
        ("nas_syncd_failures_total", "copy.verify")
    ]


def test_a_refused_document_is_counted_once_for_each_reason_however_often_it_is_looked_at():
    metrics = Metrics()
    for code in ["refuse.link", "refuse.link", "refuse.special", "refuse.special", "refuse.link"]:
        metrics.told(failed(code, FateKind.REFUSED), None)
    metrics.told(failed("refuse.link", FateKind.REFUSED, a_document("8")), None)
    metrics.told(synced(), None)
    metrics.told(failed("refuse.link", FateKind.REFUSED), None)

    page = read(metrics)

    assert page["nas_syncd_failures_total", "refuse.link"] == 4
    assert page["nas_syncd_failures_total", "refuse.special"] == 1


def test_refused_documents_take_no_more_memory_than_they_may(monkeypatch):
    monkeypatch.setattr(module, "MOST_REFUSED", 3)
    metrics = Metrics()
    for number in range(10):
        metrics.told(failed("refuse.link", FateKind.REFUSED, a_document(str(number))), None)
    metrics.told(failed("refuse.link", FateKind.REFUSED, a_document("9")), None)

    assert len(metrics._refused) == 3
    assert read(metrics)["nas_syncd_failures_total", "refuse.link"] == 10


@given(st.one_of(st.none(), st.text()))
def test_a_code_that_nobody_knows_makes_no_label(code):
    metrics = Metrics()
    metrics.told(failed(code), None)
    metrics.told(failed(code), None)

    expected = code if code in CODES else "other"
    assert read(metrics)["nas_syncd_failures_total", expected] == 2
    assert len([key for key in read(metrics) if key[0] == "nas_syncd_failures_total"]) == 1


def test_every_error_and_every_refusal_has_a_code_of_its_own():
    said = {code for code in en.TEXTS if code.startswith(("refuse.", "problem."))}

    assert set(BY_CODE) | said == CODES


def test_many_threads_lose_no_count():
    metrics = Metrics()
    start = threading.Barrier(9)

    def tell():
        start.wait()
        for _ in range(400):
            metrics.told(synced(0.5), 1.0)
            metrics.told(failed("copy.verify"), None)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    start.wait()
    while any(thread.is_alive() for thread in threads):
        page = read(metrics)
        assert page["nas_syncd_copy_seconds_count",] == page["nas_syncd_files_synced_total",]
    for thread in threads:
        thread.join()

    page = read(metrics)
    assert page["nas_syncd_files_synced_total",] == 3200
    assert page["nas_syncd_failures_total", "copy.verify"] == 3200


# -- how things stand --------------------------------------------------------------------------


def test_every_state_of_documents_and_mount_has_its_series():
    page = read(Metrics("1.2.3"), replace(CALM, mount_state=MountState.HUNG))

    assert [page["nas_syncd_documents", state] for state in STATES] == [142, 0, 0, 8, 0, 0, 0]
    states = {state: page["nas_syncd_mount_state", str(state)] for state in MountState}
    assert states == {state: float(state is MountState.HUNG) for state in MountState}
    assert page["nas_syncd_mount_usable",] == 0
    assert page["nas_syncd_oldest_pending_age_seconds",] == 12.5
    assert page["nas_syncd_event_streams",] == 2
    assert page["nas_syncd_build_info", "1.2.3"] == 1
    assert abs(page["nas_syncd_start_time_seconds",] - time.time()) < 60


def test_nothing_pending_is_an_age_of_nothing():
    page = read(Metrics(), replace(CALM, oldest_pending_age_seconds=None))

    assert page["nas_syncd_oldest_pending_age_seconds",] == 0


def test_what_is_not_known_is_not_told():
    nothing = Snapshot(None, None, MountState.UNKNOWN, None, None, False, False, 0)
    told = {key[0] for key in read(Metrics(), CALM)}

    page = read(Metrics(), nothing)

    assert told - {key[0] for key in page} == {
        "nas_syncd_documents",
        "nas_syncd_oldest_pending_age_seconds",
        "nas_syncd_nas_free_bytes",
        "nas_syncd_nas_size_bytes",
    }
    assert page["nas_syncd_database_up",] == page["nas_syncd_uploads_up",] == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc here")
def test_the_process_is_told_where_the_system_tells_it():
    page = read(Metrics())

    assert page["process_resident_memory_bytes",] > 1_000_000
    assert page["process_open_fds",] > 0


# -- the page ----------------------------------------------------------------------------------

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.1"
)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "text/plain;version=1.0.0", "\0;,;;,="])
def test_the_classic_format_is_what_everybody_gets(accept):
    page, kind = busy().render(CALM, accept)

    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE nas_syncd_files_synced_total counter\n" in page
    assert b"_created" not in page


@pytest.mark.parametrize(
    "accept",
    [PROMETHEUS, "Application/OpenMetrics-Text; version=abc", "application/openmetrics-text"],
)
def test_openmetrics_is_for_who_asks_for_it(accept):
    page, kind = busy().render(CALM, accept)

    assert kind.startswith("application/openmetrics-text; version=")
    assert "abc" not in kind
    families = {family.name: family for family in openmetrics_families(page.decode())}
    assert families["nas_syncd_files_synced"].samples[0].value == 50
    assert b"_created" not in page


@pytest.mark.lab
def test_promtool_finds_nothing_to_say_against_the_page():
    promtool = parts.program("promtool", "prometheus")
    metrics = busy()
    metrics.told(failed('"}\n# evil 1'), None)
    away = Snapshot(None, None, MountState.DOWN, None, None, False, False, 0)
    for page, _ in (metrics.render(CALM), Metrics().render(away)):
        check = subprocess.run(
            [promtool, "check", "metrics"], input=page, capture_output=True, timeout=30, check=False
        )

        assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


def test_a_page_costs_little():
    metrics = busy()

    def cpu_seconds():
        began = time.thread_time()
        metrics.render(CALM)
        return time.thread_time() - began

    assert min(cpu_seconds() for _ in range(50)) < 0.002


def test_neither_the_library_s_registry_nor_the_environment_matters(tmp_path):
    code = (
        "from tests.test_metrics import *\n"
        "page = read(busy())\n"
        "assert page['nas_syncd_files_synced_total',] == 50\n"
        "assert REGISTRY.get_sample_value('nas_syncd_files_synced_total') is None\n"
        "assert not any(name.endswith('_created') for name, *_ in page)\n"
    )
    variables = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=variables, timeout=60, check=False
    )

    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert not [name for name in REGISTRY._names_to_collectors if name.startswith("nas_syncd")]


# -- docs/monitoring.md ------------------------------------------------------------------------


def test_the_documentation_names_every_metric_and_no_other():
    page, _ = busy().render(CALM)
    families = re.findall(r"^# TYPE (\S+) (\S+)$", page.decode(), re.MULTILINE)
    rows = re.findall(
        r"^\| `(nas_syncd_\w+)(?:\{\w+\})?` \| (\w+) \|", DOC.read_text(), re.MULTILINE
    )

    assert sorted(rows) == sorted(one for one in families if one[0].startswith("nas_syncd"))
    for name in [name for name, _ in families if name.startswith("process_")]:
        assert f"`{name}`" in DOC.read_text()
    for state in (*STATES, *MountState):
        assert f"`{state}`" in DOC.read_text()


@pytest.mark.lab
def test_the_examples_in_the_documentation_are_ones_that_prometheus_takes(tmp_path):
    promtool = parts.program("promtool", "prometheus")
    blocks = re.findall(r"```yaml\n# (prometheus\.yml|rules)\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["prometheus.yml", "prometheus.yml", "rules"]
    token = tmp_path / "nas-syncd.token"
    token.write_text("a-token")
    for number, (kind, text) in enumerate(blocks):
        file = tmp_path / f"{number}.yml"
        file.write_text(text.replace("/etc/prometheus/nas-syncd.token", str(token)))
        what = "rules" if kind == "rules" else "config"
        check = subprocess.run(
            [promtool, "check", what, str(file)], capture_output=True, timeout=30, check=False
        )

        assert check.returncode == 0, check.stderr
        assert b"SUCCESS" in check.stdout
        assert check.stderr == b""
