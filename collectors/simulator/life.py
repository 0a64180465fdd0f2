"""When a simulated VM exists and runs: creation, deletion, power cycles, office hours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from collectors.simulator.plan import EVENT_SECONDS
from schemas.period import Period

DAY: Final = 86400
HOUR: Final = 3600
_MONDAY: Final = 4 * DAY  # 1970-01-05

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Life:
    """A VM's existence and running time, seconds since 1970.

    Attributes:
        exists: from creation to deletion.
        runs: spans in which it is powered on, in order, apart, within `exists`.
        is_new: created within the period, rather than found at its start.
    """

    exists: Span
    runs: tuple[Span, ...]
    is_new: bool


def life_of(period: Period, rng: np.random.Generator) -> Life:
    """Draw a life; the draws do not depend on the period's end."""
    is_new = rng.random() < 0.2
    created = period.start + int(rng.integers(EVENT_SECONDS)) if is_new else period.start
    lives_for = int(rng.integers(2 * DAY, EVENT_SECONDS))
    deleted = created + lives_for if rng.random() < 0.12 else period.end
    habit = rng.random()
    pauses = sorted(
        (created + int(at), int(length))
        for at, length in zip(rng.integers(EVENT_SECONDS, size=3), rng.integers(60, 900, size=3), strict=True)
    )
    pause_count, wakes, works = int(rng.integers(4)), int(rng.integers(6 * HOUR, 9 * HOUR)), int(rng.integers(8, 13))
    exists = (min(created, period.end), min(deleted, period.end))
    if habit < 0.62:
        runs = _without(exists, [(at, at + length) for at, length in pauses[:pause_count]])
    elif habit < 0.92:
        runs = _daily(exists, wakes, works * HOUR + wakes % 977, workdays_only=True)
    else:
        runs = _daily(exists, wakes // 3, 5 * HOUR + wakes % 577, workdays_only=False)
    return Life(exists, tuple(runs), is_new and created < period.end)


def during(runs: tuple[Span, ...], span: Span) -> list[Span]:
    """Return the parts of the running time that lie within a span."""
    return [(max(start, span[0]), min(end, span[1])) for start, end in runs if start < span[1] and end > span[0]]


def _without(exists: Span, pauses: list[Span]) -> list[Span]:
    runs, start = [], exists[0]
    for off, on in pauses:
        if off > start:
            runs.append((start, off))
        start = max(start, on)
    runs.append((start, exists[1]))
    return [(a, min(b, exists[1])) for a, b in runs if a < min(b, exists[1])]


def _daily(exists: Span, wakes: int, works: int, *, workdays_only: bool) -> list[Span]:
    days = range(exists[0] // DAY - 1, exists[1] // DAY + 1)
    begins = [day * DAY + wakes for day in days if not workdays_only or (day * DAY - _MONDAY) // DAY % 7 < 5]
    return during(tuple((begin, begin + works) for begin in begins), exists)
