"""What the stream, the jobs and the API ask of the warehouse; `native` and `embedded` are the adapters.

Reads are bitemporal: `cutoff` counts rows with `stored_at` < cutoff (microseconds since 1970). The writer stamps
`stored_at` anew at every attempt, which ends within the insert time-out, and a job's cut-off lies further in the past.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating.tables import CELL_SCHEMA as CELL_SCHEMA
from rating.tables import LINE_SCHEMA as LINE_SCHEMA
from rating.tables import USAGE_SCHEMA as USAGE_SCHEMA
from schemas.claim import Claim
from schemas.period import Period
from sinks.warehouse.simulate import RatedRequest, RatedSum

Column = npt.NDArray[np.generic]
Group = Literal["resource", "attributes", "tenant"]
NOW: Final = 2**63 - 1
"""A cut-off that excludes nothing."""

SAMPLE_DTYPES: Final[Mapping[str, str]] = {
    "site_id": "u8",
    "tenant_id": "u8",
    "resource_id": "u8",
    "meter_id": "u4",
    "attributes_id": "u8",
    "cell_start": "u4",
    "cell_seconds": "u4",
    "covered_seconds": "u4",
    "quantity": "i8",
    "revision": "u2",
    "rank": "u8",
    "event_high": "u8",
    "event_low": "u8",
}
"""Columns of a metered block, NumPy type of each; both event columns are 0 in a cell sample."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names behind integer keys; written before the facts that use them. Each mapping is key → text columns.

    Attributes:
        sites: site_id → (site,)
        tenants: tenant_id → (site_id, tenant)
        resources: resource_id → (site_id, kind, native uuid)
        resource_tenants: pairs (tenant_id, resource_id) seen together
        attribute_sets: attributes_id → (canonical JSON,)
    """

    sites: Mapping[int, str] = field(default_factory=dict)
    tenants: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    resources: Mapping[int, tuple[int, str, str]] = field(default_factory=dict)
    resource_tenants: frozenset[tuple[int, int]] = frozenset()
    attribute_sets: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of one message; unique by (site, collector, sequence, replay_of), so a redelivery counts once.

    Attributes:
        samples: rows in the message; = stored + dead. An unreadable message counts as one dead row, site "".
        origin: topic/partition/offset or spool position, for people.
    """

    site: str
    collector: str
    sequence: int
    replay_of: str
    origin: str
    samples: int
    stored: int
    dead: int


@dataclass(frozen=True, slots=True)
class MeteredBlock:
    """What one call of the metering core yields for storage.

    Attributes:
        samples: columns as in SAMPLE_DTYPES, equal length.
        names: names first seen by this process.
        intake: one row a message.
    """

    samples: Mapping[str, Column]
    names: Names
    intake: Sequence[Intake]


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """Asks for deduplicated usage.

    Attributes:
        claims: whose samples; None for all (analyst, reconciliation).
        edges: ascending instants, seconds; n + 1 edges make n half-open segments; a cell is in that of its start.
        cutoff: only rows stored before it.
        group: what to keep apart beside segment and meter.
        meters: keys of the meters wanted; None for all.
    """

    claims: Sequence[Claim] | None
    edges: Sequence[int]
    cutoff: int = NOW
    group: frozenset[Group] = frozenset({"resource", "attributes"})
    meters: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Rating:
    """One rating of one account's window. Of several a settled one is valid, else the highest revision.

    Attributes:
        revision: microseconds; the cut-off at which usage was read.
        settled: posted to the ledger.
        digest: xor of the lines' digests.
    """

    account_id: int
    window: Period
    revision: int
    price_list: str
    price_list_version: int
    currency: str
    lines: int
    unpriced: int
    amount_micros: int
    digest: int
    settled: bool


@dataclass(frozen=True, slots=True)
class PriceName:
    """Dimension row of a price, for the analysts' views."""

    price_id: int
    price_list: str
    version: int
    price: str
    product: str
    meter: str
    unit: str
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class IntakeTotals:
    """What became of all messages, from the intake table alone.

    Attributes:
        accepted: rows in distinct original messages (replays of dead letters not counted).
        stored: rows of distinct messages, replays included, that were stored.
        dead: rows of distinct messages, replays included, that went to the dead letters.
        replayed: rows in replays of dead letters.
        messages: distinct messages.
    """

    accepted: int
    stored: int
    dead: int
    replayed: int
    messages: int


@dataclass(frozen=True, slots=True)
class Counters(IntakeTotals):
    """Reconciliation counters over everything stored.

    Attributes:
        unique: distinct samples by identity.
    """

    unique: int


class Warehouse(Protocol):
    """The facts. A server that is away or a time-out raises Transient; every write may be repeated."""

    def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Apply the missing migrations in order; return their names. Raises Invariant on a changed checksum."""

    def close(self) -> None:
        """Release connections, or the folder."""

    def ping(self) -> str:
        """Return the engine's version."""

    def announce(self, names: Names, stored_at: int) -> None:
        """Make names durable, before the stamp of the facts that use them is taken; no cut-off asks when they came."""

    def write(self, block: MeteredBlock, stored_at: int) -> None:
        """Make a block durable: names that were not announced, then samples, then intake.

        Samples are in place within the insert time-out from the call, else it raises Transient: the caller takes
        `stored_at` right before, and a cut-off that lies further back than the time-out has seen them.
        """

    def usage(self, request: UsageRequest) -> pa.Table:
        """Return usage as USAGE_SCHEMA, each sample counted once in its winning version as of the cut-off."""

    def cells(self, request: UsageRequest) -> pa.Table:
        """Return the deduplicated observations behind usage as CELL_SCHEMA: cells, and each event by itself.

        Ordered by cell start, resource, meter, attributes, then quantity. `edges` give the period alone. Cells of
        several resources are added unless the request groups by resource; grouping by tenant is not possible.
        """

    def samples(self, request: UsageRequest, resource_id: int, limit: int) -> pa.Table:
        """Return the deduplicated samples of one resource behind usage, by meter and cell start.

        Columns: cell_start, cell_seconds, covered_seconds, quantity, meter_id, attributes_id, tenant_id, revision,
        versions (how many versions are stored), stored_at.
        """

    def touched(self, since: int, before: int) -> pa.Table:
        """Return which (tenant_id, day: start of the UTC day in seconds) got rows with since <= stored_at < before.

        Also those of all other copies of the events among these rows: the winner may have moved.
        """

    def write_rating(self, ratings: Sequence[Rating], lines: pa.Table, stored_at: int) -> None:
        """Store lines of the given windows, then the ratings that make them valid. All ratings are of one account."""

    def ratings(self, account_ids: Sequence[int] | None, period: Period, cutoff: int = NOW) -> Sequence[Rating]:
        """Return the valid rating of each window that overlaps the period, by account and window."""

    def lines(
        self, account_id: int, period: Period, cutoff: int = NOW, after: int = 0, limit: int | None = None
    ) -> pa.Table:
        """Return valid lines as LINE_SCHEMA of windows inside the period, the first `after` rows skipped."""

    def line(self, account_id: int, digest: int) -> pa.Table:
        """Return the rows (LINE_SCHEMA plus `revision`) of the lines of an account with that digest, newest first."""

    def newest_lines(self, account_ids: Sequence[int] | None, limit: int) -> pa.Table:
        """Return the newest valid lines over accounts: LINE_SCHEMA plus account_id and stored_at.

        Looks at a bounded number of the newest ratings only, so fewer than `limit` may come back.
        """

    def write_names(
        self,
        accounts: Mapping[int, str] | None = None,
        prices: Sequence[PriceName] = (),
        resource_names: Mapping[int, tuple[str, int]] | None = None,
        meters: Mapping[int, tuple[str, str, str, int]] | None = None,
    ) -> None:
        """Store names for views: accounts, prices, resources (name, seen_at), meters (key, base, display unit, per)."""

    def write_attribution(self, claims: Mapping[int, Sequence[Claim]], stored_at: int) -> None:
        """Replace the attribution dimension (account_id → claims) that the analysts' views join."""

    def tenants(self) -> Mapping[int, tuple[str, str]]:
        """Return tenant_id → (site, tenant)."""

    def resource_tenants(self, tenant_ids: Sequence[int] | None = None) -> Sequence[tuple[int, int]]:
        """Return (tenant_id, resource_id) pairs seen together."""

    def cotenants(self) -> Mapping[int, frozenset[int]]:
        """Return the tenants that had resources which other tenants had, too, and those others."""

    def prune(self, before: int) -> None:
        """Drop superseded live lines and attribution stored before an instant (microseconds); settled lines stay."""

    def resource_names(self, resource_ids: Sequence[int]) -> Mapping[int, tuple[str, str, str]]:
        """Return resource_id → (site, kind/native uuid, name or "")."""

    def attribute_sets(self, attribute_ids: Sequence[int] | None = None) -> Mapping[int, str]:
        """Return attributes_id → canonical JSON."""

    def counters(self) -> Counters:
        """Return the reconciliation counters; reads the identity of everything stored."""

    def intake_totals(self) -> IntakeTotals:
        """Return what of the counters needs no look at the samples: cheap enough for a live page."""

    def query(self, sql: str) -> pa.Table:
        """Run one read-only statement (an analyst's; never built from a tenant's input)."""

    @property
    def applies_prices(self) -> bool:
        """Whether `rated` can be asked: an old server lacks integers that are wide enough."""

    def rated(self, request: RatedRequest, update: Callable[[int, int], None] | None = None) -> Sequence[RatedSum]:
        """Return what lines of usage come to under linear prices, by account and class; memory stays bounded.

        `update` is told how many statements of how many are done.
        """
