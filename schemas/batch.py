"""The sample batch: one collector poll as one Arrow IPC stream, one record batch, compressed with LZ4.

Row columns are `SCHEMA`; what is the same for the whole batch stands in the schema's metadata (`BatchMeta`). The same
bytes travel on Kafka, lie in the spool and are posted to the API.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa

from schemas.errors import BadBatch

SCHEMA_VERSION: Final = 1
CONTENT_TYPE: Final = "application/vnd.apache.arrow.stream"
HEADER_CONTENT_TYPE: Final = "content-type"
HEADER_SCHEMA_VERSION: Final = "schema-version"
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_ROWS_MAX: Final = 1_000_000
END_OF_STREAM: Final = bytes.fromhex("ffffffff00000000")
"""Arrow takes the end of the bytes for the end of the stream, too; we do not: it may have been cut off."""
SEQUENCE_MAX: Final = 2**63 - 1
NAME_LENGTH_MAX: Final = 512
"""Characters of a site's, collector's, tenant's or resource's name, and of an attribute's value."""
ATTRIBUTES_MAX: Final = 16
"""Attributes of one sample."""
FUTURE_SECONDS_MAX: Final = 24 * 3_600
"""How far ahead of our clock a cell may start; clocks of hosts and collectors differ, days do not.

The API and the metering core keep the same limits, so that what the one takes does not die in the other."""
OLDEST_CELL: Final = 946_684_800
"""2000-01-01T00:00:00Z: anything before comes from a clock that was never set."""

_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)  # a pool costs more than it saves on batches this small
_TEXT = pa.dictionary(pa.int32(), pa.utf8())

SCHEMA: Final = pa.schema(
    [
        pa.field("resource", _TEXT, nullable=False),  # kind/native uuid, unique within the site
        pa.field("meter", _TEXT, nullable=False),  # key in the meter registry
        pa.field("cell_start", pa.int64(), nullable=False),  # seconds since 1970, aligned to the meter's grid
        pa.field("cell_seconds", pa.int32(), nullable=False),  # the meter's grid; 1 for an event
        pa.field("quantity", pa.int64(), nullable=False),  # base units used within the cell
        pa.field("covered_seconds", pa.int32(), nullable=False),  # how much of the cell is known
        pa.field("tenant", _TEXT, nullable=False),  # owner as the platform names it; "" when it names none
        pa.field("attributes", _TEXT, nullable=False),  # canonical JSON object of text values
        pa.field("revision", pa.int32(), nullable=False),  # higher replaces lower at equal coverage
        pa.field("event_source", _TEXT, nullable=True),  # CloudEvents source, null for a cell sample
        pa.field("event_id", pa.utf8(), nullable=True),  # CloudEvents id, null for a cell sample
    ]
)


@dataclass(frozen=True, slots=True)
class BatchMeta:
    """What holds for every row of a batch.

    Attributes:
        site: the metered platform installation.
        collector: who collected, and into which spool; with `site` and `sequence` it names the batch for ever.
        sequence: position in the collector's spool, from 1, without holes.
        collected_at: microseconds since 1970, by the collector's clock; information only, never identity.
        replay_of: origin of the dead letter that this batch repeats, or "".
    """

    site: str
    collector: str
    sequence: int
    collected_at: int
    replay_of: str = ""


def canonical_attributes(attributes: Mapping[str, str]) -> str:
    """Return the one JSON text of an attribute set: keys sorted, no spaces."""
    return orjson.dumps(dict(attributes), option=orjson.OPT_SORT_KEYS).decode()


def table_of(columns: Mapping[str, Sequence[object] | pa.Array]) -> pa.RecordBatch:
    """Return a record batch in the contract's schema from plain columns; absent ones take their neutral value.

    `resource`, `meter`, `cell_start`, `cell_seconds` and `quantity` are required; `covered_seconds` defaults to the
    whole cell, `revision` to 0, `tenant` to "", `attributes` to {}.
    """
    rows = len(columns["resource"])
    neutral: dict[str, Sequence[object] | pa.Array] = {
        "covered_seconds": columns["cell_seconds"],
        "tenant": pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([""])),
        "attributes": pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["{}"])),
        "revision": pa.array([0] * rows, pa.int32()),
        "event_source": pa.nulls(rows, _TEXT),
        "event_id": pa.nulls(rows, pa.utf8()),
    }
    chosen = {**neutral, **columns}
    return pa.record_batch([_column(chosen[f.name], f.type) for f in SCHEMA], schema=SCHEMA)


def _column(values: Sequence[object] | pa.Array, kind: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    if array.type == kind:
        return array
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(array.type):
        return array.cast(pa.utf8()).dictionary_encode()
    return array.cast(kind)


def encode(rows: pa.RecordBatch, meta: BatchMeta) -> bytes:
    """Return the bytes of one batch."""
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "site": meta.site,
        "collector": meta.collector,
        "sequence": str(meta.sequence),
        "collected_at": str(meta.collected_at),
        "replay_of": meta.replay_of,
    }
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    schema = SCHEMA.with_metadata(metadata)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(rows.replace_schema_metadata(metadata))
    return sink.getvalue().to_pybytes()


def decode(payload: bytes) -> tuple[pa.RecordBatch, BatchMeta]:
    """Return the rows and the metadata of one batch; rows are structurally sound, their values are not yet checked.

    Raises:
        BadBatch: not Arrow, truncated, another schema version, missing or mistyped columns, too large.
    """
    if len(payload) > BATCH_BYTES_MAX:
        raise BadBatch("too_large", f"{len(payload)} bytes; a batch holds at most {BATCH_BYTES_MAX}: split the poll")
    if not payload.endswith(END_OF_STREAM):
        raise BadBatch("bad_arrow", "not a whole Arrow IPC stream: its end mark is missing")
    try:
        with pa.ipc.open_stream(payload, options=_READ_OPTIONS) as reader:
            schema, batches = reader.schema, [batch for batch in reader if batch.num_rows]
            meta = _meta_of(schema)
            _check_schema(schema)
            for batch in batches:  # before they are joined: joining trusts a dictionary's indices
                batch.validate(full=True)
            rows = batches[0] if len(batches) == 1 else _combined(batches, schema)
        if rows.num_rows > BATCH_ROWS_MAX:
            raise BadBatch("too_large", f"{rows.num_rows} rows; a batch holds at most {BATCH_ROWS_MAX}: split the poll")
        _check_nulls(rows)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise BadBatch("bad_arrow", f"not a readable Arrow IPC stream: {error}") from error
    # Columns may come in another order, and nullable: what is handed on has the contract's schema to the letter.
    return pa.record_batch([rows.column(field.name) for field in SCHEMA], schema=SCHEMA), meta


def _combined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if not batches:
        return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)
    table = pa.Table.from_batches(batches, schema).unify_dictionaries().combine_chunks()
    return table.to_batches()[0]


def _meta_of(schema: pa.Schema) -> BatchMeta:
    metadata = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
    version = metadata.get("schema_version", "none")
    if version != str(SCHEMA_VERSION):
        raise BadBatch("wrong_version", f"schema version {version}; this reader understands {SCHEMA_VERSION}")
    missing = [k for k in ("site", "collector", "sequence", "collected_at") if not metadata.get(k)]
    if missing:
        raise BadBatch("no_metadata", f"schema metadata lacks {', '.join(missing)}")
    try:
        sequence, collected_at = int(metadata["sequence"]), int(metadata["collected_at"])
    except ValueError as error:
        raise BadBatch("no_metadata", f"sequence and collected_at must be integers: {error}") from error
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise BadBatch("no_metadata", f"sequence {sequence} must lie between 0 and {SEQUENCE_MAX}")
    long = [k for k in ("site", "collector") if len(metadata[k]) > NAME_LENGTH_MAX or "\0" in metadata[k]]
    if long:  # NUL parts names in the keys that are derived from them
        raise BadBatch("no_metadata", f"{' and '.join(long)}: at most {NAME_LENGTH_MAX} characters, none of them NUL")
    return BatchMeta(metadata["site"], metadata["collector"], sequence, collected_at, metadata.get("replay_of", ""))


def _check_nulls(rows: pa.RecordBatch) -> None:
    problems = []
    for field in SCHEMA:
        column = rows.column(field.name)
        if column.null_count and not field.nullable:
            problems.append(f"column {field.name} has {column.null_count} nulls; every row needs a value")
        if pa.types.is_dictionary(field.type) and column.dictionary.null_count:
            problems.append(f"column {field.name} has a null in its dictionary")
    if problems:
        raise BadBatch("bad_schema", "; ".join(problems))


def _check_schema(schema: pa.Schema) -> None:
    problems = []
    for expected in SCHEMA:
        position = schema.get_field_index(expected.name)
        if position < 0:
            problems.append(f"column {expected.name} is missing")
        elif schema.field(position).type != expected.type:
            problems.append(f"column {expected.name} is {schema.field(position).type}, expected {expected.type}")
    extra = sorted(set(schema.names) - set(SCHEMA.names))
    problems += [f"column {name} is unknown" for name in extra]
    if problems:
        raise BadBatch("bad_schema", "; ".join(problems))
