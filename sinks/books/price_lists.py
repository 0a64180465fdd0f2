"""Versions of price lists: only ever added to."""

from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select

from billing.protocol import PriceListVersion
from sinks.books.schema import price_list_versions as table


def put(connection: Connection, price_list: str, document: str, now: int) -> PriceListVersion:
    """Record a new version, or return the newest when it has the same document.

    Recorded times ascend with the versions, also where two writers' clocks disagree: an as-of read takes the newest
    version before an instant, and must find the same one for ever.
    """
    if not price_list:
        raise ValueError("a price list needs a name")
    newest = get(connection, price_list, None)
    if newest and newest.document == document:
        return newest
    version = newest.version + 1 if newest else 1
    recorded_at = max(now, newest.recorded_at + 1) if newest else now
    values = {"id": price_list, "version": version, "document": document, "recorded_at": recorded_at}
    connection.execute(insert(table), values)
    return PriceListVersion(price_list, version, document, recorded_at)


def get(connection: Connection, price_list: str, as_of: int | None) -> PriceListVersion | None:
    """Return the newest version recorded before an instant in microseconds; None: of all."""
    query = select(table).where(table.c.id == price_list).order_by(table.c.version.desc()).limit(1)
    if as_of is not None:
        query = query.where(table.c.recorded_at < as_of)
    row = connection.execute(query).one_or_none()
    return _version(row) if row else None


def newest_of_each(connection: Connection) -> list[PriceListVersion]:
    """Return the newest version of each list, by id in code point order."""
    newest = select(table.c.id, func.max(table.c.version).label("version")).group_by(table.c.id).subquery()
    query = select(table).join(newest, and_(table.c.id == newest.c.id, table.c.version == newest.c.version))
    return sorted(map(_version, connection.execute(query)), key=lambda version: version.id)


def _version(row: Row[*tuple[Any, ...]]) -> PriceListVersion:
    return PriceListVersion(row.id, row.version, row.document, row.recorded_at)
