"""Puts messages on a topic as fast as the broker takes them."""

from collections.abc import Iterable

from confluent_kafka import Producer

QUEUE_MESSAGES_MAX = 100_000
FLUSH_SECONDS_MAX = 120.0


def produce(bootstrap: str, topic: str, payloads: Iterable[bytes], partitions: int) -> int:
    """Produce the payloads, spread evenly over the partitions, with acks=all; return how many.

    Raises:
        RuntimeError: the broker did not confirm every one.
    """
    settings = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 20}
    limits = {"queue.buffering.max.messages": QUEUE_MESSAGES_MAX, "queue.buffering.max.kbytes": 200_000}
    producer = Producer({**settings, **limits, "message.timeout.ms": 0, "log_level": 0})
    failed: list[str] = []
    confirmed = 0

    def delivered(error: object, _: object) -> None:
        nonlocal confirmed
        if error is None:
            confirmed += 1
        else:
            failed.append(str(error))

    number = 0
    for number, payload in enumerate(payloads, start=1):
        while True:
            try:
                producer.produce(topic, value=payload, partition=number % partitions, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(FLUSH_SECONDS_MAX)
    if left or failed or confirmed != number:
        raise RuntimeError(f"{confirmed} of {number} messages confirmed: {failed[:3]}")
    return confirmed
