"""Gaps: measured meters lose what was not seen, carried ones assume no change up to their limit; both say so."""

from collectors.interface import Gap
from collectors.simulator import Simulator, TruthKey, truth_of
from collectors.simulator.known import known_script
from collectors.simulator.script import Flow, Level, Reset, Script, Series
from schemas.meters import builtin
from tests.collectors.fakes import T0
from tests.collectors.simulated import END_OF_TIME, Collected, plan

GAP = Gap(T0 + 36_100, T0 + 36_100 + 7_200, "collector down")
MEMORY = Series("vm/a", "vm.memory", "acme", "{}")
BYTES = Series("vm/a", "net.in.bytes", "acme", "{}")


def levels(*spans: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    script = Script(levels=[Level(MEMORY, T0 + a, T0 + b, value) for a, b, value in spans])
    gap = Gap(T0 + 1000, T0 + 6000)
    known = known_script(script, builtin(), (gap,)).levels
    return sorted((level.start - T0, level.end - T0, level.value) for level in known)


def test_a_level_is_carried_an_hour_and_no_further() -> None:
    assert levels((0, 9000, 4)) == [(0, 1000, 4), (1000, 4600, 4), (6000, 9000, 4)]


def test_a_change_within_a_gap_shows_at_its_end() -> None:
    assert levels((0, 2000, 4), (2000, 9000, 8)) == [(0, 1000, 4), (1000, 4600, 4), (6000, 9000, 8)]


def test_what_begins_or_was_off_within_a_gap_is_not_carried() -> None:
    assert levels((0, 900, 4), (2000, 9000, 8)) == [(0, 900, 4), (6000, 9000, 8)]
    assert levels((1000, 5000, 4)) == []


def test_flows_and_resets_within_a_gap_are_not_known() -> None:
    script = Script(flows=[Flow(BYTES, T0, T0 + 9000, 5, 0)], resets=[Reset(BYTES, T0 + 2000), Reset(BYTES, T0 + 7000)])
    known = known_script(script, builtin(), (Gap(T0 + 1000, T0 + 6000),))
    assert [(flow.start - T0, flow.end - T0) for flow in known.flows] == [(0, 1000), (6000, 9000)]
    assert [reset.at - T0 for reset in known.resets] == [7000]


def test_collected_equals_truth_and_coverage_shows_the_gap() -> None:
    simulator = Simulator(plan(2, gaps=(GAP,)), hours_per_poll=5)
    collected = Collected().add(simulator.poll(END_OF_TIME))
    truth = truth_of(simulator.fleet)
    assert collected.quantities == dict(truth.quantities)
    assert collected.counts == dict(truth.samples)
    assert [gap.reason for gap in simulator.health().gaps] == ["collector down"]
    assert simulator.health().gap_seconds == 7200
    seen = collected.samples.values()
    short = {(key.meter, at, covered) for covered, _, key, at in seen if covered not in (1, 300, 900)}
    first, last = GAP.start // 300 * 300, GAP.end // 300 * 300
    carried_to = GAP.start + 3600
    assert ("net.in.bytes", first, 100) in short
    assert ("net.in.bytes", last, 200) in short
    assert ("vm.running", carried_to // 300 * 300, 100) in short
    assert {meter for meter, _, _ in short if meter.startswith(("disk.capacity", "ip."))} == set()  # carried a day
    starts = {at for _, _, key, at in seen if key.meter == "net.in.bytes"}
    assert not {at for at in starts if GAP.start <= at < last}


def test_a_gap_makes_less_and_never_more_of_what_is_measured() -> None:
    whole, holey = truth_of(Simulator(plan(2)).fleet), truth_of(Simulator(plan(2, gaps=(GAP,))).fleet)
    measured = [key for key in whole.quantities if key.meter in ("net.in.bytes", "vm.cpu.used")]
    assert measured
    assert all(holey.quantities[TruthKey(*key)] < whole.quantities[key] for key in measured)
