"""Usage by window: asks the warehouse in chunks of windows until a page is full, whatever the account's size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from api.services import Services
from schemas import calendar
from schemas.claim import Claim
from schemas.period import Period
from sinks.warehouse.protocol import Group, UsageRequest

SEGMENTS_MAX: Final = 10_000
"""Windows of one question: 13 months of hours."""
CHUNK_START: Final = 1
CHUNK_GROWTH: Final = 4
KEYS: Final = ("segment_start", "tenant_id", "resource_id", "meter_id", "attributes_id")
SUMS: Final = ("quantity", "covered_seconds", "samples")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        claims: whose usage.
        edges: ascending instants, n + 1 of n windows.
        cutoff: only what was stored before it.
        groups: what to keep apart.
        meters: integer keys, or None for all.
        filters: attribute → value that usage must have.
    """

    claims: Sequence[Claim]
    edges: Sequence[int]
    cutoff: int
    groups: frozenset[Group]
    meters: Sequence[int] | None
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """Usage of one key; `key` is in the order of KEYS."""

    key: tuple[int, ...]
    quantity: int
    covered_seconds: int
    samples: int


def edges_of(period: Period, window: str, zone: str) -> list[int]:
    """Return the edges of the windows in a period, cut at its ends; raises ValueError for an unknown zone."""
    if window == "total":
        return [period.start, period.end]
    size: calendar.Size = "hour" if window == "hour" else "day" if window == "day" else "month"
    starts = [w.start for w in calendar.windows(period, size, zone)]
    return [period.start, *(s for s in starts if s > period.start), period.end]


def rows_after(use: Services, asked: Question, after: tuple[int, ...] | None) -> Iterator[Row]:
    """Yield usage in the order of KEYS, from the first row behind `after`; reads lazily, a few windows at a time."""
    first = 0
    if after is not None:
        first = max((i for i, edge in enumerate(asked.edges[:-1]) if edge <= after[0]), default=0)
    chunk = CHUNK_START
    while first < len(asked.edges) - 1:
        edges = asked.edges[first : first + chunk + 1]
        for row in _read(use, asked, edges):
            if after is None or row.key > after:
                yield row
        first, chunk = first + chunk, chunk * CHUNK_GROWTH


def _read(use: Services, asked: Question, edges: Sequence[int]) -> list[Row]:
    if not asked.claims:
        return []
    extra: frozenset[Group] = frozenset({"attributes"}) if asked.filters else frozenset()
    table = use.warehouse.usage(UsageRequest(asked.claims, edges, asked.cutoff, asked.groups | extra, asked.meters))
    if asked.filters:
        table = _filtered(use, asked, table)
    columns = [table[name].to_pylist() for name in (*KEYS, *SUMS)]
    rows = [Row(values[:5], *values[5:]) for values in zip(*columns, strict=True)]
    return sorted(rows, key=lambda row: row.key)


def _filtered(use: Services, asked: Question, table: pa.Table) -> pa.Table:
    ids = table["attributes_id"].unique().to_pylist()
    sets = use.directory.attribute_sets([i for i in ids if i])
    good = [i for i in ids if all(sets.get(i, {}).get(k) == v for k, v in asked.filters.items())]
    kept = table.filter(pa.compute.is_in(table["attributes_id"], pa.array(good, pa.uint64())))
    if "attributes" in asked.groups:
        return kept
    zero = pa.array([0] * kept.num_rows, pa.uint64())
    plain = kept.set_column(kept.schema.get_field_index("attributes_id"), "attributes_id", zero)
    summed = plain.group_by(list(KEYS)).aggregate([(name, "sum") for name in SUMS])
    return summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
