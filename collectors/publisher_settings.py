"""Limits of the publisher, and how its Kafka client is set up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.spool.batches import DESCRIPTORS_PER_RECORD
from schemas.batch import BATCH_BYTES_MAX
from schemas.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Where to publish, and within which limits.

    Attributes:
        bootstrap_servers: ``host:port`` of brokers, separated by commas.
        topic_prefix: stands before every topic's name.
        in_flight_messages_max: messages handed to the client and not yet confirmed.
        in_flight_bytes_max: their payloads together; at least one message always goes.
        back_off_seconds_min: pause after a first failure; doubles with each further one …
        back_off_seconds_max: … up to this.
        acknowledge_seconds: at most so often the cursor is written; a crash repeats that much, which identity absorbs.
        idle_seconds: pause when the spool has nothing new.
        request_timeout_milliseconds: how long one request may wait for a broker before the client tries again.
        client: further settings of librdkafka (TLS, SASL); those that keep the promises cannot be changed here.
    """

    bootstrap_servers: str
    topic_prefix: str = ""
    in_flight_messages_max: int = 1_000
    in_flight_bytes_max: int = 64 * 1024 * 1024
    back_off_seconds_min: float = 0.2
    back_off_seconds_max: float = 30.0
    acknowledge_seconds: float = 0.5
    idle_seconds: float = 0.1
    request_timeout_milliseconds: int = 30_000
    client: Mapping[str, str | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse limits that stop everything, and client settings that would break a promise; lists all."""
        problems = [f"client setting {key!r} is fixed by the publisher" for key in sorted(set(self.client) & _FIXED)]
        if not self.bootstrap_servers.strip():
            problems.append("bootstrap_servers is empty; give host:port of a broker")
        positive = ("in_flight_messages_max", "in_flight_bytes_max", "back_off_seconds_min", "idle_seconds")
        problems += [f"{name} must be above 0" for name in positive if getattr(self, name) <= 0]
        if self.back_off_seconds_max < self.back_off_seconds_min:
            problems.append("back_off_seconds_max is below back_off_seconds_min")
        if problems:
            raise Misconfigured(problems)

    def client_settings(self, client_id: str) -> dict[str, str | int | bool]:
        """Return librdkafka's settings.

        A message never times out (message.timeout.ms 0): while a broker is away it waits in the client's bounded
        queue, in order, and the rest waits in the spool.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": client_id,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "none",  # batches are compressed already
            "message.timeout.ms": 0,
            "request.timeout.ms": self.request_timeout_milliseconds,
            "message.max.bytes": BATCH_BYTES_MAX + 1024 * 1024,
            "linger.ms": 5,
            # Both queue limits lie above ours, so that the client never refuses what we let pass.
            "queue.buffering.max.messages": self.in_flight_messages_max + DESCRIPTORS_PER_RECORD,
            "queue.buffering.max.kbytes": max(self.in_flight_bytes_max // 1024, 1) + 2 * BATCH_BYTES_MAX // 1024,
            "reconnect.backoff.max.ms": 5_000,
            **self.client,
        }


_FIXED = {
    "bootstrap.servers",
    "enable.idempotence",
    "acks",
    "compression.type",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
}
