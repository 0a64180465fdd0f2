"""The live stream: partial cells that grow, restarts that leave no mark, the month before going on."""

from collectors.simulator import LiveSimulator, SimulatedTime, Simulator, build, truth_of
from schemas.period import SECOND, Period
from tests.collectors.fakes import T0
from tests.collectors.simulated import DAY, END_OF_TIME, Collected, plan

PLAN = plan(3)
FLEET = build(PLAN)


def live(since: int = T0, **more: object) -> LiveSimulator:
    return LiveSimulator(PLAN, since, fleet=FLEET, **more)  # type: ignore[arg-type]


def test_cells_grow_and_end_complete() -> None:
    stream, collected = live(), Collected()
    covered = []
    for second in (10, 11, 60, 299, 301, 899, 905, 1800):
        collected.add(stream.poll((T0 + second) * SECOND))
        cell = max(c for c, _, key, at in collected.samples.values() if key.meter == "vm.running" and at == T0)
        covered.append(cell)
    assert covered == [10, 11, 60, 299, 300, 300, 300, 300]
    truth = truth_of(FLEET, Period(T0, T0 + 1800))
    assert collected.quantities == dict(truth.quantities)
    assert collected.counts == dict(truth.samples)


def test_a_restart_in_mid_cell_leaves_no_mark() -> None:
    steady, broken = live(), live()
    a, b = Collected(), Collected()
    for step in range(0, 2700, 45):
        now = (T0 + step) * SECOND
        a.add(steady.poll(now))
        portions = list(broken.poll(now))
        b.add(portions)
        if step % 180 == 0:
            position = portions[-1].position if portions else ""
            broken = live()
            broken.resume(position)
    assert a.samples == b.samples


def test_any_rhythm_of_polls_ends_in_the_same_samples() -> None:
    fine, coarse = live(), live()
    a, b = Collected(), Collected()
    for step in range(0, 5 * 3600 + 1, 600):
        a.add(fine.poll((T0 + step) * SECOND))
    b.add(coarse.poll((T0 + 5 * 3600) * SECOND))
    assert a.samples == b.samples


def test_it_goes_on_from_the_simulated_month() -> None:
    month = Simulator(plan(2))
    collected = Collected().add(month.poll(END_OF_TIME))
    stream = live(T0 + 2 * DAY)
    collected.add(stream.poll((T0 + 3 * DAY) * SECOND))
    truth = truth_of(FLEET)
    assert collected.quantities == dict(truth.quantities)
    assert collected.counts == dict(truth.samples)


def test_simulated_time_can_run_faster() -> None:
    time = SimulatedTime(anchor=77 * SECOND, origin=T0 + 100, factor=60)
    stream = live(T0 + 100, time=time)
    polls = list(stream.poll(79 * SECOND + SECOND // 2))
    assert polls[-1].position == str(T0 + 100 + 150)
    assert list(stream.poll(70 * SECOND)) == []  # a clock set back makes nothing twice
    assert stream.health().lag_seconds == 0
