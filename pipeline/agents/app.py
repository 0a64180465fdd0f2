"""The Faust application: agents `meter` and `rate`, the sweep and the pulse. Only the settings that lose nothing."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import faust
import mode
import structlog

from pipeline.agents.consumer import StrictConsumer
from pipeline.agents.watchdog import BEAT_SECONDS, Pulse
from pipeline.agents.wrapper import die, drive
from pipeline.kafka import MESSAGE_BYTES_MAX, KafkaConfig, parse_touch
from pipeline.message import Message
from schemas.errors import Transient
from schemas.period import Period
from schemas.topics import RESOURCES, SAMPLES, TOUCHED

log = structlog.get_logger(__name__)

BUFFERED_MESSAGES_MAX: Final = 512
"""Messages that Faust holds between the consumer and an agent; a batch of 50,000 samples has about 400 KB."""
TOUCHES_MAX: Final = 5_000
WRITES_MAX: Final = 2
"""Calls of `Work.meter` at a time: one decodes while the other waits for the warehouse."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the agents do; every function blocks and runs in a thread.

    Attributes:
        meter: makes sample messages durable; up to WRITES_MAX calls at a time.
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
    transport: Any = app.transport
    transport.Consumer = StrictConsumer

    def acknowledged(events: Sequence[Any]) -> None:
        offsets = _consumer(app).offsets
        for event in events:
            offsets.durable(event.message.tp, event.message.offset)

    def agent(
        topic: str,
        take_max: int,
        within_seconds: float,
        durable: Callable[[Sequence[Any]], object],
        writes_max: int = 1,
    ) -> None:
        channel = app.topic(kafka.topic(topic), key_type=bytes, value_type=bytes, value_serializer="raw")
        threads = ThreadPoolExecutor(writes_max, thread_name_prefix=topic)

        async def run(stream: Any) -> None:
            await drive(stream, threads, writes_max, take_max, within_seconds, durable, acknowledged)

        app.agent(channel, name=f"{name}.{topic}", supervisor_strategy=mode.CrashingSupervisor)(run)

    meter, take_max = (lambda e: work.meter(_messages(e))), tuning.take_messages_max
    agent(SAMPLES, take_max, tuning.take_within_seconds, meter, WRITES_MAX)
    agent(TOUCHED, TOUCHES_MAX, tuning.rate_debounce_seconds, lambda e: work.rate(_touches(e)))
    agent(RESOURCES, TOUCHES_MAX, 1.0, lambda e: work.describe(_messages(e)))

    @app.timer(interval=tuning.sweep_seconds)  # type: ignore[untyped-decorator]
    async def sweep() -> None:
        try:
            await app.loop.run_in_executor(None, work.sweep)
        except Transient as error:
            log.warning("sweep failed, it comes again", error=str(error))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die("the sweep met something unexpected", error)

    @app.timer(interval=BEAT_SECONDS)  # type: ignore[untyped-decorator]
    async def beat() -> None:
        consumer, topic = _consumer(app), kafka.topic(SAMPLES)
        lags = {tp: consumer.lag(tp) for tp in consumer.offsets.partitions() if tp.topic == topic}
        pulse.beat({tp: (consumer.offsets.position(tp) or 0, lag) for tp, lag in lags.items() if lag}, time.monotonic())

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


def _consumer(app: faust.App) -> StrictConsumer:
    return cast(StrictConsumer, app.consumer)


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
