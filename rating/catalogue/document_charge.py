"""A charge in the document: what is measured, how it becomes one quantity, and which rules hold for its prices."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, WrapValidator

from rating.catalogue.document_fields import (
    Amount,
    Condition,
    Document,
    Each,
    Identifier,
    Mended,
    MonthHours,
    Number,
    Positive,
    Text,
    YearHours,
    hole,
)
from rating.catalogue.document_price import ChargePriceDocument, FreeDocument
from rating.charge import Aggregate, Model, Stage
from rating.exact import MICRO_DIGITS, Mode
from schemas.calendar import Size

PRICES_MAX: Final = 100_000
CHARGES_MAX: Final = 10_000
"""Most charges of a product."""
FACTORS_MAX: Final = 1000
METERS_MAX: Final = 16
"""Most meters of one charge."""
UNIT_PRICE_DIGITS_MAX: Final = 12
CELL_SECONDS_MAX: Final = 3600

Basis = Literal["allocation", "usage", "reservation", "max_usage_reservation", "max_usage_allocation"]


class RoundingDocument(Document):
    """How amounts are rounded."""

    mode: Mode = "half_even"
    """To the nearest step with ties to even, away from zero or towards zero; or always in one direction."""
    digits: Annotated[int, Field(ge=0, le=MICRO_DIGITS)] = MICRO_DIGITS
    """Decimal digits kept."""
    per: Literal["line", "charge"] = "line"
    """line: each line by itself; charge: the total of a charge in a window, whose lines then add up to it."""
    unit_price_digits: Annotated[int, Field(ge=0, le=UNIT_PRICE_DIGITS_MAX)] | None = None
    """Digits to which the unit price is rounded first; default: it is not."""
    unit_price_per: str | None = None
    """Unit for which the unit price is rounded, where a charge's meter has it; default: the price's own."""


class SettingsDocument(Document):
    """Where billing systems differ. In a charge: what is left out comes from the list."""

    bounds: Literal["inclusive", "exclusive"] | None = None
    """Whether usage of exactly `up_to` belongs to the tier below (inclusive, default) or above."""
    zero: Literal["nothing", "first_flat"] | None = None
    """Whether a group without usage pays nothing (default) or the first tier's flat fee."""
    beyond: Literal["last_price", "refused", "not_billed"] | None = None
    """Usage above the last bound: at the last tier's price (default), an error, or not billed."""
    blocks: Literal["whole", "partial", "down"] | None = None
    """A started block costs a whole one (default), its part, or nothing."""
    order: tuple[Stage, ...] | None = None
    """Order of the stages; convert and free before price; discount, maximum and minimum after it."""
    late: Literal["original", "running"] | None = None
    """Usage that arrives after its window was settled: to that window (default), or to the one in which it arrives."""
    parts: Literal["running", "independent", "last"] | None = None
    """Parts of a window: as the difference of running totals (default), each by itself, or all with the last."""
    month: MonthHours | None = None
    """Hours in `·month`: of the calendar month (real, default), or a number such as 720 or 730."""
    year: YearHours | None = None
    """Hours in `·year`: 12 months (as_month, default), of the calendar year (real), or a number such as 8760."""
    prorate: Literal["second", "day", "none"] | None = None
    """Fees for part of a window: by the second (default), by calendar days begun, or in full."""
    negative: Literal["credit", "nothing"] | None = None
    """A group whose quantity is below zero: a credit (default), or nothing."""


class PercentileDocument(Document):
    """Which percentile, of which cells."""

    rank: Positive = "95"
    """The highest (100 - rank) % of the cells are discarded."""
    cell: Annotated[int, Field(gt=0, le=CELL_SECONDS_MAX)] = 300
    """Seconds of a cell; divides 3600."""
    missing: Literal["skip", "zero"] = "skip"
    """Cells without data do not count (default), or count as zero."""
    discard: Literal["floor", "ceil", "round"] = "floor"
    """How the number of discarded cells is made whole."""


class ConvertDocument(Document):
    """Rounding of the converted quantity."""

    mode: Mode
    """As in `rounding`."""
    digits: Annotated[int, Field(ge=0, le=UNIT_PRICE_DIGITS_MAX)] = 0
    """Decimal digits kept."""
    at: Literal["group", "observation"] = "group"
    """group: the sum is rounded (default); observation: each row, cell or event, before they are added."""


class FactorDocument(Document):
    """Multiplies the prices of usage with some attributes."""

    when: Mapping[Text, Condition] = Field(default_factory=dict)
    """Values, lists of values or ranges of attributes; all names must match. Default: all usage of the charge."""
    factor: Number
    """Multiplies amount, flat fee, percent and fixed fee."""


class ChargeDocument(Document):
    """One charge of a product."""

    id: Identifier
    """Unique in the list; a nearer list's charge of this id overrides it."""
    name: Text | None = None
    """For people; default: the id."""
    meter: str | None = None
    """What is measured. A recurring charge without it is a fee of the account."""
    meters: Annotated[tuple[str, ...], Field(min_length=1, max_length=METERS_MAX)] | None = None
    """Instead of `meter`: several that make one quantity."""
    combine: Literal["sum", "max"] | None = None
    """The sum of several meters (default), or in each cell the larger."""
    combine_at: Literal["cell", "window"] | None = None
    """Several meters combine cell by cell (default), or each is aggregated over the window first."""
    basis: Basis | None = None
    """Short for meters of the meter's family: what is allocated (default), used, reserved, or the larger of two."""
    model: Model = "per_unit"
    """How the quantity becomes an amount."""
    tier_by: Literal["quantity", "peak", "average", "time_weighted", "last"] = "quantity"
    """volume, stairstep: what chooses the tier: the quantity (default), or a level, in the level unit of `per`."""
    tiers_on: Literal["quantity", "level"] = "quantity"
    """graduated: tiers divide the quantity (default), or the level at each time, in the level unit of `per`."""
    aggregate: Aggregate | None = None
    """How observations become the quantity; default: sum."""
    percentile: PercentileDocument | None = None
    """For aggregate percentile."""
    unique_of: Text | None = None
    """For aggregate unique: resource (default), or the name of an attribute."""
    each: Each | None = None
    """What has a quantity of its own: resource, account, or a list of attributes. Default: resource for per_unit,
    one_off and recurring with a meter, else account."""
    window: Size | None = None
    """What is evaluated as a whole; default: the list's."""
    every: Size | None = None
    """recurring: period of the fee, the same as `window`."""
    per: str | None = None
    """Unit of prices, bounds and free quantities; `each` for count, unique and recurring."""
    power: Literal["always", "on", "once"] = "always"
    """Which usage counts: all; while powered on; or all of a resource that was powered on in the window."""
    factors: Annotated[tuple[FactorDocument, ...], Field(max_length=FACTORS_MAX)] = ()
    """By attributes; all that match multiply."""
    convert: ConvertDocument | None = None
    """Rounds the converted quantity."""
    choose: Literal["most_specific", "highest"] = "most_specific"
    """Which of several matching prices applies: the one with the most conditions, or the dearest."""
    settings: SettingsDocument = SettingsDocument()
    """What differs from the list's settings."""
    free: FreeDocument | None = None
    """Free quantity of every price that has none of its own."""
    minimum: Amount | None = None
    """Minimum of every price that has none of its own."""
    maximum: Amount | None = None
    """Maximum of every price that has none of its own."""
    prices: Annotated[
        tuple[Annotated[ChargePriceDocument, WrapValidator(hole)], ...], Field(min_length=1, max_length=PRICES_MAX)
    ]
    """In any order."""


class ProductDocument(Mended):
    """A product: charges under one name."""

    stand_ins: ClassVar[Mapping[str, object]] = {"id": "product"}

    id: Identifier
    """Unique in the list."""
    name: Text | None = None
    """What the tenant reads; default: the id."""
    charges: Annotated[
        tuple[Annotated[ChargeDocument, WrapValidator(hole)], ...], Field(min_length=1, max_length=CHARGES_MAX)
    ]
    """In any order."""
