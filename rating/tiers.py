"""Tiers on columns: which part of a quantity each tier prices, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rating.charge import Settings
from rating.groups import Exact
from rating.scale import NO_BOUND, Scales
from schemas.errors import Poison


@dataclass(frozen=True)
class Tiered:
    """What tiers make of quantities; every array has shape (n,), the numbers are over the quantity's denominators.

    Attributes:
        portions: steps in each tier.
        amounts: shares of each tier.
        reached: whether each tier applies at all, also with nothing in it.
        beyond: steps above the last tier that are not billed.
    """

    portions: list[Exact]
    amounts: list[Exact]
    reached: list[Any]
    beyond: Exact


@dataclass(frozen=True)
class Levels:
    """What chooses the tier of a volume price, or fills those of a graduated one, in place of the quantity.

    Attributes:
        steps, per: numerators and denominators of the level in steps of its own, or None.
        lows, highs: bounds of each tier in these steps, by tier.
        portions: steps of the quantity in each tier, or None.
    """

    steps: Exact | None = None
    per: Exact | int = 1
    lows: Sequence[Exact | int] = ()
    highs: Sequence[Exact | int] = ()
    portions: Sequence[Exact] | None = None


def tiered(
    steps: Exact, per: Exact | int, scales: Scales, settings: Settings, levels: Levels | None = None, *, volume: bool
) -> Tiered:
    """Price quantities by tiers.

    Args:
        steps: numerators of the quantities, zero or more, in steps, shape (n,).
        per: their denominators.
        scales: the tariffs.
        settings: bounds, zero, beyond and blocks.
        levels: what chooses the tier instead, or None.
        volume: one tier prices the whole quantity; otherwise each its own part.

    Raises:
        Poison: ``beyond_last_tier`` where the settings refuse such usage.
    """
    portions, amounts, reached = [], [], []
    for number in range(scales.tiers):
        portion, applies = _tier(steps, per, scales, settings, levels, number, volume=volume)
        block = scales.tier("block", number)
        amount = scales.tier("price", number) * _blocks(portion, per, block, settings)
        flat = scales.tier("flat", number)
        if not (isinstance(flat, int) and flat == 0):
            amount = amount + np.where(applies, flat * per, 0)
        portions.append(portion)
        amounts.append(amount)
        reached.append(applies)
    if levels is not None:
        return Tiered(portions, amounts, reached, np.zeros(len(steps), steps.dtype))
    return Tiered(portions, amounts, reached, _beyond(steps, per, scales, settings, volume=volume))


def _tier(
    steps: Exact,
    per: Exact | int,
    scales: Scales,
    settings: Settings,
    levels: Levels | None,
    number: int,
    *,
    volume: bool,
) -> tuple[Exact, Any]:
    """Return the steps that a tier prices, and whether it applies."""
    if levels is not None and levels.portions is not None:
        return levels.portions[number], levels.portions[number] > 0
    bounds = (scales.tier("low", number), scales.tier("high", number))
    if levels is None or levels.steps is None:
        return _portion(steps, per, bounds, scales, settings, number, volume=volume)
    bounds = (levels.lows[number], levels.highs[number])
    _, applies = _portion(levels.steps, levels.per, bounds, scales, settings, number, volume=True)
    return np.where(applies, steps, 0), applies


def _portion(
    steps: Exact,
    per: Exact | int,
    bounds: tuple[Exact | int, Exact | int],
    scales: Scales,
    settings: Settings,
    number: int,
    *,
    volume: bool,
) -> tuple[Exact, Any]:
    """Return the steps between a tier's bounds (or all of them, where it holds them), and whether it applies."""
    low, high = bounds
    absent = np.array([number >= len(s.price) for s in scales.items])[scales.of]
    last = np.array([number == len(s.price) - 1 for s in scales.items])[scales.of]
    endless = (high == NO_BOUND) | (last & (settings.beyond == "last_price"))
    exclusive = settings.bounds == "exclusive"
    kept = last & ~np.asarray(high == NO_BOUND) & (volume and settings.beyond == "not_billed")
    if volume and settings.beyond == "not_billed":  # what lies up to the last bound is the last tier's
        steps = np.where(kept, np.minimum(steps, high * per), steps)
    above = steps - low * per
    reached = above >= 0 if exclusive and number else above > 0
    if number == 0 and settings.zero == "first_flat":
        reached = reached | (steps == 0)
    within = (steps < high * per) | (kept & (steps == high * per)) if exclusive else steps <= high * per
    if volume:
        applies = reached & (endless | within) & ~absent
        return np.where(applies, steps, 0), applies
    size = np.where(endless, above, np.minimum(above, (high - low) * per))
    return np.where(absent, 0, np.maximum(size, 0)), reached & ~absent


def _blocks(portion: Exact, per: Exact | int, block: Exact | int, settings: Settings) -> Exact:
    """Return what the price of a tier is multiplied with, over the quantity's denominators."""
    if isinstance(block, int) and block == 0:
        return portion
    whole = np.maximum(block, 1) * per
    count = -(-portion // whole) if settings.blocks == "whole" else portion // whole
    return np.where(np.asarray(block) > 0, count * per, portion)


def _beyond(steps: Exact, per: Exact | int, scales: Scales, settings: Settings, *, volume: bool) -> Exact:
    """Return the steps above the last tier, where the settings do not price them like it."""
    bound = scales.column([s.high[-1] if s.high else NO_BOUND for s in scales.items])
    if settings.beyond == "last_price" or (isinstance(bound, int) and bound == NO_BOUND):
        return np.zeros(len(steps), steps.dtype)
    over = np.maximum(steps - bound * per, 0)
    outside = (steps >= bound * per) if volume and settings.bounds == "exclusive" else over > 0
    outside = outside & (np.asarray(bound) != NO_BOUND)
    if settings.beyond == "refused" and bool(np.any(outside)):
        raise Poison(
            "beyond_last_tier",
            "usage lies above the last tier of a price whose setting `beyond` is refused: add a tier without up_to, "
            "or choose last_price or not_billed",
        )
    return np.where(outside, over, 0)
