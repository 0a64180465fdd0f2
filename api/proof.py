"""Proves a rated line: reads its usage again as of its revision, rates it again, and shows the samples behind it.

A line of usage times a price follows from its own usage. Any other line (a tier, a minimum, a fee …) follows from all
usage of its window, so the window is rated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from api.present import Priced
from api.scope import Scoped, TenantScope
from api.services import Services
from billing.cycles import cycles_due
from pipeline.late import late_of, running_meters
from pipeline.rate_run import Job, Run, lines_of
from pipeline.rate_usage import needs_site, question
from pipeline.usage_reader import Reading, UsageReader
from rating.explain import Line
from rating.lists import PriceList
from rating.tables import LINE_SCHEMA
from rating.verify import found_in, stands_alone, verify
from schemas.claim import Claim
from schemas.errors import Invariant
from schemas.ids import key32
from schemas.period import Period
from sinks.warehouse.protocol import UsageRequest

SAMPLES_MAX: Final = 100_000
"""Samples of one resource behind a line: a month of the finest grid has 8,928 cells; events may be more."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Usage of a line read again from the samples, at the line's own cut-off."""

    quantity: int
    covered_seconds: int
    digest: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What computing a line again came to.

    Attributes:
        usage: behind the line; for a line that does not stand alone what the line found again says of it.
        amount_micros: computed again.
        digest: computed again.
        differences: from the line, in words; empty when it is proved.
    """

    usage: Recomputed
    amount_micros: int
    digest: int
    differences: Sequence[str]


class Prover:
    """Computes one line again."""

    def __init__(self, use: Services, scope: TenantScope, scoped: Scoped, priced: Priced) -> None:
        """Keep the line; its price list must be known."""
        if priced.price_list is None:
            raise Invariant("only a line with its price list is proved")
        self._use, self._scope, self._scoped, self._priced = use, scope, scoped, priced
        self._list: PriceList = priced.price_list
        self._line: Line = priced.line
        self._reader = UsageReader(use.warehouse, use.directory)
        self._sites = needs_site(self._list)
        self.terms = use.directory.terms(scoped.account, priced.revision)
        entry = self._list.by_key.get(self._line.price_id)
        own = entry.price.charge.meters if entry and entry.price else ()
        self._meters = frozenset({self._line.meter_id} if self._line.meter_id else map(key32, own))

    def prove(self, attributes: Mapping[str, str]) -> Proof:
        """Compute the line again and compare."""
        late = self._line.meter_id in running_meters(self._list)  # may hold usage of another cycle
        if late or not stands_alone(self._line, self._list, self.terms):
            return self._rated_again()
        verdict = verify(self._line, self._list, attributes, self._use.registry, self.terms)
        usage = self._usage()
        line = self._line
        pairs = (
            ("quantity", line.quantity, usage.quantity),
            ("covered seconds", line.covered_seconds, usage.covered_seconds),
            ("usage digest", line.usage_digest, usage.digest),
        )
        differences = [f"{name} is {said}, the samples give {due}" for name, said, due in pairs if said != due]
        return Proof(usage, verdict.amount_micros, verdict.digest, [*verdict.differences, *differences])

    def _usage(self) -> Recomputed:
        """Read the line's usage again; zero for nothing.

        Live rating reads samples as of its cut-off and rules as they are at that moment, which may include a rule
        recorded just after the cut-off. So where the rules of the cut-off do not give the line, those of now are tried.
        """
        first = None
        for as_of in (self._priced.revision, None):
            found = self._sums(self._scope.claims(self._scoped, as_of))
            if (found.quantity, found.digest) == (self._line.quantity, self._line.usage_digest):
                return found
            first = first or found
        if first is None:
            raise Invariant("no rules were tried")
        return first

    def _sums(self, claims: Sequence[Claim]) -> Recomputed:
        line = self._line
        edges = (line.segment_start, line.segment_end)
        narrow = of_resource(claims, line.resource_id)
        reading = Reading(narrow, edges, self._priced.revision, frozenset({line.meter_id}), sites=self._sites)
        table = self._reader.usage(reading)
        same = pa.compute.and_(
            pa.compute.equal(table["resource_id"], pa.scalar(line.resource_id, pa.uint64())),
            pa.compute.equal(table["attributes_id"], pa.scalar(line.attributes_id, pa.uint64())),
        )
        found: Mapping[str, list[int]] = table.filter(same).to_pydict()
        digest = 0
        for part in found["digest"]:
            digest ^= part
        return Recomputed(sum(found["quantity"]), sum(found["covered_seconds"]), digest)

    def _rated_again(self) -> Proof:
        line, account = self._line, self._scoped.account
        window = Period(line.window_start, line.window_end)
        known = self._use.books.settlements(account.id)
        settled = frozenset(Period(s.cycle_start, s.cycle_end) for s in known)
        cycles = cycles_due(window.start, window.end, account.cycle, account.timezone, settled)
        job = Job(account, self._list, cycles, window, settled, self._priced.revision, only=window)
        late = late_of(job, self._use.warehouse, self._use.books, self._use.directory, self._reader)
        run = Run(job, self._use.directory, self._reader, self._use.registry, late)
        tables = [lines_of(part.lines, [window])[0] for part in run.windows()]
        lines = pa.concat_tables(tables) if tables else LINE_SCHEMA.empty_table()
        own = lines.filter(pa.compute.equal(lines["price_id"], pa.scalar(line.price_id, pa.uint64())))
        verdict = found_in(own if own.num_rows else lines, line)
        same = own.filter(pa.compute.equal(own["digest"], pa.scalar(verdict.digest, pa.uint64()))).to_pylist()
        again = same[0] if same else {"quantity": 0, "covered_seconds": 0, "usage_digest": 0}
        usage = Recomputed(again["quantity"], again["covered_seconds"], again["usage_digest"])
        return Proof(usage, verdict.amount_micros, verdict.digest, verdict.differences)

    def samples(self, first: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return samples first … first + limit of the line's meters in its segment, and how many there are.

        Those of a group are all samples of its meters in the segment (of its resource and attributes, where it has but
        one), ordered by resource. Of a segment that begins or ends beside the grid the whole quarters of an hour count.
        """
        line = self._line
        claims = self._scope.claims(self._scoped, self._priced.revision)
        if line.resource_id:
            claims = tuple(of_resource(claims, line.resource_id))
        asked = question((line.segment_start, line.segment_end)).edges
        request = UsageRequest(claims, (asked[0], asked[-1]), self._priced.revision, meters=sorted(self._meters))
        counts: dict[int, dict[int, int]] = {}
        for row in self._use.warehouse.usage(request).to_pylist():
            of = counts.setdefault(row["resource_id"], {})
            of[row["attributes_id"]] = of.get(row["attributes_id"], 0) + row["samples"]
        own = {resource: self._own_sets(resource, sets) for resource, sets in counts.items()}
        total, found, at = 0, list[dict[str, Any]](), 0
        for resource, sets in sorted(own.items()):
            count = sum(sets.values())
            if at + count > first and len(found) < limit:
                rows = self._use.warehouse.samples(request, resource, SAMPLES_MAX).to_pylist()
                rows = [row for row in rows if row["attributes_id"] in sets]
                found += rows[max(first - at, 0) :][: limit - len(found)]
            at += count
            total += count
        return found, total

    def _own_sets(self, resource: int, sets: Mapping[int, int]) -> Mapping[int, int]:
        """Return those of a resource's attribute sets that belong to the line."""
        if not self._line.attributes_id:
            return sets
        named = self._use.warehouse.resource_names([resource]) if self._sites else {}
        site = named[resource][0] if resource in named else None
        derived = self._use.directory.with_site(list(sets), site) if site is not None else {}
        return {key: count for key, count in sets.items() if derived.get(key, key) == self._line.attributes_id}


def of_resource(claims: Sequence[Claim], resource: int) -> list[Claim]:
    """Return claims cut to one resource, so that a large tenant is not read for one line."""
    return [
        Claim(c.period, c.tenant_id, frozenset({resource}))
        for c in claims
        if resource not in c.excluded and (c.only is None or resource in c.only)
    ]
