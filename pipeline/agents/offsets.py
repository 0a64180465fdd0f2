"""Which offset of each partition may be committed: the first one that is not durable. Pure bookkeeping.

Faust's own rule commits past one message in flight (upstream issue 606), past any number when the committed offset is
none or 0, and acknowledges by itself what it skips in a rebalance. Here only what the durable write reported counts.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Partition = Any
"""Topic and partition: Faust's TP or aiokafka's TopicPartition, both tuples."""


@dataclass
class _Progress:
    position: int
    expected: int
    waiting: deque[int] = field(default_factory=deque)
    done: set[int] = field(default_factory=set)


class Offsets:
    """Delivered and durable offsets of the partitions that this process reads. For one thread."""

    def __init__(self) -> None:
        """Start without a partition."""
        self._of: dict[Partition, _Progress] = {}

    def begin(self, partition: Partition, position: int) -> None:
        """Read a partition from `position` on; what was delivered and not durable comes again."""
        self._of[partition] = _Progress(position, position)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """The partitions are another process's now."""
        for partition in partitions:
            self._of.pop(partition, None)

    def partitions(self) -> list[Partition]:
        """Return the partitions that are read."""
        return list(self._of)

    def expected(self, partition: Partition) -> int | None:
        """Return the offset that comes next when the log has no hole there; None when the partition is not read."""
        found = self._of.get(partition)
        return None if found is None else found.expected

    def delivered(self, partition: Partition, offset: int) -> None:
        """Note a message that was handed on; a repetition changes nothing."""
        found = self._of.get(partition)
        if found is not None and offset >= found.expected:
            found.waiting.append(offset)
            found.expected = offset + 1

    def durable(self, partition: Partition, offset: int) -> None:
        """Note that a message's effect is durable; one that is not awaited (any more) changes nothing."""
        found = self._of.get(partition)
        if found is None or not found.position <= offset < found.expected:
            return
        found.done.add(offset)
        while found.waiting and found.waiting[0] in found.done:
            found.position = found.waiting.popleft() + 1
            found.done.discard(found.position - 1)

    def position(self, partition: Partition) -> int | None:
        """Return the first offset that is not durable, which is what may be committed; None when it is not read."""
        found = self._of.get(partition)
        return None if found is None else found.position
