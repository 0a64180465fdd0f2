"""What campaigns say of a code: in force or not, and the narrowest limits."""

from billing.catalogue_values import CouponLimits
from billing.coupons import limits_of
from rating.charge import Campaign, CampaignLimits
from schemas.period import Period


def campaign(code: str | None, start: int, end: int, *limits: int | None) -> Campaign:
    return Campaign(f"c-{start}", "C", Period(start, end), coupon=code, limits=CampaignLimits(*limits))


def test_a_code_counts_while_its_campaign_lasts() -> None:
    known = [campaign("SALE", 10, 20), campaign(None, 0, 100)]
    assert limits_of(known, "SALE", 10) == CouponLimits()
    assert [limits_of(known, "SALE", now) for now in (9, 20)] == [None, None]
    assert limits_of(known, "OTHER", 10) is None


def test_the_narrowest_limit_counts() -> None:
    known = [campaign("SALE", 0, 20, 9, None), campaign("SALE", 5, 20, 7, 3), campaign("SALE", 6, 20, None, 2)]
    assert limits_of(known, "SALE", 0) == CouponLimits(9, None)
    assert limits_of(known, "SALE", 5) == CouponLimits(7, 3)
    assert limits_of(known, "SALE", 6) == CouponLimits(7, 2)
