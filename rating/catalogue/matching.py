"""Which prices can match: of the nearest list the most specific one wins.

A price matches usage of its charge whose attributes hold every pair of its `when`. Among the matching prices that are
valid at an instant, those of the nearest list count, and of these the one with the most pairs applies. The checks
beside this module refuse lists in which two could tie.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from schemas.period import Period

When = tuple[tuple[str, str], ...]
"""Attribute conditions, sorted by name."""


class Named(Protocol):
    """What has an id."""

    @property
    def id(self) -> str:
        """Names it."""


class Matchable(Protocol):
    """What the index needs to know of a price."""

    @property
    def charge(self) -> Named:
        """What the price belongs to."""

    @property
    def when(self) -> When:
        """Conditions."""

    @property
    def valid(self) -> Period:
        """When it applies."""

    @property
    def level(self) -> int:
        """How far its list is away; 0 for the nearest."""


class PriceIndex:
    """Finds matching prices by dictionary look-up: one for each distinct set of attribute names of a charge."""

    def __init__(self, prices: Sequence[Matchable]) -> None:
        """Index the prices; positions count in this sequence."""
        self._prices = prices
        by_charge: dict[str, dict[tuple[str, ...], dict[tuple[str, ...], list[int]]]] = {}
        for position, price in enumerate(prices):
            names, values = tuple(n for n, _ in price.when), tuple(v for _, v in price.when)
            by_charge.setdefault(price.charge.id, {}).setdefault(names, {}).setdefault(values, []).append(position)
        # Ascending specificity; the names break ties only for a stable order.
        self._by_charge = {
            charge: dict(sorted(tables.items(), key=lambda item: (len(item[0]), item[0])))
            for charge, tables in by_charge.items()
        }

    def candidates(self, charge: str, attributes: Mapping[str, str]) -> list[int]:
        """Return positions of the prices that match at some time; whichever is written last takes precedence."""
        found: list[int] = []
        for names, by_values in self._by_charge.get(charge, {}).items():
            if all(name in attributes for name in names):
                found += by_values.get(tuple(attributes[name] for name in names), ())
        return sorted(found, key=lambda position: -self._prices[position].level)

    def choose(self, charge: str, attributes: Mapping[str, str], instant: int) -> int | None:
        """Return the position of the price that applies at an instant (seconds since 1970), or None: unpriced."""
        valid = [i for i in self.candidates(charge, attributes) if instant in self._prices[i].valid]
        return valid[-1] if valid else None


def uncovered(period: Period, covers: Iterable[Period]) -> list[Period]:
    """Return what is left of a period after taking away others, in order."""
    left, at = list[Period](), period.start
    for cover in sorted(covers):
        if cover.start > at:
            left.append(Period(at, min(cover.start, period.end)))
        at = max(at, cover.end)
        if at >= period.end:
            return left
    return [*left, Period(at, period.end)] if at < period.end else left
