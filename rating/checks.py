"""Checks between the prices of a list: exactly one price for each (meter, attributes, instant), or none.

Problems stop a list from being used; warnings are allowed and may be meant. Each names the path in the document.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations

from rating.document import PriceDocument
from rating.matching import PriceIndex, When, uncovered
from rating.price import Price
from schemas.meters import Registry
from schemas.period import FOREVER, Period, iso

Series = dict[tuple[str, When], list[int]]


def is_known(price: PriceDocument, registry: Registry) -> bool:
    """Tell whether a price can be compared with others: its meter and unit exist, and it does not end first."""
    known = price.meter in registry and price.per in registry[price.meter].display
    return known and (price.end is None or price.end > price.start)


def against_registry(prices: Mapping[int, PriceDocument], registry: Registry) -> list[str]:
    """Return problems of single prices: unknown meter or unit, an end before the start, an id used twice."""
    problems: list[str] = []
    count = Counter(price.id for price in prices.values())
    for position, price in prices.items():
        path = f"prices[{position}]"
        if count[price.id] > 1:
            problems.append(f"{path}.id: {price.id!r} is used {count[price.id]} times; ids are unique within a list")
        if price.meter not in registry:
            problems.append(f"{path}.meter: unknown meter {price.meter!r}; known are {', '.join(registry.meters)}")
        elif price.per not in (display := registry[price.meter].display):
            problems.append(f"{path}.per: {price.meter} has no unit {price.per!r}; choose {' or '.join(display)}")
        if price.end is not None and price.end <= price.start:
            problems.append(f"{path}.to: must lie after from ({iso(price.start)})")
    return problems


def between(prices: Mapping[int, Price]) -> list[str]:
    """Return overlaps of one series and ambiguities between conditions of equal specificity."""
    return [*_overlaps(prices), *_ambiguities(prices)]


def warnings(prices: Mapping[int, Price], registry: Registry) -> tuple[str, ...]:
    """Return gaps in the validity of a series, and conditions on attributes that the meter does not declare."""
    return (*_gaps(prices), *_undeclared(prices, registry))


def _series(prices: Mapping[int, Price]) -> Series:
    """Return positions of the prices for the same usage, each series by start."""
    series: Series = {}
    for position, price in sorted(prices.items(), key=lambda item: (item[1].valid, item[0])):
        series.setdefault((price.meter, price.when), []).append(position)
    return series


def _overlaps(prices: Mapping[int, Price]) -> Iterator[str]:
    for (meter, when), positions in _series(prices).items():
        latest = positions[0]  # the one that reaches furthest so far
        for position in positions[1:]:
            price, other = prices[position], prices[latest]
            if price.valid.overlaps(other.valid):
                common = Period(price.valid.start, min(price.valid.end, other.valid.end))
                yield (
                    f"prices[{position}] ({price.id}): overlaps prices[{latest}] ({other.id}) for {meter}{_text(when)} "
                    f"{_span(common)}; end one where the other begins"
                )
            if price.valid.end > other.valid.end:
                latest = position


def _ambiguities(prices: Mapping[int, Price]) -> Iterator[str]:
    ordered = list(prices.items())
    index = PriceIndex([price for _, price in ordered])
    for one, other in _rivals(prices):
        a, b = prices[one], prices[other]
        if not a.valid.overlaps(b.valid):
            continue
        common = Period(max(a.valid.start, b.valid.start), min(a.valid.end, b.valid.end))
        both = dict(a.when + b.when)
        deciding = [ordered[i][1] for i in index.candidates(a.meter_id, both)]
        left = uncovered(common, [p.valid for p in deciding if len(p.when) > len(a.when)])
        if left:
            yield (
                f"prices[{other}] ({b.id}): as specific as prices[{one}] ({a.id}), and both match {a.meter}"
                f"{_text(tuple(sorted(both.items())))} {_span(left[0])}; "
                "add a price for exactly that, or end one of them"
            )


def _rivals(prices: Mapping[int, Price]) -> Iterator[tuple[int, int]]:
    """Yield pairs with equally many, yet different attribute names that agree on the names they share.

    Conditions over the same names are either equal (a series) or exclude each other, so these are all.
    """
    groups: dict[tuple[str, int], dict[tuple[str, ...], list[int]]] = {}
    for position, price in prices.items():
        names = tuple(name for name, _ in price.when)
        groups.setdefault((price.meter, len(names)), {}).setdefault(names, []).append(position)
    for by_names in groups.values():
        for (names, ones), (other_names, others) in combinations(by_names.items(), 2):
            shared = set(names) & set(other_names)
            buckets: dict[When, list[int]] = {}
            for other in others:
                buckets.setdefault(_only(prices[other].when, shared), []).append(other)
            for one in ones:
                for other in buckets.get(_only(prices[one].when, shared), ()):
                    yield min(one, other), max(one, other)


def _only(when: When, names: set[str]) -> When:
    return tuple(pair for pair in when if pair[0] in names)


def _gaps(prices: Mapping[int, Price]) -> Iterator[str]:
    ordered = list(prices.values())
    index = PriceIndex(ordered)
    for (meter, when), positions in _series(prices).items():
        span = Period(prices[positions[0]].valid.start, max(prices[p].valid.end for p in positions))
        for gap in uncovered(span, [prices[p].valid for p in positions]):
            fallback = [ordered[i] for i in index.candidates(prices[positions[0]].meter_id, dict(when))]
            bare = uncovered(gap, [p.valid for p in fallback if p.when != when])
            unpriced = f"usage {_span(bare[0])} will be unpriced" if bare else "a less specific price applies there"
            yield f"{meter}{_text(when)} has no price {_span(gap)}: {unpriced}"


def _undeclared(prices: Mapping[int, Price], registry: Registry) -> Iterator[str]:
    for position, price in prices.items():
        declared = registry[price.meter].attributes
        for name, _ in price.when:
            if name not in declared:
                yield (
                    f"prices[{position}].when.{name}: {price.meter} declares "
                    f"{', '.join(declared) or 'no attributes'}; usage without {name!r} never takes this price"
                )


def _text(when: When) -> str:
    return " {" + ", ".join(f"{name}: {value}" for name, value in when) + "}" if when else ""


def _span(period: Period) -> str:
    end = "" if period.end == FOREVER else f" to {iso(period.end)}"
    return f"from {iso(period.start)}{end}"
