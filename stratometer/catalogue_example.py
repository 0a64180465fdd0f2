"""A worked example of one charge: so much used over one window, rated by the engine itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import orjson

from rating.charge import Charge
from rating.lists import PriceList
from rating.price import Price
from rating.spans import span_seconds
from rating.units import LEVEL_AGGREGATES, NUMBER_AGGREGATES
from schemas import calendar
from schemas.errors import Misconfigured
from schemas.meters import Registry
from schemas.money import decimal_text
from schemas.period import SECOND, Period, iso
from stratometer.rate_files import rate_text
from stratometer.rate_rows import line_rows

EXAMPLE_RESOURCES_MAX: Final = 1_000
"""Most resources of an example that counts them."""
QUANTITY_DEFAULT: Final = Fraction(100)
ZONE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class Example:
    """What so much of a charge costs.

    Attributes:
        said: what is used, in words.
        lines: rows of `stratometer.rate_rows.line_rows` of the charge.
        total: decimal text.
    """

    said: str
    lines: Sequence[Mapping[str, str]]
    total: str


def example_of(
    document: str, price_list: PriceList, charge: Charge, quantity: Fraction | None, registry: Registry, now: int
) -> Example:
    """Return a worked example of a charge.

    Args:
        document: the list's text.
        price_list: the same, parsed.
        charge: of the list.
        quantity: in the unit of the price; None: enough to reach every tier.
        registry: the meters.
        now: microseconds since 1970; the example lies in the window of now where a price applies, else in its first.

    Raises:
        Misconfigured: the charge has no price, or the quantity is no amount of its base unit.
    """
    price = _price(price_list, charge, now // SECOND)
    window = calendar.window_of(max(price.valid.start, min(now // SECOND, price.valid.end - 1)), charge.window, ZONE)
    amount = _enough(price) if quantity is None else quantity
    rows = _rows(price, amount, window, registry) if charge.meters else []
    rating = rate_text(document, rows, ZONE, None, registry, period=window)
    lines = [row for row in line_rows(rating) if row["charge"] == charge.id]
    total = sum(int(Fraction(row["amount"]) * 1_000_000) for row in lines)
    used = f"{quantity_words(price, amount)} in the {charge.window} of {iso(window.start)}" if charge.meters else ""
    return Example(used or f"the {charge.window} of {iso(window.start)}", lines, decimal_text(total))


def quantity_words(price: Price, amount: Fraction) -> str:
    """Return a quantity with its unit, and the attributes that the price asks for."""
    when = ", ".join(f"{name} {value}" for name, value in price.when)
    return f"{amount} {price.unit.name}{f' with {when}' if when else ''}"


def _price(price_list: PriceList, charge: Charge, now: int) -> Price:
    """Return the price that applies now, else the newest; a plain one before one with conditions."""
    found = [price for price in price_list.prices if price.charge == charge]
    if not found:
        raise Misconfigured([f"charge {charge.id} has no price to work an example with"])
    return max(found, key=lambda p: (p.valid.start <= now < p.valid.end, -len(p.when), p.valid.start))


def _enough(price: Price) -> Fraction:
    bounds = [tier.up_to for tier in price.tiers if tier.up_to is not None]
    free = price.free.quantity if price.free else Fraction(0)
    return (bounds[-1] if bounds else QUANTITY_DEFAULT) * Fraction(3, 2) + free


def _rows(price: Price, amount: Fraction, window: Period, registry: Registry) -> list[dict[str, str]]:
    """Return usage rows that come to the amount, over the whole window."""
    charge = price.charge
    meter = registry[charge.meters[0]]
    number, base = 1, amount * price.unit.size
    if charge.aggregate in NUMBER_AGGREGATES or charge.model == "recurring":
        number = min(int(amount), EXAMPLE_RESOURCES_MAX) if charge.model != "recurring" else 1
        base = Fraction(1)
    elif price.unit.span is not None:
        base *= span_seconds(price.unit.span, window.start, charge.settings, ZONE)
    elif charge.aggregate in LEVEL_AGGREGATES and meter.kind != "event":
        base *= window.seconds
    if base.denominator != 1:
        raise Misconfigured([f"{amount} {price.unit.name} are no whole number of {meter.base}: take another quantity"])
    end = iso(window.start + 1 if meter.kind == "event" else window.end)
    common = {"meter": meter.key, "from": iso(window.start), "quantity": str(base)}
    if meter.kind != "event":
        common["to"] = end
    if price.when:
        common["attributes"] = orjson.dumps(dict(price.when)).decode()
    return [{**common, "resource": f"example-{one + 1}"} for one in range(number)]
