"""Seeded simulation of the stream: crashes, ambiguous failures, redelivery, replays of dead letters.

Whatever happens on the way, at the end nothing is lost, nothing is counted twice, and every dead row is accounted for.
A failing seed is the test's parameter and in the message.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import cast

import pytest
import structlog

import pipeline.durable
from pipeline.dead_letters import counts, replayable
from pipeline.durable import DurableWriter
from pipeline.reconcile import checks
from schemas import ids
from schemas.meters import Registry
from schemas.period import SECOND, Period
from sinks.warehouse import protocol
from tests.pipeline.fakes import Clock
from tests.pipeline.rows import NOW, REGISTRY, SITE
from tests.simulation.world import PARTITIONS, Auditor, Crash, Letters, Log, Warehouse, Weather, filled

SEEDS = 220
REPLAYED_SEEDS = 60
CRASHES_MAX = 60
MAGIC = REGISTRY.extended([{"key": "vm.magic", "name": "Magic", "kind": "gauge", "base": "s", "display": {"h": 3600}}])


class Stream:
    """One life of everything, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        rough = self.chance.choice([0.0, 0.1, 0.3])
        self.weather = Weather(self.chance, failure=rough, crash=self.chance.choice([0.0, 0.05, 0.2]))
        self.warehouse, self.letters = Warehouse(self.weather), Letters(self.weather)
        self.log, self.auditor = Log(self.chance), Auditor()
        self.crashes = 0
        filled(self.chance, self.log, self.auditor)

    def process(self, registry: Registry = REGISTRY) -> None:
        """One process: reads from the committed offsets until the log ends, or until it is killed."""

        def touch(_: Mapping[int, Period]) -> None:
            self.weather.crashes()

        warehouse = cast(protocol.Warehouse, self.warehouse)
        writer = DurableWriter(warehouse, self.letters, registry, Clock(NOW * SECOND), touch)
        position = list(self.log.committed)
        while True:
            partition, messages = self.log.take(position)
            if not messages:
                return
            self.weather.crashes()
            writer.write(messages)
            self.weather.crashes()  # durable, and not acknowledged
            position[partition] += len(messages)
            if self.chance.random() < 0.7:  # offsets are committed now and then
                self.log.committed[partition] = position[partition]

    def run(self, registry: Registry = REGISTRY) -> None:
        """Start the process again until it came to the end."""
        while True:
            self.weather.calm = self.crashes >= CRASHES_MAX
            try:
                self.process(registry)
                return
            except Crash:
                self.crashes += 1

    def replay(self) -> None:
        """An operator declares the meter and sends the letters again; killed in between, does so once more."""
        for filed in list(self.letters.all()):
            if filed.state == "waiting" and filed.letter.key.startswith("batch"):
                partition = self.chance.randrange(PARTITIONS)
                for _ in range(self.chance.choice([1, 1, 2])):
                    self.log.append(partition, replayable(filed.letter))
                self.letters.mark(filed.letter, "replayed")

    def check(self, told: str) -> None:
        counters, letters = self.warehouse.counters(), counts(self.letters)
        accounted = checks(self.auditor.accepted, counters, letters, 0, 0)
        assert [c for c in accounted if not c.holds] == [], told


def stored(stream: Stream) -> dict[tuple[int, int, int], int]:
    return {key[:3]: quantity for key, (_, quantity) in stream.warehouse.rows.items()}  # type: ignore[misc]


def agree(stream: Stream, meters: Sequence[str], told: str) -> None:
    """Lost 0, double 0: exactly the samples that were sent, each once, in a version that may win."""
    expected = {
        (ids.resource_id(SITE, resource), ids.key32(meter), start): quantities
        for (resource, meter, start), quantities in stream.auditor.winners(meters).items()
    }
    found = stored(stream)
    assert found.keys() == expected.keys(), told
    assert [key for key in found if found[key] not in expected[key]] == [], told


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = structlog.get_config()
    monkeypatch.setattr(pipeline.durable, "BACKOFF_SECONDS_FIRST", 0.0)
    monkeypatch.setattr(pipeline.durable, "BACKOFF_SECONDS_MAX", 0.0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def test_nothing_is_lost_and_nothing_is_counted_twice() -> None:
    """Invariants 1, 2, 3 and 4, over crashes and redelivery."""
    for seed in range(SEEDS):
        stream, told = Stream(seed), f"seed {seed}"
        stream.run()
        agree(stream, ["vm.vcpu"], told)
        stream.check(told)
        letters = counts(stream.letters)
        assert letters == {"waiting": stream.auditor.dead, "replayed": 0, "dropped": 0}, told
        before = dict(stream.warehouse.rows)
        stream.log.committed = [0] * PARTITIONS  # the whole topic once more
        stream.run()
        assert stream.warehouse.rows == before, told
        stream.check(told)


def test_replayed_letters_arrive_once() -> None:
    """Invariants 1 and 4: after the meter was declared; rows that are still bad die again, and are counted as such."""
    for seed in range(1000, 1000 + REPLAYED_SEEDS):
        stream, told = Stream(seed), f"seed {seed}"
        stream.run()
        stream.replay()
        stream.run(MAGIC)
        agree(stream, ["vm.vcpu", "vm.magic"], told)
        stream.check(told)


def test_the_weather_is_rough_enough() -> None:
    """The simulation would prove nothing if nothing failed."""
    found = [Stream(seed) for seed in range(40)]
    for stream in found:
        stream.run()
    assert sum(s.crashes for s in found) > 40
    assert sum(len(s.letters.records) for s in found) > sum(len(list(s.letters.all())) for s in found)
