"""What the API answers with. Amounts are micro-units beside exact decimal text; quantities are whole base units."""

from typing import Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, Field

from billing.protocol import Cycle
from billing.window_life import State

Item = TypeVar("Item")
InstantText = Annotated[str, Field(description="ISO 8601 instant in UTC")]
GROUPS_MAX: Final = 100
"""Groups of one account."""
Digest = Annotated[str, Field(pattern="^[0-9a-f]{16}$", description="64 bits, hexadecimal")]


class Page(BaseModel, Generic[Item]):
    """One page; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


class Window(BaseModel):
    """A half-open period."""

    start: InstantText
    end: InstantText


class Amount(BaseModel):
    """An exact amount."""

    micros: int = Field(description="millionths of the currency's unit")
    text: str = Field(description="exact decimal text", examples=["12.50"])
    currency: str


class Quantity(BaseModel):
    """A quantity: whole base units, and the same for people."""

    base: int
    unit: str = Field(description="base unit")
    display: str = Field(description="decimal text in the display unit")
    display_unit: str
    exact: bool = Field(description="false: the decimal has no end and was cut after 12 digits; `base` is exact")


class ResourceName(BaseModel):
    """A billable thing."""

    site: str
    key: str = Field(description="kind/native id")
    name: str


class TenantName(BaseModel):
    """A tenant as its platform names it."""

    site: str
    tenant: str


class MeterView(BaseModel):
    """One meter of the registry."""

    key: str
    name: str
    kind: str
    base_unit: str
    cell_seconds: int
    gap: str
    attributes: list[str]
    display: dict[str, int] = Field(description="display unit → base units in one")
    event_type: str | None = Field(description="CloudEvents type that feeds it; null: com.stratometer.sample.v1")


class UsageItem(BaseModel):
    """Usage of one meter in one window; resource, attributes and tenant as grouped."""

    window: Window
    meter: str
    resource: ResourceName | None = None
    tenant: TenantName | None = None
    attributes: dict[str, str] | None = None
    quantity: Quantity
    covered_seconds: int
    samples: int
    coverage: str = Field(description="seconds known of the seconds metered, 0.0000 to 1.0000")


class PriceName(BaseModel):
    """Which price made an amount, and which part of it: a tier, a fee, a minimum … or `unit`, the price itself."""

    id: str
    component: str
    charge: str
    product: str
    price_list: str
    version: int
    amount: str
    currency: str
    per: str


class LineItem(BaseModel):
    """A rated line; without price it is unpriced."""

    digest: Digest
    account: str
    window: Window
    segment: Window
    resource: ResourceName
    meter: str
    attributes: dict[str, str]
    quantity: Quantity
    covered_seconds: int
    amount: Amount
    price: PriceName | None
    revision: int = Field(description="cut-off in microseconds at which the usage was read")


class Step(BaseModel):
    """One step of an explanation."""

    name: str
    text: str


class SampleItem(BaseModel):
    """One deduplicated sample behind a line."""

    cell_start: InstantText
    cell_seconds: int
    covered_seconds: int
    quantity: int
    revision: int
    versions: int = Field(description="how many versions of this sample were ever stored")
    stored_at: InstantText


class Verification(BaseModel):
    """The line recomputed from what is stored, and compared to the last digit."""

    proved: bool
    differences: list[str]
    usage_quantity: int
    usage_samples: int
    usage_digest: Digest
    amount_micros: int
    digest: Digest


class Explanation(BaseModel):
    """A line, from amount to samples."""

    line: LineItem
    superseded: bool = Field(description="a newer rating of the window replaced this line")
    sentence: str
    steps: list[Step]
    price_list_digest: str = Field(description="SHA-256 of the price list version's canonical content")
    valid: Window | None = Field(description="validity of the price")
    verification: Verification
    samples: list[SampleItem]
    next_cursor: str | None = None


class RatingItem(BaseModel):
    """One rated window of an account."""

    account: str
    window: Window
    state: State
    revision: int
    price_list: str
    version: int
    lines: int
    unpriced: int
    amount: Amount
    digest: Digest


class AccountView(BaseModel):
    """An account; a parent outside the caller's reach is null."""

    id: str
    name: str
    parent: str | None
    timezone: str
    cycle: Cycle
    price_list: str | None
    groups: list[str]


class AccountBody(BaseModel, extra="forbid"):
    """An account as it is written."""

    name: str = Field(min_length=1, max_length=200)
    parent: str | None = None
    timezone: str = "UTC"
    cycle: Cycle = "monthly"
    price_list: str | None = None
    groups: list[str] = Field(default_factory=list, max_length=GROUPS_MAX)


class Balance(BaseModel):
    """Wallets of an account, one for each currency."""

    account: str
    wallets: list[Amount]


class EntryView(BaseModel):
    """One side of a transfer."""

    ledger_account: str
    amount: Amount


class Transaction(BaseModel):
    """A transfer as it touches the account's wallet."""

    id: str
    kind: str
    account: str
    amount: Amount = Field(description="what it adds to the wallet; negative takes away")
    entries: list[EntryView]
    effective_at: InstantText
    posted_at: InstantText
    sequence: int
    details: dict[str, str]


class GrantBody(BaseModel, extra="forbid"):
    """Units granted to a wallet."""

    amount: str = Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?$", description="decimal text, more than zero")
    currency: str = Field(pattern="^[A-Z][A-Z0-9]{1,11}$")
    reason: str = Field(min_length=1, max_length=500)


class RuleBody(BaseModel, extra="forbid"):
    """A mapping rule as it is written; patterns are exact texts or globs."""

    account: str
    tenant: str = Field(min_length=1, max_length=512)
    site: str = Field(default="*", min_length=1, max_length=512)
    resource: str = Field(default="*", min_length=1, max_length=512)
    start: str | None = Field(default=None, description="first instant of validity; null: always")
    end: str | None = Field(default=None, description="first instant no longer valid; null: no end")


class RuleView(BaseModel):
    """A mapping rule."""

    id: int
    account: str
    site: str
    tenant: str
    resource: str
    start: InstantText
    end: InstantText
    recorded_at: InstantText


class UnattributedItem(BaseModel):
    """A tenant (or part of it) that no rule maps, with its usage of one meter."""

    site: str
    tenant: str
    meter: str
    quantity: Quantity
    samples: int


class Accepted(BaseModel):
    """What was made durable."""

    accepted: int


class Health(BaseModel):
    """The process is alive."""

    status: str
    version: str


class Ready(BaseModel):
    """Both stores answer."""

    status: str
    warehouse: str
    books: str


class Reconciliation(BaseModel):
    """Counters over everything stored: accepted + replayed = stored + dead."""

    accepted: int
    replayed: int
    stored: int
    dead: int
    unique: int
    messages: int
    balanced: bool
