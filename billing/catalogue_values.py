"""What the books keep of the catalogue beside versions of price lists: drafts, groups, coupons, and who did what."""

from dataclasses import dataclass
from typing import Final

AUDIT_PAGE_MAX: Final = 1_000
"""Most audit entries of one page."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes the catalogue, when and why; the audit keeps it.

    Attributes:
        actor: the API key, or the person at the command line.
        at: microseconds since 1970.
        reason: in the actor's words, or "".
    """

    actor: str = ""
    at: int = 0
    reason: str = ""


UNSIGNED: Final = Act()
"""Nobody in particular: seeds and tests."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A price list in the making.

    Attributes:
        id: of the list that it becomes a version of.
        document: as it was saved; it may still have mistakes.
        revision: which save this is; never used twice, also not after the draft was deleted and made anew.
        updated_at: microseconds since 1970.
        updated_by: who saved it.
    """

    id: str
    document: str
    revision: int
    updated_at: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class Publication:
    """How a version comes to be published.

    Attributes:
        effective_from: seconds since 1970: the earliest instant at which it rates differently than its predecessor.
        by: who publishes it.
        reason: why, or "".
        forced: whether it changes the past, on purpose.
        expected: the newest version that the publisher looked at (0: none), or None for whatever there is.
        draft: revision of the draft that it comes from and that ends with it, or None.
        changes: JSON array of what changed, for the audit.
    """

    effective_from: int = 0
    by: str = ""
    reason: str = ""
    forced: bool = False
    expected: int | None = None
    draft: int | None = None
    changes: str = "[]"


PLAIN: Final = Publication()
"""A publication that says nothing of itself: seeds and tests."""


@dataclass(frozen=True, slots=True)
class AccountGroup:
    """Accounts that share a price list or campaigns; which belong to it stands at the accounts.

    Attributes:
        id: stable short name, like an account's.
        name: for people.
        price_list: its list, or None.
        priority: of two groups of an account the lower one's list is the nearer; then the id decides.
    """

    id: str
    name: str
    price_list: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CouponLimits:
    """How often a code may be redeemed: by all accounts together, and by each. None: without limit."""

    redemptions: int | None = None
    per_account: int | None = None


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon code as an account redeemed it.

    Attributes:
        code, account: which, and who.
        redeemed_at: seconds since 1970: from when it counts.
        recorded_at: microseconds since 1970: from when the books know it.
    """

    code: str
    account: str
    redeemed_at: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of the catalogue, as it stands for ever.

    Attributes:
        sequence: its place, from 1 without holes.
        at: microseconds since 1970.
        actor, reason: as in `Act`.
        action: ``draft.save``, ``draft.delete``, ``list.publish``, ``list.back-date``, ``group.save``,
            ``account.groups``, ``coupon.redeem``.
        subject: id of the list, group, account or coupon.
        version: of the list, or None.
        digest_before, digest_after: SHA-256 of the document, or "".
        changes: JSON array of what changed, for people.
    """

    sequence: int
    at: int
    actor: str
    action: str
    subject: str
    version: int | None = None
    reason: str = ""
    digest_before: str = ""
    digest_after: str = ""
    changes: str = "[]"
