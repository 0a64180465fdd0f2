"""The directory: accounts, their claims and price lists, as the stream, the jobs and the API read them.

It joins the books (rules, accounts, price lists) with the warehouse's names. Answers as of now are kept for
`ttl_seconds`, so that a hot loop does not ask two databases for each batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import orjson

from billing.accounts import UNATTRIBUTED
from billing.protocol import Account, Books
from pipeline.attribution import needs_resources, resolve
from pipeline.effective import EffectiveLists
from pipeline.rate_usage import SITE, pool_charges
from rating.price_list import PriceList
from rating.terms import Terms
from schemas.batch import canonical_attributes
from schemas.claim import Claim
from schemas.errors import Poison
from schemas.ids import account_id, attributes_id
from schemas.meters import Registry
from schemas.period import SECOND, Clock
from sinks.warehouse.protocol import Names, Warehouse

ATTRIBUTE_SETS_MAX: Final = 100_000
"""Attribute sets kept in memory before the cache starts anew."""


@dataclass
class _Cache:
    """What the directory remembers about the present."""

    read_at: int = -1
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    tenant_accounts: Mapping[int, frozenset[str]] = field(default_factory=dict)
    sites: Mapping[int, str] = field(default_factory=dict)
    lists: dict[str, PriceList | None] = field(default_factory=dict)


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
        self._derived: dict[tuple[int, str], int] = {}
        self._lists = EffectiveLists(books, registry)
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
            past = (as_of, self._resolved(as_of, self._warehouse.tenants()))
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
        """Return the effective list of an account (`EffectiveLists.of`), or None: nothing prices it."""
        return self._lists.of(account, self.accounts(), as_of)

    def present_list(self, account: Account) -> PriceList | None:
        """Return the effective list of now, which may be as old as this directory's memory; None: no usable one."""
        known = self._now()
        if account.id not in known.lists:
            try:
                known.lists[account.id] = self._lists.of(account, known.accounts)
            except Poison:  # whoever rates the account says so
                known.lists[account.id] = None
        return known.lists[account.id]

    def price_list_named(self, name: str, as_of: int | None = None) -> PriceList | None:
        """Return the newest version of a list, with what it inherits, recorded before an instant (microseconds)."""
        return self._lists.with_inherited(name, as_of)

    def terms(self, account: Account, as_of: int | None = None) -> Terms:
        """Return what rating has to know of an account beside its list; pools are not among it.

        Coupons are those recorded before the instant (microseconds; None: now); groups are those of now.
        """
        coupons = self._books.coupons(account.id, as_of)
        return Terms(account.id, frozenset(account.groups), coupons, zone=account.timezone)

    def siblings(self, account: Account) -> Sequence[Account]:
        """Return, by id, the accounts that share allowances with this one, itself included.

        They have the same parent and the same list; an account without a parent is alone.
        """
        if account.parent is None:
            return [account]
        own = self.present_list(account)
        near = [a for a in self.accounts().values() if a.parent == account.parent]
        return sorted((a for a in near if self.present_list(a) is own), key=lambda a: a.id)

    def with_siblings(self, accounts: Iterable[str]) -> frozenset[str]:
        """Return accounts and those whose amounts change with theirs, because they share an allowance."""
        found = frozenset(accounts)
        known = [self.accounts()[a] for a in found if a in self.accounts()]
        shared = [a for a in known if (own := self.present_list(a)) is not None and pool_charges(own)]
        return found.union(*({s.id for s in self.siblings(a)} for a in shared))

    def by_site(self, claims: Sequence[Claim]) -> Mapping[str, Sequence[Claim]]:
        """Return claims by the site of their tenant, in order of the sites' names."""
        sites = self._now().sites
        if any(claim.tenant_id not in sites for claim in claims):
            self.refresh()
            sites = self._now().sites
        found: dict[str, list[Claim]] = {}
        for claim in claims:
            found.setdefault(sites.get(claim.tenant_id, ""), []).append(claim)
        return dict(sorted(found.items()))

    def with_site(self, ids: Sequence[int], site: str) -> Mapping[int, int]:
        """Return the keys of the same attribute sets with the site among them; new ones get their names stored."""
        missing = [i for i in ids if (i, site) not in self._derived]
        if missing:
            texts = {i: canonical_attributes({**s, SITE: site}) for i, s in self.attribute_sets(missing).items()}
            made = {i: attributes_id(text) for i, text in texts.items()}
            self._warehouse.announce(Names(attribute_sets={made[i]: texts[i] for i in made}), self._clock())
            self._derived |= {(i, site): key for i, key in made.items()}
        return {i: self._derived[i, site] for i in ids if (i, site) in self._derived}

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
                tenants = self._warehouse.tenants()
                claims = self._resolved(None, tenants)
                holders: dict[int, set[str]] = {}
                for account, found in claims.items():
                    for claim in found:
                        holders.setdefault(claim.tenant_id, set()).add(account)
                self._cache = _Cache(
                    read_at=now,
                    claims=claims,
                    accounts={a.id: a for a in self._books.accounts()},
                    tenant_accounts={t: frozenset(a) for t, a in holders.items()},
                    sites={tenant: site for tenant, (site, _) in tenants.items()},
                )
            return self._cache

    def _resolved(self, as_of: int | None, tenants: Mapping[int, tuple[str, str]]) -> Mapping[str, tuple[Claim, ...]]:
        rules = self._books.rules(as_of)
        resources_of: dict[int, dict[int, str]] = {}
        wanted = needs_resources(rules, tenants)
        if wanted:
            pairs = self._warehouse.resource_tenants(wanted)
            names = self._warehouse.resource_names(sorted({r for _, r in pairs}))
            for tenant, resource in pairs:
                if resource in names:
                    resources_of.setdefault(tenant, {})[resource] = names[resource][1]
        return resolve(rules, tenants, resources_of)
