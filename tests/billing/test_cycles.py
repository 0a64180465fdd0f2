"""Billing cycles and the life of a window."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cycles import cycle_of, cycles_between, cycles_due
from billing.protocol import CYCLES, Cycle
from billing.window_life import STATES, closes_at, state_of
from schemas.period import Period, parse_instant

OCTOBER = Period(parse_instant("2026-10-01T00:00:00+02:00"), parse_instant("2026-11-01T00:00:00+01:00"))
ZONES = st.sampled_from(["UTC", "Europe/Prague", "Asia/Kathmandu", "Australia/Lord_Howe"])


def test_cycles_follow_the_accounts_calendar() -> None:
    assert cycle_of(OCTOBER.start, "monthly", "Europe/Prague") == OCTOBER
    sizes = {cycle: len(cycles_between(OCTOBER.start, OCTOBER.end, cycle, "Europe/Prague")) for cycle in CYCLES}
    assert sizes == {"hourly": 31 * 24 + 1, "daily": 31, "monthly": 1, "yearly": 1}


def test_a_change_of_cycle_charges_no_time_twice() -> None:
    days = cycles_between(OCTOBER.start, OCTOBER.end, "daily", "Europe/Prague")
    settled = days[:10]
    rest = Period(days[9].end, OCTOBER.end)
    assert cycles_due(OCTOBER.start, OCTOBER.end, "monthly", "Europe/Prague", settled) == [*settled, rest]
    assert cycles_due(OCTOBER.start, OCTOBER.end, "daily", "UTC", [OCTOBER]) == [OCTOBER]


@given(
    ZONES,
    st.sampled_from(CYCLES[1:]),
    st.sampled_from(CYCLES[1:]),
    ZONES,
    st.integers(0, 40 * 86_400),
    st.integers(1, 70 * 86_400),
    st.data(),
)
def test_due_cycles_cover_time_once(
    zone: str, before: Cycle, after: Cycle, new_zone: str, offset: int, seconds: int, data: st.DataObject
) -> None:
    start = OCTOBER.start + offset
    candidates = cycles_between(OCTOBER.start, OCTOBER.end, before, zone)
    settled = data.draw(st.lists(st.sampled_from(candidates), max_size=5))
    due = cycles_due(start, start + seconds, after, new_zone, settled)
    assert all(first.end == second.start for first, second in pairwise(due))
    assert due[0].start <= start
    assert due[-1].end >= start + seconds
    assert {period for period in settled if period.overlaps(Period(start, start + seconds))} <= set(due)


@given(st.integers(0, 1000), st.integers(0, 100), st.lists(st.integers(0, 2000), min_size=2), st.integers(0, 2000))
def test_a_window_only_moves_forward(end: int, grace: int, clock: list[int], settled_at: int) -> None:
    settled_at = max(settled_at, closes_at(end, grace))
    states = [state_of(end, now, grace, settled=now >= settled_at) for now in sorted(clock)]
    order = [STATES.index(state) for state in states]
    assert order == sorted(order)


def test_states_change_at_their_second() -> None:
    assert [state_of(100, now, 10, settled=False) for now in (99, 100, 109, 110)] == [
        "open",
        "grace",
        "grace",
        "closed",
    ]
    assert state_of(100, 100, 0, settled=False) == "closed"
    assert state_of(100, 500, 10, settled=True) == "settled"
    with pytest.raises(ValueError, match="negative"):
        closes_at(0, -1)
