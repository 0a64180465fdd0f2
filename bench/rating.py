"""The rating engine alone: usage rows in memory in, rated lines out."""

import time
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bench.load import METERS, START
from rating.engine import rate
from rating.price_list import parse
from rating.tables import USAGE_SCHEMA
from rating.windows import segments_of
from schemas.meters import builtin
from schemas.period import Period

HOURS: Final = 720
PRICES: Final = """
id: bench
name: Bench
currency: CU
window: hour
prices:
  - {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.0105", per: vCPU·h, from: 2020-01-01T00:00:00Z}
  - {id: ram, product: Compute, meter: vm.memory, amount: "0.0036", per: GiB·h, from: 2020-01-01T00:00:00Z}
  - {id: reads, product: Disk, meter: disk.read.bytes, amount: "0.02", per: GB, from: 2020-01-01T00:00:00Z}
  - {id: out, product: Network, meter: net.out.bytes, amount: "0.03", per: GB, from: 2020-01-01T00:00:00Z}
"""


def run(rows: int) -> dict[str, Any]:
    """Rate hourly usage of one account's VMs over a month; four of ten meters have a price."""
    registry = builtin()
    price_list = parse(PRICES, registry)
    segments = segments_of(Period(START, START + HOURS * 3600), price_list, "UTC")
    usage = usage_table(rows)
    began = time.perf_counter()
    rated = rate(usage, price_list, registry, {0: {}}, segments)
    seconds = time.perf_counter() - began
    return {
        "count": rows,
        "seconds": round(seconds, 2),
        "per_second": round(rows / seconds),
        "lines": rated.lines.num_rows,
    }


def usage_table(rows: int) -> pa.Table:
    """Return made-up hourly usage, in no order."""
    registry, rng = builtin(), np.random.default_rng(1)
    place = rng.permutation(rows)
    meters = np.array([registry[name].id for name in METERS], np.uint32)
    columns = {
        "segment_start": START + 3600 * (place % HOURS),
        "tenant_id": np.zeros(rows, np.uint64),
        "resource_id": (place // HOURS // len(METERS)).astype(np.uint64) + np.uint64(1),
        "meter_id": meters[place // HOURS % len(METERS)],
        "attributes_id": np.zeros(rows, np.uint64),
        "quantity": rng.integers(0, 10**10, rows),
        "covered_seconds": np.full(rows, 3600, np.int64),
        "samples": np.full(rows, 12, np.uint64),
        "digest": rng.integers(0, 2**63, rows).astype(np.uint64),
    }
    return pa.table(columns, schema=USAGE_SCHEMA)
