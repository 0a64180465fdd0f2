"""What an account must satisfy on its own, whatever the books hold besides."""

import re
from typing import Final

from billing.protocol import CYCLES, Account
from schemas.calendar import zone_of

ACCOUNT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def check_account(account: Account) -> None:
    """Check an account's own fields; raises ValueError that says what to mend."""
    if not ACCOUNT_ID.fullmatch(account.id):
        raise ValueError(
            f"account id {account.id!r}: use small letters, digits and -, 63 at most, beginning with a letter or digit"
        )
    if not account.name:
        raise ValueError(f"account {account.id} has no name")
    if account.cycle not in CYCLES:
        raise ValueError(f"account {account.id}: cycle {account.cycle!r} is none of {', '.join(CYCLES)}")
    zone_of(account.timezone)
