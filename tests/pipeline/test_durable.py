"""The durable write: everything is durable when it returns, in the order that loses nothing."""

import sys
import threading
from dataclasses import dataclass, field
from typing import cast

import pytest

import pipeline.durable
from pipeline.durable import DurableWriter, Stopped
from pipeline.message import Message
from schemas.errors import Invariant, Poison
from schemas.period import SECOND
from schemas.resource import Descriptor
from sinks.warehouse.protocol import Names, Warehouse
from tests.pipeline.fakes import Clock, KeptBlocks, KeptLetters, KeptTriggers, Trail
from tests.pipeline.rows import NOW, REGISTRY, T0, Row, message


@dataclass
class Bench:
    """A writer between stand-ins that share one trail."""

    trail: Trail = field(default_factory=Trail)

    def __post_init__(self) -> None:
        self.letters, self.blocks, self.triggers = (
            KeptLetters(self.trail),
            KeptBlocks(self.trail),
            KeptTriggers(self.trail),
        )
        self.clock = Clock(NOW * SECOND)
        warehouse = cast(Warehouse, self.blocks)
        self.writer = DurableWriter(warehouse, self.letters, REGISTRY, self.clock, self.triggers)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(pipeline.durable, "BACKOFF_SECONDS_FIRST", 0.001)
    monkeypatch.setattr(pipeline.durable, "BACKOFF_SECONDS_MAX", 0.004)
    return Bench()


MIXED = [message([Row(), Row(quantity=-1)], 1), Message(b"broken", "samples/0/2")]


ORDER = ["dead letters", "names", "warehouse", "trigger"]


def test_dead_letters_then_names_then_warehouse_then_trigger(bench: Bench) -> None:
    """Invariants 1 and 3: what is refused is durable before what was accepted is; the trigger may be lost."""
    bench.writer.write(MIXED)
    assert bench.trail.steps == ORDER
    assert (bench.blocks.samples, len(bench.letters.records)) == (1, 2)
    progress = bench.writer.progress
    assert (progress.messages, progress.samples, dict(progress.dead)) == (2, 1, {"negative": 1, "bad_arrow": 1})


def test_threads_share_one_writer_and_every_count_is_right(bench: Bench) -> None:
    """Invariant 1: the worker's threads write through one writer, whose counters are the metrics."""
    own = [[message([Row(), Row(quantity=-1)], 100 * thread + n) for n in range(50)] for thread in range(4)]

    def write(messages: list[Message]) -> None:
        for each in messages:
            bench.writer.write([each])

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write, args=(messages,)) for messages in own]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    progress = bench.writer.progress
    assert (progress.messages, progress.samples, dict(progress.dead)) == (200, 200, {"negative": 200})
    assert (bench.blocks.samples, len(bench.letters.records)) == (200, 200)


def test_nothing_dead_and_nothing_stored_are_left_out(bench: Bench) -> None:
    bench.writer.write([message([Row()], 1)])
    bench.writer.write([Message(b"broken", "samples/0/2")])
    assert bench.trail.steps == ["names", "warehouse", "trigger", "dead letters", "warehouse"]


@pytest.mark.parametrize("what", ORDER)
def test_what_is_away_is_tried_until_it_is_back(bench: Bench, what: str) -> None:
    """Invariants 1 and 3: no step is left out, none is overtaken."""
    bench.trail.failures[what] = 3
    bench.writer.write(MIXED)
    at = ORDER.index(what)
    assert bench.trail.steps == [*ORDER[:at], *[f"{what} failed"] * 3, *ORDER[at:]]
    assert bench.writer.progress.retries == 3


def test_each_attempt_has_a_time_of_its_own(bench: Bench) -> None:
    """A row that becomes visible late must not carry the time of the first attempt, or a cut-off would miss it."""
    bench.trail.failures["warehouse"] = 2
    before = bench.clock.micros
    bench.writer.write([message([Row()])])
    assert bench.blocks.stored_at[0] >= before + 3


@pytest.mark.parametrize("what", ["dead letters", "names", "warehouse"])
def test_stopping_gives_up_without_an_answer(bench: Bench, what: str) -> None:
    """Invariant 3: a write that did not succeed raises, so that nothing is acknowledged."""
    bench.trail.failures[what] = 10**9
    threading.Timer(0.05, bench.writer.stop).start()
    with pytest.raises(Stopped, match=what):
        bench.writer.write(MIXED)
    assert bench.blocks.blocks == []


def test_what_is_not_transient_stops_the_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 3."""

    def broken(*_: object) -> None:
        raise Invariant("a checksum is wrong")

    monkeypatch.setattr(bench.blocks, "write", broken)
    with pytest.raises(Invariant):
        bench.writer.write([message([Row()])])
    assert "trigger" not in bench.trail.steps


def test_names_count_as_known_only_once_they_are_durable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise Invariant("killed")

    with monkeypatch.context() as patch:
        patch.setattr(bench.blocks, "announce", broken)
        with pytest.raises(Invariant):
            bench.writer.write([message([Row()])])
    bench.writer.write([message([Row()])])
    bench.writer.write([message([Row()])])
    assert [len(names.resources) for names in bench.blocks.announced] == [1]
    assert [b.names for b in bench.blocks.blocks] == [Names()] * 2, "nothing slows the facts down once they are stamped"


def test_a_large_call_is_written_in_bounded_portions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 5."""
    monkeypatch.setattr("pipeline.metering.portions.__defaults__", (10,))
    bench.writer.write([message([Row(start=T0 + 300 * i) for i in range(6)], s) for s in range(5)])
    assert [len(b.samples["rank"]) for b in bench.blocks.blocks] == [6] * 5


def test_a_bad_descriptor_is_a_letter_that_counts_no_rows(bench: Bench) -> None:
    """Invariant 4, without disturbing invariant 1."""
    bench.writer.refuse(Message(b"{", "resources/0/1"), Poison("bad_descriptor", "not a resource descriptor"))
    (filed,) = bench.letters.records
    assert (filed.letter.key, filed.letter.reason, filed.letter.rows) == ("message resources/0/1", "bad_descriptor", 0)


def test_descriptors_keep_the_newest_name(bench: Bench) -> None:
    bench.trail.failures["names"] = 1
    seen = [Descriptor("vc-1", "vm/1", name, "acme", at) for name, at in (("new", 20), ("old", 10), ("newest", 20))]
    bench.writer.describe(seen)
    bench.writer.describe([])
    assert [list(n.values()) for n in bench.blocks.names] == [[("newest", 20)]]
