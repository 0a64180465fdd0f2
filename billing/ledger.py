"""The ledger's rules: names of ledger accounts, what a transfer must satisfy, and how transfers are built.

Double entry in integer micro-units: an entry adds to a ledger account or, negative, takes from it; the entries of a
transfer sum to zero. A wallet holds what the customer may still use; ``revenue:<product>`` holds what was debited for
a product; ``grants`` is the source of granted units, so its balance is minus what was granted.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from billing.protocol import Entry, Transfer
from schemas.errors import Invariant
from schemas.ids import derived_id
from schemas.money import Money
from schemas.period import Period

GRANTS: Final = "grants"
DEBIT: Final = "debit"
ADJUSTMENT: Final = "adjustment"
GRANT: Final = "grant"
MICROS_MAX: Final = 2**63 - 1
"""Largest amount of one entry: what both stores keep as an integer."""
ENTRIES_MAX: Final = 10_000
"""Most entries of one transfer: one a product and one for the wallet."""
_WALLET: Final = "wallet:"
_REVENUE: Final = "revenue:"
_CURRENCY: Final = re.compile(r"[A-Z][A-Z0-9]{1,15}")


def wallet(account: str) -> str:
    """Return the ledger account of an account's wallet."""
    return _WALLET + account


def revenue(product: str) -> str:
    """Return the ledger account of a product's revenue."""
    return _REVENUE + product


def product_of(ledger_account: str) -> str | None:
    """Return the product of a revenue account, None for any other ledger account."""
    return ledger_account.removeprefix(_REVENUE) if ledger_account.startswith(_REVENUE) else None


def wallet_micros(transfer: Transfer) -> int:
    """Return what a transfer adds to the wallet of its account, micro-units."""
    name = wallet(transfer.account)
    return sum(entry.micros for entry in transfer.entries if entry.ledger_account == name)


def check_transfer(transfer: Transfer) -> None:
    """Check what must hold for every transfer before it is written.

    Raises:
        Invariant: the entries do not sum to zero, an entry is zero or beyond 64 bits, a ledger account appears twice,
            a wallet of another account moves, or the id, kind or currency is unusable. Lists every problem.
    """
    micros = [entry.micros for entry in transfer.entries]
    names = [entry.ledger_account for entry in transfer.entries]
    problems = []
    if not transfer.id or not transfer.kind or not transfer.account:
        problems.append("id, kind and account must not be empty")
    if not _CURRENCY.fullmatch(transfer.currency):
        problems.append(f"currency {transfer.currency!r} is not a code of 2 to 16 capitals and digits")
    if not 2 <= len(names) <= ENTRIES_MAX:
        problems.append(f"{len(names)} entries, expected 2 to {ENTRIES_MAX}")
    if len(set(names)) != len(names):
        problems.append("a ledger account appears twice")
    if sum(micros):
        problems.append(f"entries sum to {sum(micros)} micro-units, expected 0")
    if any(amount == 0 or abs(amount) > MICROS_MAX for amount in micros):
        problems.append("an entry is zero or does not fit 64 bits")
    others = [name for name in names if name.startswith(_WALLET) and name != wallet(transfer.account)]
    if others:
        problems.append(f"moves {', '.join(others)}, which is not the wallet of {transfer.account}")
    if any(name in ("", _WALLET, _REVENUE) for name in names):
        problems.append("a ledger account has no name")
    if problems:
        raise Invariant(f"transfer {transfer.id or '(no id)'}: {'; '.join(problems)}")


def settlement_id(account: str, cycle: Period, number: int) -> str:
    """Return the id of the transfer that the n-th settlement of a cycle posts.

    Neither clock nor cut-off takes part: the same settlement has the same id on every deployment and at every retry.
    """
    return derived_id("settlement", account, str(cycle.start), str(cycle.end), str(number))


def settlement_transfer(
    account: str,
    cycle: Period,
    number: int,
    differences: Mapping[str, int],
    currency: str,
    effective_at: int,
    details: Mapping[str, str],
) -> Transfer | None:
    """Return the transfer that posts differences by product (micro-units) from the wallet to revenue.

    Number 0 is a ``debit``, later ones are an ``adjustment``; a negative difference flows back to the wallet. Entries
    are ordered: the wallet, then products by name; zero ones are dropped. None when no product differs.
    """
    moving = {product: micros for product, micros in sorted(differences.items()) if micros}
    if not moving:
        return None
    total = sum(moving.values())
    from_wallet = (Entry(wallet(account), -total),) if total else ()
    entries = from_wallet + tuple(Entry(revenue(product), micros) for product, micros in moving.items())
    kind = ADJUSTMENT if number else DEBIT
    transfer = Transfer(
        settlement_id(account, cycle, number), kind, account, currency, entries, effective_at, dict(details)
    )
    check_transfer(transfer)
    return transfer


def grant(
    account: str, amount: Money, key: str, effective_at: int, details: Mapping[str, str] | None = None
) -> Transfer:
    """Return the transfer that grants units to a wallet.

    Args:
        account: whose wallet.
        amount: more than zero.
        key: the caller's idempotency key: the id derives from it and the account, so a repeated request is one grant.
        effective_at: seconds since 1970. It is part of the body, so a caller that repeats a request repeats this too
            (or asks `Books.transfer` first).
        details: for people, for example who granted and why.

    Raises:
        ValueError: the amount is not positive or the key is empty.
    """
    if amount.micros <= 0:
        raise ValueError(f"a grant must be more than zero, not {amount}")
    if not key:
        raise ValueError("a grant needs an idempotency key")
    entries = (Entry(wallet(account), amount.micros), Entry(GRANTS, -amount.micros))
    transfer = Transfer(
        derived_id(GRANT, account, key), GRANT, account, amount.currency, entries, effective_at, dict(details or {})
    )
    check_transfer(transfer)
    return transfer


def body_sha256(transfer: Transfer) -> str:
    """Return the SHA-256 of a transfer's canonical JSON: keys sorted, entries by ledger account; 64 hex digits."""
    body = {
        "id": transfer.id,
        "kind": transfer.kind,
        "account": transfer.account,
        "currency": transfer.currency,
        "entries": sorted([entry.ledger_account, entry.micros] for entry in transfer.entries),
        "effective_at": transfer.effective_at,
        "details": dict(transfer.details),
    }
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def fold(transfers: Iterable[Transfer]) -> dict[tuple[str, str], int]:
    """Return the balance of each (ledger account, currency) that the transfers touch, micro-units."""
    balances: dict[tuple[str, str], int] = {}
    for transfer in transfers:
        for entry in transfer.entries:
            key = (entry.ledger_account, transfer.currency)
            balances[key] = balances.get(key, 0) + entry.micros
    return balances
