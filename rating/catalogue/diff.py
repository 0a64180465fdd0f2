"""What changed between two versions of a price list: for people, item by item; and from when on they rate differently.

Items are named by their ids, not by their position, so that reordering changes nothing. Defaults are spelled out on
both sides: a default that changes shows wherever it took effect.
"""

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from rating.catalogue.export_list import document_of
from rating.charge import ALWAYS
from rating.lists import PriceList
from rating.price import Price
from schemas.period import FOREVER, Period

Kind = Literal["added", "removed", "changed"]
_NAMES: Final = ("id", "key")
"""Keys that name an item of a list."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        path: ``products[storage].charges[disk].prices[disk-2026].amount``; tiers and factors by their number from 1.
        kind: whether the newer version has it, the older one had it, or both have it differently.
        before, after: as text; "" where there is nothing. Whole items are given as JSON.
    """

    path: str
    kind: Kind
    before: str
    after: str


def diff(old: PriceList | None, new: PriceList) -> tuple[Change, ...]:
    """Return every difference in the order of the newer document; without an older list everything is added."""
    before = {} if old is None else document_of(old)
    return tuple(_changes("", before, document_of(new)))


def changed_from(old: PriceList | None, new: PriceList) -> int | None:
    """Return the earliest instant (seconds since 1970) at which two lists rate differently, or None: never.

    What has no date of its own (settings, rounding, factors of a charge, …) counts from the earliest validity of the
    prices concerned; names count nowhere. A price cut in two that goes on unchanged is the same price.
    """
    events: dict[int, list[tuple[int, Hashable]]] = {}
    for sign, price_list in ((1, new), (-1, old)):
        for item, valid in () if price_list is None else _dated(price_list):
            events.setdefault(valid.start, []).append((sign, item))
            events.setdefault(valid.end, []).append((-sign, item))
    surplus: Counter[Hashable] = Counter()  # what the newer list has more (or less) of at an instant
    for instant in sorted(events):
        for sign, item in events[instant]:
            surplus[item] += sign
            if not surplus[item]:
                del surplus[item]
        if surplus:
            return instant
    return None


def _dated(price_list: PriceList) -> Iterator[tuple[Hashable, Period]]:
    """Yield everything that determines amounts, with the time during which it does; names are taken out."""
    starts = [price.valid.start for price in price_list.prices]
    whole = Period(min(starts, default=0), FOREVER)
    yield ("list", price_list.currency, price_list.window, price_list.rounding), whole
    if price_list.inherits is not None:
        yield ("inherits", price_list.inherits), ALWAYS
    for price in price_list.prices:
        for exchange, valid in _exchanges(price):
            yield ("price", price_list.currency, _nameless(price), exchange), valid
    names = {charge.product for charge in price_list.charges} - {charge.product_id for charge in price_list.charges}
    for campaign in price_list.campaigns:
        plain = replace(campaign, name="", valid=ALWAYS, products=campaign.products - names)
        yield ("campaign", plain), campaign.valid
    account = price_list.account
    for kind, bound in (("minimum", account.minimum), ("maximum", account.maximum)):
        if bound is not None:
            yield (kind, replace(bound, valid=ALWAYS)), bound.valid
    for commitment in account.commitments:
        agreed = replace(commitment, valid=ALWAYS, products=commitment.products - names)
        yield ("commitment", agreed), commitment.valid


def _nameless(price: Price) -> Price:
    """Return a price without dates and names; in the short form the product has no other id than its name."""
    charge = replace(price.charge, name="", product="")
    product = "" if charge.product_id else price.product
    return replace(price, id="", charge=charge, product=product, valid=ALWAYS, level=0, list_id="", version=1, rates=())


def _exchanges(price: Price) -> Iterator[tuple[Hashable, Period]]:
    """Yield the parts of a price's validity with the exchange rate of each."""
    if price.currency is None:
        yield None, price.valid
    for rate in price.rates:
        start, end = max(rate.valid.start, price.valid.start), min(rate.valid.end, price.valid.end)
        if start < end:
            yield rate.rate, Period(start, end)


def _changes(path: str, before: object, after: object) -> Iterator[Change]:
    """Yield the differences of two values at a path; None stands for nothing."""
    if before == after:
        return
    old, new = _items(before), _items(after)
    if before is None and isinstance(after, list):
        old = {}
    if after is None and isinstance(before, list):
        new = {}
    if old is None or new is None:
        kind: Kind = "added" if before is None else "removed" if after is None else "changed"
        yield Change(path, kind, _shown(before), _shown(after))
        return
    for name in dict.fromkeys((*new, *old)):
        yield from _changes(f"{path}{name}".lstrip("."), old.get(name), new.get(name))


def _items(value: object) -> Mapping[str, object] | None:
    """Return a value's items by how they are named in a path, or None for a value without any."""
    if isinstance(value, Mapping):
        return {f".{key}": item for key, item in value.items()}
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        return None
    return {f"[{_name(item, number)}]": item for number, item in enumerate(value, start=1)}


def _name(item: Mapping[str, object], number: int) -> str:
    if "currency" in item and "rate" in item:
        return f"{item['currency']} from {item['from']}" if "from" in item else str(item["currency"])
    return str(next((item[key] for key in _NAMES if key in item), number))


def _shown(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
