"""Calendar windows: every instant in exactly one window of each size (invariant 6), in every zone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import calendar
from schemas.calendar import Size, window_of, windows
from schemas.period import Period, parse_instant

ZONES = [
    "UTC",
    "Europe/Prague",
    "America/New_York",
    "America/St_Johns",  # until 2011 its clocks changed at 00:01, so that midnight came twice
    "America/Sao_Paulo",  # until 2018 clocks jumped over midnight
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Apia",  # had no 2011-12-30
    "Pacific/Chatham",
]
SIZES: list[Size] = ["hour", "day", "month", "year"]
INSTANTS = st.integers(parse_instant("1990-01-01T00:00:00Z"), parse_instant("2040-01-01T00:00:00Z"))


def period(start: str, end: str) -> Period:
    return Period(parse_instant(start), parse_instant(end))


@given(st.sampled_from(ZONES), st.sampled_from(SIZES), INSTANTS, st.integers(1, 5_000_000))
def test_windows_cover_without_gap_or_overlap(zone: str, size: Size, start: int, seconds: int) -> None:
    asked = Period(start, start + min(seconds, 300_000 if size == "hour" else seconds))
    found = windows(asked, size, zone)
    assert found[0].start <= asked.start < found[0].end
    assert found[-1].start < asked.end <= found[-1].end
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(window.seconds > 0 for window in found)


@given(st.sampled_from(ZONES), st.sampled_from(SIZES), INSTANTS)
def test_a_window_is_the_same_however_it_is_asked_for(zone: str, size: Size, instant: int) -> None:
    window = window_of(instant, size, zone)
    assert instant in window
    assert windows(window, size, zone) == [window]
    assert window_of(window.start, size, zone) == window
    assert window_of(window.end - 1, size, zone) == window
    assert window_of(window.end, size, zone).start == window.end


@given(st.sampled_from(ZONES), INSTANTS)
def test_windows_nest(zone: str, instant: int) -> None:
    for small, large in pairwise(SIZES[:3]):
        outer = window_of(instant, large, zone)
        inner = windows(outer, small, zone)
        assert (inner[0].start, inner[-1].end) == (outer.start, outer.end)
    month, year = window_of(instant, "month", zone), window_of(instant, "year", zone)
    assert year.start <= month.start < month.end <= year.end


@pytest.mark.parametrize(
    ("zone", "start", "end", "hours"),
    [
        ("Europe/Prague", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23),
        ("Europe/Prague", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
        ("America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00", 23),
        ("Asia/Kathmandu", "2026-10-01T00:00:00+05:45", "2026-10-02T00:00:00+05:45", 24),
        ("America/St_Johns", "2010-11-07T00:00:00-02:30", "2010-11-08T00:00:00-03:30", 25),
        ("Pacific/Apia", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", 24),
    ],
)
def test_days_where_clocks_change(zone: str, start: str, end: str, hours: int) -> None:
    day = period(start, end)
    assert calendar.days(day, zone) == [day]
    assert [hour.seconds for hour in calendar.hours(day, zone)] == [3600] * hours


@pytest.mark.parametrize(
    ("start", "seconds"), [("2026-10-04T00:00:00+10:30", 84_600), ("2026-04-05T00:00:00+11:00", 88_200)]
)
def test_lord_howe_ends_its_odd_days_with_half_an_hour(start: str, seconds: int) -> None:
    day = window_of(parse_instant(start), "day", "Australia/Lord_Howe")
    assert (day.start, day.seconds) == (parse_instant(start), seconds)
    assert [hour.seconds for hour in calendar.hours(day, "Australia/Lord_Howe")] == [3600] * (seconds // 3600) + [1800]


def test_months_and_years() -> None:
    year = period("2028-01-01T00:00:00+01:00", "2029-01-01T00:00:00+01:00")
    assert calendar.years(year, "Europe/Prague") == [year]
    months = calendar.months(year, "Europe/Prague")
    assert [m.seconds // 3600 for m in months] == [744, 696, 743, 720, 744, 720, 744, 744, 720, 745, 720, 744]
    assert sum(m.seconds for m in months) == year.seconds


def test_edges_of_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert windows(Period(5, 5), "day", "UTC") == []
    assert calendar.hours(Period(3599, 3601), "UTC") == [Period(0, 3600), Period(3600, 7200)]
    with pytest.raises(ValueError, match="IANA"):
        windows(Period(0, 1), "day", "Mars/Olympus")
    monkeypatch.setattr(calendar, "WINDOWS_MAX", 48)
    assert len(windows(Period(0, 2 * 86_400), "hour", "UTC")) == 48
    for size in ("hour", "day"):
        with pytest.raises(ValueError, match="shorter"):
            windows(Period(0, 49 * 86_400), size, "UTC")
