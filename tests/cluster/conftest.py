"""Installations of the product on real servers; each has topics and databases of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.dev.clickhouse import ClickHouseServer
from infra.dev.deployment import Cluster
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from tests.cluster.helpers import PROVIDER, QUICK

MakeCluster = Callable[[str], Cluster]


@pytest.fixture(scope="module")
def make_cluster(
    tmp_path_factory: pytest.TempPathFactory,
    kafka_server: KafkaServer,
    clickhouse_server: ClickHouseServer,
    postgres_server: PostgresServer,
) -> MakeCluster:
    """Makes an installation by name: migrated, with the demo's provider in its books."""

    def make(name: str) -> Cluster:
        folder: Path = tmp_path_factory.mktemp(name)
        cluster = Cluster(name, folder, kafka_server, clickhouse_server, postgres_server, **QUICK)
        cluster.run("migrate")
        cluster.run("apply", str(PROVIDER))
        return cluster

    return make
