"""Workers that die are started again, and end when they are told to: invariant 3 at every exit."""

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from bench.load import Load
from bench.producing import produce
from infra.dev.clickhouse import ClickHouseServer
from infra.dev.deployment import Cluster, Running
from infra.dev.fixtures import start_or_skip
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from infra.dev.procfs import wait_end
from schemas.topics import SAMPLES
from tests.cluster.helpers import PARTITIONS, QUICK, caught_up, number, wait_until, warehouse_of

pytestmark = pytest.mark.server
LOAD = Load(40, groups=4, vms_per_batch=10)


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of these tests' own, because it goes away."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    try:
        yield start_or_skip(server)
    finally:
        server.discard()


@pytest.fixture(scope="module")
def cluster(
    own_kafka: KafkaServer,
    clickhouse_server: ClickHouseServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    folder = tmp_path_factory.mktemp("supervised")
    made = Cluster("supervised", folder, own_kafka, clickhouse_server, postgres_server, **QUICK)
    made.run("migrate")
    return made


def stored(cluster: Cluster) -> int:
    with warehouse_of(cluster) as warehouse:
        return number(warehouse, "SELECT sum(stored) AS n FROM intake")


def has_children(worker: Running, wanted: int) -> bool:
    return len(worker.children()) >= wanted


def test_an_unexpected_error_exits_70_and_commits_nothing(cluster: Cluster, own_kafka: KafkaServer) -> None:
    produce(own_kafka.bootstrap, f"{cluster.prefix}{SAMPLES}", LOAD.payloads(), PARTITIONS[SAMPLES])
    with cluster.start("0", module="tests.cluster.poisoned") as worker:
        assert worker.wait(60) == 70
        assert "ZeroDivisionError" in worker.text()
    # Offset 0 may be committed: it is where the first message lies.
    assert all(committed <= 0 for committed, _ in cluster.offsets(SAMPLES, PARTITIONS[SAMPLES]).values())
    assert stored(cluster) == 0


def test_a_worker_waits_for_its_broker(cluster: Cluster, own_kafka: KafkaServer) -> None:
    own_kafka.kill()
    with cluster.workers() as worker:
        again = re.compile(r"worker ended, starting it again.*pause_seconds=([\d.]+)")
        wait_until("two starts failed", lambda: len(again.findall(worker.text())) >= 2, 150, worker)
        pauses = [float(found) for found in again.findall(worker.text())]
        assert pauses == sorted(pauses)
        assert pauses[0] < pauses[-1]
        own_kafka.start()
        wait_until("all is stored", lambda: caught_up(cluster, SAMPLES), 90, worker)
    assert stored(cluster) == LOAD.samples


def test_sigterm_ends_parent_and_children(cluster: Cluster) -> None:
    with cluster.workers(2) as worker:
        wait_until("two workers", lambda: has_children(worker, 2), 30, worker)
        time.sleep(4)  # both inside Faust, or on the way into it
        children = worker.children()
        assert worker.stop() == 0
        assert wait_end(children, 1)


def test_children_end_when_their_parent_is_killed(cluster: Cluster) -> None:
    with cluster.workers() as worker:
        wait_until("a worker", lambda: has_children(worker, 1), 30, worker)
        time.sleep(4)
        children = worker.children()
        os.kill(worker.pid, signal.SIGKILL)
        assert wait_end(children, 20)
