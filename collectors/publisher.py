"""From the spool to Kafka: oldest first, in order, acknowledged only when the broker has it.

The cursor moves to a sequence when every message up to it is confirmed (acks=all, idempotent producer). A broker that
is away costs nothing but time: the client holds a bounded window of messages, the spool holds the rest. A delivery
that fails for good (a fatal client error, a topic that is missing or refuses the size) makes the publisher drop its
client, go back to the cursor and send again in order, for ever, with growing pauses: what that repeats is the same
samples again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from collectors.messages import Message, messages_of
from collectors.publisher_settings import PublisherSettings
from collectors.spool.reader import SpoolReader
from collectors.spool.segment import Record
from schemas.errors import Transient

__all__ = ["Publisher", "PublisherCounters", "PublisherSettings"]

POLL_SECONDS: Final = 0.05
FLUSH_SECONDS_MAX: Final = 5.0
"""How long a stopping publisher waits for confirmations; what is not confirmed by then is sent again next time."""

_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
_log = structlog.get_logger(__name__)


class ProducerLike(Protocol):
    """The part of `confluent_kafka.Producer` that is used; tests give another one."""

    def produce(self, topic: str, **message: Any) -> None:
        """Queue a message."""

    def poll(self, timeout: float) -> int:
        """Serve delivery reports."""

    def flush(self, timeout: float) -> int:
        """Wait for the queue to empty."""

    def purge(self) -> None:
        """Drop what is queued or in flight."""


@dataclass(frozen=True, slots=True)
class PublisherCounters:
    """Figures for metrics, since the process started unless said otherwise.

    Attributes:
        published_records: spool records of which the broker has confirmed every message.
        published_samples: samples in them.
        failed: deliveries that failed for good and were sent again.
        restarts: times the client was dropped and the spool read again from the cursor.
        in_flight: messages waiting for confirmation now.
        acknowledged: the cursor now.
        lag_records: records in the spool that are not acknowledged, as of the last look.
        last_error: newest failure, "" when all is well.
    """

    published_records: int = 0
    published_samples: int = 0
    failed: int = 0
    restarts: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    lag_records: int = 0
    last_error: str = ""


@dataclass(slots=True)
class _Pending:
    """A record whose messages are on their way."""

    sequence: int
    samples: int
    size: int
    left: int


class Publisher:
    """Publishes one spool; use `run` as a loop or `drain` for one go, from one thread.

    `counters` may be read from any thread.
    """

    def __init__(
        self,
        reader: SpoolReader,
        collector: str,
        settings: PublisherSettings,
        make_producer: Callable[[dict[str, Any]], ProducerLike] | None = None,
    ) -> None:
        """Prepare; nothing is connected before the first message.

        Args:
            reader: the spool's reader for this target (one name for each target).
            collector: whose spool it is; the shard in the key of every message.
            settings: target and limits.
            make_producer: makes the client from librdkafka's settings; confluent-kafka's unless told.
        """
        self._reader = reader
        self._collector = collector
        self._settings = settings
        self._make_producer = make_producer or _confluent
        self._producer: ProducerLike | None = None
        self._ahead: deque[Record] = deque()
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._in_flight = 0
        self._confirmed = reader.acknowledged
        self._acknowledged_at = 0.0
        self._failure = ""
        self._failures_in_a_row = 0
        self.counters = PublisherCounters(acknowledged=reader.acknowledged)

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop; then wait a little for what is on its way.

        Raises:
            Invariant: the spool holds what cannot be published (see `messages_of`).
        """
        while not stop.is_set():
            if not self._step():
                stop.wait(self._settings.idle_seconds)
            if self._failure:
                stop.wait(self._start_over())
        self.close()

    def drain(self, timeout_seconds: float) -> bool:
        """Publish what is in the spool now; return whether all of it is confirmed within the time."""
        goal, deadline = self._reader.head(), time.monotonic() + timeout_seconds
        while self._reader.acknowledged < goal and time.monotonic() < deadline:
            self._step()
            if self._confirmed >= goal:
                self._acknowledge(now=True)
            if self._failure:
                time.sleep(min(self._start_over(), max(0.0, deadline - time.monotonic())))
        return self._reader.acknowledged >= goal

    def close(self) -> None:
        """Wait up to `FLUSH_SECONDS_MAX` for confirmations, save the cursor, let the client go."""
        if self._producer is not None:
            self._producer.flush(FLUSH_SECONDS_MAX)
            self._settle()
            self._drop_producer()
        self._acknowledge(now=True)

    def _step(self) -> bool:
        """Send what the window allows and serve confirmations; return whether anything is going on."""
        sent = self._send()
        if self._producer is not None:
            self._producer.poll(0 if sent else POLL_SECONDS)
        self._settle()
        self._acknowledge(now=not self._pending)
        return bool(sent or self._pending)

    def _send(self) -> int:
        sent, limits = 0, self._settings
        while not self._failure:
            if not self._ahead:
                self._ahead.extend(self._reader.read(bytes_max=limits.in_flight_bytes_max))
                if not self._ahead:
                    break
            record = self._ahead[0]
            messages = messages_of(record, self._collector)
            size = len(record.payload)
            full = self._in_flight + len(messages) > limits.in_flight_messages_max
            if self._pending and (full or self._pending_bytes + size > limits.in_flight_bytes_max):
                break
            pending = _Pending(record.sequence, record.samples, size, len(messages))
            self._pending.append(pending)
            self._pending_bytes += size
            for message in messages:
                self._produce(message, pending)
            self._ahead.popleft()
            sent += len(messages)
        return sent

    def _produce(self, message: Message, pending: _Pending) -> None:
        def delivered(error: KafkaError | None, _: object) -> None:
            if error is None:
                pending.left -= 1
                self._in_flight -= 1
            elif error.code() not in _PURGED:
                self.counters = replace(self.counters, failed=self.counters.failed + 1)
                self._failure = self._failure or f"{message.topic}: {error.str()}"

        if self._producer is None:
            self._producer = self._make_producer(self._client_settings())
        topic = self._settings.topic_prefix + message.topic
        while not self._failure:
            try:
                self._producer.produce(
                    topic, key=message.key, value=message.value, headers=message.headers, on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(POLL_SECONDS)
            except KafkaException as error:
                self._failure = f"{topic}: {error.args[0].str()}"
            else:
                self._in_flight += 1
                return

    def _client_settings(self) -> dict[str, Any]:
        return {
            **self._settings.client_settings(f"stratometer-{self._collector}"),
            "error_cb": self._complain,
            "logger": _RdkafkaLog(),
        }

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = self._failure or error.str()
        elif self.counters.last_error != error.str():
            self.counters = replace(self.counters, last_error=error.str())
            _log.warning("kafka_away", collector=self._collector, error=error.str())

    def _settle(self) -> None:
        """Take what is confirmed from the front: the cursor never passes a record that is still on its way."""
        records = samples = 0
        while self._pending and not self._pending[0].left:
            done = self._pending.popleft()
            self._pending_bytes -= done.size
            self._confirmed = done.sequence
            records, samples = records + 1, samples + done.samples
        if records:
            self._failures_in_a_row = 0
            self.counters = replace(
                self.counters,
                published_records=self.counters.published_records + records,
                published_samples=self.counters.published_samples + samples,
                last_error="",
            )

    def _acknowledge(self, *, now: bool) -> None:
        since = time.monotonic() - self._acknowledged_at
        if since < self._settings.acknowledge_seconds and not (now and self._confirmed > self._reader.acknowledged):
            return
        self._acknowledged_at = time.monotonic()
        try:
            self._reader.acknowledge(self._confirmed)
        except Transient as error:  # a full disk: published all the same, the cursor follows later
            _log.warning("cursor_not_saved", collector=self._collector, error=str(error))
        self.counters = replace(
            self.counters,
            in_flight=self._in_flight,
            acknowledged=self._reader.acknowledged,
            lag_records=self._reader.backlog(),
        )

    def _start_over(self) -> float:
        """Drop the client, go back to what is confirmed, and return how long to wait before trying again."""
        error, self._failure = self._failure, ""
        self._failures_in_a_row += 1
        limits = self._settings
        pause = min(
            limits.back_off_seconds_max, limits.back_off_seconds_min * 2 ** min(self._failures_in_a_row - 1, 16)
        )
        _log.error("publish_failed", collector=self._collector, error=error, next_try_seconds=pause)
        self.counters = replace(self.counters, restarts=self.counters.restarts + 1, last_error=error)
        self._drop_producer()
        self._settle()
        self._acknowledge(now=True)
        self._pending.clear()
        self._pending_bytes = self._in_flight = 0
        self._ahead.clear()
        self._reader.rewind()
        return pause

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(FLUSH_SECONDS_MAX)
            self._producer = None


def _confluent(settings: dict[str, Any]) -> ProducerLike:
    return cast(ProducerLike, Producer(settings))


class _RdkafkaLog:
    """librdkafka's own log lines; its connection chatter is reported once through `error_cb`."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        _log.debug("librdkafka", level=level, text=text % arguments if arguments else text)
