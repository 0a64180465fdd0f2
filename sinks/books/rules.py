"""Mapping rules: kept for ever, valid over a period, known from one recorded instant to another (bitemporal)."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from billing.protocol import MappingRule
from schemas.errors import Conflict
from sinks.books import accounts
from sinks.books.schema import mapping_rules as table


def add(connection: Connection, rule: MappingRule, now: int) -> MappingRule:
    """Record a rule, or return the live one that says the same.

    Raises:
        ValueError: an empty pattern or validity.
        Conflict: the account is unknown.
    """
    if not rule.site or not rule.resource or rule.start >= rule.end:
        raise ValueError("a rule needs patterns for site and resource (* for any) and a start before its end")
    accounts.require(connection, rule.account)
    body = _body(rule)
    live = select(table).where(table.c.retired_at.is_(None), *(table.c[name] == value for name, value in body.items()))
    standing = connection.execute(live).one_or_none()
    if standing:
        return _rule(standing)
    number = connection.execute(select(func.coalesce(func.max(table.c.id), 0) + 1)).scalar_one()
    connection.execute(insert(table), {**body, "id": number, "recorded_at": now, "retired_at": None})
    return _rule(connection.execute(select(table).where(table.c.id == number)).one())


def retire(connection: Connection, rule: int, now: int) -> None:
    """Drop a rule in recorded time; the first time counts. Raises Conflict for an unknown rule."""
    row = connection.execute(select(table).where(table.c.id == rule)).one_or_none()
    if row is None:
        raise Conflict(f"mapping rule {rule} is unknown")
    if row.retired_at is None:
        retired_at = max(now, row.recorded_at)  # a clock that went back must not end a rule before it began
        connection.execute(update(table).where(table.c.id == rule), {"retired_at": retired_at})


def known(connection: Connection, as_of: int | None) -> list[MappingRule]:
    """Return the rules recorded before an instant and not retired before it, by id; None: those live now."""
    query = select(table).order_by(table.c.id)
    if as_of is None:
        query = query.where(table.c.retired_at.is_(None))
    else:
        query = query.where(table.c.recorded_at < as_of, func.coalesce(table.c.retired_at, as_of) >= as_of)
    return [_rule(row) for row in connection.execute(query)]


def _body(rule: MappingRule) -> dict[str, Any]:
    return {
        "site": rule.site,
        "tenant": rule.tenant,
        "resource": rule.resource,
        "account": rule.account,
        "valid_from": rule.start,
        "valid_to": rule.end,
    }


def _rule(row: Row[*tuple[Any, ...]]) -> MappingRule:
    return MappingRule(
        id=row.id,
        site=row.site,
        tenant=row.tenant,
        account=row.account,
        resource=row.resource,
        start=row.valid_from,
        end=row.valid_to,
        recorded_at=row.recorded_at,
        retired_at=row.retired_at,
    )
