"""The directory: accounts, their claims and price lists, as the stream, the jobs and the API read them.

It joins the books (rules, accounts, price lists) with the warehouse's names. Answers as of now are kept for
`ttl_seconds`, so that a hot loop does not ask two databases for each batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import orjson

from billing.accounts import UNATTRIBUTED
from billing.protocol import Account, Books
from pipeline.attribution import needs_resources, resolve
from rating.price_list import PriceList, parse
from schemas.claim import Claim
from schemas.ids import account_id
from schemas.meters import Registry
from schemas.period import SECOND, Clock
from sinks.warehouse.protocol import Warehouse

DEFAULT_PRICE_LIST: Final = "default"
ATTRIBUTE_SETS_MAX: Final = 100_000
"""Attribute sets kept in memory before the cache starts anew."""


@dataclass
class _Cache:
    """What the directory remembers about the present."""

    read_at: int = -1
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    tenant_accounts: Mapping[int, frozenset[str]] = field(default_factory=dict)


class Directory:
    """Answers who pays for what, and at which prices."""

    def __init__(
        self, books: Books, warehouse: Warehouse, registry: Registry, clock: Clock, ttl_seconds: int = 5
    ) -> None:
        """Keep the collaborators; `clock` gives microseconds since 1970."""
        self._books, self._warehouse, self._registry, self._clock = books, warehouse, registry, clock
        self._ttl = ttl_seconds * SECOND
        self._cache = _Cache()
        self._past: tuple[int, Mapping[str, tuple[Claim, ...]]] | None = None
        self._sets: dict[int, Mapping[str, str]] = {}
        self._lists: dict[tuple[str, int], PriceList] = {}
        self._lock = Lock()

    def refresh(self) -> None:
        """Forget what was read, for example after a rule was changed in this process."""
        with self._lock:
            self._cache, self._past = _Cache(), None

    def accounts(self) -> Mapping[str, Account]:
        """Return all accounts by id."""
        return self._now().accounts

    def account_of_key(self) -> Mapping[int, str]:
        """Return account ids by the integer key that facts carry, `UNATTRIBUTED` included."""
        return {account_id(a): a for a in (*self.accounts(), UNATTRIBUTED)}

    def claims(self, account: str, as_of: int | None = None) -> tuple[Claim, ...]:
        """Return an account's own claims under the rules known at an instant (microseconds; None: now)."""
        return self.all_claims(as_of).get(account, ())

    def all_claims(self, as_of: int | None = None) -> Mapping[str, tuple[Claim, ...]]:
        """Return the claims of every account, `UNATTRIBUTED` included."""
        if as_of is None:
            return self._now().claims
        with self._lock:
            past = self._past
        if past is None or past[0] != as_of:
            past = (as_of, self._resolved(as_of))
            with self._lock:
                self._past = past
        return past[1]

    def accounts_of_tenants(self, tenant_ids: Sequence[int]) -> frozenset[str]:
        """Return the accounts that claim anything of these tenants; a tenant not seen before is looked up at once."""
        known = self._now().tenant_accounts
        if any(t not in known for t in tenant_ids):
            self.refresh()
            known = self._now().tenant_accounts
        return frozenset().union(*(known.get(t, frozenset({UNATTRIBUTED})) for t in tenant_ids))

    def price_list(self, account: Account, as_of: int | None = None) -> PriceList | None:
        """Return the list that prices an account: its own, the nearest ancestor's, else the one named default."""
        accounts = self.accounts()
        chain: Account | None = account
        names = []
        while chain is not None:
            if chain.price_list:
                names.append(chain.price_list)
            chain = accounts.get(chain.parent) if chain.parent else None
        found = (self.price_list_named(name, as_of) for name in (*names, DEFAULT_PRICE_LIST))
        return next((one for one in found if one is not None), None)

    def price_list_named(self, name: str, as_of: int | None = None) -> PriceList | None:
        """Return the newest version of a list recorded before an instant (microseconds; None: now)."""
        stored = self._books.price_list(name, as_of)
        if stored is None:
            return None
        key = (stored.id, stored.version)
        if key not in self._lists:
            self._lists[key] = parse(stored.document, self._registry, version=stored.version)
        return self._lists[key]

    def attribute_sets(self, ids: Sequence[int]) -> Mapping[int, Mapping[str, str]]:
        """Return the attribute sets of the given keys."""
        known = self._sets
        missing = [i for i in ids if i not in known]
        if missing:
            found = {i: orjson.loads(text) for i, text in self._warehouse.attribute_sets(missing).items()}
            known = {**known, **found}
            self._sets = known if len(known) <= ATTRIBUTE_SETS_MAX else {}
        return {i: known[i] for i in ids if i in known}

    def _now(self) -> _Cache:
        with self._lock:
            now = self._clock()
            if self._cache.read_at < 0 or now - self._cache.read_at > self._ttl:
                claims = self._resolved(None)
                holders: dict[int, set[str]] = {}
                for account, found in claims.items():
                    for claim in found:
                        holders.setdefault(claim.tenant_id, set()).add(account)
                self._cache = _Cache(
                    read_at=now,
                    claims=claims,
                    accounts={a.id: a for a in self._books.accounts()},
                    tenant_accounts={t: frozenset(a) for t, a in holders.items()},
                )
            return self._cache

    def _resolved(self, as_of: int | None) -> Mapping[str, tuple[Claim, ...]]:
        rules, tenants = self._books.rules(as_of), self._warehouse.tenants()
        resources_of: dict[int, dict[int, str]] = {}
        wanted = needs_resources(rules, tenants)
        if wanted:
            pairs = self._warehouse.resource_tenants(wanted)
            names = self._warehouse.resource_names(sorted({r for _, r in pairs}))
            for tenant, resource in pairs:
                if resource in names:
                    resources_of.setdefault(tenant, {})[resource] = names[resource][1]
        return resolve(rules, tenants, resources_of)
