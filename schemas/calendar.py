"""Calendar windows in an account's time zone: the one place that knows where hours, days, months and years begin.

- A **day** starts at the first instant whose local time is midnight or, where the clock jumps over midnight, at the
  jump. So a day has 23, 24, 25 hours, 23½ or 24½ (Lord Howe), and a day that the zone skipped has no window at all.
- **Months, quarters, half years and years** start with their first day, **weeks** with their Monday.
- **Hours** divide each local day in steps of 3600 s from the day's start, so hours nest in days in every zone, also at
  +05:45. Where a day is no whole number of hours long its last hour is the shorter one.

Windows are half-open, never empty, and the windows of one size cover time without gap or overlap.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from schemas.period import Period, iso

Size = Literal["hour", "day", "week", "month", "quarter", "half_year", "year"]
SIZES: Final[tuple[Size, ...]] = ("hour", "day", "week", "month", "quarter", "half_year", "year")
"""From the shortest to the longest. All but weeks nest in the longer ones."""
HOUR_SECONDS: Final = 3600
WINDOWS_MAX: Final = 1_000_000
"""Most windows of one answer: 114 years of hours. More is a mistake in the question."""
_STARTS_CACHED: Final = 1 << 16
_MONTHS: Final = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def zone_of(zone: str) -> ZoneInfo:
    """Return the zone of an IANA name; raises ValueError for an unknown one."""
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{zone!r} is not an IANA time zone, such as Europe/Prague or UTC") from error


def hours(period: Period, zone: str) -> list[Period]:
    """Return every hour of the zone that overlaps the period, in order."""
    found: list[Period] = []
    for day in _overlapping(period, "day", zone):
        skipped = max(0, period.start - day.start) // HOUR_SECONDS
        first = day.start + skipped * HOUR_SECONDS
        last = min(day.end, period.end)
        found += [Period(at, min(at + HOUR_SECONDS, day.end)) for at in range(first, last, HOUR_SECONDS)]
        _check_count(len(found), period)
    return found


def days(period: Period, zone: str) -> list[Period]:
    """Return every day of the zone that overlaps the period, in order."""
    return _overlapping(period, "day", zone)


def months(period: Period, zone: str) -> list[Period]:
    """Return every month of the zone that overlaps the period, in order."""
    return _overlapping(period, "month", zone)


def years(period: Period, zone: str) -> list[Period]:
    """Return every year of the zone that overlaps the period, in order."""
    return _overlapping(period, "year", zone)


def windows(period: Period, size: Size, zone: str) -> list[Period]:
    """Return every window of a size that overlaps the period, in order.

    An empty period overlaps nothing.

    Raises:
        ValueError: an unknown zone, or more than WINDOWS_MAX windows.
    """
    return hours(period, zone) if size == "hour" else _overlapping(period, size, zone)


def window_of(instant: int, size: Size, zone: str) -> Period:
    """Return the window of a size that holds the instant (seconds since 1970)."""
    return windows(Period(instant, instant + 1), size, zone)[0]


def _overlapping(period: Period, size: Size, zone: str) -> list[Period]:
    zone_of(zone)
    found: list[Period] = []
    if period.start == period.end:
        return found
    starts = _starts(period.start, size, zone)
    start = next(starts)
    for end in starts:
        if start >= period.end:
            break
        if end > start and end > period.start:
            found.append(Period(start, end))
            _check_count(len(found), period)
        start = end
    return found


def _starts(instant: int, size: Size, zone: str) -> Iterator[int]:
    """Yield the starts of successive windows, beginning at or before the window that holds the instant."""
    local = datetime.fromtimestamp(instant, zone_of(zone)).date()
    # One day back: where a clock returns over midnight, the local date can be ahead of the day the instant belongs to.
    first = local - timedelta(days=1)
    if size == "day":
        while True:
            yield _start_of(zone, first)
            first += timedelta(days=1)
    if size == "week":
        first -= timedelta(days=first.weekday())
        while True:
            yield _start_of(zone, first)
            first += timedelta(days=7)
    months_each = _MONTHS[size]
    first = first.replace(month=(first.month - 1) // months_each * months_each + 1, day=1)
    while True:
        yield _start_of(zone, first)
        following = first.year * 12 + first.month - 1 + months_each
        first = date(following // 12, following % 12 + 1, 1)


@lru_cache(maxsize=_STARTS_CACHED)
def _start_of(zone: str, day: date) -> int:
    """Return the first second of a local date."""
    tz = zone_of(zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=tz)
    earliest = int(midnight.timestamp())
    if _local(earliest, tz) == midnight.replace(tzinfo=None):
        return earliest
    # The clock jumps over midnight. With fold=1 the zone's later offset is taken, which gives an instant before the
    # jump, with fold=0 one at or after it; the jump itself lies between.
    before, after = int(midnight.replace(fold=1).timestamp()), earliest
    while before < after:
        middle = (before + after) // 2
        if _local(middle, tz) < midnight.replace(tzinfo=None):
            before = middle + 1
        else:
            after = middle
    return after


def _local(instant: int, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant, UTC).astimezone(tz).replace(tzinfo=None, fold=0)


def _check_count(count: int, period: Period) -> None:
    if count > WINDOWS_MAX:
        raise ValueError(
            f"more than {WINDOWS_MAX} windows between {iso(period.start)} and {iso(period.end)}: ask for a shorter time"
        )
