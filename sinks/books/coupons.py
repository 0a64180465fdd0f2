"""Coupons: which account redeemed which code, and when. Only ever added to."""

import orjson
from sqlalchemy import Connection, Row, insert, select

from billing.accounts import ACCOUNTS_CHANGED
from billing.catalogue import check_redemption
from billing.catalogue_values import Act, CouponLimits, Redemption
from schemas.period import SECOND
from sinks.books import accounts, catalogue_audit, cursors
from sinks.books.catalogue_schema import coupon_redemptions as table


def redeem(connection: Connection, code: str, account: str, limits: CouponLimits, act: Act) -> Redemption:
    """Record a redemption from `act.at` on; a retry in the same second returns what stands.

    Without a limit for each account once is enough: every repeat returns the first. The write lock is held, so the
    limits hold for any number of writers.

    Raises:
        ValueError: no code.
        Conflict: beyond a limit, or the account is unknown.
    """
    if not code:
        raise ValueError("a coupon needs a code")
    accounts.require(connection, account)
    standing = find(connection, None, code, None)
    wanted = Redemption(code, account, act.at // SECOND, act.at)
    for one in standing:
        if one.account == account and (limits.per_account is None or one.redeemed_at == wanted.redeemed_at):
            return one
    check_redemption(wanted, standing, limits)
    values = {"code": code, "account": account, "redeemed_at": wanted.redeemed_at, "recorded_at": act.at}
    connection.execute(insert(table), values)
    changed = [{"path": "account", "kind": "added", "before": "", "after": account}]
    catalogue_audit.record(connection, act, "coupon.redeem", code, changes=orjson.dumps(changed).decode())
    cursors.advance(connection, ACCOUNTS_CHANGED, act.at)
    return wanted


def find(connection: Connection, account: str | None, code: str | None, as_of: int | None) -> list[Redemption]:
    """Return redemptions recorded before an instant in microseconds (None: all), by time, code, account."""
    query = select(table)
    if account is not None:
        query = query.where(table.c.account == account)
    if code is not None:
        query = query.where(table.c.code == code)
    if as_of is not None:
        query = query.where(table.c.recorded_at < as_of)
    found = map(_redemption, connection.execute(query))
    return sorted(found, key=lambda one: (one.redeemed_at, one.code, one.account))


def first_of_each(connection: Connection, account: str, as_of: int | None) -> dict[str, int]:
    """Return code → instant of the account's first redemption, seconds."""
    found: dict[str, int] = {}
    for one in find(connection, account, None, as_of):
        found.setdefault(one.code, one.redeemed_at)
    return found


def _redemption(row: Row[*tuple[object, ...]]) -> Redemption:
    return Redemption(**row._mapping)
