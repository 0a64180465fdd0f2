"""Rules of the catalogue that need no store: the life of a version, back-dating, limits of coupons."""

from collections.abc import Sequence
from typing import Final, Literal

from billing.catalogue_values import CouponLimits, Redemption
from billing.protocol import PriceListVersion
from schemas.errors import Conflict
from schemas.period import FOREVER, iso

VersionState = Literal["scheduled", "in_force", "retired"]
REASON_LENGTH_MAX: Final = 500


class BackDated(Conflict):
    """A version would change what is past; only force and a reason let it.

    Attributes:
        instant: seconds since 1970: from when on it changes something.
        change: the first change, in words.
    """

    def __init__(self, price_list: str, instant: int, change: str) -> None:
        super().__init__(
            f"price list {price_list} would change the past, from {iso(instant)} on: {change}. Let the change begin "
            "later, or force it and give a reason: settled cycles are then rated anew and the differences posted"
        )
        self.instant, self.change = instant, change


def check_past(price_list: str, effective_from: int, now: int, change: str, reason: str, *, force: bool) -> bool:
    """Return whether a version changes the past on purpose.

    Args:
        price_list: for the message.
        effective_from: first instant that it changes, seconds.
        now: seconds.
        change: the first change, in words.
        reason: why the past shall change.
        force: whether it shall.

    Raises:
        BackDated: it would, and there is no force or no reason.
    """
    if effective_from >= now:
        return False
    if not (force and reason.strip()):
        raise BackDated(price_list, effective_from, change)
    return True


def states(versions: Sequence[PriceListVersion], now: int) -> tuple[VersionState, ...]:
    """Return the state of each version of one list, given oldest first; `now` in seconds.

    A version is scheduled until it rates differently than the one before, then in force, and retired as soon as any
    later one rates differently. One that a later version overtook before it came into force is retired, too.
    """
    found: list[VersionState] = []
    end = FOREVER
    for version in reversed(versions):
        if end <= now or end <= version.effective_from:
            found.append("retired")
        else:
            found.append("scheduled" if now < version.effective_from else "in_force")
        end = min(end, version.effective_from)
    return tuple(reversed(found))


def check_redemption(wanted: Redemption, standing: Sequence[Redemption], limits: CouponLimits) -> None:
    """Check that a code may be redeemed once more; `standing` holds its redemptions by all accounts.

    Raises:
        Conflict: all redemptions, or those of the account, are used up.
    """
    if limits.redemptions is not None and len(standing) >= limits.redemptions:
        raise Conflict(f"coupon {wanted.code} was redeemed {len(standing)} times, which is all it allows")
    own = sum(one.account == wanted.account for one in standing)
    if limits.per_account is not None and own >= limits.per_account:
        raise Conflict(f"coupon {wanted.code} was redeemed {own} times by {wanted.account}: an account may not do more")
