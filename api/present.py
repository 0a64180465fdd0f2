"""From rows with integer keys to what people read: names, units, exact texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from api.models import Amount, LineItem, PriceName, Quantity, ResourceName, Window
from api.services import Services
from billing.protocol import Account
from rating.explain import Line, line_at
from rating.price_list import PriceList
from schemas.meters import Meter
from schemas.money import decimal_text
from schemas.period import iso
from sinks.warehouse.protocol import Rating

DISPLAY_DIGITS: Final = 12
_CONTEXT: Final = Context(prec=60, rounding=ROUND_DOWN)


def window(start: int, end: int) -> Window:
    """Return a half-open period of seconds since 1970."""
    return Window(start=iso(start), end=iso(end))


def amount(micros: int, currency: str) -> Amount:
    """Return an exact amount."""
    return Amount(micros=micros, text=decimal_text(micros), currency=currency)


def hexed(digest: int) -> str:
    """Return 64 bits as 16 hexadecimal digits."""
    return f"{digest:016x}"


def quantity(base: int, meter: Meter | None) -> Quantity:
    """Return a quantity in base units and in the meter's first display unit."""
    if meter is None:
        return Quantity(base=base, unit="", display=str(base), display_unit="", exact=True)
    return _displayed(base, meter.base, meter.display_unit, Fraction(meter.display[meter.display_unit]))


def _displayed(base: int, base_unit: str, unit: str, per: Fraction) -> Quantity:
    value = _CONTEXT.divide(Decimal(base * per.denominator), Decimal(per.numerator))
    cut = value.quantize(Decimal(1).scaleb(-DISPLAY_DIGITS), context=_CONTEXT)
    text = f"{cut:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    exact = Fraction(text) == base / per
    return Quantity(base=base, unit=base_unit, display=text, display_unit=unit, exact=exact)


def coverage(covered: int, samples: int, meter: Meter | None) -> str:
    """Return covered of metered seconds as decimal text with four digits, rounded down: 1.0000 means no gap."""
    metered = samples * (meter.cell if meter else 1)
    parts = min(10_000, covered * 10_000 // metered) if metered else 0
    return f"{parts // 10_000}.{parts % 10_000:04d}"


def resources(use: Services, ids: Iterable[int]) -> Mapping[int, ResourceName]:
    """Return the names of resources; one that the warehouse has no name for is missing."""
    found = use.warehouse.resource_names(sorted({i for i in ids if i}))
    return {i: ResourceName(site=site, key=key, name=name or key) for i, (site, key, name) in found.items()}


UNNAMED: Final = ResourceName(site="", key="", name="")


@dataclass(frozen=True, slots=True)
class Priced:
    """One line with what it was rated by."""

    account: Account
    line: Line
    rating: Rating | None
    price_list: PriceList | None
    revision: int


def rows(table: pa.Table) -> list[Line]:
    """Return the lines of a table that has LINE_SCHEMA's columns."""
    return [line_at(table, row) for row in range(table.num_rows)]


def line_items(use: Services, priced: Sequence[Priced]) -> list[LineItem]:
    """Return lines with every key replaced by its name; one question a dimension, however many lines."""
    names = resources(use, (p.line.resource_id for p in priced))
    sets = use.directory.attribute_sets(sorted({p.line.attributes_id for p in priced if p.line.attributes_id}))
    return [_line_item(use, p, names, sets) for p in priced]


def _line_item(
    use: Services, p: Priced, names: Mapping[int, ResourceName], sets: Mapping[int, Mapping[str, str]]
) -> LineItem:
    line, meter = p.line, use.registry.by_id.get(p.line.meter_id)
    currency = p.rating.currency if p.rating else p.price_list.currency if p.price_list else ""
    return LineItem(
        digest=hexed(line.digest),
        account=p.account.id,
        window=window(line.window_start, line.window_end),
        segment=window(line.segment_start, line.segment_end),
        resource=names.get(line.resource_id, UNNAMED),
        meter=meter.key if meter else f"{line.meter_id:08x}" if line.meter_id else "",
        attributes=dict(sets.get(line.attributes_id, {})),
        quantity=_quantity_of(p, meter),
        covered_seconds=line.covered_seconds,
        amount=amount(line.amount_micros, currency),
        price=price_name(p.price_list, line.price_id),
        revision=p.revision,
    )


def _quantity_of(p: Priced, meter: Meter | None) -> Quantity:
    """Return a line's quantity: of its meter, or of what else the price counts (a level, a number, seconds)."""
    entry = p.price_list.by_key.get(p.line.price_id) if p.price_list and p.line.price_id else None
    if entry is None or (meter is not None and entry.base == meter.base):
        return quantity(p.line.quantity, meter)
    return _displayed(p.line.quantity, entry.base, entry.unit, entry.unit_size)


def price_name(price_list: PriceList | None, key: int) -> PriceName | None:
    """Return the price of a key within its list and version; None for an unpriced line."""
    price = price_list.by_key.get(key) if price_list and key else None
    if price_list is None or price is None:
        return None
    return PriceName(
        id=price.id,
        component=price.component,
        charge=price.charge,
        product=price.product,
        price_list=price.list_id,
        version=price.version,
        amount=price.amount,
        currency=price_list.currency,
        per=price.unit,
    )
