"""The weekly rhythm of everything that flows: piecewise constant by the hour, so its running total is exact."""

from typing import Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

MONDAY: Final = 1_704_067_200
"""2024-01-01T00:00:00Z, a Monday: weeks are counted from here; earlier instants work too."""
HOURS_IN_WEEK: Final = 168
WEEK_SECONDS: Final = HOURS_IN_WEEK * 3600
SCALE: Final = 1000
_DAY: Final = (300, 250, 220, 200, 200, 250, 420, 800, 1350, 1750, 1900, 1850)
_EVENING: Final = (1600, 1750, 1850, 1800, 1650, 1450, 1300, 1250, 1200, 1000, 700, 450)
_WORKDAY: Final = _DAY + _EVENING
_FREE_DAY: Final = tuple(weight * 2 // 5 + 60 for weight in _WORKDAY)
WEIGHTS: Final = _WORKDAY * 5 + _FREE_DAY * 2
"""Thousandths of the average rate, for each hour from Monday 00:00 UTC."""

_weights: Final = np.array(WEIGHTS, dtype=np.int64)
_before: Final = np.concatenate(([0], np.cumsum(_weights)))[:-1] * 3600
_week: Final = int(_weights.sum()) * 3600


def running_total(at: I64, rate: I64, phase: I64) -> I64:
    """Return the running total of flows at instants; all arrays of one shape.

    Args:
        at: seconds since 1970.
        rate: base units a second, below 10^7 (a century of it stays below 2^63).
        phase: hours by which the rhythm comes earlier, 0 … 23.
    """
    hours, seconds = np.divmod(at - MONDAY, 3600)
    weeks, hour = np.divmod(hours + phase, HOURS_IN_WEEK)
    total: I64 = rate * (weeks * _week + _before[hour] + _weights[hour] * seconds) // SCALE
    return total
