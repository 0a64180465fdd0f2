"""Price lists: dated per-unit prices, checked as a whole, immutable, and named in every line by id and version."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from rating import checks, text
from rating.document import PriceDocument, PriceListDocument, validated
from rating.matching import PriceIndex
from rating.price import Price as Price
from rating.price import Rounding as Rounding
from schemas.errors import Misconfigured
from schemas.ids import key64, price_id
from schemas.meters import Registry
from schemas.period import FOREVER, Period

CANONICAL_FORMAT: Final = 1
"""Changes when the canonical form does; part of every digest."""


@dataclass(frozen=True)
class PriceList:
    """A checked price list; two lists with equal `digest` rate alike.

    Attributes:
        id: names the list.
        name: for people.
        currency: of every amount.
        window: evaluation window of its prices.
        rounding: of every line.
        prices: ordered by id.
        version: given by the books; 1 until they do.
        warnings: what is allowed and yet may be a mistake.
    """

    id: str
    name: str
    currency: str
    window: Literal["hour", "day", "month"]
    rounding: Rounding
    prices: tuple[Price, ...]
    version: int = 1
    warnings: tuple[str, ...] = ()

    def with_version(self, version: int) -> "PriceList":
        """Return the same list under the version that the books gave it."""
        return replace(self, version=version)

    def cuts(self, period: Period) -> tuple[int, ...]:
        """Return the instants inside the period (its start excluded) at which a price begins or ends, ascending."""
        edges = {edge for price in self.prices for edge in (price.valid.start, price.valid.end)}
        return tuple(sorted(edge for edge in edges if period.start < edge < period.end))

    @cached_property
    def index(self) -> PriceIndex:
        """Finds the price that applies; positions count in `prices`."""
        return PriceIndex(self.prices)

    def price_at(self, meter_id: int, attributes: Mapping[str, str], instant: int) -> Price | None:
        """Return the price that applies to usage at an instant, or None: unpriced."""
        position = self.index.choose(meter_id, attributes, instant)
        return None if position is None else self.prices[position]

    def key_of(self, price: Price) -> int:
        """Return the warehouse key of a price of this version."""
        return price_id(self.id, self.version, price.id)

    @cached_property
    def by_key(self) -> Mapping[int, Price]:
        """Prices by their warehouse key."""
        return dict(zip(self.keys, self.prices, strict=True))

    def price_digest(self, price: Price) -> int:
        """Return 64 bits over all that turns a quantity into an amount: the price, its list and version, rounding."""
        return key64("price-digest", self._json({**self._head(), "version": self.version, "price": price.canonical()}))

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """Warehouse keys of the prices, in their order."""
        return tuple(self.key_of(price) for price in self.prices)

    @cached_property
    def price_digests(self) -> tuple[int, ...]:
        """Digests of the prices, in their order."""
        return tuple(self.price_digest(price) for price in self.prices)

    @cached_property
    def unpriced_digest(self) -> int:
        """What stands for the price's digest in a line without one: such a line depends on the list, too."""
        return key64("unpriced-digest", self.digest, str(self.version))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content, in hexadecimal; the books' version takes no part."""
        content = {**self._head(), "name": self.name, "prices": [price.canonical() for price in self.prices]}
        return hashlib.sha256(self._json(content).encode()).hexdigest()

    def _head(self) -> dict[str, object]:
        return {
            "format": CANONICAL_FORMAT,
            "id": self.id,
            "currency": self.currency,
            "window": self.window,
            "rounding": {"mode": self.rounding.mode, "digits": self.rounding.digits},
        }

    @staticmethod
    def _json(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def parse(document: str, registry: Registry, version: int = 1) -> PriceList:
    """Return the price list of a YAML or JSON text.

    Args:
        document: the text; docs/pricing.md describes it.
        registry: the meters that prices may name.
        version: given by the books.

    Raises:
        Misconfigured: lists every problem, each at its path.
    """
    value, problems = text.load(document)
    if value is None and problems:
        raise Misconfigured(problems)
    head, sound, found = validated(value)
    problems += found + checks.against_registry(sound, registry)
    prices = {position: _price(item, registry) for position, item in sound.items() if checks.is_known(item, registry)}
    problems += checks.between(prices)
    if problems or head is None:
        raise Misconfigured(problems)
    return _list_of(head, prices, version, checks.warnings(prices, registry))


def _price(document: PriceDocument, registry: Registry) -> Price:
    meter = registry[document.meter]
    return Price(
        id=document.id,
        product=document.product,
        meter=meter.key,
        meter_id=meter.id,
        amount=document.amount,
        unit=document.per,
        unit_size=meter.display[document.per],
        base=meter.base,
        when=tuple(sorted(document.when.items())),
        valid=Period(document.start, FOREVER if document.end is None else document.end),
    )


def _list_of(
    head: PriceListDocument, prices: Mapping[int, Price], version: int, warnings: tuple[str, ...]
) -> PriceList:
    return PriceList(
        id=head.id,
        name=head.name,
        currency=head.currency,
        window=head.window,
        rounding=Rounding(head.rounding.mode, head.rounding.digits),
        prices=tuple(sorted(prices.values(), key=lambda price: price.id)),
        version=version,
        warnings=warnings,
    )
