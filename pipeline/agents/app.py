"""The Faust application: agents `meter` and `rate`, the sweep and the pulse. Only the settings that lose nothing."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust
import mode

from pipeline.agents.watchdog import BEAT_SECONDS, Pulse
from pipeline.agents.wrapper import drive
from pipeline.kafka import MESSAGE_BYTES_MAX, KafkaConfig, parse_touch
from pipeline.message import Message
from schemas.period import Period
from schemas.topics import RESOURCES, SAMPLES, TOUCHED

BUFFERED_MESSAGES_MAX: Final = 512
"""Messages that Faust holds between the consumer and an agent; a batch of 50,000 samples has about 400 KB."""
TOUCHES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Work:
    """What the agents do; every function blocks and runs in a thread.

    Attributes:
        meter: makes sample messages durable.
        rate: rates accounts over the cells that were touched.
        describe: stores the names of resources.
        sweep: sends triggers for accounts that none named.
    """

    meter: Callable[[Sequence[Message]], object]
    rate: Callable[[dict[str, Period]], object]
    describe: Callable[[Sequence[Message]], object]
    sweep: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Batching, in messages and seconds; see the settings section `stream`."""

    take_messages_max: int
    take_within_seconds: float
    rate_debounce_seconds: float
    sweep_seconds: float


def build(name: str, kafka: KafkaConfig, data_dir: Path, work: Work, tuning: Tuning, pulse: Pulse) -> faust.App:
    """Return the application, ready for a worker.

    Args:
        name: consumer group.
        kafka: brokers and topic names.
        data_dir: of this worker alone.
        work: what the agents do.
        tuning: batching.
        pulse: kept up to date for the watchdog.
    """
    app = faust.App(name, **_settings(kafka, data_dir))
    durable_to: dict[Any, int] = {}

    def acknowledged(events: Sequence[Any]) -> None:
        pulse.durable_at = time.monotonic()
        for event in events:
            durable_to[event.message.tp] = event.message.offset + 1

    samples = app.topic(kafka.topic(SAMPLES), key_type=bytes, value_type=bytes, value_serializer="raw")
    touched = app.topic(kafka.topic(TOUCHED), key_type=bytes, value_type=bytes, value_serializer="raw")
    described = app.topic(kafka.topic(RESOURCES), key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(samples, supervisor_strategy=mode.CrashingSupervisor)
    async def meter(stream: Any) -> None:
        await drive(
            stream,
            tuning.take_messages_max,
            tuning.take_within_seconds,
            lambda e: work.meter(_messages(e)),
            acknowledged,
        )

    @app.agent(touched, supervisor_strategy=mode.CrashingSupervisor)
    async def rate(stream: Any) -> None:
        await drive(stream, TOUCHES_MAX, tuning.rate_debounce_seconds, lambda e: work.rate(_touches(e)), lambda _: None)

    @app.agent(described, supervisor_strategy=mode.CrashingSupervisor)
    async def describe(stream: Any) -> None:
        await drive(stream, TOUCHES_MAX, 1.0, lambda e: work.describe(_messages(e)), lambda _: None)

    @app.timer(interval=tuning.sweep_seconds)  # type: ignore[untyped-decorator]
    async def sweep() -> None:
        await app.loop.run_in_executor(None, work.sweep)

    @app.timer(interval=BEAT_SECONDS)  # type: ignore[untyped-decorator]
    async def beat() -> None:
        pulse.beat_at = time.monotonic()
        pulse.lag = _lag(app, kafka.topic(SAMPLES), durable_to)
        if not pulse.lag:
            pulse.durable_at = time.monotonic()

    return app


def _settings(kafka: KafkaConfig, data_dir: Path) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        "broker_credentials": _credentials(kafka),
        "datadir": str(data_dir),
        "store": "memory://",
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": BUFFERED_MESSAGES_MAX,
        "broker_session_timeout": 10,
        "broker_heartbeat_interval": 2,
        "broker_commit_interval": 1,
        "broker_max_poll_records": 500,
        "consumer_max_fetch_size": MESSAGE_BYTES_MAX,
        "consumer_auto_offset_reset": "earliest",
        "autodiscover": False,
        "worker_redirect_stdouts": False,
    }


def _messages(events: Sequence[Any]) -> list[Message]:
    return [
        Message(e.message.value or b"", f"{e.message.topic}/{e.message.partition}/{e.message.offset}") for e in events
    ]


def _touches(events: Sequence[Any]) -> dict[str, Period]:
    """Return one period an account: from the first to the last cell that any trigger named."""
    merged: dict[str, Period] = {}
    for event in events:
        touch = parse_touch(event.message.value or b"")
        if touch is not None:
            account, cells = touch
            before = merged.get(account, cells)
            merged[account] = Period(min(before.start, cells.start), max(before.end, cells.end))
    return merged


def _lag(app: faust.App, topic: str, durable_to: dict[Any, int]) -> int:
    """Return how many messages of our partitions lie beyond what is durable; a partition not yet read counts from 0."""
    lag = 0
    offsets: dict[Any, int | None] = getattr(app.consumer, "_committed_offset", {})  # no public reader
    for tp in app.consumer.assignment():
        if tp.topic == topic:
            committed = offsets.get(tp)
            lag += max(0, (app.consumer.highwater(tp) or 0) - durable_to.get(tp, committed or 0))
    return lag


def _credentials(kafka: KafkaConfig) -> Any:
    protocol = kafka.security.get("security.protocol", "PLAINTEXT")
    if protocol == "PLAINTEXT":
        return None
    ca = kafka.security.get("ssl.ca.location") or None
    context = ssl.create_default_context(cafile=ca) if "SSL" in protocol.replace("SASL", "") else None
    if not protocol.startswith("SASL"):
        return context
    return faust.SASLCredentials(
        username=kafka.security["sasl.username"],
        password=kafka.security["sasl.password"],
        mechanism=kafka.security["sasl.mechanism"],
        ssl_context=context,
    )
