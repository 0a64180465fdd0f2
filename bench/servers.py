"""The real servers that the benchmark runs against, started for it and discarded afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.dev.clickhouse import ClickHouseServer
from infra.dev.deployment import Cluster
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers and a folder for everything that the benchmark writes."""

    folder: Path
    kafka: KafkaServer
    clickhouse: ClickHouseServer
    postgres: PostgresServer

    def cluster(self, name: str, **settings: str) -> Cluster:
        """Return a fresh installation, migrated."""
        cluster = Cluster(name, self.folder / name, self.kafka, self.clickhouse, self.postgres, **settings)
        cluster.run("migrate")
        return cluster


@contextmanager
def servers() -> Iterator[Servers]:
    """Start the servers; they and their data are gone at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stratometer-bench-")))
        folder.chmod(0o755)  # PostgreSQL may run as another user
        made = KafkaServer(folder / "k"), ClickHouseServer(folder / "c"), PostgresServer(folder / "p")
        for server in made:
            stack.callback(server.discard)
            server.start()
        yield Servers(folder, *made)
