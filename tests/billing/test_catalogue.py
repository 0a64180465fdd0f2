"""The life of a version, back-dating, and limits of coupons."""

import pytest

from billing.catalogue import BackDated, check_past, check_redemption, states
from billing.catalogue_values import CouponLimits, Redemption
from billing.protocol import PriceListVersion
from schemas.errors import Conflict


def versions(*effective: int) -> list[PriceListVersion]:
    return [PriceListVersion("eu", n, "x", n, effective_from=at) for n, at in enumerate(effective, 1)]


@pytest.mark.parametrize(
    ("effective", "now", "expected"),
    [
        ((0,), 100, ("in_force",)),
        ((200,), 100, ("scheduled",)),
        ((0, 200), 100, ("in_force", "scheduled")),
        ((0, 200), 200, ("retired", "in_force")),
        ((0, 50), 100, ("retired", "in_force")),
        ((0, 0), 100, ("retired", "in_force")),
        # the third begins before the second would have: that one never comes into force
        ((0, 300, 200), 100, ("in_force", "retired", "scheduled")),
        ((0, 300, 200), 250, ("retired", "retired", "in_force")),
        ((0, 200, 300), 250, ("retired", "in_force", "scheduled")),
        ((0, 200, 300), 100, ("in_force", "scheduled", "scheduled")),
        # back-dated by force before the one that is in force
        ((0, 50, 20), 100, ("retired", "retired", "in_force")),
        ((), 100, ()),
    ],
)
def test_states(effective: tuple[int, ...], now: int, expected: tuple[str, ...]) -> None:
    assert states(versions(*effective), now) == expected


def test_exactly_one_version_is_in_force_once_the_first_is() -> None:
    for one in range(0, 50, 10):
        for two in range(0, 50, 10):
            for now in range(0, 60, 5):
                found = states(versions(0, one, two), now)
                assert found.count("in_force") == 1


def test_the_past_changes_only_by_force_and_with_a_reason() -> None:
    assert not check_past("eu", 100, 100, "x", "", force=False), "from now on is not the past"
    assert not check_past("eu", 101, 100, "x", "why", force=True), "nothing is forced that need not be"
    assert check_past("eu", 99, 100, "x", "a wrong price", force=True)
    for reason, force in (("", True), ("  ", True), ("why", False)):
        with pytest.raises(BackDated, match=r"from 1970-01-01T00:01:39Z on: disk.amount 1 → 2") as caught:
            check_past("eu", 99, 100, "disk.amount 1 → 2", reason, force=force)
        assert caught.value.instant == 99


def test_redemptions_are_counted() -> None:
    wanted = Redemption("SALE", "acme", 9, 9)
    standing = [Redemption("SALE", "acme", 1, 1), Redemption("SALE", "beta", 2, 2)]
    check_redemption(wanted, standing, CouponLimits())
    check_redemption(wanted, standing, CouponLimits(redemptions=3, per_account=2))
    with pytest.raises(Conflict, match="2 times, which"):
        check_redemption(wanted, standing, CouponLimits(redemptions=2))
    with pytest.raises(Conflict, match="1 times by acme"):
        check_redemption(wanted, standing, CouponLimits(per_account=1))
    check_redemption(wanted, standing[1:], CouponLimits(per_account=1))
