"""Schedules: slots follow from time alone, and missed slots make one run."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.schedule import Schedule, Ticker
from schemas.errors import Misconfigured
from schemas.period import SECOND
from tests.collectors.fakes import T0, FakeClock


@settings(deadline=None)
@given(st.integers(1, 3600), st.data())
def test_each_slot_has_one_run_within_its_jitter(interval: int, data: st.DataObject) -> None:
    jitter = data.draw(st.integers(0, interval - 1))
    schedule = Schedule(interval, jitter, seed="c1")
    now = data.draw(st.integers(T0, T0 + 10**6)) * SECOND
    run = schedule.next_run(now)
    for _ in range(5):
        following = schedule.next_run(run)
        assert following > run > now
        slot = run // SECOND // interval
        assert 0 <= run - slot * interval * SECOND < max(1, jitter * SECOND)
        assert following // (interval * SECOND) == slot + 1
        assert schedule.next_run(following - 1) == following
        run = following


def test_seeds_spread_collectors() -> None:
    runs = {Schedule(300, 200, seed=f"c{k}").next_run(T0 * SECOND) for k in range(50)}
    assert len(runs) == 50


def test_a_sleep_is_caught_up_with_one_run() -> None:
    clock = FakeClock(T0 + 10)
    ticker = Ticker(Schedule(60), clock)
    assert ticker.wait_seconds() == 0  # at once after the start
    ticker.started()
    assert ticker.wait_seconds() == 50
    clock.move(10 * 3600)
    assert ticker.wait_seconds() == 0
    ticker.started()
    assert ticker.wait_seconds() == 50


def test_a_clock_set_back_does_not_stop_the_schedule() -> None:
    clock = FakeClock(T0)
    ticker = Ticker(Schedule(60), clock, at_once=False)
    clock.move(-86400)
    assert ticker.wait_seconds() <= 60


def test_impossible_schedules_are_refused_with_every_problem() -> None:
    with pytest.raises(Misconfigured) as caught:
        Schedule(0, 5)
    assert len(caught.value.problems) == 2
