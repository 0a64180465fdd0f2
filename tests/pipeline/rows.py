"""Sample rows to tell stories in, and the messages that carry them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.message import Message
from pipeline.metering import Metered, Portion, Seen, meter, portions
from schemas.batch import BatchMeta, encode, table_of
from schemas.meters import Registry, builtin
from schemas.period import SECOND, parse_instant

SITE: Final = "vc-1"
T0: Final = parse_instant("2026-10-01T00:00:00Z")
NOW: Final = parse_instant("2026-11-10T00:00:00Z")
HOUR: Final = 3_600
DAY: Final = 86_400
REGISTRY: Final[Registry] = builtin()


@dataclass(frozen=True)
class Row:
    """One row of a batch; an event when `event` (source, id) is given. `covered` None means the whole cell."""

    resource: str = "vm/1"
    meter: str = "vm.vcpu"
    start: int = T0
    quantity: int = 600
    cell: int = 300
    covered: int | None = None
    tenant: str = "acme"
    attributes: str = "{}"
    revision: int = 0
    event: tuple[str, str] | None = None


def columns(rows: Sequence[Row]) -> dict[str, list[object]]:
    return {
        "resource": [r.resource for r in rows],
        "meter": [r.meter for r in rows],
        "cell_start": [r.start for r in rows],
        "cell_seconds": [r.cell for r in rows],
        "quantity": [r.quantity for r in rows],
        "covered_seconds": [r.cell if r.covered is None else r.covered for r in rows],
        "tenant": [r.tenant for r in rows],
        "attributes": [r.attributes for r in rows],
        "revision": [r.revision for r in rows],
        "event_source": [r.event[0] if r.event else None for r in rows],
        "event_id": [r.event[1] if r.event else None for r in rows],
    }


def batch(rows: Iterable[Row], sequence: int = 1, site: str = SITE, collector: str = "c1") -> bytes:
    taken = list(rows)
    return encode(table_of(columns(taken)), BatchMeta(site, collector, sequence, NOW * SECOND))


def message(rows: Iterable[Row], sequence: int = 1, site: str = SITE, collector: str = "c1") -> Message:
    return Message(batch(rows, sequence, site, collector), f"samples/0/{sequence}")


def portion_of(*messages: Message) -> Portion:
    found = list(portions(messages))
    assert len(found) == 1
    return found[0]


def metered(*messages: Message, seen: Seen | None = None, now: int = NOW) -> Metered:
    return meter(portion_of(*messages), REGISTRY, now * SECOND, seen or Seen())


def payload_with(schema_columns: Sequence[pa.Array], names: Sequence[str], metadata: dict[str, str]) -> bytes:
    """Return an Arrow stream that need not keep to the contract."""
    schema = pa.schema([pa.field(n, c.type) for n, c in zip(names, schema_columns, strict=True)]).with_metadata(
        metadata
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(list(schema_columns), schema=schema))
    return bytes(sink.getvalue().to_pybytes())
