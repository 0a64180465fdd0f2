"""The two tables of rating: usage comes in, rated lines go out. The warehouse stores and returns the same shapes."""

from typing import Final

import pyarrow as pa

USAGE_SCHEMA: Final = pa.schema(
    {
        "segment_start": pa.int64(),
        "tenant_id": pa.uint64(),  # 0 unless grouped by tenant
        "resource_id": pa.uint64(),  # 0 unless grouped by resource
        "meter_id": pa.uint32(),
        "attributes_id": pa.uint64(),  # 0 unless grouped by attributes
        "quantity": pa.int64(),
        "covered_seconds": pa.int64(),
        "samples": pa.uint64(),
        "digest": pa.uint64(),  # xor over the samples of a hash of (cell start, quantity, covered, resource, meter)
    }
)
"""Usage rows, ordered by all key columns in this order."""

LINE_SCHEMA: Final = pa.schema(
    {
        "window_start": pa.int64(),
        "window_end": pa.int64(),
        "segment_start": pa.int64(),
        "segment_end": pa.int64(),
        "resource_id": pa.uint64(),
        "meter_id": pa.uint32(),
        "attributes_id": pa.uint64(),
        "price_id": pa.uint64(),  # 0: unpriced
        "quantity": pa.int64(),
        "covered_seconds": pa.int64(),
        "amount_micros": pa.int64(),
        "usage_digest": pa.uint64(),
        "digest": pa.uint64(),  # hash of every input of this line, the price included
    }
)
"""Rated lines by window: plain prices first, by segment, resource, meter, attributes; then charge by charge."""

CELL_SCHEMA: Final = pa.schema(
    {
        "cell_start": pa.int64(),
        "cell_seconds": pa.int64(),  # 1 for an event
        "resource_id": pa.uint64(),
        "meter_id": pa.uint32(),
        "attributes_id": pa.uint64(),
        "quantity": pa.int64(),
        "covered_seconds": pa.int64(),
        "samples": pa.uint64(),
        "digest": pa.uint64(),
    }
)
"""Single observations: cell samples, or events, one row each; none crosses an edge of the segments."""
