"""What the monitoring reads: counters of what was done, gauges of how things stand.

A collector of our own instead of the library's ready-made counters: those keep their numbers in
files when a variable of the environment says so, and add a ``_created`` series to each unless
another one says not to. Here is one lock, and a bounded set of labels.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from nas_syncd.errors import BY_CODE
from nas_syncd.models import Fate, FateKind, MountState

STATES = ("safe", "inherited", "pending", "waiting", "copying", "failed", "problem")
OTHER = "other"
CODES = frozenset(BY_CODE) | {
    "problem.attempts",
    "problem.missing",
    "refuse.directory",
    "refuse.link",
    "refuse.outside",
    "refuse.special",
    "refuse.unfilable",
}
"""What may stand behind ``code=``; everything else is counted as :data:`OTHER`."""

LANDING_SECONDS = (
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0),
)
COPY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
MOST_REFUSED = 10_000
"""So many refused documents are remembered, so as to count each once."""

OPENMETRICS = "application/openmetrics-text"
_ENCODERS = {asked: choose_encoder(asked) for asked in ("", OPENMETRICS)}


@dataclass(frozen=True)
class Snapshot:
    """How things stand, as :meth:`Metrics.render` tells it."""

    documents: Mapping[str, int] | None
    """By state (:data:`STATES`); None: never counted, or the database is away."""
    oldest_pending_age_seconds: float | None
    """None: nothing is pending, or it is not known."""
    mount_state: MountState
    nas_free_bytes: int | None
    nas_total_bytes: int | None
    database_up: bool
    uploads_up: bool
    event_streams: int
    """Open ones."""


class Metrics:
    """Counts fates and renders the page that Prometheus reads. Safe for several threads."""

    def __init__(self, version: str | None = None) -> None:
        """
        Args:
            version: Of this program; None: it is not told.
        """
        self._lock = threading.Lock()
        self._synced = 0
        self._adopted = 0
        self._bytes = 0
        self._failures: Counter[str] = Counter()
        self._refused: dict[str, str] = {}
        self._landing = _Histogram(LANDING_SECONDS)
        self._copy = _Histogram(COPY_SECONDS)
        self._process = ProcessCollector(registry=None)  # gives nothing where there is no /proc
        self._static = _static(version, time.time())

    def told(self, fate: Fate, landed_seconds: float | None) -> None:
        """Count one fate; to be called once for each.

        Args:
            landed_seconds: From the file's last write to its mark; None: not known.
        """
        with self._lock:
            if fate.kind is FateKind.SYNCED:
                self._safe(fate, landed_seconds)
            elif fate.kind is FateKind.FAILED:
                self._failures[_code(fate)] += 1
            elif fate.kind is FateKind.REFUSED:
                self._refuse(fate)

    def render(self, snapshot: Snapshot, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type: the classic text format 0.0.4, or OpenMetrics
        where the Accept header *accept* asks for it."""
        kinds = (part.partition(";")[0].strip().lower() for part in accept.split(","))
        encode, content_type = _ENCODERS[OPENMETRICS if OPENMETRICS in kinds else ""]
        registry = CollectorRegistry()
        registry.register(_Page(self, snapshot))
        return encode(registry), content_type

    # -- inside -----------------------------------------------------------------------------

    def _safe(self, fate: Fate, landed_seconds: float | None) -> None:
        self._synced += 1
        self._refused.pop(fate.document.id, None)
        if landed_seconds is not None:
            self._landing.observe(landed_seconds)
        if fate.adopted:
            self._adopted += 1
            return
        self._copy.observe(fate.seconds)
        if fate.receipt is not None:
            self._bytes += fate.receipt.version.size

    def _refuse(self, fate: Fate) -> None:
        """A refused document is looked at again and again; it is one failure all the same."""
        code = _code(fate)
        if self._refused.pop(fate.document.id, None) != code:
            self._failures[code] += 1
        self._refused[fate.document.id] = code
        if len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]

    def collect(self, snapshot: Snapshot) -> Iterator[Metric]:
        """Yield every metric, with *snapshot* for how things stand."""
        with self._lock:
            done = list(self._done())
        yield from done
        yield from _standing(snapshot)
        yield from self._static
        yield from self._process.collect()

    def _done(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "nas_syncd_files_synced",
            "Documents that became safe: verified on the NAS and marked.",
            self._synced,
        )
        yield CounterMetricFamily(
            "nas_syncd_files_adopted",
            "Documents that became safe without a copy: their bytes were on the NAS already.",
            self._adopted,
        )
        yield CounterMetricFamily(
            "nas_syncd_synced_bytes",
            "Bytes of the documents that were copied, verified and marked.",
            self._bytes,
        )
        failures = CounterMetricFamily(
            "nas_syncd_failures",
            "Failed attempts, and documents refused, by the error's code.",
            labels=("code",),
        )
        for code, times in sorted(self._failures.items()):
            failures.add_metric((code,), times)
        yield failures
        yield self._landing.family(
            "nas_syncd_landing_to_safe_seconds",
            "From a file's last write in the upload folder to its mark.",
        )
        yield self._copy.family(
            "nas_syncd_copy_seconds",
            "From the beginning of a copy to its mark: writing, reading back, renaming.",
        )


class _Page(Collector):
    """The metrics at one moment."""

    def __init__(self, metrics: Metrics, snapshot: Snapshot) -> None:
        self._metrics = metrics
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect(self._snapshot)


class _Histogram:
    """Counts by bucket. Not safe for several threads by itself."""

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._names = [*(repr(float(limit)) for limit in limits), "+Inf"]
        self._counts = [0] * (len(limits) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one; clocks that disagree give 0, what is no number is left out."""
        if math.isfinite(seconds):
            seconds = max(0.0, seconds)
            self._counts[bisect_left(self._limits, seconds)] += 1
            self._sum += seconds

    def family(self, name: str, text: str) -> Metric:
        buckets: list[tuple[str, float]] = []
        total = 0
        for limit, count in zip(self._names, self._counts, strict=True):
            total += count
            buckets.append((limit, total))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum)


def _code(fate: Fate) -> str:
    code = fate.reason.code if fate.reason else OTHER
    return code if code in CODES else OTHER


def _static(version: str | None, started_at: float) -> list[Metric]:
    about: list[Metric] = [
        GaugeMetricFamily(
            "nas_syncd_start_time_seconds",
            "When the daemon started, in seconds since the epoch.",
            started_at,
        )
    ]
    if version:
        text = "The version that runs; always 1."
        about.append(InfoMetricFamily("nas_syncd_build", text, {"version": version}))
    return about


def _standing(now: Snapshot) -> Iterator[Metric]:
    if now.documents is not None:
        documents = GaugeMetricFamily(
            "nas_syncd_documents", "Documents by where they stand now.", labels=("state",)
        )
        for state in STATES:
            documents.add_metric((state,), now.documents.get(state, 0))
        yield documents
        yield GaugeMetricFamily(
            "nas_syncd_oldest_pending_age_seconds",
            "How long ago the oldest document without a mark was created; 0 when there is none.",
            now.oldest_pending_age_seconds or 0.0,
        )
    mount = GaugeMetricFamily(
        "nas_syncd_mount_state", "1 for the state that the NAS is in, else 0.", labels=("state",)
    )
    for one in MountState:
        mount.add_metric((str(one),), one is now.mount_state)
    yield mount
    usable = now.mount_state is MountState.OK
    yield GaugeMetricFamily("nas_syncd_mount_usable", "1 while the NAS can be used.", usable)
    if now.nas_free_bytes is not None:
        yield GaugeMetricFamily(
            "nas_syncd_nas_free_bytes", "Free space on the NAS.", now.nas_free_bytes
        )
    if now.nas_total_bytes is not None:
        yield GaugeMetricFamily("nas_syncd_nas_size_bytes", "Size of the NAS.", now.nas_total_bytes)
    yield GaugeMetricFamily(
        "nas_syncd_database_up", "1 while the backend's database answers.", now.database_up
    )
    yield GaugeMetricFamily(
        "nas_syncd_uploads_up", "1 while the upload folder can be read.", now.uploads_up
    )
    yield GaugeMetricFamily(
        "nas_syncd_event_streams", "Clients that follow the events now.", now.event_streams
    )
