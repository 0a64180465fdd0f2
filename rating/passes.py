"""The passes in which a list is rated: one for each size of window, with the usage that each one reads."""

from dataclasses import dataclass

from rating.charge import RESOURCE, Charge, needs_cells
from rating.lists import PriceList
from schemas.calendar import SIZES, Size
from schemas.ids import key32


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of `rating.engine.rate` over windows of one size.

    Attributes:
        size: of its windows.
        home: the pass in which unpriced usage is shown; it reads the usage of every meter.
        meters: ids of the meters whose usage it reads by segment; None: all (home).
        cell_meters: ids of the meters whose single observations it reads (CELL_SCHEMA).
        resources: whether usage must come apart by resource; False: by attributes alone is enough.
    """

    size: Size
    home: bool
    meters: frozenset[int] | None
    cell_meters: frozenset[int]
    resources: bool


def passes_of(price_list: PriceList) -> tuple[Pass, ...]:
    """Return the passes of a list, the home pass first, then by size."""
    sizes = {c.window for c in price_list.definitions} | {
        p.commitment.every for p in price_list.prices if p.commitment is not None
    }
    others = [size for size in SIZES if size in sizes and size != price_list.window]
    return tuple(_pass(price_list, size) for size in (price_list.window, *others))


def _pass(price_list: PriceList, size: Size) -> Pass:
    charges = [c for c in price_list.definitions if c.window == size]
    home = size == price_list.window
    by_cell = [c for c in charges if needs_cells(c)]
    by_segment = [c for c in charges if not needs_cells(c)]
    return Pass(
        size=size,
        home=home,
        meters=None if home else frozenset(key32(m) for c in by_segment for m in c.meters),
        cell_meters=frozenset(key32(m) for c in by_cell for m in c.meters),
        resources=home or any(map(_by_resource, charges)),
    )


def _by_resource(charge: Charge) -> bool:
    """Tell whether a charge needs to know whose an observation is."""
    each = RESOURCE in charge.each or (charge.aggregate == "unique" and charge.unique_of == RESOURCE)
    cells = charge.combine == "max" and charge.aggregate != "percentile"  # a percentile's maximum is that of the group
    observed = charge.model == "percentage" or (charge.convert is not None and charge.convert.at == "observation")
    return each or cells or observed or charge.power == "once"
