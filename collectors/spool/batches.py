"""What goes into a spool as payload: sample batches within the contract's limits, and descriptors by the line."""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from schemas import resource
from schemas.batch import BATCH_BYTES_MAX, BATCH_ROWS_MAX, SCHEMA, BatchMeta, encode
from schemas.errors import Poison
from schemas.resource import Descriptor

DESCRIPTORS_PER_RECORD: Final = 1000


def batch_payloads(
    rows: pa.RecordBatch, site: str, collector: str, first_sequence: int, collected_at: int, replay_of: str
) -> list[tuple[bytes, int]]:
    """Return the encoded batches with their row counts, numbered from `first_sequence`.

    Raises:
        Poison: the rows do not have the contract's columns, or a single row is larger than a batch may be.
    """
    if rows.schema.names != SCHEMA.names or rows.schema.types != SCHEMA.types:
        raise Poison("bad_schema", "the collector's rows lack the layout of schemas.batch.SCHEMA: use table_of")
    made: list[tuple[bytes, int]] = []
    waiting = [rows] if rows.num_rows else []
    while waiting:
        part = waiting.pop()
        meta = BatchMeta(site, collector, first_sequence + len(made), collected_at, replay_of)
        payload = b"" if part.num_rows > BATCH_ROWS_MAX else encode(part, meta)
        if payload and len(payload) <= BATCH_BYTES_MAX:
            made.append((payload, part.num_rows))
            continue
        if part.num_rows == 1:
            raise Poison("too_large", f"one row takes {len(payload)} bytes; a batch holds at most {BATCH_BYTES_MAX}")
        half = part.num_rows // 2
        waiting += [_own(part.slice(half)), _own(part.slice(0, half))]
    return made


def _own(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows with dictionaries that hold only what they use; a slice keeps those of the whole."""
    columns = [
        column.cast(column.type.value_type).dictionary_encode() if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.record_batch(columns, schema=rows.schema)


def descriptor_payloads(descriptors: Sequence[Descriptor]) -> Iterator[bytes]:
    """Yield payloads of a thousand descriptors at most, one JSON object a line."""
    for start in range(0, len(descriptors), DESCRIPTORS_PER_RECORD):
        yield b"\n".join(resource.encode(each) for each in descriptors[start : start + DESCRIPTORS_PER_RECORD])


def descriptors_of(payload: bytes) -> list[Descriptor]:
    """Return the descriptors of a spool record of kind ``resources``; raises Poison when it is not one."""
    return [resource.decode(line) for line in payload.split(b"\n") if line]
