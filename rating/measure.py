"""From usage to one quantity for each part: sums, counts, levels and percentiles, as exact fractions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rating.charge import RESOURCE, Charge, Percentile
from rating.exact import INT64_MAX
from rating.groups import Exact, Parts, Sorted, changed, exact_sums, running_totals
from rating.rows import Rows
from schemas.ids import key32, key64
from schemas.meters import Registry

I64 = npt.NDArray[np.int64]
ADDITIVE: Final = frozenset({"sum", "count", "time_weighted"})


@dataclass(frozen=True)
class Quantity:
    """What each part amounts to: numerator ÷ denominator base units (of the level, for levels).

    Attributes:
        now: numerators, shape (n,): the chain up to this part, or the part alone where parts are independent.
        now_per: denominators; 1 for all of them, or shape (n,).
        before: the chain before this part; None where every chain has one part.
        before_per: its denominators.
    """

    now: Exact
    now_per: Exact | int
    before: Exact | None = None
    before_per: Exact | int = 1

    def of_one_denominator(self) -> "Quantity":
        """Return the same quantities over one denominator for all parts, so that groups can share something."""
        per = [self.now_per, self.before_per if self.before is not None else 1]
        common = lcm(*(int(p) for column in per for p in np.unique(column).tolist()))
        if common == 1:
            return self
        now = self.now.astype(object) * (common // np.asarray(per[0], object))
        before = None if self.before is None else self.before.astype(object) * (common // np.asarray(per[1], object))
        return Quantity(now, common, before, common)


@dataclass(frozen=True)
class _Observations:
    """Values in order of part and time: quantity over seconds (0: an event, whose value is its quantity)."""

    part: I64
    start: I64
    seconds: I64
    quantity: Exact

    def __len__(self) -> int:
        return len(self.part)

    def take(self, which: Any) -> "_Observations":
        return _Observations(self.part[which], self.start[which], self.seconds[which], self.quantity[which])


def measured(
    charge: Charge, found: Sorted, spans: I64, registry: Registry, sets: Mapping[int, Mapping[str, str]]
) -> Quantity:
    """Return the quantity of each part of a charge.

    Args:
        charge: says how.
        found: its rows and parts.
        spans: seconds of each part's evaluation window, shape (n,).
        registry: tells events from levels.
        sets: attribute sets, for distinct values of an attribute.
    """
    if charge.combine_at == "window" and len(charge.meters) > 1:
        each = [_measured(charge, _only(found, key32(meter)), spans, registry, sets) for meter in charge.meters]
        return _combined(each, charge.combine)
    return _measured(charge, found, spans, registry, sets)


def _measured(
    charge: Charge, found: Sorted, spans: I64, registry: Registry, sets: Mapping[int, Mapping[str, str]]
) -> Quantity:
    rows, parts = found.rows, found.parts
    if charge.aggregate == "unique":
        values = _distinct_values(charge, rows, sets)
        return _by_rank(parts, lambda of, which: (_distinct(of, values[which]), 1), found.part_of)
    if charge.aggregate == "count":
        return _running(_by_part(rows.samples.astype(np.int64), found), parts, 1)
    per = spans if charge.aggregate == "time_weighted" else 1
    if charge.aggregate in ADDITIVE and (charge.combine == "sum" or charge.combine_at == "window"):
        return _running(_by_part(rows.quantity, found), parts, per)
    events = all(m in registry and registry[m].kind == "event" for m in charge.meters)
    seen = _observations(charge, found, events=events)
    if charge.aggregate in ADDITIVE:
        return _running(_sums_of(seen, len(parts)), parts, per)
    aggregate: _Aggregate = _AGGREGATES[charge.aggregate]
    percentile = charge.percentile or Percentile()
    return _by_rank(parts, lambda of, which: aggregate(of, seen.take(which), percentile, parts), seen.part)


def _only(found: Sorted, meter: int) -> Sorted:
    """Return the rows of one meter, with the same parts."""
    own = found.rows.meter == meter
    return replace(found, rows=found.rows.take(own), part_of=found.part_of[own])


def _by_part(values: Exact, found: Sorted) -> Exact:
    """Return the sum of the values of each part, 0 for one without rows."""
    starts = np.flatnonzero(changed(found.part_of)) if len(values) else np.zeros(0, np.intp)
    sums = exact_sums(values, starts)
    if len(sums) == len(found.parts):
        return sums
    whole = np.zeros(len(found.parts), sums.dtype)
    whole[found.part_of[starts]] = sums
    return whole


def _sums_of(seen: _Observations, count: int) -> Exact:
    """Return the sum of each part's observations, 0 for one without any."""
    starts = np.flatnonzero(changed(seen.part)) if len(seen) else np.zeros(0, np.intp)
    sums = exact_sums(seen.quantity, starts)
    whole = np.zeros(count, sums.dtype)
    whole[seen.part[starts]] = sums
    return whole


def _combined(each: list[Quantity], how: str) -> Quantity:
    """Return the sum or the larger of quantities that were measured apart."""
    first, *others = each
    for other in others:
        now, now_per = _joined(first.now, first.now_per, other.now, other.now_per, how)
        before, before_per = None, first.before_per
        if first.before is not None and other.before is not None:
            before, before_per = _joined(first.before, first.before_per, other.before, other.before_per, how)
        first = Quantity(now, now_per, before, before_per)
    return first


def _joined(one: Exact, one_per: Exact | int, other: Exact, other_per: Exact | int, how: str) -> tuple[Exact, Exact]:
    left, right = one.astype(object) * other_per, other.astype(object) * one_per
    per = np.ones(len(one), object) * one_per * other_per
    return (np.maximum(left, right) if how == "max" else left + right), per


def _running(sums: Exact, parts: Parts, per: Exact | int) -> Quantity:
    now, before = running_totals(sums, parts.first)
    return Quantity(now, per, before, per)


def _observations(charge: Charge, found: Sorted, *, events: bool) -> _Observations:
    """Return the values at each instant: rows of one part and start are added, meters combined as the charge says."""
    rows, part = found.rows, found.part_of
    if charge.aggregate not in ADDITIVE:  # rows that stand for no usage at all are no observations
        real = rows.samples > 0
        rows, part = rows.take(real), part[real]
    if events:
        return _Observations(part, rows.start, np.zeros(len(rows), np.int64), rows.quantity)
    start, seconds, quantity = rows.start, rows.seconds, rows.quantity
    resource, meter = rows.resource, rows.meter
    if charge.aggregate == "percentile" and charge.percentile is not None:
        grid = charge.percentile.cell_seconds
        start = start - start % grid
        seconds = np.maximum(seconds, grid)
        resource = np.zeros(len(rows), np.uint64)
    if charge.combine == "max":
        order = np.lexsort((meter, resource, start, part))
        part, start, seconds, quantity = part[order], start[order], seconds[order], quantity[order]
        resource, meter = resource[order], meter[order]
        at = np.flatnonzero(changed(part, start, resource, meter))
        quantity = exact_sums(quantity, at)
        part, start, seconds, resource = part[at], start[at], seconds[at], resource[at]
        at = np.flatnonzero(changed(part, start, resource))
        quantity = np.maximum.reduceat(quantity, at) if len(at) else quantity
        part, start, seconds = part[at], start[at], seconds[at]
    elif not _in_order(part, start):
        order = np.lexsort((start, part))
        part, start, seconds, quantity = part[order], start[order], seconds[order], quantity[order]
    at = np.flatnonzero(changed(part, start))
    longest = np.maximum.reduceat(seconds, at) if len(at) else seconds
    return _Observations(part[at], start[at], longest, exact_sums(quantity, at))


def _in_order(part: I64, start: I64) -> bool:
    return bool(((part[:-1] < part[1:]) | ((part[:-1] == part[1:]) & (start[:-1] <= start[1:]))).all())


def _by_rank(parts: Parts, aggregate: Callable[[I64, Any], tuple[Exact, Exact | int]], part: I64) -> Quantity:
    """Apply an aggregate to each chain up to its first, second, … part.

    Args:
        parts: the parts.
        aggregate: gets the number of the part that each value counts for (ascending), and which values these are;
            returns numerators and denominators, one for each distinct part.
        part: part of each value, ascending.
    """
    count = len(parts)
    now: Exact = np.zeros(count, object)
    per: Exact = np.ones(count, object)
    rank = np.arange(count) - parts.first
    ranks = int(rank.max()) + 1 if count else 0
    of_value = rank[part]
    for step in range(ranks):
        # Values of the chains that have a part of this rank, up to it, count for that part.
        target = parts.first[part] + step
        which = np.flatnonzero((of_value <= step) & (target < count))
        which = which[parts.first[target[which]] == parts.first[part[which]]]
        if not len(which):
            continue
        goal = target[which]
        numerator, denominator = aggregate(goal, which)
        places = goal[np.flatnonzero(changed(goal))]
        now[places], per[places] = numerator, denominator
    if ranks <= 1:
        return Quantity(_narrowed(now), _narrowed(per))
    before, before_per = np.roll(now, 1), np.roll(per, 1)
    alone = parts.first == np.arange(count)
    before[alone], before_per[alone] = 0, 1
    return Quantity(_narrowed(now), _narrowed(per), _narrowed(before), _narrowed(before_per))


def _narrowed(values: Exact) -> Exact:
    """Return Python integers as int64 where they fit."""
    if len(values) and max(int(values.max()), -int(values.min())) > INT64_MAX:
        return values
    return values.astype(np.int64)


def _scaled(seen: _Observations) -> tuple[Exact, int]:
    """Return all values over one denominator."""
    distinct = np.unique(seen.seconds).tolist()
    common = lcm(*(s for s in distinct if s)) if any(distinct) else 1
    factor = np.where(seen.seconds > 0, common // np.maximum(seen.seconds, 1), common)
    most = max(int(np.abs(seen.quantity).max()), 1) * common if len(seen) else 0
    values = seen.quantity.astype(object) if most > INT64_MAX else seen.quantity
    return values * factor, common


def _peak(of: I64, seen: _Observations, _rule: Percentile, _parts: Parts) -> tuple[Exact, int]:
    values, per = _scaled(seen)
    return np.maximum.reduceat(values, np.flatnonzero(changed(of))), per


def _lowest(of: I64, seen: _Observations, _rule: Percentile, _parts: Parts) -> tuple[Exact, int]:
    values, per = _scaled(seen)
    return np.minimum.reduceat(values, np.flatnonzero(changed(of))), per


def _last(of: I64, seen: _Observations, _rule: Percentile, _parts: Parts) -> tuple[Exact, int]:
    values, per = _scaled(seen)
    starts = np.flatnonzero(changed(of))
    return values[np.append(starts[1:], len(of)) - 1], per


def _average(of: I64, seen: _Observations, _rule: Percentile, _parts: Parts) -> tuple[Exact, Exact]:
    starts = np.flatnonzero(changed(of))
    weight = np.where(seen.seconds > 0, seen.seconds, 1)
    return exact_sums(seen.quantity, starts), exact_sums(weight, starts)


def _percentile(of: I64, seen: _Observations, rule: Percentile, parts: Parts) -> tuple[Exact, int]:
    """Nearest rank: of n values the highest floor(n × (100 − rank) ÷ 100) are discarded; the highest left counts."""
    # A cell in which a part ends is one cell all the same.
    at = np.flatnonzero(changed(of, seen.start) | (seen.seconds == 0))
    if len(at) < len(of):
        seen = _Observations(
            seen.part[at], seen.start[at], np.maximum.reduceat(seen.seconds, at), exact_sums(seen.quantity, at)
        )
        of = of[at]
    values, per = _scaled(seen)
    order = (
        np.lexsort((values, of))
        if values.dtype != object
        else np.array(sorted(range(len(of)), key=lambda i: (of[i], values[i])), dtype=np.intp)
    )
    starts = np.flatnonzero(changed(of))
    ends = np.append(starts[1:], len(of))
    present = ends - starts
    count = present
    if rule.missing == "zero":
        goal = of[starts]
        cells = (parts.end[goal] - parts.start[parts.first[goal]]) // rule.cell_seconds
        count = np.maximum(cells, present)
    part = (100 - rule.rank) / 100
    dropped = _dropped(count * part.numerator, part.denominator, rule)
    place = present - 1 - dropped  # of those present, in ascending order; below them come the cells without data
    chosen = values[order][np.clip(starts + place, 0, len(of) - 1)]
    return np.where(place >= 0, chosen, 0), per


def _dropped(numerator: I64, denominator: int, rule: Percentile) -> I64:
    """Return how many of the highest values are discarded."""
    if rule.discard == "round":
        return (2 * numerator + denominator) // (2 * denominator)
    return -(-numerator // denominator) if rule.discard == "ceil" else numerator // denominator


def portions(
    found: Sorted, charge: Charge, bounds: list[tuple[Fraction, Fraction | None]], after: Exact | int
) -> list[Quantity]:
    """Divide each observation's level over tiers, and return the quantity of each part in each tier, in steps.

    Args:
        found: rows and parts of the charge.
        charge: the charge.
        bounds: lower and upper bound of each tier, base units of the level.
        after: steps in one base unit, for each part; every bound times it is whole.
    """
    seen = _observations(charge, found, events=False)
    steps = (after if isinstance(after, int) else after[seen.part]) * np.ones(len(seen), object)
    quantity = seen.quantity * steps
    tiers = []
    for low, high in bounds:
        bottom = low.numerator * steps // low.denominator * seen.seconds
        portion = quantity - bottom
        if high is not None:
            portion = np.minimum(portion, high.numerator * steps // high.denominator * seen.seconds - bottom)
        sums = _sums_of(replace(seen, quantity=np.maximum(portion, 0)), len(found.parts))
        tiers.append(_running(sums, found.parts, 1))
    return tiers


_Aggregate = Callable[[I64, _Observations, Percentile, Parts], tuple[Exact, Exact | int]]
_AGGREGATES: Final[Mapping[str, _Aggregate]] = {
    "peak": _peak,
    "lowest": _lowest,
    "last": _last,
    "average": _average,
    "percentile": _percentile,
}


def _distinct_values(charge: Charge, rows: Rows, sets: Mapping[int, Mapping[str, str]]) -> npt.NDArray[np.uint64]:
    """Return what is counted once in each row; 0: nothing."""
    real = rows.samples > 0
    if charge.unique_of == RESOURCE:
        return np.where(real, rows.resource.astype(np.uint64, copy=False), np.uint64(0))
    values = [sets.get(attributes, {}).get(charge.unique_of) for _, attributes in rows.pairs]
    keys = np.array([0 if v is None else key64(v) for v in values], np.uint64)
    return np.where(real, keys[rows.pair], np.uint64(0))


def _distinct(of: I64, values: npt.NDArray[np.uint64]) -> I64:
    order = np.lexsort((values, of))
    goal, value = of[order], values[order]
    fresh = changed(goal, value) & (value != 0)
    return np.add.reduceat(fresh.astype(np.int64), np.flatnonzero(changed(goal)))
