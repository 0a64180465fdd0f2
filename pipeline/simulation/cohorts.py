"""Whose usage is simulated under which lists: accounts in cohorts that the warehouse can rate together."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from billing.cycles import SIZES
from billing.protocol import Account
from pipeline.directory import Directory
from pipeline.simulation.grid import Side
from pipeline.simulation.lists import DraftLists
from pipeline.simulation.model import AccountResult, ListName
from pipeline.simulation.tally import dues_of
from rating.price_list import PriceList
from rating.terms import Terms
from schemas.calendar import window_of
from schemas.errors import Misconfigured, Poison
from schemas.period import Period, parse_instant


@dataclass(frozen=True, slots=True)
class Asked:
    """What to simulate.

    Attributes:
        document: of the draft.
        month: such as ``2026-09``, in each account's zone; "" where `period` is given.
        period: seconds since 1970, for windows that begin inside it; None where `month` is given.
        accounts: ids; None: all.
        against: id of the list to compare with; None: whatever is in force for each account.
    """

    document: str
    month: str = ""
    period: Period | None = None
    accounts: Sequence[str] | None = None
    against: str | None = None

    def period_in(self, zone: str) -> Period:
        """Return the period in a zone; raises Misconfigured for what is no month."""
        if self.period is not None:
            return self.period
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", self.month):
            raise Misconfigured([f"{self.month!r} is not a month: write year and month, for example 2026-10"])
        return window_of(parse_instant(f"{self.month}-15T12:00:00Z"), "month", zone)


@dataclass(frozen=True)
class Cohort:
    """Accounts that are alike: the same lists, zone and cycle, and the same campaigns.

    Attributes:
        lists: before and after; None: no list.
        sides: the same, ready to choose prices.
        period: of these accounts.
        accounts: who.
    """

    lists: tuple[PriceList | None, PriceList | None]
    sides: tuple[Side | None, Side | None]
    period: Period
    accounts: list[Account] = field(default_factory=list)

    @property
    def bounds(self) -> list[int]:
        """Instants at which a window of the account's terms begins or ends, ascending."""
        windows = (w for s in self.sides if s is not None for w, _ in dues_of(s.price_list, self.period, s.terms.zone))
        return sorted({bound for window in windows for bound in (window.start, window.end)})

    @property
    def currency(self) -> str:
        """Currency of both lists."""
        return next((known.currency for known in reversed(self.lists) if known is not None), "")

    def result(self, account: Account, problem: str = "") -> AccountResult:
        """Return the result of one of the accounts, without amounts."""
        before, after = (None if one is None else ListName(one.id, one.version) for one in self.lists)
        return AccountResult(account.id, account.name, self.currency, before, after, self.period, problem=problem)


@dataclass
class Admitted:
    """What becomes of the accounts asked for.

    Attributes:
        cohorts: by what their accounts have in common.
        problems: accounts that cannot be rated.
        untouched: how many accounts the draft does not concern.
    """

    cohorts: dict[Hashable, Cohort] = field(default_factory=dict)
    problems: list[AccountResult] = field(default_factory=list)
    untouched: int = 0


def chosen(asked: Asked, directory: Directory) -> Sequence[Account]:
    """Return the accounts asked for, by id; raises Misconfigured for one that does not exist."""
    accounts = directory.accounts()
    names = sorted(set(asked.accounts)) if asked.accounts is not None else sorted(accounts)
    strange = [name for name in names if name not in accounts]
    if strange:
        raise Misconfigured([f"there is no account {name!r}" for name in strange])
    return [accounts[name] for name in names]


def admitted(asked: Asked, lists: DraftLists, directory: Directory, cutoff: int) -> Admitted:
    """Return the accounts asked for in cohorts.

    Args:
        asked: what to simulate.
        lists: with the draft.
        directory: who pays for what.
        cutoff: microseconds; terms known before it.

    Raises:
        Misconfigured: an account or month that does not exist.
    """
    found = Admitted()
    for account in chosen(asked, directory):
        period = asked.period_in(account.timezone)
        try:
            sides = lists.sides(account)
        except Poison as error:
            found.problems.append(Cohort((None, None), (None, None), period).result(account, str(error)))
            continue
        if sides is None:
            found.untouched += 1
            continue
        terms = directory.terms(account, cutoff)
        both = (sides.before, sides.after)
        key = (*map(id, both), account.timezone, account.cycle, _campaigns_key(terms, both))
        cohort = found.cohorts.get(key)
        if cohort is None:
            own = tuple(None if one is None else Side.of(one, terms, SIZES[account.cycle]) for one in both)
            cohort = found.cohorts[key] = Cohort(both, (own[0], own[1]), period)
        if len({one.currency for one in both if one is not None}) == 2:
            problem = " and ".join(f"{one.id} is in {one.currency}" for one in both if one is not None)
            found.problems.append(cohort.result(account, f"amounts cannot be compared: {problem}"))
        else:
            cohort.accounts.append(account)
    return found


def _campaigns_key(terms: Terms, lists: Sequence[PriceList | None]) -> Hashable:
    """Return what of an account its campaigns depend on; lists without campaigns make all accounts alike."""
    campaigns = [campaign for one in lists if one is not None for campaign in one.campaigns]
    if not campaigns:
        return None
    named = terms.account if any(campaign.accounts for campaign in campaigns) else ""
    return terms.groups, tuple(sorted(terms.coupons.items())), named
