"""Exact money arithmetic on columns: one multiplication, one division, one rounding, and no overflow that goes unseen.

The amount of a row is ``round(quantity × numerator / denominator)`` in a stated mode. Rows whose numbers provably fit
signed 64-bit integers take the fast path; the others are computed with Python's integers, which have no bound. An
amount that fits no line is refused, never wrapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from schemas.errors import Invariant, Poison

I64 = npt.NDArray[np.int64]
Mode = Literal["half_even", "half_up", "half_down", "up", "down", "ceiling", "floor"]
"""half_even, half_up, half_down: to the nearest, and a tie to the even digit, away from zero, towards zero. up: away
from zero. down: towards zero. These are symmetric, so that a credit rounds as the charge it takes back. ceiling goes
to plus, floor to minus infinity."""

INT64_MAX: Final = 2**63 - 1
MICRO_DIGITS: Final = 6
_SUM_ROWS: Final = 1 << 30
"""Rows of one partial sum: 2^30 halves below 2^32 stay below 2^62."""
_LOW: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one base unit costs, as an exact fraction of rounding steps.

    Attributes:
        numerator: zero or more.
        denominator: one or more.
    """

    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Ratios of many prices in columns, each with the largest quantity it can take in 64 bits.

    Attributes:
        ratios: the exact fractions, by position.
        step: micro-units in one rounding step.
        numerators: int64, 1 where the ratio itself does not fit.
        denominators: likewise.
        limits: int64; |quantity| up to this one stays in range at every step; -1: none does.
    """

    ratios: tuple[Ratio, ...]
    step: int
    numerators: I64
    denominators: I64
    limits: I64


def rates_of(ratios: Sequence[Ratio], digits: int) -> Rates:
    """Return the columns of ratios that yield rounding steps of `digits` decimal digits (0 to 6)."""
    step = 10 ** (MICRO_DIGITS - digits)
    limits = [_limit(ratio, step) for ratio in ratios]
    fitting = [r if limit >= 0 else Ratio(1, 1) for r, limit in zip(ratios, limits, strict=True)]
    return Rates(
        tuple(ratios),
        step,
        np.array([r.numerator for r in fitting], dtype=np.int64),
        np.array([r.denominator for r in fitting], dtype=np.int64),
        np.array(limits, dtype=np.int64),
    )


def _limit(ratio: Ratio, step: int) -> int:
    if max(ratio.numerator, ratio.denominator) > INT64_MAX:
        return -1
    if ratio.numerator == 0:
        return INT64_MAX
    # q·n ≤ MAX keeps the product, (q·n/d + 1)·step ≤ MAX keeps the rounded result.
    return min(INT64_MAX // ratio.numerator, (INT64_MAX // step - 1) * ratio.denominator // ratio.numerator)


def amounts(quantity: I64, price: npt.NDArray[np.integer], rates: Rates, mode: Mode) -> I64:
    """Return the amount of each row in micro-units.

    Args:
        quantity: base units, any sign.
        price: position of each row's price in `rates`.
        rates: the prices.
        mode: how the one rounding is done.

    Raises:
        Poison: ``amount_too_large``, an amount beyond 2^63 - 1 micro-units.
    """
    limit = rates.limits[price]
    fits = (quantity <= limit) & (quantity >= -limit)
    if fits.all():
        return _narrow(quantity, rates.numerators[price], rates.denominators[price], rates.step, mode)
    result = np.zeros(len(quantity), dtype=np.int64)
    result[fits] = _narrow(
        quantity[fits], rates.numerators[price[fits]], rates.denominators[price[fits]], rates.step, mode
    )
    wide = np.flatnonzero(~fits)
    result[wide] = [
        _wide(q, rates.ratios[p], rates.step, mode)
        for q, p in zip(quantity[wide].tolist(), price[wide].tolist(), strict=True)
    ]
    return result


def _narrow(quantity: I64, numerator: I64, denominator: I64, step: int, mode: Mode) -> I64:
    quotient = divided(quantity * numerator, denominator, mode)
    return quotient * step if step != 1 else quotient


def divided(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any] | int, mode: Mode) -> npt.NDArray[Any]:
    """Return each fraction rounded to a whole number.

    Args:
        numerator: int64 whose absolute values stay below 2^63, or Python integers (dtype object) of any size.
        denominator: one or more each; of the same kind, or one number for all.
        mode: how.
    """
    negative = numerator < 0
    some = bool(negative.any())
    size = np.abs(numerator) if some else numerator
    quotient = size // denominator
    if mode != "down":
        below = size - quotient * denominator
        quotient = quotient + _rounds_up(quotient, below, denominator - below, mode, negative)
    return np.where(negative, -quotient, quotient) if some else quotient


def _rounds_up(
    quotient: npt.NDArray[Any], below: npt.NDArray[Any], above: npt.NDArray[Any], mode: Mode, negative: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Tell which rows go to the next step; `below` and `above` are the distances to both, in denominators."""
    if mode == "half_even":
        return (below > above) | ((below == above) & ((quotient & 1) == 1))
    if mode in ("half_up", "half_down"):
        return below >= above if mode == "half_up" else below > above
    if mode == "up":
        return below > 0
    return (below > 0) & (negative if mode == "floor" else ~negative.astype(np.bool_))


def _wide(quantity: int, ratio: Ratio, step: int, mode: Mode) -> int:
    amount = rounded(quantity * ratio.numerator, ratio.denominator, mode) * step
    if abs(amount) > INT64_MAX:
        raise Poison(
            "amount_too_large",
            f"{quantity} base units × {ratio.numerator}/{ratio.denominator} make {amount} micro-units; "
            f"a line holds at most {INT64_MAX}: check the price's amount and unit",
        )
    return amount


def rounded(numerator: int, denominator: int, mode: Mode) -> int:
    """Return the fraction rounded to a whole number; the scalar form of the same modes."""
    quotient, remainder = divmod(abs(numerator), denominator)
    double = 2 * remainder
    goes_up = {
        "half_even": double > denominator or (double == denominator and quotient % 2 == 1),
        "half_up": double >= denominator,
        "half_down": double > denominator,
        "up": remainder > 0,
        "down": False,
        "ceiling": remainder > 0 and numerator > 0,
        "floor": remainder > 0 and numerator < 0,
    }[mode]
    whole = quotient + goes_up
    return -whole if numerator < 0 else whole


def total(values: I64) -> int:
    """Return the sum of a column as a Python integer; it cannot overflow, whatever the rows hold."""
    return sum(grouped_totals(values, np.zeros(len(values), dtype=np.int64), 1))


def grouped_totals(values: I64, groups: npt.NDArray[np.integer], count: int) -> list[int]:
    """Return exact sums by group number (0 ≤ group < count); no row goes missing and nothing wraps.

    When the largest value times the number of rows fits 64 bits, so does every sum. Otherwise each value is split in
    halves of 32 bits whose sums stay far below 2^63, and only the few sums are joined.
    """
    if len(values) != len(groups):
        raise Invariant("values and groups differ in length")
    if len(values) and max(int(values.max()), -int(values.min())) * len(values) <= INT64_MAX:
        direct = np.zeros(count, dtype=np.int64)
        np.add.at(direct, groups, values)
        return direct.tolist()
    sums = [0] * count
    for at in range(0, len(values), _SUM_ROWS):
        part, group = values[at : at + _SUM_ROWS], groups[at : at + _SUM_ROWS]
        high, low = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        np.add.at(high, group, part >> 32)
        np.add.at(low, group, part & _LOW)
        sums = [s + (h << 32) + n for s, h, n in zip(sums, high.tolist(), low.tolist(), strict=True)]
    return sums
