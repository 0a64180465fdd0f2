"""Names of the Kafka topics, with partitions, retention and clean-up policy of each."""

from dataclasses import dataclass
from typing import Final

SAMPLES: Final = "samples"
RESOURCES: Final = "resources"
TOUCHED: Final = "usage.touched"
DEAD: Final = "samples.dead"

DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is created.

    Attributes:
        name: topic name, without the installation's prefix.
        partitions: upper bound of useful workers.
        retention_ms: how long a message stays; None with compaction.
        compacted: keep the newest message of each key instead.
    """

    name: str
    partitions: int
    retention_ms: int | None
    compacted: bool = False


TOPICS: Final = (
    Topic(SAMPLES, partitions=8, retention_ms=7 * DAY_MS),
    Topic(TOUCHED, partitions=8, retention_ms=DAY_MS),
    Topic(RESOURCES, partitions=4, retention_ms=None, compacted=True),
    Topic(DEAD, partitions=1, retention_ms=None, compacted=True),
)
