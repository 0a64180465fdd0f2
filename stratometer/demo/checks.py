"""The demo's checks: every promise that can be computed from the finished month, each as left = right."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import orjson

from billing.auditor import audit
from billing.journal import all_transfers
from collectors.simulator import Truth, truth_of
from pipeline.dead_letters import DeadLetters
from pipeline.reconcile import Check
from schemas.ids import tenant_id
from schemas.period import Period
from sinks.warehouse.protocol import UsageRequest
from stratometer.commands.reconcile import compare
from stratometer.compose import Parts
from stratometer.demo.month import MonthDone

Totals = Mapping[tuple[str, str, str], int]
"""(tenant, meter, attributes JSON) → base units."""

HOUR_SECONDS = 3600


def all_checks(parts: Parts, letters: DeadLetters, done: MonthDone, period: Period) -> list[Check]:
    """Return every check over the month."""
    truth = truth_of(done.fleet)
    found, _ = compare(parts, letters)
    month, unique = _usage(parts, done, [period.start, period.end])
    hours, _ = _usage(parts, done, list(range(period.start, period.end + 1, HOUR_SECONDS)))
    found.append(Check("unique samples = simulator's own count", unique, truth.samples_total))
    found += list(_against_truth(truth, month))
    found.append(Check("Σ windows = Σ samples (quantities)", sum(hours.values()), sum(month.values())))
    found.append(Check("unpriced lines", _unpriced(parts, period), 0))
    journal = list(all_transfers(parts.books, None))
    problems = audit(journal, parts.books.settlements(), parts.books.balances())
    found.append(Check("discrepancies of the ledger's audit", len(problems), 0))
    return found


def _against_truth(truth: Truth, month: Totals) -> Iterator[Check]:
    expected = {(k.tenant, k.meter, k.attributes): v for k, v in truth.quantities.items() if v}
    differing = [key for key in expected.keys() | month.keys() if expected.get(key, 0) != month.get(key, 0)]
    yield Check("simulator's totals that differ from ours", len(differing), 0)
    yield Check("Σ quantities, simulator's own = ours", sum(expected.values()), sum(month.values()))


def _usage(parts: Parts, done: MonthDone, edges: list[int]) -> tuple[Totals, int]:
    """Return deduplicated usage of the demo's site, summed over the segments, and the number of samples in it."""
    site = done.fleet.plan.site
    tenants = {tenant_id(site, t.name): t.name for t in done.fleet.plan.tenants}
    usage = parts.warehouse.usage(UsageRequest(None, edges, group=frozenset({"tenant", "attributes"})))
    ids = usage.column("attributes_id").unique().to_pylist()
    sets = {
        i: orjson.dumps(s, option=orjson.OPT_SORT_KEYS).decode() for i, s in parts.directory.attribute_sets(ids).items()
    }
    totals: dict[tuple[str, str, str], int] = defaultdict(int)
    samples = 0
    for row in usage.to_pylist():
        tenant = tenants.get(row["tenant_id"])
        if tenant is not None:
            samples += row["samples"]
            totals[tenant, parts.registry.by_id[row["meter_id"]].key, sets[row["attributes_id"]]] += row["quantity"]
    return {key: quantity for key, quantity in totals.items() if quantity}, samples


def _unpriced(parts: Parts, period: Period) -> int:
    return sum(r.unpriced for r in parts.warehouse.ratings(None, period))
