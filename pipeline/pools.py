"""Allowances that several accounts share: how much of one the accounts before this one used, and all together."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from billing.protocol import Account
from pipeline.directory import Directory
from pipeline.rate_usage import needs_site, pool_charges
from pipeline.usage_reader import AttributeSets, Reading, UsageReader
from rating.charge import Charge
from rating.lists import PriceList
from rating.tariff import Tariffs
from rating.terms import PoolShare, Terms
from rating.windows import Segments
from schemas.calendar import Size
from schemas.ids import key32
from schemas.meters import Registry

Pools = Mapping[tuple[str, int], PoolShare]


def pools_of(
    account: Account,
    price_list: PriceList,
    size: Size,
    grid: Segments,
    cutoff: int,
    terms: Terms,
    directory: Directory,
    reader: UsageReader,
    registry: Registry,
) -> Pools:
    """Return the shares of every pool of the charges evaluated over one size of window.

    The quantity of an account is the sum of the usage to which a price with that pool applies.

    Args:
        account: whose share.
        price_list: effective for all accounts of the pool.
        size: of the windows.
        grid: the segments about to be rated; shares are given by the start of each span.
        cutoff: microseconds since 1970: usage stored before it.
        terms: of the account; they choose the prices.
        directory: knows the siblings and their claims.
        reader: reads usage.
        registry: names meters.

    Raises:
        Poison: ``usage_too_large``.
    """
    charges = [c for c in pool_charges(price_list) if c.window == size]
    if not charges:
        return {}
    siblings = directory.siblings(account)
    tariffs, found = Tariffs(price_list, terms), dict[tuple[str, int], PoolShare]()
    span_of = {grid.edges[i]: grid.spans[w].start for i, w in enumerate(grid.window_of)}
    for charge in charges:
        shares: list[dict[int, tuple[int, int]]] = []
        for names in ({a.id for a in siblings if a.id < account.id}, {a.id for a in siblings}):
            claims = [c for name in sorted(names) for c in directory.claims(name, cutoff)]
            meters = frozenset(key32(meter) for meter in charge.meters)
            reading = Reading(claims, grid.edges, cutoff, meters, False, needs_site(price_list))
            usage = reader.usage(reading)
            sets = directory.attribute_sets(usage.column("attributes_id").unique().to_pylist())
            shares.append(_by_span(_pooled(usage, charge, tariffs, sets, registry), span_of))
        before, total = shares
        for span, (quantity, digest) in total.items():
            found[charge.id, span] = PoolShare(before.get(span, (0, 0))[0], quantity, digest)
    return found


def _pooled(
    usage: pa.Table, charge: Charge, tariffs: Tariffs, sets: AttributeSets, registry: Registry
) -> list[tuple[int, int, int]]:
    """Return (segment start, quantity, digest) of the rows to which a price with the pool applies."""
    rows = []
    for row in usage.to_pylist():
        at = row["segment_start"]
        meter = registry.by_id[row["meter_id"]].key
        matching = tariffs.choices(charge.id, meter, sets.get(row["attributes_id"], {}))
        valid = [number for period, number in matching if at in period]
        free = tariffs.items[valid[-1]].price.free if valid else None
        if free is not None and free.pool == "accounts":
            rows.append((at, row["quantity"], row["digest"]))
    return rows


def _by_span(rows: Sequence[tuple[int, int, int]], span_of: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    sums: dict[int, tuple[int, int]] = {}
    for start, quantity, digest in rows:
        span = span_of[start]
        before = sums.get(span, (0, 0))
        sums[span] = before[0] + quantity, before[1] ^ digest
    return sums
