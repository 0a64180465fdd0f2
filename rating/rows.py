"""Usage in columns: sums by segment or single observations, placed in segments and put in the order of lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from rating.windows import Segments
from schemas.errors import Invariant

I64 = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
PAIRS_COUNTED_MAX: Final = 1 << 16
"""Most combinations of meter and attribute set for which a count of each is kept."""
NO_ATTRIBUTES: Final = 0
"""Key in usage that was not grouped by attributes."""


@dataclass(frozen=True)
class Rows:
    """Usage in n rows; every array has shape (n,).

    Attributes:
        segment: position of the segment.
        start, seconds: of the observation, in seconds; of sums by segment the segment's start, and 0.
        resource, meter, attributes: integer keys.
        quantity: base units.
        covered: seconds metered.
        samples: how many.
        digest: of the samples.
        pair: number of the row's (meter, attribute set) in `pairs`.
        pairs: distinct (meter_id, attributes_id) by number.
    """

    segment: I64
    start: I64
    seconds: I64
    resource: Column
    meter: Column
    attributes: Column
    quantity: I64
    covered: I64
    samples: Column
    digest: Column
    pair: I64
    pairs: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.segment)

    def take(self, which: Column | slice) -> "Rows":
        """Return some rows: a mask, positions, or a slice (of which nothing is copied)."""
        if isinstance(which, slice):
            return replace(self, **{name: getattr(self, name)[which] for name in _COLUMNS})
        if which.dtype == np.bool_:  # positions once, not once a column
            which = np.flatnonzero(which)
        arrays = {name: getattr(self, name).take(which) for name in _COLUMNS}
        return replace(self, **arrays)


_COLUMNS: Final = tuple(name for name in Rows.__dataclass_fields__ if name != "pairs")


def usage_rows(usage: pa.Table, segments: Segments) -> Rows:
    """Return sums by segment (USAGE_SCHEMA) as rows, ordered as lines are; raises Invariant for what does not fit."""
    columns = _columns(usage, USAGE_SCHEMA)
    segment = _segment_of(columns["segment_start"], segments)
    seconds = np.zeros(len(segment), np.int64)
    return _rows(columns, columns["segment_start"].astype(np.int64, copy=False), seconds, segment)


def cell_rows(cells: pa.Table | None, segments: Segments) -> Rows:
    """Return single observations (CELL_SCHEMA) as rows in order of time, resource, meter, attributes."""
    columns = _columns(CELL_SCHEMA.empty_table() if cells is None else cells, CELL_SCHEMA)
    start = columns["cell_start"]
    end = start + columns["cell_seconds"]
    segment = np.searchsorted(np.array(segments.edges, np.int64), start, side="right") - 1
    edges = np.array(segments.edges, np.int64)
    if len(start) and (
        int(segment.min()) < 0 or int(start.max()) >= edges[-1] or bool((end > edges[segment + 1]).any())
    ):
        raise Invariant("an observation lies outside the segments or crosses an edge of them")
    return _rows(columns, start, columns["cell_seconds"], segment.astype(np.int64))


def _rows(columns: Mapping[str, Column], start: I64, seconds: I64, segment: I64) -> Rows:
    keys = (segment, *([start] if seconds.any() else []))
    keys += tuple(columns[name] for name in ("resource_id", "meter_id", "attributes_id"))
    if not ascending(keys, strict=True):
        # Rows of equal key are ordered by their content, never by arrival.
        content = (columns["quantity"], columns["covered_seconds"], columns["digest"])
        order = np.lexsort((*reversed(content), *reversed(keys)))
        columns = {name: column[order] for name, column in columns.items()}
        start, seconds, segment = start[order], seconds[order], segment[order]
    pair, pairs = _pairs(columns["meter_id"], columns["attributes_id"])
    return Rows(
        segment,
        start,
        seconds,
        columns["resource_id"],
        columns["meter_id"],
        columns["attributes_id"],
        columns["quantity"].astype(np.int64, copy=False),
        columns["covered_seconds"].astype(np.int64, copy=False),
        columns["samples"],
        columns["digest"],
        pair,
        pairs,
    )


def _columns(usage: pa.Table, schema: pa.Schema) -> dict[str, Column]:
    """Return the usage as NumPy columns; nulls would become floats, so they are refused first."""
    if usage.schema.names != schema.names or usage.schema.types != schema.types:
        raise Invariant(f"usage has another schema than USAGE_SCHEMA or CELL_SCHEMA: {usage.schema.to_string()}")
    nulls = [name for name in usage.schema.names if usage[name].null_count]
    if nulls:
        raise Invariant(f"usage has nulls in {', '.join(nulls)}")
    return {name: usage[name].to_numpy() for name in usage.schema.names}


def encoded(column: Column) -> tuple[I64, Column]:
    """Return the code of each row and the distinct values by code."""
    if len(column) and bool((column == column[0]).all()):
        return np.zeros(len(column), np.int64), column[:1]
    found = pc.dictionary_encode(pa.array(column))
    return found.indices.to_numpy().astype(np.int64), found.dictionary.to_numpy()


def numbered(small: I64) -> tuple[I64, I64]:
    """Return the code of each row and the distinct values by code, ascending, for small numbers of zero or more."""
    found = np.flatnonzero(np.bincount(small))
    if len(found) == 1:
        return np.zeros(len(small), np.int64), found
    code = np.zeros(int(found[-1]) + 1, np.int64)
    code[found] = np.arange(len(found))
    return code[small], found


def distinct_rows(*columns: Column) -> tuple[I64, I64]:
    """Return the number of each row's combination of values, and a row that has each combination."""
    code, found = numbered(columns[0]) if len(columns[0]) else encoded(columns[0])
    count = len(found)
    for column in columns[1:]:
        other, values = encoded(column)
        code, found = encoded(code * max(len(values), 1) + other)  # each count is below 2^31: no overflow
        count = len(found)
    sample = np.zeros(count, np.int64)
    sample[code] = np.arange(len(code))
    return code, sample


def _segment_of(start: Column, segments: Segments) -> I64:
    runs = np.flatnonzero(np.append(True, start[1:] != start[:-1])) if len(start) else np.zeros(0, np.int64)
    edges = np.array(segments.edges, np.int64)
    place = np.searchsorted(edges, start[runs])
    strange = np.flatnonzero(edges[np.minimum(place, len(edges) - 1)] != start[runs])
    strange = np.union1d(strange, np.flatnonzero(place >= len(edges) - 1))
    if len(strange):
        values = dict.fromkeys(start[runs[strange]].tolist())
        raise Invariant(f"usage of {len(values)} unknown segments, the first starts at {next(iter(values))}")
    return np.repeat(place, np.diff(np.append(runs, len(start))))


def _pairs(meter: Column, attributes: Column) -> tuple[I64, list[tuple[int, int]]]:
    """Return the number of each row's (meter, attribute set) and the distinct pairs by number."""
    meter_code, meters = encoded(meter)
    set_code, sets = encoded(attributes)
    # Both counts are below 2^31: no overflow. Few combinations are counted, many looked up.
    number = numbered if 0 < len(meters) * len(sets) <= PAIRS_COUNTED_MAX else encoded
    code, distinct = number(meter_code * len(sets) + set_code)
    meter_ids, set_ids = meters.tolist(), sets.tolist()
    return code, [(meter_ids[d // len(sets)], set_ids[d % len(sets)]) for d in distinct.tolist()]


def ascending(keys: Sequence[Column], *, strict: bool) -> bool:
    """Tell whether rows are ascending by the keys, the first key first; strictly: no two are equal."""
    before = np.full(max(len(keys[0]) - 1, 0), not strict, dtype=np.bool_)
    for key in reversed(keys):
        here, after = key[:-1], key[1:]
        before = (here < after) | ((here == after) & before)
    return bool(before.all())
