"""What to rate of an account."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.cycles import cycles_due
from billing.protocol import Account
from rating.lists import PriceList
from schemas.period import Period


@dataclass(frozen=True, slots=True)
class Job:
    """What to rate.

    Attributes:
        account: who pays.
        price_list: effective.
        asked: billing cycles, in order, whose windows are wanted.
        stretch: what of them was touched; None: all.
        settled: cycles that are settled, asked for or not; they keep their bounds.
        cutoff: microseconds since 1970: only usage stored before it.
        only: the one window that is wanted; None: all.
    """

    account: Account
    price_list: PriceList
    asked: Sequence[Period]
    stretch: Period | None
    settled: frozenset[Period]
    cutoff: int
    only: Period | None = None

    def cycles_over(self, period: Period) -> Sequence[Period]:
        """Return all of the account's billing cycles that overlap a period, in order, without a gap."""
        return cycles_due(period.start, period.end, self.account.cycle, self.account.timezone, self.settled)
