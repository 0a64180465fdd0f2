"""Settlement: from the rated total of a billing cycle to the next entry in the ledger.

The n-th settlement of a cycle posts the difference between what is rated now and what was posted before, by product.
So the sum of what was posted is the newest total by construction (it telescopes), whatever happened in between; late
data and corrected prices need no other path, and a job that runs again finds nothing left to post.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from billing.cycles import cycle_of
from billing.ledger import product_of, settlement_transfer, wallet, wallet_micros
from billing.protocol import Account, SettledCycle, Settlement, Transfer
from schemas.errors import Conflict, Invariant
from schemas.period import Period, iso

DIGEST_LIMIT: Final = 2**64


@dataclass(frozen=True, slots=True)
class Rated:
    """The rated lines of one account and cycle as of a cut-off, summed.

    Attributes:
        micros_by_product: Σ amounts of the lines, micro-units.
        currency: of the amounts.
        cutoff: microseconds since 1970: only rows stored before it were read.
        live_micros: the total that the live rating showed.
        lines: how many rated lines.
        digest: unsigned 64-bit hash over the lines.
        price_lists: (id, version) of the price lists used.
    """

    micros_by_product: Mapping[str, int]
    currency: str
    cutoff: int
    live_micros: int
    lines: int
    digest: int
    price_lists: Sequence[tuple[str, int]] = ()

    @property
    def total_micros(self) -> int:
        """Σ over products."""
        return sum(self.micros_by_product.values())


def next_settlement(
    account: Account,
    cycle: Period,
    standing: SettledCycle,
    rated: Rated,
    now: int,
) -> tuple[Settlement, Transfer | None] | None:
    """Return the settlement to record for a cycle and the transfer to post with it.

    The transfer is None when no product differs (an empty cycle, or lines that changed and sum to the same). The first
    settlement takes effect at the cycle's end; a later one at the start of the cycle that is open now, so two jobs that
    find the same difference build the same transfer, to the byte.

    Args:
        account: who pays; its cycle and zone say which period is open.
        cycle: the period to settle.
        standing: `Books.settled_cycle(account.id, cycle.start)`: what was settled and posted so far.
        rated: what the cycle costs as of the cut-off.
        now: seconds since 1970.

    Returns:
        None when nothing changed: same total by product and same digest as the last settlement.

    Raises:
        Conflict: the cycle was settled with another end or in another currency.
        Invariant: what was posted does not add up to the last total.
    """
    last = _checked_last(account.id, cycle, standing, rated)
    posted_products = {name: micros for key, micros in standing.posted.items() if (name := product_of(key)) is not None}
    products = posted_products.keys() | rated.micros_by_product.keys()
    differences = {name: rated.micros_by_product.get(name, 0) - posted_products.get(name, 0) for name in products}
    if last is not None and not any(differences.values()) and rated.digest == last.digest:
        return None
    number = len(standing.settlements)
    effective_at = cycle.end
    if number:
        effective_at = max(cycle.end, cycle_of(now, account.cycle, account.timezone).start)
    details = _details(account, cycle, number, rated)
    transfer = settlement_transfer(account.id, cycle, number, differences, rated.currency, effective_at, details)
    settlement = Settlement(
        account=account.id,
        cycle_start=cycle.start,
        cycle_end=cycle.end,
        number=number,
        cutoff=rated.cutoff,
        currency=rated.currency,
        total_micros=rated.total_micros,
        posted_micros=sum(differences.values()),
        live_micros=rated.live_micros,
        lines=rated.lines,
        digest=rated.digest,
        transfer_id=transfer.id if transfer else "",
    )
    check_telescope([*standing.settlements, settlement])
    check_settlement(settlement, transfer)
    return settlement, transfer


def check_telescope(settlements: Sequence[Settlement]) -> None:
    """Check that the settlements of one cycle, by number, add up: Σ posted = total, after each of them.

    Raises:
        Invariant: a number is missing or a sum is off.
    """
    posted = 0
    for number, settlement in enumerate(settlements):
        posted += settlement.posted_micros
        if settlement.number != number or posted != settlement.total_micros:
            raise Invariant(
                f"{_name(settlement)}: expected number {number} with total {posted} micro-units posted, "
                f"found total {settlement.total_micros}"
            )


def check_settlement(settlement: Settlement, transfer: Transfer | None) -> None:
    """Check that a settlement and its transfer say the same; raises Invariant."""
    problems = []
    if not 0 <= settlement.digest < DIGEST_LIMIT:
        problems.append("digest is not an unsigned 64-bit number")
    if settlement.cycle_end <= settlement.cycle_start:
        problems.append("the cycle is empty")
    if settlement.transfer_id != (transfer.id if transfer else ""):
        problems.append("names another transfer")
    if settlement.posted_micros != (-wallet_micros(transfer) if transfer else 0):
        problems.append("posts another amount than the transfer takes from the wallet")
    if transfer and (transfer.account, transfer.currency) != (settlement.account, settlement.currency):
        problems.append("has another account or currency than its transfer")
    if problems:
        raise Invariant(f"{_name(settlement)}: {'; '.join(problems)}")


def drift_micros(settlement: Settlement) -> int:
    """Return total − live: how far the live rating was off, micro-units; the target is 0."""
    return settlement.total_micros - settlement.live_micros


def _checked_last(account: str, cycle: Period, standing: SettledCycle, rated: Rated) -> Settlement | None:
    previous, posted = standing.settlements, standing.posted
    check_telescope(previous)
    last = previous[-1] if previous else None
    total = last.total_micros if last else 0
    if sum(posted.values()) or posted.get(wallet(account), 0) != -total:
        raise Invariant(
            f"{account}, cycle from {iso(cycle.start)}: entries posted do not add up to {total} micro-units"
        )
    for settlement in previous:
        if (settlement.account, settlement.cycle_start) != (account, cycle.start):
            raise Invariant(f"{_name(settlement)} is not of {account}, cycle from {iso(cycle.start)}")
    if last and last.cycle_end != cycle.end:
        raise Conflict(f"{_name(last)} ends at {iso(last.cycle_end)}, not {iso(cycle.end)}: settle the recorded cycle")
    if last and last.currency != rated.currency:
        raise Conflict(
            f"{_name(last)} is in {last.currency}, the rating in {rated.currency}: a cycle keeps its currency; "
            "let a price list in another currency begin with a new cycle"
        )
    return last


def _details(account: Account, cycle: Period, number: int, rated: Rated) -> dict[str, str]:
    return {
        "cycle": account.cycle,
        "cycle_start": iso(cycle.start),
        "cycle_end": iso(cycle.end),
        "number": str(number),
        "price_lists": ",".join(f"{name}@{version}" for name, version in sorted(set(rated.price_lists))),
        "lines": str(rated.lines),
        "digest": f"{rated.digest:016x}",
    }


def _name(settlement: Settlement) -> str:
    return f"settlement {settlement.number} of {settlement.account}, cycle from {iso(settlement.cycle_start)}"
