"""`rate()`: usage in, rated lines out. Pure, deterministic and total.

Every usage row becomes exactly one line; one that no price matches becomes an unpriced line (price 0, amount 0), which
is shown and never dropped. The same rows in another order give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rating import totals
from rating.choice import Slots, choice_table, slots_of
from rating.digests import line_digests, segment_digests
from rating.exact import Rates, Ratio, amounts, grouped_totals, rates_of
from rating.price_list import PriceList
from rating.tables import LINE_SCHEMA, USAGE_SCHEMA
from rating.windows import Segments
from schemas.errors import Invariant
from schemas.meters import Registry

CHUNK_ROWS: Final = 1 << 15
"""Rows computed at a time: a dozen columns of intermediate values then stay in a core's cache."""

Column = npt.NDArray[np.integer[Any]]
Columns = dict[str, Column]


@dataclass(frozen=True, slots=True)
class Rated:
    """Lines and what they come to. Breakdowns by product and meter sum to the total exactly.

    Attributes:
        lines: as LINE_SCHEMA, one for each usage row.
        price_list: id of the list.
        version: its version.
        currency: of all amounts.
        total_micros: sum of all lines.
        unpriced: number of lines without a price.
        unpriced_meters: keys (hexadecimal id where the registry lacks the meter) of the meters of such lines.
        by_product: micro-units by product, each product of the list that has lines or not.
        by_meter: micro-units by meter key.
        windows: every window in order, also those without lines.
    """

    lines: pa.Table
    price_list: str
    version: int
    currency: str
    total_micros: int
    unpriced: int
    unpriced_meters: tuple[str, ...]
    by_product: Mapping[str, int]
    by_meter: Mapping[str, int]
    windows: tuple[totals.WindowTotal, ...]


def rate(
    usage: pa.Table,
    price_list: PriceList,
    registry: Registry,
    attribute_sets: Mapping[int, Mapping[str, str]],
    segments: Segments,
) -> Rated:
    """Rate usage under a price list.

    Args:
        usage: as USAGE_SCHEMA, in any order; `segment_start` must be one of the segments'.
        price_list: in force for this account.
        registry: names the meters of unpriced lines.
        attribute_sets: attributes_id → attributes of every set in the usage; 0 is the empty set unless given.
        segments: from `rating.windows.segments_of` with the same price list.

    Raises:
        Invariant: usage outside the segments, null values, another schema, unknown attribute set, a price change
            inside a segment.
        Poison: ``amount_too_large``, a line's amount exceeds 2^63 - 1 micro-units.
    """
    columns = _columns(usage)
    if not len(columns["quantity"]):
        return _rated(price_list, registry, segments, columns, np.zeros(0, np.int64), _Priced.empty())
    segment = _segment_of(columns["segment_start"], segments)
    columns, segment = _ordered(columns, segment)
    pair, pairs = _pairs(columns["meter_id"], columns["attributes_id"])
    chosen, epoch_of = choice_table(price_list, pairs, attribute_sets, segments)
    slots = slots_of(price_list)
    slot = chosen.reshape(-1)[pair * chosen.shape[1] + epoch_of[segment]]
    return _rated(
        price_list, registry, segments, columns, segment, _priced(price_list, slots, segments, columns, segment, slot)
    )


@dataclass(frozen=True, slots=True)
class _Priced:
    """Result columns: slot of the price, its key, the amount, the line's digest."""

    slot: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    amount: npt.NDArray[np.int64]
    digest: npt.NDArray[np.uint64]

    @classmethod
    def empty(cls, rows: int = 0) -> "_Priced":
        return cls(
            np.zeros(rows, np.int64), np.zeros(rows, np.uint64), np.zeros(rows, np.int64), np.zeros(rows, np.uint64)
        )


def _columns(usage: pa.Table) -> Columns:
    """Return the usage as NumPy columns; nulls would become floats, so they are refused first."""
    if usage.schema.names != USAGE_SCHEMA.names or usage.schema.types != USAGE_SCHEMA.types:
        raise Invariant(f"usage has another schema than USAGE_SCHEMA: {usage.schema.to_string()}")
    nulls = [name for name in usage.schema.names if usage[name].null_count]
    if nulls:
        raise Invariant(f"usage has nulls in {', '.join(nulls)}")
    return {name: usage[name].to_numpy() for name in usage.schema.names}


def _encoded(column: Column) -> tuple[npt.NDArray[np.int64], Column]:
    """Return the code of each row and the distinct values by code."""
    encoded = pc.dictionary_encode(pa.array(column))
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_numpy()


def _segment_of(start: Column, segments: Segments) -> npt.NDArray[np.int64]:
    code, distinct = _encoded(start)
    position = {edge: i for i, edge in enumerate(segments.edges[:-1])}
    strange = [value for value in distinct.tolist() if value not in position]
    if strange:
        raise Invariant(f"usage of {len(strange)} unknown segments, the first starts at {strange[0]}")
    return np.array([position[value] for value in distinct.tolist()], dtype=np.int64)[code]


def _pairs(meter: Column, attributes: Column) -> tuple[npt.NDArray[np.int64], list[tuple[int, int]]]:
    """Return the number of each row's (meter, attribute set) and the distinct pairs by number."""
    meter_code, meters = _encoded(meter)
    set_code, sets = _encoded(attributes)
    code, distinct = _encoded(meter_code * len(sets) + set_code)  # both counts are below 2^31: no overflow
    meter_ids, set_ids = meters.tolist(), sets.tolist()
    return code, [(meter_ids[d // len(sets)], set_ids[d % len(sets)]) for d in distinct.tolist()]


def _ordered(columns: Columns, segment: npt.NDArray[np.int64]) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Return the rows in the order of lines; rows of equal key are ordered by their content, never by arrival."""
    keys = (segment, columns["resource_id"], columns["meter_id"], columns["attributes_id"])
    if _ascending(keys):
        return columns, segment
    content = (columns["quantity"], columns["covered_seconds"], columns["digest"])
    order = np.lexsort((*reversed(content), *reversed(keys)))
    return {name: column[order] for name, column in columns.items()}, segment[order]


def _ascending(keys: tuple[Column, ...]) -> bool:
    """Tell whether rows are strictly ascending by the keys, the first key first."""
    before = np.zeros(max(len(keys[0]) - 1, 0), dtype=np.bool_)
    for key in reversed(keys):
        here, after = key[:-1], key[1:]
        before = (here < after) | ((here == after) & before)
    return bool(before.all())


def _priced(
    price_list: PriceList,
    slots: Slots,
    segments: Segments,
    columns: Columns,
    segment: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
) -> _Priced:
    digits, mode = price_list.rounding.digits, price_list.rounding.mode
    # Slot 0 rates to zero, so unpriced rows need no case of their own.
    rates: Rates = rates_of([price.ratio(digits) if price else Ratio(0, 1) for price in slots.prices], digits)
    segment_digest = segment_digests(*segments.columns())
    result = _Priced.empty(len(slot))
    result.slot[:] = slot
    for at in range(0, len(slot), CHUNK_ROWS):
        rows = slice(at, at + CHUNK_ROWS)
        part = slot[rows]
        quantity = columns["quantity"][rows].astype(np.int64, copy=False)
        result.key[rows] = slots.keys[part]
        result.amount[rows] = amounts(quantity, part, rates, mode)
        result.digest[rows] = line_digests(
            segment_digest[segment[rows]],
            slots.digests[part],
            columns["resource_id"][rows],
            columns["meter_id"][rows],
            columns["attributes_id"][rows],
            quantity,
            columns["covered_seconds"][rows],
            columns["digest"][rows],
        )
    return result


def _rated(
    price_list: PriceList,
    registry: Registry,
    segments: Segments,
    columns: Columns,
    segment: npt.NDArray[np.int64],
    priced: _Priced,
) -> Rated:
    rows_each = np.bincount(segment, minlength=len(segments))  # rows are ordered by segment
    window_start, window_end, start, end = (np.repeat(column, rows_each) for column in segments.columns())
    values: Columns = {
        "window_start": window_start,
        "window_end": window_end,
        "segment_start": start,
        "segment_end": end,
        "resource_id": columns["resource_id"],
        "meter_id": columns["meter_id"],
        "attributes_id": columns["attributes_id"],
        "price_id": priced.key,
        "quantity": columns["quantity"],
        "covered_seconds": columns["covered_seconds"],
        "amount_micros": priced.amount,
        "usage_digest": columns["digest"],
        "digest": priced.digest,
    }
    lines = pa.table([pa.array(values[field.name], field.type) for field in LINE_SCHEMA], schema=LINE_SCHEMA)
    has_price = priced.slot > 0
    window = np.repeat(np.array(segments.window_of, dtype=np.int64), rows_each)
    prices = (None, *price_list.prices)
    by_slot = grouped_totals(priced.amount, priced.slot, len(prices))
    bare = np.unique(columns["meter_id"][~has_price]).tolist()
    return Rated(
        lines=lines,
        price_list=price_list.id,
        version=price_list.version,
        currency=price_list.currency,
        total_micros=sum(by_slot),
        unpriced=int((~has_price).sum()),
        unpriced_meters=tuple(sorted(registry.by_id[m].key if m in registry.by_id else f"{m:08x}" for m in bare)),
        by_product=totals.by_product(prices, by_slot),
        by_meter=totals.by_meter(prices, by_slot),
        windows=totals.by_window(segments, window, has_price, priced.amount, priced.digest),
    )
