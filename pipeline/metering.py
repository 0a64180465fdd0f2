"""The metering core: messages in, a block for the warehouse and dead letters out. Pure and columnar.

Batches of one call are joined and checked as whole columns; what Python touches one by one are messages and distinct
names, never samples. A message that cannot be read, and rows that break a rule, become dead letters; the rest goes on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.message import DeadLetter, Message
from pipeline.validation import Columns, Rule, check, columns_of, describe
from schemas import ids
from schemas.batch import BatchMeta, decode, encode
from schemas.errors import BadBatch
from schemas.identity import cell_rank, event_key, event_rank, mix_columns
from schemas.meters import Registry
from schemas.period import FOREVER, SECOND, Period
from sinks.warehouse.protocol import SAMPLE_DTYPES, Column, Intake, MeteredBlock, Names

PORTION_ROWS_MAX: Final = 400_000
"""Rows metered and written at once: a portion then costs some 100 MB at most."""
NAMES_REMEMBERED_MAX: Final = 2_000_000
"""Names a process remembers as written; beyond it, it starts anew and writes them again, which is harmless."""


@dataclass(frozen=True, slots=True)
class Metered:
    """What one call yields.

    Attributes:
        block: for the warehouse.
        dead: for the dead letters; to be durable before the block is acknowledged.
        touched: tenant_id → the cells its samples lie in, for the rating's trigger.
    """

    block: MeteredBlock
    dead: Sequence[DeadLetter]
    touched: Mapping[int, Period]


@dataclass
class Seen:
    """Integer keys whose names are known to be durable in the warehouse; safe for use from several threads."""

    keys: set[object] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def remember(self, names: Names) -> None:
        """Take note of names that were written."""
        with self._lock:
            if len(self.keys) > NAMES_REMEMBERED_MAX:
                self.keys.clear()
            self.keys.update(names.sites, names.tenants, names.resources, names.attribute_sets, names.resource_tenants)

    def unwritten(self, names: Names) -> Names:
        """Return the names that are still to be written."""
        with self._lock:
            keys = self.keys
            return Names(
                sites={k: v for k, v in names.sites.items() if k not in keys},
                tenants={k: v for k, v in names.tenants.items() if k not in keys},
                resources={k: v for k, v in names.resources.items() if k not in keys},
                resource_tenants=frozenset(p for p in names.resource_tenants if p not in keys),
                attribute_sets={k: v for k, v in names.attribute_sets.items() if k not in keys},
            )


@dataclass(frozen=True, slots=True)
class Read:
    """A readable message."""

    message: Message
    meta: BatchMeta
    rows: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Portion:
    """Decoded messages of bounded size, in the order of the log.

    Attributes:
        readable: the good ones.
        unreadable: the others, each with why.
    """

    readable: Sequence[Read]
    unreadable: Sequence[tuple[Message, BadBatch]]


def portions(messages: Iterable[Message], rows_max: int = PORTION_ROWS_MAX) -> Iterator[Portion]:
    """Decode messages and yield them in portions of about `rows_max` rows, so that memory stays bounded."""
    readable: list[Read] = []
    unreadable: list[tuple[Message, BadBatch]] = []
    rows = 0
    for message in messages:
        try:
            batch, meta = decode(message.payload)
        except BadBatch as error:
            unreadable.append((message, error))
            continue
        if readable and rows + batch.num_rows > rows_max:
            yield Portion(readable, unreadable)
            readable, unreadable, rows = [], [], 0
        readable.append(Read(message, meta, batch))
        rows += batch.num_rows
    if readable or unreadable:
        yield Portion(readable, unreadable)


def meter(portion: Portion, registry: Registry, now: int, seen: Seen) -> Metered:
    """Meter a portion of messages.

    Args:
        portion: decoded messages.
        registry: meters known.
        now: microseconds since 1970, for the check against the future and the time of death.
        seen: names not to be written again; not changed here.
    """
    readable = portion.readable
    dead = [_unreadable(message, error, now) for message, error in portion.unreadable]
    intake = [Intake("", d.origin, 0, "", d.origin, samples=1, stored=0, dead=1) for d in dead]
    if not any(r.rows.num_rows for r in readable):
        intake += [_intake(r, 0) for r in readable]
        return Metered(MeteredBlock(_empty(), Names(), intake), dead, {})

    table = pa.Table.from_batches([r.rows.replace_schema_metadata(None) for r in readable])
    columns = columns_of(table)
    verdict, rules = check(columns, registry, now // SECOND)
    bounds = np.concatenate([[0], np.cumsum([r.rows.num_rows for r in readable])])
    if (verdict >= 0).any():
        dead += _refused(readable, bounds, verdict, rules, now)
    refused = np.diff(np.concatenate([[0], np.cumsum(verdict >= 0)])[bounds])
    intake += [_intake(r, int(n)) for r, n in zip(readable, refused, strict=True)]

    good = verdict < 0
    site_of_row = np.repeat([r.meta.site for r in readable], np.diff(bounds)) if _several_sites(readable) else None
    samples, names = _samples(columns, table, good, site_of_row, readable[0].meta.site, registry)
    return Metered(MeteredBlock(samples, seen.unwritten(names), intake), dead, _touched(samples))


def _unreadable(message: Message, error: BadBatch, now: int) -> DeadLetter:
    key = f"message {message.origin}"
    return DeadLetter(key, message.origin, error.reason, error.detail, 1, message.payload, now)


def _intake(read: Read, dead: int) -> Intake:
    meta, rows = read.meta, read.rows.num_rows
    return Intake(
        meta.site, meta.collector, meta.sequence, meta.replay_of, read.message.origin, rows, rows - dead, dead
    )


def _several_sites(readable: Sequence[Read]) -> bool:
    return len({r.meta.site for r in readable}) > 1


def _refused(
    readable: Sequence[Read],
    bounds: npt.NDArray[np.int64],
    verdict: npt.NDArray[np.int16],
    rules: Sequence[Rule],
    now: int,
) -> list[DeadLetter]:
    letters = []
    for number, read in enumerate(readable):
        own = verdict[bounds[number] : bounds[number + 1]]
        if not (own >= 0).any():
            continue
        reason, detail = describe(rules, own, int(bounds[number]))
        rows = read.rows.filter(pa.array(own >= 0))
        meta = read.meta
        key = f"batch {meta.site}/{meta.collector}/{meta.sequence}/{meta.replay_of}"
        payload = encode(rows, meta)
        letters.append(DeadLetter(key, read.message.origin, reason, detail, rows.num_rows, payload, now))
    return letters


def _samples(
    c: Columns,
    table: pa.Table,
    good: npt.NDArray[np.bool_],
    site_of_row: npt.NDArray[np.str_] | None,
    site: str,
    registry: Registry,
) -> tuple[dict[str, Column], Names]:
    """Return the columns of the good rows with integer keys, and every name behind them."""
    everything = bool(good.all())

    def pick(column: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return column if everything else column[good]

    meters = np.array([registry[n].id if n in registry else 0 for n in c.meter_names], np.uint32)
    sets = np.array([ids.attributes_id(t) for t in c.attribute_names], np.uint64)
    sites, tenants, resources, names = _keys(c, good, site_of_row, site)
    cell_start = pick(c.cell_start)
    covered, revision = pick(c.covered), pick(c.revision)
    quantity, cell_seconds = pick(c.quantity), pick(c.cell_seconds)
    attributes = sets[pick(c.attributes)]
    content = mix_columns(quantity, attributes, tenants, cell_seconds)
    rank = cell_rank(covered.astype(np.uint64), revision.astype(np.uint64), content)
    high, low = np.zeros(len(rank), np.uint64), np.zeros(len(rank), np.uint64)
    events = np.flatnonzero(c.has_event[good])
    if len(events):
        rows = table.select(["event_source", "event_id"]).take(pa.array(np.flatnonzero(good)[events]))
        own_sites = [site] * len(events) if site_of_row is None else site_of_row[good][events].tolist()
        named = zip(own_sites, rows.column(0).to_pylist(), rows.column(1).to_pylist(), strict=True)
        keys = np.array([event_key(*parts) for parts in named], np.uint64)
        high[events], low[events] = keys[:, 0], keys[:, 1]
        # An event's identity names neither resource nor meter, so contradicting copies may differ in them, too.
        content = mix_columns(content[events], resources[events], meters[pick(c.meter)][events], covered[events])
        rank[events] = event_rank(revision[events].astype(np.uint64), cell_start[events].astype(np.uint64), content)
    text_of = {int(sets[i]): c.attribute_names[i] for i in _used(pick(c.attributes))}
    names = Names(names.sites, names.tenants, names.resources, names.resource_tenants, text_of)
    return {
        "site_id": sites,
        "tenant_id": tenants,
        "resource_id": resources,
        "meter_id": meters[pick(c.meter)],
        "attributes_id": attributes,
        "cell_start": cell_start.astype(np.uint32),
        "cell_seconds": cell_seconds.astype(np.uint32),
        "covered_seconds": covered.astype(np.uint32),
        "quantity": quantity,
        "revision": revision.astype(np.uint16),
        "rank": rank,
        "event_high": high,
        "event_low": low,
    }, names


def _keys(
    c: Columns, good: npt.NDArray[np.bool_], site_of_row: npt.NDArray[np.str_] | None, site: str
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64], Names]:
    """Return site, tenant and resource keys of the good rows; resources and tenants are unique within their site."""
    rows = int(good.sum())
    parts = [(site, np.arange(rows))] if site_of_row is None else _by_site(site_of_row[good])
    tenant, resource = c.tenant[good], c.resource[good]
    keys = tuple(np.empty(rows, np.uint64) for _ in range(3))
    sites: dict[int, str] = {}
    tenants: dict[int, tuple[int, str]] = {}
    resources: dict[int, tuple[int, str, str]] = {}
    pairs: set[tuple[int, int]] = set()
    for name, where in parts:
        key = ids.site_id(name)
        sites[key] = name
        own_tenant, own_resource = tenant[where], resource[where]
        tenant_keys = np.zeros(len(c.tenant_names), np.uint64)
        for i in _used(own_tenant):
            tenant_keys[i] = found = ids.tenant_id(name, c.tenant_names[i])
            tenants[found] = (key, c.tenant_names[i])
        resource_keys = np.zeros(len(c.resource_names), np.uint64)
        for i in _used(own_resource):
            resource_keys[i] = found = ids.resource_id(name, c.resource_names[i])
            kind, _, native = c.resource_names[i].partition("/")
            resources[found] = (key, kind, native)
        keys[0][where], keys[1][where], keys[2][where] = key, tenant_keys[own_tenant], resource_keys[own_resource]
        together = np.unique(own_tenant * len(c.resource_names) + own_resource)
        pair_of = np.divmod(together, len(c.resource_names))
        pairs.update(zip(tenant_keys[pair_of[0]].tolist(), resource_keys[pair_of[1]].tolist(), strict=True))
    names = Names(sites, tenants, resources, frozenset(pairs), {})
    return keys[0], keys[1], keys[2], names


def _by_site(site_of_row: npt.NDArray[np.str_]) -> list[tuple[str, npt.NDArray[np.int64]]]:
    return [(str(name), np.flatnonzero(site_of_row == name)) for name in np.unique(site_of_row)]


def _touched(samples: Mapping[str, Column]) -> dict[int, Period]:
    tenants = np.sort(np.unique(samples["tenant_id"]))
    which = np.searchsorted(tenants, samples["tenant_id"])
    cells = samples["cell_start"].astype(np.int64)
    first, last = np.full(len(tenants), FOREVER), np.zeros(len(tenants), np.int64)
    np.minimum.at(first, which, cells)
    np.maximum.at(last, which, cells)
    return {int(t): Period(int(a), int(b) + 1) for t, a, b in zip(tenants, first, last, strict=True)}


def _used(indices: npt.NDArray[np.int64]) -> list[int]:
    return np.flatnonzero(np.bincount(indices)).tolist()


def _empty() -> dict[str, Column]:
    return {name: np.empty(0, kind) for name, kind in SAMPLE_DTYPES.items()}
