"""The warehouse over any engine: everything but the transport."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from time import monotonic
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import Invariant, Transient
from sinks.warehouse import migrate as migrating
from sinks.warehouse import rating_sql, usage_sql
from sinks.warehouse.combine import APPROXIMATE, CELL_KEYS, KEYS, SUMS, combined, combined_cells
from sinks.warehouse.engine import Values
from sinks.warehouse.names_store import integers
from sinks.warehouse.protocol import (
    CELL_SCHEMA,
    SAMPLE_DTYPES,
    USAGE_SCHEMA,
    Column,
    Counters,
    Intake,
    IntakeTotals,
    MeteredBlock,
    UsageRequest,
)
from sinks.warehouse.rating_store import ATTEMPTS_MAX
from sinks.warehouse.simulate_store import SimulationStore

DAY_SECONDS: Final = 86_400
EVENT_COLUMNS: Final = ("event_high", "event_low")
CELL_COLUMNS: Final = tuple(name for name in SAMPLE_DTYPES if name not in EVENT_COLUMNS)

TOUCHED_SCHEMA: Final = pa.schema({"tenant_id": pa.uint64(), "day": pa.int64()})
SAMPLES_SCHEMA: Final = pa.schema(
    {
        "cell_start": pa.int64(),
        "cell_seconds": pa.int64(),
        "covered_seconds": pa.int64(),
        "quantity": pa.int64(),
        "meter_id": pa.uint32(),
        "attributes_id": pa.uint64(),
        "tenant_id": pa.uint64(),
        "revision": pa.int64(),
        "versions": pa.int64(),
        "stored_at": pa.int64(),
        "event_high": pa.uint64(),  # both 0 in a cell sample
        "event_low": pa.uint64(),
    }
)
"""What `samples` returns: with resource_id all that the digest is made of."""


class Deadline:
    """When the rows of an attempt must be in place; later a cut-off may have passed their stamp without them."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self._seconds = seconds
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; raises Transient when there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise Transient(f"a write took longer than {self._seconds} s: its rows need a new stamp")
        return left


class Store(SimulationStore):
    """The Warehouse protocol over an engine."""

    def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Apply the missing migrations in order; return their names. Raises Invariant on a changed checksum.

        A dry run changes nothing, and creates no database either.
        """
        engine = self.engine
        exists = engine.exists("schema_migrations")
        applied: Mapping[str, str] = {}
        if exists:
            rows = engine.select("SELECT name, any(checksum) AS checksum FROM schema_migrations GROUP BY name")
            applied = dict(zip(rows["name"].to_pylist(), rows["checksum"].to_pylist(), strict=True))
        missing = migrating.pending(migrating.migrations(), applied)
        if dry_run:
            return [m.name for m in missing]
        if not exists:
            engine.create_database()
            self._run(migrating.BOOTSTRAP)
        for migration in missing:
            self._run(migration.template)
            row: dict[str, Values] = {
                "version": integers([migration.version], "u4"),
                "name": [migration.name],
                "checksum": [migration.checksum],
            }
            self.put("schema_migrations", row, self.clock())
        return [m.name for m in missing]

    def close(self) -> None:
        """Release connections, or the folder."""
        self.engine.close()

    def ping(self) -> str:
        """Return the engine's version; asks it anew."""
        version: str = self.engine.select("SELECT version() AS version")["version"][0].as_py()
        return version

    def write(self, block: MeteredBlock, stored_at: int) -> None:
        """Make a block durable: names, then samples, then intake. May be repeated with a new stored_at.

        Raises:
            Transient: samples would be, or were, in place later than the insert time-out after the call.
        """
        deadline = Deadline(self.engine.insert_timeout_seconds)
        self.announce(block.names, stored_at)
        samples = _checked(block.samples)
        if len(samples["rank"]):
            self._put_samples(samples, stored_at, deadline)
        self._put_intake(block.intake, stored_at)

    def usage(self, request: UsageRequest) -> pa.Table:
        """Return usage as USAGE_SCHEMA, each sample counted once in its winning version as of the cut-off.

        Raises:
            ValueError: edges are not two or more ascending instants.
            Invariant: a sum does not fit into 64 bits.
        """
        window = usage_sql.window_of(request)
        if usage_sql.relevant(request.claims, window) == [] or request.meters == []:
            return USAGE_SCHEMA.empty_table()
        in_global = self.engine.capability.in_global
        names = [*KEYS, *SUMS, "digest", APPROXIMATE]
        parts = [
            self.engine.select(usage_sql.usage_sql(source, request, in_global, chunk)).rename_columns(names)
            for source, chunk in self._chunks(request)
        ]
        return combined(parts)

    def cells(self, request: UsageRequest) -> pa.Table:
        """Return the deduplicated observations behind usage as CELL_SCHEMA, as of the cut-off.

        Raises:
            ValueError: edges are not two or more ascending instants.
            Invariant: a request that keeps tenants apart.
            Poison: ``usage_too_large``: a sum over resources does not fit into 64 bits.
        """
        window = usage_sql.window_of(request)
        if "tenant" in request.group:
            raise Invariant("single observations carry no tenant: ask for each tenant's claims by itself")
        if usage_sql.relevant(request.claims, window) == [] or request.meters == []:
            return CELL_SCHEMA.empty_table()
        in_global = self.engine.capability.in_global
        names = [*CELL_KEYS, *SUMS, "digest", APPROXIMATE]
        parts: dict[usage_sql.Source, list[pa.Table]] = {source: [] for source in usage_sql.SOURCES}
        for source, chunk in self._chunks(request):
            found = self.engine.select(usage_sql.cells_sql(source, request, in_global, chunk))
            parts[source].append(found.rename_columns(names))
        return combined_cells(parts["samples"], parts["events"])

    def samples(self, request: UsageRequest, resource_id: int, limit: int) -> pa.Table:
        """Return the deduplicated samples of one resource behind usage, by meter and cell start (SAMPLES_SCHEMA)."""
        window = usage_sql.window_of(request)
        if usage_sql.relevant(request.claims, window) == [] or request.meters == []:
            return SAMPLES_SCHEMA.empty_table()
        in_global = self.engine.capability.in_global
        parts = [
            self.engine.select(usage_sql.samples_sql(source, request, resource_id, limit, in_global))
            .select(SAMPLES_SCHEMA.names)
            .cast(SAMPLES_SCHEMA)
            for source in usage_sql.SOURCES
        ]
        order = [(name, "ascending") for name in ("meter_id", "cell_start", "event_high", "event_low")]
        return pa.concat_tables(parts).sort_by(order).slice(0, limit)

    def touched(self, since: int, before: int) -> pa.Table:
        """Return which (tenant_id, day: start of the UTC day in seconds) got rows with since <= stored_at < before.

        Also those of all other copies of the events among these rows: a new copy may have moved the event to another
        day or tenant, and who lost it must be looked at, too.
        """
        stored = f"stored_at >= {since} AND stored_at < {before}"
        wanted = [f"SELECT DISTINCT tenant_id, day FROM touches WHERE {stored}"]
        if since > 0:  # from the beginning, each copy has its own touch
            wanted.append(usage_sql.copies_sql(stored, before, self.engine.capability.in_global))
        found = [self.engine.select(sql).select(TOUCHED_SCHEMA.names).cast(TOUCHED_SCHEMA) for sql in wanted]
        distinct = pa.concat_tables(found).group_by(TOUCHED_SCHEMA.names).aggregate([])
        return distinct.sort_by([(name, "ascending") for name in TOUCHED_SCHEMA.names])

    def counters(self) -> Counters:
        """Return the reconciliation counters; reads the identity of everything stored."""
        unique = sum(
            self._number(usage_sql.distinct_sql(source, chunk))
            for source in usage_sql.SOURCES
            for chunk in usage_sql.chunks_of(self._number(f"SELECT count() AS rows FROM {source}"))
        )
        return Counters(unique=unique, **asdict(self.intake_totals()))

    def intake_totals(self) -> IntakeTotals:
        """Return what of the counters needs no look at the samples; of redeliveries the first counts."""
        key = "site, collector, sequence, replay_of"
        first = ", ".join(f"argMin({name}, stored_at) AS first_{name}" for name in ("samples", "stored", "dead"))
        row = self.engine.select(
            "SELECT sum(if(replay_of = '', first_samples, 0)) AS accepted, sum(first_stored) AS stored,"
            " sum(first_dead) AS dead, sum(if(replay_of = '', 0, first_samples)) AS replayed, count() AS messages"
            f" FROM (SELECT {key}, {first} FROM intake GROUP BY {key})"
        ).to_pylist()[0]
        return IntakeTotals(**{name: int(value) for name, value in row.items()})

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement (an analyst's; never built from a tenant's input).

        Raises:
            Poison: the statement is refused; the text says why.
        """
        return self.engine.analyse(sql)

    def prune(self, before: int) -> None:
        """Drop what no read as of now or later shows: superseded live lines and attribution older than an instant.

        Settled lines stay for ever. Deletion happens in the background.

        Args:
            before: microseconds since 1970; the settle job passes an instant 90 days ago.
        """
        capability = self.engine.capability
        suffix = "_local" if capability.cluster else ""
        on_cluster = f" ON CLUSTER '{capability.cluster}'" if capability.cluster else ""
        found = self.engine.select(rating_sql.superseded_sql(before, capability.in_global))
        rows = list(zip(*found.to_pydict().values(), strict=True))
        # By value: 18.16 cannot run a subquery in a deletion, and replicas must not each decide for themselves.
        for part in (rows[i : i + ATTEMPTS_MAX] for i in range(0, len(rows), ATTEMPTS_MAX)):
            listed = ", ".join(str(tuple(map(int, row))) for row in part)
            where = f"({rating_sql.ATTEMPT}) IN ({listed})"
            self.engine.execute(f"ALTER TABLE lines{suffix}{on_cluster} DELETE WHERE {where}")
        newest = self._number("SELECT max(generation) AS newest FROM attribution_generations")
        old = f"generation < {min(newest, before)}"
        self.engine.execute(f"ALTER TABLE attribution{on_cluster} DELETE WHERE {old}")

    def _chunks(self, request: UsageRequest) -> Iterator[tuple[usage_sql.Source, usage_sql.Chunk | None]]:
        for source in usage_sql.SOURCES:
            rows = self._number(usage_sql.rows_sql(source, request))
            yield from ((source, chunk) for chunk in usage_sql.chunks_of(rows))

    def _number(self, sql: str) -> int:
        return int(self.engine.select(sql).column(0)[0].as_py())

    def _run(self, template: str) -> None:
        for statement in migrating.statements(template, self.engine.capability, self.engine.database):
            self.engine.execute(statement)

    def _put_samples(self, samples: Mapping[str, Column], stored_at: int, deadline: "Deadline") -> None:
        days = samples["cell_start"].astype(np.uint32) // np.uint32(DAY_SECONDS) * np.uint32(DAY_SECONDS)
        touched = pa.table({"tenant_id": samples["tenant_id"], "day": days})
        touched = touched.group_by(touched.column_names).aggregate([])
        # First, so that no row is ever there without its touch. A touch without rows costs one needless look.
        touches = {name: touched[name].to_numpy() for name in touched.column_names}
        self.put("touches", touches, stored_at, deadline.left())
        is_event = (samples["event_high"] != 0) | (samples["event_low"] != 0)
        events = int(np.count_nonzero(is_event))
        cells = {name: samples[name] for name in CELL_COLUMNS}
        if events:
            cells = {name: values[~is_event] for name, values in cells.items()}
        self.put("samples", cells, stored_at, deadline.left())
        if events:
            rows = {name: samples[name][is_event] for name in SAMPLE_DTYPES}
            self.put("events", rows, stored_at, deadline.left())
        deadline.left()  # an engine may end late: then the next attempt touches the days anew

    def _put_intake(self, intake: Sequence[Intake], stored_at: int) -> None:
        texts = ("site", "collector", "replay_of", "origin")
        counts = ("sequence", "samples", "stored", "dead")
        columns: dict[str, Values] = {name: [str(getattr(i, name)) for i in intake] for name in texts}
        columns |= {name: integers(int(getattr(i, name)) for i in intake) for name in counts}
        self.put("intake", columns, stored_at)


def _checked(samples: Mapping[str, Column]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the columns of a block in their types; raises Invariant when one is missing, longer or of another type."""
    if set(samples) != set(SAMPLE_DTYPES):
        raise Invariant(f"a block has columns {sorted(samples)}, expected {sorted(SAMPLE_DTYPES)}")
    rows = len(samples["rank"])
    for name, dtype in SAMPLE_DTYPES.items():
        if samples[name].dtype != np.dtype(dtype) or len(samples[name]) != rows:
            raise Invariant(f"column {name} is {samples[name].dtype}[{len(samples[name])}], expected {dtype}[{rows}]")
    return dict(samples)
