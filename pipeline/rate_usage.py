"""Usage between any two seconds, from what is stored in cells: pure functions over columns.

Cells lie on a grid that divides 900 s, and prices may change at any second. So usage is asked for between multiples of
900 s; the quarters of an hour that hold another edge are read as single cells, which are split evenly over their
seconds, in whole base units that add up exactly: of a cell the part up to an instant is
floor(quantity × seconds until then ÷ seconds of the cell).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating.charge import Campaign, Charge
from rating.lists import PriceList
from rating.price import Price
from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from schemas.identity import mix_columns
from schemas.period import Period
from sinks.warehouse.combine import APPROXIMATE, combined, combined_cells

GRID_SECONDS: Final = 900
"""Every cell divides it (`schemas.meters`), so no cell crosses a multiple of it."""
SITE: Final = "site"
"""Attribute that names where usage was metered; it is not stored with samples."""

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask the warehouse in order to know usage between given edges.

    Attributes:
        edges: multiples of 900 s, for usage by segment.
        mixed: stretches on the grid that hold an edge beside it, neighbours joined: to be read as cells.
    """

    edges: tuple[int, ...]
    mixed: tuple[Period, ...]


def question(edges: Sequence[int]) -> Question:
    """Return what to ask for usage between ascending instants."""
    odd = sorted({edge // GRID_SECONDS for edge in edges if edge % GRID_SECONDS})
    mixed: list[Period] = []
    for number in odd:
        start, end = number * GRID_SECONDS, (number + 1) * GRID_SECONDS
        if mixed and mixed[-1].end == start:
            mixed[-1] = Period(mixed[-1].start, end)
        else:
            mixed.append(Period(start, end))
    even = {edge for edge in edges if edge % GRID_SECONDS == 0}
    even |= {edge for stretch in mixed for edge in (stretch.start, stretch.end)}
    return Question(tuple(sorted(even)), tuple(mixed))


def placed(usage: pa.Table, edges: Sequence[int], mixed: Sequence[Period]) -> pa.Table:
    """Return usage by the segments of a question without the mixed stretches, under the segments of the edges."""
    if not mixed:
        return usage
    start = usage.column("segment_start").to_numpy()
    keep = np.ones(len(start), dtype=np.bool_)
    for stretch in mixed:
        keep &= (start < stretch.start) | (start >= stretch.end)
    kept = usage.filter(pa.array(keep))
    return _with(kept, "segment_start", _segment_starts(start[keep], edges))


def split(cells: pa.Table, edges: Sequence[int]) -> pa.Table:
    """Return observations (CELL_SCHEMA) cut at the edges; what lies outside the first and the last edge is left out.

    The first part of a cell keeps its count of samples, the others have none. A part's digest is a hash of the cell's
    and the part's bounds; a cell that no edge cuts stays as it is.
    """
    bounds = np.array(edges, dtype=np.int64)
    start = cells.column("cell_start").to_numpy()
    end = start + cells.column("cell_seconds").to_numpy()
    first, last = np.searchsorted(bounds, start, side="right"), np.searchsorted(bounds, end, side="left")
    inside = (start >= bounds[0]) & (end <= bounds[-1])
    if inside.all() and (last == first).all():
        return cells
    count = last - first + 1
    row = np.repeat(np.arange(len(start)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    is_first, is_last = number == 0, number == count[row] - 1
    cut = first[row] + number  # the edge at which a part ends, and one behind that at which it begins
    part_start = np.where(is_first, start[row], bounds[np.maximum(cut - 1, 0)])
    part_end = np.where(is_last, end[row], bounds[np.minimum(cut, len(bounds) - 1)])
    parts = _parts(cells, row, part_start, part_end, is_first, count[row] > 1)
    within = (part_start >= bounds[0]) & (part_end <= bounds[-1])
    return parts if within.all() else parts.filter(pa.array(within))


def _parts(
    cells: pa.Table, row: I64, start: I64, end: I64, is_first: npt.NDArray[np.bool_], is_cut: npt.NDArray[np.bool_]
) -> pa.Table:
    columns = {name: cells.column(name).to_numpy()[row] for name in CELL_SCHEMA.names}
    seconds, since = columns["cell_seconds"], columns["cell_start"]
    for name in ("quantity", "covered_seconds"):
        columns[name] = _until(columns[name], end - since, seconds) - _until(columns[name], start - since, seconds)
    columns["samples"] = np.where(is_first, columns["samples"], np.uint64(0))
    columns["digest"] = np.where(is_cut, mix_columns(columns["digest"], start, end), columns["digest"])
    columns["cell_start"], columns["cell_seconds"] = start, end - start
    return pa.table([pa.array(columns[f.name], f.type) for f in CELL_SCHEMA], schema=CELL_SCHEMA)


def _until(quantity: I64, elapsed: I64, seconds: I64) -> I64:
    """Return floor(quantity × elapsed ÷ seconds) without a product that could overflow."""
    whole, rest = np.divmod(quantity, seconds)
    return whole * elapsed + rest * elapsed // seconds


def usage_of(cells: pa.Table, edges: Sequence[int]) -> pa.Table:
    """Return observations that no edge cuts as usage (USAGE_SCHEMA, one row each) by the segments of the edges."""
    columns = {name: cells.column(name) for name in USAGE_SCHEMA.names if name in CELL_SCHEMA.names}
    columns["segment_start"] = pa.array(_segment_starts(cells.column("cell_start").to_numpy(), edges), pa.int64())
    columns["tenant_id"] = pa.array(np.zeros(cells.num_rows, np.uint64))
    return pa.table([columns[f.name] for f in USAGE_SCHEMA], schema=USAGE_SCHEMA)


def _segment_starts(instants: I64, edges: Sequence[int]) -> I64:
    bounds = np.array(edges, dtype=np.int64)
    return bounds[np.searchsorted(bounds, instants, side="right") - 1]


def _with(table: pa.Table, name: str, values: npt.NDArray[np.generic]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def merged(parts: Sequence[pa.Table]) -> pa.Table:
    """Return usage of several reads as one, equal keys added; raises Poison (``usage_too_large``)."""
    return combined([_checked(part) for part in parts])


def merged_cells(parts: Sequence[pa.Table]) -> pa.Table:
    """Return observations of several reads as one, in order; none is added to another."""
    return combined_cells([], [_checked(part) for part in parts])


def _checked(part: pa.Table) -> pa.Table:
    return part.append_column(APPROXIMATE, part.column("quantity").cast(pa.float64(), safe=False))


def relabelled(table: pa.Table, sets: Mapping[int, int]) -> pa.Table:
    """Return usage or observations with other keys of their attribute sets; keys that are not named stay.

    Rows may then be out of order, or have equal keys: `merged` mends both.
    """
    distinct, place = np.unique(table.column("attributes_id").to_numpy(), return_inverse=True)
    wanted = np.array([sets.get(key, key) for key in distinct.tolist()], dtype=np.uint64)
    return _with(table, "attributes_id", wanted[place])


def needs_site(price_list: PriceList) -> bool:
    """Tell whether anything in a list depends on the attribute `site`."""
    charges = [*price_list.charges, *(price.charge for price in price_list.prices)]
    conditions: list[Price | Campaign] = [*price_list.prices, *price_list.campaigns]
    return any(name == SITE for each in conditions for name, _ in each.when) or any(map(_by_site, charges))


def _by_site(charge: Charge) -> bool:
    named = {charge.unique_of, *charge.each, *(name for factor in charge.factors for name, _ in factor.when)}
    return SITE in named


def pool_charges(price_list: PriceList) -> tuple[Charge, ...]:
    """Return the charges with an allowance that several accounts share, in order of id."""
    found = {p.charge: None for p in price_list.prices if p.free is not None and p.free.pool == "accounts"}
    return tuple(sorted(found, key=lambda charge: charge.id))
