"""The publisher against a client that fails on request: order, acknowledgement, retries, limits."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from collectors.publisher import Publisher, PublisherSettings
from collectors.spool import Spool
from schemas import resource
from schemas.batch import decode
from schemas.errors import Invariant, Misconfigured
from schemas.resource import Descriptor
from tests.collectors.fakes import T0, rows_of

SETTINGS = PublisherSettings(
    "nowhere:1", topic_prefix="t.", back_off_seconds_min=0.001, back_off_seconds_max=0.002, acknowledge_seconds=0
)
Delivery = Callable[[KafkaError | None, object], None]


class Broker:
    """Keeps what was confirmed; `fails` says of the n-th produced message whether its delivery fails for good."""

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.log: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []
        self.fails = fails
        self.produced = 0
        self.clients = 0
        self.queued_max = 0
        self.away = False

    def client(self, settings: dict[str, Any]) -> "Client":
        assert settings["acks"] == "all"
        assert settings["enable.idempotence"] is True
        self.clients += 1
        return Client(self)


class Client:
    """Confirms one message at each poll."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.queue: list[tuple[str, dict[str, Any], bool]] = []

    def produce(self, topic: str, **message: Any) -> None:
        self.broker.produced += 1
        self.queue.append((topic, message, self.broker.fails(self.broker.produced)))
        self.broker.queued_max = max(self.broker.queued_max, len(self.queue))

    def poll(self, timeout: float) -> int:
        if not self.queue or self.broker.away:
            return 0
        topic, message, fails = self.queue.pop(0)
        report: Delivery = message["on_delivery"]
        if fails:
            report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
        else:
            self.broker.log.append((topic, message["key"], message["value"], dict(message["headers"])))
            report(None, None)
        return 1

    def flush(self, timeout: float) -> int:
        while self.poll(0):
            pass
        return len(self.queue)

    def purge(self) -> None:
        queue, self.queue = self.queue, []
        for _, message, _ in queue:
            message["on_delivery"](KafkaError(KafkaError._PURGE_QUEUE), None)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, "c1") as opened:
        yield opened


def sequences(broker: Broker) -> list[int]:
    return [decode(value)[1].sequence for topic, _, value, _ in broker.log if topic == "t.samples"]


def test_messages_carry_key_and_headers(spool: Spool) -> None:
    seen = [Descriptor("site-1", f"vm/{k}", f"n{k}", "acme", T0) for k in range(3)]
    spool.append_descriptors(seen)
    spool.append_batch(rows_of(4), "site-1", 5)
    broker = Broker()
    with spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", SETTINGS, broker.client)
        assert publisher.drain(5)
        publisher.close()
        assert reader.acknowledged == 2
    assert [key for topic, key, _, _ in broker.log if topic == "t.resources"] == [each.key for each in seen]
    assert [resource.decode(value) for topic, _, value, _ in broker.log if topic == "t.resources"] == seen
    _, key, value, headers = broker.log[-1]
    assert key == b"site-1\0c1"
    assert headers == {"content-type": b"application/vnd.apache.arrow.stream", "schema-version": b"1"}
    assert decode(value)[0].num_rows == 4
    assert publisher.counters.published_samples == 4
    assert publisher.counters.lag_records == 0


def test_failures_are_sent_again_in_order_and_the_cursor_waits(spool: Spool) -> None:
    for number in range(30):
        spool.append_batch(rows_of(2, number), "site-1", 5)
    broker = Broker(fails=lambda produced: produced in (5, 6, 40))
    with spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", SETTINGS, broker.client)
        assert publisher.drain(10)
        publisher.close()
        assert reader.acknowledged == 30
    assert publisher.counters.failed >= 2
    assert publisher.counters.restarts == broker.clients - 1 >= 2
    arrived = sequences(broker)
    newest_arrivals = list(dict.fromkeys(reversed(arrived)))[::-1]
    assert newest_arrivals == list(range(1, 31))  # from the failed one on, everything came again in order


def test_the_cursor_never_passes_what_is_not_confirmed(spool: Spool) -> None:
    for number in range(5):
        spool.append_batch(rows_of(1, number), "site-1", 5)
    broker = Broker()
    broker.away = True
    with spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", SETTINGS, broker.client)
        assert not publisher.drain(0.1)
        assert reader.acknowledged == 0
        assert publisher.counters.in_flight == 5
        assert publisher.counters.lag_records == 5
        broker.away = False
        assert publisher.drain(5)
        publisher.close()


def test_what_is_in_flight_is_bounded(spool: Spool) -> None:
    for number in range(50):
        spool.append_batch(rows_of(1, number), "site-1", 5)
    broker = Broker()
    limits = PublisherSettings("nowhere:1", topic_prefix="t.", in_flight_messages_max=4, acknowledge_seconds=0)
    with spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", limits, broker.client)
        assert publisher.drain(5)
        publisher.close()
    assert broker.queued_max == 4
    assert sequences(broker) == list(range(1, 51))


def test_the_loop_follows_the_spool_and_stops(spool: Spool) -> None:
    broker, stop = Broker(), threading.Event()
    with spool.reader("kafka") as reader:
        publisher = Publisher(reader, "c1", SETTINGS, broker.client)
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        for number in range(20):
            spool.append_batch(rows_of(1, number), "site-1", 5)
        deadline = threading.Event()
        for _ in range(500):
            if len(broker.log) == 20 or deadline.wait(0.01):
                break
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert reader.acknowledged == 20
    assert sequences(broker) == list(range(1, 21))


def test_a_kind_without_a_topic_stops_the_publisher(spool: Spool) -> None:
    spool.append("secret", b"")
    with spool.reader("kafka") as reader, pytest.raises(Invariant, match="kind 'secret'"):
        Publisher(reader, "c1", SETTINGS, Broker().client).drain(1)


def test_settings_that_break_a_promise_are_refused() -> None:
    with pytest.raises(Misconfigured) as caught:
        PublisherSettings(" ", client={"acks": "0", "enable.idempotence": False}, in_flight_messages_max=0)
    assert len(caught.value.problems) == 4
