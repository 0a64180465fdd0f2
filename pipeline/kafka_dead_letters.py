"""Dead letters on the compacted topic `samples.dead`: the newest record under a key is the letter's state."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from pipeline.dead_letters import Filed, State, filed_of, fold, headers_of
from pipeline.kafka import MESSAGE_BYTES_MAX, REQUEST_TIMEOUT_SECONDS, KafkaConfig, quiet
from pipeline.message import DeadLetter
from schemas.errors import Transient
from schemas.topics import DEAD

READ_MESSAGES_MAX: Final = 500


class KafkaDeadLetters:
    """The cluster's home of dead letters."""

    def __init__(self, config: KafkaConfig) -> None:
        """Connect lazily; `config` says where."""
        self._config, self._topic = config, config.topic(DEAD)
        settings = config.client(acks="all", enable_idempotence=True, message_max_bytes=MESSAGE_BYTES_MAX)
        self._producer = Producer(settings | {"delivery.timeout.ms": 15_000, "error_cb": quiet})

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Produce with acks=all and wait for every delivery; raises Transient when one fails."""
        self._deliver([Filed(letter, "waiting") for letter in letters])

    def mark(self, letter: DeadLetter, state: State) -> None:
        """Write the new state under the letter's key; compaction then drops the payload."""
        self._deliver([Filed(letter, state)])

    def all(self) -> Iterator[Filed]:
        """Read the topic from its beginning to its present end; raises Transient."""
        yield from fold(self._read())

    def _deliver(self, filed: Sequence[Filed]) -> None:
        failures: list[str] = []

        def delivered(error: object, _: object) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for one in filed:
                self._producer.produce(
                    self._topic,
                    key=one.letter.key.encode(),
                    value=one.letter.payload if one.state == "waiting" else b"",
                    headers=list(headers_of(one.letter, one.state).items()),
                    on_delivery=delivered,
                )
            waiting = self._producer.flush(REQUEST_TIMEOUT_SECONDS)
        except (KafkaException, BufferError) as error:
            raise Transient(f"topic {self._topic}: {error}") from error
        if failures or waiting:
            raise Transient(f"topic {self._topic}: {waiting} letters undelivered, {'; '.join(failures[:3])}")

    def _read(self) -> Iterator[Filed]:
        settings = self._config.client(group_id="stratometer-dead-letters", enable_auto_commit=False)
        consumer = Consumer(settings | {"auto.offset.reset": "earliest", "error_cb": quiet})
        try:
            metadata = consumer.list_topics(self._topic, timeout=REQUEST_TIMEOUT_SECONDS).topics[self._topic]
            for number in metadata.partitions:
                partition = TopicPartition(self._topic, number)
                first, end = consumer.get_watermark_offsets(partition, timeout=REQUEST_TIMEOUT_SECONDS)
                consumer.assign([TopicPartition(self._topic, number, first)])
                yield from _until(consumer, partition, end)
        except KafkaException as error:
            raise Transient(f"topic {self._topic}: {error}") from error
        finally:
            consumer.close()


def _until(consumer: Consumer, partition: TopicPartition, end: int) -> Iterator[Filed]:
    """Yield what lies before offset `end`; compaction leaves holes, so the position decides, not a count."""
    while True:
        for message in consumer.consume(READ_MESSAGES_MAX, timeout=0.5):
            if message.error() is None and (message.offset() or 0) < end:
                yield _filed(message)
        position = consumer.position([partition])[0].offset
        if end == 0 or position >= end:
            return


def _filed(message: KafkaMessage) -> Filed:
    pairs = cast("list[tuple[str, bytes]]", message.headers() or [])
    return filed_of({name: value.decode() for name, value in pairs}, message.value() or b"")
