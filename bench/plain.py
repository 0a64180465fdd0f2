"""Runs the plain Faust baseline: fills a topic with JSON events, starts the agent, reads its figure."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import orjson
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.load import CELL_SECONDS, METERS, START
from bench.parts import per_second
from bench.producing import produce
from bench.servers import Servers

PARTITIONS: Final = 8
TOPIC: Final = "bench-plain"
RUN_SECONDS_MAX: Final = 300


def run(servers: Servers, messages: int) -> dict[str, Any]:
    """Return messages (= samples) a second of one process."""
    client = AdminClient({"bootstrap.servers": servers.kafka.bootstrap, "log_level": 0})
    for future in client.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        future.result(30)
    produce(servers.kafka.bootstrap, TOPIC, events(messages), PARTITIONS)
    folder = servers.folder / "plain"
    folder.mkdir()
    arguments = [servers.kafka.bootstrap, TOPIC, str(messages), str(folder)]
    command = [sys.executable, "-m", "bench.plain_faust", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    return per_second(messages, float(done.stdout.split()[-1]))


def events(messages: int) -> Iterator[bytes]:
    """Yield one sample a message."""
    for number in range(messages):
        vm, meter = divmod(number, len(METERS))
        yield orjson.dumps(
            {
                "resource": f"vm/{vm % 10_000}",
                "meter": METERS[meter],
                "cell_start": START + vm // 10_000 * CELL_SECONDS,
                "quantity": number,
                "tenant": "acme",
            }
        )
