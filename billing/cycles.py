"""Billing cycles: when debits are posted. Calendar windows of the account's zone, and never two over the same time."""

from collections.abc import Iterable
from typing import Final

from billing.protocol import Cycle
from schemas import calendar
from schemas.period import Period

SIZES: Final[dict[Cycle, calendar.Size]] = {"hourly": "hour", "daily": "day", "monthly": "month", "yearly": "year"}


def cycle_of(instant: int, cycle: Cycle, zone: str) -> Period:
    """Return the billing cycle that holds an instant (seconds since 1970); raises ValueError for an unknown zone."""
    return calendar.window_of(instant, SIZES[cycle], zone)


def cycles_between(start: int, end: int, cycle: Cycle, zone: str) -> list[Period]:
    """Return every billing cycle that overlaps [start, end), whole, in order."""
    return calendar.windows(Period(start, end), SIZES[cycle], zone)


def cycles_due(start: int, end: int, cycle: Cycle, zone: str, settled: Iterable[Period]) -> list[Period]:
    """Return the cycles to settle between two instants, given those that are settled already.

    A settled cycle stays what it was, also after the account got another cycle or zone: it is returned unchanged, for
    late data. New cycles are cut where they would overlap a settled one, so that no instant is in two cycles and
    nothing is charged twice: an account that moves from daily to monthly in mid-month gets one shorter first month.

    Args:
        start: seconds since 1970; cycles that overlap [start, end) are returned, sorted.
        end: seconds since 1970.
        cycle: the account's present one.
        zone: the account's present one.
        settled: the cycles that have settlements, no two overlapping; any order, repeats allowed.
    """
    asked = Period(start, end)
    taken = sorted(set(settled))
    found = [period for period in taken if period.overlaps(asked)]
    for wanted in cycles_between(start, end, cycle, zone):
        found += _free(wanted, [period for period in taken if period.overlaps(wanted)])
    return sorted(period for period in found if period.overlaps(asked))


def _free(wanted: Period, taken: list[Period]) -> list[Period]:
    """Return the parts of a period that lie outside the taken ones, which are sorted."""
    parts, start = [], wanted.start
    for period in taken:
        if start < period.start:
            parts.append(Period(start, period.start))
        start = max(start, period.end)
    if start < wanted.end:
        parts.append(Period(start, wanted.end))
    return parts
