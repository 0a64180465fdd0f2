"""The result of a simulation, as plain values. Breakdowns add up to the account, and accounts to the total, exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.period import Period

NAMED_MAX: Final = 10
"""Winners and losers that are named beside the full list of accounts."""

Update = Callable[[int, int | None, str | None], None]
"""Is told what is done of how much (None: unknown), and what is being done."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Micro-units before and after."""

    before: int = 0
    after: int = 0

    @property
    def difference(self) -> int:
        """What the draft adds; negative: what it saves."""
        return self.after - self.before

    def __add__(self, other: "Pair") -> "Pair":
        """Add both sides."""
        return Pair(self.before + other.before, self.after + other.after)


@dataclass(frozen=True, slots=True)
class ListName:
    """A price list and its version; version 0 is a draft's that is not in the books."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What one account would have paid.

    Attributes:
        account: its id.
        name: for people.
        currency: of all amounts.
        before, after: the effective lists; None: no list priced it.
        period: what was rated: windows that begin inside it.
        by_product: product → amounts; they add up to `amount`.
        unpriced: lines without a price, before and after.
        lines: lines, before and after.
        problem: why it could not be rated, "" when it was; its amounts are then 0 and mean nothing.
    """

    account: str
    name: str
    currency: str
    before: ListName | None
    after: ListName | None
    period: Period
    by_product: Mapping[str, Pair] = field(default_factory=dict)
    unpriced: Pair = Pair()
    lines: Pair = Pair()
    problem: str = ""

    @property
    def amount(self) -> Pair:
        """Σ of all lines."""
        return sum(self.by_product.values(), Pair())


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a period would have come to.

    Attributes:
        draft: the list simulated.
        digest: of the draft.
        month: calendar month in each account's zone, such as ``2026-09``; "" for a period of instants.
        period: the period asked for; of a month its UTC months's.
        cutoff: microseconds; only usage stored before it was read.
        accounts: by id, those that the draft concerns.
        untouched: accounts that it does not concern: another list prices them before and after.
        pushed: lines whose amounts the warehouse computed.
        streamed: lines that went through the rating engine.
    """

    draft: ListName
    digest: str
    month: str
    period: Period
    cutoff: int
    accounts: Sequence[AccountResult]
    untouched: int = 0
    pushed: int = 0
    streamed: int = 0

    @property
    def rated(self) -> Sequence[AccountResult]:
        """Accounts without a problem."""
        return [a for a in self.accounts if not a.problem]

    @property
    def problems(self) -> Sequence[AccountResult]:
        """Accounts that could not be rated."""
        return [a for a in self.accounts if a.problem]

    @property
    def totals(self) -> Mapping[str, Pair]:
        """Currency → Σ over accounts."""
        found: dict[str, Pair] = {}
        for account in self.rated:
            found[account.currency] = found.get(account.currency, Pair()) + account.amount
        return found

    @property
    def by_product(self) -> Mapping[tuple[str, str], Pair]:
        """(currency, product) → Σ over accounts, in order of both."""
        found: dict[tuple[str, str], Pair] = {}
        for account in self.rated:
            for product, pair in account.by_product.items():
                key = account.currency, product
                found[key] = found.get(key, Pair()) + pair
        return dict(sorted(found.items()))

    @property
    def winners(self) -> Sequence[AccountResult]:
        """Accounts that would pay less, the largest saving first."""
        return sorted(
            (a for a in self.rated if a.amount.difference < 0), key=lambda a: (a.amount.difference, a.account)
        )

    @property
    def losers(self) -> Sequence[AccountResult]:
        """Accounts that would pay more, the largest increase first."""
        return sorted(
            (a for a in self.rated if a.amount.difference > 0), key=lambda a: (-a.amount.difference, a.account)
        )


@dataclass(frozen=True, slots=True)
class LineDifference:
    """One line under both lists: the credit of what was charged and the charge of what would be.

    Attributes:
        window, segment: when.
        resource_id, meter_id, attributes_id: of what; 0 for none.
        charge: id of the charge, "" for unpriced usage.
        component: of the price.
        product: what the tenant reads.
        quantity: what the line says, before and after.
        amount: before and after.
        prices: ids of the prices, "" where there is no line.
    """

    window: Period
    segment: Period
    resource_id: int
    meter_id: int
    attributes_id: int
    charge: str
    component: str
    product: str
    quantity: Pair
    amount: Pair
    prices: tuple[str, str]
