"""Workers, broker and warehouse are killed while messages flow; at the end every count agrees (invariants 1, 2, 3).

Short by default; `--chaos-long` (`make chaos`) kills many more. The seed is printed; CHAOS_SEED repeats it.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.load import Load
from bench.producing import produce
from infra.dev.clickhouse import ClickHouseServer
from infra.dev.deployment import Cluster, Running
from infra.dev.fixtures import start_or_skip
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from schemas.meters import builtin
from schemas.topics import SAMPLES
from sinks.warehouse.protocol import UsageRequest
from tests.cluster.helpers import PARTITIONS, caught_up, wait_until, warehouse_of

pytestmark = pytest.mark.server

SEED_VARIABLE = "CHAOS_SEED"
UNREADABLE_EVERY = 97
"""Every so many messages one that nobody can read goes between."""
EVERYTHING = (0, 2**32 - 1)
SETTINGS = {
    "WAREHOUSE__INSERT_TIMEOUT_SECONDS": "8",
    "SETTLE__CUTOFF_MARGIN_SECONDS": "9",
    "STREAM__TAKE_MESSAGES_MAX": "100",
    "STREAM__WATCHDOG_SECONDS": "30",
}


@dataclass(frozen=True)
class Story:
    """How much happens."""

    messages: int
    worker_kills: int
    broker_kills: int
    warehouse_kills: int
    pause_seconds: tuple[float, float]
    messages_per_second: int


SHORT = Story(20_000, 12, 1, 1, (0.8, 2.2), 1200)
LONG = Story(60_000, 60, 5, 4, (1.0, 6.0), 320)


@dataclass
class Servers:
    kafka: KafkaServer
    clickhouse: ClickHouseServer
    postgres: PostgresServer


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of this test's own, because they are killed."""
    factory = tmp_path_factory.mktemp
    made = Servers(
        KafkaServer(factory("kafka")), ClickHouseServer(factory("clickhouse")), PostgresServer(factory("postgres"))
    )
    with ExitStack() as stack:
        for server in (made.kafka, made.clickhouse, made.postgres):
            stack.callback(server.discard)
            start_or_skip(server)
        yield made


@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled(
    servers: Servers, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    story = LONG if request.config.getoption("--chaos-long") else SHORT
    seed = int(os.environ.get(SEED_VARIABLE, "0")) or random.randrange(1, 1 << 32)
    with capsys.disabled():
        print(f"\nchaos: seed {seed} ({SEED_VARIABLE}={seed} repeats it)")  # noqa: T201
    load = Load(story.messages, groups=100, vms_per_batch=10)
    cluster = Cluster("chaos", tmp_path, servers.kafka, servers.clickhouse, servers.postgres, **SETTINGS)
    cluster.run("migrate")
    flow = threading.Thread(target=publish, args=(cluster, load, story.messages_per_second), daemon=True)
    with cluster.workers() as first, cluster.workers() as second, cluster.workers() as third:
        flow.start()
        wait_until("first offsets", lambda: any(c > 0 for c, _ in committed(cluster)), 60, first)
        kill_at_random(random.Random(seed), story, servers, [first, second, third])
        never_beyond_what_is_durable(cluster)
        flow.join(300)
        assert not flow.is_alive(), "not everything could be published"
        wait_until("all is durable", lambda: caught_up(cluster, SAMPLES), 240, first)
    compare(cluster, load)


def publish(cluster: Cluster, load: Load, per_second: int) -> None:
    """Put the load on the topic at about an even pace, with an unreadable message now and then."""

    def paced() -> Iterator[bytes]:
        began = time.monotonic()
        for number, payload in enumerate(load.payloads()):
            if number % 100 == 0:
                time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            yield payload
            if number % UNREADABLE_EVERY == 0:
                yield b"unreadable %d" % number

    produce(cluster.kafka.bootstrap, f"{cluster.prefix}{SAMPLES}", paced(), PARTITIONS[SAMPLES])


def committed(cluster: Cluster) -> list[tuple[int, int]]:
    return list(cluster.offsets(SAMPLES, PARTITIONS[SAMPLES]).values())


def kill_at_random(chance: random.Random, story: Story, servers: Servers, parents: list[Running]) -> None:
    """Kill workers, and in between broker and warehouse, each at a random moment."""
    victims = ["worker"] * story.worker_kills + ["broker"] * story.broker_kills + ["warehouse"] * story.warehouse_kills
    chance.shuffle(victims)
    for victim in victims:
        time.sleep(chance.uniform(*story.pause_seconds))
        if victim == "worker":
            running = [child for parent in parents for child in parent.children()]
            if running:
                chance.choice(running).signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        else:
            server = servers.kafka if victim == "broker" else servers.clickhouse
            server.kill()
            time.sleep(chance.uniform(0.2, 2.0))
            server.start()
    assert all(parent.status() is None for parent in parents), "a supervisor has ended"


def never_beyond_what_is_durable(cluster: Cluster) -> None:
    """Compare committed offsets with the intake: every message below is there."""
    offsets = cluster.offsets(SAMPLES, PARTITIONS[SAMPLES])
    with warehouse_of(cluster) as warehouse:
        durable: dict[int, set[int]] = {number: set() for number in offsets}
        for origin in warehouse.query("SELECT DISTINCT origin FROM intake")["origin"].to_pylist():
            _, partition, offset = origin.rsplit("/", 2)
            durable[int(partition)].add(int(offset))
    for partition, (position, _) in offsets.items():
        missing = set(range(max(position, 0))) - durable[partition]
        assert not missing, f"partition {partition} is committed to {position}, not durable: {sorted(missing)[:10]}"


def compare(cluster: Cluster, load: Load) -> None:
    """Every count and every sum is what the generator says: lost 0, double 0."""
    never_beyond_what_is_durable(cluster)
    unreadable = -(-load.batches // UNREADABLE_EVERY)
    totals, registry = load.totals(), builtin()
    with warehouse_of(cluster) as warehouse:
        counters = warehouse.counters()
        assert (counters.unique, counters.stored, counters.dead) == (totals.samples, totals.samples, unreadable)
        assert counters.accepted == counters.unique + counters.dead
        rows = warehouse.usage(UsageRequest(None, EVERYTHING, group=frozenset())).to_pylist()
    assert {registry.by_id[row["meter_id"]].key: row["quantity"] for row in rows} == totals.quantities
    letters = cluster.json("deadletters", "list")
    assert sum(letter["rows"] for letter in letters) == unreadable
