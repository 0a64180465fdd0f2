"""Reads an account's usage for rating: between any two seconds, and with the site as an attribute where prices ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from pipeline.directory import Directory
from pipeline.rate_usage import merged, merged_cells, placed, question, relabelled, split, usage_of
from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from schemas.claim import Claim
from sinks.warehouse.protocol import Group, UsageRequest, Warehouse

AttributeSets = Mapping[int, Mapping[str, str]]
Part = Callable[[UsageRequest], pa.Table]
"""Reads one part: the claims of one site, or all of them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What of usage is wanted.

    Attributes:
        claims: whose.
        edges: ascending instants, any second: n + 1 for n segments.
        cutoff: microseconds since 1970; only rows stored before it.
        meters: keys of the meters; None for all.
        resources: whether resources are kept apart.
        sites: whether the site is to be an attribute.
    """

    claims: Sequence[Claim]
    edges: Sequence[int]
    cutoff: int
    meters: frozenset[int] | None = None
    resources: bool = True
    sites: bool = False


class UsageReader:
    """Asks the warehouse; answers in the shapes that `rating.engine.rate` takes."""

    def __init__(self, warehouse: Warehouse, directory: Directory) -> None:
        """Keep the collaborators."""
        self._warehouse, self._directory = warehouse, directory

    def usage(self, reading: Reading) -> pa.Table:
        """Return usage by segment as USAGE_SCHEMA, ordered by its key columns.

        Raises:
            Poison: ``usage_too_large``: a sum of quantities does not fit into 64 bits.
        """
        asked = question(reading.edges)

        def part(request: UsageRequest) -> pa.Table:
            found = self._warehouse.usage(replace(request, edges=asked.edges))
            if not asked.mixed:
                return found
            parts = [placed(found, reading.edges, asked.mixed)]
            for stretch in asked.mixed:
                cells = self._warehouse.cells(replace(request, edges=(stretch.start, stretch.end)))
                parts.append(usage_of(split(cells, reading.edges), reading.edges))
            return merged(parts)

        return self._read(reading, part, merged, USAGE_SCHEMA)

    def cells(self, reading: Reading) -> pa.Table:
        """Return single observations as CELL_SCHEMA, cut at the edges, in order of time; raises Poison likewise."""
        asked = question(reading.edges)

        def part(request: UsageRequest) -> pa.Table:
            found = self._warehouse.cells(replace(request, edges=(asked.edges[0], asked.edges[-1])))
            return split(found, reading.edges) if asked.mixed else found

        return self._read(reading, part, merged_cells, CELL_SCHEMA)

    def _read(
        self, reading: Reading, part: Part, join: Callable[[Sequence[pa.Table]], pa.Table], schema: pa.Schema
    ) -> pa.Table:
        group: frozenset[Group] = frozenset({"resource", "attributes"} if reading.resources else {"attributes"})
        meters = None if reading.meters is None else sorted(reading.meters)
        request = UsageRequest(reading.claims, reading.edges, reading.cutoff, group, meters)
        if meters == [] or reading.edges[0] == reading.edges[-1]:
            return schema.empty_table()
        if not reading.sites:
            return part(request)
        parts = []
        for site, claims in self._directory.by_site(reading.claims).items():
            found = part(replace(request, claims=claims))
            sets = self._directory.with_site(found.column("attributes_id").unique().to_pylist(), site)
            parts.append(relabelled(found, sets))
        return join(parts) if parts else schema.empty_table()
