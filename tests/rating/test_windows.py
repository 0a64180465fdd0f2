"""Windows and segments in five zones over daylight saving; guards invariants 6 and 9."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.catalogue.matching import uncovered
from rating.tariff import Tariffs
from rating.terms import Terms
from rating.windows import Segments, segments, segments_of
from schemas.errors import Invariant
from schemas.period import Period, iso
from tests.rating.helpers import DAY, T0, list_of, price

ZONES = ("Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago")


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["hour", "day", "month"]),
    st.integers(0, 365 * 96),
    st.integers(1, 40 * 96),
    st.lists(st.integers(0, 365 * 96), max_size=6, unique=True),
)
@settings(max_examples=150, deadline=None)
def test_segments_tile_the_windows(zone: str, window: str, start: int, length: int, changes: list[int]) -> None:
    edges = sorted(T0 + 900 * c for c in changes)
    series = [price(f"p{i}", **{"from": iso(a)}, to=iso(b)) for i, (a, b) in enumerate(pairwise(edges))]
    listed = list_of(*(series or [price("p")]), window=window)
    period = Period(T0 + start * 900, T0 + (start + length) * 900)
    found = segments_of(period, listed, zone)
    assert list(found.edges) == sorted(set(found.edges))
    assert found.period.start <= period.start
    assert found.period.end >= period.end
    assert set(Tariffs(listed, Terms()).cuts(found.period)) <= set(found.edges)
    assert len(found) == len(found.edges) - 1
    window_start, window_end, first, last = found.columns()
    assert (first[1:] == last[:-1]).all()
    assert ((window_start <= first) & (last <= window_end)).all()
    for w in found.windows:
        local = datetime.fromtimestamp(w.start, ZoneInfo(zone))
        assert window == "hour" or (local.hour, local.minute) == (0, 0) or zone == "America/Santiago"
        assert window != "month" or local.day == 1


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Prague", "2026-03-29", 23),
        ("Europe/Prague", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kathmandu", "2026-03-29", 24),
        ("America/Santiago", "2026-04-04", 25),
        ("America/Santiago", "2026-09-06", 23),
    ],
)
def test_days_over_daylight_saving(zone: str, day: str, hours: float) -> None:
    noon = int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZoneInfo(zone)).timestamp())
    found = segments_of(Period(noon, noon + 1), list_of(price("p")), zone)
    assert len(found) == 1
    assert found.windows[0].seconds == hours * 3600


def test_nothing_to_rate() -> None:
    empty = segments_of(Period(T0, T0), list_of(price("p")), "UTC")
    assert empty == Segments((), (), ())
    assert [len(c) for c in empty.columns()] == [0, 0, 0, 0]
    with pytest.raises(Invariant, match="empty period"):
        _ = empty.period


def test_windows_must_follow_on_each_other() -> None:
    with pytest.raises(Invariant, match="gap or overlap"):
        segments([Period(0, 900), Period(1800, 2700)], [])


def test_cuts_outside_or_on_edges_change_nothing() -> None:
    windows = [Period(T0, T0 + DAY), Period(T0 + DAY, T0 + 2 * DAY)]
    assert segments(windows, [0, T0, T0 + DAY, T0 + 2 * DAY, T0 + 9 * DAY]).edges == (T0, T0 + DAY, T0 + 2 * DAY)
    cut = segments(windows, [T0 + 900, T0 + DAY + 900])
    assert cut.window_of == (0, 0, 1, 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
@settings(deadline=None)
def test_uncovered_is_the_set_difference(pairs: list[tuple[int, int]]) -> None:
    covers = [Period(min(p), max(p)) for p in pairs]
    left = uncovered(Period(5, 25), covers)
    assert {s for p in left for s in range(p.start, p.end)} == {
        s for s in range(5, 25) if not any(s in c for c in covers)
    }
    assert all(p.seconds for p in left)
