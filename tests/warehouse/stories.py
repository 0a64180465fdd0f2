"""Small worlds to tell stories in: a few tenants, resources, meters, and blocks of samples."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas import ids
from schemas.claim import Claim
from schemas.identity import cell_rank, event_key, event_rank, mix_columns
from schemas.period import FOREVER, Period
from sinks.warehouse.protocol import LINE_SCHEMA, SAMPLE_DTYPES, Column, Intake, MeteredBlock, Names, Rating

T0 = 1_790_812_800
"""2026-10-01T00:00:00Z."""
HOUR = 3_600
DAY = 86_400
NOW_MICROS = (T0 + 40 * DAY) * 1_000_000
SITE = ids.site_id("site-a")
ALWAYS = Period(0, FOREVER)
CPU = ids.key32("cpu.used")
RAM = ids.key32("ram.used")
DEPLOYED = ids.key32("vm.deployed")


def tenant(name: str) -> int:
    return ids.tenant_id("site-a", name)


def resource(name: str) -> int:
    return ids.resource_id("site-a", f"vm/{name}")


def attributes(text: str) -> int:
    return ids.attributes_id(text)


@dataclass(frozen=True)
class Sample:
    """One row; an event when `event` is given."""

    vm: str = "vm1"
    start: int = T0
    quantity: int = 100
    covered: int = 300
    revision: int = 0
    owner: str = "t1"
    meter: int = CPU
    labels: str = "{}"
    event: str = ""


def columns(samples: Iterable[Sample]) -> dict[str, Column]:
    rows = list(samples)
    keys = [event_key("site", "source", s.event) if s.event else (0, 0) for s in rows]
    raw = {
        "site_id": [SITE] * len(rows),
        "tenant_id": [tenant(s.owner) for s in rows],
        "resource_id": [resource(s.vm) for s in rows],
        "meter_id": [s.meter for s in rows],
        "attributes_id": [attributes(s.labels) for s in rows],
        "cell_start": [s.start for s in rows],
        "cell_seconds": [1 if s.event else 300 for s in rows],
        "covered_seconds": [1 if s.event else s.covered for s in rows],
        "quantity": [s.quantity for s in rows],
        "revision": [s.revision for s in rows],
        "event_high": [high for high, _ in keys],
        "event_low": [low for _, low in keys],
    }
    made: dict[str, Column] = {name: np.array(values, dtype=SAMPLE_DTYPES[name]) for name, values in raw.items()}
    return with_rank(made)


def with_rank(made: dict[str, Column]) -> dict[str, Column]:
    u64 = {name: made[name].astype(np.uint64) for name in ("covered_seconds", "revision", "cell_start")}
    content = mix_columns(made["quantity"], made["tenant_id"], made["attributes_id"], made["resource_id"])
    is_event = (made["event_high"] != 0) | (made["event_low"] != 0)
    made["rank"] = np.where(
        is_event,
        event_rank(u64["revision"], u64["cell_start"], content),
        cell_rank(u64["covered_seconds"], u64["revision"], content),
    )
    return {name: made[name] for name in SAMPLE_DTYPES}


def names_of(samples: Iterable[Sample]) -> Names:
    rows = list(samples)
    return Names(
        sites={SITE: "site-a"},
        tenants={tenant(s.owner): (SITE, s.owner) for s in rows},
        resources={resource(s.vm): (SITE, "vm", s.vm) for s in rows},
        resource_tenants=frozenset((tenant(s.owner), resource(s.vm)) for s in rows),
        attribute_sets={attributes(s.labels): s.labels for s in rows},
    )


def block(*samples: Sample, intake: Iterable[Intake] = ()) -> MeteredBlock:
    return MeteredBlock(columns(samples), names_of(samples), tuple(intake))


def message(sequence: int, samples: int, dead: int = 0, replay_of: str = "", collector: str = "c1") -> Intake:
    return Intake("site-a", collector, sequence, replay_of, f"samples/0/{sequence}", samples, samples - dead, dead)


def claim(
    owner: str, period: Period = ALWAYS, only: Iterable[str] | None = None, excluded: Iterable[str] = ()
) -> Claim:
    chosen = None if only is None else frozenset(resource(vm) for vm in only)
    return Claim(period, tenant(owner), chosen, frozenset(resource(vm) for vm in excluded))


def line(window: Period, amount: int, number: int = 1, vm: str = "vm1", price: int = 77) -> dict[str, int]:
    return {
        "window_start": window.start,
        "window_end": window.end,
        "segment_start": window.start,
        "segment_end": window.end,
        "resource_id": resource(vm),
        "meter_id": CPU,
        "attributes_id": attributes("{}"),
        "price_id": price,
        "quantity": 1000 * number,
        "covered_seconds": 300,
        "amount_micros": amount,
        "usage_digest": 2**64 - number,
        "digest": 2**63 + number,
    }


def lines(*rows: dict[str, int]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=LINE_SCHEMA)


def rating(account: int, window: Period, revision: int, table: pa.Table, *, settled: bool = False) -> Rating:
    own = [r for r in table.to_pylist() if r["window_start"] == window.start and r["window_end"] == window.end]
    digest = 0
    for row in own:
        digest ^= row["digest"]
    amount = sum(r["amount_micros"] for r in own)
    unpriced = sum(r["price_id"] == 0 for r in own)
    return Rating(account, window, revision, "default", 3, "CU", len(own), unpriced, amount, digest, settled)
