"""Checks between the prices of a list: exactly one price for each (charge, attributes, instant), or none.

Problems stop a list from being used; warnings are allowed and may be meant. Each names the path in the document.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

from rating.catalogue.compile import Located
from rating.catalogue.matching import PriceIndex, When, uncovered
from rating.charge import Range
from rating.decimals import shown
from rating.price import Price
from rating.tariff import within
from schemas.meters import Registry
from schemas.period import FOREVER, Period, iso

Series = dict[tuple[str, When, tuple[Range, ...]], list[int]]
RANGED_MAX: Final = 1000
"""Most prices of one charge with as many conditions, one of them a range of numbers: each is compared with each."""
DERIVED = ("site", "power")
"""Attributes that usage of any meter may carry."""


def doubled(ids: Iterable[tuple[str, str]], within: str = "list") -> Iterator[str]:
    """Yield a problem for each (path, id) whose id stands at several paths."""
    found = list(ids)
    count = Counter(id for _, id in found)
    for path, id in found:
        if count[id] > 1:
            yield f"{path}.id: {id!r} is used {count[id]} times; ids are unique within a {within}"


def between(prices: Sequence[Located]) -> list[str]:
    """Return overlaps of one series and ambiguities between conditions of equal specificity."""
    rivals = [(path, price) for path, price in prices if price.charge.choose == "most_specific"]
    plain = [(path, price) for path, price in rivals if not price.ranges]
    return [*_overlaps(rivals), *_ambiguities(plain), *_crossings(rivals)]


def warnings(prices: Sequence[Located], registry: Registry) -> tuple[str, ...]:
    """Return gaps in the validity of a series, and conditions on attributes that the meters do not declare."""
    return (*_gaps([price for _, price in prices]), *dict.fromkeys(_undeclared(prices, registry)))


def _series(prices: Sequence[Price]) -> Series:
    """Return positions of the prices for the same usage, each series by start."""
    series: Series = {}
    for position, price in sorted(enumerate(prices), key=lambda item: (item[1].valid, item[0])):
        series.setdefault((price.charge.id, price.when, price.ranges), []).append(position)
    return series


def _overlaps(prices: Sequence[Located]) -> Iterator[str]:
    for (charge, when, ranges), positions in _series([price for _, price in prices]).items():
        latest = positions[0]  # the one that reaches furthest so far
        for position in positions[1:]:
            (path, price), (other_path, other) = prices[position], prices[latest]
            if price.valid.overlaps(other.valid):
                common = Period(price.valid.start, min(price.valid.end, other.valid.end))
                yield (
                    f"{path} ({price.id}): overlaps {other_path} ({other.id}) for {charge}{_text(when, ranges)} "
                    f"{_span(common)}; end one where the other begins"
                )
            if price.valid.end > other.valid.end:
                latest = position


def _ambiguities(prices: Sequence[Located]) -> Iterator[str]:
    plain = [price for _, price in prices]
    index = PriceIndex(plain)
    for one, other in _rivals(plain):
        (a_path, a), (b_path, b) = prices[one], prices[other]
        if not a.valid.overlaps(b.valid):
            continue
        common = Period(max(a.valid.start, b.valid.start), min(a.valid.end, b.valid.end))
        both = dict(a.when + b.when)
        deciding = [plain[i] for i in index.candidates(a.charge.id, both)]
        left = uncovered(common, [p.valid for p in deciding if len(p.when) > len(a.when)])
        if left:
            yield (
                f"{b_path} ({b.id}): as specific as {a_path} ({a.id}), and both match {a.charge.id}"
                f"{_text(tuple(sorted(both.items())))} {_span(left[0])}; "
                "add a price for exactly that, or end one of them"
            )


def _rivals(prices: Sequence[Price]) -> Iterator[tuple[int, int]]:
    """Yield pairs with equally many, yet different attribute names that agree on the names they share.

    Conditions over the same names are either equal (a series) or exclude each other, so these are all.
    """
    groups: dict[tuple[str, int], dict[tuple[str, ...], list[int]]] = {}
    for position, price in enumerate(prices):
        names = tuple(name for name, _ in price.when)
        groups.setdefault((price.charge.id, len(names)), {}).setdefault(names, []).append(position)
    for by_names in groups.values():
        for (names, ones), (other_names, others) in combinations(by_names.items(), 2):
            shared = set(names) & set(other_names)
            buckets: dict[When, list[int]] = {}
            for other in others:
                buckets.setdefault(_only(prices[other].when, shared), []).append(other)
            for one in ones:
                for other in buckets.get(_only(prices[one].when, shared), ()):
                    yield min(one, other), max(one, other)


def _crossings(prices: Sequence[Located]) -> Iterator[str]:
    """Yield prices with as many conditions of which one has ranges, and that can match the same usage."""
    groups: dict[tuple[str, int], list[Located]] = {}
    for path, price in prices:
        groups.setdefault((price.charge.id, len(price.when) + len(price.ranges)), []).append((path, price))
    for (charge, _), group in groups.items():
        if not any(price.ranges for _, price in group):
            continue
        if len(group) > RANGED_MAX:
            yield f"{charge} has {len(group)} prices with as many conditions, ranges among them; at most {RANGED_MAX}"
            continue
        for (a_path, a), (b_path, b) in combinations(group, 2):
            if (a.ranges or b.ranges) and _differ(a, b) and a.valid.overlaps(b.valid) and _meet(a, b) and _meet(b, a):
                yield (
                    f"{b_path} ({b.id}): as specific as {a_path} ({a.id}), and both can match {charge}"
                    f"{_text(a.when, a.ranges)}; keep their ranges apart, or end one of them"
                )


def _differ(one: Price, other: Price) -> bool:
    return (one.when, one.ranges) != (other.when, other.ranges)


def _meet(one: Price, other: Price) -> bool:
    """Tell whether attributes can fulfil the conditions of one and of the other; only what one says is looked at."""
    values, ranges = dict(other.when), {numbers.name: numbers for numbers in other.ranges}
    if any(values.get(name, value) != value for name, value in one.when):
        return False
    for numbers in one.ranges:
        opposite = ranges.get(numbers.name)
        if numbers.name in values and not within((numbers,), values):
            return False
        if opposite is not None and not (_below(numbers, opposite) and _below(opposite, numbers)):
            return False
    return True


def _below(one: Range, other: Range) -> bool:
    """Tell whether a range starts below the end of another."""
    return one.start is None or other.below is None or one.start < other.below


def _only(when: When, names: set[str]) -> When:
    return tuple(pair for pair in when if pair[0] in names)


def _gaps(prices: Sequence[Price]) -> Iterator[str]:
    plain = [price for price in prices if not price.ranges]
    index = PriceIndex(plain)
    for (charge, when, ranges), positions in _series(prices).items():
        span = Period(prices[positions[0]].valid.start, max(prices[p].valid.end for p in positions))
        for gap in uncovered(span, [prices[p].valid for p in positions]):
            fallback = [plain[i] for i in index.candidates(charge, dict(when))]
            bare = uncovered(gap, [p.valid for p in fallback if (p.when, p.ranges) != (when, ranges)])
            unpriced = f"usage {_span(bare[0])} will be unpriced" if bare else "a less specific price applies there"
            yield f"{charge}{_text(when, ranges)} has no price {_span(gap)}: {unpriced}"


def _undeclared(prices: Sequence[Located], registry: Registry) -> Iterator[str]:
    for path, price in prices:
        charge = price.charge
        declared = [name for meter in charge.meters for name in registry[meter].attributes]
        declares = f"{', '.join(charge.meters)} declares {', '.join(declared) or 'no attributes'}"
        for name in (*(name for name, _ in price.when), *(numbers.name for numbers in price.ranges)):
            if name not in (*declared, *DERIVED):
                yield f"{path}.when.{name}: {declares}; usage without {name!r} never takes this price"
        place = path.partition(".prices[")[0]
        of_groups = [name for name in charge.each if name != "resource"]
        for name in of_groups + [charge.unique_of] * (charge.unique_of != "resource"):
            if name not in (*declared, *DERIVED):
                yield f"{place}: groups by {name!r}, but {declares}"
        for factor in charge.factors:
            for name in (*(name for name, _ in factor.when), *(numbers.name for numbers in factor.ranges)):
                if name not in (*declared, *DERIVED):
                    yield f"{place}.factors: {declares}; usage without {name!r} never takes this factor"


def _text(when: When, ranges: tuple[Range, ...] = ()) -> str:
    said = [f"{name}: {value}" for name, value in when]
    for numbers in ranges:
        start = "" if numbers.start is None else f" from {shown(numbers.start)}"
        said.append(f"{numbers.name}:{start}" + ("" if numbers.below is None else f" below {shown(numbers.below)}"))
    return " {" + ", ".join(said) + "}" if said else ""


def _span(period: Period) -> str:
    end = "" if period.end == FOREVER else f" to {iso(period.end)}"
    return f"from {iso(period.start)}{end}"
