"""What is known of an account when its usage is rated, beside its price list."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rating.charge import ALWAYS
from schemas.period import Period


@dataclass(frozen=True, slots=True)
class PoolShare:
    """How far an allowance that several accounts share is used by the accounts before this one, and by all.

    Attributes:
        before: Σ quantity, in base units, of the pool's accounts whose id is smaller.
        total: Σ quantity of all accounts of the pool, this one included.
        digest: of the usage behind both.
    """

    before: int
    total: int
    digest: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """An account as rating sees it.

    Attributes:
        account: its id.
        groups: account groups it belongs to, for campaigns.
        coupons: redeemed coupon code → instant of redemption.
        active: when it is a customer: recurring fees are prorated to it.
        zone: IANA zone of its calendar.
        pools: (charge id, window start) → share of an allowance that several accounts share.
    """

    account: str = ""
    groups: frozenset[str] = frozenset()
    coupons: Mapping[str, int] = field(default_factory=dict)
    active: Period = ALWAYS
    zone: str = "UTC"
    pools: Mapping[tuple[str, int], PoolShare] = field(default_factory=dict)
