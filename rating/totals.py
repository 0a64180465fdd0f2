"""Sums of rated lines, exact: Python integers, by window, product and meter. Every line is in each breakdown once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rating.components import LinePrice
from rating.exact import I64, grouped_totals
from rating.windows import Segments
from schemas.period import Period


@dataclass(frozen=True, slots=True)
class WindowTotal:
    """What one window came to; a window without usage has zeros, so that it replaces an older rating with lines.

    Attributes:
        window: its bounds.
        lines: how many lines; they stand together in the table.
        unpriced: how many of them have no price.
        amount_micros: their sum.
        digest: xor of the lines' digests.
    """

    window: Period
    lines: int
    unpriced: int
    amount_micros: int
    digest: int


def by_window(
    segments: Segments, window: npt.NDArray[np.integer], priced: npt.NDArray[np.bool_], amount: I64, digest: np.ndarray
) -> tuple[WindowTotal, ...]:
    """Return the total of every window, in order.

    Args:
        segments: gives the windows.
        window: position of each line's window, ascending.
        priced: whether each line has a price.
        amount: micro-units.
        digest: uint64 digest of each line.
    """
    count = len(segments.windows)
    lines = np.bincount(window, minlength=count).tolist()
    unpriced = np.bincount(window[~priced], minlength=count).tolist()
    amounts = grouped_totals(amount, window, count)
    bounds = np.searchsorted(window, np.arange(count + 1)).tolist()
    return tuple(
        WindowTotal(w, lines[i], unpriced[i], amounts[i], int(np.bitwise_xor.reduce(digest[bounds[i] : bounds[i + 1]])))
        for i, w in enumerate(segments.windows)
    )


def by_product(prices: Mapping[int, LinePrice], amounts: Mapping[int, int]) -> Mapping[str, int]:
    """Return micro-units by product, in order of name, of amounts given by price key; each product of the list."""
    return _grouped([(price.product, amounts.get(key, 0)) for key, price in _concerned(prices, amounts)])


def by_meter(prices: Mapping[int, LinePrice], amounts: Mapping[int, int]) -> Mapping[str, int]:
    """Return micro-units by meter, in order of key, of amounts given by price key; each meter of the list."""
    return _grouped([(price.meter, amounts.get(key, 0)) for key, price in _concerned(prices, amounts)])


def _concerned(prices: Mapping[int, LinePrice], amounts: Mapping[int, int]) -> list[tuple[int, LinePrice]]:
    """Return the prices of charges, and of the account's terms those that made a line."""
    return [(key, price) for key, price in prices.items() if price.charge or key in amounts]


def _grouped(amounts: Sequence[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, amount in sorted(amounts):
        sums[name] = sums.get(name, 0) + amount
    return sums
