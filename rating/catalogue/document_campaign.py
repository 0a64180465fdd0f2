"""Campaigns, exchange rates and terms of the whole account in the document."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, WrapValidator

from rating.catalogue.document_fields import (
    Amount,
    Code,
    Currency,
    Document,
    Identifier,
    Instant,
    Names,
    Number,
    OneCondition,
    Positive,
    Text,
    hole,
)
from schemas.calendar import Size

COMMITMENTS_MAX: Final = 1000
Count = Annotated[int, Field(ge=1, le=10**9)]


class CampaignLimitsDocument(Document):
    """How often a coupon may be used."""

    redemptions: Count | None = None
    """By all accounts together."""
    per_account: Count | None = None
    """By one account."""
    windows: Count | None = None
    """Windows of the charge, from redemption on, in which it counts."""


class CampaignDocument(Document):
    """A dated reduction: exactly one of percent, absolute, free_quantity and fixed_price."""

    id: Identifier
    """Unique in the list; names the discount's lines."""
    name: Text | None = None
    """For people; default: the id."""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it counts; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer counts; default: it has no end."""
    percent: Number | None = None
    """Takes this percentage of the amount, 0 to 100."""
    absolute: Amount | None = None
    """Takes this amount off each group and window, never below zero."""
    free_quantity: Positive | None = None
    """Added to the free quantity, in units of `per`."""
    fixed_price: Amount | None = None
    """Replaces the amount of each unit."""
    products: Names = ()
    """Ids of products it holds for; absent: all. Likewise the next five."""
    charges: Names = ()
    """Ids of charges."""
    meters: Names = ()
    """Keys of meters."""
    groups: Names = ()
    """Ids of account groups."""
    accounts: Names = ()
    """Ids of accounts."""
    when: Mapping[Text, OneCondition] = Field(default_factory=dict)
    """Values or ranges of attributes, `site` included."""
    coupon: Code | None = None
    """Counts only from the redemption of this code on."""
    limits: CampaignLimitsDocument | None = None
    """Of the coupon."""
    stacking: Literal["multiply", "add", "exclusive"] = "multiply"
    """On what earlier campaigns left; on the undiscounted amount; or no other campaign besides."""
    priority: Annotated[int, Field(ge=-(10**9), le=10**9)] = 0
    """Order of campaigns, lower first, then by id."""
    cap: Amount | None = None
    """Most that it takes off each group and window."""


class ExchangeRateDocument(Document):
    """What one unit of a currency is worth in the list's."""

    currency: Currency
    """The other currency."""
    rate: Positive
    """Units of the list's currency in one."""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it holds; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer holds; default: it has no end."""


class BoundDocument(Document):
    """Least or most that an account pays."""

    amount: Amount
    """Of all its charges together."""
    every: Size = "month"
    """In each such window."""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it holds; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer holds; default: it has no end."""


class SpendCommitmentDocument(Document):
    """An amount that an account agreed to spend."""

    id: Identifier
    """Unique among the commitments."""
    amount: Positive
    """In each window of `every`."""
    every: Size = "month"
    """Its window."""
    products: Names = ()
    """Ids of products whose charges count; default, without `charges` either: all."""
    charges: Names = ()
    """Ids of charges that count, beside those of the products."""
    true_up: bool = True
    """Whether what is missing is billed."""
    overage_factor: Positive | None = None
    """What is spent beyond the amount costs this many times as much."""
    start: Instant = Field(default_factory=int, alias="from")
    """First instant at which it holds; default: the beginning of time."""
    end: Instant | None = Field(default=None, alias="to")
    """First instant at which it no longer holds; default: it has no end."""


class AccountTermsDocument(Document):
    """Terms over all charges of an account."""

    minimum: BoundDocument | None = None
    """Least that it pays."""
    maximum: BoundDocument | None = None
    """Most that it pays."""
    commitments: Annotated[
        tuple[Annotated[SpendCommitmentDocument, WrapValidator(hole)], ...], Field(max_length=COMMITMENTS_MAX)
    ] = ()
    """Spend commitments."""
