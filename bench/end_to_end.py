"""Kafka → Faust workers → ClickHouse's native server, with the whole metering core; a topic filled beforehand."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load import Load
from bench.producing import produce
from bench.servers import Servers
from schemas.topics import SAMPLES
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Warehouse

PARTITIONS: Final = 8
WAIT_SECONDS_MAX: Final = 300.0
LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """One run.

    Attributes:
        seconds: from the start of the first durable write to the moment when every sample was stored.
        cpu_seconds: processor time by process, start-up and merging included: what a loaded machine cannot distort.
    """

    samples: int
    messages: int
    workers: int
    seconds: float
    samples_per_second: int
    cpu_seconds: dict[str, float]


def run(servers: Servers, load: Load, workers: int) -> EndToEnd:
    """Fill a fresh topic, start the workers, and wait until everything is stored."""
    name = f"bench{workers}w"
    cluster = servers.cluster(name, SETTLE__GRACE_SECONDS="7200")
    produce(servers.kafka.bootstrap, f"{cluster.prefix}{SAMPLES}", load.payloads(), PARTITIONS)
    warehouse = open_warehouse(cluster.warehouse_url)
    stores = {"clickhouse": servers.clickhouse.pid, "kafka": servers.kafka.pid}
    before = {store: _cpu_seconds(pid) for store, pid in stores.items()}
    try:
        with cluster.workers(workers) as running:
            ended = _stored(warehouse, load.samples)
            cpu = {store: round(_cpu_seconds(pid) - before[store], 1) for store, pid in stores.items()}
            cpu["workers"] = round(sum(_cpu_seconds(each.pid) for each in running.children()), 1)
        began = int(warehouse.query("SELECT min(stored_at) AS t FROM intake")["t"][0].as_py()) / 1e6
        seconds = ended - began
        _compare(warehouse, load)
    finally:
        warehouse.close()
    return EndToEnd(load.samples, load.batches, workers, round(seconds, 2), round(load.samples / seconds), cpu)


def _stored(warehouse: Warehouse, samples: int) -> float:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        if int(warehouse.query("SELECT sum(stored) AS n FROM intake")["n"][0].as_py()) >= samples:
            return time.time()
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"not every sample was stored within {WAIT_SECONDS_MAX} s")


def _compare(warehouse: Warehouse, load: Load) -> None:
    counters = warehouse.counters()
    if (counters.unique, counters.dead) != (load.samples, 0):
        raise RuntimeError(f"stored {counters}, expected {load.samples} unique samples")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
