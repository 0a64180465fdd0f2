"""Small fleets for the tests, and the totals of what a collector hands out, deduplicated by identity."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from collectors.interface import Gap, Poll
from collectors.simulator import Plan, TenantPlan, TruthKey
from schemas.period import SECOND, Period
from tests.collectors.fakes import T0

DAY = 86400
TENANTS = (TenantPlan("acme", 5), TenantPlan("birch", 12))
END_OF_TIME = 4 * 10**9 * SECOND


def plan(days: int = 6, seed: int = 1, gaps: tuple[Gap, ...] = ()) -> Plan:
    return Plan(Period(T0, T0 + days * DAY), TENANTS, seed, gaps=gaps)


_COLUMNS = (
    "resource",
    "meter",
    "cell_start",
    "quantity",
    "covered_seconds",
    "tenant",
    "attributes",
    "event_source",
    "event_id",
)


@dataclass
class Collected:
    """What arrived, one sample an identity: the one with most seconds covered."""

    samples: dict[tuple[str, ...] | tuple[str, str, int], tuple[int, int, TruthKey, int]] = field(default_factory=dict)
    rows: int = 0

    def add(self, polls: Iterable[Poll]) -> "Collected":
        for poll in polls:
            for batch in poll.batches:
                self.rows += batch.num_rows
                columns = (batch[name].to_pylist() for name in _COLUMNS)
                for resource, meter, at, quantity, covered, tenant, attributes, source, event in zip(
                    *columns, strict=True
                ):
                    identity = (resource, meter, at) if event is None else (source, event)
                    found = (covered, quantity, TruthKey(tenant, meter, attributes), at)
                    self.samples[identity] = max(self.samples.get(identity, found), found)
        return self

    @property
    def quantities(self) -> dict[TruthKey, int]:
        totals: dict[TruthKey, int] = defaultdict(int)
        for _, quantity, key, _ in self.samples.values():
            totals[key] += quantity
        return dict(totals)

    @property
    def daily(self) -> dict[tuple[int, TruthKey], int]:
        totals: dict[tuple[int, TruthKey], int] = defaultdict(int)
        for _, quantity, key, at in self.samples.values():
            totals[at // DAY * DAY, key] += quantity
        return dict(totals)

    @property
    def counts(self) -> dict[TruthKey, int]:
        counts: dict[TruthKey, int] = defaultdict(int)
        for _, _, key, _ in self.samples.values():
            counts[key] += 1
        return dict(counts)
