"""What a test does in a process of its own, since chDB allows one a process: `python -m tests.cluster.acting WHAT`."""

import sys
from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from collectors.simulator import Disturbed, Plan, Simulator, TenantPlan, Weather
from collectors.spool import SAMPLES
from schemas.batch import SCHEMA, BatchMeta, encode, table_of
from schemas.period import Period
from sinks.warehouse.protocol import UsageRequest
from stratometer.commands import collect
from stratometer.compose import open_parts, open_spool
from stratometer.settings import Settings, load

MONTH_START: Final = 1_790_812_800
"""2026-10-01T00:00:00Z."""
PERIOD: Final = Period(MONTH_START, MONTH_START + 36 * 3600)
TENANTS: Final = (TenantPlan("acme", 3), TenantPlan("birch", 4), TenantPlan("cobalt", 5), TenantPlan("nobody", 1))
WEATHER: Final = Weather(duplicates=0.2, late=0.3, shuffled=True, seed=7)
OWN_METER: Final = "custom.widgets"
EVERYTHING: Final = (0, 2**32 - 1)


def fleet(settings: Settings) -> None:
    """Collect a small fleet in bad weather."""
    simulator = Simulator(Plan(PERIOD, TENANTS, seed=5), name="fleet", hours_per_poll=3, rows_per_batch=700)
    collect.once(settings, Disturbed(simulator, WEATHER), json=True)


def bad(settings: Settings) -> None:
    """Send messages that cannot be metered, or only in part."""
    with open_spool(settings, "bad") as spool:
        for payload, samples in bad_payloads():
            spool.append(SAMPLES, payload, {"site": "sim-1"}, samples)
        spool.flush()
    if settings.deployment == "cluster":
        collect._publish(settings, "bad")
    else:
        collect._meter_here(settings)


def bad_payloads() -> Sequence[tuple[bytes, int]]:
    """Return messages with the samples that each counts for; an unreadable one counts as one. Some are good."""
    good = {"resource": "vm/9", "meter": "vm.vcpu", "tenant": "acme", "cell_start": MONTH_START, "quantity": 600}
    rows = [good, {**good, "meter": OWN_METER}, {**good, "cell_start": MONTH_START + 300, "quantity": -1}]
    event = {**good, "meter": "image.deployment", "quantity": 1, "event_source": "test", "event_id": "1"}
    whole = _batch(rows[:1], 1)
    return [
        (whole, 1),
        (whole[: len(whole) // 2], 1),
        (b"not Arrow at all", 1),
        (b"", 1),
        (_version_two(whole), 1),
        (_batch(rows[1:2], 2), 1),
        (_batch([rows[0], rows[2]], 3), 2),
        (_batch([{**good, "cell_start": MONTH_START + 20 * 365 * 86400}], 4), 1),
        (_batch([event], 5), 1),
        (_batch([event], 6), 1),
    ]


def _batch(rows: Sequence[dict[str, Any]], sequence: int) -> bytes:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    seconds = [1 if "event_id" in row else 300 for row in rows]
    return encode(table_of({**columns, "cell_seconds": seconds}), BatchMeta("sim-1", "bad", sequence, 1))


def _version_two(payload: bytes) -> bytes:
    with pa.ipc.open_stream(payload) as reader:
        batch, metadata = reader.read_next_batch(), dict(reader.schema.metadata)
    schema = SCHEMA.with_metadata({**metadata, b"schema_version": b"2"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(batch.columns, schema=schema))
    return bytes(sink.getvalue().to_pybytes())


def drain(settings: Settings) -> None:
    """Meter and rate what lies in the spools (embedded)."""
    collect._meter_here(settings)


def totals(settings: Settings) -> None:
    """Print everything stored: quantity, seconds, samples and the digest over every sample, by meter."""
    with open_parts(settings) as parts:
        request = UsageRequest(None, EVERYTHING, group=frozenset({"attributes"}))
        names = ("meter_id", "attributes_id")
        rows = sorted(parts.warehouse.usage(request).to_pylist(), key=lambda row: tuple(row[name] for name in names))
        counters = parts.warehouse.counters()
    sys.stdout.buffer.write(orjson.dumps({"usage": rows, "counters": counters}))


ACTIONS: Final = {"fleet": fleet, "bad": bad, "drain": drain, "totals": totals}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](load())
