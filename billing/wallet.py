"""Wallets as people see them: balance, what came in, what went out, and whether it is time for a warning."""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.ledger import wallet
from schemas.money import Money


@dataclass(frozen=True, slots=True)
class WalletView:
    """One wallet in one currency.

    Attributes:
        account: whose.
        balance: what is left; negative when more was used than bought or granted.
        warn_below: threshold of the low-balance warning, or None for no warning.
        low: the balance lies below the threshold.
    """

    account: str
    balance: Money
    warn_below: Money | None
    low: bool


def view(account: str, balance: Money, warn_below: Money | None = None) -> WalletView:
    """Return a wallet's view; raises Invariant when the threshold is in another currency."""
    low = warn_below is not None and (balance - warn_below).micros < 0
    return WalletView(account, balance, warn_below, low)


def views(
    account: str, balances: Mapping[tuple[str, str], int], warn_below_micros: Mapping[str, int] | None = None
) -> list[WalletView]:
    """Return the wallet of an account in each currency it ever had, by currency.

    Args:
        account: whose.
        balances: (ledger account, currency) → micro-units, as the books return it.
        warn_below_micros: threshold by currency, micro-units; a currency without one gives no warning.
    """
    thresholds = warn_below_micros or {}
    found = []
    for (name, currency), micros in sorted(balances.items()):
        if name == wallet(account):
            threshold = Money(thresholds[currency], currency) if currency in thresholds else None
            found.append(view(account, Money(micros, currency), threshold))
    return found
