"""The publisher and a real broker, which is killed in the middle: nothing lost, order kept for each key."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from collectors.publisher import Publisher, PublisherSettings
from collectors.spool import Spool
from infra.dev.fixtures import start_or_skip
from infra.dev.kafka import KafkaServer
from schemas import resource, topics
from schemas.batch import BATCH_BYTES_MAX, decode
from schemas.resource import Descriptor
from tests.collectors.fakes import T0, rows_of

PARTITIONS = 4
QUICK = {"reconnect.backoff.max.ms": 200}
pytestmark = pytest.mark.server


def make_topics(bootstrap: str, prefix: str) -> None:
    size = {"max.message.bytes": str(BATCH_BYTES_MAX + 1024 * 1024)}
    made = [NewTopic(prefix + name, PARTITIONS, 1, config=size) for name in (topics.SAMPLES, topics.RESOURCES)]
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in client.create_topics(made).values():
        future.result(30)


def consumed(bootstrap: str, topic: str, want: int, seconds: float = 30) -> list[tuple[int, bytes, bytes]]:
    """Return (partition, key, value) of a topic from its start until `want` different values were seen."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "unused", "fetch.message.max.bytes": 10_000_000}
    consumer = Consumer({**settings, "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    found: list[tuple[int, bytes, bytes]] = []
    deadline = time.monotonic() + seconds
    try:
        while len({value for _, _, value in found}) < want and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                key, value = message.key(), message.value()
                assert isinstance(key, bytes)
                assert value is not None
                found.append((message.partition() or 0, key, value))
        return found
    finally:
        consumer.close()


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of these tests' own, because it is killed."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    try:
        yield start_or_skip(server)
    finally:
        server.kill()
        server.discard()


def test_batches_and_descriptors_arrive(own_kafka: KafkaServer, tmp_path: Path) -> None:
    make_topics(own_kafka.bootstrap, "collectors1.")
    seen = [Descriptor("site-1", f"vm/{k}", f"n{k}", "acme", T0) for k in range(30)]
    with Spool(tmp_path, "c1") as spool, spool.reader("kafka") as reader:
        spool.append_descriptors(seen)
        for number in range(40):
            spool.append_batch(rows_of(50, number), f"site-{number % 2}", 5)
        publisher = Publisher(reader, "c1", PublisherSettings(own_kafka.bootstrap, "collectors1."))
        assert publisher.drain(30)
        publisher.close()
        assert (reader.acknowledged, publisher.counters.published_samples) == (41, 2000)
    got = consumed(own_kafka.bootstrap, "collectors1.resources", 30)
    assert sorted(resource.decode(value).resource for _, _, value in got) == sorted(each.resource for each in seen)
    order_kept(consumed(own_kafka.bootstrap, "collectors1.samples", 40), 40)


def test_a_topic_that_comes_late_is_waited_for(own_kafka: KafkaServer, tmp_path: Path) -> None:
    settings = PublisherSettings(
        own_kafka.bootstrap,
        "late.",
        back_off_seconds_max=0.5,
        client={"topic.metadata.propagation.max.ms": 500, "topic.metadata.refresh.fast.interval.ms": 100},
    )
    with Spool(tmp_path, "c1") as spool, spool.reader("kafka") as reader:
        spool.append_batch(rows_of(1), "site-1", 5)
        publisher = Publisher(reader, "c1", settings)
        assert not publisher.drain(2)
        assert reader.acknowledged == 0
        assert publisher.counters.last_error
        make_topics(own_kafka.bootstrap, "late.")
        assert publisher.drain(30)
        publisher.close()


def test_a_killed_broker_costs_time_and_nothing_else(own_kafka: KafkaServer, tmp_path: Path) -> None:
    make_topics(own_kafka.bootstrap, "killed.")
    stop = threading.Event()
    settings = PublisherSettings(own_kafka.bootstrap, "killed.", in_flight_messages_max=20, client=QUICK)
    with Spool(tmp_path, "c1") as spool, spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", settings)
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            append(spool, 0, 100, pause=0.002)
            own_kafka.kill()
            before = reader.acknowledged
            append(spool, 100, 300, pause=0.001)  # collecting goes on while the broker is away
            assert publisher.counters.in_flight <= 20
            assert reader.acknowledged <= before + 20
            own_kafka.restart()
            append(spool, 300, 400, pause=0.001)
            deadline = time.monotonic() + 60
            while reader.acknowledged < 400 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert reader.acknowledged == 400
        finally:
            stop.set()
            thread.join(30)
    order_kept(consumed(own_kafka.bootstrap, "killed.samples", 400), 400)


def append(spool: Spool, first: int, last: int, pause: float) -> None:
    for number in range(first, last):
        spool.append_batch(rows_of(20, number), f"site-{number % 3}", 5)
        time.sleep(pause)


def order_kept(messages: list[tuple[int, bytes, bytes]], want: int) -> None:
    """Every batch is there, each key has one partition, and in it first arrivals are in the spool's order."""
    assert len({value for _, _, value in messages}) == want
    by_key: dict[bytes, list[int]] = {}
    partitions: dict[bytes, set[int]] = {}
    for partition, key, value in messages:
        by_key.setdefault(key, []).append(decode(value)[1].sequence)
        partitions.setdefault(key, set()).add(partition)
    for key, sequences in by_key.items():
        assert len(partitions[key]) == 1
        assert list(dict.fromkeys(sequences)) == sorted(set(sequences))
