"""Waiting for what a cluster does by itself, and looking at what it did."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.dev.deployment import Cluster, Running
from schemas import topics
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Warehouse

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = ROOT / "stratometer" / "demo" / "provider.yaml"
INSERT_SECONDS = 8
CUTOFF_SECONDS = INSERT_SECONDS + 1
QUICK = {
    "WAREHOUSE__INSERT_TIMEOUT_SECONDS": str(INSERT_SECONDS),
    "SETTLE__CUTOFF_MARGIN_SECONDS": str(CUTOFF_SECONDS),
    "STREAM__RATE_DEBOUNCE_SECONDS": "0.5",
}
PARTITIONS = {topic.name: topic.partitions for topic in topics.TOPICS}


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 60, worker: Running | None = None) -> None:
    """Wait for something; fails with its name, and at once when the worker has ended."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert worker is None or worker.status() is None, f"the worker ended while we waited for: {what}"
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def caught_up(cluster: Cluster, *names: str) -> bool:
    """Tell whether everything on the topics is durable and committed."""
    return all(
        committed == end or (committed <= 0 and end == 0)
        for name in names
        for committed, end in cluster.offsets(name, PARTITIONS[name]).values()
    )


def wait_caught_up(cluster: Cluster, worker: Running, seconds: float = 90) -> None:
    """Wait until nothing lies on any topic that is not durable."""
    names = (topics.SAMPLES, topics.RESOURCES, topics.TOUCHED)
    wait_until("nothing waits on a topic", lambda: caught_up(cluster, *names), seconds, worker)


@contextmanager
def warehouse_of(cluster: Cluster) -> Iterator[Warehouse]:
    """The installation's warehouse."""
    warehouse = open_warehouse(cluster.warehouse_url)
    try:
        yield warehouse
    finally:
        warehouse.close()


def number(warehouse: Warehouse, sql: str) -> int:
    """Return the one number that a query yields."""
    return int(warehouse.query(sql).column(0)[0].as_py())
