"""Whole-number forms of tariffs: every bound, price and amount of a tariff over one common denominator.

A quantity is counted in **steps**: base units times a factor that makes every bound a whole number. An amount is
counted in **shares**: rounding steps of the currency times a denominator that makes every price a whole number. So all
arithmetic on columns is on integers, in 64 bits where `Scales.fits` proves that they suffice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import Final

import numpy as np
import numpy.typing as npt

from rating.charge import Campaign, Commitment, Tier
from rating.components import LEVEL_SCALE, in_millionths
from rating.exact import INT64_MAX, Ratio, rounded
from rating.groups import Exact
from rating.tariff import Tariff

I64 = npt.NDArray[np.int64]
NO_BOUND: Final = -1
_MARGIN: Final = 8
"""Intermediate results stay this far below 2^63: sums of a few terms and the doubled remainder of rounding fit."""


@dataclass(frozen=True)
class Context:
    """What of the calendar a tariff's numbers depend on.

    Attributes:
        span: seconds of the month or year in units such as GiB·month; 0 where the unit has none.
        part: seconds for which a commitment is held; 0 otherwise.
        share: part of a committed quantity that is due.
        every: seconds of the window of a commitment's fee; 0 otherwise.
        window: seconds of the evaluation window; 0 where nothing asks.
        fee: whether the fee is asked for rather than what usage costs.
    """

    span: Fraction = Fraction(0)
    part: int = 0
    share: Fraction = Fraction(0)
    every: int = 0
    window: int = 0
    fee: bool = False


@dataclass(frozen=True)
class Scale:
    """One tariff in integers.

    Attributes:
        before, after: steps in one base unit ahead of the stage `convert`; in one conversion step behind it.
        convert: (numerator, denominator): conversion steps = steps before × this; None: no such stage.
        low, high: bounds of the tiers in steps; high NO_BOUND: no end.
        price: shares for one step, or for one block, by tier.
        flat: shares by tier.
        block: steps in a block by tier; 0: none.
        free: free quantity in steps.
        minimum, maximum: shares, or None.
        base: (numerator, denominator): steps × this = what a line says as its quantity.
        shares: shares in one rounding step.
        percents: numerator and denominator of each campaign's percentage; (0, 1) for an absolute one.
        absolutes, caps: shares of each campaign; caps NO_BOUND: none.
    """

    before: int
    after: int
    convert: tuple[int, int] | None
    low: tuple[int, ...]
    high: tuple[int, ...]
    price: tuple[int, ...]
    flat: tuple[int, ...]
    block: tuple[int, ...]
    free: int
    minimum: int | None
    maximum: int | None
    base: tuple[int, int]
    shares: int
    percents: tuple[tuple[int, int], ...]
    absolutes: tuple[int, ...]
    caps: tuple[int, ...]


def unit_size(tariff: Tariff, context: Context) -> Fraction:
    """Return what counts as quantity in one unit of `per`.

    That is base units; conversion steps where each observation is converted by itself; 1 for a fee, counted in time.
    """
    convert = tariff.price.charge.convert
    if context.fee:
        return Fraction(1)
    if convert is not None and convert.at == "observation":
        return Fraction(10**convert.digits)
    return base_size(tariff, context)


def base_size(tariff: Tariff, context: Context) -> Fraction:
    """Return base units in one unit of `per`."""
    unit = tariff.price.unit
    return unit.size * context.span if unit.span else unit.size


def unit_price(tariff: Tariff, amount: Fraction, context: Context) -> Fraction:
    """Return an amount of the price in the list's currency: after exchange, factors and its own rounding."""
    price = amount * tariff.exchange * tariff.factor
    rounding = tariff.price.charge.rounding
    if rounding.unit_price_digits is None:
        return price
    other = rounding.unit_price_unit
    ratio = Fraction(1)
    if other is not None and not context.fee:
        ratio = (other.size * context.span if other.span else other.size) / base_size(tariff, context)
    scaled = price * ratio * 10**rounding.unit_price_digits
    whole = rounded(scaled.numerator, scaled.denominator, rounding.mode)
    return Fraction(whole, 10**rounding.unit_price_digits) / ratio


def tiers_of(tariff: Tariff, context: Context) -> tuple[Tier, ...]:
    """Return the tiers that price a tariff's quantities: a commitment's two, or a campaign's one in their place."""
    price = tariff.price
    fixed = next((c.fixed_price for c in tariff.campaigns if c.fixed_price is not None), None)
    if context.fee:
        fee = price.recurring.amount * price.recurring.quantity if price.recurring else Fraction(0)
        return (Tier(None, price.commitment.fee if price.commitment else fee),)
    if price.commitment is not None:
        bound = committed(price.commitment, tariff, context)
        return Tier(bound), Tier(None, overage_price(price.commitment, tariff, context))
    if fixed is not None:
        # A campaign's amounts are in the list's currency.
        return tuple(Tier(t.up_to, fixed / tariff.exchange) for t in price.tiers)
    return price.tiers


def committed(commitment: Commitment, tariff: Tariff, context: Context) -> Fraction:
    """Return the committed quantity of a part, in `per`."""
    if commitment.quantity is not None:
        return commitment.quantity * context.share
    return _held(commitment, tariff, context, context.part)


def _held(commitment: Commitment, tariff: Tariff, context: Context, seconds: int) -> Fraction:
    return (commitment.level or Fraction(0)) * level_size(tariff) * seconds / unit_size(tariff, context)


def overage_price(commitment: Commitment, tariff: Tariff, context: Context) -> Fraction:
    """Return what a unit beyond the commitment costs."""
    if commitment.overage is not None:
        return commitment.overage * (commitment.factor or 1)
    if commitment.quantity is not None:
        units = commitment.quantity * Fraction(context.every, context.window)
    else:
        units = _held(commitment, tariff, context, context.every)
    return commitment.fee * (commitment.factor or 0) / units if units else Fraction(0)


def price_of_base_unit(tariff: Tariff, context: Context) -> Ratio:
    """Return what one base unit costs under a linear tariff, in rounding steps."""
    price = unit_price(tariff, tariff.price.tiers[0].amount, context) * 10**tariff.price.charge.rounding.digits
    cost = price / unit_size(tariff, context)
    return Ratio(cost.numerator, cost.denominator)


def scale_of(tariff: Tariff, context: Context, steps: tuple[int, int] = (1, 1)) -> Scale:
    """Return the whole-number form of a tariff.

    Args:
        tariff: the tariff.
        context: what its numbers depend on.
        steps: `before` and `after` are multiples of these, so that tariffs that share a quantity count in equal steps.
    """
    price, charge = tariff.price, tariff.price.charge
    size = unit_size(tariff, context)
    tiers = tiers_of(tariff, context)
    free = Fraction(0) if context.fee else _free(tariff)
    order, conversion = charge.settings.order, None if context.fee else charge.convert
    at_group = conversion is not None and conversion.at == "group"
    free_last = not at_group or order.index("free") > order.index("convert")
    behind = Fraction(10**conversion.digits) if conversion else size
    before = steps[0] if free_last else lcm(steps[0], _denominator([free * size]))
    bounds = [*(b for t in tiers for b in (t.up_to, t.block) if b), *([free] if free_last else [])]
    held = [t.up_to * level_size(tariff) for t in tiers if t.up_to and charge.tiers_on == "level"]
    after = lcm(steps[1], _denominator([*(bound * behind for bound in bounds), *held]))
    steps_in_unit = behind * after
    campaigns = reductions(tariff)
    percents = tuple(_ratio((c.percent or Fraction(0)) / 100) for c in campaigns)
    prices = [_price_of_step(tariff, tier, steps_in_unit, context) for tier in tiers]
    digits = 10**charge.rounding.digits
    flats = [t.flat * tariff.exchange * tariff.factor * digits for t in tiers]
    bounds_of_amount = [b and b * tariff.exchange * digits for b in (price.minimum, price.maximum)]
    absolutes = [(c.absolute or Fraction(0)) * digits for c in campaigns]
    caps = [c.cap and c.cap * digits for c in campaigns]
    amounts = [*prices, *flats, *bounds_of_amount, *absolutes, *caps]
    shares = _denominator([a for a in amounts if a is not None]) * prod(d for _, d in percents)
    minimum, maximum = (None if b is None else int(b * shares) for b in bounds_of_amount)
    return Scale(
        before=before,
        after=after,
        convert=_ratio(behind / (size * before)) if at_group else None,
        low=tuple(int(b * steps_in_unit) for b in _lows(tiers)),
        high=tuple(NO_BOUND if t.up_to is None else int(t.up_to * steps_in_unit) for t in tiers),
        price=tuple(int(p * shares) for p in prices),
        flat=tuple(int(f * shares) for f in flats),
        block=tuple(int(t.block * steps_in_unit) if t.block and not _in_parts(tariff) else 0 for t in tiers),
        free=int(free * (steps_in_unit if free_last else size * before)),
        minimum=minimum,
        maximum=maximum,
        base=_ratio(
            base_size(tariff, context) * quantity_scale(tariff) / steps_in_unit
            if conversion
            else Fraction(quantity_scale(tariff), after)
        ),
        shares=shares,
        percents=percents,
        absolutes=tuple(int(a * shares) for a in absolutes),
        caps=tuple(NO_BOUND if c is None else int(c * shares) for c in caps),
    )


def _free(tariff: Tariff) -> Fraction:
    """Return the free quantity of a price and of campaigns."""
    own = tariff.price.free.quantity if tariff.price.free else Fraction(0)
    return own + sum((c.free_quantity for c in tariff.campaigns if c.free_quantity is not None), Fraction(0))


def quantity_scale(tariff: Tariff) -> int:
    """Return in how many parts of a base unit lines count the quantity: levels are no whole numbers."""
    return LEVEL_SCALE if in_millionths(tariff.price) else 1


def level_size(tariff: Tariff) -> Fraction:
    """Return base units of the level in one level unit of `per` (MiB in a GiB, for GiB·h)."""
    return tariff.price.unit.level or Fraction(1)


def reductions(tariff: Tariff) -> tuple[Campaign, ...]:
    """Return the campaigns that take something off an amount."""
    return tuple(c for c in tariff.campaigns if c.percent is not None or c.absolute is not None)


def _price_of_step(tariff: Tariff, tier: Tier, steps_in_unit: Fraction, context: Context) -> Fraction:
    """Return the price of one step of the quantity, or of one whole block, in rounding steps."""
    price = unit_price(tariff, tier.amount, context) * 10**tariff.price.charge.rounding.digits
    if not tier.block:
        return price / steps_in_unit
    return price / (tier.block * steps_in_unit) if _in_parts(tariff) else price


def _in_parts(tariff: Tariff) -> bool:
    """Tell whether a part of a block costs a part of its price."""
    return tariff.price.charge.settings.blocks == "partial"


def _lows(tiers: Sequence[Tier]) -> list[Fraction]:
    return [Fraction(0), *(t.up_to or Fraction(0) for t in tiers[:-1])]


def _denominator(values: Iterable[Fraction]) -> int:
    return lcm(1, *(v.denominator for v in values))


def _ratio(value: Fraction) -> tuple[int, int]:
    return value.numerator, value.denominator


class Scales:
    """The scales of the parts of a charge, as tables that columns take from.

    Attributes:
        items: distinct scales.
        of: for each part the number of its scale, shape (n,).
        tiers: most tiers of any scale.
    """

    def __init__(self, items: Sequence[Scale], of: I64, *, wide: bool) -> None:
        """Keep the scales; `wide`: tables hold Python integers."""
        self.items, self.of, self.wide = items, of, wide
        self.tiers = max((len(s.price) for s in items), default=0)

    def column(self, values: Sequence[int]) -> Exact | int:
        """Return one number for each part, from one for each scale; a plain number where all are equal and small."""
        if len(set(values)) == 1 and abs(values[0]) <= INT64_MAX and not self.wide:
            return values[0]
        table = np.array(values, dtype=object if self.wide else np.int64)
        return table[self.of]

    def tier(self, name: str, number: int, absent: int = 0) -> Exact | int:
        """Return a tier's number for each part; `absent` where a scale has fewer tiers."""
        values = [getattr(s, name)[number] if number < len(s.price) else absent for s in self.items]
        return self.column(values)


def fits(items: Sequence[Scale], quantity_max: int, per_max: int, seconds_max: int) -> bool:
    """Tell whether 64 bits hold every intermediate number for quantities up to a size.

    Args:
        items: the scales.
        quantity_max: largest |numerator| of a quantity, in base units.
        per_max: largest denominator of a quantity.
        seconds_max: what minimum and maximum are prorated over; 1 where none is.
    """
    return all(_fits(s, quantity_max, per_max, seconds_max) for s in items)


def _fits(scale: Scale, quantity_max: int, per_max: int, seconds_max: int) -> bool:
    numerator, denominator = scale.convert or (1, 1)
    converted = quantity_max * scale.before * max(numerator, 1)
    in_steps = (converted // denominator + 1 if scale.convert else quantity_max * scale.before) * scale.after
    largest_bound = max((*scale.low, *scale.high, *scale.block, scale.free)) * per_max
    portion = in_steps + largest_bound
    amount = sum(p * portion for p in scale.price) + sum(scale.flat) * per_max
    extras = sum(scale.absolutes) + sum(max(c, 0) for c in scale.caps) + (scale.minimum or 0) + (scale.maximum or 0)
    amount += extras * per_max
    amount *= max((n for n, _ in scale.percents), default=1) or 1
    shown = portion * scale.base[0]
    return (
        max(amount, scale.shares * per_max, scale.base[1] * per_max, shown, converted) * seconds_max * _MARGIN
        <= INT64_MAX
    )
