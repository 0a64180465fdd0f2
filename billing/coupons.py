"""What the campaigns of a price list say of a coupon code."""

from collections.abc import Iterable

from billing.catalogue_values import CouponLimits
from rating.charge import Campaign


def limits_of(campaigns: Iterable[Campaign], code: str, now: int) -> CouponLimits | None:
    """Return how often a code may be redeemed, or None when no campaign in force at `now` (seconds) knows it.

    Where several campaigns have the same code, the narrowest limit counts.
    """
    limits = [c.limits for c in campaigns if c.coupon == code and c.valid.start <= now < c.valid.end]
    if not limits:
        return None
    return CouponLimits(
        redemptions=_least(one.redemptions for one in limits), per_account=_least(one.per_account for one in limits)
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
