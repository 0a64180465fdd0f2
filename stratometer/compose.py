"""Composition: which adapter goes with which deployment. The only place that knows all of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from billing.protocol import Books
from collectors.interface import Health
from collectors.publisher_settings import PublisherSettings
from collectors.spool import Spool, SpoolSettings
from pipeline.dead_letters import DeadLetters, LettersReader
from pipeline.directory import Directory
from pipeline.durable import DurableWriter
from pipeline.embedded import EmbeddedRunner, Pace
from pipeline.kafka import KafkaConfig
from pipeline.kafka_dead_letters import KafkaDeadLetters
from pipeline.rate import Rater
from pipeline.rate_queue import LiveRating, RateQueue
from pipeline.settle import Settler, SettleRules
from pipeline.spool_dead_letters import SpoolDeadLetters, SpoolLettersReader
from pipeline.spool_feed import SpoolFeed
from schemas.clock import system_clock
from schemas.meters import Registry
from schemas.period import Clock, Period
from sinks.books.connect import open_books
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Warehouse
from stratometer.metrics import Drift, Sources
from stratometer.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces every command works with."""

    settings: Settings
    clock: Clock
    registry: Registry
    warehouse: Warehouse
    books: Books
    directory: Directory
    rater: Rater
    live: LiveRating
    settler: Settler


@contextmanager
def open_parts(settings: Settings, clock: Clock = system_clock, owner_note: str = "") -> Iterator[Parts]:
    """Open both stores and build what stands on them; closes them at the end.

    Args:
        settings: which deployment.
        clock: microseconds since 1970.
        owner_note: shown to whoever finds chDB's folder taken by us.

    Raises:
        Misconfigured: an address is wrong.
        Held: chDB's folder is owned by another process.
        Transient: a server is away.
    """
    registry = settings.registry()
    warehouse = open_warehouse(
        warehouse_url(settings),
        owner_note=owner_note,
        insert_timeout_seconds=settings.warehouse.insert_timeout_seconds,
        cluster=settings.warehouse.cluster,
    )
    try:
        books = open_books(books_url(settings))
        try:
            directory = Directory(books, warehouse, registry, clock)
            rater = Rater(warehouse, books, directory, registry, clock)
            rules = SettleRules(
                settings.settle.grace_seconds, settings.settle.cutoff_margin_seconds, settings.settle.late_days * 86400
            )
            yield Parts(
                settings=settings,
                clock=clock,
                registry=registry,
                warehouse=warehouse,
                books=books,
                directory=directory,
                rater=rater,
                live=LiveRating(warehouse, books, directory, rater, clock),
                settler=Settler(warehouse, books, directory, rater, clock, rules),
            )
        finally:
            books.close()
    finally:
        warehouse.close()


def warehouse_url(settings: Settings) -> str:
    """Return the warehouse's address: the setting, or chDB in the data folder."""
    url = settings.warehouse.url.get_secret_value()
    if url:
        return url
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return f"chdb://{(settings.data_dir / 'chdb').resolve()}"


def books_url(settings: Settings) -> str:
    """Return the books' address: the setting, or SQLite in the data folder."""
    url = settings.books.url.get_secret_value()
    if url:
        return url
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(settings.data_dir / 'books.sqlite').resolve()}"


def spools_dir(settings: Settings) -> Path:
    """Return the folder that holds one spool for each collector."""
    return settings.data_dir / "spools"


def open_spool(settings: Settings, collector: str) -> Spool:
    """Open the spool of a collector for writing; raises Misconfigured when another process holds it."""
    collect = settings.collect
    spool_settings = SpoolSettings(
        spool_bytes_max=collect.spool_bytes_max,
        segment_bytes=min(64 * 1024 * 1024, collect.spool_bytes_max // 4),
        fsync="group" if collect.spool_sync_seconds else "always",
        group_milliseconds=max(1, round(collect.spool_sync_seconds * 1000)),
    )
    directory = spools_dir(settings) / collector
    directory.mkdir(parents=True, exist_ok=True)
    return Spool(directory, collector, spool_settings)


def kafka_config(settings: Settings) -> KafkaConfig:
    """Return how to reach the brokers."""
    kafka = settings.kafka
    security: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if kafka.ssl_ca_location:
        security["ssl.ca.location"] = kafka.ssl_ca_location
    if kafka.security_protocol.startswith("SASL"):
        security |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    return KafkaConfig(
        kafka.bootstrap_servers, kafka.topic_prefix, kafka.replication_factor, kafka.partitions, security
    )


def publisher_settings(settings: Settings) -> PublisherSettings:
    """Return where and how a spool is published."""
    kafka = kafka_config(settings)
    return PublisherSettings(kafka.bootstrap_servers, kafka.topic_prefix, client=kafka.security)


def dead_letters_dir(settings: Settings) -> Path:
    """Return the folder of the embedded deployment's dead letters."""
    return settings.data_dir / "dead-letters"


def read_dead_letters(settings: Settings) -> LettersReader:
    """Return the dead letters for reading only, which works beside a running process."""
    if settings.deployment == "cluster":
        return KafkaDeadLetters(kafka_config(settings))
    return SpoolLettersReader(dead_letters_dir(settings))


@contextmanager
def open_dead_letters(settings: Settings) -> Iterator[DeadLetters]:
    """Open the home of the dead letters: the topic, or a spool in the data folder."""
    if settings.deployment == "cluster":
        yield KafkaDeadLetters(kafka_config(settings))
        return
    directory = dead_letters_dir(settings)
    directory.mkdir(parents=True, exist_ok=True)
    with Spool(directory, "dead-letters", SpoolSettings(fsync="always", retention_seconds=10 * 365 * 86400)) as spool:
        yield SpoolDeadLetters(spool, directory)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded stream, ready to drain or to start."""

    runner: EmbeddedRunner
    writer: DurableWriter
    feed: SpoolFeed

    def metrics(self, parts: Parts, health: Mapping[str, Callable[[], Health]] | None = None) -> Sources:
        """Return what this stream's metrics are read from, and the health of collectors beside it."""
        return Sources(parts.clock, self.writer.progress, self.feed.backlog, Drift(parts.books), health)

    def stop(self) -> None:
        """End the threads; a write that is being retried gives up, unacknowledged."""
        self.writer.stop()
        self.runner.stop()


def embedded(parts: Parts, dead_letters: DeadLetters) -> Embedded:
    """Build the embedded stream over the spools of the data folder."""
    queue = RateQueue()
    writer = durable_writer(parts, dead_letters, queue.add)
    feed = SpoolFeed(spools_dir(parts.settings), writer)
    stream = parts.settings.stream
    pace = Pace(stream.rate_debounce_seconds, stream.sweep_seconds, parts.settings.settle.every_seconds)
    return Embedded(EmbeddedRunner(feed, queue, parts.live, parts.settler, pace), writer, feed)


def durable_writer(parts: Parts, dead_letters: DeadLetters, touch: Callable[[str, Period], None]) -> DurableWriter:
    """Build the durable write; `touch` is told account and cells."""

    def touched(tenants: Mapping[int, Period]) -> None:
        for account, cells in parts.live.accounts_of(tenants).items():
            touch(account, cells)

    return DurableWriter(parts.warehouse, dead_letters, parts.registry, parts.clock, touched)
