"""Tariffs: what applies to one account's usage at one time — a price with the exchange rate and the campaigns of then.

A price is cut where an exchange rate or a campaign begins or ends, so that inside a tariff nothing changes. Among the
tariffs of a charge that match usage at an instant, the one of the nearest list applies, and of these the one with the
most conditions.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Final

from rating.catalogue.matching import When
from rating.charge import RESOURCE, Campaign, Charge, Range
from rating.components import applies
from rating.lists import PriceList
from rating.price import Price
from rating.terms import Terms
from schemas import calendar
from schemas.ids import key64
from schemas.period import Period

ONE: Final = Fraction(1)
Piece = tuple[Period, Fraction, tuple[Campaign, ...]]
"""A stretch of a price's validity, its exchange rate and the campaigns in force."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


@dataclass(frozen=True)
class Tariff:
    """A price as it applies to some usage of one account, while nothing changes.

    Attributes:
        price: the price.
        valid: part of the price's validity.
        exchange: units of the list's currency in one of the price's.
        factor: product of the charge's factors that match the usage.
        campaigns: those that reduce the amount, in order.
        currency: of the lines.
        special: campaigns that are for usage of such attributes only, whether in force or not.
    """

    price: Price
    valid: Period
    exchange: Fraction
    factor: Fraction
    campaigns: tuple[Campaign, ...]
    currency: str
    special: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> int:
        """64 bits over all that turns a quantity into an amount."""
        return key64("price-digest", json.dumps(_plain(self), ensure_ascii=False, sort_keys=True))

    @property
    def series(self) -> tuple[object, ...]:
        """What stays the same when a price is followed by its next version: quantities run on across it."""
        return *self.price_series, self.factor, self.special

    @property
    def price_series(self) -> tuple[object, ...]:
        """The series without what the usage's attributes make of its price."""
        return self.price.when, self.price.ranges

    @property
    def plain(self) -> bool:
        """Tell whether no factor and no campaign for some attributes sets this usage apart."""
        return self.factor == ONE and not self.special

    @cached_property
    def linear(self) -> bool:
        """Tell whether the amount of usage is its quantity times one number, row by row."""
        price, charge = self.price, self.price.charge
        return (
            len(price.tiers) == 1
            and price.tiers[0].up_to is None
            and not price.volume
            and not price.tiers[0].flat
            and price.tiers[0].block is None
            and (price.free, price.minimum, price.maximum, charge.convert) == (None, None, None, None)
            and not self.campaigns
            and charge.aggregate == "sum"
            and charge.combine == "sum"
            and charge.tiers_on == "quantity"
            and charge.each == (RESOURCE,)
            and charge.power == "always"
            and charge.settings.negative == "credit"
            and charge.settings.parts != "last"
        )


def _plain(value: object) -> object:
    """Return plain JSON values of a tree of dataclasses."""
    if isinstance(value, Fraction):
        return str(value)
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.compare and f.name != "level"}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


class Tariffs:
    """The tariffs of one account under its effective list, made when usage asks for them; numbered from 0."""

    def __init__(self, price_list: PriceList, terms: Terms) -> None:
        """Keep the list; `terms` say which campaigns apply."""
        self.price_list, self._terms = price_list, terms
        self._campaigns = [c for c in price_list.campaigns if _concerns(c, terms)]
        self._pieces: dict[int, list[Piece]] = {}
        self._index: dict[str, dict[tuple[str, ...], dict[tuple[str, ...], list[int]]]] = {}
        self._meters: dict[str, set[str]] = {}
        # A price for a list of values stands once for each value (p, p@2, …); all of them are one price: the first.
        self._first: dict[tuple[str, str], int] = {}
        for position, price in enumerate(price_list.prices):
            self._first.setdefault((price.list_id, price.id.partition("@")[0]), position)
            names, values = tuple(n for n, _ in price.when), tuple(v for _, v in price.when)
            family = self._index.setdefault(price.charge.id, {})
            family.setdefault(names, {}).setdefault(values, []).append(position)
            self._meters.setdefault(price.charge.id, set()).update(price.charge.meters)
        self.items: list[Tariff] = []
        self._numbers: dict[tuple[object, ...], int] = {}

    @property
    def families(self) -> Iterable[str]:
        """Ids of the charges, of whichever list."""
        return self._index

    def meters_of(self, family: str) -> AbstractSet[str]:
        """Return the keys of the meters that a charge looks at, in any list's definition of it."""
        return self._meters[family]

    def cuts(self, period: Period) -> tuple[int, ...]:
        """Return the instants inside the period (its start excluded) at which a tariff begins or ends, ascending."""
        edges = {self._terms.active.start, self._terms.active.end}
        for position in range(len(self.price_list.prices)):
            edges |= {edge for valid, *_ in self._pieces_of(position) for edge in (valid.start, valid.end)}
        return tuple(sorted(edge for edge in edges if period.start < edge < period.end))

    def choices(self, family: str, meter: str, attributes: Mapping[str, str]) -> list[tuple[Period, int]]:
        """Return (validity, tariff number) of everything that matches usage, the one that applies written last.

        Args:
            family: id of the charge.
            meter: key of the usage's meter; "" matches every charge.
            attributes: of the usage.
        """
        prices = self.price_list.prices
        positions = [
            position
            for names, by_values in self._index[family].items()
            if all(name in attributes for name in names)
            for position in by_values.get(tuple(attributes[name] for name in names), ())
            if (not meter or meter in prices[position].charge.meters) and within(prices[position].ranges, attributes)
        ]
        positions.sort(key=lambda p: (-prices[p].level, _preference(prices[p]), [-ord(c) for c in prices[p].id]))
        found = []
        for position in positions:
            pieces = [
                (valid, exchange, _stacked(tuple(c for c in campaigns if _meant(c, attributes))))
                for valid, exchange, campaigns in self._pieces_of(position)
            ]
            for valid, exchange, campaigns in _merged(pieces):
                found.append((valid, self._number(position, valid, exchange, campaigns, attributes)))
        return found

    def _number(
        self,
        position: int,
        valid: Period,
        exchange: Fraction,
        campaigns: tuple[Campaign, ...],
        attributes: Mapping[str, str],
    ) -> int:
        price = self.price_list.prices[position]
        factor = ONE
        for each in price.charge.factors:
            if _matches(each.when, attributes) and within(each.ranges, attributes):
                factor *= each.factor
        first = self._first[price.list_id, price.id.partition("@")[0]]
        conditional = [c for c in self._campaigns if (c.when or c.ranges) and applies(c, price)]
        special = tuple(c.id for c in conditional if _meant(c, attributes))
        key = (first, valid, exchange, factor, tuple(c.id for c in campaigns), special)
        if key not in self._numbers:
            self._numbers[key] = len(self.items)
            own = self.price_list.prices[first]
            self.items.append(Tariff(own, valid, exchange, factor, campaigns, self.price_list.currency, special))
        return self._numbers[key]

    def _pieces_of(self, position: int) -> list[Piece]:
        if position not in self._pieces:
            self._pieces[position] = self._cut(self.price_list.prices[position])
        return self._pieces[position]

    def _cut(self, price: Price) -> list[Piece]:
        """Return a price's validity cut where its exchange rate or a campaign begins or ends."""
        rates = [r for r in price.rates if r.currency == price.currency]
        campaigns = [(self._valid(c, price.charge), c) for c in self._campaigns if applies(c, price)]
        if not rates and not campaigns:
            return [(price.valid, ONE, ())]
        edges = {price.valid.start, price.valid.end}
        for valid in (*(r.valid for r in rates), *(v for v, _ in campaigns)):
            edges |= {edge for edge in (valid.start, valid.end) if edge in price.valid}
        pieces = []
        for start, end in pairwise(sorted(edges)):
            exchange = next((r.rate for r in rates if start in r.valid), ONE)
            pieces.append((Period(start, end), exchange, tuple(c for valid, c in campaigns if start in valid)))
        return pieces

    def _valid(self, campaign: Campaign, charge: Charge) -> Period:
        """Return when a campaign counts for the account: from the redemption of its coupon on."""
        if campaign.coupon is None:
            return campaign.valid
        start, end = max(campaign.valid.start, self._terms.coupons[campaign.coupon]), campaign.valid.end
        if campaign.limits.windows is not None and start < end:
            last = start
            for _ in range(campaign.limits.windows):
                last = calendar.window_of(last, charge.window, self._terms.zone).end
            end = min(end, last)
        return Period(start, max(start, end))


def _preference(price: Price) -> Fraction:
    """Return how strongly a price is preferred to others of its charge in the same list."""
    if price.charge.choose == "highest":
        return price.tiers[0].amount if price.tiers else Fraction(0)
    return Fraction(len(price.when) + len(price.ranges))


def _matches(when: When, attributes: Mapping[str, str]) -> bool:
    return all(attributes.get(name) == value for name, value in when)


def _meant(campaign: Campaign, attributes: Mapping[str, str]) -> bool:
    return _matches(campaign.when, attributes) and within(campaign.ranges, attributes)


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces, neighbours in which nothing changes as one."""
    found: list[Piece] = []
    for valid, exchange, campaigns in pieces:
        if found and found[-1][1:] == (exchange, campaigns) and found[-1][0].end == valid.start:
            valid = Period(found.pop()[0].start, valid.end)
        found.append((valid, exchange, campaigns))
    return found


def within(ranges: tuple[Range, ...], attributes: Mapping[str, str]) -> bool:
    """Tell whether attributes hold numbers inside all the ranges; text that is no number lies in none."""
    for each in ranges:
        text = attributes.get(each.name, "")
        if not _NUMBER.fullmatch(text):
            return False
        value = Fraction(text)
        if (each.start is not None and value < each.start) or (each.below is not None and value >= each.below):
            return False
    return True


def _concerns(campaign: Campaign, terms: Terms) -> bool:
    return (
        (not campaign.groups or bool(campaign.groups & terms.groups))
        and (not campaign.accounts or terms.account in campaign.accounts)
        and (campaign.coupon is None or campaign.coupon in terms.coupons)
    )


def _stacked(campaigns: tuple[Campaign, ...]) -> tuple[Campaign, ...]:
    """Return the campaigns that count together: an exclusive one stands alone, the first of several."""
    exclusive = [c for c in campaigns if c.stacking == "exclusive"]
    return tuple(exclusive[:1]) if exclusive else campaigns
