"""The tree of accounts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from billing.accounts import check_account
from billing.catalogue_values import Act
from billing.protocol import Account
from schemas.errors import Conflict
from sinks.books import groups
from sinks.books.schema import accounts


def put(connection: Connection, account: Account, act: Act) -> None:
    """Create or change an account and its groups.

    Raises:
        Conflict: an unknown parent or group, or a circle.
        ValueError: a bad field.
    """
    check_account(account)
    _check_ancestors(connection, account)
    values = asdict(account)
    del values["groups"]
    if get(connection, account.id) is None:
        connection.execute(insert(accounts), values)
    else:
        connection.execute(update(accounts).where(accounts.c.id == account.id), values)
    groups.set_groups(connection, account.id, account.groups, act)


def get(connection: Connection, account: str) -> Account | None:
    """Return one account."""
    row = connection.execute(select(accounts).where(accounts.c.id == account)).one_or_none()
    return _account(row, groups.of_accounts(connection, account)) if row else None


def all_of(connection: Connection) -> list[Account]:
    """Return all accounts by id, ordered by code point: the same in every engine, whatever its collation."""
    belonging = groups.of_accounts(connection)
    found = (_account(row, belonging) for row in connection.execute(select(accounts)))
    return sorted(found, key=lambda account: account.id)


def require(connection: Connection, account: str) -> None:
    """Check that an account exists; raises Conflict."""
    if get(connection, account) is None:
        raise Conflict(f"account {account!r} is unknown: create it first")


def _check_ancestors(connection: Connection, account: Account) -> None:
    above = account.parent
    while above is not None:
        if above == account.id:
            raise Conflict(f"account {account.id} cannot be under {account.parent}: they would form a circle")
        parent = get(connection, above)
        if parent is None:
            raise Conflict(f"account {account.id}: its parent {above!r} is unknown; create it first")
        above = parent.parent


def _account(row: Row[*tuple[Any, ...]], belonging: Mapping[str, tuple[str, ...]]) -> Account:
    return Account(**row._mapping, groups=belonging.get(row.id, ()))
