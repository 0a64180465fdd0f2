"""Attribution: which account pays for which tenant's or resource's usage, and when. Pure.

At every instant each (tenant, resource) has exactly one payer: the account of the best matching rule, or
`UNATTRIBUTED`, which is shown and never billed. Nothing here is written into samples: a corrected rule moves usage.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

from billing.accounts import UNATTRIBUTED
from billing.protocol import MappingRule
from schemas.claim import Claim
from schemas.period import FOREVER, Period

Resources = Mapping[int, str]
"""resource_id → kind/native uuid of one tenant."""


def resolve(
    rules: Sequence[MappingRule],
    tenants: Mapping[int, tuple[str, str]],
    resources_of: Mapping[int, Resources],
) -> dict[str, tuple[Claim, ...]]:
    """Return the claims of every account, `UNATTRIBUTED` included.

    Args:
        rules: rules in force in recorded time.
        tenants: tenant_id → (site, tenant).
        resources_of: tenant_id → its resources; needed only for tenants that a rule with a resource pattern matches.
    """
    claims: dict[str, list[Claim]] = defaultdict(list)
    for tenant_id, (site, tenant) in sorted(tenants.items()):
        matching = [r for r in rules if _matches(r, site, tenant)]
        for period in _elementary(matching):
            live = [r for r in matching if r.start <= period.start < r.end]
            for account, claim in _claims_at(period, tenant_id, live, resources_of.get(tenant_id, {})):
                claims[account].append(claim)
    return {account: tuple(_merged(found)) for account, found in claims.items()}


def needs_resources(rules: Sequence[MappingRule], tenants: Mapping[int, tuple[str, str]]) -> list[int]:
    """Return the tenants whose resources `resolve` must know."""
    by_resource = [r for r in rules if r.resource != "*"]
    return [t for t, (site, tenant) in tenants.items() if any(_matches(r, site, tenant) for r in by_resource)]


def _matches(rule: MappingRule, site: str, tenant: str) -> bool:
    return fnmatchcase(site, rule.site) and fnmatchcase(tenant, rule.tenant)


def _elementary(rules: Iterable[MappingRule]) -> list[Period]:
    """Return the periods between neighbouring rule boundaries: inside one, the set of live rules is constant."""
    edges = sorted({0, FOREVER, *(r.start for r in rules), *(r.end for r in rules)})
    return [Period(a, b) for a, b in pairwise(edges)]


def _precedence(rule: MappingRule) -> tuple[bool, bool, bool, int]:
    exact = [not any(c in pattern for c in "*?[") for pattern in (rule.resource, rule.tenant, rule.site)]
    return exact[0], exact[1], exact[2], rule.id


def _claims_at(
    period: Period, tenant_id: int, live: Sequence[MappingRule], resources: Resources
) -> list[tuple[str, Claim]]:
    whole = [r for r in live if r.resource == "*"]
    single = sorted((r for r in live if r.resource != "*"), key=_precedence)
    payer = max(whole, key=_precedence).account if whole else UNATTRIBUTED
    own: dict[int, str] = {}
    for rule in single:
        own.update({rid: rule.account for rid, key in resources.items() if fnmatchcase(key, rule.resource)})
    moved = {rid: account for rid, account in own.items() if account != payer}
    found = [(payer, Claim(period, tenant_id, excluded=frozenset(moved)))]
    for account in sorted(set(moved.values())):
        only = frozenset(rid for rid, owner in moved.items() if owner == account)
        found.append((account, Claim(period, tenant_id, only=only)))
    return found


def _merged(claims: Sequence[Claim]) -> Iterable[Claim]:
    """Join neighbouring periods that claim the same."""
    by_scope: dict[tuple[int, frozenset[int] | None, frozenset[int]], list[Period]] = defaultdict(list)
    for claim in claims:
        periods = by_scope[claim.tenant_id, claim.only, claim.excluded]
        if periods and periods[-1].end == claim.period.start:
            periods[-1] = Period(periods[-1].start, claim.period.end)
        else:
            periods.append(claim.period)
    for (tenant_id, only, excluded), periods in by_scope.items():
        for period in periods:
            yield Claim(period, tenant_id, only, excluded)
