"""Session-wide servers for tests: `pytest_plugins = ["infra.dev.fixtures"]` in tests/conftest.py.

Each starts when the first test asks for it, and is discarded at the end. Tests share them: take a database, topic
prefix or consumer group of your own. A test that kills or pauses its server starts one of its own with start_or_skip().
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TypeVar

import pytest

from infra.dev.cache import ServerNotAvailableError
from infra.dev.clickhouse import ClickHouseServer
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from infra.dev.process import Server

SKIP_PREFIX = "server not available: "

AnyServer = TypeVar("AnyServer", bound=Server)


def start_or_skip(server: AnyServer) -> AnyServer:
    """Start the server; skip the test if it cannot be had on this machine (a server that fails is an error)."""
    try:
        return server.start()
    except ServerNotAvailableError as error:
        pytest.skip(f"{SKIP_PREFIX}{error}")


def lend(server: AnyServer, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[AnyServer]:
    """Start, lend and discard a server; its log stays in pytest's temporary folder if a test failed."""
    try:
        yield start_or_skip(server)
    finally:
        server.kill()
        if request.session.testsfailed and server.log_path.exists():
            shutil.copy(server.log_path, factory.getbasetemp() / f"{server.data_dir.name}.log")
        server.discard()


@pytest.fixture(scope="session")
def kafka_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A running Kafka broker."""
    yield from lend(KafkaServer(tmp_path_factory.mktemp("kafka")), request, tmp_path_factory)


@pytest.fixture(scope="session")
def clickhouse_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClickHouseServer]:
    """A running ClickHouse server."""
    yield from lend(ClickHouseServer(tmp_path_factory.mktemp("clickhouse")), request, tmp_path_factory)


@pytest.fixture(scope="session")
def postgres_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """A running PostgreSQL server."""
    yield from lend(PostgresServer(tmp_path_factory.mktemp("postgres")), request, tmp_path_factory)
