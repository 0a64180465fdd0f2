"""Claims as SQL conditions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.claim import Claim
from schemas.period import Period

NOTHING: Final = "0"
"""The condition that no row meets."""


def numbers(values: Iterable[int]) -> str:
    """Return a list of integers in ascending order, for use after IN; the order makes equal requests equal texts."""
    return f"({', '.join(str(int(value)) for value in sorted(set(values)))})"


def within(claims: Sequence[Claim], window: Period) -> list[Claim]:
    """Return the claims that overlap the window."""
    return [claim for claim in claims if claim.period.overlaps(window) and (claim.only is None or claim.only)]


def resource_filter(claims: Sequence[Claim]) -> str:
    """Return a condition on `resource_id` that holds for every sample claimed, for the primary key to prune by.

    It is wider than the claims: which tenant a sample belongs to is known only once its winning version is.
    """
    wide = {claim.tenant_id for claim in claims if claim.only is None}
    single = {resource for claim in claims for resource in claim.only or ()}
    if not wide:
        return f"resource_id IN {numbers(single)}" if single else NOTHING
    either = f"tenant_id IN {numbers(wide)}"
    if not single:
        return f"resource_id IN (SELECT resource_id FROM resource_tenants WHERE {either})"
    return (
        f"(resource_id IN (SELECT resource_id FROM resource_tenants WHERE {either})"
        f" OR resource_id IN {numbers(single)})"
    )


def claim_condition(claims: Sequence[Claim], window: Period) -> str:
    """Return a condition on the winning version: tenant_id, resource_id and cell_start meet at least one claim."""
    tenants: dict[tuple[int, int, frozenset[int] | None, frozenset[int]], set[int]] = defaultdict(set)
    for claim in within(claims, window):
        start, end = max(claim.period.start, window.start), min(claim.period.end, window.end)
        excluded = frozenset() if claim.only is not None else claim.excluded
        tenants[start, end, claim.only, excluded].add(claim.tenant_id)
    alternatives = []
    for (start, end, only, excluded), ids in tenants.items():
        terms = [f"tenant_id IN {numbers(ids)}"]
        terms += [f"cell_start >= {start}"] if start > window.start else []
        terms += [f"cell_start < {end}"] if end < window.end else []
        terms += [f"resource_id IN {numbers(only)}"] if only is not None else []
        terms += [f"resource_id NOT IN {numbers(excluded)}"] if excluded else []
        alternatives.append(" AND ".join(terms))
    if not alternatives:
        return NOTHING
    return alternatives[0] if len(alternatives) == 1 else " OR ".join(f"({a})" for a in sorted(alternatives))
