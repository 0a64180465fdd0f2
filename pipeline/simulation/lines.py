"""One account under both lists, line by line: what was charged as a credit, what would be as a charge."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from pipeline.simulation.model import LineDifference, Pair
from rating.price_list import PriceList
from schemas.period import Period

KEYS: Final = ("window_start", "window_end", "segment_start", "segment_end", "resource_id", "meter_id", "attributes_id")
UNPRICED: Final = "unpriced"
"""Component of a line without a price."""


class _Sum:
    """Both sides of one line."""

    __slots__ = ("amount", "price", "product", "quantity")

    def __init__(self) -> None:
        self.quantity, self.amount = [0, 0], [0, 0]
        self.price, self.product = ["", ""], ""


def differences(tables: Sequence[Sequence[pa.Table]], lists: Sequence[PriceList | None]) -> list[LineDifference]:
    """Return the lines of both sides, joined by time, usage, charge and component; in order of these.

    Lines that are alike in all of them (two prices of one charge) are added.

    Args:
        tables: lines (LINE_SCHEMA) before and after.
        lists: both lists.
    """
    found: dict[tuple[int | str, ...], _Sum] = {}
    for side, (own, price_list) in enumerate(zip(tables, lists, strict=True)):
        by_key = price_list.by_key if price_list is not None else {}
        for table in own:
            names = (*KEYS, "price_id", "quantity", "amount_micros")
            for *key, price_id, quantity, micros in zip(*(table.column(n).to_pylist() for n in names), strict=True):
                price = by_key.get(price_id)
                charge, component = (price.charge, price.component) if price else ("", UNPRICED)
                entry = found.setdefault((*key, charge, component), _Sum())
                entry.quantity[side] += quantity
                entry.amount[side] += micros
                entry.price[side] = price.id if price else ""
                entry.product = price.product if price else entry.product
    return [_difference(key, found[key]) for key in sorted(found)]


def _difference(key: tuple[int | str, ...], entry: _Sum) -> LineDifference:
    *numbers, charge, component = key
    window_start, window_end, start, end, resource, meter, attributes = map(int, numbers)
    return LineDifference(
        window=Period(window_start, window_end),
        segment=Period(start, end),
        resource_id=resource,
        meter_id=meter,
        attributes_id=attributes,
        charge=str(charge),
        component=str(component),
        product=entry.product,
        quantity=Pair(*entry.quantity),
        amount=Pair(*entry.amount),
        prices=(entry.price[0], entry.price[1]),
    )
