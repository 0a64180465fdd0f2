"""The auditor: checks journal, settlements and balances against each other with arithmetic of its own.

It shares no rule with the code that posts (only the names of ledger accounts), so that a mistake there shows here.
The numbers are the invariants of the design: 10 (Σ debits = Σ rated amounts settled), 11 (double entry, balances are
folds of entries) and 12 (one effect per transfer id).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from billing.ledger import ADJUSTMENT, DEBIT, wallet
from billing.protocol import PostedTransfer, Settlement, Transfer
from schemas.period import Period, iso

Code = Literal[
    "unbalanced",
    "unsound_entry",
    "repeated_id",
    "disordered",
    "wrong_balance",
    "books_unbalanced",
    "broken_chain",
    "overlap",
    "no_transfer",
    "wrong_transfer",
    "no_settlement",
    "wrong_total",
]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not add up.

    Attributes:
        code: stable name, a metric label.
        invariant: number in the design.
        subject: transfer id, ledger account or settlement.
        detail: what was expected and found, for a person.
    """

    code: Code
    invariant: int
    subject: str
    detail: str


def audit(
    transfers: Iterable[PostedTransfer],
    settlements: Sequence[Settlement],
    balances: Mapping[tuple[str, str], int],
) -> list[Discrepancy]:
    """Return every discrepancy; an empty list means that the books hold.

    Args:
        transfers: the whole journal in its order.
        settlements: all of them, in any order.
        balances: (ledger account, currency) → micro-units, as the books report them.
    """
    journal = list(transfers)
    by_id = {posted.transfer.id: posted.transfer for posted in journal}
    return [
        *_journal(journal),
        *_balances(journal, balances),
        *_chains(settlements),
        *_pairs(by_id, settlements),
        *_totals(by_id, settlements),
    ]


def _journal(journal: Sequence[PostedTransfer]) -> Iterator[Discrepancy]:
    for before, after in pairwise(journal):
        if after.sequence <= before.sequence:
            yield Discrepancy("disordered", 12, after.transfer.id, f"{after.sequence} comes after {before.sequence}")
    for name, times in Counter(posted.transfer.id for posted in journal).items():
        if times > 1:
            yield Discrepancy("repeated_id", 12, name, f"stands {times} times in the journal")
    for posted in journal:
        transfer = posted.transfer
        total = sum(entry.micros for entry in transfer.entries)
        if total:
            yield Discrepancy("unbalanced", 11, transfer.id, f"entries sum to {total} micro-units, expected 0")
        names = [entry.ledger_account for entry in transfer.entries]
        strangers = [name for name in names if name.startswith(wallet("")) and name != wallet(transfer.account)]
        if strangers or len(names) < 2 or len(set(names)) < len(names) or any(e.micros == 0 for e in transfer.entries):
            yield Discrepancy("unsound_entry", 11, transfer.id, f"entries {names} of account {transfer.account}")


def _balances(journal: Sequence[PostedTransfer], balances: Mapping[tuple[str, str], int]) -> Iterator[Discrepancy]:
    folded: defaultdict[tuple[str, str], int] = defaultdict(int)
    currencies: defaultdict[str, int] = defaultdict(int)
    for posted in journal:
        for entry in posted.transfer.entries:
            folded[entry.ledger_account, posted.transfer.currency] += entry.micros
            currencies[posted.transfer.currency] += entry.micros
    for key in sorted(folded.keys() | balances.keys()):
        expected, found = folded.get(key, 0), balances.get(key, 0)
        if expected != found:
            yield Discrepancy("wrong_balance", 11, " ".join(key), f"entries sum to {expected}, reported {found}")
    for currency, total in sorted(currencies.items()):
        if total:
            yield Discrepancy("books_unbalanced", 11, currency, f"all entries sum to {total}, expected 0")


def _chains(settlements: Sequence[Settlement]) -> Iterator[Discrepancy]:
    ordered = sorted(settlements, key=lambda s: (s.account, s.cycle_start, s.number))
    last: Settlement | None = None
    for (account, _), group in groupby(ordered, key=lambda s: (s.account, s.cycle_start)):
        chain, posted = list(group), 0
        for number, settlement in enumerate(chain):
            posted += settlement.posted_micros
            same = (settlement.cycle_end, settlement.currency) == (chain[0].cycle_end, chain[0].currency)
            if settlement.number != number or not same:
                yield Discrepancy("broken_chain", 12, _name(settlement), f"expected number {number}, one end, currency")
            if posted != settlement.total_micros:
                detail = f"posted {posted} so far, total is {settlement.total_micros} micro-units"
                yield Discrepancy("wrong_total", 10, _name(settlement), detail)
        first = chain[0]
        if (
            last
            and last.account == account
            and Period(last.cycle_start, last.cycle_end).overlaps(Period(first.cycle_start, first.cycle_end))
        ):
            yield Discrepancy("overlap", 12, _name(first), f"overlaps the cycle of {_name(last)}")
        last = first


def _pairs(by_id: Mapping[str, Transfer], settlements: Sequence[Settlement]) -> Iterator[Discrepancy]:
    named = Counter(s.transfer_id for s in settlements if s.transfer_id)
    for transfer in by_id.values():
        if transfer.kind in (DEBIT, ADJUSTMENT) and named[transfer.id] != 1:
            detail = f"a {transfer.kind} that {named[transfer.id]} settlements name, expected 1"
            yield Discrepancy("no_settlement", 12, transfer.id, detail)
    for settlement in settlements:
        found = by_id.get(settlement.transfer_id)
        if found is None:
            if settlement.transfer_id or settlement.posted_micros:
                detail = f"posts {settlement.posted_micros} micro-units, transfer {settlement.transfer_id!r} is missing"
                yield Discrepancy("no_transfer", 10, _name(settlement), detail)
            continue
        kind = ADJUSTMENT if settlement.number else DEBIT
        said = (settlement.account, settlement.currency, kind, -settlement.posted_micros)
        did = (found.account, found.currency, found.kind, _wallet_micros(found))
        if said != did:
            yield Discrepancy("wrong_transfer", 10, _name(settlement), f"says {said}, transfer {found.id} did {did}")


def _totals(by_id: Mapping[str, Transfer], settlements: Sequence[Settlement]) -> Iterator[Discrepancy]:
    debited: defaultdict[tuple[str, str], int] = defaultdict(int)
    for transfer in by_id.values():
        if transfer.kind in (DEBIT, ADJUSTMENT):
            debited[transfer.account, transfer.currency] -= _wallet_micros(transfer)
    newest: dict[tuple[str, int], Settlement] = {}
    for settlement in sorted(settlements, key=lambda s: s.number):
        newest[settlement.account, settlement.cycle_start] = settlement
    rated: defaultdict[tuple[str, str], int] = defaultdict(int)
    for settlement in newest.values():
        rated[settlement.account, settlement.currency] += settlement.total_micros
    for key in sorted(debited.keys() | rated.keys()):
        if debited[key] != rated[key]:
            detail = f"debits sum to {debited[key]}, rated amounts settled to {rated[key]} micro-units"
            yield Discrepancy("wrong_total", 10, " ".join(key), detail)


def _wallet_micros(transfer: Transfer) -> int:
    own = wallet(transfer.account)
    return sum(entry.micros for entry in transfer.entries if entry.ledger_account == own)


def _name(settlement: Settlement) -> str:
    return f"settlement {settlement.number} of {settlement.account}, cycle from {iso(settlement.cycle_start)}"
