"""The tenant scope: the only way from a key to accounts, their claims and their rows.

Routes never ask the directory or make an account's integer key themselves (a test looks). What lies outside the scope
is answered exactly as what does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends

from api.auth import Caller
from api.problems import Problem
from api.services import Use
from billing.accounts import UNATTRIBUTED
from billing.protocol import Account, ApiKey
from pipeline.directory import Directory
from schemas.claim import Claim
from schemas.ids import account_id


@dataclass(frozen=True, slots=True)
class Scoped:
    """An account that the caller may see.

    Attributes:
        account: as the caller may see it: a parent outside the scope is left out.
        key: integer key of its rows in the warehouse.
    """

    account: Account
    key: int


class TenantScope:
    """What one key may see: everything, or the subtree below one account."""

    def __init__(self, key: ApiKey, directory: Directory, accounts: Mapping[str, Account]) -> None:
        """Fix the accounts within reach of all `accounts`; a tenant's key without account reaches nothing."""
        self._key, self._directory = key, directory
        self._all = accounts
        self.everything = key.role != "tenant"
        reach = set(accounts) if self.everything else _below(key.account, accounts)
        self._accounts = {
            a: replace(accounts[a], parent=accounts[a].parent if accounts[a].parent in reach else None)
            for a in sorted(reach)
        }

    def among(self, accounts: Mapping[str, Account]) -> "TenantScope":
        """Return the same key's scope over accounts as they are now; the same object when they did not change."""
        return self if accounts is self._all else TenantScope(self._key, self._directory, accounts)

    def accounts(self) -> Sequence[Scoped]:
        """Return the accounts within reach, by id."""
        return [Scoped(account, account_id(account.id)) for account in self._accounts.values()]

    def account(self, name: str) -> Scoped:
        """Return an account; answers 404 for one that does not exist or lies outside."""
        found = self._accounts.get(name)
        if found is None:
            raise Problem("not-found", f"there is no account {name!r} within reach of this key")
        return Scoped(found, account_id(found.id))

    def chosen(self, names: Sequence[str] | None) -> Sequence[Scoped]:
        """Return the named accounts, or all within reach when none is named."""
        return [self.account(name) for name in dict.fromkeys(names)] if names else self.accounts()

    def claims(self, scoped: Scoped, as_of: int | None = None) -> tuple[Claim, ...]:
        """Return the claims of an account under the rules known at an instant (microseconds; None: now)."""
        return self._directory.claims(self.account(scoped.account.id).account.id, as_of)

    def unattributed(self, as_of: int | None = None) -> tuple[Claim, ...]:
        """Return the claims that no rule maps; only for those who see everything."""
        return self._directory.claims(UNATTRIBUTED, as_of) if self.everything else ()


def _below(root: str | None, accounts: Mapping[str, Account]) -> set[str]:
    """Return an account and all below it; nothing when it does not exist."""
    if root is None or root not in accounts:
        return set()
    children: dict[str, list[str]] = {}
    for account in accounts.values():
        if account.parent is not None:
            children.setdefault(account.parent, []).append(account.id)
    found, edge = {root}, [root]
    while edge:
        edge = [child for parent in edge for child in children.get(parent, ()) if child not in found]
        found.update(edge)
    return found


def scope(key: Caller, use: Use) -> TenantScope:
    """Return the scope of the request's key."""
    return TenantScope(key, use.directory, use.directory.accounts())


Scope = Annotated[TenantScope, Depends(scope)]
