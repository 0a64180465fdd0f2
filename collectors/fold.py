"""From observations to cells: gauges, rates and counters of many series at once, in whole numbers.

A series is one meter of one resource; callers number their series as they like. Observations may come in any order:
every function sorts, and of two observations of one series in one second the greater value counts, so the result is
the same for every permutation and for every repetition.

A collector that folds poll by poll keeps the observations that `needed_later` marks, and folds them together with the
new ones: a cell handed out half known is then handed out again, complete.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from collectors.fold_cut import I64, Cells, cut, gather, split
from schemas.errors import Invariant

__all__ = [
    "ABSENT",
    "CounterFold",
    "amount_of",
    "fold_amounts",
    "fold_counter",
    "fold_gauge",
    "fold_levels",
    "needed_later",
]

ABSENT: Final = -1
"""A gauge's reading that says: gone or unknown from here on. It ends what was carried and covers nothing itself."""


@dataclass(frozen=True, slots=True)
class CounterFold:
    """Cells of counters, and how many resets were seen in them.

    Attributes:
        cells: the increases.
        resets: readings below the one before; after each the new reading counted from 0.
    """

    cells: Cells
    resets: int


def fold_levels(series: I64, start: I64, end: I64, level: I64, cell_seconds: int) -> Cells:
    """Return level × seconds by cell for spans of constant level.

    Args:
        series: shape (n,).
        start: seconds since 1970, shape (n,).
        end: seconds since 1970, excluded, shape (n,).
        level: base units (without their ·s) held all through the span, at least 0.
        cell_seconds: the meter's grid.

    Raises:
        Invariant: spans of one series overlap, which would count seconds twice; or a level is negative.
    """
    _refuse_negative(level, "level")
    _refuse_overlap(series, start, end)
    pieces = cut(start, end, cell_seconds)
    return gather(series[pieces.origin], pieces.cell_start, level[pieces.origin] * pieces.seconds, pieces.seconds)


def fold_gauge(series: I64, at: I64, value: I64, *, until: int, cell_seconds: int, carry_max_seconds: int) -> Cells:
    """Return value × seconds by cell for readings of a level.

    A reading holds until the next one of its series, but no longer than `carry_max_seconds`; what lies beyond is not
    covered. 0 is a reading (covered, quantity 0); `ABSENT` is none.

    Args:
        series: shape (n,).
        at: second of each reading, shape (n,).
        value: the level, or `ABSENT`, shape (n,).
        until: second up to which readings were looked for; nothing is assumed beyond it.
        cell_seconds: the meter's grid.
        carry_max_seconds: the meter's `carry_max`.
    """
    series, at, value = _ordered(series, at, value)
    following = np.full(len(at), until, dtype=np.int64)
    same = series[1:] == series[:-1]
    following[:-1][same] = at[1:][same]
    end = np.minimum(np.minimum(following, at + carry_max_seconds), until)
    held = value >= 0
    return fold_levels(series[held], at[held], end[held], value[held], cell_seconds)


def amount_of(rate: npt.NDArray[np.float64], seconds: I64) -> I64:
    """Return rate × seconds in whole base units, rounded half to even: the one rounding of a mean over an interval.

    Raises:
        Invariant: a rate is negative or no number; collectors must drop such readings and say so.
    """
    if not bool(np.all(np.isfinite(rate) & (rate >= 0))):
        raise Invariant("a rate is negative or not a number; drop it before folding, and report a gap")
    return np.rint(rate * seconds).astype(np.int64)


def fold_amounts(series: I64, start: I64, end: I64, amount: I64, cell_seconds: int) -> Cells:
    """Return amounts known over intervals (rates × seconds, increases) by cell, split in proportion to time.

    The cells of an interval sum to its amount exactly.

    Args:
        series: shape (n,).
        start: seconds since 1970, shape (n,).
        end: seconds since 1970, excluded; later than start, shape (n,).
        amount: whole base units over the interval, at least 0.
        cell_seconds: the meter's grid.

    Raises:
        Invariant: an interval is empty (its amount would vanish), a negative amount, or overlapping intervals.
    """
    _refuse_negative(amount, "amount")
    if bool(np.any(end <= start)):
        raise Invariant("an amount over no time cannot be placed in a cell")
    _refuse_overlap(series, start, end)
    pieces = cut(start, end, cell_seconds)
    parts = split(amount, start, end, pieces)
    return gather(series[pieces.origin], pieces.cell_start, parts, pieces.seconds)


def fold_counter(series: I64, at: I64, reading: I64, *, cell_seconds: int) -> CounterFold:
    """Return the increase of running totals by cell.

    The increase between neighbouring readings is spread over the time between them. A reading below the one before
    is a reset (or a rollover): the counter began again at 0, so the reading itself is the increase. What ran between
    the last reading and the reset is not known and not invented. Negative readings mean "no sample" and are left out.

    Args:
        series: shape (n,).
        at: second of each reading, shape (n,).
        reading: the running total, shape (n,).
        cell_seconds: the meter's grid.
    """
    series, at, reading = _ordered(series, at, reading)
    known = reading >= 0
    series, at, reading = series[known], at[known], reading[known]
    same = series[1:] == series[:-1]
    before, after = reading[:-1][same], reading[1:][same]
    reset = after < before
    increase = np.where(reset, after, after - before)
    cells = fold_amounts(series[1:][same], at[:-1][same], at[1:][same], increase, cell_seconds)
    return CounterFold(cells, int(np.count_nonzero(reset)))


def needed_later(series: I64, at: I64, boundary: int) -> npt.NDArray[np.bool_]:
    """Mark the observations without which cells from `boundary` on could not be folded again.

    These are the ones at or after the boundary (a cell edge), and each series' last one before it.

    Args:
        series: shape (n,), any order.
        at: second of each observation, shape (n,).
        boundary: seconds since 1970.

    A counter's "no sample" readings must be left out before, or they would stand in for the last real one.
    """
    early = at < boundary
    _, group = np.unique(series, return_inverse=True)
    last_early = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).min, dtype=np.int64)
    np.maximum.at(last_early, group[early], at[early])
    marked: npt.NDArray[np.bool_] = ~early | (at == last_early[group])
    return marked


def _ordered(series: I64, at: I64, value: I64) -> tuple[I64, I64, I64]:
    order = np.lexsort((value, at, series))
    series, at, value = series[order], at[order], value[order]
    last = np.ones(len(series), dtype=np.bool_)
    last[:-1] = (series[1:] != series[:-1]) | (at[1:] != at[:-1])
    return series[last], at[last], value[last]


def _refuse_negative(values: I64, what: str) -> None:
    if len(values) and int(values.min()) < 0:
        raise Invariant(f"a {what} is negative ({int(values.min())}); readings are checked before they are folded")


def _refuse_overlap(series: I64, start: I64, end: I64) -> None:
    real = end > start
    series, start, end = series[real], start[real], end[real]
    order = np.lexsort((start, series))
    series, start, end = series[order], start[order], end[order]
    if bool(np.any((series[1:] == series[:-1]) & (start[1:] < end[:-1]))):
        raise Invariant("intervals of one series overlap: their seconds would count twice")
