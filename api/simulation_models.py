"""What the routes of the simulator take and answer with."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.models import Amount, InstantText, Window
from api.parameters import WholeInstant

DOCUMENT_CHARS_MAX: Final = 4 * 1024 * 1024
ACCOUNTS_MAX: Final = 10_000
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$", max_length=64)]


class SimulationPeriod(BaseModel, extra="forbid"):
    """A month of each account's zone, or two instants: windows that begin between them are rated."""

    month: Annotated[str | None, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] = None
    start: Annotated[WholeInstant | None, Field(alias="from")] = None
    end: Annotated[WholeInstant | None, Field(alias="to")] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.month is None) == (self.start is None) or (self.start is None) != (self.end is None):
            raise ValueError("give month, or from and to")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("to must lie after from: periods are half-open")
        return self


class SimulationBody(BaseModel, extra="forbid"):
    """What to simulate: a document, or the draft of that id in the catalogue."""

    document: Annotated[
        str | dict[str, object] | None, Field(description="the price list: YAML or JSON as text, or a JSON object")
    ] = None
    draft: Name | None = None
    period: SimulationPeriod
    accounts: Annotated[list[str] | None, Field(max_length=ACCOUNTS_MAX, description="ids; all unless given")] = None
    against: Annotated[Name | None, Field(description="list to compare with, for everyone")] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.document is None) == (self.draft is None):
            raise ValueError("give either document or draft")
        return self


class Amounts(BaseModel):
    """Before, after, and what the draft adds."""

    before: Amount
    after: Amount
    difference: Amount


class ProductAmounts(Amounts):
    """Of one product."""

    product: str


class ListRef(BaseModel):
    """A version of a price list; a draft has the version that it would get."""

    id: str
    version: int


class SimulatedAccount(BaseModel):
    """One account under both lists."""

    account: str
    name: str
    period: Window
    price_list_before: ListRef | None
    price_list_after: ListRef | None
    amount: Amounts
    products: list[ProductAmounts]
    lines_before: int
    lines_after: int
    unpriced_before: int = Field(description="lines without a price")
    unpriced_after: int
    problem: str = Field(description="why it could not be rated; empty when it was")


class SimulationResult(BaseModel):
    """What the period would have come to. Accounts are at /accounts, all of it in the CSV and XLSX."""

    draft: ListRef
    digest: str
    cutoff: InstantText = Field(description="only usage stored before it was read")
    totals: list[Amounts] = Field(description="one for each currency")
    products: list[ProductAmounts]
    winners: list[SimulatedAccount] = Field(description="who pays less, the largest saving first")
    losers: list[SimulatedAccount] = Field(description="who pays more, the largest increase first")
    accounts: int
    untouched: int = Field(description="accounts that another list prices, before and after")
    failed: int = Field(description="accounts that could not be rated")


class SimulationView(BaseModel):
    """A simulation and how far it is."""

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    created_at: InstantText
    progress: int = Field(description="percent of the present step")
    step: str
    problems: list[str] = Field(description="why it failed")
    result: SimulationResult | None


class SimulatedLine(BaseModel):
    """One line under both lists: the credit of what was charged, the charge of what would be."""

    window: Window
    segment: Window
    resource: str
    meter: str
    attributes: str
    product: str
    charge: str
    component: str
    quantity_before: int
    quantity_after: int
    price_before: str
    price_after: str
    amount: Amounts
