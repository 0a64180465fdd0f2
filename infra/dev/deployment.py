"""The product as processes on test servers: settings of its own, commands, workers; for tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from infra.dev.clickhouse import ClickHouseServer
from infra.dev.kafka import KafkaServer
from infra.dev.postgres import PostgresServer
from infra.dev.procfs import ProcessId

COMMAND_SECONDS_MAX = 240
STOP_SECONDS_MAX = 40.0
KAFKA_SECONDS_MAX = 10.0
STARTING_UP = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
LOG_CHARACTERS_SHOWN = 4_000
PREFIX = "STRATOMETER_"
ADMIN_TOKEN = "sm_admin_of-a-test-server-on-loopback"  # noqa: S105 - with nothing to protect


class CommandError(RuntimeError):
    """A command ended with another status than expected; the message has its output."""


class Running:
    """A process of the product that runs beside the caller; ends with the block, with all its children."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path) -> None:
        """Start it; its output goes to `log`."""
        self.log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def children(self) -> list[ProcessId]:
        """All processes below it."""
        own = ProcessId.of(self._child.pid)
        return own.descendants() if own else []

    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._child.poll()

    def wait(self, seconds: float = STOP_SECONDS_MAX) -> int:
        """Wait for its end and return the status."""
        return self._child.wait(seconds)

    def stop(self) -> int:
        """Ask it to end by SIGTERM, wait, and return its exit status."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL it and all below it."""
        doomed = self.children()
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for each in doomed:
            each.signal(signal.SIGKILL)

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Running:
        """Run it during the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; shows the end of its log when the block failed."""
        if error is None:
            try:
                self.stop()
            finally:
                self.kill()
            return
        self.kill()
        sys.stderr.write(f"--- {self.log.name}\n{self.text()[-LOG_CHARACTERS_SHOWN:]}\n")


class Deployment:
    """One installation: a data folder, and what points the product at its stores."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Take a folder (made if absent) and settings, named as in the environment without the prefix."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        own = {"DEV": "true", "API__ADMIN_TOKEN": ADMIN_TOKEN, "DATA_DIR": str(folder), **settings}
        self.env = clean | {f"{PREFIX}{name}": value for name, value in own.items()}

    def run(self, *arguments: str, module: str = "stratometer.cli", status: int = 0) -> str:
        """Run a command to its end and return its standard output.

        Raises:
            CommandError: it ended with another status.
        """
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        if done.returncode != status:
            raise CommandError(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self.run(*arguments, "--json"))

    def start(self, *arguments: str, module: str = "stratometer.cli", **settings: str) -> Running:
        """Start a process of the product; `settings` are added to its environment, without the prefix."""
        number = len(list(self.folder.glob("process-*.log")))
        log = self.folder / f"process-{number}-{arguments[0] if arguments else module}.log"
        env = self.env | {f"{PREFIX}{name}": value for name, value in settings.items()}
        return Running([sys.executable, "-m", module, *arguments], env, log)


class Cluster(Deployment):
    """A cluster deployment with topics and databases of its own on servers that others use, too."""

    def __init__(
        self,
        name: str,
        folder: Path,
        kafka: KafkaServer,
        clickhouse: ClickHouseServer,
        postgres: PostgresServer,
        **settings: str,
    ) -> None:
        """Make the databases `name`; topics get the prefix ``name.``."""
        self.kafka, self.prefix = kafka, f"{name}."
        self.warehouse_url = clickhouse.create_database(name)
        stores = {**kafka.exports(name), **postgres.exports(name), f"{PREFIX}WAREHOUSE__URL": self.warehouse_url}
        own = {key.removeprefix(PREFIX): value for key, value in stores.items()}
        super().__init__(folder, {"DEPLOYMENT": "cluster", "KAFKA__TOPIC_PREFIX": self.prefix, **own, **settings})

    def workers(self, number: int = 1, **settings: str) -> Running:
        """Start `stratometer worker` with so many worker processes."""
        return self.start("worker", "--workers", str(number), **settings)

    def offsets(self, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
        """Return by partition what the workers have committed (-1: nothing) and where the log ends."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": f"{self.prefix}stratometer", "log_level": 0}
        )
        try:
            asked = [TopicPartition(f"{self.prefix}{topic}", number) for number in range(partitions)]
            committed = _committed(consumer, asked)
            ends = [consumer.get_watermark_offsets(each, timeout=KAFKA_SECONDS_MAX)[1] for each in asked]
            return {c.partition: (max(c.offset, -1), end) for c, end in zip(committed, ends, strict=True)}
        finally:
            consumer.close()


def _committed(consumer: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """Ask again while a broker that has just started does not know yet which groups it coordinates."""
    deadline = time.monotonic() + KAFKA_SECONDS_MAX
    while True:
        try:
            return consumer.committed(asked, timeout=KAFKA_SECONDS_MAX)
        except KafkaException as error:
            if time.monotonic() > deadline or error.args[0].code() not in STARTING_UP:
                raise
        time.sleep(0.2)
