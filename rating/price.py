"""One price of a charge: what applies to matching usage while it is valid."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from rating.catalogue.matching import When
from rating.charge import ALWAYS, Charge, Commitment, ExchangeRate, Free, Percentage, Range, Recurring, Tier
from rating.units import Unit
from schemas.period import Period

UNIT: Final = "unit"
"""Component of a line of a plain per-unit price: the price itself, without a suffix in its key."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a charge costs for matching usage. Exactly one of tiers, percentage, recurring and commitment is given.

    Attributes:
        id: unique within the list.
        charge: what it belongs to.
        product: what the tenant reads.
        unit: that amounts, tier bounds and free quantities are for (the charge's `per`; a price of the short form has
            its own); resolved by the reader of the document.
        when: attribute conditions, sorted by name; each name has one value here (a list of values in the document makes
            as many prices, with ids suffixed ``@2``, ``@3``…).
        ranges: conditions on attributes that hold numbers.
        valid: half-open; ends at FOREVER when it has no end.
        level: 0 for the account's own list, 1 for the next in its chain, …; the lowest that matches applies.
        list_id, version: of the list that it stands in.
        currency: of its amounts, or None: the list's.
        rates: exchange rates of its list.
        volume: tiers are chosen by the whole quantity rather than filled one after the other.
        tiers: ascending, or empty.
        percentage, recurring, commitment: the other models.
        free: free quantity, or None.
        minimum, maximum: of a group's amount in a window, or None.
    """

    id: str
    charge: Charge
    product: str
    when: When
    unit: Unit
    ranges: tuple[Range, ...] = ()
    valid: Period = ALWAYS
    level: int = 0
    list_id: str = ""
    version: int = 1
    currency: str | None = None
    rates: tuple[ExchangeRate, ...] = ()
    volume: bool = False
    tiers: tuple[Tier, ...] = ()
    percentage: Percentage | None = None
    recurring: Recurring | None = None
    commitment: Commitment | None = None
    free: Free | None = None
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    canonical: dict[str, object] = field(default_factory=dict, compare=False)
