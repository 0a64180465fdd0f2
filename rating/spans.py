"""Lengths of the calendar that amounts depend on: months of a unit, and which part of a window is due."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np

from rating.charge import Settings
from rating.rows import I64, distinct_rows
from rating.terms import Terms
from rating.windows import Segments
from schemas import calendar
from schemas.calendar import Size
from schemas.period import Period

HOUR_SECONDS = 3600
MONTHS_IN_YEAR = 12


def span_seconds(span: Literal["month", "year"] | None, instant: int, settings: Settings, zone: str) -> Fraction:
    """Return the seconds of the month or year that a unit such as GiB·month counts; 0 for other units."""
    if span is None:
        return Fraction(0)
    hours = settings.month_hours
    if span == "year":
        months = None if settings.real_year or hours is None else hours * MONTHS_IN_YEAR
        hours = months if settings.year_hours is None else settings.year_hours
    return Fraction(calendar.window_of(instant, span, zone).seconds) if hours is None else hours * HOUR_SECONDS


def window_seconds(instant: int, size: Size, zone: str) -> int:
    """Return the seconds of the calendar window that holds an instant."""
    return calendar.window_of(instant, size, zone).seconds


@dataclass(frozen=True)
class Due:
    """Which part of a window is due: `seconds` ÷ `of`, shape (n,) each; days ÷ days where prorated by the day."""

    seconds: I64
    of: I64


def due(segments: Segments, window: I64, begin: I64, until: I64, terms: Terms, rule: str) -> Due:
    """Return how much of each part's evaluation window lies between two instants, while the account is active.

    Args:
        segments: the grid.
        window: position of each part's window, shape (n,).
        begin: first instant that counts, shape (n,).
        until: end of what counts, shape (n,).
        terms: when the account is a customer, and its zone.
        rule: the setting `prorate`.
    """
    code, sample = distinct_rows(window, begin, until)
    active = terms.active
    counted = []
    for place in sample.tolist():
        start = max(int(begin[place]), active.start)
        inside = Period(start, max(start, min(int(until[place]), active.end)))
        counted.append(share_due(segments.spans[int(window[place])], inside, rule, terms.zone))
    found = np.array(counted, np.int64).reshape(-1, 2)[code]
    return Due(found[:, 0], found[:, 1])


@lru_cache(maxsize=1 << 14)
def share_due(span: Period, inside: Period, rule: str, zone: str) -> tuple[int, int]:
    """Return how much of a window a part of it is due for, as numerator and denominator, by the setting `prorate`."""
    if inside.start >= inside.end:
        return 0, 1
    if rule == "none":
        return 1, 1
    if rule == "second":
        return inside.seconds, span.seconds
    return len(calendar.days(inside, zone)), len(calendar.days(span, zone))


def seconds_of_spans(segments: Segments) -> I64:
    """Return the seconds of each window's evaluation window."""
    starts, ends = [s.start for s in segments.spans], [s.end for s in segments.spans]
    return np.array(ends, np.int64) - np.array(starts, np.int64)
