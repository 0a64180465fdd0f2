"""What an account must satisfy on its own, whatever the books hold besides."""

import re
from dataclasses import replace
from typing import Final

from billing.catalogue_values import UNSIGNED, AccountGroup, Act
from billing.protocol import CYCLES, Account, Books
from schemas.calendar import zone_of

UNATTRIBUTED: Final = "unattributed"
"""Pseudo account of usage that no rule maps; no account may take its id, or it would be billed for all of that."""
ACCOUNTS_CHANGED: Final = "accounts"
"""Cursor in the books: when an account, a group or a coupon was last created or changed, microseconds since 1970."""
ACCOUNT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PRIORITY_MAX: Final = 1_000_000


def check_account(account: Account) -> None:
    """Check an account's own fields; raises ValueError that says what to mend."""
    if not ACCOUNT_ID.fullmatch(account.id):
        raise ValueError(
            f"account id {account.id!r}: use small letters, digits and -, 63 at most, beginning with a letter or digit"
        )
    if account.id == UNATTRIBUTED:
        raise ValueError(f"account id {UNATTRIBUTED!r} stands for usage that no rule maps: choose another")
    if not account.name:
        raise ValueError(f"account {account.id} has no name")
    if account.cycle not in CYCLES:
        raise ValueError(f"account {account.id}: cycle {account.cycle!r} is none of {', '.join(CYCLES)}")
    if len(set(account.groups)) < len(account.groups):
        raise ValueError(f"account {account.id} names a group twice")
    zone_of(account.timezone)


def check_group(group: AccountGroup) -> None:
    """Check a group's own fields; raises ValueError that says what to mend."""
    if not ACCOUNT_ID.fullmatch(group.id):
        raise ValueError(
            f"group id {group.id!r}: use small letters, digits and -, 63 at most, beginning with a letter or digit"
        )
    if not group.name:
        raise ValueError(f"group {group.id} has no name")
    if abs(group.priority) > PRIORITY_MAX:
        raise ValueError(f"group {group.id}: priority {group.priority} lies outside ±{PRIORITY_MAX}")


def put_account(books: Books, account: Account, now: int, act: Act = UNSIGNED) -> None:
    """Create or change an account and note when, so that settling looks at what it may have left unpriced.

    Args:
        books: where to.
        account: as it shall be; an equal one changes nothing, whatever the order of its groups.
        now: microseconds since 1970.
        act: who asks, for the audit of changed groups.

    Raises:
        ValueError: as `check_account`.
        Conflict: an unknown parent, or a cycle in the tree.
    """
    check_account(account)
    standing = books.account(account.id)
    if standing is None or _by_name(standing) != _by_name(account):
        books.put_account(account, replace(act, at=now))
        books.advance(ACCOUNTS_CHANGED, now)


def _by_name(account: Account) -> Account:
    return replace(account, groups=tuple(sorted(account.groups)))
