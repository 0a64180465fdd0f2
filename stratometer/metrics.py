"""Every metric of the stream and the jobs, in one place; those of the API are in `api.metrics`."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from billing.protocol import Books
from billing.settlement import drift_micros
from collectors.interface import Health
from pipeline.durable import Progress
from schemas.errors import Transient
from schemas.period import SECOND, Clock

METRICS: Final = {
    "stratometer_stream_messages_total": "sample batches made durable by this process",
    "stratometer_stream_samples_total": "samples stored by this process, further copies included",
    "stratometer_stream_dead_rows_total": "rows put to the dead letters by this process, by reason",
    "stratometer_stream_retries_total": "writes that failed and were tried again",
    "stratometer_stream_idle_seconds": "since something last became durable",
    "stratometer_stream_backlog_records": "spool records waiting to be metered (embedded)",
    "stratometer_settle_drift_micros": "sum of |settled - live| over the first settlements in the books, by account; 0",
    "stratometer_collector_samples_total": "samples that a collector of this process handed out",
    "stratometer_collector_errors_total": "failed polls of a collector of this process",
    "stratometer_collector_lag_seconds": "age of a collector's newest data at its newest poll",
    "stratometer_collector_gap_seconds_total": "time that a collector knows nothing about",
}

DRIFT_SECONDS: Final = 60.0
"""How long the drift that was read from the books is shown."""


@dataclass(frozen=True)
class Sources:
    """Where the figures come from; absent ones are left out.

    Attributes:
        clock: microseconds since 1970.
        progress: of the durable write.
        backlog: records waiting in the spools.
        drift: micro-units by account; see Drift.
        health: of the collectors in this process, by name.
    """

    clock: Clock
    progress: Progress | None = None
    backlog: Callable[[], int] | None = None
    drift: Callable[[], Mapping[str, int]] | None = None
    health: Mapping[str, Callable[[], Health]] | None = None


class Drift:
    """How far live rating was off when cycles were settled first, by account: from the books, so of every process.

    An answer is kept for DRIFT_SECONDS, so that a scrape is cheap; while the books are away there is none.
    """

    def __init__(self, books: Books, seconds: Callable[[], float] = time.monotonic) -> None:
        """Keep the books; `seconds` is a monotonic clock."""
        self._books, self._seconds = books, seconds
        self._known: Mapping[str, int] = {}
        self._until = float("-inf")
        self._lock = Lock()

    def __call__(self) -> Mapping[str, int]:
        """Return the micro-units by account."""
        with self._lock:
            if self._seconds() >= self._until:
                self._known = self._read()
                self._until = self._seconds() + DRIFT_SECONDS
            return self._known

    def _read(self) -> Mapping[str, int]:
        drift: Counter[str] = Counter()
        try:
            for settlement in self._books.settlements():
                if settlement.number == 0:
                    drift[settlement.account] += abs(drift_micros(settlement))
        except Transient as error:
            structlog.get_logger("metrics").warning("no drift", error=type(error).__name__)
            return {}
        return drift


class StreamMetrics(Collector):
    """Reads the figures when it is scraped; nothing is counted twice."""

    def __init__(self, sources: Sources) -> None:
        """Keep the sources."""
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a source."""
        sources = self._sources
        if sources.progress is not None:
            yield from self._progress(sources.progress)
        if sources.backlog is not None:
            yield _gauge("stratometer_stream_backlog_records", sources.backlog())
        if sources.drift is not None:
            drift = GaugeMetricFamily(*_about("stratometer_settle_drift_micros"), labels=["account"])
            for account, micros in sorted(sources.drift().items()):
                drift.add_metric([account], micros)
            yield drift
        for name, health in (sources.health or {}).items():
            yield from _collector(name, health())

    def _progress(self, progress: Progress) -> Iterator[Metric]:
        yield _counter("stratometer_stream_messages_total", progress.messages)
        yield _counter("stratometer_stream_samples_total", progress.samples)
        dead = CounterMetricFamily(*_about("stratometer_stream_dead_rows_total"), labels=["reason"])
        for reason, rows in sorted(progress.dead.copy().items()):
            dead.add_metric([reason], rows)
        yield dead
        yield _counter("stratometer_stream_retries_total", progress.retries)
        idle = self._sources.clock() / SECOND - progress.durable_at
        yield _gauge("stratometer_stream_idle_seconds", max(0.0, idle))


def registry_of(sources: Sources) -> CollectorRegistry:
    """Return a registry with the metrics of these sources."""
    registry = CollectorRegistry()
    registry.register(StreamMetrics(sources))
    return registry


def _collector(name: str, health: Health) -> Iterator[Metric]:
    for metric, value in (
        ("stratometer_collector_samples_total", health.samples),
        ("stratometer_collector_errors_total", health.errors),
        ("stratometer_collector_gap_seconds_total", health.gap_seconds),
    ):
        family = CounterMetricFamily(*_about(metric), labels=["collector"])
        family.add_metric([name], value)
        yield family
    lag = GaugeMetricFamily(*_about("stratometer_collector_lag_seconds"), labels=["collector"])
    lag.add_metric([name], health.lag_seconds)
    yield lag


def _about(name: str) -> tuple[str, str]:
    return name, METRICS[name]


def _counter(name: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(*_about(name), value=value)


def _gauge(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(*_about(name), value=value)
