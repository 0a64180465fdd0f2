"""Late usage on the running cycle: what arrives after its cycle was settled is charged in the cycle of its arrival.

For the meters of charges with `late: running` a settled cycle is read as of its first settlement, for ever. What is
known of it at the end of a later cycle and was not known at that cycle's start, nor when it was settled, is that later
cycle's: usage as of then less usage as of before, placed at the later cycle's beginning. Each row so counts in exactly
one cycle, whenever and however often the cycles are rated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from billing.protocol import Books
from pipeline.directory import Directory
from pipeline.rate_job import Job
from pipeline.rate_plan import overlap
from pipeline.rate_usage import merged, merged_cells
from pipeline.touched import joined
from pipeline.usage_reader import Reading, UsageReader
from rating.lists import PriceList
from rating.tables import CELL_SCHEMA, USAGE_SCHEMA
from schemas.ids import key32
from schemas.period import SECOND, Period
from sinks.warehouse.protocol import Warehouse

Read = Callable[[Reading], pa.Table]


def running_meters(price_list: PriceList) -> frozenset[int]:
    """Return the keys of the meters that any charge of a list settles on arrival."""
    charges = (c for c in price_list.definitions if c.settings.late == "running")
    return frozenset(key32(meter) for charge in charges for meter in charge.meters)


def late_of(job: Job, warehouse: Warehouse, books: Books, directory: Directory, reader: UsageReader) -> "Late | None":
    """Return how to read a job's usage, or None where no charge settles late usage on arrival."""
    meters = running_meters(job.price_list)
    if not meters:
        return None
    # A settlement that the job could not know yet takes no part: so a rating is computed again as it was.
    known = (s for s in books.settlements(job.account.id) if s.number == 0 and s.cutoff <= job.cutoff)
    first = {Period(s.cycle_start, s.cycle_end): s.cutoff for s in known}
    return Late(job, meters, first, warehouse, books, directory, reader)


@dataclass(frozen=True, slots=True)
class Late:
    """Usage of an account whose meters are partly settled on arrival.

    Attributes:
        job: whose, and as of when.
        meters: keys of these meters.
        first: settled cycle → cut-off of its first settlement, microseconds since 1970.
        warehouse, books, directory, reader: the stores.
    """

    job: Job
    meters: frozenset[int]
    first: Mapping[Period, int]
    warehouse: Warehouse
    books: Books
    directory: Directory
    reader: UsageReader

    def usage(self, reading: Reading) -> pa.Table:
        """Return usage as `UsageReader.usage` does, late usage where it arrived."""
        parts = [self._others(self.reader.usage(reading))]
        for part, cycle in self._parts(reading):
            parts.append(self.reader.usage(part))
            if part.edges[0] == cycle.start:
                parts += [_moved(found, cycle.start) for found in self._late(part, cycle, self.reader.usage)]
        return _nonzero(merged(parts))

    def cells(self, reading: Reading) -> pa.Table:
        """Return observations as `UsageReader.cells` does; a late one keeps its length, a corrected one is two."""
        parts = [self._others(self.reader.cells(reading))]
        for part, cycle in self._parts(reading):
            parts.append(self.reader.cells(part))
            if part.edges[0] == cycle.start:
                parts += [_replaced(found, cycle.start) for found in self._late(part, cycle, self.reader.cells)]
        return merged_cells(parts)

    def _others(self, table: pa.Table) -> pa.Table:
        own = np.isin(table.column("meter_id").to_numpy(), np.array(sorted(self.meters), np.uint32))
        return table.filter(pa.array(~own))

    def _parts(self, reading: Reading) -> Iterator[tuple[Reading, Period]]:
        """Yield the reading of these meters by cycle, each as of its own cut-off."""
        meters = self.meters if reading.meters is None else self.meters & reading.meters
        span = Period(reading.edges[0], reading.edges[-1])
        for cycle in self.job.cycles_over(span) if meters else ():
            start, end = max(cycle.start, span.start), min(cycle.end, span.end)
            edges = sorted({start, *(edge for edge in reading.edges if start < edge < end), end})
            yield self._known(replace(reading, edges=edges, meters=meters), self._as_of(cycle)), cycle

    def _as_of(self, cycle: Period) -> int:
        return min(self.first.get(cycle, self.job.cutoff), self.job.cutoff)

    def _late(self, reading: Reading, cycle: Period, read: Read) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield what was known before and at the end of a cycle of the days of settled cycles with late usage."""
        until = min(cycle.end * SECOND, self._as_of(cycle))
        by_start: dict[int, list[Period]] = {}
        for settled, as_of in self.first.items():
            since = max(as_of, cycle.start * SECOND)
            if settled.end <= cycle.start and since < until:
                by_start.setdefault(since, []).append(settled)
        for since, cycles in sorted(by_start.items()):
            days = self._days(since, until)
            for settled in sorted(cycles):
                for edges in (overlap(settled, day) for day in days if day.overlaps(settled)):
                    asked = replace(reading, edges=(edges.start, edges.end))
                    yield read(self._known(asked, since)), read(self._known(asked, until))

    def _known(self, reading: Reading, as_of: int) -> Reading:
        """Return a reading as of an instant, in samples and in whose they are."""
        return replace(reading, claims=self.directory.claims(self.job.account.id, as_of), cutoff=as_of)

    def _days(self, since: int, until: int) -> Sequence[Period]:
        """Return the days of which rows came between two instants; all days when a mapping rule did."""
        if [r.id for r in self.books.rules(since)] != [r.id for r in self.books.rules(until)]:
            return [Period(0, until // SECOND)]
        own = {claim.tenant_id for claim in self.directory.claims(self.job.account.id, until)}
        shared, table = self.warehouse.cotenants(), self.warehouse.touched(since, until)
        pairs = zip(table.column("tenant_id").to_pylist(), table.column("day").to_pylist(), strict=True)
        return joined({day for tenant, day in pairs if own & {tenant, *shared.get(tenant, ())}})


def _moved(found: tuple[pa.Table, pa.Table], start: int) -> pa.Table:
    """Return usage known later less usage known before, in a segment."""
    before, after = found
    before = _times(before, ("quantity", "covered_seconds"), -1)
    before = _set(before, "samples", 0)
    return _set(pa.concat_tables([before, after]).cast(USAGE_SCHEMA), "segment_start", start)


def _replaced(found: tuple[pa.Table, pa.Table], start: int) -> pa.Table:
    """Return the observations that came, and those that went with their quantities negated, at an instant."""
    before, after = (table.to_pylist() for table in found)
    old, new = {tuple(row.values()) for row in before}, {tuple(row.values()) for row in after}
    gone = pa.Table.from_pylist([row for row in before if tuple(row.values()) not in new], schema=CELL_SCHEMA)
    came = pa.Table.from_pylist([row for row in after if tuple(row.values()) not in old], schema=CELL_SCHEMA)
    gone = _set(_times(gone, ("quantity",), -1), "samples", 0)
    return _set(pa.concat_tables([gone, came]), "cell_start", start)


def _times(table: pa.Table, names: Sequence[str], factor: int) -> pa.Table:
    for name in names:
        place = table.schema.get_field_index(name)
        values = table.column(name).to_numpy() * factor
        table = table.set_column(place, table.schema.field(place), pa.array(values, pa.int64()))
    return table


def _set(table: pa.Table, name: str, value: int) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array([value] * table.num_rows, field.type))


def _nonzero(table: pa.Table) -> pa.Table:
    """Return usage without rows that nothing is left of: known before as later, or taken back entirely."""
    quantity, digest = table.column("quantity").to_numpy(), table.column("digest").to_numpy()
    return table.filter(pa.array((quantity != 0) | (digest != 0)))
