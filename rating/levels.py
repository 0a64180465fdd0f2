"""Levels that choose or fill tiers in place of the quantity: by the peak, the average…, or while they are held."""

from dataclasses import replace
from fractions import Fraction
from math import lcm

import numpy as np

from rating.charge import Charge
from rating.desk import Desk
from rating.groups import I64, Sorted
from rating.measure import measured, portions
from rating.scale import NO_BOUND, Scales, level_size
from rating.tariff import Tariff
from rating.tiers import Levels


def levels_of(
    charge: Charge, found: Sorted, desk: Desk, scales: Scales, tariffs: list[Tariff], spans: I64
) -> tuple[Levels | None, Levels | None]:
    """Return the levels for the totals up to each part, and before it; None where the quantity itself counts.

    Args:
        charge: says which level.
        found: its rows and parts.
        desk: registry and attribute sets.
        scales: the tariffs in integers.
        tariffs: by scale.
        spans: seconds of each part's evaluation window.
    """
    if charge.tiers_on == "level":
        return _filled(charge, found, desk, scales, tariffs)
    if charge.tier_by == "quantity":
        return None, None
    plain = replace(charge, aggregate=charge.tier_by, combine="sum")
    level = measured(plain, found, spans, desk.registry, desk.sets)
    common = lcm(*((t.up_to * level_size(one)).denominator for one in tariffs for t in one.price.tiers if t.up_to))
    lows, highs = [], []
    for number in range(scales.tiers):
        lows.append(scales.column([_bound(t, number - 1, common, 0) for t in tariffs]))
        highs.append(scales.column([_bound(t, number, common, NO_BOUND) for t in tariffs]))
    now = Levels(level.now.astype(object) * common, level.now_per, lows, highs)
    if level.before is None:
        return now, None
    return now, Levels(level.before.astype(object) * common, level.before_per, lows, highs)


def _bound(tariff: Tariff, number: int, common: int, absent: int) -> int:
    """Return the upper bound of a tier in steps of the level."""
    tiers = tariff.price.tiers
    bound = tiers[number].up_to if 0 <= number < len(tiers) else None
    return absent if bound is None else int(bound * level_size(tariff) * common)


def _filled(
    charge: Charge, found: Sorted, desk: Desk, scales: Scales, tariffs: list[Tariff]
) -> tuple[Levels | None, Levels | None]:
    """Return what of the quantity lies in each tier while it is held."""
    tiers = tariffs[0].price.tiers
    size = level_size(tariffs[0])
    bounds: list[tuple[Fraction, Fraction | None]] = []
    low = Fraction(0)
    for tier in tiers:
        high = None if tier.up_to is None else tier.up_to * size
        bounds.append((low, high))
        low = high or low
    divided = portions(found, charge, bounds, scales.column([s.after for s in scales.items]))
    now = Levels(portions=[q.now for q in divided])
    if divided[0].before is None:
        return now, None
    return now, Levels(portions=[np.zeros(0) if q.before is None else q.before for q in divided])
