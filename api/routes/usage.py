"""GET usage: how much of each meter, by window."""

from itertools import islice
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request

from api import usage
from api.auth import PROVIDER, READ, access
from api.models import Page, TenantName, UnattributedItem, UsageItem
from api.parameters import (
    LIMIT_DEFAULT,
    AsOf,
    Cursor,
    From,
    Limit,
    To,
    as_of_micros,
    next_cursor,
    period_of,
    position_of,
    refuse_unknown,
)
from api.present import UNNAMED, coverage, quantity, resources, window
from api.problems import invalid
from api.scope import Scope
from api.services import Services, Use
from schemas.period import Period
from sinks.warehouse.protocol import Group

router = APIRouter(prefix="/v1", tags=["usage"])

FILTER_PREFIX: Final = "attr."
FILTERS_MAX: Final = 8

Meters = Annotated[list[str] | None, Query(alias="meter", max_length=100, description="meter key; repeat for several")]
WindowSize = Annotated[Literal["hour", "day", "month", "total"], Query(description="calendar windows of the zone")]
GroupBy = Annotated[list[Group] | None, Query(description="keep these apart; repeat for several")]
Zone = Annotated[str | None, Query(alias="tz", max_length=64, description="IANA zone; the account's unless given")]
_ABOUT: Final = (
    "Usage in whole base units. Filter by attributes with `attr.<name>=<value>`, for example `attr.tier=gold`; "
    "several must all hold. The first and last window are cut at `from` and `to`."
)


@router.get("/usage", operation_id="getUsage", description=_ABOUT, **access("tenant", *READ))
def get_usage(
    request: Request,
    scope: Scope,
    use: Use,
    account: Annotated[str, Query(description="whose usage")],
    start: From,
    end: To,
    meters: Meters = None,
    size: Annotated[WindowSize, Query(alias="window")] = "day",
    group_by: GroupBy = None,
    zone: Zone = None,
    as_of: AsOf = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[UsageItem]:
    """Return one page of usage."""
    refuse_unknown(request, FILTER_PREFIX)
    scoped = scope.account(account)
    position = position_of(request, cursor, 6)
    cutoff = as_of_micros(as_of)
    asked = usage.Question(
        claims=scope.claims(scoped, cutoff),
        edges=_edges(period_of(start, end), size, zone or scoped.account.timezone),
        # Later pages read what the first one read, also while samples arrive.
        cutoff=cutoff if cutoff is not None else position[0] if position else use.clock(),
        groups=frozenset(group_by or ()),
        meters=_meters(use, meters),
        filters=_filters(request),
    )
    rows = list(islice(usage.rows_after(use, asked, position[1:] if position else None), limit + 1))
    more = next_cursor(request, [asked.cutoff, *rows[limit - 1].key]) if len(rows) > limit else None
    return Page(items=_items(use, asked, rows[:limit]), next_cursor=more)


def _edges(period: Period, size: str, zone: str) -> list[int]:
    if size == "hour" and period.seconds > usage.SEGMENTS_MAX * 3600:
        raise invalid("from", f"more than {usage.SEGMENTS_MAX} windows: ask for a shorter time", "too-much")
    try:
        return usage.edges_of(period, size, zone)
    except ValueError as error:
        raise invalid("tz", str(error)) from error


def _meters(use: Services, keys: list[str] | None) -> list[int] | None:
    if not keys:
        return None
    unknown = sorted(k for k in keys if k not in use.registry)
    if unknown:
        raise invalid("meter", f"{', '.join(unknown)}: no such meter; GET /v1/meters lists them", "unknown-meter")
    return [use.registry[k].id for k in keys]


def _filters(request: Request) -> dict[str, str]:
    pairs = [(k.removeprefix(FILTER_PREFIX), v) for k, v in request.query_params.multi_items() if _is_filter(k)]
    if len(pairs) > FILTERS_MAX or len(dict(pairs)) != len(pairs):
        raise invalid(FILTER_PREFIX, f"at most {FILTERS_MAX} attributes, each once")
    return dict(pairs)


def _is_filter(name: str) -> bool:
    return name.startswith(FILTER_PREFIX)


def _items(use: Services, asked: usage.Question, rows: list[usage.Row]) -> list[UsageItem]:
    names = resources(use, (row.key[2] for row in rows)) if "resource" in asked.groups else {}
    tenants = use.warehouse.tenants() if "tenant" in asked.groups else {}
    sets = use.directory.attribute_sets(sorted({row.key[4] for row in rows if row.key[4]}))
    ends = dict(zip(asked.edges, asked.edges[1:], strict=False))
    items = []
    for row in rows:
        start, tenant, resource, meter_id, attributes = row.key
        meter = use.registry.by_id.get(meter_id)
        site, name = tenants.get(tenant, ("", ""))
        items.append(
            UsageItem(
                window=window(start, ends[start]),
                meter=meter.key if meter else f"{meter_id:08x}",
                resource=names.get(resource, UNNAMED) if "resource" in asked.groups else None,
                tenant=TenantName(site=site, tenant=name) if "tenant" in asked.groups else None,
                attributes=dict(sets.get(attributes, {})) if "attributes" in asked.groups else None,
                quantity=quantity(row.quantity, meter),
                covered_seconds=row.covered_seconds,
                samples=row.samples,
                coverage=coverage(row.covered_seconds, row.samples, meter),
            )
        )
    return items


@router.get("/unattributed", operation_id="getUnattributed", tags=["mapping"], **access("provider", *PROVIDER))
def get_unattributed(
    request: Request,
    scope: Scope,
    use: Use,
    start: From,
    end: To,
    as_of: AsOf = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[UnattributedItem]:
    """Return usage that no mapping rule gives to an account: tenant by tenant, meter by meter."""
    refuse_unknown(request)
    period, position = period_of(start, end), position_of(request, cursor, 6)
    cutoff = as_of_micros(as_of)
    asked = usage.Question(
        claims=scope.unattributed(cutoff),
        edges=[period.start, period.end],
        cutoff=cutoff if cutoff is not None else position[0] if position else use.clock(),
        groups=frozenset({"tenant"}),
        meters=None,
        filters={},
    )
    rows = list(islice(usage.rows_after(use, asked, position[1:] if position else None), limit + 1))
    tenants = use.warehouse.tenants()
    items = []
    for row in rows[:limit]:
        site, tenant = tenants.get(row.key[1], ("", ""))
        meter = use.registry.by_id.get(row.key[3])
        items.append(
            UnattributedItem(
                site=site,
                tenant=tenant,
                meter=meter.key if meter else f"{row.key[3]:08x}",
                quantity=quantity(row.quantity, meter),
                samples=row.samples,
            )
        )
    more = next_cursor(request, [asked.cutoff, *rows[limit - 1].key]) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)
