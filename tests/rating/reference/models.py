"""What a quantity costs under one price: each model as a few lines of arithmetic on fractions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tests.rating.reference.document import Charge, Node, Refused, number, optional

ZERO = Fraction(0)
Parts = dict[str, tuple[Fraction, Fraction]]
"""Component → (quantity in `per`, amount)."""


@dataclass(frozen=True)
class Tier:
    up_to: Fraction | None
    amount: Fraction
    flat: Fraction
    block: Fraction | None


def tiers_of(charge: Charge, node: Node) -> list[Tier]:
    """Every tiered model has one shape; a single price is one tier without end."""
    if charge.model in ("per_unit", "one_off"):
        return [Tier(None, number(node, "amount"), ZERO, None)]
    if charge.model == "package":
        return [Tier(None, number(node, "amount"), ZERO, number(node, "size"))]
    tiers = []
    for raw in node["tiers"]:
        amount = Fraction(raw["percent"]) / 100 if "percent" in raw else number(raw, "amount")
        flat = number(raw, "flat")
        if charge.model == "stairstep":
            amount, flat = ZERO, amount
        tiers.append(Tier(optional(raw, "up_to"), amount, flat, optional(raw, "block")))
    return tiers


def tiered(charge: Charge, tiers: Sequence[Tier], x: Fraction, by: Fraction | None = None) -> Parts:
    """Price `x` of a group that exists. `by`: the level that chooses the tier instead of `x`."""
    end, beyond = tiers[-1].up_to, charge.settings["beyond"]
    rest = ZERO
    if end is not None and by is None and x > end and beyond != "last_price":
        if beyond == "refused":
            raise Refused("beyond_last_tier")
        x, rest = end, x - end
    volume = charge.model in ("volume", "stairstep")
    parts = _volume(charge, tiers, x, x if by is None else by) if volume else _graduated(charge, tiers, x)
    if rest:
        parts["beyond"] = (rest, ZERO)
    if not volume and len(tiers) == 1 and end is None:  # a single price; its line names no tier
        return {"unit" if name == "tier-1" else name: part for name, part in parts.items()}
    return parts


def _reached(charge: Charge, index: int, lower: Fraction, x: Fraction) -> bool:
    if index == 0:
        return x > 0 or charge.settings["zero"] == "first_flat"
    return x > lower if charge.settings["bounds"] == "inclusive" else x >= lower


def by_level(charge: Charge, tiers: Sequence[Tier], levels: Sequence[tuple[Fraction, Fraction]]) -> Parts:
    """Price levels over time, each in the tiers in which it sits: (level, time in the unit of `per`)."""
    parts: Parts = {}
    lower = ZERO
    for index, tier in enumerate(tiers):
        reached = [(x, time) for x, time in levels if _reached(charge, index, lower, x)]
        if reached:
            upper = None if index == len(tiers) - 1 else tier.up_to
            quantity = sum(((x if upper is None else min(x, upper)) - lower) * time for x, time in reached)
            parts[f"tier-{index + 1}"] = (Fraction(quantity), quantity * tier.amount + tier.flat)
        lower = tier.up_to or ZERO
    return parts


def _graduated(charge: Charge, tiers: Sequence[Tier], x: Fraction) -> Parts:
    parts: Parts = {}
    lower = ZERO
    for index, tier in enumerate(tiers):
        if not _reached(charge, index, lower, x):
            break
        last = index == len(tiers) - 1
        upper = x if last or tier.up_to is None else min(x, tier.up_to)
        quantity = upper - lower
        parts[f"tier-{index + 1}"] = (quantity, _blocks(charge, tier, quantity) * tier.amount + tier.flat)
        lower = tier.up_to or ZERO
    return parts


def _volume(charge: Charge, tiers: Sequence[Tier], x: Fraction, by: Fraction) -> Parts:
    if not _reached(charge, 0, ZERO, by):
        return {}
    index = 0
    while index < len(tiers) - 1 and _reached(charge, index + 1, tiers[index].up_to or ZERO, by):
        index += 1
    tier = tiers[index]
    return {f"tier-{index + 1}": (x, _blocks(charge, tier, x) * tier.amount + tier.flat)}


def _blocks(charge: Charge, tier: Tier, quantity: Fraction) -> Fraction:
    if tier.block is None:
        return quantity
    blocks = quantity / tier.block
    return {"whole": Fraction(ceil(blocks)), "partial": blocks, "down": Fraction(floor(blocks))}[
        charge.settings["blocks"]
    ]


def percentage(charge: Charge, node: Node, values: Sequence[Fraction]) -> Parts:
    """Price events by their values, in order."""
    free_events = int(node["free_events"]) if "free_events" in node else None
    free_amount = optional(node, "free_amount")
    totals = [sum(values[: i + 1], ZERO) for i in range(len(values))]
    if charge.settings["zero"] == "nothing" and not sum(values, ZERO):
        return {"percent": (ZERO, ZERO)}
    free_value = _free_value(totals, free_events, free_amount)
    strict = charge.settings["bounds"] == "exclusive"
    by_amount = [free_amount is not None and (t < free_amount if strict else t <= free_amount) for t in totals]
    amount, quantity = ZERO, ZERO
    for i in range(len(values)):
        before = totals[i] - values[i]
        billed = max(ZERO, totals[i] - max(before, free_value))
        by_count = free_events is not None and i < free_events
        fixed_free = (
            by_count and by_amount[i]
            if free_events is not None and free_amount is not None
            else by_count or by_amount[i]
        )
        quantity += values[i]
        amount += _event(node, values[i], billed, fixed_free)
    return {"percent": (quantity, amount)}


def _free_value(totals: Sequence[Fraction], events: int | None, amount: Fraction | None) -> Fraction:
    """How much of the running total bears no percent."""
    through = totals[min(events, len(totals)) - 1] if events and totals else ZERO
    if amount is None:
        return through
    return min(amount, through) if events is not None else amount


def _event(node: Node, value: Fraction, billed: Fraction, fixed_free: bool) -> Fraction:
    amount = billed * Fraction(node["percent"]) / 100 + (ZERO if fixed_free else number(node, "fixed"))
    if fixed_free and not billed:
        return ZERO
    least, most = optional(node, "minimum_each"), optional(node, "maximum_each")
    if least is not None:
        amount = max(amount, least)
    return amount if most is None else min(amount, most)


def committed(
    node: Node, x: Fraction, level_units: Fraction, share: Fraction, every: Fraction, fees: Fraction
) -> Parts:
    """Divide usage into what the commitment includes and what is beyond it.

    Args:
        node: the price.
        x: usage in `per`.
        level_units: what a level of one comes to in `per` over the time priced.
        share: part of the window priced.
        every: what a level of one comes to in `per` over one fee period.
        fees: evaluation windows in one fee period.
    """
    terms = node["commitment"]
    level = optional(terms, "level")
    due = level * level_units if level is not None else number(terms, "quantity") * share
    whole = level * every if level is not None else number(terms, "quantity") * fees
    overage = node["overage"]
    unit = (
        Fraction(overage["amount"])
        if "amount" in overage
        else Fraction(overage["factor"]) * Fraction(terms["fee"]) / whole
    )
    extra = max(ZERO, x - due)
    return {"included": (min(x, due), ZERO), "overage": (extra, extra * unit)}


PRICES = ("amount", "flat", "percent", "fixed", "fee")
BOUNDS = ("minimum", "maximum", "minimum_each", "maximum_each")


def scaled(node: Node, times: Fraction, keys: Sequence[str]) -> Node:
    """Multiply the named numbers of a price: by attributes' factors, or into another currency."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key in keys:
            found[key] = str(Fraction(value) * times)
        elif key == "tiers":
            found[key] = [scaled(tier, times, keys) for tier in value]
        elif key in ("commitment", "overage"):
            found[key] = scaled(value, times, keys)
        else:
            found[key] = value
    return found


def with_fixed(tiers: Sequence[Tier], amount: Fraction | None) -> list[Tier]:
    """Replace what units cost by a campaign's fixed price; the tiers stay, but all cost the same."""
    return list(tiers) if amount is None else [replace(t, amount=amount, flat=ZERO, block=None) for t in tiers]
