"""The stages from a quantity to rounded amounts: convert, free, price, discount, maximum, minimum, round.

The order of the stages is a setting. What comes out are the components of a group, each with a quantity and one
rounded amount; docs/pricing.md describes the stages. Windows that are cut in parts: `rating.parts`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rating.charge import Charge
from rating.components import BEYOND, CAMPAIGN, FREE, MAXIMUM, MINIMUM, tier_names
from rating.exact import Mode, divided
from rating.groups import Exact
from rating.scale import NO_BOUND, Scales, reductions
from rating.tariff import Tariff
from rating.tiers import Levels, tiered


@dataclass(frozen=True)
class Portion:
    """How much of the evaluation window minimum and maximum are due for: `seconds` ÷ `of`, shape (n,)."""

    seconds: Exact
    of: Exact


@dataclass(frozen=True)
class Component:
    """One component of every group.

    Attributes:
        names: of the component, for each scale.
        quantity: as lines say it, shape (n,).
        amount: shares, over `Priced.per`; or, once rounded, rounding steps.
        present: whether it makes a line, shape (n,).
    """

    names: tuple[str, ...]
    quantity: Exact
    amount: Exact
    present: Any


def priced(
    quantity: Exact,
    per: Exact | int,
    charge: Charge,
    scales: Scales,
    tariffs: list[Tariff],
    pooled: Exact | None = None,
    levels: Levels | None = None,
) -> list[Component]:
    """Price quantities by tiers: the components of each group, amounts in shares over the quantity's denominators.

    Args:
        quantity: numerators, base units, zero or more, shape (n,).
        per: denominators.
        charge: with its settings.
        scales: the tariffs in integers.
        tariffs: by scale.
        pooled: free quantity of each group in steps where a pool shares it out.
        levels: what chooses the tier where that is not the quantity itself.

    Raises:
        Poison: ``beyond_last_tier``.
    """
    steps, free = _steps(quantity, per, charge, scales, pooled)
    per = 1 if at_group(charge) else per
    zero = np.zeros(len(steps), steps.dtype)
    found = tiered(steps, per, scales, charge.settings, levels, volume=tariffs[0].price.volume)
    names = [tier_names(t.price) for t in tariffs]
    parts = []
    if pooled is not None or any(s.free for s in scales.items):
        parts.append(((FREE,) * len(tariffs), free, zero, free > 0))
    for number, (size, amount, reached) in enumerate(zip(found.portions, found.amounts, found.reached, strict=True)):
        own = tuple(n[number] if number < len(n) else "" for n in names)
        present = (size > 0) | (reached & (amount != 0))
        if number == 0:  # usage of nothing has a line, too
            present = present | ((steps == 0) & (free == 0))
        parts.append((own, size, amount, present))
    if charge.settings.beyond != "last_price":
        parts.append(((BEYOND,) * len(tariffs), found.beyond, zero, found.beyond > 0))
    quantities = _shown([p[1] for p in parts], per, scales)
    return [Component(p[0], q, p[2], p[3]) for p, q in zip(parts, quantities, strict=True)]


def at_group(charge: Charge) -> bool:
    """Tell whether the quantity of a group is rounded, which makes it a whole number of conversion steps."""
    return charge.convert is not None and charge.convert.at == "group"


def _steps(size: Exact, per: Exact | int, charge: Charge, scales: Scales, pooled: Exact | None) -> tuple[Exact, Exact]:
    """Return what is left to price, and the free part, in steps of the price stage."""
    free: Exact | int = scales.column([s.free for s in scales.items]) if pooled is None else pooled
    before = scales.column([s.before for s in scales.items])
    after = scales.column([s.after for s in scales.items])
    if charge.convert is None or not at_group(charge):
        steps = size * after
        used = np.minimum(steps, free * per if pooled is None else free)
        return steps - used, used
    steps = size * before
    order = charge.settings.order
    if order.index("free") < order.index("convert"):
        used = np.minimum(steps, free * per if pooled is None else free)
        return _rounded_steps(steps - used, per, charge.convert.mode, scales), _rounded_steps(
            used, per, "half_even", scales
        )
    whole = _rounded_steps(steps, per, charge.convert.mode, scales)
    used = np.minimum(whole, free)
    return whole - used, used


def in_conversion_steps(charge: Charge) -> bool:
    """Tell whether free quantities are taken from a quantity that is already rounded."""
    order = charge.settings.order
    return at_group(charge) and order.index("free") > order.index("convert")


def converted(size: Exact, per: Exact | int, charge: Charge, scales: Scales) -> Exact:
    """Return quantities in the steps in which free quantities are counted."""
    after = scales.column([s.after for s in scales.items])
    if charge.convert is None or not at_group(charge):
        return size * after
    steps = size * scales.column([s.before for s in scales.items])
    order = charge.settings.order
    if order.index("free") < order.index("convert"):
        return steps
    return _rounded_steps(steps, per, charge.convert.mode, scales)


def _rounded_steps(steps: Exact, per: Exact | int, mode: Mode, scales: Scales) -> Exact:
    """Return quantities rounded to whole conversion steps, in steps of the price stage."""
    numerator = scales.column([(s.convert or (1, 1))[0] for s in scales.items])
    denominator = scales.column([(s.convert or (1, 1))[1] for s in scales.items]) * per
    divisor = denominator + np.zeros(len(steps), steps.dtype)
    return divided(steps * numerator, divisor, mode) * scales.column([s.after for s in scales.items])


def _shown(sizes: list[Exact], per: Exact | int, scales: Scales) -> list[Exact]:
    """Return quantities as lines say them; each rounding takes what the one before left, so they add up."""
    numerator = scales.column([s.base[0] for s in scales.items])
    denominator = scales.column([s.base[1] for s in scales.items]) * per
    if isinstance(numerator, int) and isinstance(denominator, int) and numerator == denominator == 1:
        return sizes
    found, total, said = [], np.zeros(len(sizes[0]), sizes[0].dtype), np.zeros(len(sizes[0]), sizes[0].dtype)
    for size in sizes:
        total = total + size
        now = divided(total * numerator, denominator, "half_even")
        found.append(now - said)
        said = now
    return found


def finished(
    components: list[Component],
    per: Exact | int,
    charge: Charge,
    scales: Scales,
    tariffs: list[Tariff],
    portion: Portion | None,
) -> list[Component]:
    """Apply the stages after the price to groups that are evaluated by themselves, and round each component once.

    Args:
        components: amounts of zero or more, in shares over `per`.
        per: denominators.
        charge: with its settings and rounding.
        scales: the tariffs in integers.
        tariffs: by scale.
        portion: for minimum and maximum; None where no price has them.

    Returns:
        The components with those of discounts, maximum and minimum; amounts in rounding steps.
    """
    over: Exact | int = 1
    if portion is not None:
        if scales.wide:
            portion = Portion(portion.seconds.astype(object), portion.of.astype(object))
        over = portion.of
        components = [replace(c, amount=c.amount * over) for c in components]
    total = added(components)
    for stage in charge.settings.order:
        if stage == "discount":
            made = _discounts(total, per, over, scales, tariffs)
        elif stage in ("maximum", "minimum") and portion is not None:
            made = [_bound(stage, total, per, portion, scales)]
        else:
            continue
        components = [*components, *made]
        total = total + added(made) if made else total
    shares = scales.column([s.shares for s in scales.items]) * per * over
    amounts = rounded_each([c.amount for c in components], shares, charge)
    return [replace(c, amount=amount) for c, amount in zip(components, amounts, strict=True)]


def added(components: list[Component]) -> Exact:
    """Return the sum of the components' amounts."""
    total = components[0].amount
    for component in components[1:]:
        total = total + component.amount
    return total


def kept(components: list[Component], there: Any) -> list[Component]:
    """Return components of groups that are there; the others have no usage yet, and nothing is due of them."""
    if bool(np.all(there)):
        return components
    return [
        replace(c, quantity=c.quantity * there, amount=c.amount * there, present=c.present & there) for c in components
    ]


def signed(components: list[Component], sign: Exact, charge: Charge) -> list[Component]:
    """Return components of quantities that were negative as credits, or at nothing where the settings say so."""
    if not bool((sign < 0).any()):
        return components
    factor = np.where(sign < 0, 0, 1) if charge.settings.negative == "nothing" else sign
    return [replace(c, quantity=c.quantity * sign, amount=c.amount * factor) for c in components]


def _discounts(
    left: Exact, per: Exact | int, over: Exact | int, scales: Scales, tariffs: list[Tariff]
) -> list[Component]:
    """Return one negative component for each campaign; together they never exceed what is left of the amount."""
    made, price = [], left
    campaigns = [reductions(t) for t in tariffs]
    for number in range(max(map(len, campaigns))):
        own = [c[number] if number < len(c) else None for c in campaigns]
        adds = np.array([c is not None and c.stacking == "add" for c in own])[scales.of]
        ratios = [s.percents[number] if number < len(s.percents) else (0, 1) for s in scales.items]
        numerator, denominator = scales.column([r[0] for r in ratios]), scales.column([r[1] for r in ratios])
        base = np.where(adds, price, left)
        off = np.maximum(base, 0) * numerator // denominator  # exact: shares hold every percentage's denominator
        off = (
            off
            + scales.column([s.absolutes[number] if number < len(s.absolutes) else 0 for s in scales.items])
            * per
            * over
        )
        cap = scales.column([s.caps[number] if number < len(s.caps) else NO_BOUND for s in scales.items])
        off = np.where(np.asarray(cap) == NO_BOUND, off, np.minimum(off, cap * per * over))
        off = np.maximum(np.minimum(off, left), 0)
        left = left - off
        names = tuple("" if c is None else CAMPAIGN + c.id for c in own)
        made.append(Component(names, np.zeros(len(off), np.int64), -off, off != 0))
    return made


def _bound(stage: str, total: Exact, per: Exact | int, portion: Portion, scales: Scales) -> Component:
    """Return what is missing from the minimum, or (negative) what is above the maximum."""
    values = [s.minimum if stage == "minimum" else s.maximum for s in scales.items]
    given = np.array([v is not None for v in values])[scales.of]
    bound = scales.column([v or 0 for v in values]) * portion.seconds * per
    gap = bound - total
    change = np.maximum(gap, 0) if stage == "minimum" else np.minimum(gap, 0)
    change = np.where(given, change, 0)
    name = MINIMUM if stage == "minimum" else MAXIMUM
    return Component((name,) * len(scales.items), np.zeros(len(change), np.int64), change, change != 0)


def rounded_each(amounts: list[Exact], shares: Exact | int, charge: Charge) -> list[Exact]:
    """Round each amount; or, per charge, the running total, of which each amount is what it adds."""
    mode = charge.rounding.mode
    divisor = shares
    if charge.rounding.per == "line":
        return [divided(a, divisor, mode) for a in amounts]
    found, total = [], np.zeros(len(amounts[0]), amounts[0].dtype)
    said = np.zeros(len(amounts[0]), amounts[0].dtype)
    for amount in amounts:
        total = total + amount
        now = divided(total, divisor, mode)
        found.append(now - said)
        said = now
    return found
