"""Settlements: one row for each decision of the settle job, written together with the transfer that it posts."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from billing.protocol import SettledCycle, Settlement, Transfer
from billing.settlement import check_settlement, check_telescope
from schemas.errors import Conflict
from schemas.period import iso
from sinks.books import accounts, ledger
from sinks.books.schema import entries, transfers
from sinks.books.schema import settlements as table


def settle(connection: Connection, settlement: Settlement, transfer: Transfer | None, now: int) -> bool:
    """Record a settlement and post its transfer; False when both stand already.

    Raises:
        Conflict: that number stands with another body, is not the next one, the cycle overlaps another one of the
            account or changes currency, or the account is unknown.
        Invariant: settlement, transfer and the sum posted so far do not agree.
    """
    check_settlement(settlement, transfer)
    chain = find(connection, settlement.account, settlement.cycle_start)
    name = f"settlement {settlement.number} of {settlement.account}, cycle from {iso(settlement.cycle_start)}"
    if settlement.number < len(chain):
        if chain[settlement.number] != settlement:
            raise Conflict(f"{name} stands with another body")
        if transfer is not None:
            ledger.post(connection, transfer, now)  # raises Conflict when its body differs
        return False
    if settlement.number > len(chain):
        raise Conflict(f"{name}: the next number is {len(chain)}; read the settlements again")
    if chain and (chain[0].cycle_end, chain[0].currency) != (settlement.cycle_end, settlement.currency):
        raise Conflict(f"{name}: the cycle was settled with another end or currency")
    _refuse_overlap(connection, settlement, name)
    check_telescope([*chain, settlement])
    accounts.require(connection, settlement.account)
    if transfer is not None:
        ledger.post(connection, transfer, now)
    values = {**asdict(settlement), "transfer_id": settlement.transfer_id or None, "recorded_at": now}
    connection.execute(insert(table), values)
    return True


def find(connection: Connection, account: str | None, cycle_start: int | None) -> list[Settlement]:
    """Return settlements by account (in code point order), cycle start, number."""
    query = select(table)
    if account is not None:
        query = query.where(table.c.account == account)
    if cycle_start is not None:
        query = query.where(table.c.cycle_start == cycle_start)
    found = map(_settlement, connection.execute(query))
    return sorted(found, key=lambda s: (s.account, s.cycle_start, s.number))


def cycle(connection: Connection, account: str, cycle_start: int) -> SettledCycle:
    """Return the settlements of a cycle and what they posted."""
    return SettledCycle(tuple(find(connection, account, cycle_start)), _posted(connection, account, cycle_start))


def _posted(connection: Connection, account: str, cycle_start: int) -> dict[str, int]:
    query = (
        select(entries.c.ledger_account, func.sum(entries.c.micros))
        .select_from(table)
        .join(transfers, transfers.c.id == table.c.transfer_id)
        .join(entries, entries.c.sequence == transfers.c.sequence)
        .where(table.c.account == account, table.c.cycle_start == cycle_start)
        .group_by(entries.c.ledger_account)
    )
    return dict(sorted((name, int(micros)) for name, micros in connection.execute(query)))


def _refuse_overlap(connection: Connection, settlement: Settlement, name: str) -> None:
    query = select(table.c.cycle_start, table.c.cycle_end).where(
        table.c.account == settlement.account,
        table.c.cycle_start < settlement.cycle_end,
        table.c.cycle_end > settlement.cycle_start,
        table.c.cycle_start != settlement.cycle_start,
    )
    other = connection.execute(query.limit(1)).one_or_none()
    if other:
        raise Conflict(f"{name} overlaps the cycle {iso(other.cycle_start)} to {iso(other.cycle_end)}, settled before")


def _settlement(row: Row[*tuple[Any, ...]]) -> Settlement:
    fields = dict(row._mapping)
    del fields["recorded_at"]
    return Settlement(**{**fields, "transfer_id": fields["transfer_id"] or ""})
