"""Campaigns: which apply to a group at an instant, and what they take off."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from schemas import calendar
from schemas.period import Period, parse_instant
from tests.rating.reference.document import Charge, Listing, Node, matches, optional, period_of, when_of

ZERO = Fraction(0)


def all_of(lists: Sequence[Listing]) -> list[Node]:
    """The campaigns of the nearest list that has any, by priority, then id."""
    found: Sequence[Node] = next((x.raw["campaigns"] for x in lists if x.raw.get("campaigns")), [])
    return sorted(found, key=lambda c: (int(c.get("priority", "0")), c["id"]))


def filtered(
    campaigns: Sequence[Node], charge: Charge, attributes: Mapping[str, str] | None, terms: Mapping[str, Any]
) -> list[Node]:
    """Those that may concern usage with these attributes (None: a group without usage), dates aside."""
    names = {
        "products": {charge.product, charge.product_id},
        "charges": {charge.id},
        "meters": set(charge.meters),
        "groups": set(terms.get("groups", ())),
        "accounts": {terms.get("account", "")},
    }
    return [
        c
        for c in campaigns
        if all(names[key] & set(c[key]) for key in names if c.get(key))
        and matches(when_of(c), attributes or {})
        and ("coupon" not in c or c["coupon"] in terms.get("coupons", {}))
    ]


def starts_and_ends(campaign: Node, terms: Mapping[str, Any]) -> list[int]:
    valid = period_of(campaign)
    coupon = campaign.get("coupon")
    redeemed = [parse_instant(terms["coupons"][coupon])] if coupon in terms.get("coupons", {}) else []
    return [valid.start, valid.end, *redeemed]


def applying(
    campaigns: Sequence[Node], charge: Charge, part: Period, terms: Mapping[str, Any], zone: str
) -> list[Node]:
    """Those in force during a part; the first exclusive one drives out all others."""
    found = [c for c in campaigns if part.start in period_of(c) and _coupon_holds(c, charge, part, terms, zone)]
    alone = [c for c in found if c.get("stacking") == "exclusive"]
    return alone[:1] or found


def _coupon_holds(campaign: Node, charge: Charge, part: Period, terms: Mapping[str, Any], zone: str) -> bool:
    if "coupon" not in campaign:
        return True
    redeemed = parse_instant(terms["coupons"][campaign["coupon"]])
    limit = campaign.get("limits", {}).get("windows")
    if part.start < redeemed:
        return False
    if limit is None:
        return True
    until = Period(redeemed, part.start + 1)
    return len(calendar.windows(until, charge.window, zone)) <= int(limit)  # type: ignore[arg-type]


def discounts(campaigns: Sequence[Node], amount: Fraction, before: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """What each campaign takes off `amount`.

    Args:
        campaigns: in order.
        amount: of the group's part; zero or more.
        before: what each campaign took off earlier parts of the window: caps and absolute amounts hold for the window.
    """
    left, found = amount, {}
    for campaign in campaigns:
        percent, absolute, cap = (optional(campaign, key) for key in ("percent", "absolute", "cap"))
        if percent is not None:
            off = (amount if campaign.get("stacking") == "add" else left) * percent / 100
        elif absolute is not None:
            off = absolute - before.get(campaign["id"], ZERO)
        else:
            continue
        if cap is not None:
            off = min(off, cap - before.get(campaign["id"], ZERO))
        off = min(off, left)
        left -= off
        found[campaign["id"]] = off
    return found
