"""The dimension tables: names behind integer keys, and who pays for what, for the views."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from schemas.claim import Claim
from schemas.period import FOREVER, Clock
from sinks.warehouse.claims import numbers
from sinks.warehouse.engine import Engine, Values
from sinks.warehouse.protocol import Names, PriceName

EVERY_RESOURCE: Final = 0
"""resource_id of an attribution row that holds for every resource that no other row names."""
IDS_MAX: Final = 100_000
"""Ids in one statement; more are asked for in several."""


def integers(values: Iterable[int], dtype: str = "u8") -> Values:
    """Return a column of integers; raises OverflowError for one that does not fit."""
    return np.array(list(values), dtype=dtype)


class NameStore:
    """Writes and reads the dimension tables; repeats do no harm.

    Attributes:
        engine: the transport.
        clock: microseconds since 1970, for rows whose writer gives no time.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock

    def put(
        self, table: str, columns: Mapping[str, Values], stored_at: int, timeout_seconds: float | None = None
    ) -> None:
        """Insert columns and `stored_at`, unless there are no rows; None is the engine's own time-out."""
        rows = len(next(iter(columns.values())))
        if rows:
            stamped = {**columns, "stored_at": np.full(rows, stored_at, dtype="u8")}
            self.engine.insert(table, stamped, timeout_seconds)

    def announce(self, names: Names, stored_at: int) -> None:
        """Store the names behind keys; no cut-off asks when they came."""
        self.put("sites", {"site_id": integers(names.sites), "site": list(names.sites.values())}, stored_at)
        tenants = names.tenants
        self.put(
            "tenants",
            {
                "tenant_id": integers(tenants),
                "site_id": integers(site for site, _ in tenants.values()),
                "tenant": [tenant for _, tenant in tenants.values()],
            },
            stored_at,
        )
        resources = names.resources
        self.put(
            "resources",
            {
                "resource_id": integers(resources),
                "site_id": integers(site for site, _, _ in resources.values()),
                "kind": [kind for _, kind, _ in resources.values()],
                "uuid": [uuid for _, _, uuid in resources.values()],
            },
            stored_at,
        )
        pairs = sorted(names.resource_tenants)
        self.put(
            "resource_tenants",
            {
                "tenant_id": integers(tenant for tenant, _ in pairs),
                "resource_id": integers(resource for _, resource in pairs),
            },
            stored_at,
        )
        sets = names.attribute_sets
        columns: dict[str, Values] = {"attributes_id": integers(sets), "attributes": list(sets.values())}
        self.put("attribute_sets", columns, stored_at)

    def write_names(
        self,
        accounts: Mapping[int, str] | None = None,
        prices: Sequence[PriceName] = (),
        resource_names: Mapping[int, tuple[str, int]] | None = None,
        meters: Mapping[int, tuple[str, str, str, int]] | None = None,
    ) -> None:
        """Store names for views: accounts, prices, resources (name, seen_at), meters (key, base, display unit, per)."""
        now = self.clock()
        accounts, named, meters = accounts or {}, resource_names or {}, meters or {}
        self.put("accounts", {"account_id": integers(accounts), "account": list(accounts.values())}, now)
        texts = ("price_list", "price", "product", "meter", "unit", "amount", "currency")
        columns: dict[str, Values] = {"price_id": integers(p.price_id for p in prices)}
        columns["version"] = integers((p.version for p in prices), "u4")
        columns |= {text: [str(getattr(p, text)) for p in prices] for text in texts}
        self.put("prices", columns, now)
        self.put(
            "resource_names",
            {
                "resource_id": integers(named),
                "name": [name for name, _ in named.values()],
                "seen_at": integers(seen_at for _, seen_at in named.values()),
            },
            now,
        )
        self.put(
            "meters",
            {
                "meter_id": integers(meters, "u4"),
                "meter": [m[0] for m in meters.values()],
                "base_unit": [m[1] for m in meters.values()],
                "display_unit": [m[2] for m in meters.values()],
                "base_per_display": integers(m[3] for m in meters.values()),
            },
            now,
        )

    def write_attribution(self, claims: Mapping[int, Sequence[Claim]], stored_at: int) -> None:
        """Replace the attribution dimension (account_id → claims) that the analysts' views join.

        A claim on single resources becomes a row for each of them, and these rows beat the one of the whole tenant:
        so what a claim excludes, because another account claims it, needs no row.
        """
        rows = sorted(
            (c.tenant_id, resource, max(c.period.start, 0), min(c.period.end, FOREVER), account)
            for account, of_account in claims.items()
            for c in of_account
            for resource in ([EVERY_RESOURCE] if c.only is None else c.only)
        )
        self.put(
            "attribution",
            {
                "generation": np.full(len(rows), stored_at, dtype="u8"),
                "tenant_id": integers(r[0] for r in rows),
                "resource_id": integers(r[1] for r in rows),
                "valid_from": integers((r[2] for r in rows), "u4"),
                "valid_to": integers((r[3] for r in rows), "u4"),
                "account_id": integers(r[4] for r in rows),
            },
            stored_at,
        )
        # Only now does the generation count: a crash before this leaves the last one in force.
        complete: dict[str, Values] = {"generation": integers([stored_at]), "row_count": integers([len(rows)])}
        self.put("attribution_generations", complete, stored_at)

    def tenants(self) -> Mapping[int, tuple[str, str]]:
        """Return tenant_id → (site, tenant)."""
        sites = dict(self._pairs("SELECT site_id AS k, any(site) AS v FROM sites GROUP BY site_id"))
        rows = self.engine.select(
            "SELECT tenant_id, any(site_id) AS of_site, any(tenant) AS name FROM tenants GROUP BY tenant_id"
            " ORDER BY tenant_id"
        ).to_pydict()
        columns = zip(rows["tenant_id"], rows["of_site"], rows["name"], strict=True)
        return {tenant: (sites.get(site, ""), name) for tenant, site, name in columns}

    def resource_tenants(self, tenant_ids: Sequence[int] | None = None) -> Sequence[tuple[int, int]]:
        """Return (tenant_id, resource_id) pairs seen together, in order."""
        pairs: list[tuple[int, int]] = []
        for where in _wheres("tenant_id", tenant_ids):
            sql = f"SELECT DISTINCT tenant_id AS k, resource_id AS v FROM resource_tenants{where}"
            pairs += self._pairs(sql)
        return sorted(pairs)

    def cotenants(self) -> Mapping[int, frozenset[int]]:
        """Return the tenants that had resources which other tenants had, too, and those others; few, so read whole."""
        shared = "SELECT resource_id FROM resource_tenants GROUP BY resource_id HAVING uniqExact(tenant_id) > 1"
        pairs = self._pairs(
            "SELECT DISTINCT resource_id AS k, tenant_id AS v FROM resource_tenants"
            f" WHERE resource_id {self.engine.capability.in_global} ({shared})"
        )
        holders: dict[int, set[int]] = {}
        for resource, tenant in pairs:
            holders.setdefault(resource, set()).add(tenant)
        found: dict[int, set[int]] = {}
        for tenants in holders.values():
            for tenant in tenants:
                found.setdefault(tenant, set()).update(tenants - {tenant})
        return {tenant: frozenset(others) for tenant, others in found.items()}

    def resource_names(self, resource_ids: Sequence[int]) -> Mapping[int, tuple[str, str, str]]:
        """Return resource_id → (site, kind/native uuid, name or ""); unknown ids are left out."""
        sites = dict(self._pairs("SELECT site_id AS k, any(site) AS v FROM sites GROUP BY site_id"))
        found: dict[int, tuple[str, str, str]] = {}
        for where in _wheres("resource_id", resource_ids):
            named = (
                f"SELECT resource_id AS k, argMax(name, seen_at) AS v FROM resource_names{where} GROUP BY resource_id"
            )
            names = dict(self._pairs(named))
            rows = self.engine.select(
                "SELECT resource_id, any(site_id) AS of_site, any(kind) AS of_kind, any(uuid) AS of_uuid"
                f" FROM resources{where} GROUP BY resource_id ORDER BY resource_id"
            ).to_pydict()
            columns = zip(rows["resource_id"], rows["of_site"], rows["of_kind"], rows["of_uuid"], strict=True)
            for key, site, kind, uuid in columns:
                found[key] = (sites.get(site, ""), f"{kind}/{uuid}", names.get(key, ""))
        return found

    def attribute_sets(self, attribute_ids: Sequence[int] | None = None) -> Mapping[int, str]:
        """Return attributes_id → canonical JSON."""
        found: dict[int, str] = {}
        for where in _wheres("attributes_id", attribute_ids):
            sql = f"SELECT attributes_id AS k, any(attributes) AS v FROM attribute_sets{where} GROUP BY attributes_id"
            found |= dict(self._pairs(sql))
        return found

    def _pairs(self, sql: str) -> list[tuple[int, Any]]:
        table = self.engine.select(sql)
        return list(zip(table.column("k").to_pylist(), table.column("v").to_pylist(), strict=True))


def _wheres(column: str, ids: Sequence[int] | None) -> list[str]:
    if ids is None:
        return [""]
    unique = sorted(set(ids))
    return [f" WHERE {column} IN {numbers(unique[i : i + IDS_MAX])}" for i in range(0, len(unique), IDS_MAX)]
