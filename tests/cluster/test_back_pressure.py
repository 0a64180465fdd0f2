"""ClickHouse goes away while messages flow: invariants 3 and 5, and the watchdog when it hangs for good."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Load
from bench.producing import produce
from infra.dev.clickhouse import ClickHouseServer
from infra.dev.deployment import Cluster, Running
from infra.dev.fixtures import start_or_skip
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from schemas.topics import SAMPLES
from tests.cluster.helpers import PARTITIONS, QUICK, caught_up, number, wait_until, warehouse_of

pytestmark = pytest.mark.server

AWAY_SECONDS = 15
MEMORY_BYTES_MAX = 600 * 2**20
LOAD = Load(1500, groups=50, vms_per_batch=200)
TAKE = {"STREAM__TAKE_MESSAGES_MAX": "50"}


@pytest.fixture(scope="module")
def own_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server of these tests' own, because it goes away."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    try:
        yield start_or_skip(server)
    finally:
        server.discard()


def made(
    name: str, folder: Path, kafka: KafkaServer, clickhouse: ClickHouseServer, postgres: PostgresServer, load: Load
) -> Cluster:
    """Return an installation whose topic is full."""
    cluster = Cluster(name, folder, kafka, clickhouse, postgres, **{**QUICK, **TAKE})
    cluster.run("migrate")
    produce(kafka.bootstrap, f"{cluster.prefix}{SAMPLES}", load.payloads(), PARTITIONS[SAMPLES])
    return cluster


def stored(cluster: Cluster, what: str = "sum(stored)") -> int:
    with warehouse_of(cluster) as warehouse:
        return number(warehouse, f"SELECT {what} AS n FROM intake")


def memory_bytes(worker: Running) -> int:
    pages = [Path(f"/proc/{each.pid}/statm").read_text().split()[1] for each in worker.children() if each.runs()]
    return sum(map(int, pages)) * 4096


@pytest.mark.timeout(280)
def test_a_dead_warehouse_stops_the_stream_and_loses_nothing(
    tmp_path: Path, kafka_server: KafkaServer, own_clickhouse: ClickHouseServer, postgres_server: PostgresServer
) -> None:
    cluster = made("pressure", tmp_path, kafka_server, own_clickhouse, postgres_server, LOAD)
    with cluster.workers() as worker:
        wait_until("first rows", lambda: stored(cluster) > 0, 60, worker)
        own_clickhouse.kill()
        pid = worker.children()[0]
        wait_until("commits have ended", lambda: "write failed, trying again" in worker.text(), 60, worker)
        wait_until("commits settle", lambda: settled(cluster), 30, worker)
        before = cluster.offsets(SAMPLES, PARTITIONS[SAMPLES])
        assert any(committed < end for committed, end in before.values()), "everything was stored too soon"
        peak = watched(worker, AWAY_SECONDS)
        assert cluster.offsets(SAMPLES, PARTITIONS[SAMPLES]) == before, "something was committed that is not stored"
        assert pid.runs(), "back-pressure is no reason to exit"
        assert peak < MEMORY_BYTES_MAX
        own_clickhouse.start()
        wait_until("all is stored", lambda: caught_up(cluster, SAMPLES), 120, worker)
    with warehouse_of(cluster) as warehouse:
        counters = warehouse.counters()
        assert (counters.unique, counters.accepted, counters.dead) == (LOAD.samples, LOAD.samples, 0)


def settled(cluster: Cluster) -> bool:
    first = cluster.offsets(SAMPLES, PARTITIONS[SAMPLES])
    pause(2.5)
    return cluster.offsets(SAMPLES, PARTITIONS[SAMPLES]) == first


def pause(seconds: float) -> None:
    time.sleep(seconds)


def watched(worker: Running, seconds: int) -> int:
    """Return the most memory that the worker had meanwhile, in bytes."""
    peak = 0
    for _ in range(seconds * 2):
        peak = max(peak, memory_bytes(worker))
        pause(0.5)
    return peak


@pytest.mark.timeout(200)
def test_the_watchdog_ends_a_worker_that_hangs(
    tmp_path: Path, kafka_server: KafkaServer, own_clickhouse: ClickHouseServer, postgres_server: PostgresServer
) -> None:
    load = Load(60, groups=6, vms_per_batch=10)
    cluster = made("hanging", tmp_path, kafka_server, own_clickhouse, postgres_server, load)
    with cluster.workers(STREAM__WATCHDOG_SECONDS="4", WAREHOUSE__INSERT_TIMEOUT_SECONDS="8") as worker:
        wait_until("all is stored", lambda: caught_up(cluster, SAMPLES), 60, worker)
        own_clickhouse.pause()
        try:
            late = load.named("late")
            produce(kafka_server.bootstrap, f"{cluster.prefix}{SAMPLES}", late.payloads(), PARTITIONS[SAMPLES])
            wait_until("the watchdog", lambda: "watchdog: " in worker.text(), 60, worker)
            wait_until("a restart", lambda: "worker ended, starting it again" in worker.text(), 30, worker)
            assert "status=70" in worker.text()
        finally:
            own_clickhouse.resume()
        wait_until("all is stored", lambda: caught_up(cluster, SAMPLES), 90, worker)
    assert stored(cluster, "uniqExact(site, sequence)") == 2 * load.batches
