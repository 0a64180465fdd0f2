"""Which price of a charge applies to usage, and when a series of prices is in force."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from tests.rating.reference.document import Charge, Price, matches

Definition = tuple[Charge, tuple[Price, ...]]


def chosen(
    chain: Sequence[Definition], meter: str, attributes: Mapping[str, str], instant: int
) -> tuple[Charge, Price] | None:
    """Return the price of the nearest list that has a matching one; in it the most specific, or the dearest."""
    for charge, prices in chain:
        if meter not in charge.meters:
            continue
        found = [p for p in prices if instant in p.valid and matches(p.when, attributes)]
        if found:
            key = _highest if charge.choose == "highest" else _most_specific
            return charge, min(found, key=key)
    return None


def _most_specific(price: Price) -> tuple[Fraction, str]:
    return Fraction(-len(price.when)), price.id


def _highest(price: Price) -> tuple[Fraction, str]:
    return -first_amount(price), price.id


def first_amount(price: Price) -> Fraction:
    node = price.raw["tiers"][0] if "tiers" in price.raw else price.raw
    return Fraction(node.get("amount", node.get("percent", "0")))


def series_of(charge: Charge, price: Price) -> object:
    """What makes prices of different times one series: their conditions, or the price alone where several compete."""
    return price.id if charge.choose == "highest" else price.when


def series_price(chain: Sequence[Definition], charge: Charge, series: Price, instant: int) -> Price | None:
    """Return the price of a series at an instant, unless a nearer list has one that always goes before it."""
    for other, prices in chain:
        current = [p for p in prices if instant in p.valid]
        if other.level == charge.level:
            return next((p for p in current if series_of(charge, p) == series_of(charge, series)), None)
        if any(set(p.when) <= set(series.when) for p in current):
            return None
    return None
