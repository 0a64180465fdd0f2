"""Faust's Kafka consumer with one change: what it commits comes from `Offsets`, never from Faust's acknowledgements."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import structlog
from faust.transport.drivers import aiokafka

from pipeline.agents.offsets import Offsets, Partition

log = structlog.get_logger(__name__)


class StrictConsumer(aiokafka.Consumer):
    """Commits exactly up to the first message that is not durable, and reads every message from there on.

    - Faust acknowledges what it skips in a rebalance and what it believes to be holes: neither moves an offset here.
    - Without a committed offset (or with 0) aiokafka does not seek back after a rebalance, though Faust has thrown away
      what it had buffered: here it always seeks.
    - A jump in the offsets is read a second time from where it began; only a hole that is there again is one.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        """Start without a partition."""
        super().__init__(*args, **named)
        self.offsets = Offsets()
        self._holes: dict[Partition, int] = {}

    def lag(self, partition: Partition) -> int:
        """Return how many messages of a partition are not durable, as far as is known; never below 0."""
        position = self.offsets.position(partition)
        try:
            end = self.highwater(partition)
        except (AssertionError, LookupError):  # revoked meanwhile
            return 0
        return 0 if position is None or end is None else max(0, end - position)

    async def seek_to_committed(self) -> Mapping[Any, Any]:
        """Go to the committed offsets, or to the log's start where there is none."""
        found: dict[Any, int | None] = dict(await super().seek_to_committed())
        unknown = [tp for tp, offset in found.items() if offset is None or offset < 0]
        first = dict(await self.earliest_offsets(*unknown)) if unknown else {}
        for tp, offset in found.items():
            position = first.get(tp, 0) if offset is None or offset < 0 else offset
            if not offset or offset < 0:
                await self._seek(tp, position)
            self.offsets.begin(tp, position)
        return found

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Forget partitions that are taken away."""
        self.offsets.forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ASYNC109 - the signature is Faust's
        """Yield messages, each noted as delivered before anything else happens to it."""
        jumped: set[Partition] = set()
        async for tp, message in super().getmany(timeout):
            expected = self.offsets.expected(tp)
            if tp in jumped:
                continue
            if expected is None:  # fetched before the seek that follows every assignment: it comes again
                jumped.add(tp)
                continue
            if message.offset > expected and self._holes.get(tp) != expected:
                log.info("offsets jumped, reading again", partition=str(tp), expected=expected, got=message.offset)
                self._holes[tp] = expected
                jumped.add(tp)
                await self.seek(tp, expected)
                continue
            self.offsets.delivered(tp, message.offset)
            yield tp, message

    def ack(self, message: Any) -> bool:
        """Let Faust forget a message; commits nothing, see `Offsets`."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Faust would commit over what it takes for a hole; here nothing is."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        return (tp for tp in self.offsets.partitions() if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        return self.offsets.position(tp)
