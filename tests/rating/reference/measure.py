"""One quantity of many observations."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from schemas.meters import Registry
from schemas.period import Period
from tests.rating.reference.document import Charge, Node
from tests.rating.reference.numbers import rounded
from tests.rating.reference.usage import Piece, cut

Value = tuple[int, int, Fraction]
"""Start, seconds, quantity: what was seen at one time, all resources together."""


def measured(
    charge: Charge, pieces: Sequence[Piece], time: Sequence[Period], window: Period, registry: Registry
) -> Fraction:
    """Return the charge's aggregate of a group.

    Args:
        charge: tells which.
        pieces: of the group.
        time: the parts in which the group's price holds and the account is active.
        window: evaluation window.
        registry: tells events from levels.
    """
    if charge.aggregate == "count":
        return Fraction(len(pieces))
    if charge.aggregate == "unique":
        return Fraction(len(_distinct(charge, pieces)))
    if charge.aggregate == "time_weighted":
        return Fraction(sum(p.quantity for p in pieces), window.seconds)
    if charge.raw.get("combine_at") == "window":
        alone = replace(charge, raw={**charge.raw, "combine_at": "cell"})
        each = [measured(alone, [p for p in pieces if p.meter == m], time, window, registry) for m in charge.meters]
        return max(each) if charge.combine == "max" else sum(each, Fraction(0))
    is_event = bool(charge.meters) and registry[charge.meters[0]].kind == "event"
    if charge.aggregate == "percentile":
        return _percentile(charge, pieces, time, is_event)
    values = _values(charge, pieces, is_event)
    if charge.aggregate == "sum":
        return sum((q for _, _, q in values), Fraction(0))
    if not values:
        return Fraction(0)
    if charge.aggregate == "average":
        weight = len(values) if is_event else sum(seconds for _, seconds, _ in values)
        return sum((q for _, _, q in values), Fraction(0)) / weight
    levels = [quantity if is_event else quantity / seconds for _, seconds, quantity in values]
    return {"last": levels[-1], "peak": max(levels), "lowest": min(levels)}[charge.aggregate]


def levels_of(charge: Charge, pieces: Sequence[Piece]) -> list[tuple[Fraction, int]]:
    """Return the level at each time observed, and for how many seconds."""
    return [(quantity / seconds, seconds) for _, seconds, quantity in _values(charge, pieces, is_event=False)]


def _distinct(charge: Charge, pieces: Sequence[Piece]) -> set[str]:
    of = charge.raw.get("unique_of", "resource")
    if of == "resource":
        return {p.resource for p in pieces}
    return {p.attributes[of] for p in pieces if of in p.attributes}


def _values(charge: Charge, pieces: Sequence[Piece], is_event: bool) -> list[Value]:
    """Combine meters per cell and resource, then add the resources that were seen at one time; events stay apart."""
    if is_event and charge.combine == "sum":
        ordered = sorted(pieces, key=lambda p: (p.start, p.resource, p.quantity))
        return [(p.start, p.seconds, Fraction(p.quantity)) for p in ordered]
    combined = _combined(charge, pieces, lambda p: (p.start, p.resource))
    ends = {p.start: p.end for p in sorted(pieces, key=lambda p: p.end)}
    by_start: dict[int, Fraction] = defaultdict(Fraction)
    for (start, _), quantity in combined.items():
        by_start[start] += quantity
    return [(start, ends[start] - start, by_start[start]) for start in sorted(by_start)]


def _combined(
    charge: Charge, pieces: Sequence[Piece], key: Callable[[Piece], tuple[int, str]]
) -> dict[tuple[int, str], Fraction]:
    sums: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for piece in pieces:
        sums[key(piece)][piece.meter] += piece.quantity
    join = max if charge.combine == "max" else sum
    return {k: Fraction(join(by_meter.values())) for k, by_meter in sums.items()}


def _percentile(charge: Charge, pieces: Sequence[Piece], time: Sequence[Period], is_event: bool) -> Fraction:
    how: Node = charge.raw.get("percentile", {})
    cell = int(how.get("cell", "300"))
    # All resources of the group first, then the larger meter: in and out of a line are two totals.
    combined = _combined(charge, _in_cells(pieces, cell), lambda p: (p.start // cell, ""))
    values = [Fraction(p.quantity) for p in pieces] if is_event else [q / cell for q in combined.values()]
    levels = sorted(values)
    if how.get("missing", "skip") == "zero":
        cells = {c for t in time for c in range(t.start // cell, ceil(Fraction(t.end, cell)))}
        levels = sorted([*levels, *[Fraction(0)] * (len(cells) - len(levels))])
    exact = Fraction(len(levels)) * (100 - Fraction(how.get("rank", "95"))) / 100
    discarded = rounded(exact, {"floor": "floor", "ceil": "ceiling", "round": "half_up"}[how.get("discard", "floor")])
    kept = levels[: len(levels) - discarded]
    return kept[-1] if kept else Fraction(0)


def _in_cells(pieces: Sequence[Piece], cell: int) -> list[Piece]:
    return [part for p in pieces for part in cut([p], range(p.start - p.start % cell + cell, p.end, cell))]
