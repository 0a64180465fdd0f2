"""Usage rows spread over segments, on whole columns, and summed as the warehouse sums samples.

A row that spans several segments is spread evenly over its seconds, in whole base units that add up exactly to the
row: the part up to an instant t is floor(|quantity| × seconds until t ÷ seconds) with the row's sign, and each segment
takes the difference. So a correction takes back from every segment exactly what its row put there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating.exact import INT64_MAX, grouped_totals
from rating.files.usage_rows import UsageRow
from rating.tables import USAGE_SCHEMA
from rating.windows import Segments
from schemas.errors import Invariant, Misconfigured
from schemas.identity import mix_columns
from schemas.ids import attributes_id, resource_id

SITE: Final = "file"
"""Stands for the site in the keys of resources that come from a file."""
PARTS_MAX: Final = 10_000_000
"""Most parts of one file: (row, segment) or (row, cell). Ten columns of that many take less than a GiB."""
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class FileUsage:
    """Usage by segment, and the names behind its keys.

    Attributes:
        usage: as USAGE_SCHEMA, in its order.
        attribute_sets: attributes_id → attributes.
        resources: resource_id → name.
    """

    usage: pa.Table
    attribute_sets: Mapping[int, Mapping[str, str]]
    resources: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Rows as columns, int64 unless told, one entry a row.

    Attributes:
        start, end: of the period.
        quantity: base units.
        code: position of the row's key in `keys`.
        keys: distinct (resource_id, meter_id, attributes_id), ascending.
        attribute_sets, resources: names behind the ids.
    """

    start: I64
    end: I64
    quantity: I64
    code: I64
    keys: Sequence[tuple[int, int, int]]
    attribute_sets: Mapping[int, Mapping[str, str]]
    resources: Mapping[int, str]

    def key_columns(self, code: I64) -> tuple[U64, npt.NDArray[np.uint32], U64]:
        """Return resource, meter and attributes ids of the given codes."""
        resource, meter, attributes = (np.array([k[i] for k in self.keys], dtype=np.uint64) for i in range(3))
        return resource[code], meter.astype(np.uint32)[code], attributes[code]


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of rows: position of the row, and the half-open time of the part; int64 columns, in order of the rows."""

    row: I64
    start: I64
    end: I64


def row_columns(rows: Sequence[UsageRow]) -> RowColumns:
    """Return the rows as columns."""
    sets: dict[str, int] = {}
    names: dict[str, int] = {}
    attribute_sets: dict[int, Mapping[str, str]] = {}
    keys: list[tuple[int, int, int]] = []
    for row in rows:
        text = row.attributes_json
        if text not in sets:
            sets[text] = attributes_id(text)
            attribute_sets[sets[text]] = row.attributes
        if row.resource not in names:
            names[row.resource] = resource_id(SITE, row.resource)
        keys.append((names[row.resource], row.meter.id, sets[text]))
    distinct = sorted(set(keys))
    position = {key: number for number, key in enumerate(distinct)}
    return RowColumns(
        start=_int64([row.period.start for row in rows]),
        end=_int64([row.period.end for row in rows]),
        quantity=_int64([row.quantity for row in rows]),
        code=_int64([position[key] for key in keys]),
        keys=distinct,
        attribute_sets=attribute_sets,
        resources={number: name for name, number in names.items()},
    )


def _int64(values: Sequence[int]) -> I64:
    return np.array(values, dtype=np.int64)


def repeated(counts: I64) -> tuple[I64, I64]:
    """Return for each copy of each entry the entry's position and the copy's number, from 0.

    Raises:
        Misconfigured: more than PARTS_MAX copies.
    """
    total = int(counts.sum())
    if total > PARTS_MAX:
        raise Misconfigured([f"the rows span more than {PARTS_MAX} windows or cells together: make the file shorter"])
    entry = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    return entry, np.arange(total, dtype=np.int64) - first[entry]


def cut(columns: RowColumns, segments: Segments) -> Parts:
    """Return the rows cut at the segments' edges.

    Raises:
        Invariant: a row outside the segments.
        Misconfigured: more than PARTS_MAX parts.
    """
    edges = _int64(segments.edges)
    if not len(columns.start):
        return Parts(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
    if not len(edges) or columns.start.min() < edges[0] or columns.end.max() > edges[-1]:
        raise Invariant("usage rows lie outside the segments")
    first = np.searchsorted(edges, columns.start, side="right") - 1
    last = np.searchsorted(edges, columns.end, side="left") - 1
    row, copy = repeated((last - first + 1).astype(np.int64))
    segment = first[row] + copy
    return Parts(row, np.maximum(columns.start[row], edges[segment]), np.minimum(columns.end[row], edges[segment + 1]))


def quantities(columns: RowColumns, parts: Parts) -> I64:
    """Return each part's share of its row's quantity, see the module's text."""
    quantity, start = columns.quantity[parts.row], columns.start[parts.row]
    seconds = columns.end[parts.row] - start
    return _shares(quantity, seconds, parts.end - start) - _shares(quantity, seconds, parts.start - start)


def share(quantity: int, seconds: int, until: int) -> int:
    """Return what a row of so many seconds holds until an instant, both counted from its start; see above."""
    part = abs(quantity) * until // seconds
    return part if quantity >= 0 else -part


def _shares(quantity: I64, seconds: I64, until: I64) -> I64:
    """Return `share` of each row, 0 ≤ until ≤ seconds < 2^32.

    The product may need 96 bits, so the quantity is divided first: |q| = a × seconds + b gives a × until +
    floor(b × until ÷ seconds), where a × until ≤ |q| and b × until < 2^64.
    """
    whole, rest = np.divmod(np.abs(quantity).astype(np.uint64), seconds.astype(np.uint64))
    done = until.astype(np.uint64)
    part = (whole * done + rest * done // seconds.astype(np.uint64)).astype(np.int64)
    return np.where(quantity < 0, -part, part)


def part_digests(columns: RowColumns, parts: Parts, quantity: I64) -> U64:
    """Return a hash a part over start, quantity, seconds, resource, meter, and a count of equal parts.

    Digests are joined by xor, in which two equal parts would vanish; the count keeps them apart in any order.
    """
    resource, meter, attributes = columns.key_columns(columns.code[parts.row])
    facts = (parts.start, quantity, parts.end - parts.start, resource, meter)
    again = _occurrences(mix_columns(*facts, attributes))
    return mix_columns(*facts, again)


def _occurrences(values: U64) -> I64:
    """Return how often each value stood before, at smaller positions."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    here = np.arange(len(values), dtype=np.int64)
    begins = np.ones(len(values), dtype=np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(begins, here, 0)) if len(values) else here
    again = np.empty(len(values), dtype=np.int64)
    again[order] = here - first
    return again


def usage_table(rows: Sequence[UsageRow], segments: Segments) -> FileUsage:
    """Spread rows over segments and sum what falls together.

    Args:
        rows: inside the segments' period.
        segments: from `rating.windows.segments_of`.

    Raises:
        Misconfigured: an event row spans several segments, more than PARTS_MAX parts, or a sum beyond 2^63 - 1.
        Invariant: a row outside the segments.
    """
    columns = row_columns(rows)
    parts = cut(columns, segments)
    problems = _events_cut(rows, parts)
    quantity = quantities(columns, parts)
    digest = part_digests(columns, parts, quantity)
    segment = np.searchsorted(_int64(segments.edges), parts.start, side="right").astype(np.int64) - 1
    # Keys ascend by (resource, meter, attributes), so this number ascends in the order of USAGE_SCHEMA.
    key = segment * len(columns.keys) + columns.code[parts.row]
    order = np.argsort(key, kind="stable")
    distinct, first, group, samples = np.unique(key[order], return_index=True, return_inverse=True, return_counts=True)
    sums = grouped_totals(quantity[order], group, len(distinct))
    if any(abs(total) > INT64_MAX for total in sums):
        problems.append(f"the sum of a resource's quantities exceeds {INT64_MAX}")
    if problems:
        raise Misconfigured(problems)
    resource, meter, attributes = columns.key_columns(distinct % max(len(columns.keys), 1))
    values = {  # NumPy refuses to reduce nothing at all
        "segment_start": _int64(segments.edges)[distinct // max(len(columns.keys), 1)],
        "tenant_id": np.zeros(len(distinct), dtype=np.uint64),
        "resource_id": resource,
        "meter_id": meter,
        "attributes_id": attributes,
        "quantity": _int64(sums),
        "covered_seconds": np.add.reduceat((parts.end - parts.start)[order], first) if len(first) else first,
        "samples": samples.astype(np.uint64),
        "digest": np.bitwise_xor.reduceat(digest[order], first) if len(first) else first,
    }
    table = pa.table([pa.array(values[f.name], f.type) for f in USAGE_SCHEMA], schema=USAGE_SCHEMA)
    return FileUsage(table, columns.attribute_sets, columns.resources)


def _events_cut(rows: Sequence[UsageRow], parts: Parts) -> list[str]:
    more = np.unique(parts.row[1:][parts.row[1:] == parts.row[:-1]]).tolist()
    several = [rows[position] for position in more if rows[position].meter.kind == "event"]
    return [f"row {r.number}: {r.meter.key} counts events, and the row spans several windows" for r in several]
