"""One price in the document, as its author writes it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from rating.catalogue.document_fields import (
    Amount,
    Condition,
    Currency,
    Document,
    Identifier,
    Instant,
    Number,
    Positive,
    Text,
)
from schemas.calendar import Size

TIERS_MAX: Final = 1000


class TierDocument(Document):
    """A range of the quantity, from the tier before (or zero) up to a bound."""

    up_to: Positive | None = None
    """Bound in units of `per`; without it the tier has no end, which only the last one may."""
    amount: Amount | None = None
    """What one unit in this tier costs, or one block; for a stairstep what the whole window costs."""
    percent: Number | None = None
    """Instead of `amount`: percent of the quantity, which then is a value; amount = percent ÷ 100."""
    flat: Amount | None = None
    """Costs this once a window, when the quantity reaches the tier."""
    block: Positive | None = None
    """Units in one block, of which `amount` is the price."""


class FreeDocument(Document):
    """A quantity that costs nothing."""

    quantity: Positive
    """In units of `per`, each window."""
    pool: Literal["each", "account", "charge", "accounts"] = "each"
    """each: every group has it for itself; account: all groups of the price share it; charge: all groups of all prices
    of the charge; accounts: the account's siblings, too."""


class CommitmentDocument(Document):
    """What is paid for whether used or not: exactly one of level and quantity."""

    level: Positive | None = None
    """Held all the time, in the level unit of `per`: vCPU for vCPU·h."""
    quantity: Positive | None = None
    """In units of `per`, each window."""
    fee: Amount
    """For each `every`."""
    every: Size | None = None
    """Period of the fee; default: the charge's window."""


class OverageDocument(Document):
    """What usage beyond a commitment costs: exactly one of amount and factor."""

    amount: Amount | None = None
    """For each unit of `per`."""
    factor: Number | None = None
    """Times what one committed unit costs (the fee ÷ the committed units)."""


class ChargePriceDocument(Document):
    """A price of a charge; which keys it takes depends on the charge's model."""

    id: Identifier | None = None
    """Unique in the list. Default: the charge's id when it has one price, else that and `-1`, `-2`, …"""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it applies; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer applies; default: it has no end."""
    when: Mapping[Text, Condition] = Field(default_factory=dict)
    """Attributes that usage must have: a value, a list of values, or a range of numbers; default: any usage."""
    currency: Currency | None = None
    """Of its amounts, where `rates` tell what it is worth; default: the list's."""
    amount: Amount | None = None
    """per_unit, one_off: for one unit; package: for one block; recurring: for each window."""
    size: Positive | None = None
    """package: units in one block."""
    tiers: Annotated[tuple[TierDocument, ...], Field(min_length=1, max_length=TIERS_MAX)] | None = None
    """graduated, volume, stairstep: ascending tiers."""
    percent: Number | None = None
    """percentage: percent of each event's value."""
    fixed: Amount | None = None
    """percentage: for each event."""
    free_events: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """percentage: the first events of a window that cost nothing."""
    free_amount: Positive | None = None
    """percentage: the running total of values up to which nothing is due."""
    minimum_each: Amount | None = None
    """percentage: least that an event costs."""
    maximum_each: Amount | None = None
    """percentage: most that an event costs."""
    quantity: Positive | None = None
    """recurring: multiplies the fee."""
    every: Size | None = None
    """recurring: period of the fee, the charge's window."""
    commitment: CommitmentDocument | None = None
    """committed: what is paid for in any case."""
    overage: OverageDocument | None = None
    """committed: what usage beyond it costs."""
    free: FreeDocument | None = None
    """Free quantity; default: the charge's."""
    minimum: Amount | None = None
    """Least that each group's window costs; default: the charge's."""
    maximum: Amount | None = None
    """Most that each group's window costs; default: the charge's."""


class PriceDocument(Document):
    """A price in the short form: one amount a unit of a meter, each usage row by itself."""

    id: Identifier
    """Unique in the list; names the price in every line."""
    product: Text
    """What the tenant reads."""
    meter: str
    """What is measured; also the id of the charge that the price belongs to."""
    amount: Amount
    """What one `per` costs."""
    per: str
    """Unit of the amount."""
    when: Mapping[Text, Condition] = Field(default_factory=dict)
    """Attributes that usage must have: a value, a list of values, or a range of numbers; default: any usage."""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it applies; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer applies; default: it has no end."""
