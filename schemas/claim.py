"""Claims: which tenant's usage an account pays for, and when. The resolved form of the tenant mapping rules."""

from dataclasses import dataclass

from schemas.period import Period


@dataclass(frozen=True, slots=True)
class Claim:
    """An account's claim on samples whose cell starts inside `period`.

    Attributes:
        period: when the claim holds.
        tenant_id: key of the platform tenant.
        only: keys of the resources claimed, or None for every resource of the tenant.
        excluded: keys of the tenant's resources that another account claims in this period; empty when `only` is given.
    """

    period: Period
    tenant_id: int
    only: frozenset[int] | None = None
    excluded: frozenset[int] = frozenset()
