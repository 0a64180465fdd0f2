"""The journal of transfers and the balances that fold out of it. Nothing here changes or deletes a row."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from billing.ledger import body_sha256, check_transfer
from billing.protocol import TRANSFERS_PAGE_MAX, Entry, PostedTransfer, Transfer
from schemas.errors import Conflict
from sinks.books import accounts
from sinks.books.schema import entries, transfers

Value = TypeVar("Value")

VALUES_PER_QUERY_MAX: Final = 1_000
"""Most values of one IN list; both engines bound the parameters of a statement."""


def post(connection: Connection, transfer: Transfer, now: int) -> bool:
    """Append a transfer to the journal; False when it stands there already.

    Raises:
        Conflict: the id stands with another body, or the account is unknown.
        Invariant: the transfer is unsound.
    """
    check_transfer(transfer)
    body = body_sha256(transfer)
    standing = connection.execute(select(transfers.c.body_sha256).where(transfers.c.id == transfer.id)).scalar()
    if standing is not None:
        if standing != body:
            raise Conflict(f"transfer {transfer.id} was posted before with another body")
        return False
    accounts.require(connection, transfer.account)
    sequence = connection.execute(select(func.coalesce(func.max(transfers.c.sequence), 0) + 1)).scalar_one()
    lines = [
        {
            "sequence": sequence,
            "line": line,
            "ledger_account": entry.ledger_account,
            "currency": transfer.currency,
            "micros": entry.micros,
        }
        for line, entry in enumerate(transfer.entries)
    ]
    connection.execute(insert(entries), lines)  # first: inserting the transfer checks and seals them
    connection.execute(
        insert(transfers),
        {
            "sequence": sequence,
            "id": transfer.id,
            "kind": transfer.kind,
            "account": transfer.account,
            "currency": transfer.currency,
            "effective_at": transfer.effective_at,
            "details": orjson.dumps(dict(transfer.details), option=orjson.OPT_SORT_KEYS).decode(),
            "body_sha256": body,
            "posted_at": now,
        },
    )
    return True


def balance(connection: Connection, ledger_account: str, currency: str) -> int:
    """Return the sum of entries, micro-units."""
    query = select(func.coalesce(func.sum(entries.c.micros), 0))
    query = query.where(entries.c.ledger_account == ledger_account, entries.c.currency == currency)
    return int(connection.execute(query).scalar_one())


def balances(connection: Connection) -> dict[tuple[str, str], int]:
    """Return every balance by (ledger account, currency), in code point order."""
    keys = (entries.c.ledger_account, entries.c.currency)
    rows = connection.execute(select(*keys, func.sum(entries.c.micros)).group_by(*keys))
    return dict(sorted(((name, currency), int(micros)) for name, currency, micros in rows))


def page(
    connection: Connection, of: Sequence[str] | None, after: int, limit: int, as_of: int | None
) -> list[PostedTransfer]:
    """Return the next transfers of the given accounts (None: all), in journal order.

    Raises:
        ValueError: the limit is not between 1 and TRANSFERS_PAGE_MAX.
    """
    if not 1 <= limit <= TRANSFERS_PAGE_MAX:
        raise ValueError(f"limit {limit} is not between 1 and {TRANSFERS_PAGE_MAX}")
    query = select(transfers).where(transfers.c.sequence > after).order_by(transfers.c.sequence).limit(limit)
    if as_of is not None:
        query = query.where(transfers.c.posted_at < as_of)
    if of is None:
        return _posted(connection, connection.execute(query).all())
    rows: list[Row[*tuple[Any, ...]]] = []
    for names in _parts(sorted(set(of))):
        rows += connection.execute(query.where(transfers.c.account.in_(names))).all()
    return _posted(connection, sorted(rows, key=lambda row: row.sequence)[:limit])


def get(connection: Connection, transfer: str) -> PostedTransfer | None:
    """Return one transfer."""
    found = _posted(connection, connection.execute(select(transfers).where(transfers.c.id == transfer)).all())
    return found[0] if found else None


def _posted(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[PostedTransfer]:
    lines: defaultdict[int, list[Entry]] = defaultdict(list)
    for part in _parts([row.sequence for row in rows]):
        # Sequences without holes are the common case, and a range is read faster than a list.
        whole = part[-1] - part[0] + 1 == len(part)
        wanted: ColumnElement[bool] = (
            entries.c.sequence.between(part[0], part[-1]) if whole else entries.c.sequence.in_(part)
        )
        query = select(entries).where(wanted).order_by(entries.c.sequence, entries.c.line)
        for row in connection.execute(query):
            lines[row.sequence].append(Entry(row.ledger_account, row.micros))
    return [
        PostedTransfer(
            Transfer(
                id=row.id,
                kind=row.kind,
                account=row.account,
                currency=row.currency,
                entries=tuple(lines[row.sequence]),
                effective_at=row.effective_at,
                details=orjson.loads(row.details),
            ),
            row.sequence,
            row.posted_at,
        )
        for row in rows
    ]


def _parts(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    return (values[at : at + VALUES_PER_QUERY_MAX] for at in range(0, len(values), VALUES_PER_QUERY_MAX))
