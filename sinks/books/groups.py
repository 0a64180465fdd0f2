"""Groups of accounts, and which account belongs to which."""

from collections.abc import Sequence
from dataclasses import asdict

import orjson
from sqlalchemy import Connection, Row, delete, insert, select, update

from billing.accounts import ACCOUNTS_CHANGED, check_group
from billing.catalogue_values import AccountGroup, Act
from schemas.errors import Conflict
from sinks.books import catalogue_audit, cursors
from sinks.books.catalogue_schema import account_group_members as members
from sinks.books.catalogue_schema import account_groups as table


def put(connection: Connection, group: AccountGroup, act: Act) -> bool:
    """Create or change a group; False when it stands just so. Raises ValueError for a bad field."""
    check_group(group)
    row = connection.execute(select(table).where(table.c.id == group.id)).one_or_none()
    standing = _group(row) if row else None
    if standing == group:
        return False
    if standing:
        connection.execute(update(table).where(table.c.id == group.id), asdict(group))
    else:
        connection.execute(insert(table), asdict(group))
    before, after = asdict(standing) if standing else {}, asdict(group)
    changed = [_change(name, before.get(name), after[name]) for name in after if before.get(name) != after[name]]
    catalogue_audit.record(connection, act, "group.save", group.id, changes=orjson.dumps(changed).decode())
    cursors.advance(connection, ACCOUNTS_CHANGED, act.at)
    return True


def all_of(connection: Connection) -> list[AccountGroup]:
    """Return all groups, by priority, then id."""
    return sorted(map(_group, connection.execute(select(table))), key=lambda group: (group.priority, group.id))


def of_accounts(connection: Connection, account: str | None = None) -> dict[str, tuple[str, ...]]:
    """Return account → its groups by priority, then id; of one account or of all that have any."""
    query = select(members.c.account, table.c.id, table.c.priority).join(table, table.c.id == members.c.group)
    if account is not None:
        query = query.where(members.c.account == account)
    found: dict[str, list[tuple[int, str]]] = {}
    for name, group, priority in connection.execute(query):
        found.setdefault(name, []).append((priority, group))
    return {name: tuple(group for _, group in sorted(pairs)) for name, pairs in found.items()}


def set_groups(connection: Connection, account: str, groups: Sequence[str], act: Act) -> None:
    """Put an account into these groups and no others; raises Conflict for an unknown one."""
    before = of_accounts(connection, account).get(account, ())
    if set(before) == set(groups):
        return
    known = set(connection.execute(select(table.c.id)).scalars())
    for group in groups:
        if group not in known:
            raise Conflict(f"account {account}: its group {group!r} is unknown; create it first")
    connection.execute(delete(members).where(members.c.account == account))
    if groups:
        connection.execute(insert(members), [{"account": account, "group": group} for group in groups])
    changed = [_change("groups", ", ".join(sorted(before)), ", ".join(sorted(groups)))]
    catalogue_audit.record(connection, act, "account.groups", account, changes=orjson.dumps(changed).decode())


def _change(path: str, before: object, after: object) -> dict[str, str]:
    old, new = ("" if value is None else str(value) for value in (before, after))
    return {"path": path, "kind": "added" if not old else "changed" if new else "removed", "before": old, "after": new}


def _group(row: Row[*tuple[object, ...]]) -> AccountGroup:
    return AccountGroup(**row._mapping)
