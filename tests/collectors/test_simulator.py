"""The simulator hands out exactly what its script implies, however it is polled and delivered."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.fold import fold_counter
from collectors.interface import Collector, Gap
from collectors.simulator import Disturbed, Fleet, Plan, Simulator, TenantPlan, Weather, build, truth_of
from collectors.simulator.truth import running_total
from schemas.errors import Misconfigured
from schemas.meters import builtin
from schemas.period import SECOND, Period
from tests.collectors.fakes import T0
from tests.collectors.simulated import DAY, END_OF_TIME, Collected, plan

DAY_FLEET = build(plan(1))
RESERVATIONS = {"vm.cpu.reserved", "vm.memory.reserved"}
"""The simulated machines reserve nothing."""


def matches_truth(collected: Collected, fleet: Fleet) -> None:
    truth = truth_of(fleet)
    assert collected.quantities == dict(truth.quantities)
    assert collected.daily == dict(truth.daily)
    assert collected.counts == dict(truth.samples)
    assert len(collected.samples) == truth.samples_total


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_equal_the_truth(seed: int) -> None:
    simulator = Simulator(plan(4, seed), hours_per_poll=7, rows_per_batch=500)
    collected = Collected().add(simulator.poll(END_OF_TIME))
    matches_truth(collected, simulator.fleet)
    assert collected.rows == len(collected.samples)  # in good weather nothing comes twice
    assert simulator.health().samples == collected.rows
    assert simulator.finished


def test_a_month_has_every_built_in_meter() -> None:
    month = Plan(Period(T0, T0 + 31 * DAY))
    seen = {key.meter for key in truth_of(build(month)).quantities}
    assert seen == {meter.key for meter in builtin()} - RESERVATIONS


def test_the_demo_fleet_has_its_size() -> None:
    fleet = build(Plan(Period(T0, T0 + 31 * DAY)))
    assert 10_000_000 < truth_of(fleet).samples_total < 12_000_000
    names = {d.resource for d in fleet.script.sightings if d.kind == "vm"}
    assert len(names) == 20 + 80 + 140


def test_the_poll_length_and_the_batch_size_change_nothing() -> None:
    fleet = build(plan(2))
    seen = [
        Collected().add(Simulator(plan(2), hours_per_poll=h, rows_per_batch=r, fleet=fleet).poll(END_OF_TIME)).samples
        for h, r in ((1, 100), (5, 10**6), (48, 3000))
    ]
    assert seen[0] == seen[1] == seen[2]


def test_a_restart_goes_on_at_the_position() -> None:
    first, second = Simulator(plan(2)), Simulator(plan(2))
    head = list(itertools.islice(first.poll(END_OF_TIME), 3))
    second.resume(head[-1].position)
    matches_truth(Collected().add(head).add(second.poll(END_OF_TIME)), first.fleet)
    with pytest.raises(Misconfigured, match="no instant"):
        second.resume("yesterday")


def test_it_says_nothing_about_the_future() -> None:
    simulator = Simulator(plan(2))
    collected = Collected().add(simulator.poll((T0 + 7 * 3600 + 700) * SECOND))
    assert max(at + 900 for _, _, _, at in collected.samples.values()) <= T0 + 7 * 3600 + 900
    assert not simulator.finished
    collected.add(simulator.poll(END_OF_TIME))
    matches_truth(collected, simulator.fleet)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 0.6), st.floats(0, 0.6), st.booleans())
def test_bad_weather_keeps_identities(seed: int, duplicates: float, late: float, shuffled: bool) -> None:
    simulator = Simulator(plan(1), hours_per_poll=3, rows_per_batch=400, fleet=DAY_FLEET)
    weather = Weather(duplicates, late, shuffled, seed)
    disturbed = Disturbed(simulator, weather)
    assert isinstance(disturbed, Collector)
    matches_truth(Collected().add(disturbed.poll(END_OF_TIME)), simulator.fleet)


def test_bad_weather_holds_the_position_back_with_the_batch() -> None:
    inner = Simulator(plan(2), hours_per_poll=2, rows_per_batch=200)
    polls = list(Disturbed(inner, Weather(late=0.5, seed=3)).poll(END_OF_TIME))
    assert {"", polls[-1].position} < {poll.position for poll in polls}
    for stop in range(1, len(polls)):
        after = Simulator(plan(2), hours_per_poll=2, rows_per_batch=200, fleet=inner.fleet)
        position = next((poll.position for poll in reversed(polls[:stop]) if poll.position), "")
        if stop % 12 == 0:
            after.resume(position)
            matches_truth(Collected().add(polls[:stop]).add(after.poll(END_OF_TIME)), inner.fleet)


def test_an_overlapping_second_collector_changes_nothing() -> None:
    gap = Gap(T0 + 40_000, T0 + 90_100, "host down")
    whole, holey = Simulator(plan(2), name="a"), Simulator(plan(2, gaps=(gap,)), name="b")
    for order in ((whole, holey), (holey, whole)):
        collected = Collected()
        for simulator in order:
            simulator.resume(str(T0))
            collected.add(simulator.poll(END_OF_TIME))
        matches_truth(collected, whole.fleet)


def test_the_same_seed_gives_the_same_fleet_and_a_longer_period_begins_with_it() -> None:
    short, long = build(plan(3)), build(plan(9))
    assert build(plan(3)).script == short.script
    assert build(plan(3, seed=2)).script != short.script
    period = Period(T0, T0 + 3 * DAY)
    assert truth_of(long, period).daily == truth_of(short).daily
    assert truth_of(long, period).samples == truth_of(short).samples


def test_vmotion_and_rename_keep_the_resource() -> None:
    fleet = build(Plan(Period(T0, T0 + 28 * DAY)))
    names: dict[str, set[str]] = {}
    hosts: dict[str, set[str]] = {}
    for seen in fleet.script.sightings:
        if seen.kind == "vm":
            names.setdefault(seen.resource, set()).add(seen.name)
            hosts.setdefault(seen.resource, set()).add(seen.attributes["host"])
    assert max(map(len, names.values())) > 1
    assert max(map(len, hosts.values())) > 2
    metered = {level.series.resource for level in fleet.script.levels if level.series.meter == "vm.running"}
    assert metered <= set(names)


def test_the_counters_behind_the_samples_fold_to_the_same_samples() -> None:
    """Readings as a platform would give them, with their resets, through `fold_counter`: the simulator agrees."""
    fleet = build(Plan(Period(T0, T0 + 28 * DAY), (TenantPlan("birch", 60),)))
    reset = next(r for r in fleet.script.resets if r.series.meter == "net.in.bytes" and r.at % 300)
    flow = next(f for f in fleet.script.flows if f.series == reset.series and f.start < reset.at < f.end)
    first, last = reset.at // 300 * 300 - 3000, reset.at // 300 * 300 + 3000
    at = [second for second in range(first, last + 1, 300) if flow.start <= second <= flow.end]
    readings = [
        running_total(second, flow.rate, flow.phase)
        - (running_total(reset.at, flow.rate, flow.phase) if second >= reset.at else 0)
        for second in at
    ]
    folded = fold_counter(np.zeros(len(at), np.int64), np.array(at), np.array(readings), cell_seconds=300)
    assert folded.resets == 1
    simulator = Simulator(fleet.plan, fleet=fleet, hours_per_poll=24)
    simulator.resume(str(first // 900 * 900))
    seen = Collected().add(simulator.poll((last + 1800) * SECOND)).samples
    cells = zip(folded.cells.cell_start.tolist(), folded.cells.quantity.tolist(), strict=True)
    for cell_start, quantity in cells:
        assert seen[reset.series.resource, reset.series.meter, cell_start][1] == quantity


def test_plans_that_cannot_be_are_refused_with_every_problem() -> None:
    gaps = (Gap(T0 + 50, T0 + 40), Gap(T0, T0 + 10))
    with pytest.raises(Misconfigured) as caught:
        Plan(Period(T0 + 1, T0 + DAY), (TenantPlan("a", 1), TenantPlan("a", -1)), seed=-1, gaps=gaps)
    assert len(caught.value.problems) == 5
