"""Adds up one account's lines under both lists, whoever computed them, and the terms over all of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.simulation.classes import Pushed
from pipeline.simulation.grid import Side
from pipeline.simulation.model import Pair
from rating.account_terms import account_lines, account_windows
from rating.exact import grouped_totals
from rating.price_list import PriceList
from schemas import calendar
from schemas.calendar import Size
from schemas.period import Period
from sinks.warehouse.simulate import RatedSum


def dues_of(price_list: PriceList, period: Period, zone: str) -> list[tuple[Period, Size]]:
    """Return the windows of the account's terms that lie inside a period: of no other is all the spend known."""
    found = [(w, size) for size in account_windows(price_list) for w in calendar.windows(period, size, zone)]
    return [(window, size) for window, size in found if period.start <= window.start and window.end <= period.end]


Entry = tuple[str, str, int]
"""Product, charge, and number of the stretch between bounds."""


@dataclass
class Tally:
    """Sums of one account.

    Attributes:
        bounds: ascending instants at which a window of the account's terms begins or ends, under either list.
        micros: by side (0 before, 1 after): (product, charge, stretch between bounds) → micro-units.
        lines, unpriced: by side.
    """

    bounds: Sequence[int]
    micros: tuple[dict[Entry, int], dict[Entry, int]] = field(default_factory=lambda: ({}, {}))
    lines: list[int] = field(default_factory=lambda: [0, 0])
    unpriced: list[int] = field(default_factory=lambda: [0, 0])

    def add_pushed(self, pushed: Pushed, found: RatedSum) -> None:
        """Add what the warehouse computed for one class."""
        for column, amount in zip(pushed.columns, found.amounts, strict=True):
            product, charge = column.names[found.number]
            if product:
                self._add(column.side, product, charge, pushed.starts[found.number], amount)
        for side in (0, 1):
            count = found.lines * pushed.lines[side][found.number]
            self.lines[side] += count
            self.unpriced[side] += count if pushed.unpriced[side][found.number] else 0

    def add_lines(self, side: int, lines: pa.Table, price_list: PriceList) -> None:
        """Add lines of rating (LINE_SCHEMA)."""
        key, code = np.unique(lines.column("price_id").to_numpy(), return_inverse=True)
        stretch = np.searchsorted(np.array(self.bounds, np.int64), lines.column("window_start").to_numpy(), "right")
        group, count = code * (len(self.bounds) + 1) + stretch, len(key) * (len(self.bounds) + 1)
        sums = grouped_totals(lines.column("amount_micros").to_numpy(), group, count)
        for place in np.unique(group).tolist():
            number, part = divmod(place, len(self.bounds) + 1)
            price = price_list.by_key.get(int(key[number]))
            if price is not None:
                entry = price.product, price.charge, part
                self.micros[side][entry] = self.micros[side].get(entry, 0) + sums[place]
        self.lines[side] += lines.num_rows
        self.unpriced[side] += int(np.count_nonzero(lines.column("price_id").to_numpy() == 0))

    def account_lines(self, side: int, own: Side, period: Period) -> pa.Table | None:
        """Add the lines of the account's terms, and return them; None where there are none."""
        tables = [
            account_lines(self._spent(side, window), window, size, own.price_list, own.terms)
            for window, size in dues_of(own.price_list, period, own.terms.zone)
        ]
        if not tables:
            return None
        found = pa.concat_tables(tables)
        self.add_lines(side, found, own.price_list)
        return found

    def by_product(self) -> dict[str, Pair]:
        """Return the sums by product, in order."""
        found: dict[str, Pair] = {}
        for side in (0, 1):
            for (product, *_), micros in self.micros[side].items():
                found[product] = found.get(product, Pair()) + (Pair(after=micros) if side else Pair(before=micros))
        return dict(sorted(found.items()))

    def _add(self, side: int, product: str, charge: str, instant: int, micros: int) -> None:
        entry = product, charge, bisect_right(self.bounds, instant)
        self.micros[side][entry] = self.micros[side].get(entry, 0) + micros

    def _spent(self, side: int, window: Period) -> dict[tuple[str, str], int]:
        # A stretch is numbered by the bounds that lie at its start or before.
        first, last = bisect_right(self.bounds, window.start), bisect_left(self.bounds, window.end)
        spent: dict[tuple[str, str], int] = {}
        for (product, charge, stretch), micros in self.micros[side].items():
            if first <= stretch <= last:
                spent[product, charge] = spent.get((product, charge), 0) + micros
        return spent
