"""Kafka as the stream uses it: one place for client settings, and the topics, created by us with what they state."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.errors import Transient
from schemas.period import Period
from schemas.topics import TOPICS, TOUCHED, Topic

REQUEST_TIMEOUT_SECONDS: Final = 30.0
METADATA_TIMEOUT_SECONDS: Final = 10.0
"""Of a first look at the brokers: a worker that cannot reach them had better say so soon, and start again."""
MESSAGE_BYTES_MAX: Final = 9 * 1024 * 1024
"""Of the broker's topics: a sample batch of BATCH_BYTES_MAX and its headers."""


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """How to reach the brokers.

    Attributes:
        bootstrap_servers: host:port, separated by commas.
        topic_prefix: put before every topic name.
        replication_factor: of topics that we create.
        partitions: of topics that we create, where more than one is allowed; 0 takes the topic's own number.
        security: librdkafka's security settings; may hold a password, so never logged.
    """

    bootstrap_servers: str
    topic_prefix: str = ""
    replication_factor: int = 1
    partitions: int = 0
    security: Mapping[str, str] = field(default_factory=dict, repr=False)

    def client(self, **more: str | int | float | bool) -> dict[str, Any]:
        """Return librdkafka settings; names in `more` use underscores for dots."""
        extra = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.bootstrap_servers, **self.security, **extra}

    def topic(self, name: str) -> str:
        """Return a topic's full name."""
        return f"{self.topic_prefix}{name}"

    def topics(self) -> Sequence[Topic]:
        """Return the topics with this installation's names and partitions."""
        return [
            replace(
                t,
                name=self.topic(t.name),
                partitions=self.partitions if self.partitions and t.partitions > 1 else t.partitions,
            )
            for t in TOPICS
        ]


def quiet(_: object) -> None:
    """Take librdkafka's connection errors: it reconnects by itself, and calls that fail raise."""


def admin(config: KafkaConfig) -> AdminClient:
    """Return an admin client."""
    return AdminClient(config.client() | {"error_cb": quiet})


def create_topics(config: KafkaConfig) -> list[str]:
    """Create the topics that are missing, with partitions, retention and clean-up policy; return their names.

    Raises:
        Transient: the brokers cannot be reached or refuse.
    """
    client = admin(config)
    try:
        existing = set(client.list_topics(timeout=METADATA_TIMEOUT_SECONDS).topics)
        missing = [t for t in config.topics() if t.name not in existing]
        if not missing:
            return []
        futures = client.create_topics(
            [_new_topic(t, config) for t in missing], request_timeout=REQUEST_TIMEOUT_SECONDS
        )
        for name, future in futures.items():
            _await(name, future.result)
    except KafkaException as error:
        raise Transient(f"Kafka at {config.bootstrap_servers}: {error.args[0].str()}") from error
    return [t.name for t in missing]


def _await(name: str, result: Callable[[], object]) -> None:
    try:
        result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process created it meanwhile
            raise Transient(f"topic {name}: {error.args[0].str()}") from error


def _new_topic(topic: Topic, config: KafkaConfig) -> NewTopic:
    settings = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
    if topic.compacted:
        settings["cleanup.policy"] = "compact"
    else:
        settings |= {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}
    return NewTopic(topic.name, topic.partitions, config.replication_factor, config=settings)


class TouchProducer:
    """Tells the rating which account has new usage: topic `usage.touched`, keyed by account.

    A trigger that is lost changes no number: a sweep finds what it missed. So nothing waits for its delivery.
    """

    def __init__(self, config: KafkaConfig) -> None:
        """Connect lazily; `config` says where."""
        self._topic = config.topic(TOUCHED)
        self._producer = Producer(config.client(linger_ms=50) | {"error_cb": quiet})

    def touch(self, account: str, cells: Period) -> None:
        """Send one trigger."""
        value = orjson.dumps({"account": account, "start": cells.start, "end": cells.end})
        with suppress(BufferError):  # the brokers are away and the queue is full: the sweep will find it
            self._producer.produce(self._topic, key=account.encode(), value=value)
        self._producer.poll(0)

    def close(self) -> None:
        """Send what waits, for a bounded time."""
        self._producer.flush(5.0)


def parse_touch(value: bytes) -> tuple[str, Period] | None:
    """Return account and cells of a trigger, or None when it is not one."""
    try:
        fields = orjson.loads(value)
        return str(fields["account"]), Period(int(fields["start"]), int(fields["end"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
