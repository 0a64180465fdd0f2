"""Lines of rated files as rows of text, exact, and in words."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rating.components import LinePrice
from rating.decimals import shown
from rating.explain import Explanation, Line, LineNames, explain
from rating.spans import span_seconds
from rating.tariff import Tariffs
from schemas.batch import canonical_attributes
from schemas.money import decimal_text
from schemas.period import iso
from stratometer.rate_files import FileRating

ROW_COLUMNS: Final = (
    "window_from",
    "window_to",
    "from",
    "to",
    "resource",
    "meter",
    "attributes",
    "quantity",
    "unit",
    "product",
    "charge",
    "price",
    "component",
    "unit_price",
    "amount",
    "currency",
    "digest",
)
"""Columns of `line_rows`, in order."""
EXPLANATION: Final = "explanation"
_iso = lru_cache(maxsize=1 << 12)(iso)  # the same few instants stand in most lines


def line_rows(rating: FileRating) -> list[dict[str, str]]:
    """Return one row of texts a line, keys as ROW_COLUMNS, for JSON, CSV or a table; every value is exact.

    An unpriced line has empty product, charge, price and component. Quantities stand in the price's unit, else the
    meter's first one; a number that does not end is a fraction such as 5/18. Resource, meter and attributes are empty
    where a line stands for several.
    """
    return [_row(line, rating) for line in _lines(rating)]


def explanations(rating: FileRating) -> list[Explanation]:
    """Return the explanation of each line, in the order of the lines."""
    tariffs = Tariffs(rating.price_list, rating.terms)
    return [explain(line, rating.price_list, _names(line, rating), rating.terms, tariffs) for line in _lines(rating)]


def _names(line: Line, rating: FileRating) -> LineNames:
    meter = rating.registry.by_id.get(line.meter_id)
    return LineNames(
        resource=rating.resources.get(line.resource_id, ""),
        meter=meter.key if meter else "",
        attributes=rating.attribute_sets.get(line.attributes_id, {}),
        unit=(meter.display_unit, meter.display[meter.display_unit]) if meter else ("", 1),
    )


def _lines(rating: FileRating) -> Iterator[Line]:
    columns = [rating.lines[name].to_pylist() for name in Line.__dataclass_fields__]
    return (Line(*values) for values in zip(*columns, strict=True))


def _row(line: Line, rating: FileRating) -> dict[str, str]:
    price = rating.price_list.by_key.get(line.price_id)
    names = _names(line, rating)
    attributes = rating.attribute_sets.get(line.attributes_id)
    unit, size = unit_of(line, price, names, rating.terms.zone)
    values = (
        _iso(line.window_start),
        _iso(line.window_end),
        _iso(line.segment_start),
        _iso(line.segment_end),
        names.resource,
        names.meter,
        "" if attributes is None else canonical_attributes(attributes),
        shown(line.quantity / size),
        unit,
        price.product if price else "",
        price.charge if price else "",
        price.id if price else "",
        price.component if price else "",
        price.amount if price else "",
        decimal_text(line.amount_micros),
        rating.price_list.currency,
        f"{line.digest:016x}",
    )
    return dict(zip(ROW_COLUMNS, values, strict=True))


def unit_of(line: Line, price: LinePrice | None, names: LineNames, zone: str) -> tuple[str, Fraction]:
    """Return the unit in which a line's quantity is shown, and what of the quantity makes one."""
    if price is None:
        return names.unit[0], Fraction(names.unit[1])
    if price.span is None or price.price is None:
        return price.unit, price.unit_size
    span = span_seconds(price.price.unit.span, line.window_start, price.price.charge.settings, zone)
    return price.unit, price.unit_size * span
