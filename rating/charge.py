"""What a price list holds, as plain values: charges, their prices, campaigns, exchange rates, account terms.

`rating.price_list.parse` makes them from a document; docs/pricing.md gives the meaning of every field. All numbers are
exact fractions. Tiered models have one shape: a per-unit price is one tier without bound, a package one tier with a
block, a stairstep a volume price whose tiers have nothing but a flat fee.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from rating.catalogue.matching import When
from rating.exact import MICRO_DIGITS, Mode
from rating.units import Unit
from schemas.calendar import Size
from schemas.period import FOREVER, Period

Model = Literal[
    "per_unit", "graduated", "volume", "package", "stairstep", "percentage", "recurring", "one_off", "committed"
]
Aggregate = Literal["sum", "count", "unique", "peak", "lowest", "average", "time_weighted", "last", "percentile"]
Stage = Literal["convert", "free", "price", "discount", "maximum", "minimum"]
STAGES: Final[tuple[Stage, ...]] = ("convert", "free", "price", "discount", "maximum", "minimum")
ALWAYS: Final = Period(0, FOREVER)
OBSERVED: Final = frozenset({"peak", "lowest", "average", "last", "percentile"})
"""Aggregates that look at single observations."""
RESOURCE: Final = "resource"
"""In `Charge.each`: apart by resource; other entries are names of attributes, and none at all means the account."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How amounts are rounded.

    Attributes:
        mode: see `rating.exact.Mode`.
        digits: decimal digits kept, 0 to 6.
        per: each line by itself; or the total of a group (`charge`), whose lines then telescope.
        unit_price_digits: digits to which the unit price is rounded first; None: it is not.
        unit_price_unit: unit for which it is rounded; None: the price's own.
    """

    mode: Mode = "half_even"
    digits: int = MICRO_DIGITS
    per: Literal["line", "charge"] = "line"
    unit_price_digits: int | None = None
    unit_price_unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Where billing systems differ; docs/pricing.md tells what each value does.

    `month_hours` None: the real month. `year_hours` None: twelve months, or the real year where `real_year` is set or
    the month is the real one.
    """

    bounds: Literal["inclusive", "exclusive"] = "inclusive"
    zero: Literal["nothing", "first_flat"] = "nothing"
    beyond: Literal["last_price", "refused", "not_billed"] = "last_price"
    blocks: Literal["whole", "partial", "down"] = "whole"
    order: tuple[Stage, ...] = STAGES
    late: Literal["original", "running"] = "original"
    parts: Literal["running", "independent", "last"] = "running"
    month_hours: Fraction | None = None
    year_hours: Fraction | None = None
    real_year: bool = False
    prorate: Literal["second", "day", "none"] = "second"
    negative: Literal["credit", "nothing"] = "credit"


@dataclass(frozen=True, slots=True)
class Percentile:
    """How a percentile is taken: cells of `cell_seconds`, highest (100 - rank) % discarded."""

    rank: Fraction = Fraction(95)
    cell_seconds: int = 300
    missing: Literal["skip", "zero"] = "skip"
    discard: Literal["floor", "ceil", "round"] = "floor"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Rounding of the converted quantity."""

    mode: Mode
    digits: int
    at: Literal["group", "observation"] = "group"


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers that an attribute may have: from `start` to below `below`; None: no bound."""

    name: str
    start: Fraction | None
    below: Fraction | None


@dataclass(frozen=True, slots=True)
class Factor:
    """Multiplies the prices of usage whose attributes match."""

    when: When
    factor: Fraction
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charged: which usage, how measured, by which model.

    Attributes:
        id: unique in the list; a nearer list's charge of the same id overrides it.
        name: for people.
        product: what the tenant reads.
        model: as written.
        meters: keys; empty for a recurring fee of the account.
        combine, combine_at: how several meters become one quantity: cell by cell, or each aggregated by itself.
        tier_by: what chooses the tier of a volume price.
        tiers_on: what the tiers of a graduated price divide.
        aggregate: how observations become one quantity.
        percentile: for aggregate percentile.
        unique_of: for aggregate unique: RESOURCE or an attribute.
        each: what has a quantity of its own: (), (RESOURCE,) or attribute names.
        window: what is evaluated as a whole.
        power: which usage counts.
        per: unit of prices, bounds and free quantities.
        factors: by attributes.
        convert: rounding of the converted quantity, or None.
        choose: which of several matching prices applies.
        settings: resolved, nothing is inherited any more.
        rounding: of its lines.
        product_id: id of the product; "" in the short form.
        simple: from the short form or plain per unit: one line a usage row.
    """

    id: str
    name: str
    product: str
    model: Model
    meters: tuple[str, ...]
    window: Size
    per: str
    combine: Literal["sum", "max"] = "sum"
    combine_at: Literal["cell", "window"] = "cell"
    tier_by: Literal["quantity", "peak", "average", "time_weighted", "last"] = "quantity"
    tiers_on: Literal["quantity", "level"] = "quantity"
    aggregate: Aggregate = "sum"
    percentile: Percentile | None = None
    unique_of: str = RESOURCE
    each: tuple[str, ...] = (RESOURCE,)
    power: Literal["always", "on", "once"] = "always"
    factors: tuple[Factor, ...] = ()
    convert: Conversion | None = None
    choose: Literal["most_specific", "highest"] = "most_specific"
    settings: Settings = Settings()
    rounding: Rounding = Rounding()
    product_id: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """A range of the quantity, from the tier before (or zero) up to a bound.

    Attributes:
        up_to: bound in `per`; None: no end.
        amount: for one unit, or for one block.
        flat: once, when the quantity reaches the tier.
        block: units in a block, or None.
    """

    up_to: Fraction | None = None
    amount: Fraction = Fraction(0)
    flat: Fraction = Fraction(0)
    block: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Percentage:
    """Price of each event by its value. None: no bound, nothing free."""

    percent: Fraction
    fixed: Fraction = Fraction(0)
    free_events: int | None = None
    free_amount: Fraction | None = None
    minimum_each: Fraction | None = None
    maximum_each: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Recurring:
    """A fee for each period; a charge's `window` is that period. `quantity` multiplies."""

    amount: Fraction
    quantity: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Commitment:
    """What is paid for whether used or not. Exactly one of `level` and `quantity` is set.

    Attributes:
        level: held all the time, in the level unit of the charge's `per` (vCPU for vCPU·h).
        quantity: in `per`, each window.
        fee: for each `every`.
        every: period of the fee.
        overage: amount per unit beyond, or None where a factor is given.
        factor: times (fee ÷ committed units in `every`), or None.
    """

    level: Fraction | None
    quantity: Fraction | None
    fee: Fraction
    every: Size
    overage: Fraction | None
    factor: Fraction | None


@dataclass(frozen=True, slots=True)
class Free:
    """A free quantity in `per`, of each group or shared by a pool."""

    quantity: Fraction
    pool: Literal["each", "account", "charge", "accounts"] = "each"


@dataclass(frozen=True, slots=True)
class CampaignLimits:
    """How often a coupon may be used: by all, by one account, and for how many windows of an account."""

    redemptions: int | None = None
    per_account: int | None = None
    windows: int | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A dated reduction: one of percent, absolute, free_quantity and fixed_price is set; empty filters match all."""

    id: str
    name: str
    valid: Period
    percent: Fraction | None = None
    absolute: Fraction | None = None
    free_quantity: Fraction | None = None
    fixed_price: Fraction | None = None
    products: frozenset[str] = frozenset()
    charges: frozenset[str] = frozenset()
    meters: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    when: When = ()
    ranges: tuple[Range, ...] = ()
    coupon: str | None = None
    limits: CampaignLimits = CampaignLimits()
    stacking: Literal["multiply", "add", "exclusive"] = "multiply"
    priority: int = 0
    cap: Fraction | None = None


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """One unit of `currency` is `rate` units of the list's currency while valid."""

    currency: str
    rate: Fraction
    valid: Period


@dataclass(frozen=True, slots=True)
class SpendCommitment:
    """An amount that an account pays at least, each `every`, for some products or charges; none named: for all."""

    id: str
    amount: Fraction
    every: Size
    products: frozenset[str] = frozenset()
    charges: frozenset[str] = frozenset()
    true_up: bool = True
    overage_factor: Fraction | None = None
    valid: Period = ALWAYS


@dataclass(frozen=True, slots=True)
class Bound:
    """Least or most that an account pays each `every`."""

    amount: Fraction
    every: Size
    valid: Period = ALWAYS


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """Terms over all charges of an account."""

    minimum: Bound | None = None
    maximum: Bound | None = None
    commitments: tuple[SpendCommitment, ...] = ()


def needs_cells(charge: Charge) -> bool:
    """Tell whether a charge looks at single observations rather than at sums over a segment."""
    if charge.model == "percentage" or (charge.model == "recurring" and charge.settings.prorate == "day"):
        return bool(charge.meters)
    by_level = charge.tier_by not in ("quantity", "time_weighted") or charge.tiers_on == "level"
    by_observation = charge.convert is not None and charge.convert.at == "observation"
    return charge.aggregate in OBSERVED or charge.combine == "max" or by_level or by_observation


def due_without_usage(charge: Charge) -> bool:
    """Tell whether a charge may cost something in a window without usage: its prices are looked at then, too."""
    return not charge.each and (not charge.meters or charge.aggregate != "percentile")
