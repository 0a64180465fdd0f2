"""Versions of price lists: only ever added to."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select

from billing.catalogue_values import Act, Publication
from billing.protocol import PriceListVersion
from schemas.errors import Conflict
from sinks.books import catalogue_audit, drafts
from sinks.books.schema import price_list_versions as table


def put(connection: Connection, price_list: str, document: str, now: int, how: Publication) -> PriceListVersion:
    """Record a new version, or return the newest when it has the same document; the draft it came from ends.

    Recorded times ascend with the versions, also where two writers' clocks disagree: an as-of read takes the newest
    version before an instant, and must find the same one for ever.

    Raises:
        ValueError: no name.
        Conflict: the newest version, or the draft, is another one than the publisher looked at.
    """
    if not price_list:
        raise ValueError("a price list needs a name")
    newest = get(connection, price_list, None)
    standing = newest.version if newest else 0
    if how.expected is not None and how.expected != standing:
        raise Conflict(f"price list {price_list!r} is at version {standing}, not at {how.expected}: look again")
    if how.draft is not None:
        drafts.require(connection, price_list, how.draft)
        drafts.remove(connection, price_list)
    if newest and newest.document == document:
        return newest
    recorded_at = max(now, newest.recorded_at + 1) if newest else now
    version = PriceListVersion(
        price_list, standing + 1, document, recorded_at, how.effective_from, how.by, how.reason, how.forced
    )
    connection.execute(insert(table), asdict(version))
    catalogue_audit.record(
        connection,
        Act(how.by, recorded_at, how.reason),
        "list.back-date" if how.forced else "list.publish",
        price_list,
        version=version.version,
        before=newest.document if newest else None,
        after=document,
        changes=how.changes,
    )
    return version


def get(connection: Connection, price_list: str, as_of: int | None) -> PriceListVersion | None:
    """Return the newest version recorded before an instant in microseconds; None: of all."""
    query = select(table).where(table.c.id == price_list).order_by(table.c.version.desc()).limit(1)
    if as_of is not None:
        query = query.where(table.c.recorded_at < as_of)
    row = connection.execute(query).one_or_none()
    return _version(row) if row else None


def versions(connection: Connection, price_list: str) -> list[PriceListVersion]:
    """Return all versions of a list, oldest first."""
    query = select(table).where(table.c.id == price_list).order_by(table.c.version)
    return [_version(row) for row in connection.execute(query)]


def newest_of_each(connection: Connection) -> list[PriceListVersion]:
    """Return the newest version of each list, by id in code point order."""
    newest = select(table.c.id, func.max(table.c.version).label("version")).group_by(table.c.id).subquery()
    query = select(table).join(newest, and_(table.c.id == newest.c.id, table.c.version == newest.c.version))
    return sorted(map(_version, connection.execute(query)), key=lambda version: version.id)


def _version(row: Row[*tuple[Any, ...]]) -> PriceListVersion:
    return PriceListVersion(**row._mapping)
