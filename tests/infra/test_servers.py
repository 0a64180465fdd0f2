"""Each real server starts, answers a round trip, and keeps its data through SIGKILL and restart."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from clickhouse_driver import Client
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.dev.clickhouse import ClickHouseServer
from infra.dev.fixtures import start_or_skip
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer, find_binaries

WAIT_SECONDS = 20

pytestmark = pytest.mark.server


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    server = start_or_skip(KafkaServer(tmp_path / "kafka"))
    yield server
    server.discard()


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    server = start_or_skip(ClickHouseServer(tmp_path / "clickhouse"))
    yield server
    server.discard()


@pytest.fixture(params=["debian", "wheel"])
def postgres(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    is_wheel = request.param == "wheel"
    found = [folder for folder in find_binaries() if ("pginstall" in folder.parts) == is_wheel]
    if not found:
        pytest.skip(f"no PostgreSQL of this origin: {request.param}")  # one origin is enough for all other tests
    server = PostgresServer(tmp_path / "postgres", binaries=found[0]).start()
    yield server
    server.discard()


def consume_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    settings = {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    try:
        messages = consumer.consume(count, timeout=WAIT_SECONDS)
    finally:
        consumer.close()
    assert all(message.error() is None for message in messages)
    return sorted(message.value() or b"" for message in messages)


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(WAIT_SECONDS) == 0


def test_kafka_keeps_acknowledged_messages_through_a_kill(kafka: KafkaServer) -> None:
    bootstrap = kafka.bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("samples")])["samples"].result(WAIT_SECONDS)
    topics = admin.list_topics("samples", timeout=WAIT_SECONDS).topics
    assert len(topics["samples"].partitions) == 4
    produce(bootstrap, "samples", b"before")
    assert consume_all(bootstrap, "samples", 1) == [b"before"]

    first_pid = kafka.pid
    kafka.kill()
    assert not kafka.running
    kafka.restart()

    assert kafka.bootstrap == bootstrap
    assert kafka.pid != first_pid
    produce(bootstrap, "samples", b"then")
    assert consume_all(bootstrap, "samples", 2) == [b"before", b"then"]


def test_kafka_does_not_invent_topics(kafka: KafkaServer) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 2000})
    errors: list[KafkaError | None] = []
    producer.produce("nobody-made-this", b"x", on_delivery=lambda error, _: errors.append(error))
    producer.flush(WAIT_SECONDS)
    assert len(errors) == 1
    assert errors[0] is not None  # by `is`: comparing a KafkaError with None leaves a stray exception behind
    assert "nobody-made-this" not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=5).topics


def test_clickhouse_keeps_inserted_rows_through_a_kill(clickhouse: ClickHouseServer) -> None:
    url = clickhouse.create_database("stratometer")
    with Client.from_url(url) as client:
        client.execute("CREATE TABLE cells (at DateTime, quantity Int64) ENGINE = MergeTree ORDER BY at")
        client.execute("INSERT INTO cells VALUES", [(0, 1), (300, 2)])
        assert client.execute("SELECT sum(quantity) FROM cells") == [(3,)]

    clickhouse.kill()
    clickhouse.restart()

    with Client.from_url(url) as client:
        client.execute("INSERT INTO cells VALUES", [(600, 4)])
        assert client.execute("SELECT sum(quantity) FROM cells") == [(7,)]
        assert client.execute("SELECT toString(toDateTime(300))") == [("1970-01-01 00:05:00",)]
    with Client(host=clickhouse.host, port=clickhouse.port) as anybody:
        assert anybody.execute("SELECT name FROM system.databases WHERE name = 'stratometer'") == [("stratometer",)]


def test_postgres_keeps_committed_rows_through_a_kill(postgres: PostgresServer) -> None:
    url = postgres.create_database("books")
    assert postgres.create_database("books") == url
    dsn = url.replace("+psycopg", "")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE entries (id bigint PRIMARY KEY, micros bigint NOT NULL)")
        connection.execute("INSERT INTO entries VALUES (1, 5)")

    postgres.kill()
    postgres.restart()

    assert postgres.database_url("books") == url
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO entries VALUES (2, 6)")
        assert connection.execute("SELECT sum(micros) FROM entries").fetchone() == (11,)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_postgres_stops_although_a_client_stays(tmp_path: Path) -> None:
    server = start_or_skip(PostgresServer(tmp_path))
    dsn = server.url.replace("+psycopg", "")
    with psycopg.connect(dsn) as connection:
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not server.running
    server.discard()
    assert not tmp_path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a home for an unprivileged user")
def test_a_postgres_home_is_swept_once_nothing_links_to_it(tmp_path: Path) -> None:
    server = start_or_skip(PostgresServer(tmp_path / "killed-run"))
    home = (server.data_dir / "home").resolve()
    assert home.parent != server.data_dir
    server.stop()
    other = PostgresServer(tmp_path / "next")
    other.start()
    assert home.exists()
    other.discard()

    shutil.rmtree(server.data_dir)  # as pytest does with old temporary folders
    other.start()
    other.discard()
    assert not home.exists()
