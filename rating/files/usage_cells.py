"""Usage rows as single observations: for charges that look at peaks, averages, percentiles or at each event.

Each row is one observation, cut where segments end. A row longer than the cell of a percentile is spread evenly into
cells of that length, which begin at multiples of it since 1970.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from rating.files.usage_rows import UsageRow
from rating.files.usage_spread import I64, Parts, RowColumns, cut, part_digests, quantities, repeated, row_columns
from rating.tables import CELL_SCHEMA
from rating.windows import Segments


def cell_table(
    rows: Sequence[UsageRow], segments: Segments, meters: frozenset[int], grid: Mapping[int, int] | None = None
) -> pa.Table:
    """Return the observations of some meters.

    Args:
        rows: inside the segments' period.
        segments: from `rating.windows.segments_of`.
        meters: ids of the meters wanted; rows of others are left out.
        grid: meter id → seconds of a cell, where longer rows are to be spread.

    Returns:
        CELL_SCHEMA, ordered by start, resource, meter, attributes, quantity, digest. The quantities of a row's cells
        add up to the row.

    Raises:
        Misconfigured: more than PARTS_MAX cells.
        Invariant: a row outside the segments.
    """
    columns = row_columns([row for row in rows if row.meter.id in meters])
    parts = _gridded(columns, cut(columns, segments), grid or {})
    quantity = quantities(columns, parts)
    digest = part_digests(columns, parts, quantity)
    code = columns.code[parts.row]
    order = np.lexsort((digest, quantity, code, parts.start))
    resource, meter, attributes = columns.key_columns(code[order])
    seconds = (parts.end - parts.start)[order]
    values = {
        "cell_start": parts.start[order],
        "cell_seconds": seconds,
        "resource_id": resource,
        "meter_id": meter,
        "attributes_id": attributes,
        "quantity": quantity[order],
        "covered_seconds": seconds,
        "samples": np.ones(len(order), dtype=np.uint64),
        "digest": digest[order],
    }
    return pa.table([pa.array(values[f.name], f.type) for f in CELL_SCHEMA], schema=CELL_SCHEMA)


def _gridded(columns: RowColumns, parts: Parts, grid: Mapping[int, int]) -> Parts:
    """Return the parts of rows longer than their meter's cell cut at cell edges; the others as they are."""
    if not grid:
        return parts
    cell_of_code = np.array([grid.get(meter, 0) for _, meter, _ in columns.keys], dtype=np.int64)
    cell = cell_of_code[columns.code]
    cell = np.where(columns.end - columns.start > cell, cell, 0)[parts.row]
    width: I64 = np.maximum(cell, 1)  # where nothing is cut the result of a division is not used
    counts = np.where(cell > 0, (parts.end - 1) // width - parts.start // width + 1, 1)
    part, copy = repeated(counts)
    start, end, cell, width = parts.start[part], parts.end[part], cell[part], width[part]
    edge = (start // width + copy) * width
    return Parts(
        parts.row[part],
        np.where(cell > 0, np.maximum(start, edge), start),
        np.where(cell > 0, np.minimum(end, edge + width), end),
    )
